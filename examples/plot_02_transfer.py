"""
What pretrained weights are worth
=================================

A prosthesis is fitted in an afternoon: nobody makes a thousand contractions for it.
This example asks what the open weights of the package, which learned from other people
and other recordings, add in the two situations that matter.

* **A new person, no labels.** The decoder was trained on other people.
* **A new person, one repetition of each gesture.** The decoder sees nothing else of
  this person, and nothing of others.

Four decoders answer both: LDA on time-domain features (the classical baseline),
logistic regression on the embeddings of an encoder that learned nothing, the same on
the embeddings of the open weights, and a TinyMyo that is tuned from the small open
weights.

Run ``python examples/plot_02_transfer.py --help`` for the options.
"""

# %%
# Recordings
# ----------
#
# Real ones of a Myo armband if the environment variable ``SKTINYMYO_DATA`` names a
# folder with them, else simulated ones. The open weights never saw the people of the
# real set. They did see the simulator, with other people: expect more of them on
# simulated recordings than they can keep on real ones.

import argparse
import os
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktinymyo import (
    ChannelScaler,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    sliding_windows,
)
from sktinymyo.datasets import list_packed, load_packed, make_gestures

parser = argparse.ArgumentParser(description="Open weights against random ones.")
parser.add_argument("--people", type=int, default=6, help="most people to take")
parser.add_argument(
    "--source",
    choices=["auto", "packed", "simulator"],
    default="auto",
    help="auto takes real recordings if they are there",
)
parser.add_argument("--figure", help="file to write the figure to")
options = parser.parse_args()

PACKED = "cote_allard_myo"
have = bool(os.environ.get("SKTINYMYO_DATA")) and PACKED in list_packed()
if options.source == "packed" or (options.source == "auto" and have):
    bunch = load_packed(PACKED, part=0, sessions=0)
    origin = "REAL recordings: Myo armband (Cote-Allard)"
else:
    bunch = make_gestures(
        n_subjects=options.people, n_gestures=6, n_repetitions=4, random_state=50
    )
    origin = "SIMULATED recordings, not real ones"
people = pd.unique(bunch.meta["subject"])[: options.people]
chosen = np.flatnonzero(bunch.meta["subject"].isin(people))
print(
    f"{origin}; {len(people)} people, {bunch.n_channels} channels, {bunch.sfreq:g} Hz"
)

X, y, meta = sliding_windows(
    [bunch.recordings[k] for k in chosen],
    bunch.sfreq,
    window=0.2,
    step=0.1,
    labels=np.asarray(bunch.target)[chosen],
    meta=bunch.meta.iloc[chosen],
)
person = meta["subject"].to_numpy()
repetition = meta["repetition"].to_numpy()

# %%
# Scale every person by themselves
# --------------------------------
#
# One person's skin, muscles and armband give ten times the amplitude of another's. A
# minute of unlabelled movement is enough to know mean and spread of each channel, and
# every method below gets windows that are scaled with them. No label is used, and
# nothing of one person enters the windows of another.

scaled = np.empty_like(X)
for who in people:
    mine = person == who
    scaled[mine] = ChannelScaler().fit_transform(X[mine])

# %%
# Four decoders
# -------------
#
# ``TinyMyoEmbedder()`` with no arguments stands for the open weights. The channels are
# scaled already, so the estimators need not do it again. Embeddings have hundreds of
# columns: the regression is kept from following each of them (``C=0.01``).


def regression():
    """Logistic regression on scaled columns, with some shrinkage."""
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000))


decoders = {
    "features + LDA": make_pipeline(
        TimeDomainFeatures(),
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    ),
    "random encoder + log. reg.": make_pipeline(
        TinyMyoEmbedder("random", scale=None, random_state=0), regression()
    ),
    "open weights + log. reg.": make_pipeline(
        TinyMyoEmbedder(scale=None), regression()
    ),
    "small open weights, tuned": TinyMyoClassifier(
        "tinymyo-open-small", scale=None, max_epochs=5, random_state=0
    ),
}
embedder = TinyMyoEmbedder(scale=None, sfreq=bunch.sfreq).fit(scaled[:100])
print(embedder.weights_card_.summary())

# %%
# Two questions
# -------------
#
# New people: each of three groups of people is predicted by decoders trained on the
# others. One repetition: trained on a person's first repetition of every gesture,
# tested on all later ones.

questions = {
    "new people": list(GroupKFold(3).split(scaled, y, person)),
    "one repetition": [
        (
            np.flatnonzero((person == who) & (repetition == repetition.min())),
            np.flatnonzero((person == who) & (repetition > repetition.min())),
        )
        for who in people
    ],
}
rows = []
for question, splits in questions.items():
    for name, decoder in decoders.items():
        begun = time.perf_counter()
        for train, test in splits:
            predicted = decoder.fit(scaled[train], y[train]).predict(scaled[test])
            for who in np.unique(person[test]):
                right = predicted[person[test] == who] == y[test][person[test] == who]
                rows.append((question, name, who, right.mean()))
        print(f"{question}: {name} took {time.perf_counter() - begun:.1f} s")
results = pd.DataFrame(rows, columns=["question", "decoder", "person", "accuracy"])
table = results.groupby(["question", "decoder"], sort=False)["accuracy"]
print(f"\n{table.agg(['mean', 'std']).round(3)}\n")
chance = 1 / len(np.unique(y))
print(
    f"accuracy, mean and standard deviation over people; chance {chance:.3f}; {origin}"
)

# %%
# Every line below is a person. Where the lines of the open weights lie above those of
# the features, pretraining has paid for this person; the benchmarks show the same
# comparison on whole sets, with days and electrode shift.

figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for axis, question in zip(axes, questions, strict=True):
    mine = results[results["question"] == question]
    by_person = mine.pivot(index="person", columns="decoder", values="accuracy")
    by_person = by_person[list(decoders)]
    for values in by_person.to_numpy():
        axis.plot(range(len(decoders)), values, "o-", color="0.7", ms=4, lw=1)
    axis.plot(range(len(decoders)), by_person.mean(), "D", color="C1", ms=8)
    axis.axhline(chance, color="0.4", ls="--", lw=1)
    axis.set(title=question, ylim=(0, 1), xticks=range(len(decoders)))
    axis.set_xticklabels([name.replace(" + ", "\n+ ") for name in decoders], fontsize=8)
axes[0].set_ylabel("accuracy")
figure.suptitle(origin)
if options.figure:
    figure.savefig(options.figure, dpi=150)
plt.show()
