"""Checks of the arguments that sources of windows are given."""

import numpy as np

from .._validation import check_number
from ._labels import as_column

__all__ = ["check_indices", "check_rates", "check_shift"]


def check_rates(sfreq, known, what):
    """Return a rate for each recording: those given, else those known."""
    if sfreq is None:
        return known
    if np.ndim(sfreq) == 0:
        check_number("sfreq", sfreq, minimum=0, include_minimum=False)
        return np.broadcast_to(np.float64(sfreq), known.shape)
    rates = as_column(np.asarray(sfreq, dtype=np.float64), len(known), "sfreq", what)
    for rate in rates:
        check_number("sfreq", rate, minimum=0, include_minimum=False)
    return np.array(rates)


def check_indices(indices, n_windows):
    """Return numbers of windows as int64."""
    indices = np.asarray(indices)
    if indices.ndim != 1 or (indices.dtype.kind not in "iu" and indices.size):
        raise TypeError(
            "indices must be a list of whole numbers; got an array of type "
            f"{indices.dtype} and shape {indices.shape}."
        )
    indices = indices.astype(np.int64)
    if indices.size and not 0 <= indices.min() <= indices.max() < n_windows:
        raise IndexError(
            f"indices must be from 0 to {n_windows - 1}; got {indices.min()} to "
            f"{indices.max()}."
        )
    return indices


def check_shift(shift, n_windows):
    """Return shifts of windows as int64."""
    shift = np.asarray(shift)
    if shift.dtype.kind not in "iu" or shift.shape not in ((), (n_windows,)):
        raise ValueError(
            f"shift must be one whole number, or one for each of the {n_windows} "
            f"windows; got an array of type {shift.dtype} and shape {shift.shape}."
        )
    return shift.astype(np.int64)
