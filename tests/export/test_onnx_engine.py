"""Prediction with onnxruntime in place of torch."""

import pickle

import numpy as np
import pytest

from sktinymyo import TinyMyoClassifier, TinyMyoEmbedder, TinyMyoRegressor

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

from sktinymyo.export import _onnx_engine
from sktinymyo.export._onnx_engine import OnnxEngine

OPTIONS = {"weights": "random", "size": "nano", "random_state": 0}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(40, 4, 100)) * 2e-4 + 1e-3).astype(np.float32)


@pytest.mark.parametrize("flat", [False, True])
def test_outputs(flat, X, monkeypatch):
    monkeypatch.setattr(_onnx_engine, "_TOKENS_PER_CALL", 3 * 20)
    X = X.reshape(len(X), -1) if flat else X
    options = OPTIONS | {"n_channels": 4}
    embedder = TinyMyoEmbedder(**options).fit(X)
    engine = OnnxEngine(embedder)
    np.testing.assert_allclose(engine.run(X), embedder.transform(X), atol=1e-5)
    assert engine.report.max_difference < 1e-5

    classifier = TinyMyoClassifier(**options, max_epochs=1).fit(X, np.arange(40) % 3)
    logits = OnnxEngine(classifier).run(X)
    np.testing.assert_allclose(logits, classifier.decision_function(X), atol=1e-5)

    y = np.random.default_rng(1).normal(size=(40, 2))
    regressor = TinyMyoRegressor(**options, max_epochs=1).fit(X, y)
    targets = OnnxEngine(regressor).run(X)
    np.testing.assert_allclose(targets, regressor.predict(X), atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_pickle_holds_no_session(precision, X):
    embedder = TinyMyoEmbedder(**OPTIONS).fit(X)
    engine = OnnxEngine(embedder, precision=precision, X_calib=X)
    before = engine.run(X)
    again = pickle.loads(pickle.dumps(engine))
    assert again._session is None
    np.testing.assert_array_equal(again.run(X), before)
    exact = embedder.transform(X)
    signal_to_noise = np.sum(exact**2) / np.sum((before - exact) ** 2)
    assert signal_to_noise > 10 ** (2.5 if precision == "int8" else 10)


def test_int8_needs_windows(X):
    with pytest.raises(ValueError, match="X_calib"):
        OnnxEngine(TinyMyoEmbedder(**OPTIONS).fit(X), precision="int8")
