"""Cutting large arrays into blocks of rows, so that temporaries stay small."""

import numpy as np

from ..exceptions import WindowsError

__all__ = ["as_float", "row_blocks"]


def as_float(X):
    """Return X as float32 or float64: the smallest of the two that holds it.

    Floats of these types are returned as they are; integers of at most 16
    bits and half floats become float32, everything else float64.
    """
    array = np.asarray(X)
    if np.iscomplexobj(array) or not (
        np.issubdtype(array.dtype, np.number) or array.dtype == bool
    ):
        raise WindowsError(f"samples must be real numbers; got type {array.dtype}.")
    if array.dtype in (np.float32, np.float64):
        return array
    smallest = np.result_type(array.dtype, np.float32)
    return array.astype(np.float32 if smallest == np.float32 else np.float64)


def row_blocks(n_rows, row_length, n_elements):
    """Yield slices over rows, each of about `n_elements` elements, at least one row."""
    size = max(1, n_elements // max(1, row_length))
    for start in range(0, n_rows, size):
        yield slice(start, min(start + size, n_rows))
