"""The batches of an epoch: every window once, equal numbers of channels together."""

from collections.abc import Sequence

import numpy as np

from .._validation import check_number

__all__ = ["Batches", "shuffled_batches"]


class Batches(Sequence):
    """Batches of one epoch, as slices of one array of window numbers.

    Parameters
    ----------
    windows : ndarray of shape (n_windows,)
        Numbers of the windows.
    starts : ndarray of shape (n_batches,)
        Where each batch begins in `windows`; batches come in this order.
    batch_size : int
        Windows in a batch; the one that ends `windows` may have fewer.
    """

    def __init__(self, windows, starts, batch_size):
        self._windows = windows
        self._starts = starts
        self._batch_size = batch_size

    def __len__(self):
        return len(self._starts)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return Batches(self._windows, self._starts[i], self._batch_size)
        start = self._starts[i]
        return self._windows[start : start + self._batch_size]

    def __repr__(self):
        return f"Batches({len(self)} batches of up to {self._batch_size} windows)"


def shuffled_batches(counts, channels, seed, epoch, batch_size):
    """Return the batches of one epoch.

    Parameters
    ----------
    counts, channels : ndarray of shape (n_recordings,)
        Windows and channels of each recording.
    seed, epoch, batch_size : int
        What the order depends on.

    Returns
    -------
    Batches
        Windows with equal numbers of channels in full batches, in random
        order; what is left of each number is put together, by number, into
        further batches. A batch that is not full comes last.
    """
    check_number("seed", seed, minimum=0, integer=True)
    check_number("epoch", epoch, minimum=0, integer=True)
    check_number("batch_size", batch_size, minimum=1, integer=True)
    n_windows = int(counts.sum())
    dtype = np.int32 if n_windows <= np.iinfo(np.int32).max else np.int64
    numbers = np.unique(channels[counts > 0])
    if len(numbers) == 1:
        windows = np.arange(n_windows, dtype=dtype)
        _generator(seed, epoch, int(numbers[0])).shuffle(windows)
    else:
        windows = np.empty(n_windows, dtype)
        # Full batches first, then the rests, in order of `numbers`.
        rests, filled = [], 0
        for number in numbers:
            bucket = np.flatnonzero(np.repeat(channels == number, counts))
            bucket = bucket.astype(dtype)
            _generator(seed, epoch, int(number)).shuffle(bucket)
            n_full = len(bucket) - len(bucket) % batch_size
            windows[filled : filled + n_full] = bucket[:n_full]
            rests.append(bucket[n_full:].copy())
            filled += n_full
        windows[filled:] = np.concatenate(rests)

    starts = np.arange(0, n_windows, batch_size)
    n_full = n_windows // batch_size
    _generator(seed, epoch, 0).shuffle(starts[:n_full])
    return Batches(windows, starts, int(batch_size))


def _generator(seed, epoch, number):
    """Return a generator of its own for every use: 0 for batches, else a bucket."""
    sequence = np.random.SeedSequence(int(seed), spawn_key=(int(epoch), number))
    return np.random.Generator(np.random.Philox(sequence))
