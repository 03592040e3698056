"""Recordings of one's own: a folder of text files with speaking names."""

import warnings
from functools import partial
from pathlib import Path

import numpy as np

from .._validation import check_choice, check_number
from ._bunch import SetFacts, build_bunch
from ._csv_labels import check_label_names, encode_labels
from ._csv_names import check_label, compile_pattern, match_files
from ._csv_tables import TextLayout, read_table
from ._csv_time import looks_like_time, stated_rate
from ._files import DatasetFormatError, FileReader, natural_sorted


def load_csv_folder(
    folder,
    pattern="{subject}_{gesture}_{repetition}.csv",
    *,
    sfreq,
    columns=None,
    delimiter=",",
    decimal=".",
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
        (``(?P<subject>...)``) does for the rest. A field that is a whole number
        in every name becomes an integer, so that ``1`` and ``01`` are the same
        repetition. Files that do not match are left out.
    sfreq : float
        Sampling rate in Hz. Text files do not state it; a column of times in the
        first file is compared with it.
    columns : list of int or str, or None, default=None
        Columns with channels, by number from 0 or by name in the header. None
        takes all but those with labels or targets: pass the list when a column
        holds the time, or text.
    delimiter : str or None, default=","
        Separator of the columns; None splits at white space.
    decimal : {".", ","}, default="."
        Decimal sign; ``","`` is usual where the separator is a semicolon.
    skiprows : int or None, default=None
        Lines above the header or the numbers; None finds the first line of
        numbers, and takes the line above it as header.
    label : str or None, default="gesture"
        Field of the pattern that holds the class; None for files without one.
        Not used where `label_column` or `target_columns` is given.
    label_column : int, str or None, default=None
        Column with a label per sample, a whole number or text, instead of
        `label`; `target` is then a list of arrays (n_times,) of codes.
    label_names : list of str, dict or None, default=None
        Names of the labels in `label_column`: a list for the codes 0, 1, ..., or
        a dict of label to name, such as ``{0: "rest", 10: "fist"}``. None, and
        labels that the dict leaves out, use the labels themselves.
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
        (codes in the sorted order of the names; labels of a column become the
        codes 0, 1, ... in their sorted order, so that ``target_names[code]`` is
        always the name, of labels that occur or are named), ``target_names``,
        ``groups``
        (the field subject), ``meta`` (one column per field; subject 0, session
        0 and running repetitions where the pattern has none), as described in
        :mod:`sktinymyo.datasets`.

    Raises
    ------
    DatasetNotFoundError
        If the folder is missing or no file fits the pattern (the message shows
        names that were found).
    DatasetFormatError
        If a file is not a table of finite numbers, or files differ in columns;
        the message names file, line and column.
    ValueError
        If the pattern has no field `label`, `columns` holds the labels or
        targets, or a parameter is not accepted.

    Warns
    -----
    UserWarning
        If some files do not fit the pattern; if a channel rises steadily and is
        probably the time; if a column of times states another rate than `sfreq`.

    See Also
    --------
    sktinymyo.signal.split_recordings : Cut recordings with a label per sample
        into repetitions.

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
    check_choice("decimal", decimal, (".", ","))
    check_label_names(label_names)
    if label_column is not None and target_columns is not None:
        raise ValueError("pass either label_column or target_columns, not both.")
    if delimiter == "":
        raise ValueError('delimiter="" is not accepted; pass None for white space.')
    if delimiter == decimal:
        raise ValueError(
            f"delimiter={delimiter!r} and decimal={decimal!r} are the same sign; pass "
            'the separator of the columns, usually delimiter=";" with decimal=",".'
        )
    columns, target_columns = _as_list(columns), _as_list(target_columns)
    expression = compile_pattern(pattern)
    from_name = label_column is None and target_columns is None and label is not None
    if from_name:
        check_label(label, expression)
    paths, meta = match_files(folder, pattern, expression, label if from_name else None)

    layout = TextLayout(
        delimiter=delimiter,
        skiprows=skiprows,
        decimal=decimal,
        numbers=None if columns is None else (*columns, *(target_columns or ())),
        text=label_column,
    )
    columns, names = _inspect(
        read_table(paths[0], layout), columns, label_column, target_columns, sfreq
    )
    n_channels = len(names)

    target, target_names = None, []
    if from_name:
        texts = meta[label].astype(str)
        target_names = natural_sorted(set(texts))
        meta["target"] = [target_names.index(text) for text in texts]
    elif label_column is not None:
        labels = [read_table(path, layout).take_labels(label_column) for path in paths]
        target, target_names = encode_labels(
            labels, paths, label_names, f"label_column={label_column!r}"
        )
    elif target_columns is not None:
        target = [
            read_table(path, layout)
            .take(target_columns, "target_columns")
            .astype(np.float32)
            for path in paths
        ]
        target_names = [str(column) for column in target_columns]
    else:
        meta["target"] = 0
    if from_name:
        meta["gesture"] = meta[label]

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
    load = partial(
        _read_channels, layout=layout, columns=columns, n_channels=n_channels
    )
    items = [(path,) for path in paths]
    return build_bunch(facts, meta, FileReader(load), items, lazy=lazy, target=target)


def _as_list(value):
    if value is None or isinstance(value, (list, tuple, range, np.ndarray)):
        return value if value is None else list(value)
    return [value]


def _read_channels(path, *, layout, columns, n_channels):
    table = read_table(path, layout)
    chosen = range(table.n_columns) if columns is None else columns
    part = table.take(chosen, "columns")
    if part.shape[1] != n_channels:
        raise DatasetFormatError(
            f"{path} has {part.shape[1]} columns, the first file has {n_channels}; "
            "pass columns= to choose the same in every file."
        )
    return part


def _inspect(table, columns, label_column, target_columns, sfreq):
    """Choose the channels of the first file, and look for the time in it.

    Returns
    -------
    columns : list or None
        Channels to read; None for all columns.
    names : list of str
        Their names.
    """
    if label_column is not None:
        others = table.positions([label_column], "label_column")
        parameter = "label_column"
    else:
        others = table.positions(target_columns or [], "target_columns")
        parameter = "target_columns"
    if columns is None:
        positions = [k for k in range(table.n_columns) if k not in others]
        given = None
        columns = positions if others else None
    else:
        positions = given = table.positions(columns, "columns")
    both = [k for k in positions if k in others]
    if both:
        raise ValueError(
            f"columns={columns!r} holds column {table.name(both[0])}, which is "
            f"{parameter}: a model would see its own targets. Leave it out of columns."
        )
    if not positions:
        raise ValueError("columns leaves no channel; name at least one.")
    table.take(positions, "columns")
    header = table.names
    if header is not None and len(header) < table.n_columns:
        header = None
    _announce_time(table, header, positions, given, others, sfreq)
    names = [f"column {k}" if header is None else header[k] for k in positions]
    return columns, names


def _announce_time(table, header, positions, given, others, sfreq):
    """Warn of a time among the channels, and of one that states another rate."""
    times = []
    for k in range(table.n_columns):
        if k in others or not table.is_number(k):
            continue
        values = table.frame.iloc[:, k].to_numpy()
        name = None if header is None else header[k]
        if looks_like_time(values, name):
            times.append(k)
        rate = stated_rate(values, name, sfreq)
        if rate is not None:
            warnings.warn(
                f"column {table.name(k)} of {table.path} looks like the time in "
                f"{rate[1]} and says {rate[0]:.5g} Hz, but sfreq={sfreq:g} Hz. Pass "
                "the rate at which the samples were recorded.",
                UserWarning,
                stacklevel=4,
            )
    kept = [k for k in positions if k not in times]
    if given is None and kept and len(kept) < len(positions):
        unique = header is not None and len(set(header)) == len(header)
        advice = [header[k] for k in kept] if unique else kept
        shown = ", ".join(table.name(k) for k in positions if k in times)
        warnings.warn(
            f"column {shown} of {table.path} rises steadily and looks like the time; "
            f"leave it out with columns={advice!r}.",
            UserWarning,
            stacklevel=4,
        )
