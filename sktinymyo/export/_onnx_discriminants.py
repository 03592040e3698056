"""Discriminant analysis of scikit-learn as ONNX operators."""

import numpy as np

from ..engines._graph import GraphWriter
from ._onnx_labels import write_answers

__all__ = ["convert_linear", "convert_quadratic"]


def convert_linear(scope, operator, container):
    """Write a LinearDiscriminantAnalysis.

    skl2onnx takes it for a logistic regression whose softmax is of -d and d: of two
    classes that is the sigmoid of 2 d, where scikit-learn's is that of d.
    """
    graph, estimator = GraphWriter(scope, container), operator.raw_operator
    weight, bias = np.atleast_2d(estimator.coef_), np.atleast_1d(estimator.intercept_)
    if len(estimator.classes_) == 2:
        halves = np.array([[-0.5], [0.5]])
        weight, bias = halves * weight, halves[:, 0] * bias
    # Of large features most would have to cancel in the product.
    center = estimator.means_.mean(axis=0)
    x = graph.binary("Sub", _single(operator, graph), center.astype(np.float32))
    bias = bias + weight @ center.astype(np.float32).astype(np.float64)
    logits = graph.linear(x, weight, bias, "discriminants")
    write_answers(graph, scope, operator, _with_signs(graph, scope, operator, logits))


def convert_quadratic(scope, operator, container):
    """Write a QuadraticDiscriminantAnalysis: logarithms of the joint densities."""
    graph, estimator = GraphWriter(scope, container), operator.raw_operator
    x = _single(operator, graph)
    columns = []
    for mean, rotation, scaling, prior in zip(
        estimator.means_,
        estimator.rotations_,
        estimator.scalings_,
        estimator.priors_,
        strict=True,
    ):
        centred = graph.binary("Sub", x, mean.astype(np.float32))
        whitening = graph.constant(rotation / np.sqrt(scaling), "whitening")
        white = graph.node("MatMul", centred, whitening, name="whitened")
        distance = graph.reduce("SumSquare", white)
        constant = np.float32(np.log(prior) - np.log(scaling).sum() / 2)
        half = graph.binary("Mul", distance, np.float32(-0.5))
        columns.append(graph.binary("Add", half, constant))
    logits = graph.node("Concat", *columns, name="discriminants", axis=1)
    write_answers(graph, scope, operator, _with_signs(graph, scope, operator, logits))


def _with_signs(graph, scope, operator, logits):
    """Turn the two scores of two classes into minus and plus their difference.

    Converters of skl2onnx that hold others, such as that of CalibratedClassifierCV,
    take the second for the decision.
    """
    estimator = operator.raw_operator
    raw = scope.get_options(estimator, {"raw_scores": False})["raw_scores"]
    if not raw or len(estimator.classes_) != 2:
        return logits
    signs = np.array([[1.0, -1.0], [-1.0, 1.0]])
    return graph.linear(logits, signs, np.zeros(2), "decision")


def _single(operator, graph):
    """Return the input in float32."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import FloatTensorType

    variable = operator.inputs[0]
    if isinstance(variable.type, FloatTensorType):
        return variable.full_name
    return graph.node("Cast", variable.full_name, name="single", to=TensorProto.FLOAT)
