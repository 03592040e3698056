"""Change of the sampling rate by a rational factor (polyphase filtering)."""

from fractions import Fraction

import numpy as np
from scipy import signal

from .._validation import check_choice, check_number
from ..exceptions import WindowsError
from ._blocks import as_float, row_blocks

__all__ = ["resample", "resampling_ratio"]

PADDINGS = ("mean", "line", "constant")
LARGEST_DENOMINATOR = 1000
BLOCK_ELEMENTS = 2**20


def resampling_ratio(sfreq_in, sfreq_out):
    """Return whole numbers (up, down) with ``up / down`` equal to the ratio of rates.

    Parameters
    ----------
    sfreq_in, sfreq_out : float
        Sampling rates in Hz before and after.

    Returns
    -------
    up, down : int
        Without a common factor. The smaller of the two is at most 1000: rates
        are seldom known better, and the filter's length grows with the larger.
        The ratio is exact where whole numbers of that size allow it (all usual
        rates) and otherwise off by less than one part in a million.

    Examples
    --------
    >>> from sktinymyo.signal import resampling_ratio
    >>> resampling_ratio(200, 2000), resampling_ratio(1925.926, 2000)
    ((10, 1), (27, 26))
    """
    for name, value in (("sfreq_in", sfreq_in), ("sfreq_out", sfreq_out)):
        check_number(name, value, minimum=0, include_minimum=False)
    exact = Fraction(sfreq_out) / Fraction(sfreq_in)
    if exact >= 1:
        ratio = exact.limit_denominator(LARGEST_DENOMINATOR)
    else:
        ratio = 1 / (1 / exact).limit_denominator(LARGEST_DENOMINATOR)
    return ratio.numerator, ratio.denominator


def resample(X, sfreq_in, sfreq_out, *, padding="mean"):
    """Resample along the last axis.

    Parameters
    ----------
    X : array-like of shape (..., n_times)
        A recording or windows. Not modified.
    sfreq_in, sfreq_out : float
        Sampling rates in Hz before and after; see :func:`resampling_ratio`.
    padding : {"mean", "line", "constant"}, default="mean"
        What is assumed beyond both ends: the row's mean (EMG swings about it),
        a straight line through the first and last sample (for joint angles and
        other slow targets), or zeros.

    Returns
    -------
    resampled : ndarray of shape (..., ceil(n_times * up / down))
        In the type of X if that is float32 or float64. Sample ``i`` is at the
        time ``i / sfreq_out`` after the first sample. With equal rates a copy.

    Raises
    ------
    ValueError
        If a rate is not a positive number, or X does not hold real numbers.

    Notes
    -----
    The anti-aliasing filter is the zero-phase FIR of
    :func:`scipy.signal.resample_poly` (Kaiser window, beta 5, ten zero crossings
    at the lower rate on each side; [1]_), -6 dB at half the lower rate. Nothing
    above half the lower rate comes back when the rate is raised again.

    References
    ----------
    .. [1] R. E. Crochiere and L. R. Rabiner, "Multirate Digital Signal
       Processing", Prentice-Hall, 1983, chapter 3.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import resample
    >>> recording = np.zeros((8, 1001), dtype="float32")
    >>> resample(recording, 1000, 200).shape
    (8, 201)
    """
    check_choice("padding", padding, PADDINGS)
    up, down = resampling_ratio(sfreq_in, sfreq_out)
    X = as_float(X)
    if X.ndim < 1 or X.shape[-1] < 1:
        raise WindowsError(f"X needs at least one sample in time; got shape {X.shape}.")
    if up == down:
        return X.copy()
    n_times = X.shape[-1]
    n_times_out = -(-n_times * up // down)
    resampled = np.empty((*X.shape[:-1], n_times_out), X.dtype)
    # Blocks over the first axis: each holds whole windows (or channels).
    items_in = X if X.ndim > 1 else X[np.newaxis]
    items_out = resampled if X.ndim > 1 else resampled[np.newaxis]
    if items_in.size == 0:
        return resampled
    item_size = max(n_times, n_times_out) * int(np.prod(items_in.shape[1:-1]))
    for block in row_blocks(len(items_in), item_size, BLOCK_ELEMENTS):
        items_out[block] = signal.resample_poly(
            items_in[block], up, down, axis=-1, padtype=padding
        )
    return resampled
