"""ReconstructionDisplay: what is drawn is what the model saw and said."""

import sys

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_rgba

from sktinymyo import TinyMyoEmbedder, TinyMyoPretrainer
from sktinymyo.exceptions import OptionalDependencyError, WindowsError
from sktinymyo.inspection import ReconstructionDisplay

PATCH = 20


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def X():
    strength = np.geomspace(1, 100, 5)[:, np.newaxis]
    return np.random.default_rng(0).normal(size=(12, 5, 4 * PATCH)) * strength


@pytest.fixture(scope="module")
def pretrainer(X):
    return TinyMyoPretrainer(
        size="nano", max_epochs=1, batch_size=12, random_state=0
    ).fit(X)


def result_of(n_channels, n_patches=4, n_windows=2):
    """What `reconstruct` returns, with chosen values."""
    rng = np.random.default_rng(1)
    shape = (n_windows, n_channels, n_patches * PATCH)
    return {
        "windows": rng.normal(size=shape),
        "reconstruction": rng.normal(size=shape),
        "mask": rng.random((n_windows, n_channels, n_patches)) < 0.5,
        "patch_size": PATCH,
    }


def shaded(panel):
    """Intervals of time that are shaded in a panel."""
    (shades,) = panel.collections
    boxes = (path.get_extents() for path in shades.get_paths())
    return sorted((box.x0, box.x1) for box in boxes)


def test_draws_what_reconstruct_returns(pretrainer, X):
    display = ReconstructionDisplay.from_estimator(pretrainer, X, window=-2)
    expected = pretrainer.reconstruct(X)
    assert display.axes_.shape == (5,)
    assert display.lines_.shape == (5, 2)
    hidden = np.repeat(expected.mask[-2], PATCH, axis=1)
    assert 0 < hidden.sum() < hidden.size
    for channel, (signal, reconstruction) in enumerate(display.lines_):
        np.testing.assert_array_equal(signal.get_xdata(), np.arange(4 * PATCH))
        np.testing.assert_allclose(signal.get_ydata(), X[-2, channel], rtol=1e-5)
        drawn = reconstruction.get_ydata()
        np.testing.assert_array_equal(np.isfinite(drawn), hidden[channel])
        np.testing.assert_array_equal(
            drawn[hidden[channel]],
            expected.reconstruction[-2, channel, hidden[channel]],
        )


def test_mask_is_shaded_in_seconds(pretrainer, X):
    mask = np.zeros((12, 5, 4), dtype=bool)
    mask[3, 0] = [True, True, False, True]
    mask[3, 2] = [False, False, True, False]
    display = ReconstructionDisplay.from_estimator(
        pretrainer, X, window=3, mask=mask, sfreq=200, unit="µV"
    )
    # Patches of 0.1 s; a sample stands for the time around it.
    half = 0.5 / 200
    np.testing.assert_allclose(
        shaded(display.axes_[0]), [(-half, 0.2 - half), (0.3 - half, 0.4 - half)]
    )
    np.testing.assert_allclose(shaded(display.axes_[2]), [(0.2 - half, 0.3 - half)])
    assert shaded(display.axes_[1]) == []
    assert display.axes_[-1].get_xlabel() == "time (s)"
    assert display.figure_.get_supylabel() == "signal (µV)"
    assert display.axes_[0].get_xlim() == pytest.approx((-half, 0.4 - half))


def test_channels_are_chosen_and_named(pretrainer, X):
    options = {"channels": [4, 1], "window": 1}
    display = ReconstructionDisplay.from_estimator(pretrainer, X, **options)
    titles = [panel.get_title("left") for panel in display.axes_]
    assert titles == ["channel 4", "channel 1"]
    np.testing.assert_allclose(
        display.lines_[0, 0].get_ydata(), X[1, 4].astype(np.float32)
    )
    display = ReconstructionDisplay.from_estimator(
        pretrainer, X, channel_names=list("abcde"), **options
    )
    assert [panel.get_title("left") for panel in display.axes_] == ["e", "b"]


def test_range_of_channels(pretrainer, X):
    own = ReconstructionDisplay.from_estimator(pretrainer, X)
    heights = [np.ptp(panel.get_ylim()) for panel in own.axes_]
    assert max(heights) > 10 * min(heights)
    shared = own.plot(share_y=True)
    assert len({panel.get_ylim() for panel in shared.axes_}) == 1


@pytest.mark.parametrize(("n_channels", "n_columns"), [(1, 1), (16, 1), (64, 4)])
def test_panels_stay_legible(n_channels, n_columns):
    """No panel is smaller than its text, and nothing overlaps."""
    display = ReconstructionDisplay.from_reconstruction(result_of(n_channels))
    figure = display.figure_
    figure.canvas.draw()
    boxes = [panel.get_window_extent() for panel in display.axes_]
    assert len({round(box.x0) for box in boxes}) == n_columns
    renderer = figure.canvas.get_renderer()
    titles = [panel._left_title.get_window_extent(renderer) for panel in display.axes_]
    for box, title in zip(boxes, titles, strict=True):
        assert box.height > 2 * title.height
        assert not any(title.overlaps(other) for other in boxes if other is not box)
    labels = [panel.get_xlabel() for panel in display.axes_]
    assert labels.count("time (samples)") == n_columns


def test_more_channels_than_fit_must_be_chosen():
    result = result_of(70)
    with pytest.raises(ValueError, match=r"70 channels.*channels=\[\.\.\.\]"):
        ReconstructionDisplay.from_reconstruction(result)
    display = ReconstructionDisplay.from_reconstruction(
        result, channels=range(0, 70, 7)
    )
    assert len(display.axes_) == 10


def test_given_axes_are_used():
    figure, (left, right) = plt.subplots(1, 2)
    display = ReconstructionDisplay.from_reconstruction(result_of(3), ax=left)
    assert display.figure_ is figure
    assert not left.axison and right.axison
    middle = left.get_position().x1
    assert all(panel.get_position().x1 <= middle + 1e-9 for panel in display.axes_)
    figure, panels = plt.subplots(3, 1)
    display = ReconstructionDisplay.from_reconstruction(
        result_of(3), ax=panels, unit="mV"
    )
    assert display.axes_.tolist() == panels.tolist()
    assert "signal (mV)" in [panel.get_ylabel() for panel in panels]
    with pytest.raises(ValueError, match="ax holds 2 axes for 3 channels"):
        display.plot(ax=list(panels[:2]))
    with pytest.raises(ValueError, match="lies in no grid"):
        display.plot(ax=figure.add_axes([0, 0, 1, 1]))


def test_short_and_flat_windows():
    """A window shorter than one patch, and a channel that is constant."""
    display = ReconstructionDisplay(
        np.full((1, 7), 3.0), np.full((1, 7), 3.0), [[True]], patch_size=PATCH
    ).plot()
    assert shaded(display.axes_[0]) == [(-0.5, 6.5)]
    low, high = display.axes_[0].get_ylim()
    assert low < 3 < high
    assert to_rgba(display.lines_[0, 0].get_color()) != to_rgba(
        display.lines_[0, 1].get_color()
    )


def test_errors_say_what_to_do(pretrainer, X):
    from_estimator = ReconstructionDisplay.from_estimator
    with pytest.raises(TypeError, match="TinyMyoEmbedder, which has no"):
        from_estimator(TinyMyoEmbedder(weights="random"), X)
    with pytest.raises(IndexError, match="no window 12; the data has 12"):
        from_estimator(pretrainer, X, window=12)
    with pytest.raises(TypeError, match="window must be a whole number"):
        from_estimator(pretrainer, X, window=1.0)
    with pytest.raises(IndexError, match="no channel 5"):
        from_estimator(pretrainer, X, channels=[5])
    with pytest.raises(ValueError, match="0 channels are to be drawn"):
        from_estimator(pretrainer, X, channels=[])
    with pytest.raises(ValueError, match="sfreq must be"):
        from_estimator(pretrainer, X, sfreq=0)
    with pytest.raises(ValueError, match="holds 2 names for 5 channels"):
        from_estimator(pretrainer, X, channel_names=["a", "b"])
    with pytest.raises(ValueError, match=r"lacks the entries \['mask'\]"):
        result = result_of(2)
        del result["mask"]
        ReconstructionDisplay.from_reconstruction(result)
    with pytest.raises(WindowsError, match="must both have the shape"):
        ReconstructionDisplay(np.ones((2, 40)), np.ones(40), [[1, 0]], patch_size=20)
    with pytest.raises(ValueError, match=r"need \(2, 2\)"):
        ReconstructionDisplay(
            np.ones((2, 40)), np.ones((2, 40)), [[True]], patch_size=20
        )
    with pytest.raises(ValueError, match="holds 1 names for 2 channels"):
        ReconstructionDisplay(
            np.ones((2, 20)),
            np.ones((2, 20)),
            [[True], [False]],
            patch_size=20,
            channel_names=["a"],
        )


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(OptionalDependencyError, match=r"sktinymyo\[plot\]"):
        ReconstructionDisplay.from_reconstruction(result_of(1))
