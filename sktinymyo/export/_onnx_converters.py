"""Shape calculators and converters by which skl2onnx knows our estimators.

Windows of both forms go through the same converter: the input is brought to (B, C, T),
and what windows-to-windows steps return is brought back to the form of the input. Which
form it is was decided by `fit` (``input_ndim_``), since a graph serves only one.
"""

import threading

from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)

from .._optional import import_optional
from ..engines._graph import GraphWriter
from ..exceptions import UnsupportedStepError, WindowsError
from ._onnx_discriminants import convert_linear, convert_quadratic
from ._onnx_features import write_features
from ._onnx_images import write_median, write_repair, write_votes
from ._onnx_labels import (
    CLASSIFIER_OPTIONS,
    set_classifier_outputs,
    write_answers,
    write_labels,
)
from ._onnx_preprocessing import (
    write_filter,
    write_mapper,
    write_resampler,
    write_scaler,
)
from ._onnx_tinymyo import write_embedding, write_logits, write_targets
from ._onnx_windows import written_shape

__all__ = ["OWN_STEPS", "WINDOWS_TO_WINDOWS", "register_converters"]

# Name of the class -> function that writes windows (B, C, T) to windows.
WINDOWS_TO_WINDOWS = {
    "ChannelMapper": write_mapper,
    "ChannelScaler": write_scaler,
    "EMGFilter": write_filter,
    "EMGResampler": write_resampler,
    "GridMedian": write_median,
    "GridRepair": write_repair,
}
OWN_STEPS = (
    *WINDOWS_TO_WINDOWS,
    "AllConvNetClassifier",
    "TimeDomainFeatures",
    "TinyMyoClassifier",
    "TinyMyoEmbedder",
    "TinyMyoRegressor",
)
# Votes are no scores of which probabilities are made.
_VOTE_OPTIONS = {k: v for k, v in CLASSIFIER_OPTIONS.items() if k != "raw_scores"}
_LOCK = threading.Lock()
_REGISTERED = []


def register_converters():
    """Make skl2onnx know the estimators of sktinymyo.

    After this call ``skl2onnx.to_onnx`` and ``skl2onnx.convert_sklearn`` convert
    pipelines with our steps. :func:`to_onnx` calls it by itself. A second call does
    nothing.

    Two estimators of scikit-learn get other converters, too, since those of skl2onnx
    are wrong: LinearDiscriminantAnalysis (probabilities of two classes) and
    QuadraticDiscriminantAnalysis (form of the labels).

    Raises
    ------
    OptionalDependencyError
        If skl2onnx is not installed.

    Examples
    --------
    >>> from sktinymyo.export.onnx import register_converters
    >>> register_converters()
    """
    skl2onnx = import_optional("skl2onnx", extra="export", purpose="ONNX export")
    with _LOCK:
        if _REGISTERED:
            return
        for model, shape, convert, options in _registrations():
            skl2onnx.update_registered_converter(
                model, f"Sktinymyo{model.__name__}", shape, convert, options=options
            )
        _REGISTERED.append(True)


def _registrations():
    """Yield class, shape calculator, converter and options of every estimator."""
    from .. import preprocessing
    from .._all_conv_net import AllConvNetClassifier
    from .._classifier import TinyMyoClassifier
    from .._embedder import TinyMyoEmbedder
    from .._regressor import TinyMyoRegressor
    from ..adaptation import ArmbandAlignedClassifier

    for name in WINDOWS_TO_WINDOWS:
        yield getattr(preprocessing, name), _shape_windows, _convert_windows, None
    yield preprocessing.TimeDomainFeatures, _shape_features, _convert_features, None
    yield TinyMyoEmbedder, _shape_embedder, _convert_embedder, None
    options = CLASSIFIER_OPTIONS
    yield TinyMyoClassifier, _shape_classifier, _convert_classifier, options
    convert = _convert_images
    yield AllConvNetClassifier, _shape_classifier, convert, _VOTE_OPTIONS
    yield TinyMyoRegressor, _shape_regressor, _convert_regressor, None
    yield ArmbandAlignedClassifier, _refuse_aligned, _convert_windows, options
    # Those of skl2onnx give other probabilities of two classes, and labels as a row.
    yield LinearDiscriminantAnalysis, set_classifier_outputs, convert_linear, options
    yield (
        QuadraticDiscriminantAnalysis,
        set_classifier_outputs,
        convert_quadratic,
        options,
    )


# -- forms of the input ------------------------------------------------------------


def _check_form(operator):
    """Refuse an input that is not windows of the form that `fit` saw."""
    estimator, variable = operator.raw_operator, operator.inputs[0]
    shape = variable.type.shape
    form = (estimator.n_channels_in_, estimator.n_times_in_)
    expected = (form[0] * form[1],) if estimator.input_ndim_ == 2 else form
    seen = tuple(shape[1:]) if shape else ()
    fits = len(seen) == len(expected) and all(
        a in (None, b) for a, b in zip(seen, expected, strict=False)
    )
    if len(operator.inputs) != 1 or (shape and not fits):
        raise WindowsError(
            f"{type(estimator).__name__} was fitted on windows of the shape "
            f"{written_shape(expected)}, but here it would get {written_shape(seen)}"
            f"{'' if len(operator.inputs) == 1 else ' and other inputs'}; pass one "
            "array of the form that fit saw."
        )


def _input(operator, graph):
    """Return the input as float32 windows (B, C, T)."""
    from onnx import TensorProto
    from skl2onnx.common.data_types import FloatTensorType

    estimator, variable = operator.raw_operator, operator.inputs[0]
    x = variable.full_name
    if not isinstance(variable.type, FloatTensorType):
        x = graph.node("Cast", x, name="single", to=TensorProto.FLOAT)
    if estimator.input_ndim_ == 2:
        x = graph.reshape(x, 0, estimator.n_channels_in_, estimator.n_times_in_)
    return x


def _set_shape(operator, *shape):
    from skl2onnx.common.data_types import FloatTensorType

    first = operator.inputs[0].get_first_dimension()
    operator.outputs[0].type = FloatTensorType([first, *(int(n) for n in shape)])


# -- windows to windows, windows to tables -----------------------------------------


def _shape_windows(operator):
    _check_form(operator)
    estimator = operator.raw_operator
    n_channels = getattr(estimator, "n_channels_out_", estimator.n_channels_in_)
    n_times = getattr(estimator, "n_times_out_", estimator.n_times_in_)
    if estimator.input_ndim_ == 2:
        _set_shape(operator, n_channels * n_times)
    else:
        _set_shape(operator, n_channels, n_times)


def _convert_windows(scope, operator, container):
    graph, estimator = GraphWriter(scope, container), operator.raw_operator
    write = WINDOWS_TO_WINDOWS[type(estimator).__name__]
    x = write(graph, _input(operator, graph), estimator)
    shape = operator.outputs[0].type.shape[1:]
    if estimator.input_ndim_ == 2:
        graph.reshape(x, 0, *shape, into=operator.outputs[0].full_name)
    else:
        graph.node("Identity", x, into=operator.outputs[0].full_name)


def _shape_features(operator):
    _check_form(operator)
    estimator = operator.raw_operator
    _set_shape(operator, estimator.n_channels_in_ * len(estimator.features_))


def _convert_features(scope, operator, container):
    graph = GraphWriter(scope, container)
    table = write_features(graph, _input(operator, graph), operator.raw_operator)
    graph.node("Identity", table, into=operator.outputs[0].full_name)


def _shape_embedder(operator):
    _check_form(operator)
    estimator = operator.raw_operator
    width = estimator.config_.embed_dim
    by_channel = estimator.pooling == "channel"
    _set_shape(operator, width * (estimator.n_channels_in_ if by_channel else 1))


def _convert_embedder(scope, operator, container):
    graph = GraphWriter(scope, container)
    x = _input(operator, graph)
    write_embedding(graph, x, operator.raw_operator, into=operator.outputs[0].full_name)


def _shape_regressor(operator):
    _check_form(operator)
    _set_shape(operator, *(operator.raw_operator.target_shape_ or (1,)))


def _convert_regressor(scope, operator, container):
    graph = GraphWriter(scope, container)
    x = _input(operator, graph)
    write_targets(graph, x, operator.raw_operator, operator.outputs[0].full_name)


# -- the classifier ----------------------------------------------------------------


def _shape_classifier(operator):
    _check_form(operator)
    set_classifier_outputs(operator)


def _convert_classifier(scope, operator, container):
    graph = GraphWriter(scope, container)
    x = _input(operator, graph)
    logits = write_logits(graph, x, operator.raw_operator)
    write_answers(graph, scope, operator, logits)


def _convert_images(scope, operator, container):
    graph = GraphWriter(scope, container)
    scores = operator.outputs[1].full_name
    write_votes(graph, _input(operator, graph), operator.raw_operator, scores)
    write_labels(graph, scope, operator, scores)


def _refuse_aligned(operator):
    raise UnsupportedStepError(
        "ArmbandAlignedClassifier cannot be converted: the turn of an armband is found "
        "from many windows together, and a graph treats each by itself. Convert its "
        "estimator_ and turn the channels before it, for example with "
        "ChannelMapper(order=...)."
    )
