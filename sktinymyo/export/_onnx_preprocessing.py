"""Transformers of windows as ONNX operators, on windows with three dimensions."""

import numpy as np

from ..exceptions import UnsupportedStepError
from ..signal import filter_windows, resample

__all__ = ["write_filter", "write_mapper", "write_resampler", "write_scaler"]

_EPSILON = float(np.finfo(np.float32).eps)
# The matrix of longer windows would take more than 256 MB of the graph.
_LONGEST_WINDOW = 8192


def write_filter(graph, x, estimator):
    """Filter windows: on a window of fixed length a filter is one matrix."""
    n_times = estimator.n_times_in_
    _check_length(estimator, n_times)
    response = filter_windows(np.eye(n_times), estimator.sos_, phase=estimator.phase)
    return _write_time_map(graph, x, response, "filter")


def write_resampler(graph, x, estimator):
    """Resample windows: on a window of fixed length one matrix."""
    n_times = estimator.n_times_in_
    _check_length(estimator, n_times)
    if estimator.up_ == estimator.down_:
        return x
    response = resample(np.eye(n_times), estimator.down_, estimator.up_)
    return _write_time_map(graph, x, response, "resampler")


def write_mapper(graph, x, estimator):
    """Rearrange channels; those that are missing become zero."""
    sources = np.asarray(estimator.source_, np.int64)
    if np.array_equal(sources, np.arange(estimator.n_channels_in_)):
        return x
    indices = graph.constant(np.maximum(sources, 0), "channels")
    x = graph.node("Gather", x, indices, name="mapped", axis=1)
    if np.any(sources < 0):
        x = graph.binary("Mul", x, (sources >= 0).astype(np.float32)[:, np.newaxis])
    return x


def write_scaler(graph, x, estimator):
    """Scale channels by statistics of `fit`, or of each window."""
    if estimator.per == "dataset":
        center, scale = (
            estimator.center_[:, np.newaxis],
            estimator.scale_[:, np.newaxis],
        )
        x = graph.subtract_center(x, center, scale)
        return graph.binary("Div", x, scale, name="scaled")
    if estimator.method == "standard":
        return graph.standardise(x)
    if estimator.method == "minmax":
        center, scale = _write_range(graph, x)
    else:
        center, scale = _write_quartiles(graph, x, estimator.n_times_in_)
    x = graph.node("Sub", x, center, name="centred")
    return graph.node("Div", x, scale, name="scaled")


def _check_length(estimator, n_times):
    if n_times > _LONGEST_WINDOW:
        raise UnsupportedStepError(
            f"{type(estimator).__name__} on windows of {n_times} samples would be a "
            f"matrix of {n_times * n_times * 4 / 2**20:.0f} MB in the graph; up to "
            f"{_LONGEST_WINDOW} samples are accepted. Filter or resample recordings "
            "before windows are cut, and export the steps after it."
        )


def _write_time_map(graph, x, response, name):
    """Multiply windows by a matrix (n_times, n_times_out) that acts on time.

    The mean is taken off first and its response added: of a large offset most
    would have to cancel in the sum, and float32 would keep the rounding.
    """
    x, mean = graph.subtract_mean(x)
    matrix = graph.constant(response, f"{name}_matrix")
    x = graph.node("MatMul", x, matrix, name=name)
    of_constant = response.sum(axis=0)
    if np.abs(of_constant).max() < _EPSILON:
        return x
    offset = graph.node("Mul", mean, graph.constant(of_constant), name="offset")
    return graph.node("Add", x, offset, name=name)


def _write_range(graph, x):
    smallest, largest = graph.reduce("Min", x), graph.reduce("Max", x)
    half = np.float32(0.5)
    scale = graph.node(
        "Sub", graph.binary("Mul", largest, half), graph.binary("Mul", smallest, half)
    )
    center = graph.node("Add", smallest, scale, name="middle")
    magnitude = graph.node(
        "Max", graph.node("Abs", smallest), graph.node("Abs", largest)
    )
    limit = graph.binary("Mul", magnitude, np.float32(10 * _EPSILON))
    return center, graph.where_zero(scale, limit)


def _write_quartiles(graph, x, n_times):
    ordered = write_sorted(graph, x, n_times)
    # Between two samples their mean, else the one sample.
    position = n_times * np.array([0.25, 0.5, 0.75])
    upper = np.minimum(np.floor(position), n_times - 1).astype(np.int64)
    lower = np.where(position == np.floor(position), upper - 1, upper)
    low, high = (
        graph.node("Gather", ordered, graph.constant(i, "ranks"), axis=2)
        for i in (np.maximum(lower, 0), upper)
    )
    quartiles = graph.binary("Mul", graph.node("Add", low, high), np.float32(0.5))
    first, center, third = graph.split(quartiles, [1, 1, 1], 2, "quartile")
    scale = graph.node("Sub", third, first)
    magnitude = graph.reduce("Max", graph.node("Abs", quartiles))
    limit = graph.binary("Mul", magnitude, np.float32(10 * _EPSILON))
    return center, graph.where_zero(scale, limit)


def write_sorted(graph, x, n_times):
    """Sort the samples of each channel, smallest first."""
    count = graph.constant(np.array([n_times], np.int64), "count")
    ordered, _ = graph.node(
        "TopK", x, count, name="sorted", outputs=2, axis=-1, largest=0, sorted=1
    )
    return ordered
