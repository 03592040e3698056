"""
A decoder in integers, for a chip of 50 mW
==========================================

A decoder that is worn cannot carry a workstation. This example fits a small TinyMyo to
one person, writes it as a bundle for a GAP9 (a microcontroller with eight RISC-V cores
for computing and 1.5 MB of memory), looks at what the bundle says about memory and
time, and compares the answers of its C program, which runs on this machine too, with
those of the float pipeline.

No chip is needed, and none was ever used: times and energies are estimates. What is
proven, and what is not, is in :doc:`/user_guide/gap9`.

Run ``python examples/plot_04_gap9.py --help`` for the options.
"""

# %%
# A person and a decoder
# ----------------------
#
# Simulated recordings of one person: six gestures, repeated four times. The last
# repetition is kept for the comparison. Only the head is tuned, on the embeddings of
# the small open weights. The filter is causal, as it has to be where samples arrive one
# by one.

import argparse
import shutil
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax
from sklearn.pipeline import make_pipeline

from sktinymyo import EMGFilter, TinyMyoClassifier, export_gap9, sliding_windows
from sktinymyo.datasets import make_gestures

parser = argparse.ArgumentParser(description="A decoder as a bundle for a GAP9.")
parser.add_argument("--out", help="folder to write the bundle to, and to keep it")
parser.add_argument("--figures", help="folder to write the figures to")
parser.add_argument(
    "--no-verify", action="store_true", help="leave out the checks of the bundle"
)
options = parser.parse_args()

bunch = make_gestures(n_subjects=1, n_gestures=6, n_repetitions=4, random_state=4)
X, y, meta = sliding_windows(
    bunch.recordings,
    bunch.sfreq,
    window=0.5,
    step=0.1,
    labels=np.asarray(bunch.target_names)[bunch.target],
    meta=bunch.meta,
)
last = (meta["repetition"] == meta["repetition"].max()).to_numpy()
print(
    f"SIMULATED recordings, not real ones: {bunch.n_channels} channels, "
    f"{bunch.sfreq:g} Hz, windows of {X.shape[2]} samples"
)
pipeline = make_pipeline(
    EMGFilter(sfreq=bunch.sfreq, h_freq=90, phase="causal"),
    TinyMyoClassifier(
        "tinymyo-open-small", sfreq=bunch.sfreq, tune="head", random_state=0
    ),
).fit(X[~last], y[~last])

# %%
# The bundle
# ----------
#
# The windows of the training show the export how large the values of every layer
# become; on those of the last repetition it compares integers with floats. ``l1_kb``
# and ``l2_kb`` are what the rest of the firmware leaves; here it leaves little, so that
# there is something to plan. Before the bundle gets its name it is verified: the C
# program is compiled and has to give the same bits as the reference in numpy. Without a
# compiler those checks are skipped, and the list says so.

if options.out:
    folder = Path(options.out)
else:
    scratch = tempfile.TemporaryDirectory()
    folder = Path(scratch.name) / "bundle"
bundle = export_gap9(
    pipeline,
    folder,
    X[~last],
    X_test=X[last],
    y_test=y[last],
    l1_kb=32,
    l2_kb=80,
    overwrite=True,
    verify=not options.no_verify,
)
print(bundle.report())

# %%
# Memory
# ------
#
# Every rectangle is a buffer: its width is how long it lives, its height how large it
# is. A buffer that is read for the last time gives its place to the next. The weights
# do not fit: they wait in external memory and come in slabs, one while the other is in
# use. Below are the tiles that the cores work on in their own fast memory.


def show(figure, name):
    """Write a figure to a file, if there is a folder for it."""
    if options.figures:
        Path(options.figures).mkdir(parents=True, exist_ok=True)
        figure.savefig(Path(options.figures) / f"{name}.png", dpi=150)


show(bundle.plot_memory(), "memory")

# %%
# Time
# ----
#
# Two sets of coefficients: "published" is what a deployment of TinyMyo reached,
# "optimised" what the kernels reach in a simulator where nothing else slows them. Both
# may be 25 % off.

show(bundle.plot_cost(), "cost")

# %%
# Integers beside float
# ---------------------
#
# The C program runs on this machine too, from the sources that are meant for the chip.
# Every point below is the probability of one label in one window of the last
# repetition, which neither the training nor the calibration saw.

compilers = ("gcc", "cc", "clang")
engine = "host" if any(map(shutil.which, compilers)) else "numpy"
logits = bundle.decision_logits(X[last], engine=engine)
of_integers = softmax(logits / 2**16, axis=1)
of_float = pipeline.predict_proba(X[last])

answers = {
    "float": pipeline.classes_[of_float.argmax(axis=1)],
    "integers": bundle.classes_[of_integers.argmax(axis=1)],
}
source = {"host": "C on this machine", "numpy": "numpy, for there is no compiler"}
print(f"integers computed by {source[engine]}; {last.sum()} windows")
for name, answer in answers.items():
    print(f"accuracy, {name:<9} {np.mean(answer == y[last]):.3f}")
print(f"same label          {np.mean(answers['float'] == answers['integers']):.3f}")

figure, axis = plt.subplots(figsize=(4.6, 4.4), layout="constrained")
axis.plot([0, 1], [0, 1], color="0.7", lw=1)
for k, label in enumerate(bundle.classes_):
    axis.plot(of_float[:, k], of_integers[:, k], ".", ms=5, label=str(label))
axis.set(
    xlabel="probability, float pipeline",
    ylabel="probability, integers",
    title="SIMULATED recordings, new repetition",
    aspect="equal",
)
axis.legend(frameon=False, fontsize="small")
show(figure, "predictions")
plt.show()
