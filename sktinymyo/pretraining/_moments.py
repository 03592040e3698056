"""Mean and spread of every channel, pooled over the recordings that share them."""

from typing import NamedTuple

import numpy as np

__all__ = ["Moments", "Scaling", "moments_of", "usable_spread"]


class Moments(NamedTuple):
    """Moments of some recordings with the same number of channels.

    Attributes
    ----------
    recordings : ndarray of shape (n,)
        Which recordings they are.
    count : ndarray of shape (n,)
        Samples per channel.
    mean, squares : ndarray of shape (n, n_channels)
        Mean, and sum of the squared distances from it, in float64.
    """

    recordings: np.ndarray
    count: np.ndarray
    mean: np.ndarray
    squares: np.ndarray


def moments_of(samples):
    """Return mean and sum of squared distances along the last axis, in float64."""
    part = np.array(samples, dtype=np.float64)
    # Values that overflow are reported by the caller, who knows where they lie.
    with np.errstate(over="ignore", invalid="ignore"):
        mean = part.mean(axis=-1)
        part -= mean[..., np.newaxis]
        return mean, np.einsum("...t,...t->...", part, part)


def merge(count, mean, squares, more_count, more_mean, more_squares):
    """Merge the moments of two parts, as Chan, Golub and LeVeque do."""
    total = count + more_count
    step = more_mean - mean
    squares = squares + more_squares + step**2 * (count * more_count / total)
    return total, mean + step * (more_count / total), squares


def usable_spread(spread, magnitude, rounding):
    """Replace spreads that are nothing but rounding by one.

    The limit is ten units in the last place, as in ``WindowScaler``.
    """
    return np.where(spread <= 10 * rounding * magnitude, 1.0, spread)


class Scaling:
    """Means and standard deviations of sets of recordings.

    Recordings of one group with different numbers of channels form a set for
    each number: there is no telling which channels correspond.

    Parameters
    ----------
    group_of : ndarray of shape (n_recordings,)
        Group of each recording, from 0; -1 leaves the recording out.
    n_channels : ndarray of shape (n_recordings,)
        Channels of each recording.

    Attributes
    ----------
    set_of : ndarray of shape (n_recordings,)
        Set of each recording, -1 for those left out.
    offsets : ndarray of shape (n_sets + 1,)
        Where the channels of each set begin in `center` and `spread`.
    center, spread : ndarray of shape (offsets[-1],)
        Set after `finish`; one value per set and channel, in float64.
    """

    def __init__(self, group_of, n_channels):
        used = group_of >= 0
        # One number for each pair of a group and a number of channels.
        base = int(n_channels.max()) + 1
        pairs = group_of[used].astype(np.int64) * base + n_channels[used]
        pairs, inverse = np.unique(pairs, return_inverse=True)
        self.set_of = np.full(len(group_of), -1, dtype=np.int32)
        self.set_of[used] = inverse
        self.offsets = np.concatenate([[0], np.cumsum(pairs % base)])
        self._count = np.zeros(len(pairs))
        self.center = np.zeros(self.offsets[-1])
        self._squares = np.zeros(self.offsets[-1])

    def add(self, moments):
        """Add the moments of recordings that are not left out."""
        n_channels = moments.mean.shape[1]
        sets, inverse = np.unique(self.set_of[moments.recordings], return_inverse=True)
        weight = moments.count[:, np.newaxis].astype(np.float64)
        count = np.bincount(inverse, moments.count)[:, np.newaxis]
        mean = np.zeros((len(sets), n_channels))
        np.add.at(mean, inverse, moments.mean * weight)
        mean /= count
        squares = np.zeros_like(mean)
        distance = moments.mean - mean[inverse]
        np.add.at(squares, inverse, moments.squares + weight * distance**2)

        place = self.offsets[sets][:, np.newaxis] + np.arange(n_channels)
        seen = self._count[sets][:, np.newaxis]
        total, self.center[place], self._squares[place] = merge(
            seen, self.center[place], self._squares[place], count, mean, squares
        )
        self._count[sets] = total[:, 0]

    def finish(self, rounding):
        """Turn what was added into `spread`.

        Parameters
        ----------
        rounding : ndarray of shape (n_recordings,)
            Relative size of differences that are rounding, of each recording.
        """
        used = self.set_of >= 0
        precision = np.zeros(len(self._count))
        np.maximum.at(precision, self.set_of[used], rounding[used])
        sizes = np.diff(self.offsets)
        spread = np.sqrt(self._squares / np.repeat(self._count, sizes))
        magnitude = np.abs(self.center)
        self.spread = usable_spread(spread, magnitude, np.repeat(precision, sizes))
        del self._squares, self._count
