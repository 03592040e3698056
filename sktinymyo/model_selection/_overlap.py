"""Which recordings are on both sides of a split."""

import numpy as np

from .._validation import check_choice, check_number

# A recording is told apart by these columns together: numbering that starts
# again for each person or session must not look like one recording.
_IDENTITY = ("subject", "session", "recording")
_N_NAMED = 10


def _columns(names):
    """Return column names as a list, whether one was given or several."""
    return [names] if isinstance(names, str) else list(names)


def _check_meta(meta, n_windows=None, columns=()):
    """Refuse anything but a frame with one row per window and these columns."""
    if not (hasattr(meta, "columns") and hasattr(meta, "iloc")):
        raise TypeError(
            "meta must be a pandas DataFrame with one row per window, as returned by "
            f"sliding_windows; got {type(meta).__name__}."
        )
    missing = [name for name in columns if name not in meta.columns]
    if missing:
        raise ValueError(
            f"meta has no column(s) {missing}; it has {list(meta.columns)}. Pass them "
            "to sliding_windows with meta=, or name other columns."
        )
    if n_windows is not None and len(meta) != n_windows:
        raise ValueError(
            f"meta has {len(meta)} rows, but there are {n_windows} windows; pass one "
            "row per window."
        )
    return meta


def _codes(meta, columns):
    """Return the rank of each row among the distinct values of `columns`."""
    groups = meta.groupby(_columns(columns), sort=True, dropna=False)
    return groups.ngroup().to_numpy()


def _recording_codes(meta):
    """Return one number per recording, in the order of first appearance."""
    _check_meta(meta, columns=["recording"])
    columns = [name for name in _IDENTITY if name in meta.columns]
    groups = meta.groupby(columns, sort=False, dropna=False)
    return groups.ngroup().to_numpy()


def _named_subjects(meta):
    """Return True if `meta` says which person each window belongs to."""
    return "subject" in meta.columns and bool(meta["subject"].notna().all())


def _names(meta, rows):
    """Name the recordings of these rows for a message."""
    columns = [
        name for name in _IDENTITY if name in meta.columns and meta[name].notna().any()
    ]
    frame = meta.iloc[rows][columns].drop_duplicates()
    named = [
        " ".join(f"{column} {value}" for column, value in row.items())
        for _, row in frame.head(_N_NAMED).iterrows()
    ]
    more = f" and {len(frame) - _N_NAMED} more" if len(frame) > _N_NAMED else ""
    return "; ".join(named) + more


def _indices(name, indices, n_windows):
    """Validate one side of a split and return it as an integer array."""
    indices = np.asarray(indices)
    if indices.dtype == bool:
        if indices.shape != (n_windows,):
            raise ValueError(
                f"{name} is a mask of shape {indices.shape}; expected ({n_windows},)."
            )
        return np.flatnonzero(indices)
    if indices.ndim != 1 or (
        indices.size and not np.issubdtype(indices.dtype, np.integer)
    ):
        raise ValueError(
            f"{name} must be a one-dimensional array of window numbers; got shape "
            f"{indices.shape} and type {indices.dtype}."
        )
    indices = indices.astype(np.intp)
    if indices.size and not (0 <= indices.min() <= indices.max() < n_windows):
        raise ValueError(
            f"{name} names windows from {indices.min()} to {indices.max()}, but meta "
            f"has {n_windows} rows."
        )
    return indices


def _shared(codes, train, test):
    """Rows of the test side whose recording is also on the training side."""
    return test[np.isin(codes[test], codes[train])]


def _touching(codes, onset, train, test, window):
    """Test rows that share samples with a training window of their recording."""
    rows = []
    # Half a microsecond: onsets are multiples of 1 / sfreq with rounding error.
    limit = window - 5e-7
    for code in np.unique(codes[test]):
        mine = np.sort(onset[train[codes[train] == code]])
        theirs = test[codes[test] == code]
        if mine.size:
            place = np.searchsorted(mine, onset[theirs])
            before = onset[theirs] - mine[np.maximum(place - 1, 0)]
            after = mine[np.minimum(place, mine.size - 1)] - onset[theirs]
            near = np.minimum(np.abs(before), np.abs(after)) < limit
            rows.append(theirs[near])
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.intp)


def _group_values(groups, meta):
    """Resolve `groups` (columns of meta, or values) to one number per window."""
    if groups is None:
        return None
    if isinstance(groups, str):
        if groups == "recording":
            return _recording_codes(meta)
        _check_meta(meta, columns=[groups])
        return _codes(meta, groups)
    if isinstance(groups, list | tuple) and all(
        name in meta.columns for name in groups
    ):
        return _codes(meta, list(groups))
    values = np.asarray(groups)
    if values.ndim != 1 or len(values) != len(meta):
        raise ValueError(
            f"groups has shape {values.shape}; pass one value for each of the "
            f"{len(meta)} windows, or column names of meta."
        )
    return values


def check_no_overlap(train, test, meta, *, window=None, level="recording"):
    """Refuse a split that has windows of one recording on both sides.

    Parameters
    ----------
    train, test : array-like of int or of bool
        Numbers (or masks) of the windows on each side.
    meta : pandas.DataFrame
        One row per window with the column ``recording``; where ``subject`` and
        ``session`` exist, the three together tell recordings apart, so that
        numbering may start again for each person.
    window : float or None, default=None
        Length of the windows in seconds. With it (and the column ``onset``) the
        message also counts the test windows that share samples with a training
        window.
    level : {"recording", "samples"}, default="recording"
        What is refused: any recording on both sides (the default, because the
        same contraction on both sides flatters even without shared samples), or
        only windows that share samples (for a single long recording that is
        split in time; needs `window`).

    Raises
    ------
    ValueError
        If recordings (or samples) are on both sides; the message lists them.

    Examples
    --------
    >>> import pandas as pd
    >>> from sktinymyo.model_selection import check_no_overlap
    >>> meta = pd.DataFrame({"recording": [0, 0, 1, 1], "onset": [0, 0.1, 0, 0.1]})
    >>> check_no_overlap([0, 1], [2, 3], meta)
    >>> check_no_overlap([0, 2], [1, 3], meta, window=0.2)
    Traceback (most recent call last):
        ...
    ValueError: 2 recording(s) have windows in both training and test: \
recording 0; recording 1. 2 of 2 test windows share samples with a training window. \
Split by recording: GroupedByRecording(...), LeaveRepetitionsOut(...) or \
GroupKFold with the recordings as groups. Long recordings with a label per sample are \
cut into one for each repetition by sktinymyo.signal.split_recordings(...).
    """
    check_choice("level", level, ("recording", "samples"))
    check_number("window", window, minimum=0, include_minimum=False, none_allowed=True)
    _check_meta(meta)
    if level == "samples" and window is None:
        raise ValueError(
            "level='samples' needs window=, the length of the windows in seconds."
        )
    codes = _recording_codes(meta)
    train = _indices("train", train, len(meta))
    test = _indices("test", test, len(meta))
    shared = _shared(codes, train, test)
    if not shared.size:
        return
    counted = ""
    if window is not None:
        _check_meta(meta, columns=["onset"])
        onset = meta["onset"].to_numpy(dtype=float)
        touching = _touching(codes, onset, train, shared, window)
        if level == "samples":
            if not touching.size:
                return
            shared = touching
        counted = (
            f" {touching.size} of {test.size} test windows share samples with a "
            "training window."
        )
    raise ValueError(
        f"{np.unique(codes[shared]).size} recording(s) have windows in both training "
        f"and test: {_names(meta, shared)}.{counted} Split by recording: "
        "GroupedByRecording(...), LeaveRepetitionsOut(...) or GroupKFold with the "
        "recordings as groups. Long recordings with a label per sample are cut into "
        "one for each repetition by sktinymyo.signal.split_recordings(...)."
    )
