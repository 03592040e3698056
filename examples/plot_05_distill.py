"""
A small network that learned from a large one
=============================================

The encoder that knows most is too large for an armband's chip: 3.6 million parameters,
and tens of milliseconds for a window of 0.2 s. This example trains a network of 60,000
parameters on the large one's answers, compares it with the same network trained on
labels alone, and asks what each would cost on a GAP9.

The large model may also answer windows that nobody labelled: half of the training
windows below have no label for anyone but the large model's probabilities.

Run ``python examples/plot_05_distill.py --help`` for the options.
"""

# %%
# Recordings
# ----------
#
# Simulated gestures, so that the example runs anywhere; three people stay out of all
# training. Channels are scaled by the windows of each person, without labels.

import argparse
import time

import matplotlib.pyplot as plt
import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktinymyo import (
    ChannelScaler,
    DistilledClassifier,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    estimate_gap9,
    sliding_windows,
)
from sktinymyo.datasets import make_gestures
from sktinymyo.export.quantize import quantize

parser = argparse.ArgumentParser(description="A small student of a large teacher.")
parser.add_argument("--people", type=int, default=6, help="of which a third is new")
parser.add_argument("--figure", help="file to write the figure to")
options = parser.parse_args()

bunch = make_gestures(
    n_subjects=options.people, n_gestures=6, n_repetitions=4, random_state=7
)
X, y, meta = sliding_windows(
    bunch.recordings, bunch.sfreq, 0.2, 0.2, labels=bunch.target, meta=bunch.meta
)
person = meta["subject"].to_numpy()
for who in np.unique(person):
    X[person == who] = ChannelScaler().fit_transform(X[person == who])
new = np.isin(person, np.unique(person)[-(options.people // 3) :])
labelled = ~new & (meta["repetition"] % 2 == 0).to_numpy()
unlabelled = ~new & ~labelled
print(
    f"SIMULATED recordings: {labelled.sum()} windows with labels, {unlabelled.sum()} "
    f"without, {new.sum()} of new people"
)

# %%
# Teacher and student
# -------------------
#
# The teacher is the open encoder with a regression on its embeddings. It is not fitted
# yet: :class:`~sktinymyo.DistilledClassifier` does that, on the labelled windows.
# Besides its answers, the student learns its embeddings (``feature_weight``), through
# a projection that is thrown away in the end.

teacher = make_pipeline(
    TinyMyoEmbedder(scale=None),
    StandardScaler(),
    LogisticRegression(C=3 / labelled.sum(), max_iter=1000),
)
student = TinyMyoClassifier(
    "random",
    size="nano",
    scale=None,
    lr=3e-3,
    dropout=0.0,
    max_epochs=12,
    random_state=0,
)
distilled = DistilledClassifier(
    teacher,
    student,
    alpha=0.9,
    feature_weight=1.0,
    unlabeled=X[unlabelled],
    random_state=0,
)
models = {
    "teacher": teacher,
    "student alone": clone(student).set_params(max_epochs=24),
    "student, distilled": distilled,
}
accuracy = {}
for name, model in models.items():
    begun = time.perf_counter()
    accuracy[name] = model.fit(X[labelled], y[labelled]).score(X[new], y[new])
    print(
        f"{name}: {accuracy[name]:.3f} on new people "
        f"({time.perf_counter() - begun:.0f} s)"
    )

# %%
# What it costs on the chip
# -------------------------
#
# The exports take the distilled classifier for its student. Whole numbers of eight bits
# are what runs on the chip, so the accuracy of those is the one that counts.

energy = {}
for name, model in models.items():
    point = estimate_gap9(model).estimates["published"]
    energy[name] = point.millijoules("370MHz")[0]
    print(
        f"{name}: about {1000 * point.seconds('370MHz')[0]:.1f} ms and "
        f"{energy[name]:.2f} mJ a window"
    )
integers = quantize(distilled, X[labelled][:300])
print(f"distilled, in integers: {np.mean(integers.predict(X[new]) == y[new]):.3f}")

# %%
# Up and to the left is better.

figure, axis = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
for name in models:
    axis.plot(energy[name], accuracy[name], "o", ms=9)
    axis.annotate(
        name, (energy[name], accuracy[name]), xytext=(8, -3), textcoords="offset points"
    )
axis.set(
    xscale="log",
    xlabel="energy of a window (mJ, estimated)",
    ylabel="accuracy on new people",
    title="SIMULATED recordings",
)
axis.margins(x=0.35, y=0.2)
if options.figure:
    figure.savefig(options.figure, dpi=150)
plt.show()
