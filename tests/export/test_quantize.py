"""Quantised pipelines against the float pipelines they stand for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import LinearSVC

from sktinymyo import (
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoRegressor,
)
from sktinymyo.exceptions import UnsupportedStepError, WindowsError
from sktinymyo.export._integer.calibration import collect_statistics, float_trace
from sktinymyo.export._integer.comparison import scaled_windows, signal_to_noise
from sktinymyo.export._integer.lowering import lower
from sktinymyo.export._integer.preprocess import preprocess_windows
from sktinymyo.export._pipeline import read_pipeline
from sktinymyo.export.quantize import quantize
from sktinymyo.nn import TinyMyo


def make_windows(n_windows=60, n_classes=3, n_channels=3, n_times=90, seed=0):
    """Noise whose loud channel tells the class."""
    rng = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    X = rng.normal(size=(n_windows, n_channels, n_times))
    X[np.arange(n_windows), y % n_channels] *= 3
    X[y >= n_channels] *= 2
    return (X * [[0.5], [2], [30]][:n_channels] + 4).astype(np.float32), y


def embedder(**options):
    return TinyMyoEmbedder("random", size="nano", random_state=0, **options)


@pytest.fixture(scope="module")
def tuned():
    X, y = make_windows()
    classifier = TinyMyoClassifier("random", size="nano", max_epochs=3, random_state=0)
    return classifier.fit(X, np.array(["rest", "fist", "open"])[y])


def float_logits(model, X):
    windows = scaled_windows(model, preprocess_windows(model, X))
    return float_trace(model, windows)["head"]


def test_tuned_classifier_keeps_its_answers(tuned):
    X, y = make_windows(seed=1)
    labels = np.array(["rest", "fist", "open"])[y]
    model = quantize(tuned, make_windows()[0])
    report = model.report(X, labels)
    assert report.agreement >= 0.95
    assert report.accuracy_integer >= report.accuracy_float - 0.05
    assert min(report.layers.values()) > 15 and report.layers["head"] > 24
    logits = model.decision_logits(X)
    assert logits.dtype == np.int32
    close = np.abs(model.predict_proba(X) - tuned.predict_proba(X))
    assert close.mean() < 0.02
    np.testing.assert_array_equal(
        model.predict(X), tuned.classes_[model.predict_proba(X).argmax(axis=1)]
    )
    assert "same label as float" in str(report)
    assert "3 classes" in repr(model)


def test_a_broken_sample_spoils_no_range(tuned):
    X, _ = make_windows()
    broken = X.copy()
    broken[5, 1, 3] = 1e6
    with pytest.warns(UserWarning, match=r"1 of 60 windows .* first at \[5\]"):
        model = quantize(tuned, broken)
    assert model.artefacts_.tolist() == [5]
    assert model.report(make_windows(seed=1)[0]).agreement >= 0.95


def test_windows_of_another_unit_are_refused(tuned):
    X, y = make_windows()
    with pytest.raises(WindowsError, match="1e\\+03 times as strong"):
        quantize(tuned, (X - 4) * 1000)


def test_float_trace_is_the_network(tuned):
    X, _ = make_windows(seed=2)
    model = read_pipeline(tuned)
    expected = tuned.decision_function(X)
    np.testing.assert_allclose(float_logits(model, X), expected, atol=1e-4)


@pytest.mark.parametrize("position", ["flat", "none"])
def test_other_positions_agree_with_float(position, tuned):
    X, _ = make_windows()
    model = read_pipeline(tuned)
    config = replace(model.config, position=position)
    encoder = TinyMyo(config, generator=torch.Generator().manual_seed(0)).eval()
    model = replace(model, encoder=encoder)
    scaled = scaled_windows(model, preprocess_windows(model, X))
    with torch.inference_mode():
        tokens = encoder.encode(torch.from_numpy(scaled)[:, :, :80]).flatten(1, 2)
    trace = float_trace(model, scaled)
    np.testing.assert_allclose(trace["norm"], tokens.numpy(), atol=1e-5)
    statistics = collect_statistics(model, scaled, "auto", np.random.default_rng(0))
    program = lower(model, statistics)
    assert program.shape.position == position
    assert min(signal_to_noise(model, program, X).values()) > 15


@pytest.mark.parametrize(
    "head",
    [
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1)),
        make_pipeline(StandardScaler(with_mean=False), LinearDiscriminantAnalysis()),
        make_pipeline(StandardScaler(with_std=False), LinearSVC()),
        RidgeClassifier(),
    ],
    ids=lambda head: type(head[-1] if hasattr(head, "steps") else head).__name__,
)
@pytest.mark.parametrize("n_classes", [2, 4])
def test_heads_of_scikit_learn_are_folded(head, n_classes):
    X, y = make_windows(80, n_classes)
    pipeline = make_pipeline(ChannelScaler(), embedder(), clone(head)).fit(X, y)
    model = read_pipeline(pipeline)
    logits = float_logits(model, X)
    expected = pipeline.decision_function(X)
    found = logits[:, 1] - logits[:, 0] if n_classes == 2 else logits
    np.testing.assert_allclose(found, expected, atol=2e-3 * np.abs(expected).max())
    quantized = quantize(pipeline, X)
    assert np.mean(quantized.predict(X) == pipeline.predict(X)) >= 0.9
    assert hasattr(quantized, "predict_proba") == hasattr(pipeline, "predict_proba")
    if hasattr(quantized, "predict_proba"):
        difference = quantized.predict_proba(X) - pipeline.predict_proba(X)
        assert np.abs(difference).mean() < 0.05


def test_steps_before_the_network_are_folded():
    X, y = make_windows()
    pipeline = make_pipeline(
        ChannelScaler("robust"),
        EMGFilter(1000, l_freq=None, h_freq=300, notch=50, phase="zero"),
        ChannelMapper([2, 0, 1, 7], missing="zero"),
        "passthrough",
        make_pipeline(ChannelScaler("minmax")),
        embedder(pooling="mean"),
        LogisticRegression(),
    ).fit(X, y)
    model = read_pipeline(pipeline)
    expected = pipeline[:-3].transform(X)
    scaler = pipeline[-3][0]
    expected = (expected - scaler.center_[:, None]) / scaler.scale_[:, None]
    network = pipeline[-2]
    expected -= network.scale_mean_[:, None]
    expected /= network.scale_std_[:, None]
    found = scaled_windows(model, preprocess_windows(model, X))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    flat = X.reshape(len(X), -1)
    quantized = quantize(pipeline, X)
    np.testing.assert_array_equal(quantized.predict(flat), quantized.predict(X))
    assert quantized.program.shape.pooling == "mean"
    assert quantized.program.preprocess.sfreq == 1000
    assert quantized.report().agreement > 0.9


def test_flattened_windows_one_class_and_no_scaling():
    X, y = make_windows()
    flat = X.reshape(len(X), -1) / 10
    with pytest.warns(UserWarning, match="one class only"):
        classifier = TinyMyoClassifier(
            "random", size="nano", tune="head", n_channels=3, scale=None, max_epochs=1
        ).fit(flat, np.zeros(len(X)))
    model = quantize(classifier, flat, y_calib=np.zeros(len(X)))
    assert model.predict_proba(flat).tolist() == [[1.0]] * len(X)
    assert model.report().accuracy_integer == 1.0


def test_the_same_windows_give_the_same_program(tuned):
    X, _ = make_windows()
    first, second = quantize(tuned, X), quantize(tuned, X)
    for name, array in first.program.arrays.items():
        np.testing.assert_array_equal(array, second.program.arrays[name])
    percentile = quantize(tuned, X, percentile=None, batch_size=7)
    assert percentile.report().agreement > 0.9


class Nothing(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_every_step_without_an_integer_form_is_named():
    X, y = make_windows()
    pipeline = make_pipeline(
        EMGResampler(1000, 900),
        Nothing(),
        EMGFilter(900, h_freq=400),
        EMGFilter(900, h_freq=400, phase="causal"),
        ChannelScaler(per="window"),
        embedder(scale="window"),
        MinMaxScaler(),
        LogisticRegression(),
    ).fit(X, y)
    with pytest.raises(UnsupportedStepError) as caught:
        quantize(pipeline, X)
    message = str(caught.value)
    for words in (
        "'emgresampler' (EMGResampler): no integer form; resample recordings before",
        "'nothing' (Nothing)",
        "'emgfilter-2' (EMGFilter): a second filter beside one of phase='zero'",
        "'channelscaler' (ChannelScaler): per='window'",
        "scale='window' needs statistics",
        "'minmaxscaler' (MinMaxScaler)",
        "Supported are EMGFilter",
    ):
        assert words in message
    assert message.count("\n  * ") == 6


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: embedder(), "no classifier behind it"),
        (lambda: make_pipeline(embedder(), StandardScaler()), "no classifier behind"),
        (lambda: make_pipeline(ChannelScaler(), LogisticRegression()), "is a TinyMyo"),
        (lambda: make_pipeline(embedder(), MinMaxScaler()), "MinMaxScaler"),
        (
            lambda: GridSearchCV(
                make_pipeline(embedder(), LogisticRegression()), {}, cv=2
            ),
            "export its best_estimator_",
        ),
    ],
)
def test_pipelines_that_are_none_are_refused(make, words):
    X, y = make_windows(24)
    estimator = make()
    if "ChannelScaler" in str(estimator):
        X = X.reshape(len(X), -1)
    estimator.fit(X, y)
    with pytest.raises(UnsupportedStepError, match=words):
        read_pipeline(estimator)


def test_other_networks_are_refused():
    X, y = make_windows(24)
    regressor = TinyMyoRegressor("random", size="nano", max_epochs=1).fit(X, X[:, 0, 0])
    with pytest.raises(UnsupportedStepError, match="use to_onnx"):
        read_pipeline(regressor)
    short = make_pipeline(embedder(), LogisticRegression()).fit(X[:, :, :19], y)
    with pytest.raises(UnsupportedStepError, match="19 samples hold no whole patch"):
        read_pipeline(short)
    several = make_pipeline(embedder(), RidgeClassifier()).fit(X, np.eye(3)[y])
    with pytest.raises(UnsupportedStepError, match="several labels a window"):
        read_pipeline(several)
    with pytest.raises(NotFittedError):
        read_pipeline(make_pipeline(embedder(), LogisticRegression()))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda X: X[:7], "holds 7 window.* too few"),
        (lambda X: X[:, :2], "3 channels x 90 samples"),
        (lambda X: X[:, :, :80], "3 channels x 90 samples"),
        (lambda X: np.where(X == X[4, 0, 0], np.nan, X), r"in 1 of 60 .* at \[4\]"),
        (lambda X: X.astype(str), "real numbers"),
    ],
)
def test_bad_calibration_windows_are_refused(tuned, spoil, words):
    X, _ = make_windows()
    with pytest.raises(WindowsError, match=words):
        quantize(tuned, spoil(X))


def test_silence_is_no_calibration():
    X, y = make_windows(24)
    pipeline = make_pipeline(embedder(scale=None), LogisticRegression()).fit(X, y)
    with pytest.raises(WindowsError, match="X_calib is constant"):
        quantize(pipeline, np.zeros_like(X))


def test_a_channel_that_is_silent_does_no_harm():
    X, y = make_windows()
    X[:, 1] = 0
    pipeline = make_pipeline(embedder(), LogisticRegression()).fit(X, y)
    assert quantize(pipeline, X).report().agreement > 0.9


def test_bad_parameters_are_refused(tuned):
    X, _ = make_windows()
    with pytest.raises(ValueError, match="percentile must be .*>= 90 and <= 100"):
        quantize(tuned, X, percentile=50)
    with pytest.raises(ValueError, match="batch_size"):
        quantize(tuned, X, batch_size=0)
    with pytest.raises(ValueError, match="one label for each of the 60 windows"):
        quantize(tuned, X, y_calib=[1, 2])
    model = quantize(tuned, X)
    with pytest.raises(WindowsError, match="X holds NaN"):
        model.predict(np.full_like(X, np.nan))
