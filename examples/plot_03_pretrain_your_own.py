"""
Pretraining on your own recordings
==================================

Labels are expensive, recordings are not: most laboratories have hours of EMG that
nobody ever annotated, from several amplifiers and armbands. This example pretrains a
small encoder on such a mixture without a single label, looks at what it has learned,
saves it, and uses it on people that it has never met, beside the classical features.

Everything is simulated, so that the example runs anywhere; no figure below says
anything about real people. It takes about a minute on one core. Real pretraining takes
hours of recordings and of computing; the calls are the same.

Run ``python examples/plot_03_pretrain_your_own.py --help`` for the options.
"""

# %%
# Recordings of several kinds
# ---------------------------
#
# Three laboratories: an armband of eight electrodes at 200 Hz, twelve electrodes at
# 1000 Hz, and four at 500 Hz. Recordings of all lengths go into one list. The groups
# tell which of them were made by the same person with the same electrodes: these are
# scaled together, so that a weak contraction stays weaker than a strong one.

import argparse
import tempfile
import time
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktinymyo import (
    TimeDomainFeatures,
    TinyMyoEmbedder,
    TinyMyoPretrainer,
    sliding_windows,
)
from sktinymyo.datasets import make_gestures
from sktinymyo.inspection import ReconstructionDisplay

parser = argparse.ArgumentParser(description="Pretrain an encoder and use it.")
parser.add_argument(
    "--people", type=int, default=16, help="people of the first laboratory"
)
parser.add_argument("--steps", type=int, default=300, help="steps of the optimiser")
parser.add_argument(
    "--out", help="folder to keep the encoder in; else it is deleted at the end"
)
parser.add_argument("--figures", help="folder to write the figures to")
options = parser.parse_args()

GESTURES = 6
others = max(options.people // 4, 1)
laboratories = [
    make_gestures(options.people, GESTURES, 2, n_channels=8, sfreq=200, random_state=1),
    make_gestures(
        others, GESTURES, 2, n_channels=12, sfreq=1000, duration=2.0, random_state=2
    ),
    make_gestures(
        others, GESTURES, 2, n_channels=4, sfreq=500, duration=2.0, random_state=3
    ),
]
recordings, groups, minutes = [], [], 0.0
for number, bunch in enumerate(laboratories):
    recordings += bunch.recordings
    groups += [f"laboratory {number}, person {who}" for who in bunch.meta["subject"]]
    minutes += sum(r.shape[1] for r in bunch.recordings) / bunch.sfreq / 60
    print(
        f"laboratory {number}: {len(bunch.recordings)} recordings, "
        f"{bunch.n_channels} channels at {bunch.sfreq:g} Hz"
    )

# %%
# Pretrain
# --------
#
# Half of every window is hidden from the encoder, and a small decoder has to say what
# was there: the samples, and the spectrum of each patch of 20 samples. The encoder
# counts in samples, so every batch may come from another sampling rate. Windows are 40
# samples long (0.2 s at 200 Hz), sometimes 100.

begun = time.perf_counter()
pretrainer = TinyMyoPretrainer(
    size="nano",
    n_times=(40, 40, 100),
    step=20,
    jitter=10,
    max_steps=options.steps,
    batch_size=128,
    lr=2e-3,
    random_state=0,
).fit(recordings, groups=groups)
print(
    f"pretrained on {pretrainer.data_['n_windows']} windows "
    f"({minutes:.0f} minutes of signal) "
    f"in {time.perf_counter() - begun:.0f} s"
)

steps = [row["step"] for row in pretrainer.history_]
figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
for target, name in {"raw": "samples", "spectrum": "spectrum"}.items():
    axis.plot(steps, [row[target] for row in pretrainer.history_], label=name)
axis.set(xlabel="step", ylabel="loss of what is predicted", ylim=(0, None))
axis.legend(frameon=False)

# %%
# What has it learned?
# --------------------
#
# A new person, whom the pretraining did not see, in the second laboratory. The
# reconstruction is close to a flat line: samples of EMG are close to noise, and the
# best guess of noise is its mean. That is why the loss of the samples above stops
# falling early, while that of the spectrum (how strong is the signal, and in which
# frequencies?) goes on.

visitor = make_gestures(
    1, GESTURES, 1, n_channels=12, sfreq=1000, duration=2.0, random_state=4
)
windows, _, _ = sliding_windows(visitor.recordings, visitor.sfreq, 0.1, 0.1)
display = ReconstructionDisplay.from_estimator(
    pretrainer,
    windows,
    window=30,
    channels=range(0, 12, 2),
    sfreq=visitor.sfreq,
    unit="µV",
)
display.figure_.suptitle("One window of a new person")

# %%
# Save, and use it like any other weights
# ---------------------------------------
#
# The folder holds the encoder and its card: how it was made, on what, and what you say
# about it, such as the licence.

holder = tempfile.TemporaryDirectory()
folder = Path(options.out or holder.name)
card = pretrainer.save_pretrained(
    folder, name="my-encoder", licence="CC0-1.0", sharing=True
)
print(f"\n{card.name}, sha256 {card.sha256[:12]}...\nrecipe: {card.recipe}\n")

# %%
# New people with the armband of the first laboratory make the same gestures. Models are
# trained on some of them and tested on the others. The encoder is not trained any
# further: logistic regression reads what it puts out. The same encoder with random
# parameters shows what pretraining adds, and logistic regression on the classical
# features what is owed to the classifier.

bunch = make_gestures(
    max(options.people * 3 // 4, 4), GESTURES, 3, n_channels=8, random_state=100
)
X, y, meta = sliding_windows(
    bunch.recordings, bunch.sfreq, 0.2, 0.2, labels=bunch.target, meta=bunch.meta
)


def regression():
    """Logistic regression on scaled columns, with some shrinkage for many of them."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))


models = {
    "time-domain features + LDA": make_pipeline(
        TimeDomainFeatures(), StandardScaler(), LinearDiscriminantAnalysis()
    ),
    "time-domain features + log. reg.": make_pipeline(
        TimeDomainFeatures(), regression()
    ),
    "random encoder + log. reg.": make_pipeline(
        TinyMyoEmbedder(weights="random", size="nano", random_state=0), regression()
    ),
    "my encoder + log. reg.": make_pipeline(
        TinyMyoEmbedder(weights=folder), regression()
    ),
}
scores = {
    name: cross_val_score(
        model, X, y, groups=meta["subject"], cv=GroupKFold(4), error_score="raise"
    )
    for name, model in models.items()
}
for name, values in scores.items():
    print(f"{name:<34}{values.mean():.3f} +- {values.std(ddof=1):.3f}")
print(
    f"accuracy on people unseen, mean +- standard deviation over 4 folds; {len(X)} "
    f"windows; chance {1 / GESTURES:.3f}; SIMULATED recordings"
)

# %%
# Read these numbers with care. The folds differ by more than the methods do, so compare
# the methods fold by fold, as the dots of one colour in the figure do, and do not take
# a lead of one hundredth for a discovery. Half a minute of pretraining on a few minutes
# of simulated signal is a demonstration; what more of both gives on real people is
# in the benchmarks.

comparison, axis = plt.subplots(figsize=(6.5, 3), layout="constrained")
places = np.arange(len(scores))[::-1]
for fold, values in enumerate(zip(*scores.values(), strict=True)):
    axis.plot(values, places, "o-", color=f"C{fold}", alpha=0.6)
axis.plot([v.mean() for v in scores.values()], places, "k|", ms=22, mew=2.5)
axis.axvline(1 / GESTURES, color="0.4", ls="--", lw=1)
axis.set(xlabel="accuracy on people unseen (bar: mean; dashed: chance)", xlim=(0, 1))
axis.set_yticks(places, list(scores))
axis.margins(y=0.15)

if options.figures:
    Path(options.figures).mkdir(parents=True, exist_ok=True)
    for name, drawn in {
        "loss": figure,
        "reconstruction": display.figure_,
        "comparison": comparison,
    }.items():
        drawn.savefig(Path(options.figures) / f"{name}.png", dpi=120)
holder.cleanup()
plt.show()
