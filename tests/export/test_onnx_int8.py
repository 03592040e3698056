"""int8 graphs: how close they stay, and what is refused."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline, make_union

from sktinymyo import (
    ChannelScaler,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    sliding_windows,
)
from sktinymyo.datasets import load_packed
from sktinymyo.exceptions import UnsupportedStepError, WindowsError
from sktinymyo.signal import resample

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

from sktinymyo.engines._ranges import Observed, affine  # noqa: E402
from sktinymyo.export._onnx_calibration import CALIBRATIONS  # noqa: E402
from sktinymyo.export._onnx_session import make_session, run_graph  # noqa: E402
from sktinymyo.export.onnx import (  # noqa: E402
    quantize_onnx,
    read_quantization,
    read_report,
    to_onnx,
)


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 3
    X = rng.normal(size=(120, 4, 100)) * (1 + y)[:, None, None]
    return X.astype(np.float32), np.array(["fist", "open", "rest"])[y]


@pytest.fixture(scope="module")
def classifier(windows):
    classifier = TinyMyoClassifier("random", size="nano", max_epochs=5, random_state=0)
    return classifier.fit(*windows)


@pytest.fixture(scope="module")
def model(classifier, windows):
    return to_onnx(classifier, windows[0])


@pytest.mark.parametrize("calibration", CALIBRATIONS)
@pytest.mark.parametrize("attention", [False, True])
def test_labels_stay(calibration, attention, model, windows):
    X, y = windows
    quantized = quantize_onnx(
        model, X, calibration=calibration, attention=attention, y_test=y
    )
    onnx.checker.check_model(quantized, full_check=True)
    report = read_quantization(quantized)
    assert report.agreement >= 0.97
    assert report.accuracy_int8 >= report.accuracy_float - 0.03
    assert min(report.signal_to_noise.values()) > 20
    assert list(report.signal_to_noise) == ["block0", "block1", "output"]
    assert read_report(quantized) == read_report(model)
    # What went in is still what it was.
    assert read_quantization(model) is None


@pytest.mark.parametrize(("reduce_range", "highest"), [(False, 127), (True, 63)])
def test_weights_are_int8_by_output(reduce_range, highest, model, windows):
    quantized = quantize_onnx(model, windows[0][:20], reduce_range=reduce_range)
    by_type = {t.name: t for t in quantized.graph.initializer}
    weights = [t for t in by_type.values() if t.data_type == onnx.TensorProto.INT8]
    matrices = [t for t in weights if len(t.dims) == 2]
    assert len(matrices) == 2 * 4  # two blocks with four linear maps
    for tensor in matrices:
        values = onnx.numpy_helper.to_array(tensor).astype(int)
        assert (np.abs(values).max(axis=0) == highest).all()
    for node in quantized.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in by_type:
            assert by_type[node.input[1]].dims == by_type[node.input[0]].dims[1:]
    # No float32 copy of them is left.
    names = {name for node in quantized.graph.node for name in node.input}
    assert set(by_type) <= names


def test_evening_out_changes_nothing_but_rounding(windows):
    """Columns of very different size after a LayerNorm are no trouble."""
    X, y = windows
    classifier = TinyMyoClassifier(
        "random", size="nano", max_epochs=1, random_state=0
    ).fit(X, y)
    for block in classifier.module_.blocks:
        block.norm1.weight.data[::7] *= 60
        block.attn.qkv.weight.data[:, ::7] /= 60
    model = to_onnx(classifier, X)
    plain, even = (
        read_quantization(quantize_onnx(model, X, smooth=smooth)).signal_to_noise
        for smooth in (0.0, 0.5)
    )
    assert even["block1"] > plain["block1"] + 3


def test_two_networks_in_one_graph(windows):
    X, y = windows
    options = {"weights": "random", "size": "nano", "random_state": 0}
    union = make_union(
        TinyMyoEmbedder(**options), TinyMyoEmbedder(**options, pooling="mean")
    )
    pipeline = make_pipeline(union, LogisticRegression(max_iter=1000)).fit(X, y)
    quantized = to_onnx(pipeline, X, quantize="int8", X_calib=X, y_test=y)
    assert read_quantization(quantized).agreement > 0.95
    int8 = [t for t in quantized.graph.initializer if t.name.endswith("weight_int8")]
    assert len(int8) == 2 * 2 * 4  # networks, blocks, linear maps
    labels, _ = run_graph(make_session(quantized), X)
    assert labels.shape == y.shape


def test_whether_the_windows_compared_on_were_held_out(model, windows):
    X, y = windows
    held_out = quantize_onnx(model, X[:40], X_test=X[40:], y_test=y[40:])
    report = read_quantization(held_out)
    assert report.held_out
    assert report.n_windows == 80
    assert "no estimate" not in str(report)
    for test in ({}, {"X_test": X[39:], "y_test": y[39:]}):
        report = read_quantization(quantize_onnx(model, X[:40], **test))
        assert not report.held_out
        assert "no estimate for others" in str(report)


def test_flat_windows_and_file(tmp_path, windows):
    X, _ = windows
    X = X.reshape(len(X), -1)
    embedder = TinyMyoEmbedder("random", size="nano", n_channels=4).fit(X)
    path = tmp_path / "int8.onnx"
    to_onnx(embedder, X, target_opset=18, quantize="int8", X_calib=X, path=path)
    report = read_quantization(path)
    assert report.agreement is None
    assert report.signal_to_noise["output"] > 25
    assert report.settings["n_calibration"] == 120


def test_what_is_refused(model, classifier, windows):
    X, y = windows
    with pytest.raises(ValueError, match="calibration='minmax'.*'percentile'"):
        quantize_onnx(model, X, calibration="minmax")
    with pytest.raises(ValueError, match="smooth"):
        quantize_onnx(model, X, smooth=2)
    with pytest.raises(WindowsError, match="NaN"):
        quantize_onnx(model, np.full_like(X, np.nan))
    with pytest.raises(WindowsError, match="the graph takes"):
        quantize_onnx(model, X[:, :2])
    with pytest.raises(ValueError, match="one label for each"):
        quantize_onnx(model, X, y_test=y[:3])
    for wrong, match in [
        ({"X_test": X[:, :2]}, "X_test has windows"),
        ({"X_test": X, "y_test": y[:5]}, "y_test must hold one label"),
        ({"quantize_options": {"y_test": y}}, "pass y_test= itself"),
        ({"quantize_options": {"speed": 1}}, "not known.*calibration"),
    ]:
        with pytest.raises(ValueError, match=match):
            to_onnx(classifier, X, quantize="int8", X_calib=X, **wrong)
    scaler = ChannelScaler().fit(X)
    with pytest.raises(UnsupportedStepError, match="no TinyMyo network"):
        to_onnx(scaler, X, quantize="int8", X_calib=X)
    with pytest.raises(ValueError, match="X_calib"):
        to_onnx(scaler, X, quantize="int8")
    with pytest.raises(ValueError, match="quantize='int8'"):
        to_onnx(scaler, X, X_calib=X)
    with pytest.raises(ValueError, match="'int4'"):
        to_onnx(scaler, X, quantize="int4", X_calib=X)


@pytest.mark.parametrize("calibration", CALIBRATIONS)
def test_ranges(calibration):
    """A lone outlier is cut off; zero is kept exactly; constants do no harm."""
    rng = np.random.default_rng(0)
    values = np.append(rng.normal(5, 1, size=99_999), 1000.0)[:, np.newaxis]
    observed = Observed()
    observed.see_range(values)
    observed.see_values(values)
    low, high = observed.limits(calibration)
    assert low == 0.0
    assert 5 < high < 1000
    scale, zero = affine(-0.17, 3.0)
    assert (np.round(0 / scale) + zero - zero) * scale == 0.0
    constant = Observed()
    constant.see_range(np.zeros((3, 1)))
    assert constant.limits(calibration) == (0.0, 1.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "part", "sfreq"), [("cote_allard_myo", 0, 200), ("3dc_q4", None, 500)]
)
def test_accuracy_on_real_recordings(name, part, sfreq, data_folder):
    """At most one point of accuracy is lost, on sessions after those learned from."""
    bunch = load_packed(name, data_folder, part=part)
    people = sorted(bunch.meta["subject"].unique())[:2]
    chosen = np.flatnonzero(bunch.meta["subject"].isin(people))
    X, y, meta = sliding_windows(
        [resample(bunch.recordings[i], bunch.sfreq, sfreq) for i in chosen],
        sfreq,
        0.2,
        0.1,
        labels=[bunch.target[i] for i in chosen],
        meta=bunch.meta.iloc[chosen],
    )
    first = (meta["session"] == meta["session"].min()).to_numpy()
    rng = np.random.default_rng(0)
    train, test = (
        rng.permutation(np.flatnonzero(side))[:1000] for side in (first, ~first)
    )
    classifier = TinyMyoClassifier(
        "tinymyo-open-small", max_epochs=2, random_state=0
    ).fit(X[train], y[train])
    quantized = to_onnx(
        classifier,
        X[train],
        quantize="int8",
        X_calib=X[train[:200]],
        X_test=X[test],
        y_test=y[test],
    )
    report = read_quantization(quantized)
    assert report.accuracy_float > 0.6
    assert report.accuracy_int8 >= report.accuracy_float - 0.01
    assert report.agreement > 0.98
