"""Figure of the activity over a grid of electrodes, also over time."""

import math
import numbers

import numpy as np

from .._optional import import_optional
from .._validation import as_windows, check_number, check_recording, check_truth
from ..exceptions import WindowsError
from ..signal.grid import grid_cells, grid_images

__all__ = ["GridDisplay"]

_MISSING_COLOR = "0.85"
_BAD_COLOR = "#d55e00"


class GridDisplay:
    """Map of a value of every electrode of a grid, at one time or over time.

    Make it with :meth:`from_windows`, :meth:`from_recording` or :meth:`from_estimator`.

    Parameters
    ----------
    values : array-like of shape (n_steps, n_channels) or (n_channels,)
        A value of every channel, for each step in time; not negative for strengths.
        NaN is drawn like a cell without an electrode.
    grid : tuple of 2 int or array-like of shape (n_rows, n_columns)
        ``(rows, columns)`` of a grid numbered row by row, or a table with the channel
        of every cell and -1 for cells without an electrode.
    times : array-like of shape (n_steps,) or None, default=None
        Time of every step in seconds; None counts the steps.
    label : str, default="root mean square"
        What the values are, beside the colours.
    unit : str or None, default=None
        Their unit, such as "µV".
    bad_channels : sequence of int, default=()
        Channels to be crossed out.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, once :meth:`plot` has run.
    ax_ : matplotlib.axes.Axes
        Its panel.
    image_ : matplotlib.image.AxesImage
        The map.
    colorbar_ : matplotlib.colorbar.Colorbar or None
        The scale of the colours.
    texts_ : list of matplotlib.text.Text
        Numbers of the electrodes, in the order of the channels.

    See Also
    --------
    sktinymyo.GridRepair : Finds and fills in bad electrodes.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.inspection import GridDisplay
    >>> X = np.random.default_rng(0).normal(size=(30, 12, 100))
    >>> display = GridDisplay.from_windows(X, (4, 3), unit="µV")
    >>> display.image_.get_array().shape
    (4, 3)
    """

    def __init__(
        self,
        values,
        grid,
        *,
        times=None,
        label="root mean square",
        unit=None,
        bad_channels=(),
    ):
        self.values = np.atleast_2d(np.asarray(values, dtype=np.float64))
        if self.values.ndim != 2 or not self.values.size:
            raise WindowsError(
                "values must have the shape (n_steps, n_channels); got "
                f"{np.shape(values)}."
            )
        self.cells = grid_cells(grid, self.values.shape[1])
        self.times = None if times is None else np.asarray(times, dtype=np.float64)
        if self.times is not None and self.times.shape != self.values.shape[:1]:
            raise ValueError(
                f"times has the shape {self.times.shape}; {len(self.values)} steps "
                "need one each."
            )
        self.label, self.unit = label, unit
        n_channels = self.values.shape[1]
        self.bad_channels = [int(channel) for channel in bad_channels]
        if not all(0 <= channel < n_channels for channel in self.bad_channels):
            raise ValueError(
                f"bad_channels={self.bad_channels} are not all among the {n_channels} "
                "channels of the grid; channels count from 0."
            )
        if not np.isfinite(self.values).any():
            raise ValueError("values hold no finite number; there is nothing to draw.")

    @classmethod
    def from_windows(cls, X, grid, *, unit=None, limits=None, numbers=True, ax=None):
        """Draw the root mean square of windows over the grid.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows; each is one step in time, and the figure shows all together.
        grid, unit
            As in :class:`GridDisplay`.
        limits, numbers, ax
            As in :meth:`plot`.

        Returns
        -------
        display : GridDisplay

        Raises
        ------
        WindowsError
            If X holds no windows, or the grid has another number of channels.
        """
        display = cls(_strengths(X), grid, unit=unit)
        return display.plot(limits=limits, numbers=numbers, ax=ax)

    @classmethod
    def from_recording(
        cls,
        recording,
        grid,
        sfreq,
        *,
        step=0.05,
        unit=None,
        limits=None,
        numbers=True,
        ax=None,
    ):
        """Draw the root mean square of a recording, in steps of time for `animate`.

        Parameters
        ----------
        recording : array-like of shape (n_channels, n_times)
            One recording.
        grid : tuple of 2 int or array-like of shape (n_rows, n_columns)
            As in :class:`GridDisplay`.
        sfreq : float
            Sampling rate, Hz.
        step : float, default=0.05
            Length of a step in seconds. A rest at the end is left out.
        unit
            As in :class:`GridDisplay`.
        limits, numbers, ax
            As in :meth:`plot`.

        Returns
        -------
        display : GridDisplay

        Raises
        ------
        ValueError
            If a step is shorter than a sample or longer than the recording.
        """
        check_number("sfreq", sfreq, minimum=0, include_minimum=False)
        check_number("step", step, minimum=0, include_minimum=False)
        recording = check_recording(recording)
        n_times = round(step * sfreq)
        n_steps = recording.shape[1] // max(n_times, 1)
        if not n_times or not n_steps:
            raise ValueError(
                f"step={step!r} s is {n_times} samples of a recording of "
                f"{recording.shape[1]}; pass at least one and at most that number."
            )
        parts = recording[:, : n_steps * n_times].reshape(len(recording), n_steps, -1)
        times = (np.arange(n_steps) + 0.5) * n_times / sfreq
        display = cls(_strengths(parts.swapaxes(0, 1)), grid, times=times, unit=unit)
        return display.plot(limits=limits, numbers=numbers, ax=ax)

    @classmethod
    def from_estimator(
        cls, estimator, X, *, unit=None, limits=None, numbers=True, ax=None
    ):
        """Draw the root mean square of windows on the grid of a fitted estimator.

        Parameters
        ----------
        estimator : AllConvNetClassifier, GridMedian or GridRepair
            Anything fitted that has ``cells_``; what it has as ``bad_channels_`` is
            crossed out.
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows, as the estimator was fitted on.
        unit
            As in :class:`GridDisplay`.
        limits, numbers, ax
            As in :meth:`plot`.

        Returns
        -------
        display : GridDisplay

        Raises
        ------
        TypeError
            If the estimator knows of no grid.
        """
        if not hasattr(estimator, "cells_"):
            raise TypeError(
                f"estimator is of type {type(estimator).__name__} and has no cells_; "
                "pass a fitted AllConvNetClassifier, GridMedian or GridRepair."
            )
        display = cls(
            _strengths(X),
            estimator.cells_,
            unit=unit,
            bad_channels=getattr(estimator, "bad_channels_", ()),
        )
        return display.plot(limits=limits, numbers=numbers, ax=ax)

    def plot(self, ax=None, *, step=None, numbers=True, colorbar=True, limits=None):
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a figure.
        step : int or None, default=None
            Which step in time; None is the root of the mean square over all.
        numbers : bool, default=True
            Write the number of its channel into every cell.
        colorbar : bool, default=True
            Draw the scale of the colours beside the map.
        limits : tuple of 2 float or None, default=None
            Lowest and highest value of the colours; None takes those shown. Give the
            same to figures that are to be compared.

        Returns
        -------
        display : GridDisplay
            Itself.

        Raises
        ------
        OptionalDependencyError
            If matplotlib is not installed.
        IndexError
            If there is no such step.
        """
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="GridDisplay.plot"
        )
        check_truth("numbers", numbers)
        check_truth("colorbar", colorbar)
        values = self._at(step)
        if ax is None:
            rows, columns = self.cells.shape
            scale = 0.45
            figure = pyplot.figure(
                figsize=(2.2 + scale * max(columns, 3), 1.2 + scale * max(rows, 2)),
                layout="constrained",
            )
            ax = figure.add_subplot()
        low, high = self._limits(values) if limits is None else limits
        image = np.ma.masked_invalid(grid_images(values, self.cells, np.nan))
        ax.set_facecolor(_MISSING_COLOR)
        self.image_ = ax.imshow(image, cmap="viridis", vmin=low, vmax=high)
        ax.set_xlabel("column")
        ax.set_ylabel("row")
        for axis, length in ((ax.xaxis, image.shape[1]), (ax.yaxis, image.shape[0])):
            axis.set_ticks(range(0, length, math.ceil(length / 12)))
        self.ax_, self.figure_ = ax, ax.figure
        self.texts_ = self._write_numbers(ax) if numbers else []
        for channel in self.bad_channels:
            row, column = np.argwhere(self.cells == channel)[0]
            ax.plot(column, row, marker="x", color=_BAD_COLOR, markersize=12)
        self.colorbar_ = None
        if colorbar:
            unit = "" if self.unit is None else f" ({self.unit})"
            self.colorbar_ = ax.figure.colorbar(
                self.image_, ax=ax, label=f"{self.label}{unit}"
            )
        if step is not None:
            ax.set_title(self._title(step))
        return self

    def animate(self, ax=None, *, interval=100, numbers=False):
        """Return the map over time as an animation.

        Parameters
        ----------
        ax : matplotlib.axes.Axes or None, default=None
            Where to draw; None makes a figure.
        interval : float, default=100
            Milliseconds of a step on the screen.
        numbers : bool, default=False
            Write the number of its channel into every cell.

        Returns
        -------
        animation : matplotlib.animation.FuncAnimation
            One picture a step, all on the same scale of colours. Keep it in a variable
            until it is shown; ``animation.save("grid.gif", writer="pillow")`` writes it
            to a file.

        Raises
        ------
        OptionalDependencyError
            If matplotlib is not installed.
        ValueError
            If there is one step only.
        """
        animation = import_optional(
            "matplotlib.animation", extra="plot", purpose="GridDisplay.animate"
        )
        check_number("interval", interval, minimum=0, include_minimum=False)
        if len(self.values) < 2:
            raise ValueError(
                "there is one step in time only; make the display with from_recording "
                "or from several windows."
            )
        self.plot(ax, step=0, numbers=numbers, limits=self._limits(self.values))

        def draw(step):
            image = grid_images(self.values[step], self.cells, np.nan)
            self.image_.set_data(np.ma.masked_invalid(image))
            title = self.ax_.set_title(self._title(step))
            return self.image_, title

        return animation.FuncAnimation(
            self.figure_, draw, frames=len(self.values), interval=interval
        )

    def _at(self, step):
        if step is None:
            return np.sqrt(np.mean(self.values**2, axis=0))
        if isinstance(step, bool) or not isinstance(step, numbers.Integral):
            raise TypeError(f"step must be a whole number or None; got {step!r}.")
        if not -len(self.values) <= step < len(self.values):
            raise IndexError(
                f"there is no step {step}; there are {len(self.values)}, counted from "
                "0."
            )
        return self.values[step]

    @staticmethod
    def _limits(values):
        values = values[np.isfinite(values)]
        if not len(values):
            return 0.0, 1.0
        low, high = float(values.min()), float(values.max())
        # Colours of strengths begin at zero, so that a map shows how much they differ.
        return min(low, 0.0), high if high > low else low + 1.0

    def _title(self, step):
        if self.times is None:
            return f"step {step % len(self.values)}"
        return f"{self.times[step]:.3f} s"

    def _write_numbers(self, ax):
        # Dark cells carry light numbers.
        low, high = self.image_.get_clim()
        texts = []
        for channel in range(self.values.shape[1]):
            row, column = np.argwhere(self.cells == channel)[0]
            value = self.image_.get_array()[row, column]
            light = value < low + 0.6 * (high - low)
            texts.append(
                ax.text(
                    column,
                    row,
                    str(channel),
                    ha="center",
                    va="center",
                    fontsize=7,
                    color="white" if light else "black",
                )
            )
        return texts


def _strengths(X):
    """Return the root mean square of every channel of windows."""
    windows = np.asarray(as_windows(X))
    if windows.ndim != 3 or not windows.size:
        raise WindowsError(
            "X must hold windows (n_windows, n_channels, n_times); got the shape "
            f"{windows.shape}."
        )
    return np.sqrt(np.mean(np.square(windows, dtype=np.float64), axis=2))
