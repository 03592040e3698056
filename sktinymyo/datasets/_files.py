"""Finding and reading the files of a data set, with errors that name the file."""

import re
from pathlib import Path

import numpy as np
import pandas as pd

from ..exceptions import DatasetNotFoundError, SktinymyoError


class DatasetFormatError(SktinymyoError, ValueError):
    """A file of a data set is damaged or does not have the documented layout.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import DatasetFormatError, load_csv_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = Path(folder, "anna_fist_1.csv").write_text("no numbers")
    ...     try:
    ...         load_csv_folder(folder, sfreq=1000)
    ...     except DatasetFormatError as error:
    ...         print("anna_fist_1.csv" in str(error))
    True
    """


def natural_key(text):
    """Sort key that puts ``trial_2`` before ``trial_10``."""
    parts = re.split(r"(\d+)", str(text))
    return tuple(int(part) if part.isdecimal() else part.lower() for part in parts)


def natural_sorted(values):
    """Sort paths or names so that numbers in them count as numbers."""
    return sorted(values, key=natural_key)


def check_folder(folder, *, set_name, expected, get):
    """Return `folder` as a Path or explain where the data set comes from.

    Parameters
    ----------
    folder : str or path
        The folder given by the user.
    set_name : str
        Name of the data set, for the message.
    expected : str
        What the folder must contain.
    get : str
        How to obtain the data set.

    Returns
    -------
    Path
    """
    path = Path(folder).expanduser()
    if not path.is_dir():
        raise DatasetNotFoundError(
            f"folder={str(folder)!r} is not an existing folder. {set_name} expects a "
            f"folder with {expected}. {get}"
        )
    return path


def show_some(names, limit=8):
    """Return the first names of a list as text."""
    names = list(names)
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def scan(folder, globs, pattern, *, set_name, expected, get):
    """Find the files of a set and what their names say.

    Parameters
    ----------
    folder : str or path
        The folder given by the user.
    globs : str or sequence of str
        Where to look, so that foreign files are not walked through.
    pattern : str
        Regular expression with named groups for the path below `folder`,
        written with forward slashes.
    set_name, expected, get : str
        As in `check_folder`.

    Returns
    -------
    list of (Path, dict)
        In natural order of the paths; numeric groups are integers.
    """
    folder = check_folder(folder, set_name=set_name, expected=expected, get=get)
    globs = [globs] if isinstance(globs, str) else globs
    names = {
        path.relative_to(folder).as_posix()
        for glob in globs
        for path in folder.glob(glob)
    }
    found = []
    for name in natural_sorted(names):
        match = re.fullmatch(pattern, name)
        if match:
            fields = {
                key: int(value) if value is not None and value.isdecimal() else value
                for key, value in match.groupdict().items()
            }
            found.append((folder / name, fields))
    if not found:
        seen = natural_sorted(path.name for path in folder.iterdir())
        raise DatasetNotFoundError(
            f"no recording of {set_name} was found in {str(folder)!r}: expected "
            f"{expected}. The folder holds: {show_some(seen) or 'nothing'}. {get}"
        )
    return found


def read_text_table(path, *, columns, layout, delimiter=",", skiprows=0, use=None):
    """Read a numeric text file whose rows are samples.

    Parameters
    ----------
    path : Path
        The file.
    columns : int
        Number of columns the file must have.
    layout : str
        What a line holds, for messages.
    delimiter : str or None, default=","
        Separator; None splits at white space.
    skiprows : int, default=0
        Lines left out at the top.
    use : list of int or None, default=None
        Columns to return; None returns all.

    Returns
    -------
    ndarray of shape (n_times, n_columns), float32
    """
    try:
        frame = pd.read_csv(
            path,
            sep=r"\s+" if delimiter is None else delimiter,
            header=None,
            skiprows=skiprows,
            dtype=np.float32,
            encoding="utf-8",
            compression=None,
        )
    except pd.errors.EmptyDataError:
        raise DatasetFormatError(
            f"{path} is empty; expected lines with {layout}."
        ) from None
    except (ValueError, OverflowError) as error:
        raise DatasetFormatError(
            f"{path} is not a table of numbers ({error}); expected lines with {layout}."
        ) from None
    if frame.shape[1] != columns:
        raise DatasetFormatError(
            f"{path} has {frame.shape[1]} columns; expected lines with {layout}."
        )
    table = frame.to_numpy()
    bad = ~np.isfinite(table).all(axis=1)
    if bad.any():
        line = int(np.flatnonzero(bad)[0]) + skiprows + 1
        raise DatasetFormatError(
            f"{path} holds missing or non-finite values in {int(bad.sum())} line(s), "
            f"the first is line {line}; expected lines with {layout}."
        )
    return table if use is None else table[:, use]


def as_recording(table):
    """Turn (n_times, n_channels) into a contiguous float32 (n_channels, n_times)."""
    return np.ascontiguousarray(np.asarray(table).T, dtype=np.float32)


def cut(table, start=None, stop=None):
    """Return the recording between two rows of a table."""
    return as_recording(table[start:stop])


def runs(labels):
    """Return start and stop of every run of equal rows.

    Parameters
    ----------
    labels : ndarray of shape (n_times,) or (n_times, k)
        With k columns a run ends when any column changes.

    Returns
    -------
    starts, stops : ndarray of int
    """
    labels = np.asarray(labels).reshape(len(labels), -1)
    borders = np.flatnonzero((labels[1:] != labels[:-1]).any(axis=1)) + 1
    edges = np.r_[0, borders, len(labels)]
    return (edges[:-1], edges[1:]) if len(labels) else (edges[:0], edges[:0])


def whole_labels(values, path, name, highest):
    """Return labels as integers after checking that they are codes 0..highest."""
    labels = np.asarray(values).ravel()
    codes = labels.astype(np.int64)
    if not np.array_equal(codes, labels) or codes.min() < 0 or codes.max() > highest:
        raise DatasetFormatError(
            f"{path}: {name} must hold whole numbers from 0 to {highest}; found "
            f"{np.unique(labels)[:12].tolist()}."
        )
    return codes


class FileReader:
    """Read recordings, several of which may lie in one file.

    The content of the last file is kept, so that reading its recordings in
    order parses it once. Pickles without that content.

    Parameters
    ----------
    load : callable
        ``load(path)`` returns the content of a file.
    pick : callable, default=cut
        ``pick(content, *rest)`` returns one recording; an item is
        ``(path, *rest)``.
    """

    def __init__(self, load, pick=cut):
        self._load = load
        self._pick = pick
        self._last = None

    def __getstate__(self):
        return {"_load": self._load, "_pick": self._pick, "_last": None}

    def __call__(self, item):
        path, *rest = item
        last = self._last
        if last is None or last[0] != path:
            last = (path, self._load(path))
            self._last = last
        return self._pick(last[1], *rest)
