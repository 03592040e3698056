"""Recognising what X is: an array, recordings, Bunches, or files."""

import os
import warnings
from collections.abc import Mapping, Sequence

import numpy as np

from ..exceptions import WindowsError
from ._files import FileRecordings
from ._recordings import (
    ArrayRecordings,
    JoinedRecordings,
    LazyRecordings,
    ListRecordings,
    is_bunch,
    is_numeric,
    is_unknown,
    recordings_of_bunch,
)

__all__ = ["collect", "holds_windows", "warn_of_lone_files", "warn_of_recording"]

# A recording has at least so many times more samples than channels.
_LONG = 20
# Under these names files tell who was recorded, which is not read.
_PERSON = ("subject", "person", "participant", "user")


def holds_windows(X):
    """Tell an array of windows, as scikit-learn takes them, from all else.

    Paths, mappings, sequences that decode on access and one-dimensional arrays of
    objects hold recordings, as does a list of two-dimensional arrays. Nested lists
    of numbers are windows if they make one array.
    """
    if _is_column(X) or isinstance(X, (str, os.PathLike)):
        return False
    # One kind of sparse matrix of scipy is a mapping; all are refused as arrays.
    if hasattr(X, "ndim") or not isinstance(X, (Mapping, Sequence)):
        return True
    if not isinstance(X, (list, tuple)) or len(X) == 0:
        return False
    if any(isinstance(item, (str, os.PathLike, Mapping)) for item in X):
        return False
    try:
        shapes = {np.shape(item) for item in X}
    except ValueError:
        # Recordings whose rows have different lengths, which is refused later.
        return False
    nested = all(isinstance(item, (list, tuple)) for item in X)
    return len(shapes) == 1 and (nested or len(shapes.pop()) < 2)


def warn_of_recording(shape, n_times, stacklevel):
    """Warn if two-dimensional windows of one channel look like a single recording.

    Parameters
    ----------
    shape : tuple of int
        Of the array.
    n_times : int or None
        Length of the windows to be cut; None if that of the rows is taken.
    stacklevel : int
        Of the line to blame, as seen from the caller.
    """
    if shape[1] >= max(2 * (n_times or 0), _LONG * shape[0]):
        warnings.warn(
            f"X has the shape {shape} and is taken for {shape[0]} windows of one "
            "channel; pass [X] if it is one recording, or n_channels= if its windows "
            "are flattened (n_channels=1 if they have one channel).",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def warn_of_lone_files(recordings, stacklevel):
    """Warn of files that state no group and are therefore scaled one by one.

    Parameters
    ----------
    recordings : Recordings
        Those in memory are left alone: a list of long recordings needs no groups.
    stacklevel : int
        Of the line to blame, as seen from the caller.
    """
    if not isinstance(recordings, FileRecordings) or len(recordings) == 1:
        return
    groups = recordings.groups or [None] * len(recordings)
    alone = [i for i, group in enumerate(groups) if is_unknown(group)]
    if not alone:
        return
    found = [n for n in recordings.other_names(alone[0]) if n.lower() in _PERSON]
    beside = f" ({found[0]!r} in the files is not read)" if found else ""
    warnings.warn(
        f"no groups: each of {len(alone)} recordings is scaled by itself, which erases "
        "how strong it was. Save group=... in the files, one for each person and "
        f"session{beside}, or pass groups=; where every recording is a session of its "
        "own, pass scale='recording'.",
        UserWarning,
        stacklevel=stacklevel + 1,
    )


def _is_column(X):
    return isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1


def collect(X, n_times, n_channels, options):
    """Return the recordings that X stands for.

    Parameters
    ----------
    X, n_times, n_channels : object
        As in :func:`open_source`.
    options : dict
        What :class:`FileRecordings` wants to know.

    Returns
    -------
    Recordings

    Raises
    ------
    WindowsError
        If X is nothing known, or has too many channels.
    """
    if _is_column(X):
        X = X.tolist()
    recordings = _collect_recordings(X, options)
    if recordings is None:
        return _collect_array(X, n_times, n_channels)
    if n_channels is not None:
        over = np.flatnonzero(recordings.channels > n_channels)
        if len(over):
            i = int(over[0])
            raise WindowsError(
                f"{recordings.name(i)} has {recordings.channels[i]} channels, but "
                f"n_channels={n_channels} is the largest number accepted "
                f"({len(over)} of {len(recordings)} recordings have more); leave "
                "channels out (ChannelMapper), or pass a larger number or None."
            )
    return recordings


def _collect_recordings(X, options):
    """Return recordings; None if X is to be taken for an array."""
    if isinstance(X, (str, os.PathLike)):
        return FileRecordings([X], **options)
    if is_bunch(X):
        return recordings_of_bunch(X)
    if not isinstance(X, Sequence):
        return None
    if len(X) == 0:
        raise WindowsError("X is an empty list; pass at least one recording.")
    if not isinstance(X, (list, tuple)):
        return LazyRecordings(X)
    kinds = sorted({_kind_of(item) for item in X})
    if len(kinds) > 1:
        raise WindowsError(
            f"X mixes {' and '.join(kinds)}; pass a list with one kind of items."
        )
    if kinds == ["paths"]:
        return FileRecordings(X, **options)
    if kinds == ["Bunches"]:
        return JoinedRecordings(
            [recordings_of_bunch(bunch, f"X[{k}]") for k, bunch in enumerate(X)]
        )
    return None if kinds == ["rows of numbers"] else ListRecordings(X)


def _kind_of(item):
    if isinstance(item, (str, os.PathLike)):
        return "paths"
    if is_bunch(item):
        return "Bunches"
    if isinstance(item, (list, tuple)) and not any(map(_has_items, item)):
        return "rows of numbers"
    return "recordings"


def _has_items(item):
    return hasattr(item, "__len__") and np.shape(item) != ()


def _collect_array(X, n_times, n_channels):
    is_array = isinstance(getattr(X, "dtype", None), np.dtype) and hasattr(X, "shape")
    try:
        # What can be sliced like an array is read window by window.
        array = X if is_array and len(X.shape) == 3 else np.asarray(X)
    except ValueError:
        array = np.empty(0, dtype=object)
    shape = tuple(array.shape)
    if len(shape) not in (2, 3) or not is_numeric(array.dtype):
        raise WindowsError(
            "X must be an array (n_windows, n_channels, n_times), a list of recordings "
            "(n_channels, n_times), a Bunch of sktinymyo.datasets or a list of them, "
            f"or a path; got {type(X).__name__} of shape {shape} and type "
            f"{array.dtype}."
        )
    if 0 in shape:
        raise WindowsError(f"X has the shape {shape}; pass at least one sample.")
    if len(shape) == 3:
        if n_channels not in (None, shape[1]):
            raise WindowsError(
                f"X has {shape[1]} channels in shape {shape}, but "
                f"n_channels={n_channels}; pass the number of channels of the data, or "
                "None."
            )
        return ArrayRecordings(array)
    if n_channels is None:
        warn_of_recording(shape, n_times, stacklevel=4)
    n_channels = n_channels or 1
    if shape[1] % n_channels:
        raise WindowsError(
            f"X has {shape[1]} columns, which n_channels={n_channels} does not divide: "
            "flattened windows need n_channels * n_times columns."
        )
    return ArrayRecordings(array.reshape(shape[0], n_channels, -1))
