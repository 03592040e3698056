"""A fitted pipeline, read into the parts that a device can run."""

import copy
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from scipy.signal import sosfilt_zi
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.validation import check_is_fitted

from .._all_conv_net import AllConvNetClassifier
from .._classifier import TinyMyoClassifier
from .._embedder import TinyMyoEmbedder
from .._regressor import TinyMyoRegressor
from ..exceptions import UnsupportedStepError
from ..preprocessing import (
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    GridMedian,
    GridRepair,
    TimeDomainFeatures,
)
from ..signal import padding_length
from ._image_pipeline import assemble_images, check_images
from ._integer.program import Preprocess

__all__ = ["ExportedModel", "in_float", "read_pipeline"]

HEADS = (LogisticRegression, LinearDiscriminantAnalysis, LinearSVC, RidgeClassifier)
_PROBABILISTIC = (LogisticRegression, LinearDiscriminantAnalysis)
_BEFORE = (EMGFilter, ChannelScaler, ChannelMapper, GridRepair)
_SUPPORTED = (
    "EMGFilter, ChannelScaler, ChannelMapper and GridRepair before the network; "
    "TinyMyoClassifier, AllConvNetClassifier, or TinyMyoEmbedder with an optional "
    "StandardScaler and one of LogisticRegression, LinearDiscriminantAnalysis, "
    "LinearSVC and RidgeClassifier"
)
_INSTEAD = {
    EMGResampler: "resample recordings before windows are cut, and export the rest",
    GridMedian: "GridRepair fills in the bad electrodes of a session",
    TimeDomainFeatures: "export has a form for the network's own embeddings only",
    TinyMyoRegressor: "only classifiers have an integer form; use to_onnx",
}


@dataclass(frozen=True)
class ExportedModel:
    """The parts of a fitted pipeline.

    A window is mapped and filtered (`preprocess`), scaled as
    ``(x - center) / scale``, encoded, pooled, and sent through one linear map.

    Parameters
    ----------
    encoder : TinyMyo
        The network, in evaluation mode; its own head is not used.
    n_times : int
        Samples of a window.
    preprocess : Preprocess
        Map of the channels and filter.
    center, scale : ndarray of float64, shape (n_channels,)
        Scaling of the channels after the preprocessing.
    pooling : {"channel", "mean"}
        Mean over the patches of each channel, or over all tokens.
    head_weight : ndarray of float64, shape (n_classes, n_pooled)
        Linear map to the logits; scaling of the embeddings is part of it.
    head_bias : ndarray of float64, shape (n_classes,)
        Its offsets.
    classes : ndarray of shape (n_classes,)
        Labels.
    probabilities : {"softmax", "one-vs-rest"} or None
        How probabilities are made of the logits; None if the classifier has none.
    steps : list of str
        What the pipeline consisted of, for reports.
    card : WeightsCard or None
        Origin and licence of the weights.
    """

    encoder: object
    n_times: int
    preprocess: Preprocess
    center: np.ndarray
    scale: np.ndarray
    pooling: str
    head_weight: np.ndarray
    head_bias: np.ndarray
    classes: np.ndarray
    probabilities: str | None
    steps: list = field(default_factory=list)
    card: object = None

    kind: ClassVar[str] = "tokens"

    @property
    def given_shape(self):
        """Shape of what a user passes: channels and samples."""
        return self.preprocess.n_channels_in, self.n_times

    @property
    def config(self):
        """Architecture of the encoder."""
        return self.encoder.config

    @property
    def n_channels(self):
        """Channels that the network sees."""
        return self.preprocess.n_channels

    @property
    def is_scaled(self):
        """Whether something of `fit` scales the windows."""
        return bool((self.scale != 1).any())

    @property
    def n_patches(self):
        """Complete patches of a channel."""
        return self.n_times // self.config.patch_size


def read_pipeline(estimator):
    """Read a fitted estimator or pipeline.

    Parameters
    ----------
    estimator : TinyMyoClassifier, AllConvNetClassifier or sklearn.pipeline.Pipeline
        Fitted. In this order: any of EMGFilter, ChannelScaler, ChannelMapper and
        GridRepair;
        TinyMyoClassifier, AllConvNetClassifier, or a TinyMyo embedding, an optional
        StandardScaler and LogisticRegression, LinearDiscriminantAnalysis, LinearSVC
        or RidgeClassifier.

    Returns
    -------
    model : ExportedModel or ExportedImages

    Raises
    ------
    UnsupportedStepError
        If steps have no form on the device; all of them are named, each with what
        can take its place.
    sklearn.exceptions.NotFittedError
        If a step is not fitted.
    """
    steps = _flatten(estimator)
    before, network, after, problems = _divide(steps)
    chain = _Chain(problems)
    for name, step in before:
        chain.read(name, step)
    images = network is not None and isinstance(network[1], AllConvNetClassifier)
    head = None
    if images:
        check_is_fitted(network[1])
        check_images(*network, before, after, problems)
    else:
        if network is not None:
            _check_network(*network, problems)
        head = _read_head(network, after, problems)
    if problems:
        listed = "\n".join(f"  * {problem}" for problem in problems)
        raise UnsupportedStepError(
            f"this pipeline cannot be exported to integers:\n{listed}\n"
            f"Supported are {_SUPPORTED}."
        )
    if images:
        return assemble_images(steps, chain, network[1])
    return _assemble(steps, chain, network[1], head)


def in_float(estimator):
    """Return a copy of a fitted pipeline whose networks predict with torch in float32.

    What was fitted is not copied.
    """
    twin = copy.copy(estimator)
    if isinstance(estimator, Pipeline):
        twin.steps = [
            (name, step if isinstance(step, str) else in_float(step))
            for name, step in estimator.steps
        ]
    elif hasattr(estimator, "student_"):
        twin.student_ = in_float(estimator.student_)
    elif hasattr(estimator, "engine"):
        twin.set_params(engine="torch", precision="float32")
    elif isinstance(estimator, AllConvNetClassifier):
        twin.set_params(precision="float32")
    else:
        return estimator
    return twin


def _flatten(estimator, prefix=""):
    """List the steps of a pipeline, and of pipelines inside it, with their names."""
    estimator = getattr(estimator, "student_", estimator)
    if not isinstance(estimator, Pipeline):
        return [(prefix or type(estimator).__name__, estimator)]
    steps = []
    for name, step in estimator.steps:
        if step is not None and step != "passthrough":
            steps += _flatten(step, f"{prefix}{'.' if prefix else ''}{name}")
    return steps


def _divide(steps):
    """Return the steps before the network, the network, those after, and problems."""
    encoders = (TinyMyoClassifier, TinyMyoEmbedder, AllConvNetClassifier)
    places = [k for k, (_, step) in enumerate(steps) if isinstance(step, encoders)]
    if not places:
        problems = [_unknown(name, step) for name, step in steps if not _known(step)]
        problems.append(
            "no step is a TinyMyo network or AllConvNetClassifier; take one of them, "
            "or a TinyMyoEmbedder with a linear classifier behind it (of a search, "
            "pass its best_estimator_)"
        )
        return [], None, [], problems
    at = places[0]
    problems = [
        f"{name!r} ({type(step).__name__}): a second network; keep one of them"
        for name, step in (steps[place] for place in places[1:])
    ]
    after = [pair for pair in steps[at + 1 :] if not isinstance(pair[1], encoders)]
    return steps[:at], steps[at], after, problems


def _known(step):
    return isinstance(step, (*_BEFORE, StandardScaler, *HEADS))


def _unknown(name, step):
    """Say that a step has no integer form, and what to do."""
    instead = "leave it out, or do its work before the exported pipeline"
    for kind, words in _INSTEAD.items():
        if isinstance(step, kind):
            instead = words
    if hasattr(step, "best_estimator_"):
        instead = "export its best_estimator_"
    return f"{name!r} ({type(step).__name__}): no integer form; {instead}"


class _Chain:
    """The steps before the network as map, filter and scaling, in this order.

    A filter and a linear map of the channels commute, and a filter turns a scaling into
    another one: what it does to a constant is known.
    """

    def __init__(self, problems):
        self.problems = problems
        self.n_channels_in = self.matrix = self.center = self.scale = None
        self.sos, self.phase, self.pad_length, self.sfreq = [], None, 0, None

    def begin(self, n_channels):
        """Start with so many channels, unless there was a step before."""
        if self.n_channels_in is None:
            self.n_channels_in = n_channels
            self.matrix = np.eye(n_channels)
            self.center, self.scale = np.zeros(n_channels), np.ones(n_channels)

    def read(self, name, step):
        """Take up one step."""
        if not isinstance(step, _BEFORE):
            self.problems.append(_unknown(name, step))
            return
        check_is_fitted(step)
        self.begin(step.n_channels_in_)
        if isinstance(step, EMGFilter):
            self.filter(name, step)
        elif isinstance(step, ChannelScaler):
            self.scaler(name, step)
        elif isinstance(step, GridRepair):
            self.repair(step)
        else:
            self.mapper(step)

    def filter(self, name, step):
        """Put a filter behind those before."""
        if self.sos and "zero" in (self.phase, step.phase):
            self.problems.append(
                f"{name!r} (EMGFilter): a second filter beside one of phase='zero'; "
                "design one filter with all edges and notches, or use phase='causal'"
            )
            return
        self.sos.append(step.sos_)
        self.phase, self.sfreq = step.phase, float(step.sfreq)
        if step.phase == "zero":
            self.pad_length = min(padding_length(step.sos_), step.n_times_in_ - 1)
        gain = np.prod(step.sos_[:, :3].sum(axis=1) / step.sos_[:, 3:].sum(axis=1))
        self.center = self.center * gain ** (2 if step.phase == "zero" else 1)

    def scaler(self, name, step):
        """Scale what is already scaled."""
        if step.per != "dataset":
            self.problems.append(
                f"{name!r} (ChannelScaler): per={step.per!r} needs statistics of every "
                "window on the device; use per='dataset'"
            )
            return
        self.affine(step.center_, step.scale_)

    def affine(self, center, scale):
        """Subtract and divide, after the scaling so far."""
        self.center = self.center + self.scale * center
        self.scale = self.scale * scale

    def mapper(self, step):
        """Take channels from others; those that do not exist are zeros."""
        absent = step.source_ < 0
        self.matrix = self.matrix[step.source_] * ~absent[:, np.newaxis]
        self.center = np.where(absent, 0.0, self.center[step.source_])
        self.scale = np.where(absent, 1.0, self.scale[step.source_])

    def repair(self, step):
        """Fill in channels from others, after the scaling so far."""
        bad, weights = step.bad_channels_, step.weights_ / self.scale
        self.matrix[bad] = weights @ self.matrix
        self.center[bad] = weights @ self.center
        self.scale[bad] = 1.0

    def preprocess(self, sfreq):
        """Return map and filter in float32."""
        size, mapper = self.n_channels_in, None
        if not np.array_equal(self.matrix, np.eye(size)):
            mapper = self.matrix.astype(np.float32)
        sos = np.concatenate(self.sos) if self.sos else None
        return Preprocess(
            n_channels_in=size,
            sfreq=self.sfreq or (None if sfreq is None else float(sfreq)),
            mapper=mapper,
            sos=None if sos is None else sos.astype(np.float32),
            initial_state=None if sos is None else sosfilt_zi(sos).astype(np.float32),
            phase=self.phase or "causal",
            pad_length=self.pad_length,
        )


def _check_network(name, step, problems):
    """Refuse networks without an integer form."""
    check_is_fitted(step)
    kind = type(step).__name__
    if step._scale == "window":
        problems.append(
            f"{name!r} ({kind}): scale='window' needs statistics of every window on "
            "the device; use scale='channel'"
        )
    if step.n_times_in_ < step.config_.patch_size:
        problems.append(
            f"{name!r} ({kind}): windows of {step.n_times_in_} samples hold no whole "
            f"patch of {step.config_.patch_size}; use longer windows"
        )


def _read_head(network, after, problems):
    """Return what turns pooled tokens into logits, or None with a problem."""
    scalings = []
    for name, step in after[:-1]:
        if isinstance(step, StandardScaler):
            check_is_fitted(step)
            scalings.append(step)
        else:
            problems.append(_unknown(name, step))
    if after:
        name, step = after[-1]
        if not isinstance(step, HEADS):
            if isinstance(step, StandardScaler):
                problems.append(f"{name!r} (StandardScaler): no classifier behind it")
            else:
                problems.append(_unknown(name, step))
            return None
        check_is_fitted(step)
        return _linear_head(name, step, scalings, problems)
    if network is None:
        return None
    name, step = network
    if isinstance(step, TinyMyoEmbedder):
        problems.append(
            f"{name!r} (TinyMyoEmbedder): no classifier behind it; add one, for "
            "example LogisticRegression"
        )
        return None
    linear = step.module_.model_head.classifier
    weight = linear.weight.detach().cpu().numpy().astype(np.float64)
    bias = linear.bias.detach().cpu().numpy().astype(np.float64)
    return weight, bias, step.classes_, "softmax"


def _linear_head(name, step, scalings, problems):
    """Return weights, offsets, classes and kind of probabilities of a classifier."""
    # Of RidgeClassifier, which alone takes several labels.
    binarizer = getattr(step, "_label_binarizer", None)
    if getattr(binarizer, "y_type_", "").startswith("multilabel"):
        kind = type(step).__name__
        problems.append(f"{name!r} ({kind}): several labels a window; fit one label")
        return None
    weight = np.atleast_2d(np.asarray(step.coef_, dtype=np.float64))
    bias = np.atleast_1d(np.asarray(step.intercept_, dtype=np.float64))
    bias = np.broadcast_to(bias, len(weight))
    if len(weight) == 1 and len(step.classes_) == 2:
        # Two logits whose difference is the decision: the softmax is its sigmoid.
        halves = np.array([[-0.5], [0.5]])
        weight, bias = halves * weight, halves[:, 0] * bias
    for scaling in reversed(scalings):
        if scaling.scale_ is not None:
            weight = weight / scaling.scale_
        if scaling.mean_ is not None and scaling.with_mean:
            bias = bias - weight @ scaling.mean_
    kind = None
    if isinstance(step, _PROBABILISTIC):
        separate = getattr(step, "multi_class", None) == "ovr"
        separate = separate or getattr(step, "solver", None) == "liblinear"
        several = len(step.classes_) > 2
        kind = "one-vs-rest" if separate and several else "softmax"
    return weight, bias, step.classes_, kind


def _assemble(steps, chain, network, head):
    """Put the parts together."""
    chain.begin(network.n_channels_in_)
    if network._scale == "channel":
        chain.affine(network.scale_mean_, network.scale_std_)
    weight, bias, classes, probabilities = head
    return ExportedModel(
        encoder=network.module_,
        n_times=network.n_times_in_,
        preprocess=chain.preprocess(network.sfreq),
        center=np.asarray(chain.center, dtype=np.float64),
        scale=np.asarray(chain.scale, dtype=np.float64),
        pooling=getattr(network, "pooling", "channel"),
        head_weight=weight,
        head_bias=np.array(bias),
        classes=np.asarray(classes),
        probabilities=probabilities,
        steps=[f"{name}: {type(step).__name__}" for name, step in steps],
        card=network.weights_card_,
    )
