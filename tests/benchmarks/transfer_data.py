"""Sets, splits and scaling of the transfer benchmark.

The protocols and what their splits are:

within       a model per person; 3dc cycles 0-3 -> 4-7, cote first round -> the two
             others, ciil 1 s per gesture -> 15 repetitions
few-labels   a model per person from 1, 2 or 4 repetitions of every gesture; draw d
             takes repetitions d, d+1, ... of the pool, beginning again after its
             last one. Pool -> test: 3dc cycles 0-3 -> 4-7, cote first round -> the
             two others, ciil the five repetitions of trials 1 and 2 -> the others
people       GroupKFold with five folds over the persons
calibration  the same folds; of every unseen person one repetition of each gesture
             of the first session is known (draw d: repetition d), and the other
             sessions are the test
shift        ciil-shift: a model per person, before -> after the electrodes moved;
             multiday: one person, days 1 and 6 -> days 61 to 121
"""

import functools
from dataclasses import dataclass, field

SETS = {
    "3dc": {"name": "3dc_q4", "part": None, "network_sfreq": 500.0},
    "cote": {"name": "cote_allard_myo", "part": 0, "network_sfreq": None},
    "ciil": {"name": "ciil", "part": 0, "network_sfreq": None},
    "ciil-shift": {"name": "ciil", "part": 1, "network_sfreq": None},
    "multiday": {
        "name": "multiday_1024hz_25days",
        "part": None,
        "network_sfreq": 500.0,
    },
}
WINDOW, STEP = 0.2, 0.1
# Sessions of the training side, and of the test side (None: all others).
SESSIONS = {
    ("3dc", "within"): ([0], None),
    ("cote", "within"): ([0], None),
    ("ciil", "within"): ([0], None),
    ("3dc", "few-labels"): ([0], None),
    ("cote", "few-labels"): ([0], None),
    ("ciil", "few-labels"): ([1, 2], [3, 4, 5, 6, 7]),
    ("3dc", "calibration"): ([0], None),
    ("cote", "calibration"): ([0], None),
    ("ciil-shift", "shift"): ([0], None),
    ("multiday", "shift"): ([1, 6], list(range(61, 122, 5))),
}
REPETITIONS = (1, 2, 4)
N_DRAWS = 3
# Repetitions that calibration tries, each of them alone.
N_KNOWN = 1
FORMS = ("raw", "person")
# Persons, and the most windows on each side of a split, that networks see.
REDUCED = {
    ("3dc", "within"): {"people": 6, "train": 800, "test": 800},
    ("cote", "within"): {"people": None, "train": None, "test": 1400},
    ("ciil", "within"): {"people": None, "train": None, "test": 1500},
    ("3dc", "few-labels"): {"people": 4, "train": 1100, "test": 800},
    ("cote", "few-labels"): {"people": 4, "train": 1400, "test": 800},
    ("ciil", "few-labels"): {"people": 4, "train": None, "test": 800},
    ("3dc", "people"): {"people": None, "train": 6000, "test": 3000},
    ("cote", "people"): {"people": None, "train": 6000, "test": 3000},
    ("ciil", "people"): {"people": None, "train": 6000, "test": 3000},
    ("3dc", "calibration"): {"people": None, "train": 6000, "test": 3000},
    ("cote", "calibration"): {"people": None, "train": 6000, "test": 3000},
    ("ciil-shift", "shift"): {"people": 6, "train": None, "test": 800},
    ("multiday", "shift"): {"people": None, "train": None, "test": 3000},
}


@dataclass(frozen=True)
class Split:
    """Windows of one person or fold, as row numbers.

    Parameters
    ----------
    unit : int
        The person, or the number of the fold.
    train, test : ndarray of int
        Rows of either side.
    draws : dict
        Of "calibration": person -> one array of known rows for every draw.
    """

    unit: int
    train: object
    test: object
    draws: dict = field(default_factory=dict)


@functools.lru_cache(maxsize=2)
def load_windows(name, folder, sfreq=None, window=WINDOW):
    """Return windows, labels and meta of a set.

    Parameters
    ----------
    name : str
        One of SETS.
    folder : str or None
        Where the packed sets lie; None reads SKTINYMYO_DATA.
    sfreq : float or None, default=None
        Rate in Hz to resample the recordings to; None leaves them.
    window : float, default=0.2
        Length of the windows in s.

    Returns
    -------
    X : ndarray of float32, shape (n_windows, n_channels, n_times)
    y : ndarray of int, shape (n_windows,)
    meta : pandas.DataFrame
        One row per window.
    """
    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed
    from sktinymyo.signal import resample

    facts = SETS[name]
    bunch = load_packed(facts["name"], folder, part=facts["part"])
    recordings = bunch.recordings
    if sfreq is not None and sfreq != bunch.sfreq:
        recordings = [resample(record, bunch.sfreq, sfreq) for record in recordings]
    return sliding_windows(
        recordings,
        sfreq or bunch.sfreq,
        window,
        STEP,
        labels=bunch.target,
        meta=bunch.meta,
    )


def splits_of(name, protocol, meta, *, repetitions=None, draw=0):
    """List the splits of a protocol; no recording is on both sides.

    Parameters
    ----------
    name, protocol : str
        A pair of REDUCED.
    meta : pandas.DataFrame
        One row per window.
    repetitions, draw : int
        Of "few-labels": how many repetitions, and where they begin.

    Returns
    -------
    splits : list of Split
    """
    from sktinymyo.model_selection import check_no_overlap

    if protocol in ("people", "calibration"):
        splits = _folds(meta)
        if protocol == "calibration":
            splits = [_with_known(split, name, meta) for split in splits]
    else:
        splits = _persons(name, protocol, meta, repetitions, draw)
    for split in splits:
        check_no_overlap(split.train, split.test, meta)
    return splits


def _folds(meta):
    from sklearn.model_selection import GroupKFold

    subjects = meta["subject"].to_numpy()
    splits = GroupKFold(5).split(subjects, groups=subjects)
    return [Split(fold, train, test) for fold, (train, test) in enumerate(splits)]


def _persons(name, protocol, meta, repetitions, draw):
    import numpy as np

    before, after = SESSIONS[name, protocol]
    session = meta["session"].to_numpy()
    training = np.isin(session, before)
    test = ~training if after is None else np.isin(session, after)
    if repetitions is not None:
        training &= _drawn(meta, before, repetitions, draw)
    subjects = meta["subject"].to_numpy()
    return [
        Split(
            int(subject),
            np.flatnonzero(training & (subjects == subject)),
            np.flatnonzero(test & (subjects == subject)),
        )
        for subject in np.unique(subjects)
    ]


def n_draws(name, meta, repetitions):
    """Return how often "few-labels" draws; once if it takes the whole pool.

    Parameters
    ----------
    name : str
        One of SETS.
    meta : pandas.DataFrame
        One row per window.
    repetitions : int
        How many are drawn.

    Returns
    -------
    n : int
    """
    sessions, _ = SESSIONS[name, "few-labels"]
    return 1 if repetitions >= len(_pool(meta, sessions)) else N_DRAWS


def _pool(meta, sessions):
    """List the repetitions, as (session, repetition), to draw from."""
    mine = meta[meta["session"].isin(sessions)]
    names = mine[["session", "repetition"]].drop_duplicates()
    return sorted(names.itertuples(index=False, name=None))


def _drawn(meta, sessions, n, draw):
    """Mark the windows of the n repetitions of the pool that begin with `draw`."""
    pool = _pool(meta, sessions)
    wanted = {pool[(draw + k) % len(pool)] for k in range(n)}
    pairs = zip(meta["session"], meta["repetition"], strict=True)
    return [pair in wanted for pair in pairs]


def _with_known(split, name, meta):
    """Take the first session of the test side as source of known repetitions."""
    import numpy as np

    pool, _ = SESSIONS[name, "calibration"]
    mine = meta.iloc[split.test]
    first = mine["session"].isin(pool).to_numpy()
    draws = {}
    for subject in np.unique(mine["subject"]):
        person = first & (mine["subject"] == subject).to_numpy()
        draws[int(subject)] = [
            split.test[person & (mine["repetition"] == draw).to_numpy()]
            for draw in range(N_KNOWN)
        ]
    return Split(split.unit, split.train, split.test[~first], draws)


def spread_persons(splits, n_people):
    """Return evenly spread persons; all if None."""
    if n_people is None or n_people >= len(splits):
        return splits
    return [
        splits[(2 * i + 1) * len(splits) // (2 * n_people)] for i in range(n_people)
    ]


def scale_groups(X, rows, groups, statistics=None):
    """Scale the windows of every group by the group's own mean and spread.

    No labels are used, and nothing of one group enters another. A group is a person,
    or a person on a day, whose unlabelled windows are at hand.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, n_times)
        All windows of the set.
    rows : ndarray of int
        Windows to scale.
    groups : ndarray of shape (n_windows,)
        Group of each window.
    statistics : ndarray of int or None, default=None
        Windows to learn from; None means `rows`.

    Returns
    -------
    scaled : ndarray of shape (len(rows), n_channels, n_times)
    """
    import numpy as np

    from sktinymyo import ChannelScaler

    statistics = rows if statistics is None else statistics
    scaled = np.empty((len(rows), *X.shape[1:]), dtype=X.dtype)
    for group in np.unique(groups[rows]):
        scaler = ChannelScaler().fit(X[statistics[groups[statistics] == group]])
        mine = groups[rows] == group
        scaled[mine] = scaler.transform(X[rows[mine]])
    return scaled
