"""Grids of electrodes: cells, neighbours, medians, bad channels."""

import numpy as np
import pytest

from sktinymyo.signal import (
    find_bad_channels,
    grid_cells,
    grid_images,
    grid_median,
    grid_neighbors,
    repair_weights,
)

GAPS = np.array([[0, 1, -1], [2, 3, 4]])


def smooth(grid=(8, 8), n_windows=20, n_times=60, seed=0):
    """Noise whose strength changes slowly over the grid."""
    rng = np.random.default_rng(seed)
    rows, columns = np.indices(grid)
    strength = 1 + 3 * np.exp(-((rows - 3) ** 2 + (columns - 2) ** 2) / 8)
    X = rng.standard_normal((n_windows, *grid, n_times)) * strength[..., None]
    return X.reshape(n_windows, -1, n_times)


def test_neighbors_of_a_grid_with_a_gap():
    neighbors = [others.tolist() for others in grid_neighbors(GAPS)]
    assert neighbors == [[1, 2, 3], [0, 2, 3, 4], [0, 1, 3], [0, 1, 2, 4], [1, 3]]
    assert len(grid_neighbors(grid_cells((5, 5)), reach=2)[12]) == 24


def test_a_pair_may_be_an_array():
    np.testing.assert_array_equal(grid_cells(np.array([2, 3])), grid_cells((2, 3)))


def test_images_hold_every_channel_in_its_cell():
    values = np.arange(10.0).reshape(2, 5)
    images = grid_images(values, GAPS, fill=-9)
    np.testing.assert_array_equal(images[1], [[5, 6, -9], [7, 8, 9]])


@pytest.mark.parametrize("cells", [grid_cells((4, 3)), GAPS], ids=["full", "gap"])
def test_median_is_that_of_a_plain_loop(cells):
    n_channels = (cells >= 0).sum()
    X = np.random.default_rng(0).standard_normal((3, n_channels, 7)).astype("float32")
    expected = X.copy()
    for channel, others in enumerate(grid_neighbors(cells)):
        expected[:, channel] = np.median(X[:, [channel, *others]], axis=1)
    seen = grid_median(X, cells)
    np.testing.assert_array_equal(seen, expected)
    assert seen.dtype == np.float32
    np.testing.assert_array_equal(grid_median(X[0], cells), expected[0])


def test_bad_channels_are_found_and_good_ones_left():
    cells = grid_cells((8, 8))
    X = smooth()
    assert find_bad_channels(X, cells).tolist() == []
    X[:, 10] = 4.2  # without contact: an offset
    X[:, 30] *= 25
    X[:, 63] /= 25
    assert find_bad_channels(X, cells).tolist() == [10, 30, 63]
    assert find_bad_channels(np.zeros((2, 64, 5)), cells).tolist() == list(range(64))


def test_repair_comes_close_to_what_the_electrode_would_have_seen():
    cells = grid_cells((8, 8))
    rows, columns = np.indices((8, 8))
    truth = (2.0 * rows + 3.0 * columns + 1).ravel()
    broken = truth.copy()
    broken[[27, 28]] = 1000
    weights = repair_weights(cells, [27, 28])
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert (weights[:, [27, 28]] == 0).all()
    np.testing.assert_allclose(weights @ broken, truth[[27, 28]], atol=1)
    # Inside a dead region the next ring of electrodes serves.
    island = [c for c in range(64) if 2 <= c // 8 <= 4 and 2 <= c % 8 <= 4]
    middle = repair_weights(cells, island)[island.index(27)]
    assert middle @ truth == pytest.approx(truth[27])
    with pytest.raises(ValueError, match="all 64 channels"):
        repair_weights(cells, range(64))
    with pytest.raises(ValueError, match="64"):
        repair_weights(cells, [64])


@pytest.mark.parametrize(
    ("grid", "error", "match"),
    [
        ((0, 4), ValueError, "no cells"),
        ([[0, 2]], ValueError, "exactly once"),
        ([[0, 0]], ValueError, "exactly once"),
        ([[-1]], ValueError, "no electrode"),
        ([[0, -2]], ValueError, "exactly once"),
        ([[0.0, 1.0]], TypeError, "grid"),
        ([[0, 1], [2]], TypeError, "grid"),
        ("16x8", TypeError, "16x8"),
    ],
)
def test_grids_refused(grid, error, match):
    with pytest.raises(error, match=match):
        grid_cells(grid)
