"""
Recognising gestures: three decoders, honestly compared
=======================================================

The main job of this package from end to end: recordings of people making gestures are
filtered, cut into windows, and decoded in three ways:

* time-domain features and linear discriminant analysis (LDA), the classical baseline;
* embeddings of the open weights and logistic regression, the encoder untouched;
* TinyMyo tuned on the windows, starting from the small open weights.

Each is scored on two questions. Does it recognise new repetitions of a person that it
was trained on? And, where there are several people, does it recognise somebody it has
never seen? The weights come with the package, nothing is downloaded for them, and they
never saw the people of the real recordings below. The simulator they did see, with
other people.

Run ``python examples/plot_01_gestures.py --help`` for the options.
"""

# %%
# Recordings
# ----------
#
# Three sources, best first: real recordings in the folder that the environment
# variable ``SKTINYMYO_DATA`` names; the small real set OneSubjectMyo (one person, 1
# MB), if it was downloaded before or ``--fetch`` allows it now; else the built-in
# simulator. Every source gives the same kind of object, so nothing below depends on
# the choice.

import argparse
import os
import time

import joblib
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
from sktinymyo.datasets import (
    fetch_one_subject_myo,
    list_packed,
    load_packed,
    make_gestures,
)
from sktinymyo.exceptions import DatasetNotFoundError
from sktinymyo.model_selection import LeaveRepetitionsOut, cross_validate_windows
from sktinymyo.signal import filter_recording

parser = argparse.ArgumentParser(description="Compare three decoders of gestures.")
parser.add_argument(
    "--source",
    choices=["auto", "packed", "one-subject-myo", "simulator"],
    default="auto",
    help="where recordings come from; auto takes the best that is there",
)
parser.add_argument(
    "--fetch",
    action="store_true",
    default=os.environ.get("SKTINYMYO_FETCH", "") not in ("", "0"),
    help="allow the download of OneSubjectMyo (1 MB; also SKTINYMYO_FETCH=1)",
)
parser.add_argument(
    "--people",
    type=int,
    default=6,
    choices=range(1, 13),
    metavar="1..12",
    help="most people to take",
)
parser.add_argument("--epochs", type=int, default=6, help="epochs of tuning")
parser.add_argument(
    "--jobs", type=int, default=min(4, joblib.cpu_count()), help="folds at a time"
)
parser.add_argument("--figure", help="file to write the figure to")
options = parser.parse_args()

PACKED = "cote_allard_myo"


def from_packed():
    """Real recordings of several people: Myo armband, 7 gestures, first round."""
    if not os.environ.get("SKTINYMYO_DATA") or PACKED not in list_packed():
        raise DatasetNotFoundError(f"SKTINYMYO_DATA names no folder with {PACKED}.npz")
    bunch = load_packed(PACKED, part=0, sessions=0)
    return bunch, "REAL recordings: Myo armband (Cote-Allard), several people"


def from_one_subject_myo():
    """Real recordings of one person, from the download cache or the network."""
    bunch = fetch_one_subject_myo(download_if_missing=options.fetch)
    return bunch, "REAL recordings: Myo armband (OneSubjectMyo), one person"


def from_simulator():
    """Simulated recordings."""
    bunch = make_gestures(
        n_subjects=options.people, n_gestures=5, n_repetitions=4, random_state=0
    )
    return bunch, "SIMULATED recordings, not real ones"


sources = {
    "packed": from_packed,
    "one-subject-myo": from_one_subject_myo,
    "simulator": from_simulator,
}
wanted = list(sources) if options.source == "auto" else [options.source]
asked_for = {
    "packed": bool(os.environ.get("SKTINYMYO_DATA")),
    "one-subject-myo": options.fetch,
}
for name in wanted:
    try:
        bunch, origin = sources[name]()
        break
    except DatasetNotFoundError as reason:
        if name == wanted[-1]:
            raise
        # A source that nobody asked for and that is not there deserves no line.
        if asked_for[name]:
            print(f"Not used: {name}. {reason}")

people = pd.unique(bunch.meta["subject"])[: options.people]
chosen = np.flatnonzero(bunch.meta["subject"].isin(people))
if name == "simulator":
    others = "make demo DEMO_OPTIONS=--fetch (1 MB), or their folder in SKTINYMYO_DATA"
    print(f"Source: {origin}. For real ones: {others}")
else:
    others = 'make demo DEMO_OPTIONS="--source simulator"'
    print(f"Source: {origin}. For simulated ones: {others}")
print(
    f"{len(chosen)} recordings of {len(people)} person(s), "
    f"{len(bunch.target_names)} gestures, {bunch.sfreq:g} Hz, licence: {bunch.license}"
)

# %%
# Filter, then cut
# ----------------
#
# Whole recordings are filtered before they are cut, so that the filter settles once per
# recording and not once per window. The band ends below half of the sampling rate.

band = {"l_freq": 20, "h_freq": min(450, 0.45 * bunch.sfreq), "notch": 50}
recordings = [
    filter_recording(bunch.recordings[k], bunch.sfreq, **band) for k in chosen
]
X, y, meta = sliding_windows(
    recordings,
    bunch.sfreq,
    window=0.2,
    step=0.2,
    labels=np.asarray(bunch.target)[chosen],
    meta=bunch.meta.iloc[chosen],
)
print(f"{len(X)} windows of {X.shape[1]} channels x {X.shape[2]} samples (0.2 s)")

# %%
# Scale every person by themselves
# --------------------------------
#
# Skin, muscles and armband make one person's signal several times as strong as
# another's. Mean and spread of a person's unlabelled windows are enough to undo that,
# and every decoder gets windows that are scaled so. In use, this takes a minute of
# unlabelled movement of the new person.

person = meta["subject"].to_numpy()
for who in people:
    X[person == who] = ChannelScaler().fit_transform(X[person == who])

# %%
# Three decoders
# --------------
#
# The network that is tuned is the small one, which four cores tune within a minute or
# two. The windows are scaled already (``scale=None``).

decoders = {
    "features + LDA": make_pipeline(
        TimeDomainFeatures(), StandardScaler(), LinearDiscriminantAnalysis()
    ),
    "TinyMyo embeddings + logistic regression": make_pipeline(
        TinyMyoEmbedder(scale=None),
        StandardScaler(),
        LogisticRegression(C=0.01, max_iter=1000),
    ),
    "TinyMyo, tuned": TinyMyoClassifier(
        "tinymyo-open-small",
        scale=None,
        max_epochs=options.epochs,
        random_state=0,
    ),
}

# %%
# Two questions
# -------------
#
# Windows of one repetition never lie on both sides of a split: neighbours are nearly
# the same signal, and a score that mixes them says nothing about the next
# contraction.

questions = {
    "new repetitions": {"within": "subject", "cv": LeaveRepetitionsOut(n_splits=2)}
}
if len(people) > 1:
    n_folds = min(3, len(people))
    questions["new people"] = {"cv": GroupKFold(n_folds), "groups": "subject"}

measures = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "f1_macro": "macro-F1",
}
print("Training and testing; one to two minutes on four cores ...\n", flush=True)
started = time.perf_counter()
results, seconds = [], {}
for question, split in questions.items():
    for decoder, model in decoders.items():
        begun = time.perf_counter()
        # Folds in processes of one thread each: faster and steadier than one process
        # with many threads, for networks of this size.
        with joblib.parallel_config("loky", inner_max_num_threads=1):
            scores = cross_validate_windows(
                model, X, y, meta, n_jobs=options.jobs, **split
            )
        seconds[question, decoder] = time.perf_counter() - begun
        results.append(scores.assign(question=question, decoder=decoder))
results = pd.concat(results)

# One number per person first, so that the spread is the spread over people.
per_person = results.groupby(["question", "decoder", "subject"], sort=False)[
    list(measures)
].mean()
# One person has no spread over people: show that over folds.
rows = per_person if len(people) > 1 else results.set_index(["question", "decoder"])
grouped = rows.groupby(["question", "decoder"], sort=False)[list(measures)]
means, spreads = grouped.mean(), grouped.std(ddof=1)

# %%
# Results
# -------
#
# Accuracy is the share of windows that are right. Balanced accuracy is that share for
# each gesture, averaged over gestures; macro-F1 is an average over gestures too, in
# which false alarms count. Chance is one over the number of gestures. Expect LDA to be
# hard to beat within a person, and everything to be lower for people never seen.

header = "".join(f"{name:>18}" for name in [*measures.values(), "time"])
print(f"{'':<17}{'decoder':<42}{header}")
for (question, decoder), mean in means.iterrows():
    spread = spreads.loc[question, decoder]
    cells = (f"{mean[m]:.3f} +- {spread[m]:.3f}" for m in measures)
    cells = [*cells, f"{seconds[question, decoder]:.1f} s"]
    print(f"{question:<17}{decoder:<42}" + "".join(f"{cell:>18}" for cell in cells))
chance = 1 / len(np.unique(y))
over = "people" if len(people) > 1 else "folds"
print(
    f"\nmean +- standard deviation over {over}; chance {chance:.3f}; "
    f"all in {time.perf_counter() - started:.0f} s; {origin}"
)

figure, axes = plt.subplots(
    1,
    len(questions),
    figsize=(4.5 * len(questions) + 1.5, 4.2),
    sharey=True,
    squeeze=False,
    layout="constrained",
)
for axis, question in zip(axes[0], questions, strict=True):
    for place, decoder in enumerate(decoders):
        values = rows.loc[(question, decoder), "balanced_accuracy"].to_numpy()
        axis.bar(place, values.mean(), color=f"C{place}", alpha=0.55, width=0.7)
        offsets = np.linspace(-0.15, 0.15, len(values)) if len(values) > 1 else [0]
        axis.plot(place + np.asarray(offsets), values, "o", color=f"C{place}", ms=5)
    axis.axhline(chance, color="0.4", ls="--", lw=1)
    axis.text(-0.45, chance, "chance", va="bottom")
    axis.set(
        title=question,
        ylim=(0, 1),
        xticks=range(len(decoders)),
        xticklabels=["features\n+ LDA", "embeddings\n+ log. reg.", "TinyMyo,\ntuned"],
    )
axes[0, 0].set_ylabel(f"balanced accuracy (a dot: one of the {over})")
figure.suptitle(origin)
if options.figure:
    figure.savefig(options.figure, dpi=150)
    print(f"Figure: {options.figure}")
plt.show()
