"""Windows, splits and pipelines of the deployment benchmark."""

import functools
import time
from dataclasses import dataclass
from pathlib import Path

from _common import thin
from methods import classifier

WINDOW, STEP = 1.0, 0.25
# The recipe of recipes.py; the number of epochs keeps a run below ten minutes.
TUNING = {"lr": 5e-4, "layer_decay": 0.7, "head_start": "logistic", "max_epochs": 4}
CALIBRATION_WINDOWS = 250


@dataclass(frozen=True, eq=False)
class Case:
    """A shape of windows, and recordings of that shape.

    Parameters
    ----------
    recordings : str or None
        Packed set; None is the simulator.
    part : int or None
        Part of the set.
    electrodes : tuple of int or None
        Which of them are used; None is all.
    people : tuple of int or None
        Which persons are used; None is all.
    unseen : bool
        Test on persons that no training saw (GroupKFold with five folds); else on
        later repetitions of the same persons (session 0 -> 1).
    h_freq : float
        Upper edge of the filter in Hz.
    most_train, most_test : int
        Evenly spread windows on either side.
    folds : dict of str to int
        How many folds of each kind of weights are computed.
    """

    recordings: str | None
    part: int | None
    electrodes: tuple | None
    people: tuple | None
    unseen: bool
    h_freq: float
    most_train: int
    most_test: int
    folds: dict


LARGE, SMALL = "default", "tinymyo-open-small"
CASES = {
    "8x200": Case(
        recordings="cote_allard_myo",
        part=0,
        electrodes=None,
        people=None,
        unseen=True,
        h_freq=90,
        most_train=1200,
        most_test=1000,
        folds={SMALL: 5, LARGE: 2},
    ),
    # Without two electrodes that lie opposite to each other in the ring of ten.
    "8x1000": Case(
        recordings="3dc_q4",
        part=None,
        electrodes=(0, 1, 2, 3, 5, 6, 7, 8),
        people=(4, 11, 18),
        unseen=False,
        h_freq=450,
        most_train=500,
        most_test=600,
        folds={LARGE: 1},
    ),
    # The second column of the grid of 16 x 4.
    "16x1000": Case(
        recordings="flexemg_hd64_demo",
        part=None,
        electrodes=tuple(range(1, 64, 4)),
        people=None,
        unseen=False,
        h_freq=450,
        most_train=200,
        most_test=300,
        folds={LARGE: 1},
    ),
}
QUICK = {
    "2x100": Case(
        recordings=None,
        part=None,
        electrodes=(0, 4),
        people=None,
        unseen=False,
        h_freq=90,
        most_train=40,
        most_test=40,
        folds={"random": 1},
    )
}


@dataclass(frozen=True)
class Task:
    """A network on one split.

    Parameters
    ----------
    name : str
        Of the case, channels x samples.
    case : Case
        The case.
    weights : str
        What the network starts from.
    fold : int
        Number of the split, and seed of the tuning.
    """

    name: str
    case: Case
    weights: str
    fold: int

    @property
    def key(self):
        """What names the task in the results."""
        return {
            "case": self.name,
            "set": self.case.recordings or "simulator",
            "weights": self.weights,
            "fold": self.fold,
            "most_windows": [self.case.most_train, self.case.most_test],
            "tuning": TUNING,
        }


@dataclass(frozen=True)
class Sides:
    """Windows and labels on both sides of a split, and some of the training side."""

    X: object
    y: object
    X_test: object
    y_test: object
    X_calib: object
    y_calib: object


def tasks_of(cases, *, first=False):
    """List the tasks of cases; with `first` those of the first fold alone."""
    return [
        Task(name, case, weights, fold)
        for name, case in cases.items()
        for weights, n_folds in case.folds.items()
        for fold in range(1 if first else n_folds)
    ]


@functools.lru_cache(maxsize=1)
def load_windows(case, folder):
    """Return windows, labels, meta and rate of a case."""
    import numpy as np

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed, make_gestures

    if case.recordings is None:
        bunch = make_gestures(n_subjects=1, n_gestures=3, random_state=0)
        bunch.meta["session"] = (bunch.meta["repetition"] >= 2).astype(int)
        window, step = 0.5, 0.5
    else:
        bunch = load_packed(case.recordings, folder, part=case.part)
        window, step = WINDOW, STEP
    rows = np.arange(len(bunch.recordings))
    if case.people is not None:
        rows = np.flatnonzero(bunch.meta["subject"].isin(case.people))
    electrodes = slice(None) if case.electrodes is None else list(case.electrodes)
    X, y, meta = sliding_windows(
        [bunch.recordings[row][electrodes] for row in rows],
        bunch.sfreq,
        window,
        step,
        labels=[bunch.target[row] for row in rows],
        meta=bunch.meta.iloc[rows],
    )
    return X, y, meta, float(bunch.sfreq)


def sides_of(task, folder):
    """Return both sides of the split of a task; no recording is on both."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    from sktinymyo.model_selection import check_no_overlap

    X, y, meta, _ = load_windows(task.case, folder)
    if task.case.unseen:
        subjects = meta["subject"].to_numpy()
        train, test = list(GroupKFold(5).split(X, groups=subjects))[task.fold]
    else:
        early = (meta["session"] == 0).to_numpy()
        train, test = np.flatnonzero(early), np.flatnonzero(~early)
    check_no_overlap(train, test, meta)
    train = train[thin(meta.iloc[train], task.case.most_train)]
    test = test[thin(meta.iloc[test], task.case.most_test)]
    calib = train[thin(meta.iloc[train], CALIBRATION_WINDOWS)]
    return Sides(X[train], y[train], X[test], y[test], X[calib], y[calib])


def pipelines(task, folder):
    """Return the unfitted pipelines of the network and of LDA on features."""
    from sklearn.pipeline import make_pipeline

    from sktinymyo import EMGFilter, TinyMyoClassifier

    sfreq = load_windows(task.case, folder)[-1]
    # Causal, as on a device; a filter of zero phase needs samples of the future.
    band = EMGFilter(sfreq=sfreq, l_freq=20, h_freq=task.case.h_freq, phase="causal")
    options = {"size": "nano"} if task.weights == "random" else {}
    network = TinyMyoClassifier(
        task.weights,
        sfreq=sfreq,
        tune="all",
        device="cpu",
        random_state=task.fold,
        **TUNING,
        **options,
    )
    return make_pipeline(band, network), make_pipeline(band, classifier("lda"))


def tuned(task, sides, options):
    """Return the fitted pipeline and the seconds that it took; kept in --models."""
    import joblib

    pipeline, _ = pipelines(task, options.data)
    path = None
    if options.models is not None:
        digest = joblib.hash((task.key, sides.X, sides.y))[:12]
        name = f"{task.name}-{task.weights}-{task.fold}-{digest}.joblib"
        path = Path(options.models) / name
        if path.exists():
            return joblib.load(path)
    started = time.perf_counter()
    pipeline.fit(sides.X, sides.y)
    result = pipeline, time.perf_counter() - started
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".part")
        joblib.dump(result, draft)
        draft.replace(path)
    return result
