"""Cutting recordings into windows, with labels and a record of where each lay."""

import warnings
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from .._validation import check_choice, check_number, check_recording
from ..exceptions import WindowsError
from ._orientation import orientation_hint

__all__ = ["sliding_windows"]

CLASS_LABELS = ("majority", "pure", "first")
TARGETS = ("last", "mean", "sequence")
META_COLUMNS = ("recording", "subject", "session", "repetition")


def sliding_windows(
    recording, sfreq, window, step, labels=None, label="majority", meta=None
):
    """Cut one or several recordings into windows.

    Windows start at the first sample and follow each other at `step`; a rest
    shorter than `window` at the end is left out. No window reaches from one
    recording into the next.

    Parameters
    ----------
    recording : array-like of shape (n_channels, n_times), or a sequence of them
        One recording or several with the same number of channels and any
        lengths. Not modified.
    sfreq : float
        Sampling rate in Hz.
    window : float
        Length of a window in seconds (0.2 for 200 ms), taken to the nearest
        whole number of samples.
    step : float
        Time from one window's start to the next in seconds, likewise. Beyond
        `window` the samples between windows are lost.
    labels : scalar, array-like of shape (n_times,) or (n_times, k), or None, \
            default=None
        Label of the recording, or of every sample. For several recordings a
        sequence with one of these for each recording.
    label : {"majority", "pure", "first", "last", "mean", "sequence"}, \
            default="majority"
        How labels of samples become the window's: the most frequent one (of
        equals the first in sorted order); the only one, leaving out windows
        that hold several; that of the first or the last sample; the mean over
        the window; or all samples as they are. The last three are for targets
        of a regression, of which there may be several at each sample.
    meta : mapping, DataFrame or None, default=None
        What is known of the recording: usually ``subject``, ``session``,
        ``repetition``, and any other columns. For several recordings a data
        frame (or a list of mappings) with one row for each.

    Returns
    -------
    X : ndarray of shape (n_windows, n_channels, n_times)
        A fresh array, filled straight from the recordings without copies in
        between; float32 if these are float32 or small integers.
    y : ndarray of shape (n_windows,), (n_windows, k) or \
            (n_windows, n_times, k), or None
        None without `labels`. The second form is that of "last" and "mean" with k
        targets, the third that of "sequence" (k = 1 for one target).
    meta : DataFrame of n_windows rows
        Columns ``recording`` (from `meta`, else the position in the sequence),
        ``subject``, ``session``, ``repetition`` (missing values where `meta` does
        not know them), ``onset`` (start of the window in its recording, in seconds),
        then the others of `meta`.

    Raises
    ------
    WindowsError
        If a recording has the wrong shape or is not finite, the channels differ,
        no recording is as long as a window, or "pure" leaves no window.
    ValueError
        If `labels` or `meta` do not fit the recordings.

    Warns
    -----
    UserWarning
        If some of several recordings are shorter than a window, `step` is longer
        than `window`, or a recording has more channels than samples and is
        therefore probably transposed.

    Notes
    -----
    Overlapping windows share samples. Cross-validate with groups: all windows
    of a recording, repetition or subject on the same side of every split.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import sliding_windows
    >>> recordings = [np.zeros((8, 500), "float32"), np.ones((8, 400), "float32")]
    >>> X, y, meta = sliding_windows(
    ...     recordings, sfreq=1000, window=0.2, step=0.1,
    ...     labels=["rest", "fist"], meta={"subject": ["ann", "bob"]},
    ... )
    >>> X.shape, y.tolist()
    ((7, 8, 200), ['rest', 'rest', 'rest', 'rest', 'fist', 'fist', 'fist'])
    >>> meta["subject"].tolist() == ["ann"] * 4 + ["bob"] * 3
    True
    """
    check_number("sfreq", sfreq, minimum=0, include_minimum=False)
    n_times = _count_samples("window", window, sfreq)
    n_step = _count_samples("step", step, sfreq)
    check_choice("label", label, CLASS_LABELS + TARGETS)
    several = _is_several(recording)
    recordings = _check_recordings(recording if several else [recording], several)
    labels = _one_per_recording(labels, len(recordings), several)
    table = _meta_table(meta, len(recordings), several)

    hint = _first_hint(recordings, several)
    starts, targets, n_short = [], [], 0
    for i, item in enumerate(recordings):
        start = np.arange(0, item.shape[1] - n_times + 1, n_step)
        n_short += len(start) == 0
        if labels is not None:
            name = f"labels[{i}]" if several else "labels"
            samples = _check_labels(name, labels[i], item.shape[1], label, hint)
            start, target = _label_windows(samples, start, n_times, label)
            targets.append(target)
        starts.append(start)
    if n_short == len(recordings):
        longest = max(item.shape[1] for item in recordings)
        raise WindowsError(
            f"window={window:g} s is {n_times} samples at sfreq={sfreq:g} Hz, but the "
            f"longest recording has {longest} samples ({longest / sfreq:g} s); pass a "
            f"shorter window, in seconds{_milliseconds(window)}.{hint}"
        )
    if hint:
        warnings.warn(hint.strip(), UserWarning, stacklevel=2)
    if n_step > n_times:
        warnings.warn(
            f"step={step:g} s is longer than window={window:g} s: the samples between "
            "windows are left out. Both are in seconds"
            f"{_milliseconds(step)}.",
            UserWarning,
            stacklevel=2,
        )
    if n_short:
        warnings.warn(
            f"{n_short} of {len(recordings)} recordings are shorter than "
            f"window={window:g} s and give no window.",
            UserWarning,
            stacklevel=2,
        )
    counts = np.array([len(start) for start in starts])
    if not counts.any():
        raise WindowsError(
            'label="pure" leaves no window: every window holds several labels. Pass a '
            'shorter window or label="majority".'
        )

    X = _copy_windows(recordings, starts, counts, n_times, n_step)
    y = None
    if labels is not None:
        y = np.concatenate([t for t, n in zip(targets, counts, strict=True) if n])
    table = table.iloc[np.repeat(np.arange(len(counts)), counts)]
    table = table.reset_index(drop=True)
    table.insert(len(META_COLUMNS), "onset", np.concatenate(starts) / sfreq)
    return X, y, table


def _milliseconds(seconds):
    """Return the advice for lengths that look like milliseconds, else ""."""
    return f"; for {seconds:g} ms pass {seconds / 1000:g}" if seconds >= 10 else ""


def _first_hint(recordings, several):
    """Return the hint for the first recording that looks transposed, else ""."""
    for i, item in enumerate(recordings):
        hint = orientation_hint(_name_of(i, several), item.shape)
        if hint:
            return f" {hint}"
    return ""


def _name_of(i, several):
    return f"recording[{i}]" if several else "recording"


def _count_samples(name, seconds, sfreq):
    check_number(name, seconds, minimum=0, include_minimum=False)
    n_samples = round(seconds * sfreq)
    if n_samples < 1:
        raise ValueError(
            f"{name}={seconds:g} s is less than one sample at sfreq={sfreq:g} Hz; pass "
            f"at least {1 / sfreq:g} s."
        )
    return n_samples


def _is_several(recording):
    """Tell a sequence of recordings from one recording given as nested lists."""
    if isinstance(recording, np.ndarray):
        return recording.ndim == 3 or recording.dtype == object
    if isinstance(recording, Sequence):
        return len(recording) == 0 or np.ndim(recording[0]) == 2
    return False


def _check_recordings(recordings, several):
    if len(recordings) == 0:
        raise WindowsError("recording is an empty sequence; pass at least one.")
    arrays = [np.asarray(item) for item in recordings]
    dtype = np.result_type(np.float32, *[array.dtype for array in arrays])
    dtype = np.float32 if dtype == np.float32 else np.float64
    checked = []
    for i, array in enumerate(arrays):
        name = _name_of(i, several)
        # Floats are compared and copied as they are; the result has one type.
        keep = array.dtype in (np.float32, np.float64)
        checked.append(check_recording(array, name=name, dtype=None if keep else dtype))
        if checked[-1].shape[0] != checked[0].shape[0]:
            raise WindowsError(
                f"{name} has {checked[-1].shape[0]} channels, but recording[0] has "
                f"{checked[0].shape[0]}; bring them to the same channels first."
                f"{_first_hint(checked, several)}"
            )
    return checked


def _one_per_recording(labels, n_recordings, several):
    if labels is None:
        return None
    if not several:
        return [labels]
    single = isinstance(labels, (str, bytes)) or not isinstance(labels, Iterable)
    if single or getattr(labels, "ndim", 1) == 0:
        raise ValueError(
            f"labels={labels!r} is one label, but recording is a sequence; pass a "
            f"sequence of {n_recordings} labels, one for each recording."
        )
    labels = list(labels)
    if len(labels) != n_recordings:
        raise ValueError(
            f"labels has {len(labels)} entries, but there are {n_recordings} "
            "recordings; pass one label, or one array of labels, for each."
        )
    return labels


def _check_labels(name, labels, n_samples, label, hint):
    samples = np.asarray(labels)
    if label in ("mean", "sequence") and not (
        np.issubdtype(samples.dtype, np.number) or samples.dtype == bool
    ):
        raise ValueError(
            f"{name} is of type {samples.dtype}, but label={label!r} needs numbers; "
            "pass label='majority', 'pure' or 'first' for classes."
        )
    if samples.ndim == 0:
        if label == "sequence":
            raise ValueError(
                f"{name} is a single label, but label='sequence' needs one for every "
                "sample; pass an array or another value of label."
            )
        return samples
    if len(samples) != n_samples:
        raise ValueError(
            f"{name} has {len(samples)} entries, but the recording has {n_samples} "
            "samples; pass one label for each sample or one for the whole recording."
            f"{hint}"
        )
    if samples.ndim > 2 or (samples.ndim == 2 and label in CLASS_LABELS):
        raise ValueError(
            f"{name} has shape {samples.shape}, which label={label!r} cannot use; "
            "pass label='sequence', 'mean' or 'last' for several targets at each "
            "sample."
        )
    if (
        label in ("majority", "pure")
        and np.issubdtype(samples.dtype, np.floating)
        and (samples % 1 != 0).any()
    ):
        raise ValueError(
            f"{name} holds fractions, which label={label!r} would take for classes; "
            "pass label='sequence', 'mean' or 'last' for a regression, or whole "
            "numbers for classes."
        )
    return samples


def _label_windows(samples, starts, n_times, label):
    """Return the starts of the windows kept and their labels."""
    if samples.ndim == 0:
        return starts, np.full(len(starts), samples)
    if label == "first":
        return starts, samples[starts]
    if label == "last":
        return starts, samples[starts + n_times - 1]
    if len(starts) == 0:
        return starts, samples[:0]
    if label == "sequence":
        columns = samples.reshape(len(samples), -1)
        windows = sliding_window_view(columns, n_times, axis=0)[starts]
        return starts, np.ascontiguousarray(windows.swapaxes(1, 2))
    if label == "mean":
        # Window by window: differences of a running sum would lose digits.
        dtype = np.result_type(samples.dtype, np.float32)
        means = np.empty((len(starts), *samples.shape[1:]), dtype)
        for i, start in enumerate(starts):
            means[i] = samples[start : start + n_times].mean(axis=0)
        return starts, means
    if label == "pure":
        changes = np.concatenate([[0], np.cumsum(samples[1:] != samples[:-1])])
        pure = changes[starts + n_times - 1] == changes[starts]
        return starts[pure], samples[starts[pure]]
    return starts, _majority(samples, starts, n_times)


def _majority(samples, starts, n_times):
    classes, codes = np.unique(samples, return_inverse=True)
    best_count = np.zeros(len(starts), int)
    best = np.zeros(len(starts), int)
    # One class after the other, so that memory does not grow with their number.
    for code in range(len(classes)):
        running = np.concatenate([[0], np.cumsum(codes == code)])
        count = running[starts + n_times] - running[starts]
        better = count > best_count
        best[better] = code
        best_count[better] = count[better]
    return classes[best]


def _meta_table(meta, n_recordings, several):
    """Return a data frame with one row a recording and the standard columns first."""
    import pandas as pd

    index = range(n_recordings)
    if meta is None:
        table = pd.DataFrame(index=index)
    elif isinstance(meta, pd.DataFrame):
        table = meta.reset_index(drop=True)
    elif isinstance(meta, Mapping):
        table = pd.DataFrame(meta, index=index) if several else pd.DataFrame([meta])
    else:
        table = pd.DataFrame(list(meta))
    if len(table) != n_recordings:
        raise ValueError(
            f"meta has {len(table)} rows, but there are {n_recordings} recordings; "
            "pass one row for each."
        )
    if "onset" in table.columns:
        raise ValueError(
            "meta has a column 'onset', which sliding_windows writes itself; rename "
            "or drop it."
        )
    standard = {}
    for name in META_COLUMNS:
        if name in table.columns:
            standard[name] = table[name]
        else:
            standard[name] = list(index) if name == "recording" else np.nan
    others = [name for name in table.columns if name not in META_COLUMNS]
    return pd.concat([pd.DataFrame(standard, index=index), table[others]], axis=1)


def _copy_windows(recordings, starts, counts, n_times, n_step):
    """Fill one array from strided views of the recordings."""
    dtype = np.result_type(*[item.dtype for item in recordings])
    X = np.empty((counts.sum(), recordings[0].shape[0], n_times), dtype)
    filled = 0
    for item, start in zip(recordings, starts, strict=True):
        if len(start) == 0:
            continue
        view = sliding_window_view(item, n_times, axis=1)[:, ::n_step]
        # Runs of neighbours, because windows may have been left out in between.
        positions = start // n_step
        runs = np.split(positions, np.flatnonzero(np.diff(positions) > 1) + 1)
        for run in runs:
            windows = view[:, run[0] : run[-1] + 1].swapaxes(0, 1)
            X[filled : filled + len(run)] = windows
            filled += len(run)
    return X
