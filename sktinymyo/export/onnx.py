"""From a fitted estimator or Pipeline to an ONNX graph that was compared with it."""

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from .._optional import import_optional
from .._validation import check_number, check_truth
from ..engines._graph import HIGHEST_OPSET, LOWEST_OPSET
from ..exceptions import SktinymyoError, UnsupportedStepError, WindowsError
from ._onnx_contract import GraphContract, read_contract, store_contract
from ._onnx_converters import register_converters
from ._onnx_int8 import QuantizationReport, quantize_onnx, read_quantization
from ._onnx_session import (
    INPUT,
    check_path,
    load_model,
    store_report,
    stored_report,
    write_model,
)
from ._onnx_steps import (
    KNOWN_LAST,
    allowed_options,
    beginnings,
    check_input,
    check_steps,
    last_step,
    simplified,
)
from ._onnx_verification import (
    ExportError,
    ExportReport,
    call_quietly,
    compare,
    output_method,
    simulated_windows,
)
from ._onnx_windows import as_float_windows, written_shape

__all__ = [
    "ExportError",
    "ExportReport",
    "GraphContract",
    "QuantizationReport",
    "quantize_onnx",
    "read_contract",
    "read_quantization",
    "read_report",
    "register_converters",
    "to_onnx",
    "verify_onnx",
]

_HIGHEST_IR = 10
_REPORT = "sktinymyo.verification"
_QUANTIZE_OPTIONS = ("attention", "calibration", "reduce_range", "smooth")
# Compared besides the windows given, and the most of those.
_N_SIMULATED = 32
_MOST_GIVEN = 64


def to_onnx(
    estimator,
    X,
    *,
    target_opset=20,
    verify=True,
    tolerance=1e-4,
    X_verify=None,
    options=None,
    zipmap=False,
    quantize=None,
    X_calib=None,
    X_test=None,
    y_test=None,
    quantize_options=None,
    path=None,
):
    """Convert a fitted estimator or Pipeline to an ONNX graph, and compare the two.

    Every transformer and estimator of the package has a form in the graph (except
    :class:`~sktinymyo.ArmbandAlignedClassifier`), and so have the estimators of
    scikit-learn that skl2onnx knows.

    Parameters
    ----------
    estimator : fitted estimator or Pipeline
        What to convert. Of a search, its ``best_estimator_``; of a distilled
        classifier or regressor, its ``student_``.
    X : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        One window or more of the form that `fit` saw. The graph takes float32
        windows of this form, any number of them.
    target_opset : int, default=20
        Version of the operators, 18 to 22. From 20 on GELU is a single operator.
    verify : bool, default=True
        Run the graph with onnxruntime and compare.
    tolerance : float, default=1e-4
        Largest difference accepted: of probabilities as they are, of other outputs
        as a share of the largest value of their column. The networks agree within
        1e-6; a hundred times that is still no other label.
    X_verify : array-like or None, default=None
        Windows to compare on. None takes up to 64 of X and 32 of noise with the
        strength of X.
    options : dict or None, default=None
        Options of the last step for skl2onnx, such as ``{"raw_scores": True}`` or
        ``{"nocl": True}`` (numbers of classes in place of labels).
    zipmap : {False, True, "columns"}, default=False
        Form of the probabilities: a table, a list of dictionaries, or one output for
        each class.
    quantize : {None, "int8"}, default=None
        "int8" compares the float32 graph as above and then gives the linear maps of
        the network int8 weights and inputs, see :func:`quantize_onnx`.
    X_calib : array-like or None, default=None
        Real windows for "int8", a few hundred of all gestures.
    X_test : array-like or None, default=None
        Windows used neither by `fit` nor as `X_calib`, on which "int8" is compared
        with float32. None takes X_calib, whose accuracy is no estimate.
    y_test : array-like of shape (n_windows,) or None, default=None
        Labels of X_test, for the accuracy of both.
    quantize_options : dict or None, default=None
        Other arguments of :func:`quantize_onnx`, such as ``calibration``.
    path : str or path, default=None
        Also write the graph to this file, which ends in .onnx.

    Returns
    -------
    model : onnx.ModelProto
        Input ``X``. Outputs of a classifier: labels and probabilities (int64 labels
        for truth values: 0 and 1). :func:`read_contract` returns what windows it
        expects, :func:`read_report` the comparison, and :func:`read_quantization`
        that of "int8".

    Raises
    ------
    UnsupportedStepError
        If a step has no form in a graph; the message lists all such steps.
    ExportError
        If graph and estimator differ by more than `tolerance`.
    OptionalDependencyError
        If skl2onnx, onnx or onnxruntime is not installed.
    ValueError
        If a parameter or X is not as documented.

    Notes
    -----
    A filter on a window of fixed length is a matrix: exact, of ``n_times**2``
    numbers. The same holds for the resampler. The network computes in float32; an
    incomplete last patch is cut off, as in the network itself.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import EMGFilter, TimeDomainFeatures
    >>> from sktinymyo.export.onnx import read_report, to_onnx
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(60) % 3
    >>> X = rng.normal(size=(60, 4, 100)) * (1 + y)[:, None, None]
    >>> pipeline = make_pipeline(
    ...     EMGFilter(sfreq=1000), TimeDomainFeatures(), LinearDiscriminantAnalysis()
    ... )
    >>> model = to_onnx(pipeline.fit(X, y), X)
    >>> read_report(model).max_difference < 1e-4
    True
    """
    check_number(
        "target_opset",
        target_opset,
        minimum=LOWEST_OPSET,
        maximum=HIGHEST_OPSET,
        integer=True,
    )
    check_truth("verify", verify)
    check_number("tolerance", tolerance, minimum=0)
    if zipmap != "columns":
        check_truth("zipmap", zipmap)
    _check_quantization(quantize, X_calib, X_test, y_test, quantize_options)
    target = None if path is None else check_path(path)
    check_is_fitted(estimator)
    estimator = simplified(estimator)
    X = as_float_windows("X", X)
    check_input(estimator, X)
    X_verify = _like(X, "X_verify", X_verify)
    X_calib, X_test = _like(X, "X_calib", X_calib), _like(X, "X_test", X_test)
    tested_on = X_calib if X_test is None else X_test
    if y_test is not None and np.shape(y_test) != (len(tested_on),):
        raise ValueError(
            f"y_test must hold one label for each of the {len(tested_on)} windows; "
            f"got shape {np.shape(y_test)}."
        )
    _check_options(options)
    if verify:
        import_optional("onnxruntime", extra="export", purpose="to_onnx(verify=True)")

    model = _convert(estimator, X, target_opset, options, zipmap)
    raw_scores = bool((options or {}).get("raw_scores", False))
    numbered = bool((options or {}).get("nocl", False))
    store_contract(model, estimator, output_method(estimator, raw_scores), numbered)
    if verify:
        windows = _windows_to_compare(X, X_verify)
        report = compare(model, estimator, windows, tolerance=tolerance)
        store_report(model, _REPORT, report)
    if quantize is not None:
        model = quantize_onnx(
            model, X_calib, X_test=X_test, y_test=y_test, **(quantize_options or {})
        )
    if target is not None:
        write_model(model, target)
    return model


def verify_onnx(model, estimator, X, *, tolerance=1e-4):
    """Compare a graph with the estimator it was made from.

    Parameters
    ----------
    model : onnx.ModelProto, str or path
        A graph, or the file that holds it.
    estimator : fitted estimator or Pipeline
        What it was made from.
    X : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Windows to compare on.
    tolerance : float, default=1e-4
        Largest difference accepted, as in :func:`to_onnx`.

    Returns
    -------
    report : ExportReport

    Raises
    ------
    ExportError
        If they differ by more than `tolerance`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import ChannelScaler
    >>> from sktinymyo.export.onnx import to_onnx, verify_onnx
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 50))
    >>> scaler = ChannelScaler().fit(X)
    >>> verify_onnx(to_onnx(scaler, X), scaler, X).n_above
    0
    """
    check_number("tolerance", tolerance, minimum=0)
    check_is_fitted(estimator)
    X = as_float_windows("X", X)
    estimator = simplified(estimator)
    check_input(estimator, X)
    return compare(load_model(model), estimator, X, tolerance=tolerance)


def read_report(model):
    """Return the comparison with the estimator that :func:`to_onnx` stored in a graph.

    Parameters
    ----------
    model : onnx.ModelProto, str or path
        A graph, or the file that holds it.

    Returns
    -------
    report : ExportReport or None
        That of the float32 graph; None if it was not compared (``verify=False``).

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import ChannelScaler
    >>> from sktinymyo.export.onnx import read_report, to_onnx
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 50))
    >>> print(read_report(to_onnx(ChannelScaler().fit(X), X)))
    transform of 40 windows: largest difference ...
    """
    return stored_report(load_model(model), _REPORT, ExportReport)


def _check_quantization(quantize, X_calib, X_test, y_test, options):
    if quantize not in (None, "int8"):
        raise ValueError(f"quantize={quantize!r} is not accepted; pass None or 'int8'.")
    given = {
        "X_calib": X_calib,
        "X_test": X_test,
        "y_test": y_test,
        "quantize_options": options,
    }
    unused = [name for name, value in given.items() if value is not None]
    if quantize is None and unused:
        raise ValueError(
            f"{', '.join(unused)} without meaning as quantize=None; pass "
            "quantize='int8', or leave them out."
        )
    if quantize is not None and X_calib is None:
        raise ValueError(
            "quantize='int8' learns the ranges of the activations from real windows; "
            "pass a few hundred as X_calib=."
        )
    options = {} if options is None else options
    if not isinstance(options, dict):
        raise TypeError(
            f"quantize_options must be a dictionary or None; got {options!r}."
        )
    for name in ("path", "X_test", "y_test"):
        if name in options:
            raise ValueError(f"quantize_options holds {name!r}; pass {name}= itself.")
    if unknown := sorted(set(options) - set(_QUANTIZE_OPTIONS)):
        raise ValueError(
            f"quantize_options={unknown} are not known; pass some of "
            f"{sorted(_QUANTIZE_OPTIONS)}."
        )


def _check_options(options):
    if not isinstance(options, dict | None):
        raise TypeError(f"options must be a dictionary or None; got {options!r}.")


def _check_one_label(estimator, X):
    """Refuse classifiers of several labels a window, which skl2onnx gets wrong."""
    if is_classifier(estimator) and call_quietly(estimator, "predict", X[:1]).ndim != 1:
        raise UnsupportedStepError(
            f"{type(last_step(estimator)).__name__} gives several labels a window, "
            "which has no form in the graph; fit a classifier for each of them, and "
            "export these one by one."
        )


def _like(X, name, windows):
    """Return windows as float32, refused if their form is not that of X."""
    if windows is None:
        return None
    windows = as_float_windows(name, windows)
    if windows.shape[1:] != X.shape[1:]:
        raise WindowsError(
            f"{name} has windows of the shape {written_shape(windows.shape[1:])}, but "
            f"those of X have {written_shape(X.shape[1:])}; pass the same form."
        )
    return windows


def _windows_to_compare(X, X_verify):
    if X_verify is None:
        simulated = simulated_windows(X, _N_SIMULATED)
        return np.concatenate([X[:_MOST_GIVEN], simulated])
    return X_verify


def _convert(estimator, X, target_opset, options, zipmap):
    skl2onnx = import_optional("skl2onnx", extra="export", purpose="to_onnx")
    from skl2onnx.common.data_types import FloatTensorType

    highest = skl2onnx.__max_supported_opset__
    if target_opset > highest:
        raise ValueError(
            f"target_opset={target_opset} is not known to skl2onnx "
            f"{skl2onnx.__version__}; pass {LOWEST_OPSET} to {highest}, or upgrade it."
        )
    register_converters()
    check_steps(estimator)
    _check_one_label(estimator, X)
    options = _all_options(estimator, options, zipmap)

    def convert(estimator, options=None):
        return skl2onnx.to_onnx(
            estimator,
            initial_types=[(INPUT, FloatTensorType([None, *X.shape[1:]]))],
            target_opset=target_opset,
            options=options,
            name=type(estimator).__name__,
        )

    try:
        model = convert(estimator, options)
    except SktinymyoError:
        raise
    except Exception as error:  # of every kind, from converters that are not ours
        reason = str(error).strip().partition("\n")[0][:160]
        raise UnsupportedStepError(
            f"skl2onnx {skl2onnx.__version__} cannot convert "
            f"{_first_failing(estimator, convert)} ({type(error).__name__}: {reason}). "
            f"Take another step in its place (at the end, one of {KNOWN_LAST}), or "
            "export the steps before it and run it in Python."
        ) from error
    model.ir_version = min(model.ir_version, _HIGHEST_IR)
    return model


def _first_failing(estimator, convert):
    """Name the step up to which a Pipeline cannot be converted."""
    for name, pipeline in beginnings(estimator):
        try:
            convert(pipeline)
        except Exception:  # of every kind, as above
            return f"the step {name!r} ({type(pipeline.steps[-1][1]).__name__})"
    return type(last_step(estimator)).__name__


def _all_options(estimator, options, zipmap):
    """Return the options of the last step, in the form that skl2onnx takes."""
    last = last_step(estimator)
    known = allowed_options(last)
    options = {} if options is None else dict(options)
    if "zipmap" in known:
        options.setdefault("zipmap", zipmap)
    elif zipmap is not False:
        raise ValueError(
            f"zipmap={zipmap!r} is not accepted for {type(last).__name__}, which has "
            "no probabilities; pass zipmap=False."
        )
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(
            f"options={unknown} are not known for {type(last).__name__}; pass some of "
            f"{known}."
        )
    # Without an entry skl2onnx would pass zipmap on to steps that do not take it.
    return {id(last): options} if options or is_classifier(last) else None
