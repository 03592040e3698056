"""Windows as a graph takes them."""

import numpy as np

from .._validation import as_windows
from ..exceptions import WindowsError

__all__ = ["as_float_windows", "written_shape"]


def as_float_windows(name, X):
    """Return windows as float32; refuse them if they are none or not finite.

    Parameters
    ----------
    name : str
        Name of the parameter, for messages.
    X : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Windows of any real type.

    Returns
    -------
    windows : ndarray of float32, of the same shape

    Raises
    ------
    WindowsError
        If X has another number of dimensions, is empty, or holds anything else than
        numbers that are finite in float32.
    """
    X = np.asarray(as_windows(X))
    if X.ndim not in (2, 3) or 0 in X.shape or X.dtype.kind not in "fiub":
        raise WindowsError(
            f"{name} must hold one window or more as numbers, (n_windows, n_channels, "
            f"n_times) or (n_windows, n_channels * n_times); got shape {X.shape} of "
            f"type {X.dtype}."
        )
    with np.errstate(over="ignore"):
        X = X.astype(np.float32)
    if not np.isfinite(X).all():
        raise WindowsError(
            f"{name} holds NaN, infinity or values too large for float32; leave such "
            "windows out, or scale them."
        )
    return X


def written_shape(shape):
    """Return the shape of windows for a message, such as "(n_windows, 8, 400)".

    Parameters
    ----------
    shape : sequence of int
        Shape of one window.

    Returns
    -------
    text : str
    """
    return f"({', '.join(['n_windows', *map(str, shape)])})"
