"""Reading one text file of one's own: header, numbers, columns that hold text."""

import csv
import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ._files import DatasetFormatError, show_some

_HEADER_LINES = 50


@dataclass(frozen=True)
class TextLayout:
    """How the files are written, and which of their columns must be numbers.

    Parameters
    ----------
    delimiter : str or None
        Separator; None splits at white space.
    skiprows : int or None
        Lines above the header or the numbers; None finds them.
    decimal : {".", ","}
        Decimal sign.
    numbers : tuple or None
        Columns that must hold numbers; None for all except `text`.
    text : int, str or None
        Column that may hold text.
    """

    delimiter: str | None
    skiprows: int | None
    decimal: str
    numbers: tuple | None
    text: int | str | None


@dataclass(frozen=True)
class TextTable:
    """Content of one file: numbers as float64 columns, the rest as text."""

    path: object
    frame: pd.DataFrame
    names: list | None
    skip: int
    decimal: str = "."

    @property
    def n_columns(self):
        """Number of columns."""
        return self.frame.shape[1]

    def name(self, position):
        """Return how a message calls a column."""
        if self.names is not None and position < len(self.names):
            return repr(self.names[position])
        return str(position)

    def positions(self, wanted, parameter):
        """Return the positions of columns given by name or number."""
        positions = []
        for column in wanted:
            if isinstance(column, str):
                if self.names is None or column not in self.names:
                    have = (
                        "no header line"
                        if self.names is None
                        else show_some(self.names, 20)
                    )
                    raise DatasetFormatError(
                        f"{parameter}: {self.path} has no column {column!r}; it has "
                        f"{have}."
                    )
                column = self.names.index(column)
            if not 0 <= column < self.n_columns:
                raise DatasetFormatError(
                    f"{parameter}: {self.path} has {self.n_columns} columns, numbered "
                    f"from 0; {column} is not one of them."
                )
            positions.append(int(column))
        return positions

    def is_number(self, position):
        """Return whether a column holds numbers only."""
        return self.frame.dtypes.iloc[position].kind == "f"

    def take(self, columns, parameter):
        """Return chosen columns as finite numbers (n_times, n_columns)."""
        positions = self.positions(columns, parameter)
        for position in positions:
            if not self.is_number(position):
                self._refuse_text(position, parameter)
        part = self.frame.iloc[:, positions].to_numpy(np.float64)
        bad = ~np.isfinite(part).all(axis=1)
        if bad.any():
            raise DatasetFormatError(
                f"{self.path} holds missing or non-finite values in {int(bad.sum())} "
                f"line(s), the first near line {self._line(bad)}; remove or "
                "interpolate them."
            )
        return part

    def take_labels(self, column):
        """Return one column of whole numbers, or of texts without gaps."""
        (position,) = self.positions([column], "label_column")
        if self.is_number(position):
            labels = self.take([column], "label_column")[:, 0]
            fractions = labels % 1 != 0
            if fractions.any():
                raise DatasetFormatError(
                    f"{self.path}: label_column={column!r} must hold whole numbers or "
                    f"text; found {labels[fractions][0]:g} near line "
                    f"{self._line(fractions)}."
                )
            return labels.astype(np.int64)
        labels = self.frame.iloc[:, position]
        missing = labels.isna() | (labels.str.strip() == "")
        if missing.any():
            raise DatasetFormatError(
                f"{self.path}: label_column={column!r} is empty in "
                f"{int(missing.sum())} line(s), the first near line "
                f"{self._line(missing)}; give every sample a label."
            )
        return labels.str.strip().to_numpy(dtype=str)

    def _line(self, bad):
        return int(np.flatnonzero(bad)[0]) + self.skip + 1

    def _refuse_text(self, position, parameter):
        cells = self.frame.iloc[:, position]
        bad = (_numbers(cells, self.decimal).isna() & cells.notna()).to_numpy()
        cell = cells.to_numpy()[bad][0] if bad.any() else ""
        raise DatasetFormatError(
            f"{parameter}: {self.path} holds text in column {self.name(position)}: "
            f"{cell!r} near line {self._line(bad)}. {_advice(cell)}"
        )


def read_table(path, layout):
    """Read all columns of a file.

    Parameters
    ----------
    path : Path
        The file.
    layout : TextLayout
        How it is written.

    Returns
    -------
    TextTable
    """
    skip, names = _find_numbers(path, layout)
    options = {
        "sep": r"\s+" if layout.delimiter is None else layout.delimiter,
        "header": None,
        "skiprows": skip,
        "encoding": "utf-8-sig",
        "compression": None,
        "skipinitialspace": True,
        "decimal": layout.decimal,
        # Words such as None or NA may be labels.
        "keep_default_na": False,
        "na_values": [""],
    }
    try:
        try:
            frame = pd.read_csv(path, dtype=np.float64, **options)
        except pd.errors.ParserError:
            raise
        except ValueError:
            frame = pd.read_csv(path, low_memory=False, **options)
            for k in frame:
                frame[k] = _plain(frame[k], layout.decimal)
    except (ValueError, OverflowError) as error:
        raise DatasetFormatError(
            f"{path} is not a table of numbers below line {skip} ({error})."
        ) from None
    # A separator at the end of every line makes an empty last column.
    if frame.shape[1] > 1 and frame.iloc[:, -1].isna().all():
        frame = frame.iloc[:, :-1]
    return TextTable(path, frame, names, skip, layout.decimal)


def _numbers(cells, decimal):
    """Convert texts to numbers, NaN where that is impossible."""
    if decimal != ".":
        # A point would be the sign of thousands, of which nothing is known.
        cells = cells.where(~cells.str.contains(".", regex=False, na=False))
        cells = cells.str.replace(decimal, ".", regex=False)
    return pd.to_numeric(cells, errors="coerce").astype(np.float64)


def _plain(cells, decimal):
    """Return a column as float64 if each of its cells is a number, else as text."""
    if cells.dtype.kind in "iuf":
        return cells.astype(np.float64)
    cells = cells.map(str, na_action="ignore")
    values = _numbers(cells, decimal)
    gaps = cells.isna() | cells.str.strip().str.lower().isin(["nan", "-nan"])
    return values if (values.notna() | gaps).all() else cells


def _is_number(text, decimal):
    if decimal != ".":
        if "." in text:
            return False
        text = text.replace(decimal, ".")
    try:
        float(text)
    except ValueError:
        return False
    return True


def _split(line, delimiter):
    if delimiter is None:
        cells = line.split()
    elif len(delimiter) == 1:
        rows = csv.reader([line], delimiter=delimiter, skipinitialspace=True)
        cells = next(rows, [])
    else:
        cells = line.split(delimiter)
    return [cell.strip().strip('"') for cell in cells]


def _has_comma(cell):
    return re.fullmatch(r"\s*[-+]?\d*,\d+\s*", cell) is not None


def _advice(cell):
    """Return what to do about a cell that is no number."""
    if _has_comma(cell):
        return 'Pass decimal="," for numbers with a decimal comma.'
    return (
        "Channels must hold numbers: leave the column out with columns=, or name it "
        "with label_column= if it holds labels."
    )


def _find_numbers(path, layout):
    """Return the lines to skip and the column names, if a line holds them."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            lines = [line for _, line in zip(range(_HEADER_LINES), file, strict=False)]
    except UnicodeDecodeError:
        raise DatasetFormatError(
            f"{path} is not a text file in UTF-8; export it as CSV."
        ) from None
    first = layout.skiprows or 0
    rows = [_split(line.rstrip("\r\n"), layout.delimiter) for line in lines]
    numeric = [[not c or _is_number(c, layout.decimal) for c in row] for row in rows]
    strict = [any(row) and all(flags) for row, flags in zip(rows, numeric, strict=True)]
    # A line with text can only be data if it has as many cells as those below.
    found = [k for k in range(first, len(rows)) if strict[k]][:1]
    found = found or [k for k in range(first, len(rows)) if any(rows[k])][-1:]
    if not found:
        _refuse_file(path, layout, lines[first:], [], None)
    width = len(rows[found[0]])
    names = None
    for k in range(first, len(lines)):
        if strict[k] or (
            len(rows[k]) == width and _fits(rows[k], numeric[k], names, layout)
        ):
            return k, names
        if layout.skiprows is not None and k > first:
            break
        names = rows[k] or names
    _refuse_file(path, layout, lines[first:], rows, found[0])


def _fits(row, numeric, names, layout):
    """Return whether a line holds numbers wherever they are needed."""

    def place(column):
        if isinstance(column, str):
            return names.index(column) if names and column in names else None
        return column

    if layout.numbers is None:
        if layout.text is None:
            return False
        free = place(layout.text)
        # A separator at the end of the line makes an empty cell.
        needed = [k for k in range(len(row)) if k != free and row[k]]
    else:
        needed = [place(column) for column in layout.numbers]
    return bool(needed) and all(
        k is not None and 0 <= k < len(row) and row[k] and numeric[k] for k in needed
    )


def _refuse_file(path, layout, lines, rows, last):
    """Raise an error that says why no line of numbers was found."""
    cells = [] if last is None else rows[last]
    header = next((row for row in rows if len(row) == len(cells)), None)
    if header is cells or (header and any(_is_number(c, ".") for c in header)):
        header = None
    free = layout.text
    if isinstance(free, str):
        free = header.index(free) if header and free in header else None
    words = [
        k
        for k, cell in enumerate(cells)
        if cell and k != free and not _is_number(cell, layout.decimal)
    ]
    # Several cells in a line mean that the separator is right, unless a cell holds
    # another one.
    columns = len(cells) > 1 and not any(sign in c for c in cells for sign in ";\t")
    text = cells[words[0]] if words else ""
    if columns and words and (len(words) < len(cells) or _has_comma(text)):
        name = repr(header[words[0]]) if header else str(words[0])
        raise DatasetFormatError(
            f"{path} holds text in column {name}: {text!r} in line {last + 1}. "
            f"{_advice(text)}"
        )
    raise DatasetFormatError(
        f"{path} holds no line of numbers separated by {layout.delimiter!r} within its "
        f"first {_HEADER_LINES} lines; it begins with {lines[:1]!r}. Pass delimiter= "
        '(";", "\\t" or None for white space), skiprows= (lines above the header) or '
        'decimal="," (numbers with a decimal comma).'
    )
