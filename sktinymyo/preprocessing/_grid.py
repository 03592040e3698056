"""Grids of electrodes as transformers: spatial median, repair of bad electrodes."""

import warnings

import numpy as np

from .._validation import check_number
from ..signal.grid import find_bad_channels, grid_cells, grid_median, repair_weights
from ._base import WindowsToWindows, is_three_dimensional, window_names

__all__ = ["GridMedian", "GridRepair"]


class _GridTransformer(WindowsToWindows):
    """Base of the transformers that know which channel lies where."""

    def _fit_grid(self, X):
        """Validate windows in `fit` and work out the cells of the grid."""
        n_channels = self.n_channels
        if self.grid is not None:
            cells = grid_cells(self.grid, n_channels)
            flat = not is_three_dimensional(X)
            n_channels = int((cells >= 0).sum()) if flat else None
        windows, _ = self._validate(X, reset=True, n_channels=n_channels)
        grid = (1, self.n_channels_in_) if self.grid is None else self.grid
        self.cells_ = grid_cells(grid, self.n_channels_in_)
        return windows

    def _validate_again(self, X):
        n_channels = None
        if not is_three_dimensional(X):
            n_channels = getattr(self, "n_channels_in_", None)
        return self._validate(X, reset=False, n_channels=n_channels)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of flattened output.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only compared with the names seen in `fit`.

        Returns
        -------
        names : ndarray of str objects
            ``ch0_t0``, ``ch0_t1``, ... channel after channel.
        """
        self._check_input_names(input_features)
        return window_names(self.n_channels_in_, self.n_times_in_)


class GridMedian(_GridTransformer):
    """Replace every electrode of a grid by the median of its neighbourhood.

    Takes away what a single electrode alone sees, such as the noise of a bad contact,
    sample by sample.

    Parameters
    ----------
    grid : tuple of 2 int, array-like of shape (n_rows, n_columns) or None, default=None
        Where the channels lie: ``(rows, columns)`` of a grid numbered row by row, or a
        table with the channel of every cell and -1 for cells without an electrode.
        None puts them in one row.
    reach : int, default=1
        Rows and columns that the neighbourhood extends to each side; 1 is 3 x 3.
    n_channels : int or None, default=None
        Channels of flattened windows; None means those of `grid`, without a grid one.

    Attributes
    ----------
    cells_ : ndarray of int, shape (n_rows, n_columns)
        Channel of every cell, -1 for none.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    See Also
    --------
    GridRepair : Fills in bad electrodes and leaves the good ones alone.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import GridMedian
    >>> X = np.ones((1, 9, 2))
    >>> X[0, 4] = 50  # the middle of 3 x 3
    >>> GridMedian((3, 3)).fit_transform(X).max()
    np.float64(1.0)
    """

    def __init__(self, grid=None, *, reach=1, n_channels=None):
        self.grid = grid
        self.reach = reach
        self.n_channels = n_channels

    def fit(self, X, y=None):
        """Remember the grid.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : GridMedian

        Raises
        ------
        ValueError
            If a parameter is not accepted, or the grid has another number of channels.
        """
        check_number("reach", self.reach, minimum=1, integer=True)
        self._fit_grid(X)
        return self

    def transform(self, X):
        """Filter windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of the shape of X
            float32 for float32 windows.
        """
        windows, flat = self._validate_again(X)
        return self._as_given(grid_median(windows, self.cells_, self.reach), flat)


class GridRepair(_GridTransformer):
    """Fill in bad electrodes of a grid from the good ones around them.

    Parameters
    ----------
    grid : tuple of 2 int, array-like of shape (n_rows, n_columns) or None, default=None
        Where the channels lie: ``(rows, columns)`` of a grid numbered row by row, or a
        table with the channel of every cell and -1 for cells without an electrode.
        None puts them in one row.
    bad : "auto" or array-like of int, default="auto"
        Channels to fill in. "auto" finds in `fit` those that are dead, or much weaker
        or louder than those around them
        (:func:`~sktinymyo.signal.grid.find_bad_channels`). Electrodes go bad with each
        wearing: fit on windows of the session that is repaired.
    threshold : float, default=6.0
        How far from its neighbours an electrode has to be for "auto", in spreads over
        the grid.
    n_channels : int or None, default=None
        Channels of flattened windows; None means those of `grid`, without a grid one.

    Attributes
    ----------
    bad_channels_ : ndarray of int
        Channels that are filled in.
    weights_ : ndarray of shape (n_bad, n_channels)
        With what: the inverse of the squared distance of the nearest good electrodes.
    cells_ : ndarray of int, shape (n_rows, n_columns)
        Channel of every cell, -1 for none.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    See Also
    --------
    GridMedian : Median of every electrode's neighbourhood.

    Notes
    -----
    If no electrode is bad, `transform` returns the windows themselves, not a copy.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import GridRepair
    >>> X = np.random.default_rng(0).normal(size=(20, 16, 40))
    >>> X[:, 5] = 0
    >>> repair = GridRepair((4, 4)).fit(X)
    >>> repair.bad_channels_
    array([5])
    >>> bool(repair.transform(X)[:, 5].any())
    True
    """

    def __init__(self, grid=None, *, bad="auto", threshold=6.0, n_channels=None):
        self.grid = grid
        self.bad = bad
        self.threshold = threshold
        self.n_channels = n_channels

    def fit(self, X, y=None):
        """Find the bad electrodes, and what to fill them in with.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.

        Returns
        -------
        self : GridRepair

        Raises
        ------
        ValueError
            If a parameter is not accepted, the grid has another number of channels, or
            `bad` names all channels or one that is not there.

        Warns
        -----
        UserWarning
            If "auto" finds no good channel at all; nothing is then filled in.
        """
        check_number("threshold", self.threshold, minimum=0, include_minimum=False)
        given = None
        if not (isinstance(self.bad, str) and self.bad == "auto"):
            if isinstance(self.bad, str):
                raise ValueError(
                    f"bad={self.bad!r} is not accepted; pass 'auto' or channel numbers."
                )
            given = [
                int(check_number("bad", channel, minimum=0, integer=True))
                for channel in np.asarray(self.bad, dtype=object).ravel().tolist()
            ]
        windows = self._fit_grid(X)
        if given is None:
            bad = find_bad_channels(windows, self.cells_, self.threshold)
            if len(bad) == self.n_channels_in_:
                warnings.warn(
                    f"all {len(bad)} channels are constant: no electrode is left to "
                    "fill the others in from, and the windows stay as they are.",
                    UserWarning,
                    stacklevel=2,
                )
                bad = bad[:0]
        else:
            bad = np.unique(np.array(given, dtype=np.intp))
        self.weights_ = repair_weights(self.cells_, bad)
        self.bad_channels_ = bad
        return self

    def transform(self, X):
        """Fill in the bad electrodes of windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        X_new : ndarray of the shape of X
            float32 for float32 windows.
        """
        windows, flat = self._validate_again(X)
        if len(self.bad_channels_):
            filled = windows.copy()
            weights = self.weights_.astype(windows.dtype)
            filled[:, self.bad_channels_] = np.matmul(weights, windows)
            windows = filled
        return self._as_given(windows, flat)
