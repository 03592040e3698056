"""The classifier of single samples of electrode grids."""

import copy
import tracemalloc

import numpy as np
import pytest

from sktinymyo import AllConvNetClassifier
from sktinymyo.exceptions import WindowsError

QUICK = {"width": 4, "max_epochs": 4, "batch_size": 16, "random_state": 0}
LEARNS = {**QUICK, "width": 8, "max_epochs": 6, "lr": 5e-3, "dropout": 0.0}


def spots(n_windows=24, grid=(4, 4), n_times=12, n_classes=3, seed=0):
    """Windows of noise, loud in the row of the grid that is the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    X = rng.standard_normal((n_windows, *grid, n_times))
    X[np.arange(n_windows), y] *= 5
    return X.reshape(n_windows, -1, n_times).astype(np.float32), y


@pytest.fixture(scope="module")
def fitted():
    X, y = spots()
    return AllConvNetClassifier((4, 4), **LEARNS).fit(X, y)


def test_votes(fitted):
    X, y = spots(seed=1)
    frames = fitted.predict_frames(X)
    assert frames.shape == (24, 12)
    assert np.mean(frames == y[:, None]) > 0.6
    counts = (frames[:, :, None] == fitted.classes_).sum(axis=1)
    probabilities = fitted.predict_proba(X)
    # The mean probability is one vote among thirteen.
    assert np.abs(probabilities * 13 - counts - 0.5).max() <= 0.5 + 1e-5
    won = np.take_along_axis(counts, fitted.predict(X)[:, None], axis=1)[:, 0]
    np.testing.assert_array_equal(won, counts.max(axis=1))
    fitted.set_params(vote=1)
    np.testing.assert_array_equal(fitted.predict(X), frames[:, -1])
    fitted.set_params(vote=13)
    with pytest.raises(ValueError, match=r"vote=13.*12"):
        fitted.predict(X)
    fitted.set_params(vote="window")


@pytest.mark.parametrize(
    ("parameters", "error"),
    [
        ({"vote": 0}, ValueError),
        ({"vote": -3}, ValueError),
        ({"vote": "all"}, TypeError),
        ({"batch_size": 0}, ValueError),
    ],
)
def test_parameters_changed_after_fit_are_checked(fitted, parameters, error):
    X, _ = spots()
    model = copy.deepcopy(fitted).set_params(**parameters)
    for method in (model.predict, model.predict_frames):
        with pytest.raises(error, match=next(iter(parameters))):
            method(X)


def test_two_samples_that_disagree_are_decided_by_the_probabilities():
    X, y = spots(n_times=2)
    model = AllConvNetClassifier((4, 4), **QUICK).fit(X, y)
    model.set_params(vote=1)
    first, last = model.predict_proba(X[:, :, ::-1]), model.predict_proba(X)
    disagree = first.argmax(axis=1) != last.argmax(axis=1)
    assert disagree.any()
    votes = np.eye(3)[first.argmax(axis=1)] + np.eye(3)[last.argmax(axis=1)]
    expected = (votes + (first + last) / 2) / 3
    model.set_params(vote="window")
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-6)
    np.testing.assert_array_equal(model.predict(X), expected.argmax(axis=1))


def test_order_of_channels_and_missing_cells():
    X, y = spots()
    cells = np.random.default_rng(3).permutation(16).reshape(4, 4)
    shuffled = np.empty_like(X)
    shuffled[:, cells.ravel()] = X
    plain = AllConvNetClassifier((4, 4), **QUICK).fit(X, y).predict_proba(X)
    mapped = AllConvNetClassifier(cells, **QUICK).fit(shuffled, y)
    np.testing.assert_allclose(mapped.predict_proba(shuffled), plain, atol=1e-6)
    # A cell without an electrode is a cell whose electrode says nothing.
    silent = X.copy()
    silent[:, 15] = 0
    gaps = np.arange(16).reshape(4, 4)
    gaps[3, 3] = -1
    without = AllConvNetClassifier(gaps, **QUICK).fit(X[:, :15], y)
    np.testing.assert_allclose(
        without.predict_proba(X[:, :15]),
        AllConvNetClassifier((4, 4), **QUICK).fit(silent, y).predict_proba(silent),
        atol=1e-6,
    )
    assert without.module_.config.rows == 4


def test_flat_windows():
    X, y = spots()
    flat = X.reshape(len(X), -1)
    expected = AllConvNetClassifier((4, 4), **QUICK).fit(X, y).predict_proba(X)
    model = AllConvNetClassifier((4, 4), **QUICK).fit(flat, y)
    np.testing.assert_array_equal(model.predict_proba(flat), expected)
    one_row = AllConvNetClassifier(**QUICK).fit(X, y).predict_proba(X)
    model = AllConvNetClassifier(n_channels=16, **QUICK).fit(flat, y)
    np.testing.assert_array_equal(model.predict_proba(flat), one_row)
    samples = AllConvNetClassifier(**QUICK).fit(X[:, :, 0], y)
    assert samples.cells_.shape == (1, 16)
    assert samples.n_times_in_ == 16 // samples.n_channels_in_ == 1


def test_images_are_windows_of_one_sample():
    X, y = spots(n_windows=60, n_times=1)
    images = X.reshape(60, 4, 4)
    as_windows = AllConvNetClassifier((4, 4), **QUICK).fit(X, y).predict_proba(X)
    model = AllConvNetClassifier("image", **QUICK).fit(images, y)
    np.testing.assert_array_equal(model.predict_proba(images), as_windows)
    assert model.predict_frames(images).shape == (60, 1)
    assert (model.n_channels_in_, model.n_times_in_) == (4, 4)
    with pytest.raises(ValueError, match="vote=2"):
        AllConvNetClassifier("image", vote=2).fit(images, y)


def test_a_part_of_the_classes_does_not_unlearn_the_rest():
    X, y = spots(n_windows=36)
    other, other_y = spots(n_windows=60, seed=5)
    other *= 2
    model = AllConvNetClassifier((4, 4), **LEARNS).fit(X, y)
    part = other_y < 2
    model.partial_fit(other[part], other_y[part])
    assert model.classes_.tolist() == [0, 1, 2]
    recall = [np.mean(model.predict(other[other_y == c]) == c) for c in range(3)]
    assert min(recall) > 0.8
    warm = AllConvNetClassifier((4, 4), warm_start=True, **LEARNS).fit(X, y)
    warm.fit(other[part], other_y[part])
    assert warm.classes_.tolist() == [0, 1, 2]
    assert len(warm.history_) == 12
    np.testing.assert_array_equal(warm.predict_proba(X), model.predict_proba(X))
    with pytest.raises(ValueError, match="not among the classes"):
        warm.fit(other, other_y + 1)


def test_training_holds_no_copy_of_the_images():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((40, 64, 1000)).astype(np.float32)  # 10 MB
    y = np.arange(40) % 2
    model = AllConvNetClassifier(
        (16, 4), width=2, frames_per_window=2, max_epochs=1, scale=None
    )
    model.fit(X[:4, :, :10], y[:4])
    tracemalloc.start()
    model.fit(X, y)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 3


@pytest.mark.parametrize("n_frames", [1, 7, 12, 50])
def test_frames_drawn(n_frames):
    from sktinymyo._frames import draw_frames

    rows = np.array([0, 3, 4])
    n_frames = min(n_frames, 12)
    frames = draw_frames(rows, 12, n_frames, np.random.RandomState(0))
    window, time = np.divmod(frames, 12)
    assert len(np.unique(frames)) == 3 * n_frames
    np.testing.assert_array_equal(np.unique(window), rows)
    assert time.max() < 12


def test_groups_are_held_back_whole():
    X, y = spots(n_windows=60)
    model = AllConvNetClassifier((4, 4), validation_fraction=0.3, patience=1, **QUICK)
    model.fit(X, y, groups=np.arange(60) // 12)
    assert "valid_loss" in model.history_[0]
    with pytest.raises(ValueError, match="groups names one only"):
        model.fit(X, y, groups=np.zeros(60))


@pytest.mark.parametrize(
    ("parameters", "error", "match"),
    [
        ({"grid": (4, 5)}, WindowsError, "20 electrodes on 4 x 5 cells.*16 channels"),
        ({"grid": "images"}, ValueError, "grid='images'"),
        ({"grid": [[0, 0], [1, 2]]}, ValueError, "exactly once"),
        ({"grid": 16}, TypeError, "grid"),
        ({"grid": (4, 4), "n_channels": 8}, WindowsError, "8 channels"),
        ({"vote": 0}, ValueError, "vote"),
        ({"vote": "all"}, TypeError, "vote"),
        ({"width": 2.5}, TypeError, "width"),
        ({"scale": "window"}, ValueError, "scale"),
        ({"frames_per_window": 0}, ValueError, "frames_per_window"),
        ({"dropout": 1}, ValueError, "dropout"),
        ({"lr": 0}, ValueError, "lr"),
    ],
)
def test_refused_parameters(parameters, error, match):
    X, y = spots()
    with pytest.raises(error, match=match):
        AllConvNetClassifier(**parameters).fit(X, y)
