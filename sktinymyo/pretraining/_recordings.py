"""Recordings in memory or decoded on access, behind one interface."""

import threading
from collections import OrderedDict
from collections.abc import Mapping

import numpy as np

from .._torch import rounding_of
from ..exceptions import WindowsError
from ._moments import Moments, merge, moments_of

__all__ = [
    "ArrayRecordings",
    "JoinedRecordings",
    "LazyRecordings",
    "ListRecordings",
    "Recordings",
    "is_bunch",
    "is_numeric",
    "is_unknown",
    "recordings_of_bunch",
]

# Samples converted to float64 at a time while recordings are scanned: 4 MiB.
BLOCK_ELEMENTS = 1 << 19
# Decoded recordings kept between accesses to sequences that decode on access.
KEPT_BYTES = 64 << 20
# Samples at either end of a recording that enter the fingerprint.
EDGE = 32


def is_numeric(dtype):
    """Whether samples of this type are real numbers."""
    return dtype.kind in "biuf"


class Recordings:
    """What a window source needs to know of recordings, wherever they lie.

    Attributes
    ----------
    lengths, channels : ndarray of shape (n_recordings,)
        Samples and channels of each recording.
    rounding : ndarray of shape (n_recordings,)
        Relative size of differences that are rounding.
    sfreq : ndarray of shape (n_recordings,)
        Sampling rate in Hz, NaN where unknown.
    labels, groups : sequence of n_recordings, or None
        What the data say of themselves; None as an entry means unknown.
    in_memory : bool
        Whether a look at every sample costs little.
    windowed : bool
        Whether the recordings are windows cut already, so that without groups
        they are scaled together.
    """

    labels = None
    groups = None
    in_memory = True
    windowed = False

    def __len__(self):
        return len(self.lengths)

    def name(self, i):
        """Return how messages call recording `i`."""
        raise NotImplementedError

    def read(self, i, start, stop):
        """Return samples (n_channels, stop - start) of recording `i`."""
        raise NotImplementedError

    def close(self):
        """Close what is open; reading opens it again."""

    def identity(self):
        """Yield bytes that change with the data, cheaply, for a fingerprint."""
        for i in range(len(self)):
            length = int(self.lengths[i])
            yield f"{self.key(i)}|{self.channels[i]}|{length}".encode()
            for start in (0, max(0, length - EDGE)):
                edge = self.read(i, start, min(length, start + EDGE))
                yield np.ascontiguousarray(edge, dtype="<f8").tobytes()

    def key(self, i):
        """Return what identifies recording `i` on any machine."""
        return i

    def blocks(self, i):
        """Yield (rows, start, stop) of the blocks in which to scan recording `i`."""
        n_channels, length = int(self.channels[i]), int(self.lengths[i])
        size = max(1, BLOCK_ELEMENTS // n_channels)
        for start in range(0, length, size):
            yield slice(0, n_channels), start, min(length, start + size)

    def read_rows(self, i, rows, start, stop):
        """Return the samples of one block."""
        return self.read(i, start, stop)[rows]

    def moments(self, selected):
        """Yield `Moments` that cover the selected recordings once each.

        Raises
        ------
        WindowsError
            If a sample is not finite, naming recording and position.
        """
        for i in selected:
            yield self._moments_of_one(int(i))

    def _moments_of_one(self, i):
        n_channels = int(self.channels[i])
        count = np.zeros(n_channels)
        mean, squares = np.zeros(n_channels), np.zeros(n_channels)
        for rows, start, stop in self.blocks(i):
            block = np.asarray(self.read_rows(i, rows, start, stop))
            new_mean, new_squares = moments_of(block)
            if not np.isfinite(new_squares).all():
                self.refuse(i, block, rows.start, start)
            new_count = np.full(len(block), float(stop - start))
            count[rows], mean[rows], squares[rows] = merge(
                count[rows],
                mean[rows],
                squares[rows],
                new_count,
                new_mean,
                new_squares,
            )
        total = np.array([self.lengths[i]])
        return Moments(np.array([i]), total, mean[np.newaxis], squares[np.newaxis])

    def refuse(self, i, block, first_channel, first_sample):
        """Raise the error for samples that are not finite or too large."""
        with np.errstate(over="ignore"):
            finite = np.isfinite(block.astype(np.float64))
        if finite.all():
            raise WindowsError(
                f"{self.name(i)} holds values up to {np.abs(block).max():g}, too large "
                "to compute with; scale the recording down (volts or counts)."
            )
        # The first in time, which is where one would look for a gap.
        sample = int(np.flatnonzero(~finite.all(axis=0))[0])
        channel = int(np.flatnonzero(~finite[:, sample])[0])
        raise WindowsError(
            f"{self.name(i)} contains NaN or infinity, first in channel "
            f"{first_channel + channel} at sample {first_sample + sample}; interpolate "
            "these samples, or cut the recording there."
        )


class ArrayRecordings(Recordings):
    """The windows of one three-dimensional array, each a short recording."""

    windowed = True

    def __init__(self, array, name="X"):
        self._array = array
        self._name = name
        n_windows, n_channels, length = array.shape
        # Views of one number: nothing is stored per window.
        self.lengths = np.broadcast_to(np.int64(length), (n_windows,))
        self.channels = np.broadcast_to(np.int32(n_channels), (n_windows,))
        self.rounding = np.broadcast_to(rounding_of(array.dtype), (n_windows,))
        self.sfreq = np.broadcast_to(np.nan, (n_windows,))

    def name(self, i):
        return f"{self._name}[{i}]"

    def read(self, i, start, stop):
        return self._array[i, :, start:stop]

    def identity(self):
        array = self._array
        yield f"{array.shape}|{array.dtype.str}".encode()
        for sample in (0, array.shape[2] // 2, array.shape[2] - 1):
            for start in range(0, len(array), 4096):
                edge = np.asarray(array[start : start + 4096, :, sample])
                yield np.ascontiguousarray(edge, dtype="<f8").tobytes()

    def moments(self, selected):
        n_windows, n_channels, length = self._array.shape
        size = max(1, BLOCK_ELEMENTS // (n_channels * length))
        if n_channels * length > BLOCK_ELEMENTS:
            yield from super().moments(selected)
            return
        for start in range(0, n_windows, size):
            block = np.asarray(self._array[start : start + size])
            mean, squares = moments_of(block)
            if not np.isfinite(squares).all():
                row = int(np.flatnonzero(~np.isfinite(squares).all(axis=1))[0])
                self.refuse(start + row, block[row], 0, 0)
            recordings = np.arange(start, start + len(block))
            yield Moments(recordings, self.lengths[recordings], mean, squares)


class ListRecordings(Recordings):
    """Arrays (n_channels, n_times) of any lengths and numbers of channels.

    Nothing is copied: arrays are kept as given, and what can be sliced like
    an array (a memory map, a dataset of an open file) is read in slices.
    """

    def __init__(self, arrays, name="X"):
        self._name = name
        self._arrays = [as_recording(a, f"{name}[{i}]") for i, a in enumerate(arrays)]
        shapes = np.array([a.shape for a in self._arrays], dtype=np.int64)
        self.channels = shapes[:, 0].astype(np.int32)
        self.lengths = shapes[:, 1]
        self.rounding = np.array([rounding_of(a.dtype) for a in self._arrays])
        self.sfreq = np.full(len(shapes), np.nan)

    def name(self, i):
        return f"{self._name}[{i}]"

    def read(self, i, start, stop):
        return self._arrays[i][:, start:stop]


class LazyRecordings(Recordings):
    """A sequence that decodes its recordings when they are accessed.

    Each is decoded once to learn its size and its moments, and again when a
    window of it is asked for; the last ones are kept, up to 64 MiB.
    """

    def __init__(self, sequence, name="X"):
        self._sequence = sequence
        self._name = name
        self._lock = threading.Lock()
        self._kept = OrderedDict()
        self._moments, rounding = [], []
        # Lists until the last is known: each is scanned while it is decoded.
        self.channels, self.lengths = [], []
        for i in range(len(sequence)):
            array = self._decode(i)
            self.channels.append(array.shape[0])
            self.lengths.append(array.shape[1])
            rounding.append(rounding_of(array.dtype))
            self._moments.append(self._moments_of_one(i))
        self.channels = np.array(self.channels, dtype=np.int32)
        self.lengths = np.array(self.lengths, dtype=np.int64)
        self.rounding = np.array(rounding)
        self.sfreq = np.full(len(rounding), np.nan)

    def __getstate__(self):
        return {**self.__dict__, "_lock": None, "_kept": OrderedDict()}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def name(self, i):
        return f"{self._name}[{i}]"

    def read(self, i, start, stop):
        with self._lock:
            return self._decode(i)[:, start:stop]

    def moments(self, selected):
        for i in selected:
            yield self._moments[i]

    def _decode(self, i):
        if i in self._kept:
            self._kept.move_to_end(i)
            return self._kept[i]
        array = np.asarray(as_recording(self._sequence[i], self.name(i)))
        self._kept[i] = array
        n_bytes = sum(kept.nbytes for kept in self._kept.values())
        # The recording at hand stays, however large.
        while n_bytes > KEPT_BYTES and len(self._kept) > 1:
            n_bytes -= self._kept.popitem(last=False)[1].nbytes
        return array


class JoinedRecordings(Recordings):
    """Several stores of recordings, one after the other."""

    def __init__(self, parts):
        self._parts = parts
        self._ends = np.cumsum([len(part) for part in parts])
        for field in ("lengths", "channels", "rounding", "sfreq"):
            values = np.concatenate([getattr(part, field) for part in parts])
            setattr(self, field, values)
        self.labels = self._join([part.labels for part in parts])
        self.groups = self._join([part.groups for part in parts], numbered=True)
        self.in_memory = all(part.in_memory for part in parts)

    def _join(self, columns, numbered=False):
        if all(column is None for column in columns):
            return None
        joined = []
        for k, (column, part) in enumerate(zip(columns, self._parts, strict=True)):
            column = [None] * len(part) if column is None else list(column)
            if numbered:
                # Person 1 of one set is not person 1 of another.
                column = [None if value is None else (k, value) for value in column]
            joined += column
        return joined

    def _locate(self, i):
        k = int(np.searchsorted(self._ends, i, side="right"))
        return self._parts[k], int(i - (self._ends[k - 1] if k else 0))

    def name(self, i):
        part, j = self._locate(i)
        return part.name(j)

    def read(self, i, start, stop):
        part, j = self._locate(i)
        return part.read(j, start, stop)

    def identity(self):
        for part in self._parts:
            yield from part.identity()

    def moments(self, selected):
        begin = 0
        for part, end in zip(self._parts, self._ends, strict=True):
            inside = selected[(selected >= begin) & (selected < end)]
            for moments in part.moments(inside - begin):
                yield moments._replace(recordings=moments.recordings + begin)
            begin = end


def as_recording(item, name):
    """Return one recording as an array or what can be sliced like one."""
    sliceable = hasattr(item, "shape") and isinstance(
        getattr(item, "dtype", None), np.dtype
    )
    try:
        array = item if sliceable else np.asarray(item)
    except ValueError:
        # Rows of different lengths.
        raise WindowsError(
            f"{name} is not an array; a recording has the shape (n_channels, n_times)."
        ) from None
    if len(array.shape) != 2 or array.shape[0] < 1:
        raise WindowsError(
            f"{name} must have the shape (n_channels, n_times); got "
            f"{tuple(array.shape)}."
        )
    if not is_numeric(array.dtype):
        raise WindowsError(f"{name} must hold real numbers; got type {array.dtype}.")
    return array


def is_bunch(item):
    """Whether an item looks like what the loaders of data sets return."""
    return isinstance(item, Mapping) and "recordings" in item


def recordings_of_bunch(bunch, name="X"):
    """Return the recordings of a Bunch, with labels, groups and sampling rate.

    Labels are names of gestures, not codes: code 3 means another gesture in
    another set. People in one session form a group; targets of regressions
    and labels per sample are left alone.
    """
    items = bunch["recordings"]
    if len(items) == 0:
        raise WindowsError(f"{name}.recordings is empty; pass at least one recording.")
    kind = ListRecordings if isinstance(items, (list, tuple)) else LazyRecordings
    recordings = kind(items, f"{name}.recordings")
    n_recordings = len(recordings)
    if isinstance(bunch.get("sfreq"), (int, float, np.number)):
        recordings.sfreq = np.full(n_recordings, float(bunch["sfreq"]))
    recordings.labels = _labels_of_bunch(bunch, n_recordings)
    meta, groups = bunch.get("meta"), bunch.get("groups")
    if meta is not None and "subject" in meta and len(meta) == n_recordings:
        columns = [column for column in ("subject", "session") if column in meta]
        rows = zip(*(list(meta[column]) for column in columns), strict=True)
        groups = [None if is_unknown(row[0]) else tuple(map(str, row)) for row in rows]
    if groups is not None and len(groups) == n_recordings:
        recordings.groups = list(groups)
    return recordings


def is_unknown(value):
    """Whether a label or group is None, NaN or a missing value of pandas."""
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, (float, np.floating)) and bool(np.isnan(value))


def _labels_of_bunch(bunch, n_recordings):
    target = bunch.get("target")
    if isinstance(target, (list, tuple)) and any(np.ndim(t) for t in target):
        return None
    if target is None or np.shape(target) != (n_recordings,):
        return None
    codes, names = np.asarray(target), bunch.get("target_names")
    if names is None or codes.dtype.kind not in "iu":
        return codes
    return [
        str(names[code]) if 0 <= code < len(names) else None for code in codes.tolist()
    ]
