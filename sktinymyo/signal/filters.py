"""Design and application of EMG filters as one cascade of second-order sections.

A recursive filter of high order loses its precision when it is written as one
fraction of polynomials, the more so when the lower edge is small beside the
sampling rate. Everything here is therefore a cascade of second-order sections
[1]_, and the arithmetic is float64 whatever the type of the samples: float32
samples are widened block by block, so that memory stays bounded.

References
----------
.. [1] A. V. Oppenheim and R. W. Schafer, "Discrete-Time Signal Processing",
   3rd edition, Pearson, 2010, section 6.3.2 (cascade form) and section 6.8
   (effects of coefficient quantisation).
"""

import numbers
import warnings

import numpy as np
from scipy import signal

from .._validation import check_choice, check_number, check_recording
from ..exceptions import WindowsError
from ._blocks import as_float, row_blocks
from ._orientation import orientation_hint

__all__ = [
    "PHASES",
    "design_filter",
    "filter_block",
    "filter_recording",
    "filter_windows",
    "padding_length",
]

PHASES = ("zero", "causal")
NOTCH_QUALITY = 30.0
# Large enough to hide the cost of a call, small enough for the processor's cache.
BLOCK_ELEMENTS = 2**17


def design_filter(
    sfreq,
    l_freq=20.0,
    h_freq=450.0,
    notch=50.0,
    *,
    notch_harmonics=False,
    notch_width=None,
    order=4,
):
    """Design a band-pass filter with notches as one cascade.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    l_freq : float or None, default=20.0
        Lower edge in Hz; None leaves out the high-pass. Below 20 Hz lie motion
        artefacts and the unstable firing rate of motor units [1]_.
    h_freq : float or None, default=450.0
        Upper edge in Hz, below half the sampling rate; None leaves out the
        low-pass. Surface EMG has little power above 400-500 Hz [1]_.
    notch : float, sequence of float or None, default=50.0
        Frequency or frequencies removed, in Hz (mains hum); None for none.
    notch_harmonics : bool, default=False
        Also remove every whole multiple of `notch` below half the sampling rate.
    notch_width : float or None, default=None
        Width of every notch in Hz between the points at -3 dB. None makes each
        notch one thirtieth of its frequency wide (quality factor 30, the
        recipe of TinyMyo): 1.67 Hz at 50 Hz.
    order : int, default=4
        Order of the Butterworth filter at each edge: 6 dB per octave and unit.

    Returns
    -------
    sos : ndarray of shape (n_sections, 6)
        Second-order sections, float64, as :func:`scipy.signal.sosfilt` takes them.
        With nothing to filter, one section that passes everything unchanged.

    Raises
    ------
    ValueError
        If an edge or a notch does not fit the sampling rate, or the edges are
        in the wrong order.

    Notes
    -----
    At an edge the Butterworth response is -3 dB in one (causal) pass and -6 dB
    where the cascade runs forwards and backwards (zero phase).

    References
    ----------
    .. [1] C. J. De Luca, L. D. Gilmore, M. Kuznetsov, S. H. Roy, "Filtering the
       surface EMG signal: Movement artifact and baseline noise contamination",
       Journal of Biomechanics 43(8), 2010, pages 1573-1579.

    Examples
    --------
    >>> from sktinymyo.signal import design_filter
    >>> design_filter(2000).shape  # 4 sections of band-pass, 1 of notch
    (5, 6)
    >>> design_filter(200, h_freq=None, notch=50, notch_harmonics=True).shape
    (3, 6)
    """
    check_number("sfreq", sfreq, minimum=0, include_minimum=False)
    check_number("order", order, minimum=1, integer=True)
    for name, value in (
        ("l_freq", l_freq),
        ("h_freq", h_freq),
        ("notch_width", notch_width),
    ):
        check_number(name, value, minimum=0, include_minimum=False, none_allowed=True)
    _check_edges(sfreq, l_freq, h_freq)
    frequencies = _notch_frequencies(sfreq, notch, notch_harmonics)

    sections = []
    if l_freq is not None and h_freq is not None:
        edges, kind = [l_freq, h_freq], "bandpass"
    elif l_freq is not None:
        edges, kind = l_freq, "highpass"
    else:
        edges, kind = h_freq, "lowpass"
    if edges is not None:
        sections.append(signal.butter(order, edges, kind, fs=sfreq, output="sos"))
    for frequency in frequencies:
        quality = NOTCH_QUALITY if notch_width is None else frequency / notch_width
        numerator, denominator = signal.iirnotch(frequency, quality, fs=sfreq)
        sections.append(np.concatenate([numerator, denominator])[np.newaxis])
    if not sections:
        sections.append(np.array([[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]]))
    return np.concatenate(sections)


def filter_windows(X, sos, *, phase="zero"):
    """Filter every window and channel on its own.

    Parameters
    ----------
    X : array-like of shape (..., n_times)
        Windows, usually ``(n_windows, n_channels, n_times)``, or a recording.
        Not modified.
    sos : ndarray of shape (n_sections, 6)
        Cascade from :func:`design_filter`.
    phase : {"zero", "causal"}, default="zero"
        "zero" filters forwards and backwards: no delay, twice the attenuation.
        "causal" filters forwards only: what an online decoder can do.

    Returns
    -------
    filtered : ndarray of the shape of X
        In the type of X if that is float32 or float64.

    Notes
    -----
    *Zero phase.* Each row is continued at both ends by its own rotation about
    the end point (odd padding) and the sections start in the state they would
    have after an endless constant, as in :func:`scipy.signal.sosfiltfilt` [1]_.
    The padding is three times the filter's number of coefficients, but never
    longer than the row less one sample, so that rows of any length work.

    *Causal.* Each row starts in the state that an endless constant at its first
    sample would have left: an offset causes no transient.

    References
    ----------
    .. [1] F. Gustafsson, "Determining the initial states in forward-backward
       filtering", IEEE Transactions on Signal Processing 44(4), 1996, pages 988-992.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import design_filter, filter_windows
    >>> X = np.random.default_rng(0).normal(size=(3, 8, 400)).astype("float32")
    >>> filtered = filter_windows(X, design_filter(sfreq=2000))
    >>> filtered.shape, filtered.dtype
    ((3, 8, 400), dtype('float32'))
    """
    check_choice("phase", phase, PHASES)
    sos = _check_sos(sos)
    X = as_float(X)
    if X.ndim < 1:
        raise WindowsError("X must have at least one dimension, time; got a number.")
    filtered = np.empty(X.shape, X.dtype)
    if X.size == 0:
        return filtered
    n_times = X.shape[-1]
    start = signal.sosfilt_zi(sos)[:, np.newaxis, :]
    n_padding = min(padding_length(sos), n_times - 1) if phase == "zero" else 0
    rows_in, rows_out = _as_rows(X), filtered.reshape(-1, n_times)
    for block in row_blocks(len(rows_out), n_times + 2 * n_padding, BLOCK_ELEMENTS):
        rows = rows_in(block)
        if phase == "causal":
            rows_out[block] = signal.sosfilt(sos, rows, zi=start * rows[:, :1])[0]
        else:
            rows_out[block] = _forwards_and_backwards(sos, start, rows, n_padding)
    return filtered


def filter_recording(
    recording,
    sfreq,
    l_freq=20.0,
    h_freq=450.0,
    notch=50.0,
    *,
    notch_harmonics=False,
    notch_width=None,
    order=4,
    phase="zero",
):
    """Filter a whole recording.

    Filtering before windows are cut is better than after it: a window of 200 ms
    is short beside the response of a notch (0.2 s at 50 Hz), so that the edges
    of every window carry a transient.

    Parameters
    ----------
    recording : array-like of shape (n_channels, n_times)
        Recording of any length, at least one sample. Not modified.
    sfreq : float
        Sampling rate in Hz.
    l_freq, h_freq, notch, notch_harmonics, notch_width, order
        As in :func:`design_filter`.
    phase : {"zero", "causal"}, default="zero"
        As in :func:`filter_windows`.

    Returns
    -------
    filtered : ndarray of shape (n_channels, n_times)
        In the type of the recording if that is float32 or float64. The float64
        temporaries are those of one channel, never of the whole recording.

    Raises
    ------
    WindowsError
        If the recording is not two-dimensional or not finite.
    ValueError
        If a frequency does not fit the sampling rate.

    Warns
    -----
    UserWarning
        If there are more channels than samples: the recording is probably
        transposed, and would be filtered across electrodes.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import filter_recording
    >>> times = np.arange(6000) / 2000
    >>> recording = np.stack([np.sin(2 * np.pi * f * times) for f in (50, 120)])
    >>> filtered = filter_recording(recording, sfreq=2000)
    >>> np.abs(filtered[:, 2500:3500]).max(axis=1).round(2)
    array([0., 1.])
    """
    sos = design_filter(
        sfreq,
        l_freq,
        h_freq,
        notch,
        notch_harmonics=notch_harmonics,
        notch_width=notch_width,
        order=order,
    )
    check_choice("phase", phase, PHASES)
    recording = check_recording(as_float(recording))
    hint = orientation_hint("recording", recording.shape)
    if hint:
        warnings.warn(hint, UserWarning, stacklevel=2)
    return filter_windows(recording, sos, phase=phase)


def filter_block(block, sos, state=None):
    """Filter the next block of an endless recording, causally.

    The blocks of a recording filtered one after the other, each with the state
    that the one before returned, equal the whole recording filtered with
    ``phase="causal"``, bit for bit and however the recording is cut.

    Parameters
    ----------
    block : array-like of shape (n_channels, n_times)
        The next samples; none at all (``n_times=0``) is accepted. Not modified.
    sos : ndarray of shape (n_sections, 6)
        Cascade from :func:`design_filter`.
    state : ndarray of shape (n_sections, n_channels, 2) or None, default=None
        What the call for the block before returned. None at the beginning: the
        filter then starts as if the first sample had been there for ever, so
        that an offset causes no transient. Zeros start it at rest.

    Returns
    -------
    filtered : ndarray of shape (n_channels, n_times)
    state : ndarray of shape (n_sections, n_channels, 2) or None
        Float64, to pass with the next block. None only if there was no sample
        yet.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import design_filter, filter_block, filter_windows
    >>> sos = design_filter(sfreq=2000)
    >>> recording = np.random.default_rng(0).normal(size=(8, 500))
    >>> first, state = filter_block(recording[:, :123], sos)
    >>> second, state = filter_block(recording[:, 123:], sos, state)
    >>> whole = filter_windows(recording, sos, phase="causal")
    >>> bool(np.array_equal(np.hstack([first, second]), whole))
    True
    """
    sos = _check_sos(sos)
    block = check_recording(as_float(block), name="block", minimum_times=0)
    expected = (len(sos), block.shape[0], 2)
    if state is not None and np.shape(state) != expected:
        raise WindowsError(
            f"state has shape {np.shape(state)}, but {len(sos)} sections and "
            f"{block.shape[0]} channels need {expected}; pass the state returned for "
            "the block before, or None to start anew."
        )
    if block.shape[1] == 0:
        return block.copy(), state
    samples = block.astype(np.float64, copy=False)
    if state is None:
        state = signal.sosfilt_zi(sos)[:, np.newaxis, :] * samples[:, :1]
    filtered, state = signal.sosfilt(sos, samples, zi=state)
    return filtered.astype(block.dtype, copy=False), state


def _check_edges(sfreq, l_freq, h_freq):
    """Refuse edges that no filter at this sampling rate can have."""
    nyquist = sfreq / 2
    if h_freq is not None and h_freq >= nyquist:
        usable = 0.9 * nyquist
        advice = f"pass h_freq={usable:g} (below {nyquist:g} Hz) or h_freq=None"
        if l_freq is not None and l_freq >= usable:
            advice = "pass h_freq=None"
        raise ValueError(
            f"h_freq={h_freq:g} Hz is not below {nyquist:g} Hz, half the sampling "
            f"rate sfreq={sfreq:g} Hz; {advice}. If the recording has another "
            "sampling rate, pass that as sfreq."
        )
    if l_freq is not None and l_freq >= nyquist:
        raise ValueError(
            f"l_freq={l_freq:g} Hz is not below {nyquist:g} Hz, half the sampling "
            f"rate sfreq={sfreq:g} Hz; pass a smaller l_freq or l_freq=None."
        )
    if l_freq is not None and h_freq is not None and l_freq >= h_freq:
        raise ValueError(
            f"l_freq={l_freq:g} Hz must be smaller than h_freq={h_freq:g} Hz; pass "
            "None for an edge that is not wanted."
        )


def _notch_frequencies(sfreq, notch, harmonics):
    """Return the frequencies of all notches, ascending and each once."""
    if not isinstance(harmonics, (bool, np.bool_)):
        raise TypeError(f"notch_harmonics must be True or False; got {harmonics!r}.")
    if notch is None:
        return []
    if isinstance(notch, (numbers.Real, str)) or np.ndim(notch) == 0:
        notch = [notch]
    nyquist = sfreq / 2
    frequencies = set()
    for frequency in np.asarray(notch, dtype=object).ravel().tolist():
        check_number("notch", frequency, minimum=0, include_minimum=False)
        if frequency >= nyquist:
            raise ValueError(
                f"notch={frequency:g} Hz is not below {nyquist:g} Hz, half the "
                f"sampling rate sfreq={sfreq:g} Hz; pass notch=None or frequencies "
                f"below {nyquist:g} Hz."
            )
        n_multiples = int(np.ceil(nyquist / frequency)) - 1 if harmonics else 1
        frequencies.update(frequency * (i + 1) for i in range(n_multiples))
    return sorted(frequencies)


def _check_sos(sos):
    """Return the sections as a float64 array of shape (n, 6)."""
    # A copy: scipy wants to be able to write even where it only reads.
    sos = np.array(sos, dtype=np.float64, order="C")
    if sos.ndim != 2 or sos.shape[1] != 6 or len(sos) < 1:
        raise ValueError(
            f"sos must have shape (n_sections, 6); got {sos.shape}. Use the result "
            "of design_filter."
        )
    return sos


def padding_length(sos):
    """Count the samples by which a zero-phase filter continues both ends of a window.

    Parameters
    ----------
    sos : ndarray of shape (n_sections, 6)
        Second-order sections, from :func:`design_filter`.

    Returns
    -------
    n_padding : int
        Three times the number of coefficients, roots at the origin not counted; of a
        window at most all samples but one.

    Examples
    --------
    >>> from sktinymyo.signal import design_filter, padding_length
    >>> padding_length(design_filter(1000, l_freq=20, h_freq=None, notch=None))
    15
    """
    at_origin = min((sos[:, 2] == 0).sum(), (sos[:, 5] == 0).sum())
    return 3 * (2 * len(sos) + 1 - int(at_origin))


def _as_rows(X):
    """Return a function from a slice of rows to these rows, in float64.

    Reshaping a strided array would copy all of it; taken one block at a time,
    only the block is copied.
    """
    n_times = X.shape[-1]
    if X.flags.c_contiguous:
        rows = X.reshape(-1, n_times)
        return lambda block: rows[block].astype(np.float64, copy=False)
    leading = X.shape[:-1]

    def take(block):
        index = np.unravel_index(np.arange(block.start, block.stop), leading)
        return X[index].astype(np.float64, copy=False)

    return take


def _forwards_and_backwards(sos, start, rows, n_padding):
    """Filter float64 rows with odd padding, without delay."""
    if n_padding:
        n_times = rows.shape[1]
        extended = np.empty((len(rows), n_times + 2 * n_padding))
        inside = slice(n_padding, n_padding + n_times)
        extended[:, inside] = rows
        mirrored = rows[:, n_padding:0:-1]
        np.subtract(2 * rows[:, :1], mirrored, out=extended[:, :n_padding])
        mirrored = rows[:, -2 : -n_padding - 2 : -1]
        np.subtract(2 * rows[:, -1:], mirrored, out=extended[:, inside.stop :])
    else:
        extended, inside = rows, slice(None)
    forwards, _ = signal.sosfilt(sos, extended, zi=start * extended[:, :1])
    backwards = forwards[:, ::-1]
    filtered, _ = signal.sosfilt(sos, backwards, zi=start * backwards[:, :1])
    return filtered[:, ::-1][:, inside]
