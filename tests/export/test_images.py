"""A fitted AllConvNetClassifier in integers and as a graph, beside itself."""

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sktinymyo import (
    AllConvNetClassifier,
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    GridMedian,
    GridRepair,
)
from sktinymyo.exceptions import UnsupportedStepError, WindowsError
from sktinymyo.export._integer.comparison import scaled_windows
from sktinymyo.export._integer.preprocess import preprocess_windows
from sktinymyo.export._onnx_session import make_session, run_graph
from sktinymyo.export._pipeline import read_pipeline
from sktinymyo.export.onnx import (
    ExportError,
    quantize_onnx,
    read_quantization,
    read_report,
    to_onnx,
    verify_onnx,
)
from sktinymyo.export.quantize import quantize

TABLE = [[3, -1, 0, 1], [2, 4, -1, 5]]
FORMS = {
    "window": {"grid": (4, 4)},
    "last samples": {"grid": (4, 4), "vote": 3, "scale": None},
    "last sample": {"grid": (4, 4), "vote": 1},
    "missing cells": {"grid": TABLE},
    "a row": {"grid": None},
    "images": {"grid": "image"},
    "flat": {"grid": (4, 4), "flat": True},
}


def make_windows(form, n=60):
    """Two gestures on the upper and the lower half of a grid, and rest."""
    grid = FORMS[form]["grid"]
    rng = np.random.default_rng(0)
    y = np.array(["low", "rest", "up"])[np.arange(n) % 3]
    if grid == "image":
        X = rng.normal(size=(n, 4, 5))
    else:
        X = rng.normal(size=(n, 6 if grid is TABLE else 16, 8)) + 30.0
    half = X.shape[1] // 2
    X[y == "up", :half] = 4 * X[y == "up", :half] - 90.0 * (grid != "image")
    X[y == "low", half:] = 4 * X[y == "low", half:] - 90.0 * (grid != "image")
    X = X.astype(np.float32)
    return (X.reshape(n, -1) if FORMS[form].get("flat") else X), y


@pytest.fixture(scope="module")
def fitted():
    """Fit every form once."""
    found = {}

    def of(form):
        if form not in found:
            X, y = make_windows(form)
            arguments = {k: v for k, v in FORMS[form].items() if k != "flat"}
            model = AllConvNetClassifier(
                **arguments, width=4, max_epochs=6, random_state=0
            )
            found[form] = model.fit(X, y), X, y
        return found[form]

    return of


# -- integers --------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_integers_answer_as_floats(form, fitted):
    model, X, y = fitted(form)
    quantized = quantize(model, X, y_calib=y)
    probabilities = model.predict_proba(X)
    difference = np.abs(quantized.predict_proba(X) - probabilities)
    # A single sample may vote for another class: no more than one vote moves.
    n_voting = quantized.program.shape.n_voting
    assert difference.max() < (0.15 if n_voting == 1 else 2.2 / (n_voting + 1))
    assert difference.mean() < 0.02
    report = quantized.report()
    assert report.agreement >= 0.93
    assert abs(report.accuracy_integer - report.accuracy_float) <= 0.06
    assert report.layers["head"] > 18 and list(report.layers)[-1] == "vote"
    assert "convolutions on" in repr(quantized)


def test_a_filter_stands_before_images(fitted):
    _, X, y = fitted("window")
    model = AllConvNetClassifier((4, 4), width=4, max_epochs=2, random_state=0)
    pipeline = make_pipeline(ChannelScaler(), EMGFilter(1000, phase="causal"), model)
    quantized = quantize(pipeline.fit(X, y), X)
    assert quantized.program.preprocess.sos is not None
    same = quantized.predict(X) == pipeline.predict(X)
    assert same.mean() > 0.9


def test_repairs_and_scalings_become_one_map(fitted):
    """In whatever order they stand: what is scaled, mapped and filtered is the same."""
    _, X, y = fitted("window")
    steps = [
        ChannelScaler(),
        GridRepair((4, 4), bad=[0, 7]),
        EMGFilter(1000, l_freq=None, h_freq=200, phase="causal"),
        ChannelScaler(method="minmax"),
        GridRepair((4, 4), bad=[5]),
        ChannelMapper(order=np.arange(16)[::-1].tolist()),
    ]
    network = AllConvNetClassifier((4, 4), width=2, max_epochs=1, random_state=0)
    pipeline = make_pipeline(*steps, network).fit(X, y)
    model = read_pipeline(pipeline)
    found = scaled_windows(model, preprocess_windows(model, X))
    expected = pipeline[:-1].transform(X).astype(np.float64)
    expected = (expected - network.scale_mean_[:, None]) / network.scale_std_[:, None]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_steps_without_a_form_are_refused(fitted):
    model, X, _ = fitted("window")
    with pytest.raises(UnsupportedStepError, match=r"GridMedian.*GridRepair fills in"):
        read_pipeline(make_pipeline(GridMedian((4, 4)).fit(X), model))
    with pytest.raises(UnsupportedStepError, match=r"(?s)EMGResampler.*Standard"):
        read_pipeline(make_pipeline(EMGResampler(1000, 500), model, StandardScaler()))
    images, X_images, _ = fitted("images")
    band = EMGFilter(1000, phase="causal").fit(X_images)
    with pytest.raises(UnsupportedStepError, match="a step for windows before images"):
        read_pipeline(make_pipeline(band, images))
    with pytest.raises(WindowsError, match="16 channels x 8 samples"):
        quantize(model, X[:, :5])


# -- graphs ----------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_graphs_vote_as_the_estimator(form, fitted):
    model, X, _ = fitted(form)
    for opset in (18, 22):
        graph = to_onnx(model, X[:3], target_opset=opset)
        assert read_report(graph).max_difference < 1e-5
    # Any number of windows, and labels.
    labels, scores = run_graph(make_session(graph), X[:7])
    assert labels.tolist() == model.predict(X[:7]).tolist()
    np.testing.assert_allclose(scores, model.predict_proba(X[:7]), atol=1e-5)


def test_a_whole_pipeline_becomes_a_graph(fitted):
    _, X, y = fitted("window")
    model = AllConvNetClassifier((4, 4), width=4, max_epochs=1, random_state=0)
    pipeline = make_pipeline(EMGFilter(1000), model).fit(X, y)
    graph = to_onnx(pipeline, X, options={"nocl": True})
    assert run_graph(make_session(graph), X[:2])[0].dtype == np.int64
    with pytest.raises(UnsupportedStepError, match="gives its votes"):
        to_onnx(make_pipeline(model, StandardScaler()).fit(X, y), X)


@pytest.mark.parametrize("form", ["window", "missing cells", "flat"])
@pytest.mark.parametrize("kind", ["median", "wide median", "repair"])
def test_grids_are_mended_in_graphs(form, kind, fitted):
    _, X, _ = fitted(form)
    grid = FORMS[form]["grid"]
    step = {
        "median": GridMedian(grid),
        "wide median": GridMedian(grid, reach=3),
        "repair": GridRepair(grid, bad=[0, 3]),
    }[kind].fit(X)
    graph = to_onnx(step, X[:4])
    (mended,) = run_graph(make_session(graph), X[:9])
    np.testing.assert_allclose(mended, step.transform(X[:9]), rtol=1e-5, atol=1e-5)


def test_a_graph_of_another_network_is_refused(fitted):
    model, X, y = fitted("window")
    graph = to_onnx(model, X[:3])
    other = AllConvNetClassifier((4, 4), width=4, max_epochs=1, random_state=1)
    with pytest.raises(ExportError, match=r"votes for\s+either class"):
        verify_onnx(graph, other.fit(X, y), X)


def test_convolutions_become_int8(fitted):
    model, X, y = fitted("missing cells")
    graph = to_onnx(model, X)
    small = quantize_onnx(graph, X, y_test=y, reduce_range=False)
    report = read_quantization(small)
    assert report.agreement >= 0.95
    assert report.signal_to_noise["output"] > 20
    kinds = {t.name: t.data_type for t in small.graph.initializer}
    weights = [name for name in kinds if name.endswith("weight_int8")]
    # The first convolution stays in float32.
    assert len(weights) == 7
    assert report.bytes_int8 < report.bytes_float
