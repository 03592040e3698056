"""Post-training quantisation of a fitted pipeline to a network of integers."""

import warnings

import numpy as np
from scipy.special import expit, softmax
from sklearn.utils.metaestimators import available_if

from .._validation import as_windows, check_number
from ..exceptions import WindowsError
from ._integer.calibration import collect_statistics
from ._integer.comparison import (
    QuantizationReport,
    scaled_windows,
    signal_to_noise,
)
from ._integer.lowering import lower
from ._integer.preprocess import preprocess_windows, quantise_input
from ._integer.reference import run_program
from ._integer.strength import check_strength, find_artefacts
from ._integer.votes import SCORE_UNIT
from ._pipeline import in_float, read_pipeline

__all__ = ["QuantizationReport", "QuantizedModel", "quantize"]

LEAST_WINDOWS = 8
_LOGIT = 2.0**-16
_WINDOWS_PER_CHUNK = 256
# Windows that the layers are compared on, and images of them.
_WINDOWS_COMPARED, _IMAGES_COMPARED = 128, 4096


def quantize(pipeline, X_calib, *, y_calib=None, percentile=99.995, batch_size="auto"):
    """Turn a fitted pipeline into a network of 8-bit integers.

    Nothing is trained. The ranges of all layers are measured on real windows, and
    the weights rounded row by row. The result runs in numpy exactly as on the device.

    Parameters
    ----------
    pipeline : TinyMyoClassifier, AllConvNetClassifier or sklearn.pipeline.Pipeline
        Fitted. EMGFilter, ChannelScaler, ChannelMapper and GridRepair may stand before
        a TinyMyoClassifier or an AllConvNetClassifier, or before a TinyMyoEmbedder
        with an optional StandardScaler and one of LogisticRegression,
        LinearDiscriminantAnalysis, LinearSVC and RidgeClassifier.
    X_calib : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Raw windows, as `pipeline` takes them: at least 8, better some hundred of all
        gestures. Those of the training do; labels are not needed. Windows with a
        sample more than 20 times beyond the others are left out, with a warning.
    y_calib : array-like of shape (n_windows,) or None, default=None
        Labels, for the accuracies of the report only.
    percentile : float or None, default=99.995
        Share of the values of a layer that its 8-bit range holds, in percent and at
        each end, from 90 to 100. None takes the range of the least squared error,
        which clips strong windows: on real recordings it cost up to 4 dB of the
        logits. The range of the samples has a rule of its own, the least error behind
        the first LayerNorm.
    batch_size : int or "auto", default="auto"
        Windows measured at a time; changes only the time and memory needed.

    Returns
    -------
    model : QuantizedModel

    Raises
    ------
    UnsupportedStepError
        If steps have no integer form; all are named, with what can take their place.
    WindowsError
        If the windows have another shape than in `fit`, hold NaN, are constant, too
        few, or 30 times stronger or weaker than those of `fit`.
    ValueError
        If a parameter is not as documented.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoClassifier
    >>> from sktinymyo.export.quantize import quantize
    >>> X = np.random.default_rng(0).normal(size=(40, 2, 60)).astype("float32")
    >>> y = np.repeat(["rest", "fist"], 20)
    >>> X[20:, 0] *= 3
    >>> classifier = TinyMyoClassifier("random", size="nano", random_state=0)
    >>> model = quantize(classifier.set_params(tune="head").fit(X, y), X, y_calib=y)
    >>> model.predict(X[:2]).shape, model.decision_logits(X[:2]).dtype
    ((2,), dtype('int32'))
    >>> print(model.report())
    Integer network, ... MB of constants, 40 windows
    same label as float ...
    """
    check_number("percentile", percentile, minimum=90, maximum=100, none_allowed=True)
    if batch_size != "auto":
        check_number("batch_size", batch_size, minimum=1, integer=True)
    model = read_pipeline(pipeline)
    X = as_raw_windows("X_calib", X_calib, model)
    if len(X) < LEAST_WINDOWS:
        raise WindowsError(
            f"X_calib holds {len(X)} window(s), too few to measure ranges on; pass at "
            f"least {LEAST_WINDOWS}, better some hundred of all gestures."
        )
    y = as_labels("y_calib", y_calib, len(X), model.classes)
    statistics, artefacts = _measure(model, X, batch_size)
    program = lower(model, statistics, percentile=percentile)
    return QuantizedModel(in_float(pipeline), model, program, X, y, artefacts)


class QuantizedModel:
    """A pipeline in integers, run by the numpy reference.

    Made by :func:`quantize`.

    Parameters
    ----------
    pipeline : estimator
        The fitted pipeline that it stands for, for comparisons.
    model : ExportedModel
        Its parts.
    program : IntegerProgram
        The integer network.
    X_calib : ndarray of shape (n_windows, n_channels, n_times)
        Windows that `report` compares on.
    y_calib : ndarray of shape (n_windows,) or None
        Their labels.
    artefacts : ndarray of int
        Those of them from which nothing was learned.

    Attributes
    ----------
    program : IntegerProgram
        Shapes, constants and scales.
    classes_ : ndarray of shape (n_classes,)
        Labels in the order of the logits.
    artefacts_ : ndarray of int
        Windows of the calibration that were left out as artefacts.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import TinyMyoEmbedder
    >>> from sktinymyo.export.quantize import quantize
    >>> X = np.random.default_rng(0).normal(size=(40, 2, 60)).astype("float32")
    >>> X[20:, 0] *= 3
    >>> embedder = TinyMyoEmbedder("random", size="nano", random_state=0)
    >>> pipeline = make_pipeline(embedder, LogisticRegression())
    >>> model = quantize(pipeline.fit(X, np.repeat([0, 1], 20)), X)
    >>> model
    QuantizedModel(2 channels x 60 samples, 2 blocks x 48, 2 classes, 0.07 MB)
    >>> model.predict_proba(X[:1]).shape
    (1, 2)
    """

    def __init__(self, pipeline, model, program, X_calib, y_calib, artefacts):
        self.pipeline = pipeline
        self.model = model
        self.program = program
        self.classes_ = model.classes
        self.artefacts_ = artefacts
        self._calibration = X_calib, y_calib
        self._report = None

    def __repr__(self):
        """Say what network it is."""
        shape = self.program.shape
        return (
            f"QuantizedModel({shape.n_channels} channels x {shape.n_times} samples, "
            f"{shape.words}, {len(self.classes_)} classes, "
            f"{self.program.nbytes() / 1e6:.2f} MB)"
        )

    def quantize_windows(self, X):
        """Return the integers that the network takes for raw windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels_in, n_times) or \
                (n_windows, n_channels_in * n_times)
            Raw windows, as the pipeline takes them.

        Returns
        -------
        q_input : ndarray of int8, shape (n_windows, n_channels, n_times)
        """
        X = as_raw_windows("X", X, self.model)
        shape = self.program.shape
        q_input = np.empty((len(X), shape.n_channels, shape.n_times), dtype=np.int8)
        for part in _parts(len(X)):
            windows = preprocess_windows(self.program, X[part])
            q_input[part] = quantise_input(self.program, windows)
        return q_input

    def decision_logits(self, X):
        """Return the integer logits of the classes.

        Parameters
        ----------
        X : array-like
            Raw windows, as :meth:`quantize_windows` takes them.

        Returns
        -------
        logits : ndarray of int32, shape (n_windows, n_classes)
            In units of 2**-16. A binary classifier of scikit-learn has two logits,
            minus and plus half of its decision function. Of an AllConvNetClassifier
            the scores of the vote, its probabilities in units of 2**-30.
        """
        return run_program(self.program, self.quantize_windows(X))

    def predict(self, X):
        """Return the label of the first of the largest logits.

        Parameters
        ----------
        X : array-like
            Raw windows, as :meth:`quantize_windows` takes them.

        Returns
        -------
        labels : ndarray of shape (n_windows,)
        """
        return self.classes_[self.decision_logits(X).argmax(axis=1)]

    @available_if(lambda self: self.model.probabilities is not None)
    def predict_proba(self, X):
        """Return the probabilities of the classes, computed from the logits in float64.

        Only where the pipeline's classifier has probabilities.

        Parameters
        ----------
        X : array-like
            Raw windows, as :meth:`quantize_windows` takes them.

        Returns
        -------
        probabilities : ndarray of float64, shape (n_windows, n_classes)
        """
        return probabilities_of(self.decision_logits(X), self.model.probabilities)

    def report(self, X=None, y=None):
        """Compare with the float pipeline.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels_in, n_times) or None, \
                default=None
            Raw windows, best such that no training saw; None takes those of the
            calibration. The layers are compared on at most 128 of them, or 4096 images.
        y : array-like of shape (n_windows,) or None, default=None
            Their labels, for the accuracies.

        Returns
        -------
        report : QuantizationReport
        """
        if X is not None:
            X = as_raw_windows("X", X, self.model)
            return self._compare(X, as_labels("y", y, len(X), self.classes_))
        if self._report is None:
            self._report = self._compare(*self._calibration)
        return self._report

    def _compare(self, X, y):
        n_compared = _IMAGES_COMPARED // self.program.shape.n_runs
        step = -(-len(X) // max(1, min(_WINDOWS_COMPARED, n_compared)))
        flat = _input_ndim(self.pipeline) == 2
        given = (-1,) if flat else self.model.given_shape
        real = self.pipeline.predict(X.reshape(len(X), *given))
        whole = self.predict(X)
        return QuantizationReport(
            n_windows=len(X),
            layers=signal_to_noise(self.model, self.program, X[::step]),
            agreement=float(np.mean(real == whole)),
            accuracy_float=None if y is None else float(np.mean(real == y)),
            accuracy_integer=None if y is None else float(np.mean(whole == y)),
            nbytes=self.program.nbytes(),
        )


def _input_ndim(pipeline):
    """Return the number of dimensions that the first step was fitted on."""
    while hasattr(pipeline, "steps"):
        steps = [
            step
            for _, step in pipeline.steps
            if step is not None and not isinstance(step, str)
        ]
        pipeline = steps[0]
    return pipeline.input_ndim_


def as_raw_windows(name, X, model):
    """Return raw windows with three dimensions, of the shape of `fit`.

    An image is a window of one sample.
    """
    X = np.asarray(as_windows(X))
    n_channels, n_times = model.preprocess.n_channels_in, model.n_times
    is_flat = X.ndim == 2 and X.shape[1] == n_channels * n_times
    if is_flat or X.shape[1:] == model.given_shape:
        X = X.reshape(len(X), n_channels, n_times)
    if X.ndim != 3 or X.shape[1:] != (n_channels, n_times):
        raise WindowsError(
            f"{name} has shape {X.shape}, but the pipeline was fitted on windows of "
            f"{n_channels} channels x {n_times} samples; pass (n_windows, "
            f"{n_channels}, {n_times})."
        )
    if X.dtype.kind not in "fiub":
        raise WindowsError(f"{name} must hold real numbers; got {X.dtype}.")
    broken = ~np.isfinite(X).all(axis=(1, 2))
    if broken.any():
        raise WindowsError(
            f"{name} holds NaN or infinity in {int(broken.sum())} of {len(X)} windows, "
            f"the first at {np.flatnonzero(broken)[:5].tolist()}; leave these out."
        )
    return X


def as_labels(name, y, n_windows, classes):
    """Return labels, one for each window and some of them known, or None."""
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_windows,):
        raise ValueError(
            f"{name} has shape {y.shape}; it must hold one label for each of the "
            f"{n_windows} windows."
        )
    if n_windows and not set(y.tolist()) & set(classes.tolist()):
        raise ValueError(
            f"no label in {name} is one of the classes {classes.tolist()}; pass labels "
            "as fit had them."
        )
    return y


def probabilities_of(logits, kind):
    """Return the probabilities that integer logits stand for, in float64.

    Parameters
    ----------
    logits : ndarray of int32, shape (n_windows, n_classes)
        From an integer network.
    kind : {"softmax", "one-vs-rest", "vote"}
        How the pipeline makes probabilities.
    """
    if kind == "vote":
        return logits * SCORE_UNIT
    logits = logits * _LOGIT
    if kind == "softmax":
        return softmax(logits, axis=1)
    separate = expit(logits)
    return separate / separate.sum(axis=1, keepdims=True)


def _parts(n_windows):
    """Cut windows into slices of bounded size."""
    for start in range(0, n_windows, _WINDOWS_PER_CHUNK):
        yield slice(start, start + _WINDOWS_PER_CHUNK)


def _measure(model, X, batch_size):
    """Return the statistics of all layers on raw windows, and artefacts left out."""
    windows = np.concatenate(
        [
            scaled_windows(model, preprocess_windows(model, X[part]))
            for part in _parts(len(X))
        ]
    )
    if not np.ptp(windows, axis=(0, 2)).any():
        raise WindowsError(
            "X_calib is constant after the preprocessing, so that no range can be "
            "measured; pass recorded windows."
        )
    artefacts = find_artefacts(windows)
    if len(artefacts):
        warnings.warn(
            f"{len(artefacts)} of {len(windows)} windows of X_calib hold samples more "
            f"than 20 times beyond the others, the first at {artefacts[:5].tolist()}: "
            "taken as artefacts, from which no range is learned.",
            UserWarning,
            stacklevel=3,
        )
        windows = np.delete(windows, artefacts, axis=0)
    if model.is_scaled:
        check_strength(windows)
    # The choice of tokens must be the same in every run.
    rng = np.random.default_rng(0)
    return collect_statistics(model, windows, batch_size, rng), artefacts
