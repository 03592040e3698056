r"""Time-domain features of EMG windows, by their published definitions.

With samples :math:`x_1 \dots x_T` of one channel of a window and first
differences :math:`d_i = x_{i+1} - x_i`:

=============  ==============================================================
name           definition
=============  ==============================================================
``mav``        mean absolute value, mean of :math:`|x_i|` [1]_
``zc``         zero crossings: :math:`x_i` and :math:`x_{i+1}` of opposite
               sign and :math:`|d_i|` at least `threshold` [1]_
``ssc``        slope sign changes: :math:`d_{i-1}` and :math:`d_i` of opposite
               sign and one of them at least `threshold` in size [1]_
``wl``         waveform length, sum of :math:`|d_i|` [1]_
``rms``        root of the mean square [2]_
``iav``        integral of the absolute value, sum of :math:`|x_i|` [2]_
``dasdv``      difference absolute standard deviation value, root of the mean
               of :math:`d_i^2` [2]_
``var``        variance (divisor T)
``log_var``    natural logarithm of the variance [3]_
``wamp``       Willison amplitude: number of :math:`|d_i|` above
               `willison_threshold` [2]_
``mfl``        maximum fractal length, :math:`\log_{10} \sum |d_i|` [4]_
``msr``        mean square root: :math:`|\frac1T \sum \sqrt{x_i}|` with complex
               roots of negative samples [5]_
``ls``         L-score: the second L-moment, half the mean difference of
               two samples [6]_
``activity``   variance [7]_
``mobility``   root of var(d) / var(x) [7]_
``complexity`` mobility of d / mobility of x [7]_
``m0 m2 m4``   power-spectrum descriptors in the time domain: normalised root
``sparsi``     squared moments of order 0, 2, 4, sparseness, irregularity and
``irf wlf``    waveform length ratio, each as the similarity between the signal
               and its logarithm [8]_
=============  ==============================================================

The formulas of the groups HTD, LS4, LS9 and TDPSD are those of LibEMG [9]_;
where published definitions differ the Notes of :func:`extract_features` say
which was taken.

References
----------
.. [1] B. Hudgins, P. Parker, R. N. Scott, "A new strategy for multifunction
   myoelectric control", IEEE Transactions on Biomedical Engineering 40(1),
   1993, pages 82-94.
.. [2] A. Phinyomark, P. Phukpattaranont, C. Limsakul, "Feature reduction and
   selection for EMG signal classification", Expert Systems with Applications
   39(8), 2012, pages 7420-7431.
.. [3] M. Tkach, H. Huang, T. A. Kuiken, "Study of stability of time-domain
   features for electromyographic pattern recognition", Journal of
   NeuroEngineering and Rehabilitation 7:21, 2010.
.. [4] A. Phinyomark, F. Quaine, S. Charbonnier, C. Serviere, F. Tarpin-Bernard,
   Y. Laurillau, "EMG feature evaluation for improving myoelectric pattern
   recognition robustness", Expert Systems with Applications 40(12), 2013,
   pages 4832-4840.
.. [5] O. W. Samuel, H. Zhou, X. Li and others, "Pattern recognition of
   electromyography signals based on novel time domain features for amputees'
   limb motion classification", Computers & Electrical Engineering 67, 2018,
   pages 646-655.
.. [6] J. R. M. Hosking, "L-moments: analysis and estimation of distributions
   using linear combinations of order statistics", Journal of the Royal
   Statistical Society B 52(1), 1990, section 2; used for EMG in the set LS4 of
   A. Phinyomark, R. N. Khushaba, E. Scheme, "Feature extraction and selection
   for myoelectric control based on wearable EMG sensors", Sensors 18(5):1615,
   2018.
.. [7] B. Hjorth, "EEG analysis based on time domain properties",
   Electroencephalography and Clinical Neurophysiology 29(3), 1970, pages 306-310.
.. [8] A. H. Al-Timemy, R. N. Khushaba, G. Bugmann, J. Escudero, "Improving the
   performance against force variation of EMG controlled multifunctional upper-limb
   prostheses for transradial amputees", IEEE Transactions on Neural Systems and
   Rehabilitation Engineering 24(6), 2016, pages 650-661.
.. [9] E. Eddy, E. Campbell, A. Phinyomark, S. Bateman, E. Scheme, "LibEMG: an open
   source library to facilitate the exploration of myoelectric control", IEEE
   Access 11, 2023.
"""

from functools import cached_property
from types import MappingProxyType

import numpy as np

from .._validation import check_number
from ..exceptions import WindowsError
from ._blocks import as_float, row_blocks

__all__ = ["FEATURES", "FEATURE_GROUPS", "extract_features", "resolve_features"]

# Temporaries of this many samples stay in the processor's second-level cache.
BLOCK_ELEMENTS = 2**16
# Stands for zero in logarithms, so that a silent channel gives a finite feature.
# The smallest normal float32, for both types alike.
FLOOR = float(np.finfo(np.float32).tiny)
POWER = 0.1


class _Rows:
    """Rows of samples, with quantities that several features share computed once.

    Differences are taken on the flattened block (one long vector operation) and
    keep the row length; what reaches over the end of a row is set to zero.
    """

    def __init__(self, rows, threshold, willison_threshold):
        self.rows = rows
        self.n_times = rows.shape[1]
        self.threshold = threshold
        self.willison_threshold = willison_threshold

    @cached_property
    def absolute_sum(self):
        return _sum(np.abs(self.rows))

    @cached_property
    def mean(self):
        return _sum(self.rows) / self.n_times

    @cached_property
    def variance(self):
        return _sum_of_squares(self.rows - self.mean[:, np.newaxis]) / self.n_times

    @cached_property
    def squares(self):
        return _sum_of_squares(self.rows)

    @cached_property
    def difference(self):
        return _difference(self.rows, 1)

    @cached_property
    def second_difference(self):
        return _difference(self.difference, 2)

    @cached_property
    def absolute_difference(self):
        return np.abs(self.difference)

    @cached_property
    def waveform_length(self):
        return _sum(self.absolute_difference)

    @cached_property
    def difference_variance(self):
        return _variance(self.difference[:, : max(self.n_times - 1, 0)])

    @cached_property
    def second_difference_variance(self):
        return _variance(self.second_difference[:, : max(self.n_times - 2, 0)])

    @cached_property
    def moments(self):
        return _log_moments(self)

    @cached_property
    def logarithm(self):
        """The rows' squares in logarithms, the second signal of the TDPSD family."""
        logarithm = np.square(self.rows)
        logarithm += np.spacing(1.0)
        np.log(logarithm, out=logarithm)
        return _Rows(logarithm, 0.0, 0.0)


def _difference(rows, order):
    difference = np.empty_like(rows)
    flat, flat_out = rows.reshape(-1), difference.reshape(-1)
    np.subtract(flat[1:], flat[:-1], out=flat_out[:-1])
    difference[:, -order:] = 0
    return difference


def _sum(rows):
    # einsum: one thread, one pass and no pairwise tree; three times as fast as sum.
    return np.einsum("rt->r", rows)


def _sum_of_squares(rows):
    return np.einsum("rt,rt->r", rows, rows)


def _variance(rows):
    if rows.shape[1] == 0:
        return np.zeros(len(rows), rows.dtype)
    centred = rows - (_sum(rows) / rows.shape[1])[:, np.newaxis]
    return _sum_of_squares(centred) / rows.shape[1]


def _count(mask):
    # Whole numbers up to 2**24 are exact in float32.
    return np.einsum("rt->r", mask.astype(np.float32))


def _log(values):
    return np.log(np.maximum(values, FLOOR))


def _ratio(numerator, denominator):
    """Quotient, zero where the denominator is zero."""
    quotient = np.zeros_like(numerator)
    return np.divide(numerator, denominator, out=quotient, where=denominator > 0)


def _zero_crossings(block):
    negative, positive = block.rows < 0, block.rows > 0
    falls, rises = negative.reshape(-1), positive.reshape(-1)
    crosses = np.zeros(block.rows.shape, bool)
    flat = crosses.reshape(-1)
    flat[:-1] = (falls[1:] & rises[:-1]) | (rises[1:] & falls[:-1])
    crosses[:, -1] = False
    if block.threshold > 0:
        crosses &= block.absolute_difference >= block.threshold
    return _count(crosses)


def _slope_sign_changes(block):
    falling = (block.difference < 0).reshape(-1)
    rising = (block.difference > 0).reshape(-1)
    changes = np.zeros(block.rows.shape, bool)
    flat = changes.reshape(-1)
    # The zero at the end of every row keeps neighbouring rows apart.
    flat[:-1] = (falling[1:] & rising[:-1]) | (rising[1:] & falling[:-1])
    if block.threshold > 0:
        large = (block.absolute_difference >= block.threshold).reshape(-1)
        flat[:-1] &= large[1:] | large[:-1]
    return _count(changes)


def _l_score(block):
    n_times = block.n_times
    if n_times == 1:
        return np.zeros(len(block.rows), block.rows.dtype)
    rank = np.arange(n_times)
    weight = (2 * rank / (n_times - 1) - 1) / n_times
    # Without its mean a row with a large offset keeps its digits in float32.
    ordered = block.rows - block.mean[:, np.newaxis]
    ordered.sort(axis=1)
    return np.einsum("rt,t->r", ordered, weight.astype(ordered.dtype))


def _mean_square_root(block):
    # sqrt of a negative sample is imaginary: with P and N the sums of the roots of
    # positive and of negative samples, |P + iN|^2 = ((P + N)^2 + (P - N)^2) / 2.
    roots = np.sqrt(np.abs(block.rows))
    total = _sum(roots)
    signed = _sum(np.copysign(roots, block.rows, out=roots))
    return np.hypot(total, signed) / (np.sqrt(2.0) * block.n_times)


def _log_moments(block):
    """Logarithms of the normalised moments, ``log(m ** 0.1 / 0.1)``, and the moments.

    Every quotient of the family is a difference of these logarithms, which can
    neither overflow nor divide by zero.
    """
    n_intervals = max(block.n_times - 1, 1)
    zeroth = np.sqrt(block.squares) / n_intervals
    second = np.sqrt(_sum_of_squares(block.difference) / n_intervals)
    fourth = np.sqrt(_sum_of_squares(block.second_difference) / n_intervals)
    return [np.maximum(m, FLOOR) ** POWER / POWER for m in (zeroth, second, fourth)]


def _spectral_descriptor(name):
    """Return the TDPSD feature: similarity of a descriptor of signal and logarithm."""

    def descriptor(block):
        if name == "wlf":
            second_length = _sum(np.abs(block.second_difference))
            return 0.5 * (_log(block.waveform_length) - _log(second_length))
        m0, m2, m4 = block.moments
        if name == "m0":
            return _log(m0)
        if name == "m2":
            return _log(np.abs(m0 - m2))
        if name == "m4":
            return _log(np.abs(m0 - m4))
        if name == "sparsi":
            products = _log(np.abs(m0 - m2)) + _log(np.abs(m0 - m4))
            return 0.5 * products - _log(m0)
        return _log(m2) - 0.5 * (_log(m0) + _log(m4))

    def feature(block):
        signal, logarithm = descriptor(block), descriptor(block.logarithm)
        return _ratio(-2 * signal * logarithm, signal**2 + logarithm**2)

    return feature


FEATURES = MappingProxyType(
    {
        "mav": lambda block: block.absolute_sum / block.n_times,
        "zc": _zero_crossings,
        "ssc": _slope_sign_changes,
        "wl": lambda block: block.waveform_length,
        "rms": lambda block: np.sqrt(block.squares / block.n_times),
        "iav": lambda block: block.absolute_sum,
        "dasdv": lambda block: np.sqrt(
            _sum_of_squares(block.difference) / max(block.n_times - 1, 1)
        ),
        "var": lambda block: block.variance,
        "log_var": lambda block: _log(block.variance),
        "wamp": lambda block: _count(
            block.absolute_difference > block.willison_threshold
        ),
        "mfl": lambda block: _log(block.waveform_length) / np.log(10.0),
        "msr": _mean_square_root,
        "ls": _l_score,
        "activity": lambda block: block.variance,
        "mobility": lambda block: np.sqrt(
            _ratio(block.difference_variance, block.variance)
        ),
        "complexity": lambda block: _ratio(
            np.sqrt(block.second_difference_variance) * np.sqrt(block.variance),
            block.difference_variance,
        ),
        **{
            name: _spectral_descriptor(name)
            for name in ("m0", "m2", "m4", "sparsi", "irf", "wlf")
        },
    }
)

FEATURE_GROUPS = MappingProxyType(
    {
        "htd": ("mav", "zc", "ssc", "wl"),
        "hjorth": ("activity", "mobility", "complexity"),
        "ls4": ("ls", "mfl", "msr", "wamp"),
        "ls9": ("ls", "mfl", "msr", "wamp", "zc", "rms", "iav", "dasdv", "var"),
        "tdpsd": ("m0", "m2", "m4", "sparsi", "irf", "wlf"),
    }
)


def resolve_features(features):
    """Return the names of the features meant by names and groups.

    Parameters
    ----------
    features : str or sequence of str
        Names of features or of groups (``"htd"``, ``"hjorth"``, ``"ls4"``,
        ``"ls9"``, ``"tdpsd"``), in upper or lower case.

    Returns
    -------
    names : tuple of str
        In the order given, each once.

    Raises
    ------
    ValueError
        If a name is unknown or there is none.

    Examples
    --------
    >>> from sktinymyo.signal import resolve_features
    >>> resolve_features(["HTD", "rms", "mav"])
    ('mav', 'zc', 'ssc', 'wl', 'rms')
    """
    given = [features] if isinstance(features, str) else list(features)
    names = []
    for item in given:
        name = item.lower() if isinstance(item, str) else item
        if isinstance(name, str) and name in FEATURE_GROUPS:
            names.extend(FEATURE_GROUPS[name])
        elif isinstance(name, str) and name in FEATURES:
            names.append(name)
        else:
            raise ValueError(
                f"features={features!r} contains {item!r}, which is neither a group "
                f"({', '.join(FEATURE_GROUPS)}) nor a feature ({', '.join(FEATURES)})."
            )
    if not names:
        raise ValueError(
            "features names no feature; pass a group such as 'htd' or names such as "
            "['mav', 'rms']."
        )
    return tuple(dict.fromkeys(names))


def extract_features(X, features="htd", *, threshold=0.0, willison_threshold=0.002):
    """Compute time-domain features of windows.

    Parameters
    ----------
    X : array-like of shape (n_windows, n_channels, n_times)
        Windows, at least one sample long. Not modified.
    features : str or sequence of str, default="htd"
        Names of features or groups; see :func:`resolve_features` and the table
        at the top of this module.
    threshold : float, default=0.0
        Smallest step between neighbouring samples, in the unit of X, for a zero
        crossing or a change of slope to count. 0 counts them all; set it just
        above the noise of the amplifier.
    willison_threshold : float, default=0.002
        Step between neighbouring samples, in the unit of X, above which the
        Willison amplitude counts. The default, that of LibEMG, is meant for
        windows scaled to about one; choose it for other units (a good start
        is the typical step of the resting muscle).

    Returns
    -------
    values : ndarray of shape (n_windows, n_channels, n_features)
        float32 for float32 windows (computed in float32: the faster path),
        float64 for float64.

    Raises
    ------
    WindowsError
        If X does not have three dimensions or no samples.
    ValueError
        If a feature is unknown or a threshold negative.

    Notes
    -----
    * A sample of exactly zero has no sign: a crossing that rests on zero is not
      counted, and flat stretches are no change of slope [1]_. LibEMG counts flat
      samples as changes of slope and compares its threshold with the product of
      two differences.
    * ``activity``, ``mobility`` and ``complexity`` are Hjorth's own, of
      variances. LibEMG takes moments about zero instead of variances and, for
      the complexity, the mobility of the first difference.
    * The TDPSD descriptors are normalised as in LibEMG, which divides the
      zeroth moment by T - 1.
    * Where a definition has no value (the logarithm of a silent channel, the
      quotient of two zeros, differences of a single sample) the result is
      finite: zero is replaced by 1.2e-38 in logarithms, other features are 0.

    References
    ----------
    .. [1] B. Hudgins, P. Parker, R. N. Scott, "A new strategy for multifunction
       myoelectric control", IEEE Transactions on Biomedical Engineering 40(1),
       1993, pages 82-94.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.signal import extract_features
    >>> X = np.array([[[1.0, -1.0, 2.0, -2.0]]])
    >>> extract_features(X, ["mav", "wl", "zc", "ssc"])
    array([[[1.5, 9. , 3. , 2. ]]])
    """
    names = resolve_features(features)
    check_number("threshold", threshold, minimum=0)
    check_number("willison_threshold", willison_threshold, minimum=0)
    X = as_float(X)
    if X.ndim != 3 or X.shape[1] < 1 or X.shape[2] < 1:
        raise WindowsError(
            "X must have the shape (n_windows, n_channels, n_times) with at least one "
            f"channel and one sample; got shape {X.shape}."
        )
    n_windows, n_channels, n_times = X.shape
    values = np.empty((n_windows, n_channels, len(names)), X.dtype)
    for block in row_blocks(n_windows, n_channels * n_times, BLOCK_ELEMENTS):
        rows = np.ascontiguousarray(X[block]).reshape(-1, n_times)
        shared = _Rows(rows, threshold, willison_threshold)
        for i, name in enumerate(names):
            values[block, :, i] = FEATURES[name](shared).reshape(-1, n_channels)
    return values
