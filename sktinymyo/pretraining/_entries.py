"""What is known of one recording in a file, and checks that all formats share."""

import fnmatch
import math
import numbers
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..exceptions import WindowsError

__all__ = [
    "FACTS",
    "ORIENTATIONS",
    "Entry",
    "check_array",
    "is_wanted",
    "make_entry",
    "stamp_of",
]

ORIENTATIONS = ("channels-first", "times-first")
# What files may say of their recordings, as attributes or arrays of these names.
FACTS = ("orientation", "sfreq", "label", "group")
# The numbers of channels of all recordings are kept in four bytes each.
MOST_CHANNELS = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording of a file.

    Attributes
    ----------
    path : Path
        File with the samples: that of the user, or the one unpacked from it.
    key : str
        Name of the array in the file of the user.
    n_channels, n_times : int
        Size of the recording.
    dtype : dtype
        Type of the samples.
    times_first : bool
        Whether the samples of one moment lie together.
    offset : int or None
        Where in `path` the samples begin; None if HDF5 has to be asked.
    chunk : tuple of int or None
        Channels and samples of a chunk, where HDF5 stores chunks.
    facts : dict
        ``sfreq``, ``label``, ``group`` where the file states them.
    """

    path: Path
    key: str
    n_channels: int
    n_times: int
    dtype: np.dtype
    times_first: bool
    offset: int | None
    chunk: tuple | None
    facts: dict


def stamp_of(path):
    """Return size and time of change of a file, to notice that it is another."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def make_entry(path, key, shape, dtype, source, offset, chunk=None, **facts):
    """Build an entry from the shape as stored, once `facts` are checked."""
    place = f"{path}" + (f", recording {key!r}" if key else "")
    orientation = facts.pop("orientation")
    if orientation not in ORIENTATIONS:
        raise WindowsError(
            f"{place}: orientation={orientation!r} is not accepted; it must be one of "
            f"{', '.join(map(repr, ORIENTATIONS))}."
        )
    times_first = orientation == "times-first"
    n_channels, n_times = shape[::-1] if times_first else shape
    if 0 in shape:
        raise WindowsError(
            f"{place} has the shape {tuple(shape)}: no channel or no sample; leave it "
            "out."
        )
    if n_channels > MOST_CHANNELS:
        raise WindowsError(
            f"{place} has {n_channels} channels in shape {tuple(shape)}; if it is the "
            "other way round, pass orientation='times-first'."
        )
    facts = {name: _checked_fact(place, name, value) for name, value in facts.items()}
    if chunk is not None and times_first:
        chunk = chunk[::-1]
    return Entry(
        source, key, n_channels, n_times, dtype, times_first, offset, chunk, facts
    )


def _checked_fact(place, name, value):
    """Return a rate, a label or a group as a plain value."""
    if value is None:
        return None
    if isinstance(value, bytes):
        value = value.decode()
    if name == "sfreq":
        number = isinstance(value, numbers.Real) and not isinstance(value, bool)
        if not (number and math.isfinite(value) and value > 0):
            raise WindowsError(
                f"{place}: sfreq={value!r} must be a positive number of Hz."
            )
    elif not isinstance(value, (str, numbers.Real)):
        raise WindowsError(
            f"{place}: {name}={value!r} of type {type(value).__name__} must be a text "
            "or a real number."
        )
    return value


def is_wanted(key, datasets):
    """Whether the full or the last part of a name fits one of the patterns."""
    return datasets is None or any(
        fnmatch.fnmatchcase(name, pattern)
        for pattern in datasets
        for name in (key, key.rsplit("/", 1)[-1])
    )


def check_array(place, shape, dtype, n_bytes):
    """Refuse a header that does not go with the bytes that follow it."""
    if any(size < 0 for size in shape) or math.prod(shape) * dtype.itemsize > n_bytes:
        raise WindowsError(
            f"{place} is damaged or incomplete: its header announces {dtype} of shape "
            f"{shape}, but {n_bytes} bytes follow."
        )
