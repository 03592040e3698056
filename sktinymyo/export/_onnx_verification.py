"""Comparison of a graph with the estimator it was made from."""

import warnings
from dataclasses import dataclass

import numpy as np
from sklearn.base import is_classifier, is_regressor

from ..exceptions import SktinymyoError
from ._onnx_converters import WINDOWS_TO_WINDOWS
from ._onnx_labels import label_kind
from ._onnx_session import get_property, make_session, run_graph
from ._onnx_steps import counting_features, fitted_steps, last_step

__all__ = [
    "METHOD",
    "ExportError",
    "ExportReport",
    "compare",
    "output_method",
    "simulated_windows",
]

# Under this name a graph tells which method of the estimator it computes.
METHOD = "sktinymyo.method"

# Larger differences are no longer those of rounding.
_FAULT = 0.1
_ROUNDING = 4 * float(np.finfo(np.float32).eps)
# Of windows with counted features, this share (and one window) may differ by a count.
_SHARE_OF_JUMPS = 0.01
_SEED = 0


class ExportError(SktinymyoError, ValueError):
    """A graph does not compute what its estimator computes."""


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
        Windows of which a value differs by more than `tolerance`. Not zero only
        where features are counted (zero crossings and the like) and a sample is as
        close to the limit as rounding.
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
        If the difference is above the tolerance.
    """
    results = run_graph(make_session(model), X)
    method = get_property(model, METHOD) or output_method(estimator)
    expected = _call(estimator, method, X)
    agreement = None
    if is_classifier(estimator):
        labels = results[0]
        predicted = _call(estimator, "predict", X)
        same = _as_in_graph(estimator, predicted, labels) == labels
        agreement = float(np.mean(same))
    if method == "predict_proba":
        difference = np.abs(_table(results[1:]) - expected)
    elif method == "decision_function":
        difference = np.abs(_scores(results[1:], expected) - expected)
        difference = difference / _largest(expected)
    elif agreement is not None:
        difference = (~same).astype(np.float64)
    else:
        difference = np.abs(results[0].reshape(expected.shape) - expected)
        difference = _without_rounding(difference, estimator, X) / _largest(expected)
    difference = difference.reshape(len(X), -1).max(axis=1)
    report = ExportReport(
        output=method,
        max_difference=float(difference.max()),
        tolerance=float(tolerance),
        n_windows=len(X),
        n_above=int(np.sum(~(difference <= tolerance))),
        label_agreement=agreement,
        n_bytes=model.ByteSize(),
    )
    _refuse(report, estimator)
    return report


def _call(estimator, method, X):
    """Return the result of a method, without a warning that X is no table."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return np.asarray(getattr(estimator, method)(X))


def _refuse(report, estimator):
    """Raise an error if a graph is not what its estimator is."""
    counted = counting_features(estimator)
    allowed = 1 + int(_SHARE_OF_JUMPS * report.n_windows) if counted else 0
    if report.n_above <= allowed:
        return
    advice = (
        "If that is enough for you, pass a larger tolerance=; compare on windows of "
        "your own with X_verify=."
    )
    if report.max_difference > _FAULT:
        advice = (
            "That is more than rounding makes: some step is converted wrongly. Export "
            "the Pipeline cut after each step to find it."
        )
    if any(
        getattr(step, "precision", None) == "bf16"
        for _, step, _ in fitted_steps(estimator)
    ):
        advice = (
            "The estimator itself computes with precision='bf16': export it after "
            "set_params(precision='float32')."
        )
    elif counted:
        advice = (
            f"The features {', '.join(counted)} count samples that cross a limit, and "
            "jump where a sample is as close to it as rounding. A causal filter begins "
            "every window with such samples: filter recordings before windows are cut "
            "(EMGFilter.filter_recording), or with phase='zero'. " + advice
        )
    raise ExportError(
        f"the graph differs from {report.output} by up to {report.max_difference:.2g} "
        f"(tolerance={report.tolerance:g}) in {report.n_above} of {report.n_windows} "
        f"windows. {advice}"
    )


def _as_in_graph(estimator, predicted, labels):
    """Return the estimator's labels as a graph has them."""
    if labels.dtype.kind not in "iu":
        return predicted.astype(object)
    if label_kind(estimator.classes_) == "str":
        return np.searchsorted(estimator.classes_, predicted)  # the option nocl
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
