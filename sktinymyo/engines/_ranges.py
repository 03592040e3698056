"""Ranges of values, and the 256 levels that stand for them."""

import numpy as np

__all__ = ["Observed", "affine"]

_N_BINS = 2048
_N_LEVELS = 256
# Of the values of a tensor, in percent; the rest is cut off.
_PERCENTILE = 99.99
# Shares of the full range that are tried by "entropy" and "mse".
_SHARES = np.linspace(0.25, 1.0, 46)


class Observed:
    """Range and histogram of a tensor, and the largest size in each of its columns."""

    def __init__(self):
        self.low, self.high = 0.0, 0.0  # zero always has a level of its own
        self.largest = None
        self.counts = np.zeros(_N_BINS)

    def see_range(self, values):
        """Take the range of more values."""
        self.low = min(self.low, float(values.min()))
        self.high = max(self.high, float(values.max()))
        largest = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
        if self.largest is not None:
            largest = np.maximum(self.largest, largest)
        self.largest = largest

    def see_values(self, values):
        """Count more values, after all ranges are known."""
        if self.high > self.low:
            # Numpy's own function takes five times as long.
            bins = (values.ravel() - self.low) * (_N_BINS / (self.high - self.low))
            bins = np.minimum(bins.astype(np.int64), _N_BINS - 1)
            self.counts += np.bincount(bins, minlength=_N_BINS)

    def limits(self, calibration):
        """Return the range (low, high) to represent, which includes zero."""
        if self.high <= self.low:
            return 0.0, 1.0
        if calibration == "percentile":
            return self._percentile()
        cost = self._squared_error if calibration == "mse" else self._divergence
        share = min(
            _SHARES, key=lambda share: cost(share * self.low, share * self.high)
        )
        return share * self.low, share * self.high

    def _edges(self):
        return np.linspace(self.low, self.high, _N_BINS + 1)

    def _percentile(self):
        below = np.cumsum(self.counts) / self.counts.sum()
        tail = (100 - _PERCENTILE) / 200
        edges = self._edges()
        low = edges[np.searchsorted(below, tail)]
        high = edges[np.searchsorted(below, 1 - tail) + 1]
        return min(float(low), 0.0), max(float(high), 0.0)

    def _squared_error(self, low, high):
        centers = (self._edges()[:-1] + self._edges()[1:]) / 2
        scale, zero = affine(low, high)
        levels = np.clip(np.round(centers / scale) + zero, 0, _N_LEVELS - 1)
        return self.counts @ np.square((levels - zero) * scale - centers)

    def _divergence(self, low, high):
        """Divergence of the quantised histogram from the clipped one."""
        centers = (self._edges()[:-1] + self._edges()[1:]) / 2
        inside = (centers >= low) & (centers <= high)
        kept = self.counts[inside]
        clipped = kept.copy()
        first, last = np.flatnonzero(inside)[[0, -1]]
        clipped[0] += self.counts[:first].sum()
        clipped[-1] += self.counts[last + 1 :].sum()
        groups = np.arange(len(kept)) * _N_LEVELS // len(kept)
        filled = kept > 0
        sizes = np.bincount(groups, filled, minlength=_N_LEVELS)
        sums = np.bincount(groups, kept, minlength=_N_LEVELS)
        spread = (sums / np.maximum(sizes, 1))[groups] * filled
        p, q = clipped / clipped.sum(), np.maximum(spread / spread.sum(), 1e-12)
        seen = p > 0
        return float(np.sum(p[seen] * np.log(p[seen] / q[seen])))


def affine(low, high):
    """Return scale and zero point of 256 levels from `low` to `high`."""
    scale = np.float32(max((high - low) / (_N_LEVELS - 1), np.finfo(np.float32).tiny))
    return scale, np.uint8(np.clip(np.round(-low / scale), 0, _N_LEVELS - 1))
