"""Time-domain features as ONNX operators, by the definitions of `signal.features`."""

from functools import cached_property

import numpy as np

from ..exceptions import UnsupportedStepError
from ._onnx_preprocessing import write_sorted

__all__ = ["COUNTS", "WRITERS", "unknown_features", "write_features"]

# As in signal.features: what stands for zero in logarithms, and the power of the
# normalised moments.
_FLOOR = np.finfo(np.float32).tiny
_POWER = np.float32(0.1)
_SMALLEST_STEP = np.float32(np.spacing(1.0))

# Whole numbers, which jump where a sample is as close to a limit as rounding.
COUNTS = frozenset({"zc", "ssc", "wamp"})


def write_features(graph, x, estimator):
    """Compute features of windows (B, C, T) as a table (B, C * n_features)."""
    if missing := unknown_features(estimator):
        raise UnsupportedStepError(
            f"TimeDomainFeatures: {', '.join(missing)} cannot be written with ONNX "
            f"operators; leave them out. Possible are: {', '.join(sorted(WRITERS))}."
        )
    shared = _Windows(
        graph,
        x,
        estimator.n_times_in_,
        estimator.threshold,
        estimator.willison_threshold,
    )
    columns = [WRITERS[name](shared) for name in estimator.features_]
    table = graph.node("Concat", *columns, name="features", axis=2)
    return graph.reshape(table, 0, len(columns) * estimator.n_channels_in_)


def unknown_features(estimator):
    """Return the names of the features that have no operators."""
    return [name for name in estimator.features_ if name not in WRITERS]


class _Windows:
    """Windows (B, C, T), with quantities that several features share written once.

    All quantities have the shape (B, C, 1) or, over time, (B, C, length).
    """

    def __init__(self, graph, x, n_times, threshold, willison_threshold):
        self.graph = graph
        self.x = x
        self.n_times = n_times
        self.threshold = threshold
        self.willison_threshold = willison_threshold

    def sum(self, x):
        return self.graph.reduce("Sum", x)

    def sum_of_squares(self, x):
        return self.sum(self.graph.node("Mul", x, x))

    def scaled(self, x, factor):
        return self.graph.binary("Mul", x, np.float32(factor))

    def count(self, truth):
        from onnx import TensorProto

        return self.sum(self.graph.node("Cast", truth, to=TensorProto.FLOAT))

    def variance_of(self, x):
        centred, _ = self.graph.subtract_mean(x)
        return self.graph.reduce("Mean", self.graph.node("Mul", centred, centred))

    def log(self, x):
        return self.graph.node("Log", self.graph.binary("Max", x, _FLOOR))

    def ratio(self, numerator, denominator):
        """Quotient, zero where the denominator is zero."""
        graph = self.graph
        positive = graph.binary("Greater", denominator, np.float32(0))
        one, zero = graph.constant(np.float32(1)), graph.constant(np.float32(0))
        safe = graph.node("Where", positive, denominator, one)
        quotient = graph.node("Div", numerator, safe)
        return graph.node("Where", positive, quotient, zero)

    def neighbours(self, x, length):
        """Return x without its first, and without its last value."""
        graph = self.graph
        return graph.slice(x, 1, length), graph.slice(x, 0, length - 1)

    def step(self, x, length):
        """Differences of neighbours; a single zero where there are none."""
        if length < 2:
            return self.nothing
        return self.graph.node("Sub", *self.neighbours(x, length))

    def opposite(self, x, length):
        """Whether neighbours have opposite signs."""
        sign = self.graph.node("Sign", x)
        product = self.graph.node("Mul", *self.neighbours(sign, length))
        return self.graph.binary("Less", product, np.float32(0))

    @cached_property
    def nothing(self):
        return self.scaled(self.graph.slice(self.x, 0, 1), 0)

    @cached_property
    def absolute_sum(self):
        return self.sum(self.graph.node("Abs", self.x))

    @cached_property
    def squares(self):
        return self.sum_of_squares(self.x)

    @cached_property
    def variance(self):
        return self.variance_of(self.x)

    @cached_property
    def difference(self):
        return self.step(self.x, self.n_times)

    @cached_property
    def second_difference(self):
        return self.step(self.difference, self.n_times - 1)

    @cached_property
    def absolute_difference(self):
        return self.graph.node("Abs", self.difference)

    @cached_property
    def waveform_length(self):
        return self.sum(self.absolute_difference)

    @cached_property
    def difference_variance(self):
        return self.variance_of(self.difference)

    @cached_property
    def moments(self):
        graph, n_intervals = self.graph, max(self.n_times - 1, 1)
        zeroth = self.scaled(graph.node("Sqrt", self.squares), 1 / n_intervals)
        others = [
            graph.node("Sqrt", self.scaled(self.sum_of_squares(d), 1 / n_intervals))
            for d in (self.difference, self.second_difference)
        ]
        return [self._normalised(moment) for moment in (zeroth, *others)]

    def _normalised(self, moment):
        power = self.graph.binary(
            "Pow", self.graph.binary("Max", moment, _FLOOR), _POWER
        )
        return self.graph.binary("Div", power, _POWER)

    @cached_property
    def logarithm(self):
        """Logarithms of the squares, the second signal of the TDPSD family."""
        graph = self.graph
        squares = graph.binary("Add", graph.node("Mul", self.x, self.x), _SMALLEST_STEP)
        return _Windows(graph, graph.node("Log", squares), self.n_times, 0.0, 0.0)


def _zero_crossings(windows):
    if windows.n_times < 2:
        return windows.nothing
    graph = windows.graph
    crosses = windows.opposite(windows.x, windows.n_times)
    if windows.threshold > 0:
        crosses = graph.node("And", crosses, _large_steps(windows))
    return windows.count(crosses)


def _slope_sign_changes(windows):
    if windows.n_times < 3:
        return windows.nothing
    graph, length = windows.graph, windows.n_times - 1
    changes = windows.opposite(windows.difference, length)
    if windows.threshold > 0:
        either = windows.neighbours(_large_steps(windows), length)
        changes = graph.node("And", changes, graph.node("Or", *either))
    return windows.count(changes)


def _large_steps(windows):
    limit = np.float32(windows.threshold)
    return windows.graph.binary("GreaterOrEqual", windows.absolute_difference, limit)


def _willison_amplitude(windows):
    # 0 > threshold is false, so that a single sample counts nothing.
    limit = np.float32(windows.willison_threshold)
    large = windows.graph.binary("Greater", windows.absolute_difference, limit)
    return windows.count(large)


def _difference_deviation(windows):
    squares = windows.sum_of_squares(windows.difference)
    n_intervals = max(windows.n_times - 1, 1)
    return windows.graph.node("Sqrt", windows.scaled(squares, 1 / n_intervals))


def _mean_square_root(windows):
    graph = windows.graph
    roots = graph.node("Sqrt", graph.node("Abs", windows.x))
    signed = graph.node("Mul", roots, graph.node("Sign", windows.x))
    squares = [
        graph.node("Mul", total, total)
        for total in (windows.sum(roots), windows.sum(signed))
    ]
    length = graph.node("Sqrt", graph.node("Add", *squares))
    return windows.scaled(length, 1 / (np.sqrt(2.0) * windows.n_times))


def _l_score(windows):
    graph, n_times = windows.graph, windows.n_times
    if n_times == 1:
        return windows.nothing
    weights = (2 * np.arange(n_times) / (n_times - 1) - 1) / n_times
    centred, _ = graph.subtract_mean(windows.x)
    ordered = write_sorted(graph, centred, n_times)
    return graph.node("MatMul", ordered, graph.constant(weights[:, np.newaxis]))


def _mobility(windows):
    ratio = windows.ratio(windows.difference_variance, windows.variance)
    return windows.graph.node("Sqrt", ratio)


def _complexity(windows):
    graph = windows.graph
    second = windows.variance_of(windows.second_difference)
    roots = [graph.node("Sqrt", v) for v in (second, windows.variance)]
    return windows.ratio(graph.node("Mul", *roots), windows.difference_variance)


def _spectral_descriptor(name):
    """Return the writer of a TDPSD feature: similarity of signal and logarithm."""

    def descriptor(windows):
        graph = windows.graph
        if name == "wlf":
            second = windows.sum(graph.node("Abs", windows.second_difference))
            first = windows.log(windows.waveform_length)
            return windows.scaled(graph.node("Sub", first, windows.log(second)), 0.5)
        m0, m2, m4 = windows.moments
        if name == "m0":
            return windows.log(m0)
        if name == "irf":
            outer = graph.node("Add", windows.log(m0), windows.log(m4))
            return graph.node("Sub", windows.log(m2), windows.scaled(outer, 0.5))
        distances = [
            windows.log(graph.node("Abs", graph.node("Sub", m0, other)))
            for other in (m2, m4)
        ]
        if name == "sparsi":
            product = windows.scaled(graph.node("Add", *distances), 0.5)
            return graph.node("Sub", product, windows.log(m0))
        return distances[0] if name == "m2" else distances[1]

    def feature(windows):
        graph = windows.graph
        signal, logarithm = descriptor(windows), descriptor(windows.logarithm)
        product = windows.scaled(graph.node("Mul", signal, logarithm), -2)
        squares = [graph.node("Mul", d, d) for d in (signal, logarithm)]
        return windows.ratio(product, graph.node("Add", *squares))

    return feature


WRITERS = {
    "mav": lambda w: w.scaled(w.absolute_sum, 1 / w.n_times),
    "zc": _zero_crossings,
    "ssc": _slope_sign_changes,
    "wl": lambda w: w.waveform_length,
    "rms": lambda w: w.graph.node("Sqrt", w.scaled(w.squares, 1 / w.n_times)),
    "iav": lambda w: w.absolute_sum,
    "dasdv": _difference_deviation,
    "var": lambda w: w.variance,
    "log_var": lambda w: w.log(w.variance),
    "wamp": _willison_amplitude,
    "mfl": lambda w: w.scaled(w.log(w.waveform_length), 1 / np.log(10.0)),
    "msr": _mean_square_root,
    "ls": _l_score,
    "activity": lambda w: w.variance,
    "mobility": _mobility,
    "complexity": _complexity,
    **{
        name: _spectral_descriptor(name)
        for name in ("m0", "m2", "m4", "sparsi", "irf", "wlf")
    },
}
