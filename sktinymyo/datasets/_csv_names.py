"""What the names of one's own files say: patterns with fields."""

import re
import string
import warnings
from pathlib import PurePosixPath

import pandas as pd

from ..exceptions import DatasetNotFoundError
from ._files import check_folder, natural_sorted, show_some

_DIGITS_ONLY = ("repetition",)
_NOT_CLASSES = ("subject", "session", "repetition")


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


def check_label(label, expression):
    """Refuse a label that the names of the files do not hold.

    Parameters
    ----------
    label : str
        Field with the class.
    expression : re.Pattern
        The pattern, compiled.
    """
    fields = list(expression.groupindex)
    if label in fields:
        return
    likely = [name for name in fields if name not in _NOT_CLASSES]
    advice = (
        f"pass label={likely[0]!r}" if len(likely) == 1 else "name one of them as label"
    )
    raise ValueError(
        f"pattern has no field {label!r}, which label={label!r} asks for; its fields "
        f"are {', '.join(fields)}: {advice}. Pass label_column= or target_columns= if "
        "a column holds the targets, or label=None for files without a class."
    )


def match_files(folder, pattern, expression, label):
    """Find the files that fit a pattern.

    Parameters
    ----------
    folder : str or path
        Folder given by the user.
    pattern : str or re.Pattern
        The pattern given by the user, for messages.
    expression : re.Pattern
        The pattern, compiled.
    label : str or None
        Field with the class; repetitions that the names do not state are
        counted for each of them.

    Returns
    -------
    paths : list of Path
        In natural order.
    meta : DataFrame
        One row per file, one column per field, plus subject, session,
        repetition, gesture and file.
    """
    folder = check_folder(
        folder,
        set_name="load_csv_folder",
        expected="text files",
        get="Pass the folder that holds them.",
    )
    shown = getattr(pattern, "pattern", pattern)
    names = natural_sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file()
    )
    matches = [(name, expression.fullmatch(name)) for name in names]
    matches = [(name, match) for name, match in matches if match]
    if not matches:
        raise DatasetNotFoundError(
            f"no file below {str(folder)!r} fits pattern={shown!r}. Files there: "
            f"{show_some(names) or 'none'}. Write the pattern so that it describes "
            'the whole path, such as "{subject}/{gesture}_{repetition}.csv".'
        )
    _announce_others(names, [name for name, _ in matches], shown)
    fields = [match.groupdict(default="") for _, match in matches]
    meta = pd.DataFrame(
        {key: _natural_value([row[key] for row in fields]) for key in fields[0]}
    )
    for key in meta:
        if not pd.api.types.is_integer_dtype(meta[key]):
            meta[key] = meta[key].astype(object)
    for name in ("subject", "session"):
        if name not in meta:
            meta[name] = 0
    if "repetition" not in meta:
        keys = [key for key in ("subject", "session", "gesture", label) if key in meta]
        meta["repetition"] = meta.groupby(list(dict.fromkeys(keys))).cumcount()
    if "gesture" not in meta:
        meta["gesture"] = ""
    meta["file"] = [name for name, _ in matches]
    return [folder / name for name, _ in matches], meta


def _announce_others(names, matched, pattern):
    """Warn of files that look like recordings but do not fit."""
    endings = {PurePosixPath(name).suffix.lower() for name in matched} | {".csv"}
    alike = [name for name in names if PurePosixPath(name).suffix.lower() in endings]
    others = [name for name in alike if name not in set(matched)]
    if others:
        warnings.warn(
            f"{len(others)} of {len(alike)} files do not fit the pattern {pattern!r} "
            f"and are left out: {show_some(others)}.",
            UserWarning,
            stacklevel=4,
        )


def _natural_value(values):
    """Turn a field that is a whole number in every name into integers."""
    # "1" and "01" are the same repetition, whoever named the files.
    if all(value.isdecimal() for value in values):
        return [int(value) for value in values]
    return values
