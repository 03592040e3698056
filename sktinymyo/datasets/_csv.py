"""Recordings of one's own: a folder of text files with speaking names."""

import re
import string
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from .._validation import check_number
from ..exceptions import DatasetNotFoundError
from ._bunch import SetFacts, build_bunch
from ._files import (
    DatasetFormatError,
    FileReader,
    check_folder,
    natural_sorted,
    show_some,
    whole_labels,
)

_HEADER_LINES = 50
_DIGITS_ONLY = ("repetition",)


def compile_pattern(pattern):
    """Turn a pattern with ``{fields}`` into a regular expression.

    Parameters
    ----------
    pattern : str or re.Pattern
        Template, or regular expression with named groups.

    Returns
    -------
    re.Pattern
    """
    if isinstance(pattern, re.Pattern):
        expression = pattern
    elif not isinstance(pattern, str):
        raise TypeError(
            f"pattern must be a text or a compiled regular expression; got {pattern!r}."
        )
    elif "(?P<" in pattern:
        expression = re.compile(pattern)
    else:
        parts = []
        try:
            pieces = list(string.Formatter().parse(pattern))
        except ValueError as error:
            raise ValueError(f"pattern={pattern!r} is not readable: {error}.") from None
        for literal, name, _, _ in pieces:
            parts.append(re.escape(literal))
            if name is None:
                continue
            if not name.isidentifier():
                raise ValueError(
                    f"pattern={pattern!r}: {{{name}}} is not a name; write fields "
                    "such as {subject}."
                )
            if f"(?P<{name}>" in "".join(parts):
                parts.append(f"(?P={name})")
            else:
                text = r"\d+" if name in _DIGITS_ONLY else "[^/]+?"
                parts.append(f"(?P<{name}>{text})")
        expression = re.compile("".join(parts))
    if not expression.groupindex:
        raise ValueError(
            f"pattern={pattern!r} names no field; write for example "
            '"{subject}_{gesture}_{repetition}.csv".'
        )
    return expression


def _is_number(text):
    try:
        float(text)
    except ValueError:
        return False
    return True


def _read_header(path, delimiter, skiprows):
    """Return the lines to skip and the column names, if a line holds them."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [line for _, line in zip(range(_HEADER_LINES), file, strict=False)]
    except UnicodeDecodeError:
        raise DatasetFormatError(
            f"{path} is not a text file in UTF-8; export it as CSV."
        ) from None
    first = skiprows or 0
    names = None
    for k in range(first, len(lines)):
        cells = [cell.strip().strip('"') for cell in _split(lines[k], delimiter)]
        if any(cells) and all(_is_number(cell) for cell in cells if cell):
            return k, names
        if skiprows is not None and k > first:
            break
        names = cells
    raise DatasetFormatError(
        f"{path} holds no line of numbers separated by {delimiter!r} within its first "
        f"{_HEADER_LINES} lines; it begins with {lines[first:][:1]!r}. Pass delimiter= "
        '(";", "\\t" or None for white space) or skiprows= (lines above the header); '
        "numbers need a point as decimal sign."
    )


def _split(line, delimiter):
    return line.split() if delimiter is None else line.rstrip("\r\n").split(delimiter)


def _positions(path, wanted, names, n_columns, parameter):
    """Return the positions of columns given by name or number."""
    positions = []
    for column in wanted:
        if isinstance(column, str):
            if names is None or column not in names:
                have = "no header line" if names is None else show_some(names, 20)
                raise DatasetFormatError(
                    f"{parameter}: {path} has no column {column!r}; it has {have}."
                )
            column = names.index(column)
        if not 0 <= column < n_columns:
            raise DatasetFormatError(
                f"{parameter}: {path} has {n_columns} columns, numbered from 0; "
                f"{column} is not one of them."
            )
        positions.append(int(column))
    return positions


def _read_table(path, *, delimiter, skiprows):
    """Read all numbers of a file; return the table and the column names."""
    skip, names = _read_header(path, delimiter, skiprows)
    try:
        frame = pd.read_csv(
            path,
            sep=r"\s+" if delimiter is None else delimiter,
            header=None,
            skiprows=skip,
            encoding="utf-8-sig",
            compression=None,
            skipinitialspace=True,
            dtype=np.float64,
        )
    except (ValueError, OverflowError) as error:
        raise DatasetFormatError(
            f"{path} is not a table of numbers below line {skip} ({error})."
        ) from None
    # A separator at the end of every line makes an empty last column.
    if frame.shape[1] > 1 and frame.iloc[:, -1].isna().all():
        frame = frame.iloc[:, :-1]
    return frame.to_numpy(), names, skip


def _take(path, content, columns, parameter):
    """Return chosen columns, which must be finite."""
    table, names, skip = content
    positions = _positions(path, columns, names, table.shape[1], parameter)
    part = table[:, positions]
    bad = ~np.isfinite(part).all(axis=1)
    if bad.any():
        line = int(np.flatnonzero(bad)[0]) + skip + 1
        raise DatasetFormatError(
            f"{path} holds missing or non-finite values in {int(bad.sum())} line(s), "
            f"the first near line {line}; remove or interpolate them."
        )
    return part


def _read_channels(path, *, delimiter, skiprows, columns, n_channels):
    content = _read_table(path, delimiter=delimiter, skiprows=skiprows)
    chosen = range(content[0].shape[1]) if columns is None else columns
    part = _take(path, content, chosen, "columns")
    if n_channels is not None and part.shape[1] != n_channels:
        raise DatasetFormatError(
            f"{path} has {part.shape[1]} columns, the first file has {n_channels}; "
            "pass columns= to choose the same in every file."
        )
    return part


def _as_list(value):
    if value is None or isinstance(value, (list, tuple, range, np.ndarray)):
        return value if value is None else list(value)
    return [value]


def _natural_value(values):
    """Turn a column of digits without leading zeros into integers."""
    if all(re.fullmatch(r"0|[1-9]\d*", value) for value in values):
        return [int(value) for value in values]
    return list(values)


def load_csv_folder(
    folder,
    pattern="{subject}_{gesture}_{repetition}.csv",
    *,
    sfreq,
    columns=None,
    delimiter=",",
    skiprows=None,
    label="gesture",
    label_column=None,
    label_names=None,
    target_columns=None,
    unit="",
    lazy=False,
):
    r"""Load a folder of text files, one recording each, rows are samples.

    Parameters
    ----------
    folder : str or path
        Folder with the files, in subfolders too.
    pattern : str or re.Pattern, default="{subject}_{gesture}_{repetition}.csv"
        How paths below `folder` are made, with forward slashes. Every
        ``{field}`` becomes a column of ``meta``; ``{repetition}`` matches
        digits, other fields anything without a slash, as little as possible
        from left to right. ``"{subject}/{session}/{gesture}_{repetition}.txt"``
        describes folders. A regular expression with named groups
        (``(?P<subject>...)``) does for the rest. Files that do not match are
        ignored.
    sfreq : float
        Sampling rate in Hz. Text files do not state it.
    columns : list of int or str, or None, default=None
        Columns with channels, by number from 0 or by name in the header. None
        takes all: pass the list when a column holds the time.
    delimiter : str or None, default=","
        Separator of the columns; None splits at white space.
    skiprows : int or None, default=None
        Lines above the header or the numbers; None finds the first line of
        numbers, and takes the line above it as header.
    label : str or None, default="gesture"
        Field of the pattern that holds the class; None for files without one.
    label_column : int, str or None, default=None
        Column with an integer code per sample, instead of `label`; `target` is
        then a list of arrays (n_times,).
    label_names : list of str or None, default=None
        Names of the codes 0, 1, ... of `label_column`; None uses the numbers.
    target_columns : list of int or str, or None, default=None
        Columns with continuous targets for regression, instead of `label`;
        `target` is then a list of arrays (n_times, k).
    unit : str, default=""
        Unit of the samples, for the record.
    lazy : bool, default=False
        Read each file when its recording is accessed. Targets in columns are
        read at once.

    Returns
    -------
    bunch : Bunch
        ``recordings`` (arrays (n_channels, n_times)), ``sfreq``, ``target``
        (codes in the sorted order of the names), ``target_names``, ``groups``
        (the field subject), ``meta`` (one column per field; subject 0, session
        0 and running repetitions where the pattern has none), as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or no file fits the pattern (the message shows
        names that were found).
    DatasetFormatError
        If a file is not a table of finite numbers, or files differ in columns.
    ValueError
        If the pattern or a name of a column is wrong.

    Warns
    -----
    UserWarning
        If the first channel rises by the same step all the time: it is
        probably the time.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.datasets import load_csv_folder
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("anna_fist_1.csv", "anna_open hand_1.csv"):
    ...         text = "time,ch1,ch2\n" + "0.001,5,6\n" * 4
    ...         _ = Path(folder, name).write_text(text)
    ...     bunch = load_csv_folder(folder, sfreq=1000, columns=["ch1", "ch2"])
    >>> bunch.target_names, bunch.target, bunch.recordings[0].shape
    (['fist', 'open hand'], array([0, 1]), (2, 4))
    >>> bunch.groups
    array(['anna', 'anna'], dtype=object)
    """
    check_number("sfreq", sfreq, minimum=0, include_minimum=False)
    check_number("skiprows", skiprows, minimum=0, integer=True, none_allowed=True)
    if label_column is not None and target_columns is not None:
        raise ValueError("pass either label_column or target_columns, not both.")
    if delimiter == "":
        raise ValueError('delimiter="" is not accepted; pass None for white space.')
    columns, target_columns = _as_list(columns), _as_list(target_columns)
    expression = compile_pattern(pattern)
    paths, meta = _match_files(folder, pattern, expression)

    from_name = label_column is None and target_columns is None and label is not None
    if from_name and label not in meta:
        raise ValueError(
            f"label={label!r} is not a field of pattern={pattern!r}; its fields are "
            f"{', '.join(expression.groupindex)}. Pass label=None for files without "
            "a class."
        )
    options = {"delimiter": delimiter, "skiprows": skiprows}
    n_channels, names = _inspect(paths[0], columns, options)
    others = [label_column] if label_column is not None else target_columns
    if columns is None and others:
        # Everything that is not a target is a channel.
        content = _read_table(paths[0], **options)
        taken = _positions(
            paths[0], others, content[1], content[0].shape[1], "target columns"
        )
        columns = [k for k in range(n_channels) if k not in taken]
        names = [names[k] for k in columns]
        n_channels = len(columns)

    target, target_names = None, []
    if from_name:
        texts = meta[label].astype(str)
        target_names = natural_sorted(set(texts))
        meta["target"] = [target_names.index(text) for text in texts]
    elif label_column is not None:
        target, target_names = _label_targets(paths, label_column, label_names, options)
    elif target_columns is not None:
        target = [
            _take(path, _read_table(path, **options), target_columns, "target_columns")
            for path in paths
        ]
        target = [part.astype(np.float32) for part in target]
        target_names = [str(column) for column in target_columns]
    else:
        meta["target"] = 0
    meta["gesture"] = meta[label] if from_name else meta.get("gesture", "")

    named = getattr(pattern, "pattern", pattern)
    facts = SetFacts(
        name=Path(folder).name or "csv",
        description=f"Text files of {folder}, named {named}.",
        sfreq=sfreq,
        n_channels=n_channels,
        unit=unit,
        target_names=tuple(target_names),
        license="",
        citation="",
        source=str(folder),
        channel_names=tuple(names),
    )
    load = partial(_read_channels, columns=columns, n_channels=n_channels, **options)
    items = [(path,) for path in paths]
    return build_bunch(facts, meta, FileReader(load), items, lazy=lazy, target=target)


def _match_files(folder, pattern, expression):
    """Return the paths that fit and one row of fields each."""
    folder = check_folder(
        folder,
        set_name="load_csv_folder",
        expected="text files",
        get="Pass the folder that holds them.",
    )
    names = natural_sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )
    matches = [(name, expression.fullmatch(name)) for name in names]
    matches = [(name, match) for name, match in matches if match]
    if not matches:
        raise DatasetNotFoundError(
            f"no file below {str(folder)!r} fits pattern="
            f"{getattr(pattern, 'pattern', pattern)!r}. Files there: "
            f"{show_some(names) or 'none'}. Write the pattern so that it describes "
            'the whole path, such as "{subject}/{gesture}_{repetition}.csv".'
        )
    fields = pd.DataFrame(
        [
            {key: value or "" for key, value in match.groupdict().items()}
            for _, match in matches
        ]
    )
    meta = pd.DataFrame({key: _natural_value(fields[key]) for key in fields})
    for key in meta:
        if not pd.api.types.is_integer_dtype(meta[key]):
            meta[key] = meta[key].astype(object)
    for name in ("subject", "session"):
        if name not in meta:
            meta[name] = 0
    if "repetition" not in meta:
        keys = [key for key in ("subject", "session", "gesture") if key in meta]
        meta["repetition"] = meta.groupby(keys).cumcount()
    if "gesture" not in meta:
        meta["gesture"] = ""
    meta["file"] = [name for name, _ in matches]
    return [folder / name for name, _ in matches], meta


def _inspect(path, columns, options):
    """Return number and names of the channels of the first file."""
    content = _read_table(path, **options)
    table, header, _ = content
    chosen = range(table.shape[1]) if columns is None else columns
    positions = _positions(path, chosen, header, table.shape[1], "columns")
    if not positions:
        raise ValueError("columns=[] leaves no channel; name at least one.")
    first = table[:, positions[0]]
    steps = np.diff(first)
    if (
        columns is None
        and len(positions) > 1
        and len(steps) > 2
        and steps[0] > 0
        and np.allclose(steps, steps[0], rtol=1e-3)
    ):
        warnings.warn(
            f"the first column of {path} rises steadily and looks like the time; leave "
            "it out with columns=, for example columns=list(range(1, "
            f"{table.shape[1]})).",
            UserWarning,
            stacklevel=3,
        )
    if header is not None and len(header) >= table.shape[1]:
        names = [header[k] for k in positions]
    else:
        names = [f"column {k}" for k in positions]
    return len(positions), names


def _label_targets(paths, label_column, label_names, options):
    """Read codes per sample and name them."""
    highest = 9999 if label_names is None else len(label_names) - 1
    target = [
        whole_labels(
            _take(path, _read_table(path, **options), [label_column], "label_column"),
            path,
            f"label_column={label_column!r}",
            highest,
        )
        for path in paths
    ]
    if label_names is None:
        label_names = range(max(int(codes.max()) for codes in target) + 1)
    return target, [str(name) for name in label_names]
