"""Windows of a calibration that are far stronger, or weaker, than they should be."""

import numpy as np

from ...exceptions import WindowsError

__all__ = ["check_strength", "find_artefacts"]

# Times the peak that nine of ten windows stay below. Contractions differ less.
_ARTEFACT = 20.0
# Times the strength in `fit`. Rest is above a thirtieth of it; wrong units are
# thousands.
_MOST_STRENGTH = 30.0


def find_artefacts(windows):
    """Return the windows with samples far beyond those of the others.

    A single broken sample would set the size of a step, and nothing would be left for
    the muscles.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, n_channels, n_times)
        Scaled windows.

    Returns
    -------
    artefacts : ndarray of int
        Indices of the windows whose largest value is more than 20 times that which
        nine of ten windows stay below.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.export._integer.strength import find_artefacts
    >>> windows = np.random.default_rng(0).normal(size=(40, 2, 30))
    >>> windows[7, 0, 3] = 1e6
    >>> find_artefacts(windows)
    array([7])
    """
    peaks = np.maximum(windows.max(axis=(1, 2)), -windows.min(axis=(1, 2)))
    # One window of ten is above the usual ones even where there are only eight.
    usual = np.percentile(peaks, 90, method="lower")
    return np.flatnonzero(peaks > _ARTEFACT * usual)


def check_strength(windows):
    """Refuse windows of another unit than those of the training.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, n_channels, n_times)
        Scaled by what `fit` learned, so that their strength should be about 1.

    Raises
    ------
    WindowsError
        If they are 30 times stronger or weaker on most channels.
    """
    strength = np.median(np.sqrt(np.square(windows).mean(axis=(0, 2))))
    if not 1 / _MOST_STRENGTH <= strength <= _MOST_STRENGTH:
        raise WindowsError(
            f"the windows of X_calib are {strength:.3g} times as strong as those of "
            "fit after the preprocessing; pass raw windows in the unit of fit (volts "
            "and millivolts mixed up?), of all gestures."
        )
