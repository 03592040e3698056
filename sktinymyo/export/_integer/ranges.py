"""Choice of scales: which real range the steps of an integer tensor cover."""

import numpy as np

__all__ = ["asymmetric_range", "clipping_scales", "symmetric_scale", "weight_scales"]

# Parts of the full range that are tried as clipping range.
_FRACTIONS = np.concatenate([np.linspace(1.0, 0.5, 26), np.linspace(0.47, 0.11, 13)])
_WEIGHT_FRACTIONS = np.linspace(1.0, 0.6, 21)
_MOST_VALUES = 60_000


def _thinned(samples):
    """Return at most so many values, evenly drawn, as float32."""
    values = np.asarray(samples, dtype=np.float32).reshape(-1)
    step = max(1, len(values) // _MOST_VALUES)
    # A step without a common divisor visits every column of a table.
    return values[:: step | 1]


def clipping_scales(largest):
    """Return the steps of a symmetric int8 tensor that are worth a try.

    Parameters
    ----------
    largest : float
        Largest absolute value seen.

    Returns
    -------
    scales : list of float
        From the step that clips nothing to finer ones.
    """
    return [_positive(largest * fraction / 127) for fraction in _FRACTIONS]


def symmetric_scale(samples, largest, *, percentile=None):
    """Return the size of a step of an int8 tensor with the zero point 0.

    Parameters
    ----------
    samples : ndarray of float
        Values that the tensor takes.
    largest : float
        Largest absolute value seen.
    percentile : float or None, default=None
        Share of absolute values inside the range, in percent; None takes the
        range of the least squared error.

    Returns
    -------
    scale : float
    """
    if percentile is not None:
        return _positive((np.percentile(np.abs(samples), percentile) or largest) / 127)
    values = _thinned(samples)

    def error(scale):
        real = np.clip(np.rint(values / scale), -128, 127) * np.float32(scale)
        return float(np.square(real - values, dtype=np.float64).mean())

    return min(clipping_scales(largest), key=error)


def asymmetric_range(samples, lowest, highest, *, percentile=None):
    """Return the size of a step and the zero point of an int8 tensor.

    Parameters
    ----------
    samples : ndarray of float
        Values that the tensor takes.
    lowest, highest : float
        Extremes seen.
    percentile : float or None, default=None
        Share of values inside the range at either end, in percent; None takes the
        range of the least squared error.

    Returns
    -------
    scale : float
    zero : int
        Integer that stands for 0.0, from -128 to 127.
    """
    lowest, highest = min(lowest, 0.0), max(highest, 0.0)
    if percentile is not None:
        low, high = np.percentile(samples, [100 - percentile, percentile])
        return _scale_and_zero(min(low, 0.0), max(high, 0.0))
    values = _thinned(samples)
    best = None
    ends = (lowest, highest)
    # One end after the other: the error is nearly a sum of what both ends clip.
    for turn in (1, 0, 1):
        tried = []
        for fraction in _FRACTIONS:
            part = [
                end * (fraction if at == turn else 1) for at, end in enumerate(ends)
            ]
            scale, zero = _scale_and_zero(*part)
            steps = np.clip(np.rint(values / scale) + zero, -128, 127)
            real = (steps - zero) * np.float32(scale)
            error = float(np.square(real - values, dtype=np.float64).mean())
            tried.append((error, part, (scale, zero)))
        _, ends, best = min(tried, key=lambda entry: entry[0])
    return best


def _scale_and_zero(lowest, highest):
    scale = _positive((highest - lowest) / 255)
    return scale, int(np.clip(np.rint(-128 - lowest / scale), -128, 127))


def _positive(scale):
    """Replace the scale of a tensor that is always zero."""
    return float(scale) if np.isfinite(scale) and scale > 1e-30 else 1.0


def weight_scales(weight, importance, least):
    """Return the size of a step of every row of an int8 weight matrix.

    Parameters
    ----------
    weight : ndarray of float64, shape (n_out, n_in)
        Real weights.
    importance : ndarray of float64, shape (n_in,)
        Variance of every input: what an error of its weights costs.
    least : ndarray of float64, shape (n_out,)
        Smallest scale that the offsets of a row allow.

    Returns
    -------
    scales : ndarray of float64, shape (n_out,)
    """
    largest = np.abs(weight).max(axis=1) / 127
    full = np.where(largest > 1e-30, largest, 1.0)
    best, lowest = full.copy(), np.full(len(full), np.inf)
    for fraction in _WEIGHT_FRACTIONS:
        scale = full * fraction
        real = np.clip(np.rint(weight / scale[:, None]), -127, 127) * scale[:, None]
        error = np.square(real - weight) @ importance
        better = error < lowest
        best[better], lowest[better] = scale[better], error[better]
    return np.maximum(best, least)
