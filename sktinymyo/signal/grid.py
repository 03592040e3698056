"""Grids of electrodes: which channel lies where, and what its neighbours say."""

import numbers

import numpy as np

from .._validation import check_number
from ..exceptions import WindowsError

__all__ = [
    "find_bad_channels",
    "grid_cells",
    "grid_images",
    "grid_median",
    "grid_neighbors",
    "repair_weights",
]

# Values gathered at once by the median: 32 MB in float64.
_VALUES_PER_CHUNK = 4_194_304

# From the median absolute deviation of normal values to their standard deviation.
_MAD_TO_STD = 1.4826


def grid_cells(grid, n_channels=None):
    """Return the channel number of every cell of an electrode grid.

    Parameters
    ----------
    grid : tuple of 2 int, or array-like of int, shape (n_rows, n_columns)
        Rows and columns of a grid numbered row by row, or the channel of every cell,
        with -1 for cells without an electrode.
    n_channels : int or None, default=None
        Number of channels there must be; None leaves it open.

    Returns
    -------
    cells : ndarray of int, shape (n_rows, n_columns)
        Every channel stands in one cell; -1 stands for a missing electrode.

    Raises
    ------
    ValueError
        If the grid is no such grid, a channel is missing or named twice, or the number
        of channels is another.
    TypeError
        If it holds something else than whole numbers.

    Examples
    --------
    >>> from sktinymyo.signal.grid import grid_cells
    >>> grid_cells((2, 3))
    array([[0, 1, 2],
           [3, 4, 5]])
    >>> grid_cells([[-1, 1], [0, 2]], n_channels=3)
    array([[-1,  1],
           [ 0,  2]])
    """
    expected = (
        "pass (rows, columns), or an array with the channel number of every cell and "
        "-1 for cells without an electrode"
    )
    if _is_pair(grid):
        rows, columns = grid
        if rows < 1 or columns < 1:
            raise ValueError(f"grid={grid!r} has no cells; {expected}.")
        cells = np.arange(rows * columns).reshape(rows, columns)
    else:
        try:
            cells = np.asarray(grid)
        except ValueError:
            cells = np.empty(0, dtype=object)
        if cells.dtype.kind not in "iu" or cells.ndim != 2 or not cells.size:
            raise TypeError(
                f"grid must be two whole numbers or a table of them; got {grid!r}: "
                f"{expected}."
            )
        cells = cells.astype(np.intp)
        channels = np.sort(cells[cells >= 0])
        if cells.min() < -1 or not np.array_equal(channels, np.arange(len(channels))):
            raise ValueError(
                "grid must name every channel from 0 to the last exactly once; it "
                f"names {channels.tolist()[:20]} and as lowest {cells.min()}: "
                f"{expected}."
            )
        if not len(channels):
            raise ValueError(f"grid holds no electrode; {expected}.")
    found = int((cells >= 0).sum())
    if n_channels is not None and found != n_channels:
        raise WindowsError(
            f"grid has {found} electrodes on {cells.shape[0]} x {cells.shape[1]} "
            f"cells, but there are {n_channels} channels; {expected}."
        )
    return cells


def grid_images(values, cells, fill=0.0):
    """Lay the values of channels out on their grid.

    Parameters
    ----------
    values : ndarray of shape (..., n_channels)
        One value for each channel.
    cells : ndarray of int, shape (n_rows, n_columns)
        As :func:`grid_cells` returns them.
    fill : float, default=0.0
        Value of cells without an electrode.

    Returns
    -------
    images : ndarray of shape (..., n_rows, n_columns)

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal.grid import grid_cells, grid_images
    >>> grid_images(np.array([5.0, 6.0, 7.0]), grid_cells([[-1, 1], [0, 2]]))
    array([[0., 6.],
           [5., 7.]])
    """
    values = np.asarray(values)
    images = np.take(values, cells.ravel(), axis=-1)
    images[..., cells.ravel() < 0] = fill
    return images.reshape(*values.shape[:-1], *cells.shape)


def grid_neighbors(cells, reach=1):
    """Return the channels around each channel.

    Parameters
    ----------
    cells : ndarray of int, shape (n_rows, n_columns)
        As :func:`grid_cells` returns them.
    reach : int, default=1
        How many rows and columns away a neighbour may be.

    Returns
    -------
    neighbors : list of ndarray of int
        For every channel the others within reach, in the order of the grid.

    Raises
    ------
    ValueError
        If `reach` is below one.

    Examples
    --------
    >>> from sktinymyo.signal.grid import grid_cells, grid_neighbors
    >>> [others.tolist() for others in grid_neighbors(grid_cells((1, 3)))]
    [[1], [0, 2], [1]]
    """
    check_number("reach", reach, minimum=1, integer=True)
    places = _places(cells)
    neighbors = []
    for channel, (row, column) in enumerate(places):
        around = cells[
            max(row - reach, 0) : row + reach + 1,
            max(column - reach, 0) : column + reach + 1,
        ].ravel()
        neighbors.append(around[(around >= 0) & (around != channel)])
    return neighbors


def grid_median(X, cells, reach=1):
    """Replace every channel by the median of itself and its neighbours.

    Parameters
    ----------
    X : ndarray of shape (..., n_channels, n_times)
        Windows or recordings, floats.
    cells : ndarray of int, shape (n_rows, n_columns)
        As :func:`grid_cells` returns them.
    reach : int, default=1
        How many rows and columns the neighbourhood extends to each side: 1 is 3 x 3
        electrodes. At the border of the grid, and beside missing cells, there are
        fewer.

    Returns
    -------
    X_new : ndarray of the shape and type of X
        Sample by sample.

    Raises
    ------
    ValueError
        If `reach` is below one.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal.grid import grid_cells, grid_median
    >>> grid_median(np.array([[1.0], [90.0], [3.0]]), grid_cells((1, 3))).ravel()
    array([45.5,  3. , 46.5])
    """
    members = [
        np.r_[channel, others]
        for channel, others in enumerate(grid_neighbors(cells, reach))
    ]
    flat = X.reshape(-1, *X.shape[-2:])
    result = np.empty_like(flat)
    largest = max(len(group) for group in members)
    step = max(1, _VALUES_PER_CHUNK // (largest * flat.shape[1] * flat.shape[2]))
    # Channels with as many neighbours share one call.
    for size in {len(group) for group in members}:
        channels = np.array([c for c, m in enumerate(members) if len(m) == size])
        groups = np.array([members[channel] for channel in channels])
        for start in range(0, len(flat), step):
            chunk = slice(start, start + step)
            result[chunk, channels] = np.median(flat[chunk][:, groups], axis=2)
    return result.reshape(X.shape)


def find_bad_channels(X, cells, threshold=6.0):
    """Find electrodes that are dead, or much weaker or louder than those around them.

    The logarithm of a channel's standard deviation is compared with the median of its
    neighbours', in units of the spread that these differences have over the whole grid
    (from their median absolute deviation). Muscles are larger than the distance of two
    electrodes, so that strength changes slowly over a grid.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, n_times) or (n_channels, n_times)
        Windows or a recording.
    cells : ndarray of int, shape (n_rows, n_columns)
        As :func:`grid_cells` returns them.
    threshold : float, default=6.0
        Spreads from which on a channel is bad. Far beyond what chance brings about in
        some hundred channels: a good electrode filled in is information lost.

    Returns
    -------
    bad : ndarray of int
        Numbers of the channels, in order.

    Raises
    ------
    ValueError
        If `threshold` is not above zero.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal.grid import find_bad_channels, grid_cells
    >>> X = np.random.default_rng(0).normal(size=(10, 16, 50))
    >>> X[:, 3] = 0
    >>> X[:, 9] *= 30
    >>> find_bad_channels(X, grid_cells((4, 4)))
    array([3, 9])
    """
    check_number("threshold", threshold, minimum=0, include_minimum=False)
    windows = np.asarray(X)
    windows = windows.reshape(-1, *windows.shape[-2:])
    strength = _deviations(windows)
    dead = strength <= 0
    if dead.all():
        return np.arange(len(strength))
    level = np.log(np.where(dead, strength[~dead].min(), strength))
    neighbors = grid_neighbors(cells)
    alive = [others[~dead[others]] for others in neighbors]
    around = np.array(
        [np.median(level[o]) if len(o) else np.median(level[~dead]) for o in alive]
    )
    difference = level - around
    centre = np.median(difference[~dead])
    spread = _MAD_TO_STD * np.median(np.abs(difference[~dead] - centre))
    # Differences of rounding are no spread.
    far = np.abs(difference - centre) > threshold * max(spread, 1e-3)
    return np.flatnonzero(dead | far)


def repair_weights(cells, bad):
    """Return the matrix that fills bad channels in from the good ones around them.

    Parameters
    ----------
    cells : ndarray of int, shape (n_rows, n_columns)
        As :func:`grid_cells` returns them.
    bad : array-like of int
        Channels to fill in.

    Returns
    -------
    weights : ndarray of float64, shape (n_bad, n_channels)
        Rows in the order of `bad`, each with the sum one: good channels within one row
        and column (or, where there are none, within two, and so on), weighted by the
        inverse of the squared distance.

    Raises
    ------
    ValueError
        If no channel is good, or a channel is not on the grid.

    Examples
    --------
    >>> from sktinymyo.signal.grid import grid_cells, repair_weights
    >>> repair_weights(grid_cells((1, 4)), [1])
    array([[0.5, 0. , 0.5, 0. ]])
    """
    bad = np.asarray(bad, dtype=np.intp)
    places = _places(cells)
    n_channels = len(places)
    if len(bad) and (bad.min() < 0 or bad.max() >= n_channels):
        raise ValueError(
            f"bad channels {bad.tolist()} are not all among the {n_channels} channels "
            "of the grid; channels count from 0."
        )
    good = np.ones(n_channels, dtype=bool)
    good[bad] = False
    if len(bad) and not good.any():
        raise ValueError(
            f"all {n_channels} channels of the grid are bad; there is nothing to fill "
            "them in from."
        )
    weights = np.zeros((len(bad), n_channels))
    for row, channel in zip(weights, bad, strict=True):
        apart = np.abs(places - places[channel])
        rings = np.where(good, apart.max(axis=1), np.inf)
        nearest = rings == rings.min()
        row[nearest] = 1 / (apart[nearest] ** 2).sum(axis=1)
        row /= row.sum()
    return weights


def _is_pair(grid):
    return (
        isinstance(grid, (tuple, list, np.ndarray))
        and len(grid) == 2
        and all(
            isinstance(n, numbers.Integral) and not isinstance(n, (bool, np.bool_))
            for n in grid
        )
    )


def _places(cells):
    """Return row and column of every channel, (n_channels, 2)."""
    present = np.argwhere(cells >= 0)
    places = np.empty_like(present)
    places[cells[cells >= 0]] = present
    return places


def _deviations(windows):
    """Return the standard deviation of every channel, chunk by chunk."""
    n_windows, n_channels, n_times = windows.shape
    step = max(1, _VALUES_PER_CHUNK // (n_channels * n_times))
    chunks = [slice(at, at + step) for at in range(0, n_windows, step)]
    count = n_windows * n_times
    mean = sum(windows[c].sum(axis=(0, 2), dtype=np.float64) for c in chunks) / count
    square = np.zeros(n_channels)
    for chunk in chunks:
        centred = windows[chunk] - mean[:, np.newaxis]
        square += np.einsum("nct,nct->c", centred, centred)
    deviation = np.sqrt(square / count)
    # A constant offset leaves nothing but rounding.
    return np.where(deviation <= 1e-6 * np.abs(mean), 0.0, deviation)
