"""int8 graphs: what is quantised, and what it costs in accuracy."""

import json
import time
from dataclasses import dataclass

import numpy as np

from .._validation import check_choice, check_number, check_truth
from ..exceptions import WindowsError
from ._onnx_calibration import CALIBRATIONS, with_outputs
from ._onnx_quantization import block_outputs, quantize_graph
from ._onnx_session import (
    check_path,
    get_property,
    load_model,
    make_session,
    run_graph,
    store_report,
    stored_report,
    write_model,
)
from ._onnx_windows import as_float_windows

__all__ = ["QuantizationReport", "quantize_onnx", "read_quantization"]

_REPORT = "sktinymyo.quantization"
_N_RUNS = 15


@dataclass(frozen=True)
class QuantizationReport:
    """What int8 cost and gained.

    Parameters
    ----------
    n_windows : int
        Windows on which both graphs were compared.
    agreement : float or None
        Share of them with the same label; None if the output has no labels.
    accuracy_float, accuracy_int8 : float or None
        Share of right labels; None without labels to compare with.
    signal_to_noise : dict of str to float
        Power of the float32 values over that of the error, in dB, after each block or
        convolution (``"block0"``, ...) and of the output (``"output"``).
    bytes_float, bytes_int8 : int
        Sizes of the graphs.
    ms_float, ms_int8 : float
        Median time of one window on one thread, in milliseconds.
    settings : dict
        ``calibration``, ``smooth``, ``attention``, ``reduce_range`` and
        ``n_calibration`` (windows).
    held_out : bool, default=False
        Whether none of the windows compared on was used for the ranges. If not, the
        figures are no estimate for other windows. Whether `fit` saw them is not known.

    Examples
    --------
    >>> from sktinymyo.export.onnx import QuantizationReport
    >>> report = QuantizationReport(
    ...     500, 0.99, 0.93, 0.928, {"output": 31}, 14_400_000, 4_000_000, 8.1, 4.2, {}
    ... )
    >>> print(report)
    int8 on 500 windows: 99.00% of labels as in float32, accuracy 0.930 -> 0.928, ...
    """

    n_windows: int
    agreement: float | None
    accuracy_float: float | None
    accuracy_int8: float | None
    signal_to_noise: dict
    bytes_float: int
    bytes_int8: int
    ms_float: float
    ms_int8: float
    settings: dict
    held_out: bool = False

    def __str__(self):
        """Return the figures in one sentence."""
        parts = []
        if self.agreement is not None:
            parts.append(f"{self.agreement:.2%} of labels as in float32")
        if self.accuracy_float is not None:
            parts.append(
                f"accuracy {self.accuracy_float:.3f} -> {self.accuracy_int8:.3f}"
            )
        parts += [
            f"signal to noise {self.signal_to_noise['output']:.0f} dB",
            f"{self.bytes_float / 1e6:.2f} -> {self.bytes_int8 / 1e6:.2f} MB",
            f"{self.ms_float:.2f} -> {self.ms_int8:.2f} ms",
        ]
        text = f"int8 on {self.n_windows} windows: {', '.join(parts)}"
        if not self.held_out:
            text += (
                " (on windows of the calibration, no estimate for others: pass X_test "
                "and y_test)"
            )
        return text


def quantize_onnx(
    model,
    X_calib,
    *,
    calibration="percentile",
    smooth=0.5,
    attention=False,
    reduce_range=True,
    X_test=None,
    y_test=None,
    path=None,
):
    """Make an int8 graph of a float32 graph, and compare the two.

    The linear maps of the blocks, and all convolutions but the first of an
    AllConvNetClassifier, nearly all of the size and most of the work, get int8 weights
    with one scale for each output and uint8 inputs (quantise and dequantise nodes,
    which onnxruntime turns into int8 products). LayerNorm, softmax,
    the residual stream, the first map, the head and all steps outside the network stay
    in float32: they cost little and would lose most.

    Parameters
    ----------
    model : onnx.ModelProto, str or path
        What :func:`to_onnx` returned.
    X_calib : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Real windows, a few hundred of all gestures, from which the ranges of the
        activations are learned.
    calibration : {"percentile", "entropy", "mse"}, default="percentile"
        How the range of a tensor is chosen: all but one value in ten thousand; the
        smallest divergence of the histogram; or the smallest squared error.
    smooth : float, default=0.5
        How far the columns of LayerNorm outputs are evened out before, from 0 (not at
        all) to 1; exact in float32.
    attention : bool, default=False
        Quantise the two products of attention too. Its weights lie near zero where
        attention is spread out, and lose most: of 400 tokens 15 dB.
    reduce_range : bool, default=True
        Use 7 of the 8 bits of the weights. On x86 processors without VNNI instructions
        (Intel before 2019, AMD before Zen 4) onnxruntime adds two products in 16 bits,
        which 8-bit weights can overflow. The bit costs about 1 dB and no time; pass
        False if the graph never meets such a processor.
    X_test : array-like or None, default=None
        Windows to compare on that neither `fit` saw nor X_calib holds; None takes
        X_calib, whose accuracy is no estimate.
    y_test : array-like of shape (n_windows,) or None, default=None
        Their labels (those of X_calib if X_test is None), for the accuracy.
    path : str or path, default=None
        Also write the graph to this file, which ends in .onnx.

    Returns
    -------
    quantized : onnx.ModelProto
        :func:`read_quantization` returns the comparison.

    Raises
    ------
    UnsupportedStepError
        If the graph holds no network of this package.
    OptionalDependencyError
        If onnx or onnxruntime is not installed.
    ValueError
        If a parameter, the windows or the labels are not as documented.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoClassifier
    >>> from sktinymyo.export.onnx import quantize_onnx, read_quantization, to_onnx
    >>> rng = np.random.default_rng(0)
    >>> y = np.arange(40) % 2
    >>> X = rng.normal(size=(40, 4, 100)) * (1 + y)[:, None, None]
    >>> classifier = TinyMyoClassifier("random", size="nano", random_state=0)
    >>> model = to_onnx(classifier.fit(X, y), X)
    >>> quantized = quantize_onnx(model, X, y_test=y)
    >>> read_quantization(quantized).agreement > 0.9
    True
    """
    check_choice("calibration", calibration, CALIBRATIONS)
    check_number("smooth", smooth, minimum=0, maximum=1)
    check_truth("attention", attention)
    check_truth("reduce_range", reduce_range)
    target = None if path is None else check_path(path)
    model = load_model(model)
    if get_property(model, _REPORT) is not None:
        raise ValueError(
            "model is an int8 graph already; pass the float32 graph it was made from."
        )
    X_calib = _windows_for(model, "X_calib", X_calib)
    X_test = X_calib if X_test is None else _windows_for(model, "X_test", X_test)
    held_out = not share_windows(X_calib, X_test)
    if y_test is not None:
        y_test = _labels_for(model, y_test, X_test)
    settings = {
        "calibration": calibration,
        "smooth": smooth,
        "attention": attention,
        "reduce_range": reduce_range,
    }
    quantized = quantize_graph(model, X_calib, **settings)
    settings["n_calibration"] = len(X_calib)
    report = _compare(model, quantized, X_test, y_test, settings, held_out)
    store_report(quantized, _REPORT, report)
    if target is not None:
        write_model(quantized, target)
    return quantized


def read_quantization(model):
    """Return the comparison that :func:`quantize_onnx` stored in a graph.

    Parameters
    ----------
    model : onnx.ModelProto, str or path
        A graph, or the file that holds it.

    Returns
    -------
    report : QuantizationReport or None
        None if the graph is not one of :func:`quantize_onnx`.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import ChannelScaler
    >>> from sktinymyo.export.onnx import read_quantization, to_onnx
    >>> X = np.random.default_rng(0).normal(size=(8, 2, 50))
    >>> read_quantization(to_onnx(ChannelScaler().fit(X), X)) is None
    True
    """
    return stored_report(load_model(model), _REPORT, QuantizationReport)


def _windows_for(model, name, X):
    """Return windows as float32, refused if they are not what the graph takes."""
    X = as_float_windows(name, X)
    dims = model.graph.input[0].type.tensor_type.shape.dim
    expected = tuple(dim.dim_value for dim in dims)[1:]
    if X.shape[1:] != expected:
        raise WindowsError(
            f"{name} has windows of the shape {X.shape[1:]}, but the graph takes "
            f"{expected}; pass windows of that form."
        )
    return X


def share_windows(X_calib, X_test):
    """Tell whether a window stands in both."""
    seen = {window.tobytes() for window in X_calib}
    return any(window.tobytes() in seen for window in X_test)


def _labels_for(model, y, X):
    """Return labels in the form that they have in the graph."""
    y = np.asarray(y)
    if y.shape != (len(X),):
        raise ValueError(
            f"y_test must hold one label for each of the {len(X)} windows; got shape "
            f"{y.shape}."
        )
    if get_property(model, "sktinymyo.classes") is None:
        raise ValueError(
            "y_test was given, but the output of the graph has no labels; leave it out."
        )
    classes = json.loads(get_property(model, "sktinymyo.classes"))
    n_classes = len(classes)
    numbered = get_property(model, "sktinymyo.labels") == "numbers"
    if numbered and not np.isin(y, range(n_classes)).all():
        raise ValueError(
            f"y_test must hold the numbers of the classes, 0 to {n_classes - 1}, which "
            "this graph gives; pass those, or export without the option nocl."
        )
    if y.dtype.kind not in "biuf" and _gives_numbers(model):
        raise ValueError(
            "y_test holds texts, but the labels of the graph are numbers; pass labels "
            "as fit saw them."
        )
    if not numbered and not np.isin(y, classes).any():
        raise ValueError(
            f"no label in y_test is one of the classes {classes}; pass labels as fit "
            "saw them."
        )
    return y


def _gives_numbers(model):
    from onnx import TensorProto

    return model.graph.output[0].type.tensor_type.elem_type == TensorProto.INT64


def _compare(model, quantized, X, y, settings, held_out):
    """Run both graphs and put the figures together."""
    exact, rounded = (run_graph(make_session(m), X) for m in (model, quantized))
    agreement = accuracies = None
    if get_property(model, "sktinymyo.classes") is not None:
        agreement = float(np.mean(exact[0] == rounded[0]))
    if y is not None:
        y = y.astype(exact[0].dtype)
        accuracies = [float(np.mean(result[0] == y)) for result in (exact, rounded)]
    times = _times(model, quantized, X[:1])
    return QuantizationReport(
        n_windows=len(X),
        agreement=agreement,
        accuracy_float=accuracies and accuracies[0],
        accuracy_int8=accuracies and accuracies[1],
        signal_to_noise=_signal_to_noise(model, quantized, X),
        bytes_float=model.ByteSize(),
        bytes_int8=quantized.ByteSize(),
        ms_float=times[0],
        ms_int8=times[1],
        settings=settings,
        held_out=held_out,
    )


def _signal_to_noise(model, quantized, X):
    """Return decibels after each block and at the output."""
    names = block_outputs(model)
    # Of a classifier the last tensor before the probabilities, which saturate.
    last = next(
        (node.output[0] for node in model.graph.node if node.name == "logits"),
        model.graph.output[-1].name,
    )
    names = [*names, last]
    sessions = [make_session(with_outputs(m, names)) for m in (model, quantized)]
    signal, noise = np.zeros(len(names)), np.zeros(len(names))
    source = sessions[0].get_inputs()[0].name
    for at in range(0, len(X), 8):
        exact, rounded = (s.run(names, {source: X[at : at + 8]}) for s in sessions)
        for i, (a, b) in enumerate(zip(exact, rounded, strict=True)):
            signal[i] += np.square(a, dtype=np.float64).sum()
            noise[i] += np.square(np.subtract(a, b, dtype=np.float64)).sum()
    decibels = 10 * np.log10(np.maximum(signal, 1e-30) / np.maximum(noise, 1e-30))
    titles = [f"block{i}" for i in range(len(names) - 1)] + ["output"]
    return {
        title: round(float(db), 2) for title, db in zip(titles, decibels, strict=True)
    }


def _times(model, quantized, X):
    """Return the median times of one window in milliseconds, taken in turns."""
    sessions = [make_session(m, n_threads=1) for m in (model, quantized)]
    source = sessions[0].get_inputs()[0].name
    times = np.zeros((_N_RUNS, 2))
    for row in times:
        for i, session in enumerate(sessions):
            start = time.perf_counter()
            session.run(None, {source: X})
            row[i] = time.perf_counter() - start
    return [float(t) for t in 1000 * np.median(times[2:], axis=0)]
