"""Comparison of a graph with the estimator it was made from."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier, is_regressor

from ..exceptions import SktinymyoError
from ._onnx_converters import WINDOWS_TO_WINDOWS
from ._onnx_labels import label_kind
from ._onnx_session import get_property, make_session, run_graph
from ._onnx_steps import (
    KNOWN_LAST,
    allowed_options,
    counting_features,
    fitted_steps,
    last_step,
)

__all__ = [
    "LABELS",
    "METHOD",
    "ExportError",
    "ExportReport",
    "call_quietly",
    "compare",
    "output_method",
    "simulated_windows",
]

# Under this name a graph tells which method of the estimator it computes.
METHOD = "sktinymyo.method"
# And under this one whether its labels are those of `fit` or "numbers" of classes.
LABELS = "sktinymyo.labels"

# Larger differences are no longer those of rounding.
_FAULT = 0.01
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
# This share of windows with counted features or votes (and one window) may differ by
# a count.
_SHARE_OF_JUMPS = 0.01
_SEED = 0


class ExportError(SktinymyoError, ValueError):
    """A graph does not compute what its estimator computes.

    Parameters
    ----------
    finding : str
        What differs, in a sentence.
    advice : str
        What the caller of :func:`to_onnx` or :func:`verify_onnx` can do.
    """

    def __init__(self, finding, advice=""):
        super().__init__(f"{finding} {advice}".strip())
        self.finding = finding


@dataclass(frozen=True)
class ExportReport:
    """How well a graph agrees with the estimator it was made from.

    Parameters
    ----------
    output : str
        What was compared: "predict_proba", "decision_function", "predict" or
        "transform".
    max_difference : float
        Largest difference: of probabilities as they are, of other outputs as a share
        of the largest value of their column.
    tolerance : float
        Difference above which the export is refused.
    n_windows : int
        Windows compared.
    n_above : int
        Windows of which a value differs by more than `tolerance`, or whose label is
        another one without a tie. Not zero only where features (zero crossings and
        the like) or votes are counted and a sample is as close to the limit as
        rounding.
    label_agreement : float or None
        Share of windows with the same label; None if the output has no labels.
    n_bytes : int
        Size of the graph.

    Examples
    --------
    >>> from sktinymyo.export.onnx import ExportReport
    >>> print(ExportReport("predict_proba", 2e-7, 1e-4, 64, 0, 1.0, 14_400_000))
    predict_proba of 64 windows: largest difference 2e-07 (tolerance 0.0001), ...
    """

    output: str
    max_difference: float
    tolerance: float
    n_windows: int
    n_above: int
    label_agreement: float | None
    n_bytes: int

    def __str__(self):
        """Return the figures in one sentence."""
        text = (
            f"{self.output} of {self.n_windows} windows: largest difference "
            f"{self.max_difference:.2g} (tolerance {self.tolerance:g})"
        )
        if self.n_above:
            text += f", above it in {self.n_above} window(s) by a count"
        if self.label_agreement is not None:
            text += f", {self.label_agreement:.2%} of labels the same"
        return f"{text}, {self.n_bytes / 1e6:.2f} MB"


def simulated_windows(X, n_windows):
    """Return noise with the mean and about the strength of each channel of X.

    Parameters
    ----------
    X : ndarray of shape (n_windows, n_channels, n_times) or (n_windows, n_columns)
        Windows as the estimator takes them.
    n_windows : int
        How many to make.

    Returns
    -------
    windows : ndarray of float32, shape (n_windows, ...)
    """
    rng = np.random.default_rng(_SEED)
    axes = (0, 2) if X.ndim == 3 else None
    mean = X.mean(axis=axes, keepdims=True, dtype=np.float64)
    spread = X.std(axis=axes, keepdims=True, dtype=np.float64)
    spread = np.where(spread > 0, spread, 1.0)
    strength = np.exp(rng.uniform(np.log(0.1), np.log(3.0), size=n_windows))
    noise = rng.standard_normal((n_windows, *X.shape[1:]))
    strength = strength.reshape(-1, *[1] * (X.ndim - 1))
    return (mean + spread * strength * noise).astype(np.float32)


def output_method(estimator, raw_scores=False):
    """Return the method whose result a graph gives: "predict_proba" or another."""
    if is_classifier(estimator):
        if hasattr(estimator, "predict_proba") and not raw_scores:
            return "predict_proba"
        return (
            "decision_function"
            if hasattr(estimator, "decision_function")
            else "predict"
        )
    return "predict" if is_regressor(estimator) else "transform"


def compare(model, estimator, X, *, tolerance):
    """Compare a graph with its estimator on windows.

    Parameters
    ----------
    model : onnx.ModelProto
        The graph, with the name of the method that it computes.
    estimator : fitted estimator
        What it was made from.
    X : ndarray of float32
        Windows.
    tolerance : float
        Largest difference accepted.

    Returns
    -------
    report : ExportReport

    Raises
    ------
    ExportError
        If the difference is above the tolerance, or labels differ that are no tie.
    """
    method = get_property(model, METHOD) or output_method(estimator)
    if not hasattr(estimator, method):
        raise ExportError(
            f"the graph computes {method}, which {type(estimator).__name__} does not "
            "have; pass the estimator that the graph was made from."
        )
    try:
        results = run_graph(make_session(model), X)
    except Exception as error:  # of onnxruntime, or of outputs that fit no array
        reason = str(error).strip().partition("\n")[0][:200]
        raise ExportError(
            f"the graph does not run ({type(error).__name__}: {reason}).",
            "If it is not of to_onnx, it may need a newer onnxruntime. "
            + _other_step(estimator),
        ) from error
    expected = call_quietly(estimator, method, X)
    agreement, other = None, np.zeros(len(X), dtype=bool)
    if is_classifier(estimator):
        predicted = call_quietly(estimator, "predict", X)
        labels = _in_form(results[0], predicted, estimator)
        numbered = get_property(model, LABELS) == "numbers"
        same = _as_in_graph(estimator, predicted, numbered) == labels
        agreement = float(np.mean(same))
        classes = _as_in_graph(estimator, np.asarray(estimator.classes_), numbered)
        other = ~same & ~_is_tie(
            estimator, X, predicted, labels, classes.tolist(), tolerance
        )
    if method == "predict_proba":
        scores = _in_form(_table(results[1:]), expected, estimator)
        difference = np.abs(scores - expected)
    elif method == "decision_function":
        scores = _in_form(_scores(results[1:], expected), expected, estimator)
        difference = np.abs(scores - expected) / _largest(expected)
    elif agreement is not None:
        difference = (~same).astype(np.float64)
    else:
        values = _in_form(results[0], expected, estimator)
        difference = np.abs(values - expected)
        difference = _without_rounding(difference, estimator, X) / _largest(expected)
    difference = difference.reshape(len(X), -1).max(axis=1)
    report = ExportReport(
        output=method,
        max_difference=float(difference.max()),
        tolerance=float(tolerance),
        n_windows=len(X),
        n_above=int(np.sum(~(difference <= tolerance) | other)),
        label_agreement=agreement,
        n_bytes=model.ByteSize(),
    )
    _refuse(report, estimator, int(other.sum()))
    return report


def call_quietly(estimator, method, X):
    """Return the result of a method, without a warning that X is no table."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return np.asarray(getattr(estimator, method)(X))


def _in_form(values, expected, estimator):
    """Return an output in the form of the estimator's, which may lack an axis of one.

    Some converters of skl2onnx give a column for each output, or a row of labels.
    """
    values = np.asarray(values)
    if values.size == expected.size:
        return values.reshape(expected.shape)
    raise ExportError(
        f"the graph gives values of the shape {values.shape}, the estimator "
        f"{expected.shape}.",
        _other_step(estimator),
    )


def _is_tie(estimator, X, predicted, labels, classes, tolerance):
    """Tell where two labels have the same score, so that rounding decides."""
    methods = ("decision_function", "predict_proba")
    method = next((name for name in methods if hasattr(estimator, name)), None)
    if method is None or predicted.ndim > 1:
        return np.zeros(len(X), dtype=bool)
    scores = call_quietly(estimator, method, X)
    limit = tolerance * float(np.abs(scores).max())
    if scores.ndim == 1:
        return np.abs(scores) <= limit
    if scores.shape[1] != len(classes):  # of pairs of classes
        return np.zeros(len(X), dtype=bool)
    columns = [classes.index(label) for label in labels.tolist()]
    rows = np.arange(len(X))
    own = scores[rows, np.searchsorted(estimator.classes_, predicted)]
    return np.abs(own - scores[rows, columns]) <= limit


def _other_step(estimator):
    """Say that a step is converted wrongly, and what to do."""
    name = type(last_step(estimator)).__name__
    return (
        f"Some step is converted wrongly, most likely {name}, the last: take one of "
        f"{KNOWN_LAST} in its place, or export the Pipeline without it and run it in "
        "Python."
    )


def _refuse(report, estimator, n_other):
    """Raise an error if a graph is not what its estimator is."""
    counted = counting_features(estimator)
    allowed = 1 + int(_SHARE_OF_JUMPS * report.n_windows) if counted else 0
    if report.n_above <= allowed:
        return
    finding = (
        f"the graph differs from {report.output} by up to {report.max_difference:.2g} "
        f"(tolerance={report.tolerance:g}) in {report.n_above} of {report.n_windows} "
        "windows."
    )
    advice = (
        "If that is enough for you, pass a larger tolerance=; compare on windows of "
        "your own with X_verify= of to_onnx."
    )
    if report.max_difference > _FAULT:
        advice = f"That is more than rounding makes. {_other_step(estimator)}"
    elif n_other:
        finding = (
            f"the graph gives other labels than predict in {n_other} of "
            f"{report.n_windows} windows."
        )
        last = last_step(estimator)
        instead = f"Take one of {KNOWN_LAST} in its place"
        if "raw_scores" in allowed_options(last):
            instead += ", or pass options={'raw_scores': True} for scores with labels"
        advice = (
            "It takes the label of the largest probability, which "
            f"{type(last).__name__}.predict does not. {instead}."
        )
    rounded = {
        f"{path}__precision" if path else "precision": step.precision
        for path, step, _ in fitted_steps(estimator)
        if getattr(step, "precision", None) in ("bf16", "int8")
    }
    if rounded:
        exact = ", ".join(f"{name}='float32'" for name in rounded)
        advice = (
            f"The estimator itself computes with {next(iter(rounded.values()))}: "
            f"export it after set_params({exact})."
        )
    elif counted == ["votes"]:
        advice = (
            "A sample whose two largest outputs differ by rounding alone votes for "
            "either class. " + advice
        )
    elif counted:
        advice = (
            f"The features {', '.join(counted)} count samples that cross a limit, and "
            "jump where a sample is as close to it as rounding. A causal filter begins "
            "every window with such samples: filter recordings before windows are cut "
            "(EMGFilter.filter_recording), or with phase='zero'. " + advice
        )
    raise ExportError(finding, advice)


def _as_in_graph(estimator, predicted, numbered):
    """Return the estimator's labels as a graph has them."""
    if numbered:
        return np.searchsorted(estimator.classes_, predicted)
    if label_kind(estimator.classes_) == "str":
        return predicted.astype(object)
    return predicted.astype(np.int64)


def _table(scores):
    """Return scores as an array, however the graph gives them."""
    if isinstance(scores[0], list):  # zipmap=True
        return np.array([list(row.values()) for row in scores[0]])
    if len(scores) > 1 and scores[0].ndim == 1:  # zipmap="columns"
        return np.stack(scores, axis=1)
    return scores[0]


def _scores(scores, expected):
    """Return scores in the form of `decision_function`."""
    scores = _table(scores)
    if expected.ndim == 2 or scores.ndim == 1:
        return scores
    # Of two classes graphs give both, as logits or one the negative of the other.
    if scores.shape[1] == 1 or np.allclose(scores[:, 0], -scores[:, 1]):
        return scores[:, -1]
    return scores[:, 1] - scores[:, 0]


def _largest(expected):
    """Return the largest size of each column, or channel, of an output."""
    axes = (0, 2) if expected.ndim == 3 else 0
    largest = np.abs(expected).max(axis=axes, keepdims=True)
    return np.where(largest > 0, largest, 1.0)


def _without_rounding(difference, estimator, X):
    """Take off what the rounding of the input alone makes of windows.

    Of a filtered channel that only held a constant nothing else would be left.
    """
    if type(last_step(estimator)).__name__ not in WINDOWS_TO_WINDOWS:
        return difference
    rounding = _ROUNDING * np.abs(X).reshape(len(X), -1).max(axis=1)
    rounding = rounding.reshape(-1, *[1] * (difference.ndim - 1))
    return np.maximum(difference - rounding, 0.0)
