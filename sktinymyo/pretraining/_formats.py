"""The files of a folder, and the recordings in each."""

import zipfile
from pathlib import Path

from ..exceptions import DatasetNotFoundError, WindowsError
from ._hdf5 import list_hdf5, list_hdf5_names
from ._numpy_files import list_npy, list_npz

__all__ = ["EXTENSIONS", "find_files", "list_entries", "list_names"]

EXTENSIONS = (".h5", ".hdf5", ".npz", ".npy")


def find_files(places, cache_folder=None):
    """Return the files to read: (path, name on any machine), sorted by name.

    Hidden files, and those of the cache folder, are left out.

    Raises
    ------
    DatasetNotFoundError
        If a place does not exist or holds no file of a known format.
    WindowsError
        If a file is of another format.
    """
    cache = None if cache_folder is None else cache_folder.resolve()
    endings = ", ".join(EXTENSIONS)
    found = []
    for place in places:
        path = Path(place).expanduser()
        if path.is_dir():
            if path.resolve() == cache:
                raise ValueError(
                    f"cache_folder={str(cache_folder)!r} is the folder with the "
                    "recordings; pass another, or a folder inside it."
                )
            inside = [
                (item, item.relative_to(path).as_posix())
                for item in path.rglob("*")
                if item.suffix.lower() in EXTENSIONS
                and not any(p.startswith(".") for p in item.relative_to(path).parts)
                and not (cache is not None and cache in item.resolve().parents)
                and item.is_file()
            ]
            if not inside:
                raise DatasetNotFoundError(
                    f"X={str(place)!r} holds no file that ends in {endings}, nor do "
                    "the folders inside."
                )
            found += sorted(inside, key=lambda pair: pair[1])
        elif not path.is_file():
            raise DatasetNotFoundError(
                f"X={str(place)!r} is no existing file or folder."
            )
        elif path.suffix.lower() not in EXTENSIONS:
            raise WindowsError(f"X={str(place)!r} does not end in one of {endings}.")
        else:
            found.append((path, path.name))
    return found


def list_entries(path, *, orientation, datasets, cache_folder):
    """Return the recordings of one file, reading no more than headers.

    Parameters
    ----------
    path : Path
        File to look into.
    orientation : {"channels-first", "times-first"}
        What to assume where the file does not say.
    datasets : sequence of str or None
        Patterns for the names of arrays to read; None takes all.
    cache_folder : Path or None
        Where to unpack compressed arrays of .npz archives.

    Returns
    -------
    list of Entry

    Raises
    ------
    WindowsError
        If the file is damaged, holds no recording, or must not be read.
    """
    lister = {".npy": list_npy, ".npz": list_npz}.get(path.suffix.lower(), list_hdf5)
    try:
        entries, others = lister(path, orientation, datasets, cache_folder)
    except (WindowsError, ImportError):
        raise
    # Damaged bytes end in nearly any error of the parsers below.
    except Exception as error:
        raise WindowsError(
            f"{path} cannot be read as {path.suffix} ({type(error).__name__}: "
            f"{error}); it is damaged, incomplete or of another format."
        ) from error
    if not entries:
        seen = f" It holds: {', '.join(others[:10])}." if others else " It is empty."
        wanted = "" if datasets is None else f" named like {', '.join(datasets)}"
        raise WindowsError(
            f"{path} holds no recording: a two-dimensional array of real "
            f"numbers{wanted}.{seen}"
        )
    return entries


def list_names(path, key):
    """Return the names of arrays and attributes beside a recording of a file."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        return []
    if suffix == ".npz":
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist()]
    return list_hdf5_names(path, key)
