"""Spatial median and repair as transformers."""

import numpy as np
import pytest

from sktinymyo import GridMedian, GridRepair


def windows(seed=0):
    rng = np.random.default_rng(seed)
    # What neighbouring electrodes see in common, and noise of their own.
    common = rng.standard_normal((10, 1, 50))
    return common + 0.2 * rng.standard_normal((10, 16, 50))


def test_repair_learns_the_bad_ones_in_fit():
    X = windows()
    broken = X.copy()
    broken[:, 6] *= 40
    repair = GridRepair((4, 4)).fit(broken)
    assert repair.bad_channels_.tolist() == [6]
    repaired = repair.transform(broken)
    good = np.delete(np.arange(16), 6)
    np.testing.assert_array_equal(repaired[:, good], broken[:, good])
    assert np.abs(repaired[:, 6] - X[:, 6]).mean() < 0.3
    assert broken[0, 6, 0] == 40 * X[0, 6, 0]
    flat = GridRepair((4, 4)).fit_transform(broken.reshape(10, -1))
    np.testing.assert_allclose(flat, repaired.reshape(10, -1))


def test_given_channels_are_filled_in():
    X = windows().astype(np.float32)
    table = np.arange(16).reshape(4, 4)
    table[0, 0] = -1
    table[table > 0] -= 1
    repair = GridRepair(table, bad=[3, 3, 14]).fit(X[:, :15])
    assert repair.bad_channels_.tolist() == [3, 14]
    assert repair.transform(X[:, :15]).dtype == np.float32
    untouched = GridRepair((4, 4), bad=[]).fit(X)
    assert untouched.transform(X) is X


def test_median_forgets_a_single_loud_electrode():
    X = windows()
    X[:, 5] = 1000
    assert GridMedian((4, 4)).fit_transform(X).max() < 10
    wide = GridMedian((4, 4), reach=3).fit_transform(X)
    np.testing.assert_array_equal(wide, np.median(X, axis=1, keepdims=True) + 0 * X)


@pytest.mark.parametrize(
    ("estimator", "match"),
    [
        (GridRepair((4, 5)), "20 electrodes"),
        (GridRepair((4, 4), bad="all"), "bad='all'"),
        (GridRepair((4, 4), bad=[16]), "16"),
        (GridRepair((4, 4), bad=range(16)), "all 16"),
        (GridRepair((4, 4), threshold=0), "threshold"),
        (GridMedian((4, 4), reach=0), "reach"),
        (GridMedian((2, 4), n_channels=16), "8 electrodes"),
    ],
)
def test_refused(estimator, match):
    with pytest.raises(ValueError, match=match):
        estimator.fit(windows())


def test_nothing_to_repair_from():
    with pytest.warns(UserWarning, match="all 16 channels are constant"):
        repair = GridRepair((4, 4)).fit(np.zeros((2, 16, 5)))
    assert repair.bad_channels_.size == 0
