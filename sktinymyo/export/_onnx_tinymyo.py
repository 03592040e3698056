"""Fitted TinyMyo estimators as ONNX operators."""

import numpy as np

from ..engines._network import NetworkWriter

__all__ = ["write_embedding", "write_logits", "write_targets"]


def write_embedding(graph, x, estimator, into=None):
    """Write a fitted TinyMyoEmbedder: windows (B, C, T) to its 2-D embedding."""
    network = _network(graph, estimator)
    return network.pooled(network.tokens(x), estimator.pooling, into=into)


def write_logits(graph, x, estimator, into=None):
    """Write a fitted TinyMyoClassifier: windows (B, C, T) to logits (B, n_classes)."""
    network = _network(graph, estimator)
    return network.logits(network.tokens(x), into=into)


def write_targets(graph, x, estimator, into):
    """Write a fitted TinyMyoRegressor: windows (B, C, T) to targets in their unit.

    Targets of one value a window become a column, (B, 1), as those of scikit-learn's
    regressors do in ONNX.
    """
    network = _network(graph, estimator)
    values = network.regressed(network.tokens(x), estimator.target_shape_)
    deviation = estimator.target_std_.astype(np.float64)
    values = graph.binary("Mul", values, deviation, name="unit")
    values = graph.binary("Add", values, estimator.target_mean_, name="targets")
    return graph.node("Identity", values, into=into)


def _network(graph, estimator):
    return NetworkWriter(
        graph,
        estimator.module_,
        estimator.n_channels_in_,
        estimator.n_times_in_,
        estimator._scaler(),
    )
