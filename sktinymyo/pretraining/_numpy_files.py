"""Recordings in .npy files and .npz archives, told from their headers."""

import hashlib
import io
import re
import shutil
import tempfile
import zipfile
from pathlib import Path

import numpy as np

from ..exceptions import WindowsError
from ._entries import FACTS, Entry, check_array, is_wanted, make_entry, stamp_of
from ._recordings import is_numeric

__all__ = ["list_npy", "list_npz"]

# Arrays that say something of recordings are small.
LARGEST_FACT = 1 << 20
# A header has some hundred bytes, but may announce and compress gigabytes of spaces.
LARGEST_HEADER = 1 << 16


def list_npy(path, orientation, datasets, cache_folder):
    """Return the only recording of a .npy file, and no other arrays."""
    with path.open("rb") as file:
        shape, fortran, dtype = _read_header(file)
        offset = file.tell()
    if len(shape) != 2 or not is_numeric(dtype):
        remedy = (
            " Windows cut already: pass numpy.load(path, mmap_mode='r') itself as X."
            if len(shape) == 3
            else ""
        )
        raise WindowsError(
            f"{path} holds {dtype} of shape {shape}; a recording has two dimensions "
            f"and real numbers.{remedy}"
        )
    check_array(path, shape, dtype, path.stat().st_size - offset)
    entry = make_entry(path, "", shape, dtype, path, offset, orientation=orientation)
    return [_swapped(entry) if fortran else entry], []


def list_npz(path, orientation, datasets, cache_folder):
    """Return the recordings of an archive, and what else it holds."""
    # Each: (name, shape, whether in Fortran order, type, where it begins or None).
    arrays, others, facts = [], [], {}
    with zipfile.ZipFile(path) as archive, path.open("rb") as raw:
        names = set(archive.namelist())
        if {"rec_start.npy", "rec_len.npy"} <= names:
            raise WindowsError(
                f"{path} is a packed set; load it with "
                "sktinymyo.datasets.load_packed and pass the result as X."
            )
        for info in archive.infolist():
            key = info.filename.removesuffix(".npy")
            if info.is_dir() or key == info.filename:
                others.append(info.filename)
                continue
            if key in FACTS:
                facts[key] = _read_fact(path, archive, info, key)
                continue
            with archive.open(info) as member:
                shape, fortran, dtype = _read_header(member)
                header = member.tell()
            if len(shape) != 2 or not is_numeric(dtype) or not is_wanted(key, datasets):
                others.append(f"{key} ({dtype}, {shape})")
                continue
            place = f"{path}, recording {key!r}"
            check_array(place, shape, dtype, info.file_size - header)
            offset = None
            if info.compress_type == zipfile.ZIP_STORED:
                offset = _begin_of_member(raw, info) + header
                check_array(place, shape, dtype, path.stat().st_size - offset)
            arrays.append((info, key, shape, fortran, dtype, offset))
        packed = [item for item in arrays if item[-1] is None]
        if packed:
            _check_room(path, [item[0] for item in packed], cache_folder)

        entries = []
        for i, (info, key, shape, fortran, dtype, offset) in enumerate(arrays):
            source = path
            if offset is None:
                source = _unpack(path, archive, info, cache_folder)
                with source.open("rb") as member:
                    _read_header(member)
                    offset = member.tell()
            own = {"orientation": orientation}
            own |= {
                name: _fact_of(path, name, value, i, len(arrays))
                for name, value in facts.items()
            }
            entry = make_entry(path, key, shape, dtype, source, offset, **own)
            entries.append(_swapped(entry) if fortran else entry)
    return entries, others


def _begin_of_member(raw, info):
    """Return where the bytes of a member begin, from its local header."""
    raw.seek(info.header_offset)
    header = raw.read(30)
    if len(header) < 30 or header[:4] != b"PK\x03\x04":
        raise zipfile.BadZipFile(f"no local header of {info.filename!r}")
    lengths = (
        int.from_bytes(header[26:28], "little"),
        int.from_bytes(header[28:30], "little"),
    )
    return info.header_offset + 30 + sum(lengths)


def _read_fact(path, archive, info, key):
    if info.file_size > LARGEST_FACT:
        raise WindowsError(
            f"{path}: the array {key!r} has {info.file_size} bytes, too many for one "
            "value for each recording."
        )
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def _fact_of(path, name, value, i, n_recordings):
    """Return what an array says of recording `i`: one value for all or for each."""
    if value.ndim == 0:
        return value.item()
    if value.shape != (n_recordings,):
        raise WindowsError(
            f"{path}: the array {name!r} has the shape {value.shape}; it must hold one "
            f"value, or one for each of the {n_recordings} recordings."
        )
    return value[i].item()


def _check_room(path, infos, cache_folder):
    n_bytes = sum(info.file_size for info in infos)
    if cache_folder is None:
        raise WindowsError(
            f"{path} is compressed (recording {infos[0].filename[:-4]!r}), so that no "
            "window can be read by itself. Pass cache_folder= to have it unpacked once "
            f"({n_bytes / 1e6:.3g} MB for this file), or save with numpy.savez instead "
            "of savez_compressed."
        )
    cache_folder.mkdir(parents=True, exist_ok=True)
    missing = sum(
        info.file_size
        for info in infos
        if not _is_unpacked(_unpacked(path, info, cache_folder), info)
    )
    free = shutil.disk_usage(cache_folder).free
    if missing > free:
        raise WindowsError(
            f"{path} needs {missing / 1e6:.3g} MB unpacked, but cache_folder="
            f"{str(cache_folder)!r} has {free / 1e6:.3g} MB left; pass a folder on a "
            "larger disk."
        )


def _unpacked(path, info, cache_folder):
    """Return where a member is unpacked to; another file has another place."""
    identity = f"{path.resolve()}|{stamp_of(path)}|{info.filename}|{info.CRC}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:24]
    name = re.sub(r"[^\w-]", "_", f"{path.stem}-{info.filename[:-4]}")[:80]
    return cache_folder / f"{name}-{digest}.npy"


def _is_unpacked(place, info):
    return place.is_file() and place.stat().st_size == info.file_size


def _unpack(path, archive, info, cache_folder):
    place = _unpacked(path, info, cache_folder)
    if _is_unpacked(place, info):
        return place
    with tempfile.NamedTemporaryFile(
        dir=cache_folder, suffix=".part", delete=False
    ) as file:
        part = Path(file.name)
        try:
            # The module checks size and checksum at the end of the member.
            with archive.open(info) as member:
                shutil.copyfileobj(member, file, 1 << 20)
            file.close()
            if part.stat().st_size != info.file_size:
                raise zipfile.BadZipFile(f"{info.filename!r} ends early")
            part.replace(place)
        except BaseException:
            file.close()
            part.unlink(missing_ok=True)
            raise
    return place


def _read_header(file):
    """Return shape, whether in Fortran order, and type of an array in .npy format."""
    version = np.lib.format.read_magic(file)
    # The third differs from the second in the names of fields only, which no
    # recording has.
    if version not in ((1, 0), (2, 0), (3, 0)):
        raise ValueError(f"version {version} of the .npy format is not known")
    n_bytes, parse = (
        (2, np.lib.format.read_array_header_1_0)
        if version == (1, 0)
        else (4, np.lib.format.read_array_header_2_0)
    )
    prefix = file.read(n_bytes)
    length = int.from_bytes(prefix, "little")
    if length > LARGEST_HEADER:
        raise ValueError(
            f"a header of {length} bytes, where {LARGEST_HEADER} are the most accepted"
        )
    return parse(io.BytesIO(prefix + file.read(length)))


def _swapped(entry):
    """Return the entry of an array in Fortran order: the other axis lies together."""
    fields = {name: getattr(entry, name) for name in Entry.__slots__}
    return Entry(**{**fields, "times_first": not entry.times_first})
