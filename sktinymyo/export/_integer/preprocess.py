"""Float32 preprocessing of the program, window by window and as a stream.

The C sources do the same float32 operations in the same order, each of them rounded
by itself:

map
    ``y = 0; y = y + map[c][i] * x[i]`` for i from the first channel to the last.
section (transposed direct form II, first section first)
    ``y = b0 * x + s1``, ``s1 = (b1 * x - a1 * y) + s2``, ``s2 = b2 * x - a2 * y``.
start
    State of section k: ``initial_state[k] * x0`` with the first sample x0 of the
    whole cascade, as if it had been there for ever.
zero phase
    The row is continued at both ends by ``2 * x_end - x`` (odd padding of `pad_length`
    samples), filtered, turned round, filtered from a fresh start, and turned back.

scipy computes in float64; results agree to about 1e-5 of the largest sample.
"""

import numpy as np

from ...exceptions import WindowsError

__all__ = ["StreamingPreprocess", "preprocess_windows", "quantise_input"]


# Beyond float32 the result is infinite or NaN, as in the C program.
@np.errstate(over="ignore", invalid="ignore")
def preprocess_windows(program, X):
    """Map and filter windows in float32.

    Parameters
    ----------
    program : IntegerProgram or ExportedModel
        Its `preprocess` is applied.
    X : array-like of shape (n_windows, n_channels_in, n_times)
        Raw windows; they may be longer or shorter than the network's.

    Returns
    -------
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)

    Raises
    ------
    WindowsError
        If the shape does not fit, or values are not finite in float32.
    """
    preprocess = program.preprocess
    X = _as_float32(X, 3)
    if X.shape[1] != preprocess.n_channels_in or X.shape[2] < 1:
        raise WindowsError(
            f"X has shape {X.shape}; it must be (n_windows, "
            f"{preprocess.n_channels_in}, n_times) with at least one sample."
        )
    mapped = _map_channels(preprocess, X)
    if preprocess.sos is None:
        return mapped
    if preprocess.phase == "causal":
        return _filter(preprocess, mapped, _start(preprocess, mapped))[0]
    return _forwards_and_backwards(preprocess, mapped)


def quantise_input(program, windows):
    """Turn preprocessed windows into the integers that the network takes.

    Parameters
    ----------
    program : IntegerProgram
        Its ``input.scale`` and ``input.offset`` are applied.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        From :func:`preprocess_windows`. Infinities are limited, NaN becomes -128.

    Returns
    -------
    q_input : ndarray of int8, shape (n_windows, n_channels, n_times)
    """
    windows = _as_float32(windows, 3, finite=False)
    if windows.shape[1] != program.shape.n_channels:
        raise WindowsError(
            f"windows has shape {windows.shape}; it must be (n_windows, "
            f"{program.shape.n_channels}, n_times)."
        )
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = windows * program.arrays["input.scale"][:, np.newaxis]
        scaled += program.arrays["input.offset"][:, np.newaxis]
    # A filter that overflows ends in NaN, which must be something.
    scaled[np.isnan(scaled)] = -128
    return np.clip(np.rint(scaled), -128, 127).astype(np.int8)


class StreamingPreprocess:
    """Map and filter an endless recording block by block.

    The blocks together equal the whole recording at once, bit for bit and however
    it is cut.

    Parameters
    ----------
    program : IntegerProgram
        Its `preprocess` is applied; the phase must be "causal".

    Raises
    ------
    ValueError
        If the program filters forwards and backwards, which needs the future.
    """

    def __init__(self, program):
        self.preprocess = program.preprocess
        if self.preprocess.sos is not None and self.preprocess.phase != "causal":
            raise ValueError(
                f"phase={self.preprocess.phase!r} cannot be streamed: it needs samples "
                "of the future. Fit the pipeline with EMGFilter(phase='causal')."
            )
        self.reset()

    def reset(self):
        """Forget the recording so far."""
        self._state = None

    @np.errstate(over="ignore", invalid="ignore")
    def push(self, block):
        """Return the next samples of every channel, mapped and filtered.

        Parameters
        ----------
        block : array-like of shape (n_channels_in, n_times)
            The next raw samples; none at all is accepted.

        Returns
        -------
        filtered : ndarray of float32, shape (n_channels, n_times)
        """
        block = _as_float32(block, 2)
        if len(block) != self.preprocess.n_channels_in:
            raise WindowsError(
                f"block has shape {block.shape}; it must be "
                f"({self.preprocess.n_channels_in}, n_times)."
            )
        mapped = _map_channels(self.preprocess, block)
        if self.preprocess.sos is None or mapped.shape[-1] == 0:
            return mapped
        if self._state is None:
            self._state = _start(self.preprocess, mapped)
        filtered, self._state = _filter(self.preprocess, mapped, self._state)
        return filtered


def _as_float32(X, n_dimensions, *, finite=True):
    """Return X as float32 with so many dimensions, finite if that is asked for."""
    X = np.asarray(X)
    if X.ndim != n_dimensions or X.dtype.kind not in "fiub":
        raise WindowsError(
            f"samples must be real numbers in {n_dimensions} dimensions; got an array "
            f"of {X.dtype} and shape {X.shape}."
        )
    with np.errstate(over="ignore"):
        X = X.astype(np.float32, copy=False)
    if finite and not np.isfinite(X).all():
        raise WindowsError(
            "the samples hold NaN, infinity or values too large for float32; remove "
            "or interpolate these first."
        )
    return X


def _map_channels(preprocess, X):
    """Apply the map of channels to (..., n_channels_in, n_times)."""
    if preprocess.mapper is None:
        return X
    mapped = np.zeros((*X.shape[:-2], len(preprocess.mapper), X.shape[-1]), np.float32)
    for source in range(X.shape[-2]):
        column = preprocess.mapper[:, source, np.newaxis]
        mapped += column * X[..., source : source + 1, :]
    return mapped


def _start(preprocess, X):
    """Return the state that the first samples would have left as a constant."""
    states = preprocess.initial_state
    return [(first * X[..., 0], second * X[..., 0]) for first, second in states]


def _filter(preprocess, X, state):
    """Filter (..., n_times) forwards; return the result and the state at its end."""
    # Time first: every step of the recursion then reads one piece of memory.
    samples = np.ascontiguousarray(np.moveaxis(X, -1, 0))
    ends = []
    for (b0, b1, b2, _, a1, a2), (s1, s2) in zip(preprocess.sos, state, strict=True):
        filtered = np.empty_like(samples)
        for time, x in enumerate(samples):
            y = b0 * x + s1
            s1 = (b1 * x - a1 * y) + s2
            s2 = b2 * x - a2 * y
            filtered[time] = y
        samples = filtered
        ends.append((s1, s2))
    return np.moveaxis(samples, 0, -1), ends


def _forwards_and_backwards(preprocess, X):
    """Filter (..., n_times) without delay."""
    length, n_times = preprocess.pad_length, X.shape[-1]
    if length > n_times - 1:
        raise WindowsError(
            f"windows of {n_times} samples are shorter than the padding of {length} "
            "samples that the filter was fitted with; pass windows of the length of "
            "fit."
        )
    extended = X
    if length:
        two = np.float32(2)
        before = two * X[..., :1] - X[..., length:0:-1]
        after = two * X[..., -1:] - X[..., -2 : -length - 2 : -1]
        extended = np.concatenate([before, X, after], axis=-1)
    for _ in range(2):
        start = _start(preprocess, extended)
        extended = _filter(preprocess, extended, start)[0][..., ::-1]
    return extended[..., length : length + n_times]
