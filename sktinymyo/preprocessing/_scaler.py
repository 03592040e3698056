"""Scaling of channels as a transformer."""

import numpy as np
from sklearn.utils import check_array
from sklearn.utils.metaestimators import available_if

from .._validation import check_choice
from ..signal._blocks import row_blocks
from ._base import WindowsToWindows

__all__ = ["ChannelScaler"]

METHODS = ("standard", "minmax", "robust")
SCOPES = ("dataset", "window")
# Float64 temporaries of this many samples stay in the processor's cache.
BLOCK_ELEMENTS = 2**16


def _learns_in_parts(scaler):
    """Quantiles of all windows cannot be brought up to date from a part of them."""
    if scaler.method == "robust" and scaler.per == "dataset":
        raise AttributeError(
            "partial_fit needs method='standard' or 'minmax', or per='window': exact "
            "quantiles need all windows at once."
        )
    return True


class ChannelScaler(WindowsToWindows):
    """Scale every channel by its own statistics.

    Parameters
    ----------
    method : {"standard", "minmax", "robust"}, default="standard"
        "standard": subtract the mean, divide by the standard deviation;
        "minmax": map the smallest sample to -1 and the largest to 1 (TinyMyo's
        recipe with ``per="window"``), sensitive to single artefacts;
        "robust": subtract the median, divide by the distance of the quartiles.
    per : {"dataset", "window"}, default="dataset"
        "dataset": statistics of all samples of all windows seen in `fit`, which
        keep differences in strength between windows. "window": statistics of
        each window by itself, which remove them: no strength, but no trouble with
        gains that change from day to day either.
    n_channels : int or None, default=None
        Number of channels of flattened windows; None means one.

    Attributes
    ----------
    center_ : ndarray of shape (n_channels_in_,)
        What is subtracted, float64. Only with ``per="dataset"``.
    scale_ : ndarray of shape (n_channels_in_,)
        What is divided by; 1 for a constant channel. Only with
        ``per="dataset"``.
    n_samples_seen_ : int
        Windows seen in `fit` and `partial_fit`.
    n_channels_in_, n_times_in_, n_features_in_ : int
        Channels and samples of the windows seen in `fit`, and their product.
    input_ndim_ : int
        2 if `fit` saw flattened windows, else 3.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, only if X was a data frame with names.

    Notes
    -----
    A channel counts as constant if its scale is not larger than rounding makes
    it, ten units in the last place of its largest value; it becomes zero
    (-1 would be as arbitrary with "minmax"), and never divides by zero.

    Means and variances are computed in float64 and merged block by block [1]_,
    which neither overflows nor loses digits when the offset is large.

    References
    ----------
    .. [1] T. F. Chan, G. H. Golub, R. J. LeVeque, "Algorithms for computing the
       sample variance: analysis and recommendations", The American Statistician
       37(3), 1983, pages 242-247.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.preprocessing import ChannelScaler
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(5, [[[1e-6], [1e3]]], size=(100, 2, 50))
    >>> scaled = ChannelScaler().fit_transform(X)
    >>> scaled.std(axis=(0, 2)).round(6)
    array([1., 1.])
    >>> each = ChannelScaler("minmax", per="window").fit_transform(X)
    >>> each.max(axis=(0, 2)).round(6)
    array([1., 1.])
    """

    def __init__(self, method="standard", per="dataset", *, n_channels=None):
        self.method = method
        self.per = per
        self.n_channels = n_channels

    def fit(self, X, y=None, sample_weight=None):
        """Compute the statistics of every channel.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : ignored
            Not used.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weight of every window, not negative; a weight of 2 counts as the
            same window twice. For "minmax" only zero and not zero differ.

        Returns
        -------
        self : ChannelScaler

        Raises
        ------
        ValueError
            If a parameter is not accepted, or no window has a positive weight.
        """
        return self._learn(X, sample_weight, first=True)

    @available_if(_learns_in_parts)
    def partial_fit(self, X, y=None, sample_weight=None):
        """Bring the statistics up to date with more windows.

        The result is that of `fit` on all windows together.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape of those before.
        y : ignored
            Not used.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            As in `fit`.

        Returns
        -------
        self : ChannelScaler
        """
        return self._learn(X, sample_weight, first=not hasattr(self, "n_samples_seen_"))

    def transform(self, X):
        """Scale windows.

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
        windows, flat = self._validate(X, reset=False, n_channels=self.n_channels)
        if self.per == "dataset":
            # In float64: a small signal on a large offset would lose digits.
            scaled = np.empty(windows.shape, windows.dtype)
            center = self.center_[:, np.newaxis]
            scale = self.scale_[:, np.newaxis]
            for block in _window_blocks(windows):
                difference = windows[block] - center
                difference /= scale
                scaled[block] = difference
        else:
            scaled = _scale_each(windows, self.method)
        return self._as_given(scaled, flat)

    def _learn(self, X, sample_weight, *, first):
        check_choice("method", self.method, METHODS)
        check_choice("per", self.per, SCOPES)
        windows, _ = self._validate(X, reset=first, n_channels=self.n_channels)
        if sample_weight is not None:
            sample_weight = _check_weights(sample_weight, len(windows))
            used = sample_weight > 0
            if not used.all():
                windows, sample_weight = windows[used], sample_weight[used]
        n_before = 0 if first else self.n_samples_seen_
        if self.per == "dataset":
            if self.method == "standard":
                self._learn_moments(windows, sample_weight, first)
            elif self.method == "minmax":
                self._learn_range(windows, first)
            else:
                self._learn_quantiles(windows, sample_weight)
        self.n_samples_seen_ = n_before + len(windows)
        return self

    def _learn_moments(self, windows, weights, first):
        if first:
            total, mean = 0.0, np.zeros(windows.shape[1])
            squares = np.zeros(windows.shape[1])
        else:
            total, mean, squares = self._weight_seen, self.center_, self._squares
        for block in _window_blocks(windows):
            part = windows[block].astype(np.float64, copy=False)
            weight = np.ones(len(part)) if weights is None else weights[block]
            part_total = weight.sum() * part.shape[2]
            part_mean = weight @ np.einsum("nct->nc", part) / part_total
            centred = part - part_mean[:, np.newaxis]
            part_squares = weight @ np.einsum("nct,nct->nc", centred, centred)
            step = part_mean - mean
            new_total = total + part_total
            squares = squares + part_squares + step**2 * total * part_total / new_total
            mean = mean + step * part_total / new_total
            total = new_total
        self._weight_seen, self._squares = total, squares
        self.center_ = mean
        self.scale_ = _usable_scale(
            np.sqrt(squares / total), np.abs(mean), windows.dtype
        )

    def _learn_range(self, windows, first):
        smallest = windows.min(axis=2).min(axis=0).astype(np.float64)
        largest = windows.max(axis=2).max(axis=0).astype(np.float64)
        if not first:
            smallest = np.minimum(smallest, self._range[0])
            largest = np.maximum(largest, self._range[1])
        self._range = np.stack([smallest, largest])
        self.center_, self.scale_ = _center_of_range(smallest, largest, windows.dtype)

    def _learn_quantiles(self, windows, weights):
        n_times = windows.shape[2]
        quartiles = np.empty((3, windows.shape[1]))
        if weights is not None:
            weights = np.repeat(weights, n_times)
        # Channel after channel: the copy that is sorted stays small.
        for channel in range(windows.shape[1]):
            samples = windows[:, channel].reshape(-1)
            quartiles[:, channel] = _quartiles(samples, weights)
        self.center_, self.scale_ = _center_of_quartiles(quartiles, windows.dtype)


def _check_weights(sample_weight, n_windows):
    """Return weights as float64, refusing what cannot be one weight a window."""
    weights = check_array(
        sample_weight, ensure_2d=False, dtype=np.float64, input_name="sample_weight"
    )
    if weights.shape != (n_windows,):
        raise ValueError(
            f"sample_weight.shape == {weights.shape}, expected {(n_windows,)}: one "
            "weight for each window."
        )
    if (weights < 0).any() or not (weights > 0).any():
        raise ValueError(
            "sample_weight must not be negative, nor zero for every window; got a "
            f"minimum of {weights.min():g} and a maximum of {weights.max():g}."
        )
    return weights


def _window_blocks(windows):
    return row_blocks(len(windows), windows.shape[1] * windows.shape[2], BLOCK_ELEMENTS)


def _usable_scale(scale, magnitude, dtype):
    """Replace scales that are nothing but rounding by one."""
    rounding = 10 * np.finfo(dtype).eps * magnitude
    return np.where(scale <= rounding, np.ones_like(scale), scale)


def _center_of_range(smallest, largest, dtype):
    scale = largest / 2 - smallest / 2
    magnitude = np.maximum(np.abs(smallest), np.abs(largest))
    return smallest + scale, _usable_scale(scale, magnitude, dtype)


def _center_of_quartiles(quartiles, dtype):
    scale = quartiles[2] - quartiles[0]
    magnitude = np.abs(quartiles).max(axis=0)
    return quartiles[1], _usable_scale(scale, magnitude, dtype)


def _quartiles(samples, weights):
    """Return the quartiles, between two samples their mean.

    The inverse of the distribution function, averaged where it jumps: the
    definition for which a weight of two equals the sample twice.
    """
    levels = (0.25, 0.5, 0.75)
    if weights is None:
        return np.quantile(samples, levels, method="averaged_inverted_cdf")
    order = np.argsort(samples, kind="stable")
    samples, cumulated = samples[order], np.cumsum(weights[order])
    targets = np.array(levels) * cumulated[-1]
    # A jump that is hit exactly must be recognised in spite of the sum's rounding.
    margin = 1e-9 * cumulated[-1]
    last = len(samples) - 1
    lower = np.minimum(np.searchsorted(cumulated, targets - margin), last)
    upper = np.minimum(np.searchsorted(cumulated, targets + margin), last)
    return (samples[lower].astype(np.float64) + samples[upper]) / 2


def _scale_each(windows, method):
    """Scale every channel of every window by its own statistics, in its type."""
    dtype = windows.dtype
    if method == "standard":
        center = windows.mean(axis=2, keepdims=True)
        scaled = windows - center
        variance = np.einsum("nct,nct->nc", scaled, scaled) / windows.shape[2]
        scale = np.sqrt(variance)[:, :, np.newaxis]
        scaled /= _usable_scale(scale, np.abs(center), dtype)
        return scaled
    if method == "minmax":
        smallest = windows.min(axis=2, keepdims=True)
        largest = windows.max(axis=2, keepdims=True)
        center, scale = _center_of_range(smallest, largest, dtype)
    else:
        levels, quantile = (0.25, 0.5, 0.75), "averaged_inverted_cdf"
        quartiles = np.quantile(windows, levels, axis=2, keepdims=True, method=quantile)
        center, scale = _center_of_quartiles(quartiles.astype(dtype), dtype)
    scaled = windows - center
    scaled /= scale
    return scaled
