"""Files that are written whole or not at all."""

import contextlib
import os
import uuid
from pathlib import Path

__all__ = ["check_target_file", "replaced_file", "sync_folder", "write_whole"]


def check_target_file(path, suffix):
    """Refuse a file that cannot be written, before the work that would fill it.

    Parameters
    ----------
    path : str or path
        The file to write; ``~`` is the home of the user.
    suffix : str
        The ending that its name must have, such as ``".onnx"``.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If the ending is another one, the folder does not exist or cannot be written
        to, or `path` is itself a folder.
    TypeError
        If `path` is no text or path.
    """
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"path must be a text or a Path; got {type(path).__name__}.")
    path = Path(path).expanduser()
    if path.suffix.lower() != suffix:
        raise ValueError(f"path={str(path)!r} must end in {suffix}.")
    if not path.parent.is_dir():
        raise ValueError(
            f"path={str(path)!r}: there is no folder {path.parent}; create it first."
        )
    if path.is_dir():
        raise ValueError(f"path={str(path)!r} is a folder; pass the name of a file.")
    if not os.access(path.parent, os.W_OK):
        raise ValueError(
            f"path={str(path)!r}: the folder {path.parent} cannot be written to; pass "
            "a file in another folder."
        )
    return path


@contextlib.contextmanager
def replaced_file(path, draft=None):
    """Give a name to write to, which becomes `path` when the block ends.

    Whatever goes wrong, also a full disk or an interruption, leaves an older file of
    that name as it was, and nothing beside it.

    Parameters
    ----------
    path : Path
        The file to write or replace, in a folder that exists.
    draft : Path or None, default=None
        Where to write first, in the same folder. None takes a name that occurs once,
        so that several may write the same file; of a name of its own a killed process
        leaves no more than one file.

    Yields
    ------
    draft : Path
        To be created and closed within the block.

    Raises
    ------
    OSError
        If the disk does not take the file.
    """
    if draft is None:
        draft = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield draft
        with draft.open("rb+") as file:
            os.fsync(file.fileno())
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_whole(path, data):
    """Write bytes to a file: all of them, or the file stays as it was.

    Parameters
    ----------
    path : Path
        The file to write or replace, in a folder that exists.
    data : bytes
        Its content.

    Raises
    ------
    OSError
        If the disk does not take the file.
    """
    with replaced_file(path) as draft:
        draft.write_bytes(data)


def sync_folder(folder):
    """Make new names in a folder survive a power cut, where the system can.

    Parameters
    ----------
    folder : str or path
        The folder.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems cannot; the files are written
        return
    finally:
        os.close(descriptor)
