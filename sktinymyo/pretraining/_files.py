"""Recordings in files larger than memory, read slice by slice."""

import hashlib
import os
import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np

from .._optional import import_optional
from .._torch import rounding_of
from ..exceptions import WindowsError
from ._entries import stamp_of
from ._formats import find_files, list_entries, list_names
from ._moments import Moments
from ._recordings import BLOCK_ELEMENTS, Recordings

__all__ = ["FileRecordings"]

# Files kept open. Batches are read file by file, so that more would not help.
OPEN_FILES = 8
# Unpacked chunks that HDF5 keeps for each open file.
CHUNK_CACHE = 4 << 20


class _OpenFiles:
    """The files read last, opened once for many windows; safe among threads.

    Handles belong to the process that opened them: HDF5 does not survive a
    fork, and two processes would move one another's position in the file.
    """

    def __init__(self):
        self.lock = threading.RLock()
        self._process = os.getpid()
        self._handles = OrderedDict()

    def __getstate__(self):
        return {}

    def __setstate__(self, state):
        self.__init__()

    def get(self, entry, stamp):
        """Return the handle for an entry: a plain file, or an HDF5 data set."""
        if self._process != os.getpid():
            self.__init__()
        by_hdf5 = entry.offset is None
        place = entry.path, by_hdf5
        handle = self._handles.get(place)
        if handle is None:
            handle = self._open(entry, stamp, by_hdf5)
            while len(self._handles) >= OPEN_FILES:
                self._close(self._handles.popitem(last=False)[1])
            self._handles[place] = handle
        self._handles.move_to_end(place)
        if not by_hdf5:
            return handle
        file, key, _ = handle
        if key != entry.key:
            # One data set stays open with its cache of chunks.
            handle[1:] = entry.key, file[entry.key]
        return handle[2]

    def close(self):
        """Close every file."""
        with self.lock:
            while self._handles:
                self._close(self._handles.popitem()[1])

    @staticmethod
    def _open(entry, stamp, by_hdf5):
        try:
            changed = stamp_of(entry.path) != stamp
        except OSError as error:
            raise WindowsError(
                f"{entry.path} is gone ({error}); open the folder again."
            ) from error
        if changed:
            raise WindowsError(
                f"{entry.path} has changed since the folder was opened; open it again."
            )
        if not by_hdf5:
            return entry.path.open("rb", buffering=0)
        h5py = import_optional("h5py", extra="data", purpose="Reading HDF5 files")
        return [h5py.File(entry.path, "r", rdcc_nbytes=CHUNK_CACHE), None, None]

    @staticmethod
    def _close(handle):
        if isinstance(handle, list):
            handle.pop()
            handle[0].close()
        else:
            handle.close()


class FileRecordings(Recordings):
    """The recordings of files, of which only the slices asked for are read.

    Parameters
    ----------
    places : sequence of path
        Files and folders.
    orientation, datasets, cache_folder
        As in :func:`list_entries`. The folder also keeps the moments of
        files, so that opening them again is quick.
    """

    in_memory = False

    def __init__(self, places, *, orientation, datasets, cache_folder):
        self._cache_folder = cache_folder
        self._open_files = _OpenFiles()
        self._entries, self._paths, self._names = [], [], []
        file_of, self._stamps = [], {}
        for number, (path, name) in enumerate(find_files(places, cache_folder)):
            entries = list_entries(
                path,
                orientation=orientation,
                datasets=datasets,
                cache_folder=cache_folder,
            )
            self._entries += entries
            self._paths.append(path)
            self._names.append(name)
            file_of += [number] * len(entries)
            for source in {path, *(entry.path for entry in entries)}:
                self._stamps[source] = stamp_of(source)
        entries = self._entries
        self._file_of = np.array(file_of, dtype=np.int32)
        self.channels = np.array([e.n_channels for e in entries], dtype=np.int32)
        self.lengths = np.array([e.n_times for e in entries], dtype=np.int64)
        self.rounding = np.array([rounding_of(e.dtype) for e in entries])
        self.sfreq = np.array(
            [
                np.nan if e.facts.get("sfreq") is None else e.facts["sfreq"]
                for e in entries
            ],
            dtype=np.float64,
        )
        self.labels, self.groups = self._facts("label"), self._facts("group")

    def _facts(self, name):
        values = [entry.facts.get(name) for entry in self._entries]
        return None if all(value is None for value in values) else values

    def close(self):
        """Close the files that are open; reading opens them again."""
        self._open_files.close()

    def name(self, i):
        entry = self._entries[i]
        place = str(self._paths[self._file_of[i]])
        return f"{place}, recording {entry.key!r}" if entry.key else place

    def other_names(self, i):
        """Return the names of what the file of recording `i` says and is not read."""
        return list_names(self._paths[self._file_of[i]], self._entries[i].key)

    def key(self, i):
        number = self._file_of[i]
        entry = self._entries[i]
        size = self._stamps[self._paths[number]][0]
        return f"{self._names[number]}|{size}|{entry.key}|{entry.dtype.str}"

    def read(self, i, start, stop):
        return self.read_rows(i, slice(0, int(self.channels[i])), start, stop)

    def read_rows(self, i, rows, start, stop):
        entry = self._entries[i]
        try:
            with self._open_files.lock:
                handle = self._open_files.get(entry, self._stamps[entry.path])
                if entry.offset is not None:
                    return _read_plain(handle, entry, rows, start, stop)
                if entry.times_first:
                    return handle[start:stop, rows].T
                return handle[rows, start:stop]
        except (OSError, EOFError, RuntimeError, KeyError, ValueError) as error:
            if isinstance(error, WindowsError):
                raise
            raise WindowsError(
                f"{self.name(i)} cannot be read from sample {start} to {stop} "
                f"({type(error).__name__}: {error}); the file is damaged, or was "
                "written with a compression that is not installed."
            ) from error

    def blocks(self, i):
        # Whole chunks: cutting one means to unpack it twice.
        entry = self._entries[i]
        n_channels, n_times = entry.n_channels, entry.n_times
        chunk_rows, chunk_times = entry.chunk or (n_channels, 1)
        n_rows = n_channels
        if n_channels * chunk_times > 8 * BLOCK_ELEMENTS:
            n_rows = min(n_channels, chunk_rows)
        size = max(1, BLOCK_ELEMENTS // (n_rows * chunk_times)) * chunk_times
        for row in range(0, n_channels, n_rows):
            rows = slice(row, min(n_channels, row + n_rows))
            for start in range(0, n_times, size):
                yield rows, start, min(n_times, start + size)

    def moments(self, selected):
        files = self._file_of[selected]
        for number in np.unique(files):
            recordings = selected[files == number]
            place = self._moments_place(number, recordings)
            found = _load_moments(place, recordings, self.channels[recordings])
            if found is None:
                found = list(super().moments(recordings))
                _save_moments(place, found)
            yield from found

    def _moments_place(self, number, recordings):
        if self._cache_folder is None:
            return None
        path = self._paths[number]
        digest = hashlib.sha256(f"{path.resolve()}|{self._stamps[path]}".encode())
        for i in recordings:
            entry = self._entries[i]
            layout = entry.dtype.str, entry.n_channels, entry.n_times, entry.times_first
            digest.update(f"|{entry.key}|{layout}".encode())
        return self._cache_folder / f"moments-{digest.hexdigest()[:32]}.npz"


def _read_plain(file, entry, rows, start, stop):
    """Read samples that lie in the file as they would in memory."""
    size = entry.dtype.itemsize
    n_times = stop - start
    if entry.times_first:
        block = np.empty((n_times, entry.n_channels), entry.dtype)
        _fill(file, entry.offset + start * entry.n_channels * size, block)
        return block.T[rows]
    block = np.empty((rows.stop - rows.start, n_times), entry.dtype)
    if n_times == entry.n_times:
        _fill(file, entry.offset + rows.start * n_times * size, block)
        return block
    for row, channel in zip(block, range(rows.start, rows.stop), strict=True):
        _fill(file, entry.offset + (channel * entry.n_times + start) * size, row)
    return block


def _fill(file, offset, array):
    """Fill a contiguous array with the bytes from an offset on."""
    if not array.size:
        return
    target = memoryview(array.view(np.uint8)).cast("B")
    file.seek(offset)
    done = 0
    while done < len(target):
        n_bytes = file.readinto(target[done:])
        if not n_bytes:
            raise EOFError(f"the file ends at byte {offset + done}")
        done += n_bytes


def _load_moments(place, recordings, channels):
    """Return the moments kept for a file, None if there are none to be used."""
    if place is None or not place.is_file():
        return None
    try:
        with np.load(place, allow_pickle=False) as archive:
            count, mean, squares = (archive[k] for k in ("count", "mean", "squares"))
    # A damaged file of the cache is as good as none.
    except Exception:
        return None
    ends = np.cumsum(channels)
    if count.shape != ends.shape or not mean.shape == squares.shape == (ends[-1],):
        return None
    if not (np.isfinite(mean).all() and np.isfinite(squares).all()):
        return None
    return [
        Moments(
            recordings[k : k + 1], count[k : k + 1], mean[None, a:b], squares[None, a:b]
        )
        for k, (a, b) in enumerate(zip(ends - channels, ends, strict=True))
    ]


def _save_moments(place, moments):
    if place is None:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=place.parent, suffix=".part", delete=False
    ) as file:
        part = Path(file.name)
        try:
            np.savez(
                file,
                count=np.concatenate([m.count for m in moments]),
                mean=np.concatenate([m.mean.reshape(-1) for m in moments]),
                squares=np.concatenate([m.squares.reshape(-1) for m in moments]),
            )
            file.close()
            part.replace(place)
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise
