"""Recognising the column of times in a table, and the sampling rate it states."""

import re

import numpy as np

_FEWEST_LINES = 10
# Rates at which electromyograms are recorded, with room on both sides.
_LOWEST_RATE, _HIGHEST_RATE = 20, 20_000
_UNITS = (("seconds", 1), ("milliseconds", 1e3), ("microseconds", 1e6))


def _is_named(name):
    return name is not None and re.match(r"time|t(\W|_|$)", name, re.I) is not None


def _mean_step(values):
    """Return the step of a column that rises along a line, else None."""
    steps = np.diff(values)
    if len(values) < _FEWEST_LINES or not (steps >= 0).all():
        return None
    step = (values[-1] - values[0]) / len(steps)
    if not step > 0:
        return None
    line = values[0] + step * np.arange(len(values))
    # Stamps are rounded, or shared by the samples of a packet.
    slack = max(step, 1e-3 * (values[-1] - values[0]))
    return step if np.abs(values - line).max() <= slack * (1 + 1e-6) else None


def looks_like_time(values, name):
    """Return whether a column is probably the time or a running number.

    Parameters
    ----------
    values : ndarray of shape (n_times,)
        The column.
    name : str or None
        Its name in the header.
    """
    rises = len(values) > 1 and bool((np.diff(values) >= 0).all())
    return _mean_step(values) is not None or (_is_named(name) and rises)


def stated_rate(values, name, sfreq):
    """Return the sampling rate that a column of times states against `sfreq`.

    Parameters
    ----------
    values : ndarray of shape (n_times,)
        The column.
    name : str or None
        Its name in the header.
    sfreq : float
        Sampling rate given by the user, in Hz.

    Returns
    -------
    tuple of (float, str) or None
        Rate in Hz and the unit of time that it follows from; None if the column
        is no regular time or agrees with `sfreq` in some unit.
    """
    step = _mean_step(values)
    if step is None:
        return None
    counter = (values % 1 == 0).all() and np.diff(values).max() <= 1
    if counter and not _is_named(name):
        return None
    rates = [(factor / step, unit) for unit, factor in _UNITS]
    # The step of a few rounded stamps is only as good as their number.
    tolerance = 0.01 + 1 / (len(values) - 1)
    if any(abs(rate / sfreq - 1) <= tolerance for rate, _ in rates):
        return None
    likely = [item for item in rates if _LOWEST_RATE <= item[0] < _HIGHEST_RATE]
    return likely[0] if likely else None
