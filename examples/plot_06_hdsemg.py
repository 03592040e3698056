"""
Images of an electrode grid
===========================

A grid of 16 x 8 electrodes on the forearm gives an image a thousand times a second. One
such image, a single sample in time, tells much about what the hand does, and the votes
of some tens of them usually tell more. This example simulates a person who puts the
grid on twice, repairs electrodes without contact, looks at the maps of activity, trains
the network of convolutions of :class:`~sktinymyo.AllConvNetClassifier`, and calibrates
it for the second session.

Everything is simulated, so that the example runs anywhere; no figure below says
anything about real people (those are in the benchmarks). It takes less than a minute.

Run ``python examples/plot_06_hdsemg.py --help`` for the options.
"""

# %%
# Recordings of two sessions
# --------------------------
#
# Five gestures, two repetitions of each in every session. Between the sessions the grid
# moves by some millimetres, and in each three electrodes have no contact. The filters
# are those of the field: 20 to 380 Hz, without 45 to 55 Hz.

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from sktinymyo import AllConvNetClassifier, EMGFilter, GridRepair, sliding_windows
from sktinymyo.datasets import make_hdsemg
from sktinymyo.inspection import GridDisplay
from sktinymyo.signal import majority_vote

parser = argparse.ArgumentParser(description="Classify images of an electrode grid.")
parser.add_argument("--epochs", type=int, default=10, help="passes over the images")
parser.add_argument("--figures", help="folder to write the figures to")
options = parser.parse_args()


def show(name):
    """Write a figure to the folder of figures, or to the screen."""
    if options.figures:
        Path(options.figures).mkdir(parents=True, exist_ok=True)
        plt.savefig(Path(options.figures) / f"{name}.png", dpi=100)
    else:
        plt.show()


data = make_hdsemg(
    n_gestures=5,
    n_repetitions=2,
    n_sessions=2,
    duration=1.2,
    grid=(16, 8),
    sfreq=1000,
    n_dead_channels=3,
    electrode_shift=8.0,
    n_motor_units=30,
    random_state=0,
)
band = EMGFilter(sfreq=1000, l_freq=20, h_freq=380, notch=50, notch_width=10)
# The movement into the gesture and out of it is left out.
recordings = [
    band.filter_recording(recording)[:, 300:-200].astype("float32")
    for recording in data.recordings
]

# %%
# Windows and bad electrodes
# --------------------------
#
# A window only says which samples vote together; images come from single samples. 40 ms
# without overlap lose nothing. Electrodes go bad with each wearing, so that each
# session has a repair of its own.

X, y, meta = sliding_windows(
    recordings, 1000, 0.04, 0.04, labels=data.target, meta=data.meta
)
names = np.array(data.target_names)
session, repetition = meta["session"].to_numpy(), meta["repetition"].to_numpy()
repairs = {}
for number in (0, 1):
    rows = session == number
    repairs[number] = GridRepair(data.grid).fit(X[rows])
    print(f"session {number}: bad electrodes {repairs[number].bad_channels_.tolist()}")

# %%
# Maps of activity
# ----------------
#
# What is crossed out was bad and is filled in from its neighbours for the network.

figure, axes = plt.subplots(1, 4, figsize=(12, 5.5), layout="constrained")
for gesture, ax in zip((1, 2, 3, 4), axes, strict=True):
    rows = (session == 0) & (y == gesture)
    GridDisplay.from_estimator(
        repairs[0], X[rows], unit=data.unit, numbers=gesture == 1, ax=ax
    )
    ax.set_title(names[gesture])
show("maps")
for number, repair in repairs.items():
    X[session == number] = repair.transform(X[session == number])

# %%
# One repetition to learn from
# ----------------------------
#
# Trained on the first repetition of session 0. Beside single samples stand votes of the
# last n within a recording, which never reach into the next one.

first = (session == 0) & (repetition == 0)
model = AllConvNetClassifier(
    data.grid, frames_per_window=20, max_epochs=options.epochs, random_state=0
)
model.fit(X[first], y[first])
n_parameters = sum(p.numel() for p in model.module_.parameters())
print(f"{n_parameters:,} parameters, trained on {20 * first.sum():,} images")

VOTES = (1, 10, 40, 150)


def scores(model, rows):
    """Return the accuracy of single samples and of votes."""
    labels = model.predict_frames(X[rows])
    truth = np.repeat(y[rows], labels.shape[1])
    of = np.repeat(meta["recording"].to_numpy()[rows], labels.shape[1])
    return [np.mean(majority_vote(labels.ravel(), of, n) == truth) for n in VOTES]


results = {
    "other repetition of the same session": scores(
        model, (session == 0) & (repetition == 1)
    ),
    "next session, as it is": scores(model, (session == 1) & (repetition == 1)),
}

# %%
# Calibration for the next session
# --------------------------------
#
# ``partial_fit`` goes on from the trained network with the first repetition of session
# 1. At first three of the five gestures are shown. The outputs of the other two then
# stay out of the loss, and a lower rate leaves in place what the network knows of them.

rate = model.lr
shown = (session == 1) & (repetition == 0) & np.isin(y, [0, 1, 2])
model.set_params(lr=rate / 4).partial_fit(X[shown], y[shown])
results["next session, three gestures shown"] = scores(
    model, (session == 1) & (repetition == 1)
)
everything = (session == 1) & (repetition == 0)
model.set_params(lr=rate).partial_fit(X[everything], y[everything])
results["next session, all gestures shown"] = scores(
    model, (session == 1) & (repetition == 1)
)

# Two repetitions of one person are few: another random_state of the simulator gives
# other figures, and sometimes another order of the rows.

print("accuracy with votes of".ljust(40), *(f"{n:>6}" for n in VOTES))
for name, values in results.items():
    print(name.ljust(40), *(f"{value:6.3f}" for value in values))

figure, ax = plt.subplots(figsize=(7, 4), layout="constrained")
for name, values in results.items():
    ax.plot(range(len(VOTES)), values, marker="o", label=name)
ax.set_xticks(range(len(VOTES)), VOTES)
ax.set_xlabel("samples that vote (1 ms each)")
ax.set_ylabel("accuracy")
ax.legend(frameon=False)
show("votes")

# %%
# The grid over time
# ------------------
#
# ``GridDisplay.animate`` shows how the activity grows and moves; ``animation.save``
# writes it to a file.

display = GridDisplay.from_recording(
    recordings[1], data.grid, 1000, step=0.05, unit=data.unit, numbers=False
)
animation = display.animate(interval=100)
show("first_step")
