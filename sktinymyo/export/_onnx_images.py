"""Fitted estimators of electrode grids as ONNX operators.

Letters in shape comments: B windows, C channels, T samples, n voting samples, R rows
and S columns of the grid, K classes.
"""

import numpy as np
from torch import nn

from ..signal import grid_neighbors

__all__ = ["write_maps", "write_median", "write_repair", "write_votes"]


def write_repair(graph, x, estimator):
    """Fill in the bad electrodes of windows (B, C, T)."""
    if not len(estimator.bad_channels_):
        return x
    matrix = np.eye(estimator.n_channels_in_)
    matrix[estimator.bad_channels_] = estimator.weights_
    return graph.node("MatMul", graph.constant(matrix, "repair"), x, name="repaired")


def write_median(graph, x, estimator):
    """Replace channels of windows (B, C, T) by the median of their neighbourhood."""
    groups = [
        np.r_[channel, others]
        for channel, others in enumerate(
            grid_neighbors(estimator.cells_, estimator.reach)
        )
    ]
    parts, order = [], []
    # Channels with as many neighbours share one sort.
    for size in sorted({len(group) for group in groups}):
        channels = [c for c, group in enumerate(groups) if len(group) == size]
        members = np.array([groups[c] for c in channels], dtype=np.int64)
        near = graph.node("Gather", x, graph.constant(members, "members"), axis=1)
        n_kept = size // 2 + 1
        n_kept = graph.constant(np.array([n_kept], np.int64), "kept")
        lowest, _ = graph.node(
            "TopK", near, n_kept, name="lowest", outputs=2, axis=2, largest=0
        )
        # The highest of those kept, or the mean of the two highest.
        middle = graph.slice(lowest, (size - 1) // 2, size // 2 + 1, axis=2)
        parts.append(graph.reduce("Mean", middle, axis=2, keepdims=False))
        order += channels
    joined = graph.node("Concat", *parts, name="medians", axis=1)
    places = graph.constant(np.argsort(order).astype(np.int64), "channels")
    return graph.node("Gather", joined, places, name="medians", axis=1)


def write_votes(graph, x, estimator, into):
    """Write a fitted classifier: windows (B, C, T) to the scores of their votes (B, K).

    Parameters
    ----------
    graph : GraphWriter
        Takes the operators.
    x : str
        Windows as `fit` saw them; of images (B, R, S).
    estimator : AllConvNetClassifier
    into : str
        Name of the output.
    """
    n_channels, n_times = estimator.n_channels_in_, estimator.n_times_in_
    if isinstance(estimator.grid, str):
        n_channels, n_times = n_channels * n_times, 1
        x = graph.reshape(x, 0, n_channels, 1)
    n_voting = n_times if estimator.vote == "window" else int(estimator.vote)
    if n_voting < n_times:
        x = graph.slice(x, n_times - n_voting, n_times)
    if estimator.scale_mean_ is not None:
        mean = estimator.scale_mean_[:, np.newaxis].astype(np.float64)
        deviation = estimator.scale_std_[:, np.newaxis].astype(np.float64)
        x = graph.subtract_center(x, mean, deviation)
        x = graph.binary("Div", x, deviation, name="scaled")
    logits = _logits(graph, _images(graph, x, estimator.cells_), estimator.module_)
    logits = graph.reshape(logits, -1, n_voting, len(estimator.classes_))
    graph.node("Identity", _voted(graph, logits, n_voting, estimator), into=into)


def _images(graph, x, cells):
    """Lay windows (B, C, n) out on the grid: images (B * n, 1, R, S)."""
    places = cells.ravel()
    if (places < 0).any():
        # One channel more, of zeros, for the cells without an electrode.
        ends = np.array([0, 0, 0, 0, 1, 0], np.int64)
        x = graph.node("Pad", x, graph.constant(ends, "padding"))
        places = np.where(places < 0, len(places[places >= 0]), places)
    places = graph.constant(places.astype(np.int64), "cells")
    x = graph.node("Gather", x, places, name="cells", axis=1)
    x = graph.node("Transpose", x, perm=[0, 2, 1])
    return graph.reshape(x, -1, 1, *cells.shape)


def write_maps(graph, x, network):
    """Write the convolutions: images (F, 1, R, S) to the means of the last maps.

    The mean is a product with a column of equal weights, which compilers for small
    chips take.

    Parameters
    ----------
    graph : GraphWriter
    x : str
        Images.
    network : AllConvNet
        Folded.

    Returns
    -------
    means : str
        (F, n_features).
    """
    layers = [m for m in network.features.modules() if isinstance(m, nn.Conv2d)]
    size = network.config.rows, network.config.columns
    for number, layer in enumerate(layers):
        name = f"convolution{number}"
        weight, bias = (
            graph.constant(array.detach().cpu().numpy(), f"{name}_{title}")
            for title, array in (("weight", layer.weight), ("bias", layer.bias))
        )
        x = graph.node(
            "Conv",
            x,
            weight,
            bias,
            name=f"{name}_map",
            kernel_shape=list(layer.kernel_size),
            strides=list(layer.stride),
            pads=[*layer.padding, *layer.padding],
        )
        x = graph.node("Relu", x, name=f"{name}_output")
        size = tuple(-(-n // step) for n, step in zip(size, layer.stride, strict=True))
    n_cells = size[0] * size[1]
    n_features = layers[-1].out_channels
    x = graph.reshape(x, -1, n_features, n_cells)
    column = graph.constant(np.full((n_cells, 1), 1 / n_cells), "mean_of_cells")
    means = graph.node("MatMul", x, column, name="features")
    return graph.reshape(means, -1, n_features)


def _logits(graph, images, network):
    """Write the network: images (F, 1, R, S) to logits (F, K)."""
    folded = network.fold()
    weight, bias = (
        array.detach().cpu().numpy()
        for array in (folded.classes.weight, folded.classes.bias)
    )
    means = write_maps(graph, images, folded)
    return graph.linear(means, weight[:, :, 0, 0], bias, "logits")


def _voted(graph, logits, n_voting, estimator):
    """Return the scores of logits (B, n, K), as ``predict_proba`` has them."""
    shares = graph.node("Softmax", logits, name="shares", axis=-1)
    means = graph.reduce("Mean", shares, axis=1, keepdims=False)
    if n_voting == 1:
        return means
    from onnx import TensorProto

    winners = graph.node("ArgMax", logits, name="winners", axis=2, keepdims=1)
    classes = np.arange(len(estimator.classes_), dtype=np.int64)
    votes = graph.node("Equal", winners, graph.constant(classes, "numbers"))
    votes = graph.node("Cast", votes, name="votes", to=TensorProto.FLOAT)
    votes = graph.reduce("Sum", votes, axis=1, keepdims=False)
    total = graph.node("Add", votes, means)
    return graph.binary("Div", total, np.float32(n_voting + 1), name="probabilities")
