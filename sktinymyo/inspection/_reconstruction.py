"""Figure of a window, of what was hidden of it, and of what a model put there."""

import math
import numbers

import numpy as np

from .._optional import import_optional
from .._validation import as_windows, check_number
from ..exceptions import WindowsError

__all__ = ["ReconstructionDisplay"]

# More panels cannot be told apart on a page.
_MOST_CHANNELS = 64
_MOST_ROWS = 16
_SIGNAL_COLOR = "0.25"
# Vermilion: also seen as such by people who do not see red.
_RECONSTRUCTION_COLOR = "#d55e00"
_HIDDEN_COLOR = "#cfe3f5"
_ENTRIES = ("windows", "reconstruction", "mask", "patch_size")


class ReconstructionDisplay:
    """Signal, hidden patches and their reconstruction, a panel for each channel.

    Make it with :meth:`from_estimator` or :meth:`from_reconstruction`. The signal
    is drawn in full, the patches that the model did not see are shaded, and what it
    put there is drawn over them.

    Parameters
    ----------
    signal : array-like of shape (n_channels, n_times)
        One window.
    reconstruction : array-like of shape (n_channels, n_times)
        What a model made of it; shown in hidden patches alone.
    mask : array-like of bool of shape (n_channels, n_patches)
        True is hidden.
    patch_size : int
        Samples of a patch.
    sfreq : float or None, default=None
        Sampling rate, Hz; the axis of time is then in seconds, else in samples.
    unit : str or None, default=None
        Unit of the signal for the label, such as "µV".
    channel_names : sequence of str or None, default=None
        Names of the channels; None counts them.

    Attributes
    ----------
    figure_ : matplotlib.figure.Figure
        The figure, once :meth:`plot` has run.
    axes_ : ndarray of matplotlib.axes.Axes of shape (n_channels,)
        Panel of each channel.
    lines_ : ndarray of matplotlib.lines.Line2D of shape (n_channels, 2)
        Signal and reconstruction of each channel.

    See Also
    --------
    sktinymyo.TinyMyoPretrainer.reconstruct : The arrays behind the figure.

    Notes
    -----
    At most 64 channels fit on a figure; pass `channels` to choose among more. Up to
    16 stand below each other, more in several columns, to be read downwards.

    Even a good model does not repeat the signal: EMG is close to noise, and the least
    error is that of a line near its mean. What can be predicted of the samples are
    slow waves, and what neighbouring electrodes share.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoPretrainer
    >>> from sktinymyo.inspection import ReconstructionDisplay
    >>> X = np.random.default_rng(0).normal(size=(16, 4, 100))
    >>> pretrainer = TinyMyoPretrainer(
    ...     size="nano", max_epochs=1, batch_size=8, random_state=0
    ... ).fit(X)
    >>> display = ReconstructionDisplay.from_estimator(
    ...     pretrainer, X, window=3, sfreq=200, unit="µV"
    ... )
    >>> display.lines_.shape
    (4, 2)
    """

    def __init__(
        self,
        signal,
        reconstruction,
        mask,
        *,
        patch_size,
        sfreq=None,
        unit=None,
        channel_names=None,
    ):
        check_number("patch_size", patch_size, minimum=1, integer=True)
        if sfreq is not None:
            check_number("sfreq", sfreq, minimum=0, include_minimum=False)
        self.signal = np.asarray(signal)
        self.reconstruction = np.asarray(reconstruction)
        self.mask = np.asarray(mask, dtype=bool)
        self.patch_size, self.sfreq, self.unit = int(patch_size), sfreq, unit
        shape = self.signal.shape
        if len(shape) != 2 or 0 in shape or self.reconstruction.shape != shape:
            raise WindowsError(
                "signal and reconstruction must both have the shape (n_channels, "
                f"n_times); got {shape} and {self.reconstruction.shape}."
            )
        n_patches = math.ceil(shape[1] / patch_size)
        if self.mask.shape != (shape[0], n_patches):
            raise ValueError(
                f"mask has the shape {self.mask.shape}; {shape[0]} channels of "
                f"{shape[1]} samples in patches of {patch_size} need "
                f"{(shape[0], n_patches)}."
            )
        if channel_names is None:
            channel_names = [f"channel {channel}" for channel in range(shape[0])]
        self.channel_names = [str(name) for name in channel_names]
        if len(self.channel_names) != shape[0]:
            raise ValueError(
                f"channel_names holds {len(self.channel_names)} names for {shape[0]} "
                "channels; pass one for each."
            )

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        *,
        window=0,
        mask=None,
        channels=None,
        sfreq=None,
        unit=None,
        channel_names=None,
        share_y=False,
        ax=None,
    ):
        """Hide part of windows, reconstruct them, and draw one of them.

        Parameters
        ----------
        estimator : TinyMyoPretrainer
            A fitted one that predicts samples (``targets`` with "raw").
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows. All of them are reconstructed, because an estimator that was
            fitted on recordings scales windows by what it is given: some hundred
            windows of the same person are a good choice.
        window : int, default=0
            Which of them to draw; negative numbers count from the end.
        mask : bool array-like of shape (n_windows, n_channels, n_patches) or None, \
                default=None
            True is hidden; None draws as in training.
        channels : sequence of int or None, default=None
            Channels to draw; None is all.
        sfreq, unit, channel_names
            As in :class:`ReconstructionDisplay`; names of all channels of X.
        share_y, ax
            As in :meth:`plot`.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        TypeError
            If the estimator cannot reconstruct.
        IndexError
            If there is no such window or channel.
        ValueError
            If X holds no windows, or more than 64 channels are to be drawn.
        """
        if not hasattr(estimator, "reconstruct"):
            raise TypeError(
                f"estimator is of type {type(estimator).__name__}, which has no "
                "method reconstruct; pass a fitted TinyMyoPretrainer."
            )
        X = as_windows(X)
        window = _check_index("window", window, X.shape[0])
        if len(X.shape) == 3:
            _check_channels(channels, X.shape[1])
        return cls.from_reconstruction(
            estimator.reconstruct(X, mask),
            window=window,
            channels=channels,
            sfreq=sfreq,
            unit=unit,
            channel_names=channel_names,
            share_y=share_y,
            ax=ax,
        )

    @classmethod
    def from_reconstruction(
        cls,
        result,
        *,
        window=0,
        channels=None,
        sfreq=None,
        unit=None,
        channel_names=None,
        share_y=False,
        ax=None,
    ):
        """Draw one window of a result of ``TinyMyoPretrainer.reconstruct``.

        Parameters
        ----------
        result : Bunch or dict
            With ``windows`` and ``reconstruction`` of the shape (n_windows,
            n_channels, n_times), ``mask`` (n_windows, n_channels, n_patches) and
            ``patch_size``.
        window, channels, sfreq, unit, channel_names, share_y, ax
            As in :meth:`from_estimator`.

        Returns
        -------
        display : ReconstructionDisplay

        Raises
        ------
        IndexError
            If there is no such window or channel.
        ValueError
            If an entry is missing, or more than 64 channels are to be drawn.
        """
        missing = [name for name in _ENTRIES if name not in result]
        if missing:
            raise ValueError(
                f"result lacks the entries {missing}; pass what "
                "TinyMyoPretrainer.reconstruct returned."
            )
        windows = np.asarray(result["windows"])
        window = _check_index("window", window, len(windows))
        chosen = _check_channels(channels, windows.shape[1])
        if channel_names is None:
            channel_names = [f"channel {channel}" for channel in chosen]
        elif len(channel_names) != windows.shape[1]:
            raise ValueError(
                f"channel_names holds {len(channel_names)} names for "
                f"{windows.shape[1]} channels; pass one for each channel of X."
            )
        else:
            channel_names = [channel_names[channel] for channel in chosen]
        display = cls(
            windows[window, chosen],
            np.asarray(result["reconstruction"])[window, chosen],
            np.asarray(result["mask"])[window, chosen],
            patch_size=result["patch_size"],
            sfreq=sfreq,
            unit=unit,
            channel_names=channel_names,
        )
        return display.plot(ax=ax, share_y=share_y)

    def plot(self, ax=None, *, share_y=False):
        """Draw the figure.

        Parameters
        ----------
        ax : matplotlib.axes.Axes, array of them or None, default=None
            One is divided among the channels; of several, each takes a channel.
            None makes a figure.
        share_y : bool, default=False
            Same range for all channels, which shows how strong they are. By default
            each fills its panel, so that weak ones can be seen too.

        Returns
        -------
        display : ReconstructionDisplay
            Itself.

        Raises
        ------
        OptionalDependencyError
            If matplotlib is not installed.
        ValueError
            If there are more than 64 channels, or `ax` are not as many as channels.
        """
        pyplot = import_optional(
            "matplotlib.pyplot", extra="plot", purpose="ReconstructionDisplay.plot"
        )
        n_channels, n_times = self.signal.shape
        _check_channels(None, n_channels)
        scale = 1.0 if self.sfreq is None else 1.0 / self.sfreq
        times = np.arange(n_times) * scale
        # A patch reaches from half a sample before its first to half after its last.
        edges = np.arange(self.mask.shape[1] + 1) * self.patch_size
        edges = (np.minimum(edges, n_times) - 0.5) * scale
        hidden = np.repeat(self.mask, self.patch_size, axis=1)[:, :n_times]
        filled = np.where(hidden, self.reconstruction, np.nan)

        own_figure = ax is None
        axes, bottom = self._make_axes(pyplot, ax)
        small = 7 if n_channels > 8 else 9
        everything = np.concatenate([self.signal, filled])
        lines = np.empty((n_channels, 2), dtype=object)
        for channel, panel in enumerate(axes):
            runs = _runs(self.mask[channel], edges)
            shades = panel.broken_barh(
                runs,
                (0, 1),
                transform=panel.get_xaxis_transform(),
                color=_HIDDEN_COLOR,
                linewidth=0,
                label="hidden",
            )
            lines[channel, 0] = panel.plot(
                times,
                self.signal[channel],
                color=_SIGNAL_COLOR,
                linewidth=0.8,
                label="signal",
            )[0]
            lines[channel, 1] = panel.plot(
                times,
                filled[channel],
                color=_RECONSTRUCTION_COLOR,
                linewidth=1.6,
                # A lone hidden sample is no line.
                marker="." if self.patch_size == 1 else None,
                label="reconstruction",
            )[0]
            panel.set_xlim(edges[0], edges[-1])
            own = np.stack([self.signal[channel], filled[channel]])
            panel.set_ylim(_limits(everything if share_y else own))
            panel.locator_params(axis="y", nbins=3)
            panel.tick_params(labelsize=small, length=2)
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_title(
                self.channel_names[channel], loc="left", fontsize=small, pad=2
            )
            if panel in bottom:
                panel.set_xlabel("time (s)" if self.sfreq else "time (samples)")
            else:
                panel.tick_params(labelbottom=False)
        self.axes_, self.lines_ = axes, lines
        self.figure_ = axes[0].figure
        handles = [*lines[0], shades]
        label = "signal" if self.unit is None else f"signal ({self.unit})"
        if own_figure:
            self.figure_.supylabel(label, fontsize="medium")
            self.figure_.legend(
                handles=handles, loc="outside lower center", ncols=3, frameon=False
            )
        else:
            axes[(len(axes) - 1) // 2 if len(bottom) == 1 else 0].set_ylabel(label)
            axes[0].legend(
                handles=handles,
                loc="lower right",
                bbox_to_anchor=(1, 1),
                borderaxespad=0.1,
                ncols=3,
                frameon=False,
                fontsize=small,
                handlelength=1.2,
            )
        return self

    def _make_axes(self, pyplot, ax):
        """Return a panel for each channel, and those that carry the axis of time."""
        n_channels = len(self.signal)
        n_columns = math.ceil(n_channels / _MOST_ROWS)
        n_rows = math.ceil(n_channels / n_columns)
        if isinstance(ax, (list, tuple, np.ndarray)):
            axes = np.asarray(ax, dtype=object).reshape(-1)
            if len(axes) != n_channels:
                raise ValueError(
                    f"ax holds {len(axes)} axes for {n_channels} channels; pass one "
                    "for each, a single one to be divided, or None."
                )
            return axes, set(axes)
        if ax is None:
            width = 7.0 if n_columns == 1 else 3.4 * n_columns
            figure = pyplot.figure(
                figsize=(width, 1.1 + max(0.8 * n_rows, 1.8)), layout="constrained"
            )
            grid = figure.add_gridspec(n_rows, n_columns)
        else:
            if ax.get_subplotspec() is None:
                raise ValueError(
                    "ax lies in no grid and cannot be divided; make it with "
                    "plt.subplots or figure.add_subplot, or pass one for each channel."
                )
            figure = ax.figure
            ax.set_axis_off()
            # A layout engine leaves room for names; without one the space is set here.
            space = 0.5 if figure.get_layout_engine() is None else None
            grid = ax.get_subplotspec().subgridspec(n_rows, n_columns, hspace=space)
        axes, bottom = np.empty(n_channels, dtype=object), set()
        for channel in range(n_channels):
            column, row = divmod(channel, n_rows)
            share = None if channel == 0 else axes[0]
            axes[channel] = figure.add_subplot(grid[row, column], sharex=share)
            if row == n_rows - 1 or channel == n_channels - 1:
                bottom.add(axes[channel])
        return axes, bottom


def _check_index(name, index, length):
    if isinstance(index, bool) or not isinstance(index, numbers.Integral):
        raise TypeError(
            f"{name} must be a whole number; got {index!r} of type "
            f"{type(index).__name__}."
        )
    if not -length <= index < length:
        raise IndexError(
            f"there is no {name} {index}; the data has {length}, counted from 0."
        )
    return int(index) % length


def _check_channels(channels, n_channels):
    """Return the numbers of the channels to draw."""
    if channels is None:
        chosen = list(range(n_channels))
    else:
        chosen = [_check_index("channel", channel, n_channels) for channel in channels]
    if not 0 < len(chosen) <= _MOST_CHANNELS:
        raise ValueError(
            f"{len(chosen)} channels are to be drawn; 1 to {_MOST_CHANNELS} fit on a "
            "figure. Choose with channels=[...]."
        )
    return chosen


def _runs(hidden, edges):
    """Return (start, width) of the stretches of hidden patches of a channel."""
    change = np.flatnonzero(np.diff(np.concatenate([[0], hidden.astype(int), [0]])))
    starts, stops = edges[change[::2]], edges[change[1::2]]
    return list(zip(starts, stops - starts, strict=True))


def _limits(values):
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    # A flat line needs some room as well.
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin
