"""Labels and groups of recordings as whole numbers."""

import warnings

import numpy as np

from ._recordings import is_unknown

__all__ = ["encode_groups", "encode_labels"]


def encode_labels(labels, n_recordings, what, classes=None):
    """Return the classes and the code of every label, -1 where it is unknown.

    Parameters
    ----------
    labels : array-like of shape (n_recordings,) or None
        Labels that can be sorted; None, NaN and the number -1 are unknown.
    n_recordings : int
        How many there must be.
    what : str
        What has a label, for messages.
    classes : ndarray or None, default=None
        Labels that a model has learned, in the order of their codes.

    Returns
    -------
    classes : ndarray or None
        Those given, else those that occur, sorted; None if no label is known.
    codes : ndarray of shape (n_recordings,)
        Positions in `classes`.

    Raises
    ------
    ValueError
        If the number or the kind of the labels does not fit, or the model has not
        learned one of them.
    """
    codes = np.full(n_recordings, -1, dtype=np.int64)
    if labels is None:
        return classes, codes
    values = as_column(labels, n_recordings, "y", what)
    marked = [
        isinstance(value, (int, float)) and not isinstance(value, bool) and value == -1
        for value in values
    ]
    known = [
        not (minus or is_unknown(value))
        for value, minus in zip(values, marked, strict=True)
    ]
    try:
        present = {value for value, keep in zip(values, known, strict=True) if keep}
    except TypeError as error:
        raise ValueError(
            f"y must hold one label for each of the {n_recordings} {what} ({error})."
        ) from None
    if not present:
        return classes, codes
    broken = next((v for v in present if isinstance(v, float) and v % 1), None)
    if broken is not None:
        raise ValueError(
            f"y holds fractions such as {broken!r}; pass labels of classes (whole "
            "numbers or text), or y=None."
        )
    if classes is None:
        ordered = _sorted_classes(present)
        classes = np.array(ordered)
        if len(ordered) == 1 and any(marked):
            warnings.warn(
                f"y holds the label {ordered[0]!r} and -1, which means an unknown "
                "label; if -1 is a class of yours, give it another name.",
                UserWarning,
                stacklevel=4,
            )
    else:
        ordered = classes.tolist()
        if new := sorted(present.difference(ordered), key=repr):
            raise ValueError(
                f"y (or what the data say of themselves) holds {_few(new)}, but the "
                f"labels learned so far are {_few(ordered)}; pass y with None for all "
                "others, or call fit with all labels."
            )
    position = {value: code for code, value in enumerate(ordered)}
    codes[known] = [
        position[value] for value, keep in zip(values, known, strict=True) if keep
    ]
    return classes, codes


def _sorted_classes(present):
    try:
        return sorted(present)
    except TypeError:
        kinds = sorted({type(value).__name__ for value in present})
        raise ValueError(
            f"y mixes labels of the types {', '.join(kinds)}, which cannot be sorted; "
            "pass one type, and None where the label is unknown."
        ) from None


def _few(labels):
    """Write labels for a message, not all of many."""
    shown = ", ".join(map(repr, labels[:10]))
    return f"{shown}, ..." if len(labels) > 10 else shown


def encode_groups(groups, n_recordings, what):
    """Return the number of the group of every recording, in order of appearance.

    Parameters
    ----------
    groups : sequence of n_recordings hashable values, or None
        A recording whose group is unknown (None, NaN) is a group of its own.
    n_recordings : int
        How many there must be.
    what : str
        What has a group, for messages.

    Returns
    -------
    ndarray of shape (n_recordings,)

    Raises
    ------
    ValueError
        If the number or the kind of the groups does not fit.
    """
    if groups is None:
        return np.arange(n_recordings)
    values = as_column(groups, n_recordings, "groups", what)
    numbers = {}
    try:
        codes = [
            numbers.setdefault(
                ("own", i) if is_unknown(value) else ("group", value), len(numbers)
            )
            for i, value in enumerate(values)
        ]
    except TypeError as error:
        raise ValueError(
            f"groups must hold values such as names or numbers ({error})."
        ) from None
    return np.array(codes, dtype=np.int64)


def as_column(values, n_recordings, name, what):
    """Return one Python value for each recording."""
    if getattr(values, "ndim", 1) != 1 or isinstance(values, (str, bytes)):
        raise ValueError(
            f"{name} must hold one value for each of the {n_recordings} {what}; got "
            f"{type(values).__name__} of shape {np.shape(values)}."
        )
    values = values.tolist() if hasattr(values, "tolist") else list(values)
    # Scalars of numpy compare with others, and sort, as Python's own do.
    values = [v.item() if isinstance(v, np.generic) else v for v in values]
    if len(values) != n_recordings:
        raise ValueError(
            f"{name} has {len(values)} values for {n_recordings} {what}; pass one for "
            "each."
        )
    return values
