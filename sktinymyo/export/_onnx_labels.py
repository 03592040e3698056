"""Outputs of a classifier in a graph: labels, and probabilities or scores."""

import numpy as np

from ..exceptions import UnsupportedStepError

__all__ = [
    "CLASSIFIER_OPTIONS",
    "label_kind",
    "set_classifier_outputs",
    "write_answers",
    "write_labels",
]

CLASSIFIER_OPTIONS = {
    "zipmap": [True, False, "columns"],
    "nocl": [True, False],
    "raw_scores": [True, False],
    # Asked for by skl2onnx of classifiers inside others.
    "output_class_labels": [True, False],
}


def label_kind(classes):
    """Tell what labels become in a graph, which knows whole numbers and texts.

    Parameters
    ----------
    classes : ndarray
        Labels of a classifier.

    Returns
    -------
    kind : {"int", "str"}
        Truth values become 0 and 1, as skl2onnx has it.

    Raises
    ------
    UnsupportedStepError
        If the labels are neither.
    """
    values = np.asarray(classes).tolist()
    if all(isinstance(value, str) for value in values):
        return "str"
    if all(
        isinstance(value, (bool, int, float)) and value == int(value)
        for value in values
    ):
        return "int"
    raise UnsupportedStepError(
        f"classes_={values!r} cannot be labels of a graph, which knows whole numbers "
        "and texts; fit with labels of one of these types, or pass "
        "options={'nocl': True} for the number of the class."
    )


def set_classifier_outputs(operator):
    """Tell skl2onnx the types and shapes of labels and scores."""
    from skl2onnx.common.data_types import (
        FloatTensorType,
        Int64TensorType,
        StringTensorType,
    )

    n_windows = operator.inputs[0].get_first_dimension()
    labels = _labels(operator.scope_inst, operator.raw_operator)
    kind = StringTensorType if labels.dtype == object else Int64TensorType
    operator.outputs[0].type = kind([n_windows])
    operator.outputs[1].type = FloatTensorType([n_windows, len(labels)])
    for output in operator.outputs[2:]:
        output.type = kind([len(labels)])


def write_answers(graph, scope, operator, logits):
    """Write labels and probabilities, or scores, from logits.

    Parameters
    ----------
    graph : GraphWriter
        Takes the operators.
    scope : skl2onnx.common._topology.Scope
        Knows the options of the classifier.
    operator : skl2onnx.common._topology.Operator
        The classifier.
    logits : str
        Name of the tensor (n_windows, n_classes), whose softmax are the
        probabilities.
    """
    estimator, scores = operator.raw_operator, operator.outputs[1].full_name
    if scope.get_options(estimator, {"raw_scores": False})["raw_scores"]:
        graph.node("Identity", logits, name="scores", into=scores)
    else:
        graph.node("Softmax", logits, name="probabilities", axis=-1, into=scores)
    write_labels(graph, scope, operator, logits)


def write_labels(graph, scope, operator, scores):
    """Write the label of the first of the largest scores.

    Parameters
    ----------
    graph : GraphWriter
        Takes the operators.
    scope : skl2onnx.common._topology.Scope
        Knows the options of the classifier.
    operator : skl2onnx.common._topology.Operator
        The classifier.
    scores : str
        Name of a tensor (n_windows, n_classes).
    """
    estimator = operator.raw_operator
    label, _, *names = (output.full_name for output in operator.outputs)
    best = graph.node("ArgMax", scores, name="best", axis=1, keepdims=0)
    labels = graph.constant(_labels(scope, estimator), "classes")
    graph.node("Gather", labels, best, name="label", axis=0, into=label)
    for name in names:
        graph.node("Identity", labels, name="classes", into=name)


def _labels(scope, estimator):
    """Return the labels as they stand in the graph."""
    if scope.get_options(estimator, {"nocl": False})["nocl"]:
        return np.arange(len(estimator.classes_))
    if label_kind(estimator.classes_) == "str":
        return np.array(estimator.classes_.tolist(), dtype=object)
    return np.array([int(value) for value in estimator.classes_.tolist()])
