"""Labels per sample: codes 0, 1, ... and their names."""

from collections.abc import Mapping

import numpy as np

from ._files import DatasetFormatError, natural_sorted, show_some

# More labels than any set of gestures: a column of samples or of times.
_MOST_LABELS = 1000


def check_label_names(label_names):
    """Return `label_names` as a dict of code -> name, or None."""
    if label_names is None:
        return None
    if isinstance(label_names, str):
        raise TypeError(
            f"label_names={label_names!r} is a single text; pass a list of names, or "
            "a dict of code to name."
        )
    if not isinstance(label_names, Mapping):
        label_names = dict(enumerate(label_names))
    names = {code: str(name) for code, name in label_names.items()}
    if len(set(names.values())) < len(names):
        raise ValueError(
            f"label_names={label_names!r} gives the same name twice; every label needs "
            "a name of its own."
        )
    return names


def encode_labels(labels, paths, label_names, parameter):
    """Turn labels as they are in the files into codes 0, 1, ...

    Parameters
    ----------
    labels : list of ndarray of shape (n_times,)
        Whole numbers, or texts, one array per file.
    paths : list of Path
        The files, for messages.
    label_names : list, dict or None
        Names of the codes 0, 1, ..., or of any labels.
    parameter : str
        How a message calls the column.

    Returns
    -------
    target : list of ndarray of int
        Positions in the names.
    target_names : list of str
        Names of the labels that occur or are named, in the order of the labels.
    """
    names = check_label_names(label_names)
    if any(values.dtype.kind == "U" for values in labels):
        # One file may hold numbers only where others hold words.
        labels = [values.astype(str) for values in labels]
        if names is not None and not isinstance(label_names, Mapping):
            raise ValueError(
                f"label_names is a list, which names the codes 0, 1, ..., but "
                f"{parameter} holds text; pass a dict of text to name, or None."
            )
        names = None if names is None else {str(k): v for k, v in names.items()}
    found = [set(np.unique(values).tolist()) for values in labels]
    known = set().union(*found)
    if len(known) > _MOST_LABELS:
        raise DatasetFormatError(
            f"{parameter} holds {len(known)} different labels; it is probably not a "
            "column of labels."
        )
    if names is not None and not isinstance(label_names, Mapping):
        for path, values in zip(paths, found, strict=True):
            if not values <= set(names):
                raise DatasetFormatError(
                    f"{path}: {parameter} must hold whole numbers from 0 to "
                    f"{len(names) - 1}, one for each of label_names; found "
                    f"{show_some(map(str, sorted(values)), 12)}. Pass a dict of code "
                    "to name for other codes."
                )
    names = names or {}
    order = natural_sorted if any(isinstance(k, str) for k in known) else sorted
    codes = order(known | set(names))
    target_names = [names.get(code, str(code)) for code in codes]
    if len(set(target_names)) < len(target_names):
        raise ValueError(
            f"label_names={label_names!r} gives a label the name of another one; found "
            f"{show_some(target_names, 20)}."
        )
    place = {code: k for k, code in enumerate(codes)}
    target = []
    for values in labels:
        levels, inverse = np.unique(values, return_inverse=True)
        new = np.array([place[level] for level in levels.tolist()], dtype=np.int64)
        target.append(new[inverse])
    return target, target_names
