"""Recordings in HDF5 files, told from their headers."""

import math

import numpy as np

from .._optional import import_optional
from ..exceptions import WindowsError
from ._entries import FACTS, check_array, is_wanted, make_entry
from ._recordings import is_numeric

__all__ = ["list_hdf5", "list_hdf5_names"]

# A compressed chunk is unpacked as a whole for every window that touches it.
LARGEST_CHUNK = 256 << 20


def list_hdf5(path, orientation, datasets, cache_folder):
    """Return the recordings of an HDF5 file, and what else it holds."""
    h5py = import_optional("h5py", extra="data", purpose="Reading HDF5 files")
    entries, others = [], []

    def visit(key, item):
        if not isinstance(item, h5py.Dataset):
            return
        is_recording = len(item.shape or ()) == 2 and is_numeric(item.dtype)
        if not is_recording or not is_wanted(key, datasets):
            others.append(f"{key} ({item.dtype}, {item.shape})")
            return
        if item.is_virtual or item.external:
            raise WindowsError(
                f"{path}, recording {key!r} keeps its samples in other files; pass "
                "those files, or copy the samples into this one."
            )
        if item.size and not item.id.get_storage_size():
            raise WindowsError(
                f"{path}, recording {key!r} has the shape {item.shape}, but no samples "
                "were written; the file is incomplete."
            )
        chunk = item.chunks
        if chunk is not None and math.prod(chunk) * item.dtype.itemsize > LARGEST_CHUNK:
            raise WindowsError(
                f"{path}, recording {key!r} is stored in chunks of {chunk}, "
                f"{math.prod(chunk) * item.dtype.itemsize / 1e6:.3g} MB, each of which "
                "must be read as a whole; write it again with smaller chunks."
            )
        facts = {"orientation": orientation, **_attributes(path, key, item)}
        offset = _begin_of_dataset(h5py, file, item)
        entries.append(
            make_entry(path, key, item.shape, item.dtype, path, offset, chunk, **facts)
        )

    with h5py.File(path, "r") as file:
        file.visititems(visit)
        size = path.stat().st_size
        for entry in entries:
            shape = (entry.n_channels, entry.n_times)
            if entry.offset is not None:
                place = f"{path}, recording {entry.key!r}"
                check_array(place, shape, entry.dtype, size - entry.offset)
    return entries, others


def _attributes(path, key, item):
    """Return what the data set, else the groups around it, else the file says."""
    facts = {}
    for place in _upwards(item):
        for name in FACTS:
            if name in place.attrs and name not in facts:
                value = np.asarray(place.attrs[name])
                if value.size != 1:
                    raise WindowsError(
                        f"{path}, recording {key!r}: the attribute {name!r} must be "
                        f"one value; got an array of shape {value.shape}."
                    )
                value = value.reshape(-1)[0]
                value = value.item() if isinstance(value, np.generic) else value
                facts[name] = value.decode() if isinstance(value, bytes) else value
    return facts


def _upwards(item):
    """Yield a data set, the groups around it, and the file."""
    while item.name != "/":
        yield item
        item = item.parent
    yield item


def list_hdf5_names(path, key):
    """Return the names of the attributes of a data set and of the groups around it."""
    h5py = import_optional("h5py", extra="data", purpose="Reading HDF5 files")
    with h5py.File(path, "r") as file:
        return [name for item in _upwards(file[key]) for name in item.attrs]


def _begin_of_dataset(h5py, file, item):
    """Return where samples stored in one piece begin, None if h5py must read them.

    Reading them from the file directly spares opening it through HDF5, which
    costs ten times as much as the samples of a window.
    """
    plain = (
        item.chunks is None
        and item.compression is None
        and file.driver == "sec2"
        and file.userblock_size == 0
        and item.id.get_type().equal(h5py.h5t.py_create(item.dtype))
    )
    return item.id.get_offset() if plain else None
