"""GridDisplay: every electrode in its cell, with its number and its strength."""

import matplotlib

matplotlib.use("agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest

from sktinymyo import EMGFilter, GridRepair
from sktinymyo.exceptions import WindowsError
from sktinymyo.inspection import GridDisplay

GAPS = [[0, -1, 2], [3, 4, 1]]


@pytest.fixture(autouse=True)
def no_open_figures():
    yield
    plt.close("all")


def test_cells_show_strength_and_number():
    X = np.ones((3, 5, 10)) * np.array([1.0, 2, 3, 4, 5])[:, None]
    display = GridDisplay.from_windows(X, GAPS, unit="µV")
    shown = display.image_.get_array()
    np.testing.assert_allclose(shown.filled(-1), [[1, -1, 3], [4, 5, 2]])
    assert shown.mask.tolist() == [[False, True, False], [False, False, False]]
    places = {text.get_text(): text.get_position() for text in display.texts_}
    assert places == {"0": (0, 0), "2": (2, 0), "3": (0, 1), "4": (1, 1), "1": (2, 1)}
    assert display.colorbar_.ax.get_ylabel() == "root mean square (µV)"
    assert display.image_.get_clim() == (0, 5)


def test_steps_of_a_recording():
    recording = np.repeat([[1.0, 3.0], [2.0, 2.0]], 10, axis=1)
    display = GridDisplay.from_recording(recording, (1, 2), sfreq=100, step=0.1)
    np.testing.assert_allclose(display.values, [[1, 2], [3, 2]])
    np.testing.assert_allclose(display.times, [0.05, 0.15])
    np.testing.assert_allclose(display.image_.get_array(), [[5**0.5, 2]])
    display.plot(step=1, numbers=False, colorbar=False)
    np.testing.assert_allclose(display.image_.get_array(), [[3, 2]])
    assert display.ax_.get_title() == "0.150 s"
    assert (display.texts_, display.colorbar_) == ([], None)


def test_animation_shows_each_step_on_one_scale(tmp_path):
    X = np.ones((4, 2, 5)) * np.arange(1, 5)[:, None, None]
    display = GridDisplay.from_windows(X, (2, 1))
    animation = display.animate(interval=20)
    animation.save(tmp_path / "grid.gif", writer="pillow")
    assert (tmp_path / "grid.gif").stat().st_size > 500
    np.testing.assert_allclose(display.image_.get_array(), [[4], [4]])
    assert display.image_.get_clim() == (0, 4)
    with pytest.raises(ValueError, match="one step"):
        GridDisplay([1.0, 2.0], (2, 1)).animate()


def test_grid_and_bad_channels_of_an_estimator():
    X = np.random.default_rng(0).standard_normal((10, 16, 40))
    X[:, 6] = 0
    figure, axes = plt.subplots(1, 2)
    repair = GridRepair((4, 4)).fit(X)
    display = GridDisplay.from_estimator(repair, X, ax=axes[1])
    assert display.figure_ is figure
    (cross,) = display.ax_.lines
    assert (cross.get_xdata()[0], cross.get_ydata()[0]) == (2, 1)


def test_channels_without_values_leave_the_scale_to_the_others(tmp_path):
    values = [[1.0, np.nan, 3.0], [2.0, np.nan, 4.0]]
    display = GridDisplay(values, (1, 3)).plot(step=1)
    assert display.image_.get_clim() == (0, 4)
    assert display.image_.get_array().mask.tolist() == [[False, True, False]]
    display.animate().save(tmp_path / "grid.gif", writer="pillow")
    assert display.image_.get_clim() == (0, 4)


def test_refused():
    X = np.ones((2, 5, 10))
    with pytest.raises(WindowsError, match="6 electrodes"):
        GridDisplay.from_windows(X, (2, 3))
    with pytest.raises(WindowsError, match="n_windows, n_channels, n_times"):
        GridDisplay.from_windows(X[0], (5, 1))
    with pytest.raises(TypeError, match="cells_"):
        GridDisplay.from_estimator(EMGFilter(), X)
    with pytest.raises(ValueError, match="step=0"):
        GridDisplay.from_recording(X[0], (5, 1), sfreq=10, step=0.01)
    with pytest.raises(IndexError, match="no step 2"):
        GridDisplay.from_windows(X, (5, 1)).plot(step=2)
    for bad in (5, -1):
        with pytest.raises(ValueError, match=rf"bad_channels=\[{bad}\].*5 channels"):
            GridDisplay(np.ones(5), (5, 1), bad_channels=[bad])
    with pytest.raises(ValueError, match="no finite number"):
        GridDisplay.from_windows(X * np.nan, (5, 1))
    with pytest.raises(ValueError, match="times"):
        GridDisplay(np.ones((2, 5)), (5, 1), times=[0.0])
