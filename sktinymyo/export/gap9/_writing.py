"""A bundle is written whole or not at all."""

import os
import shutil
import tempfile
from pathlib import Path

from ..._files import sync_folder
from ._manifest import (
    BUILD_FOLDER,
    BundleError,
    list_files,
    read_manifest,
    write_manifest,
)

__all__ = ["check_target", "write_bundle"]


def check_target(path, *, overwrite=False):
    """Check where a bundle shall be written, before any work is done.

    Parameters
    ----------
    path : str or path
        Folder of the bundle; the folder above it must exist.
    overwrite : bool, default=False
        Accept a folder that is a bundle, with nothing else in it.

    Returns
    -------
    path : Path
        Absolute, without links.

    Raises
    ------
    BundleError
        If something stands there that must stay.
    """
    given = Path(path).expanduser()
    path = given.resolve()
    if not path.parent.is_dir():
        raise BundleError(
            f"path={str(given)!r}: there is no folder {path.parent}; create it first."
        )
    if not os.path.lexists(path):
        return path
    if not path.is_dir():
        raise BundleError(
            f"path={str(given)!r} is a file; pass the name of a new folder."
        )
    if not overwrite:
        raise BundleError(
            f"path={str(given)!r} exists; pass another name, or overwrite=True to "
            "replace a bundle."
        )
    try:
        known = read_manifest(path)["files"]
        foreign = [name for name in list_files(path) if name not in known]
    except BundleError as error:
        raise BundleError(
            f"path={str(given)!r} exists and is not replaced: {error}"
        ) from error
    if foreign:
        raise BundleError(
            f"path={str(given)!r} is a bundle with files that are not of it: "
            f"{', '.join(foreign[:5])}. Move them away, or pass another name."
        )
    return path


def write_bundle(path, fill, *, overwrite=False):
    """Write a bundle beside its place and rename it.

    Whatever goes wrong, also a full disk or an interruption, leaves nothing behind
    and an older bundle as it was.

    Parameters
    ----------
    path : str or path
        Folder of the bundle.
    fill : callable
        Takes a new, empty folder, writes all files into it, and returns the content
        of the manifest without its "files".
    overwrite : bool, default=False
        Replace a bundle that is there.

    Returns
    -------
    manifest : dict
        As it was written.

    Raises
    ------
    BundleError
        If something stands there that must stay.
    OSError
        If the files cannot be written.
    """
    path = check_target(path, overwrite=overwrite)
    # In the same folder, so that it is on the same disk and can be renamed.
    folder = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    try:
        # mkdtemp hides the folder from others; a bundle is as open as the user wants.
        folder.chmod(0o777 & ~_umask())
        content = fill(folder)
        shutil.rmtree(folder / BUILD_FOLDER, ignore_errors=True)
        manifest = write_manifest(folder, content)
        _synchronise(folder)
        # Looked at again: the export took its time.
        check_target(path, overwrite=overwrite)
        _move(folder, path)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return manifest


def _move(folder, path):
    """Rename the folder; an older bundle is put aside first and back on an error."""
    if not path.exists():
        folder.rename(path)
    else:
        aside = Path(tempfile.mkdtemp(prefix=f".{path.name}.old.", dir=path.parent))
        old = aside / path.name
        try:
            path.rename(old)
            folder.rename(path)
        except BaseException:
            if old.exists():
                old.rename(path)
            aside.rmdir()
            raise
        shutil.rmtree(aside, ignore_errors=True)
    sync_folder(path.parent)


def _umask():
    # There is no way to read it without setting it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _synchronise(folder):
    """Have the disk hold all files before the name says that they are there."""
    for here, _, files in os.walk(folder):
        for name in files:
            with (Path(here) / name).open("rb+") as file:
                os.fsync(file.fileno())
        sync_folder(here)
