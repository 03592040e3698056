"""Prediction with onnxruntime and OpenVINO in place of torch."""

import builtins
import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktinymyo import (
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoRegressor,
    sliding_windows,
)
from sktinymyo.datasets import load_packed
from sktinymyo.engines import _engine
from sktinymyo.engines._activations import sample_rows
from sktinymyo.exceptions import EngineError, OptionalDependencyError

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

ENGINES = ("onnxruntime", "openvino")
EVERY = [*((name, p) for name in ENGINES for p in ("float32", "int8"))]
OPTIONS = {"weights": "random", "size": "nano", "random_state": 0}
QUICK = {**OPTIONS, "max_epochs": 1, "n_channels": 4}


@pytest.fixture(scope="module")
def X():
    rng = np.random.default_rng(0)
    return (rng.normal(size=(40, 4, 110)) * 2e-4 + 1e-3).astype(np.float32)


def distance(found, exact):
    return np.abs(found - exact).max() / np.abs(exact).max()


@pytest.mark.parametrize(("engine", "precision"), EVERY)
@pytest.mark.parametrize("scale", ["channel", "window", None])
def test_embeddings(engine, precision, scale, X, monkeypatch):
    """Batches of every kind: full, filled up, and window by window."""
    monkeypatch.setattr(_engine, "_TOKENS_PER_CALL", 12 * 20)
    exact = TinyMyoEmbedder(**OPTIONS, scale=scale).fit(X)
    other = clone(exact).set_params(engine=engine, precision=precision).fit(X)
    tolerance = 1e-5 if precision == "float32" else 0.05
    for n_windows in (1, 5, 10, 12, 28):
        found = other.transform(X[:n_windows])
        assert distance(found, exact.transform(X[:n_windows])) < tolerance
    assert 0 < other.engine_difference_ < tolerance
    np.testing.assert_array_equal(other.encode(X), exact.encode(X))
    assert exact.engine_difference_ is None


@pytest.mark.parametrize(("engine", "precision"), EVERY)
@pytest.mark.parametrize("position", ["none", "flat"])
def test_generations_of_positions(engine, precision, position):
    """Graphs of networks that tell their tokens apart in other ways."""
    from sktinymyo._torch import WindowScaler
    from sktinymyo.engines._activations import ActivationRanges
    from sktinymyo.nn import TinyMyo, TinyMyoConfig

    config = TinyMyoConfig(depth=2, position=position)
    generator = torch.Generator().manual_seed(0)
    module = TinyMyo(config, generator=generator).eval()
    windows = np.random.default_rng(0).normal(size=(4, 3, 60)).astype(np.float32)
    ranges = None
    if precision == "int8":
        ranges = ActivationRanges.learn(module, torch.from_numpy(windows))
    args = (engine, precision, module, WindowScaler(None), windows, ranges)
    difference = _engine.Engine(*args).difference
    assert difference < (1e-5 if precision == "float32" else 0.05)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("shape", [(1, 3), (3, 27), (1, 60), (9, 20), (3, 60)])
def test_few_tokens(engine, shape):
    """Numbers of tokens, heads and windows that are the same (three)."""
    X = np.random.default_rng(0).normal(size=(7, *shape))
    for batch_size in ("auto", 1, 3):
        model = TinyMyoEmbedder(**OPTIONS, batch_size=batch_size).fit(X)
        exact = model.transform(X)
        assert distance(model.set_params(engine=engine).transform(X), exact) < 1e-5


@pytest.mark.parametrize(("engine", "precision"), EVERY)
@pytest.mark.parametrize("flat", [False, True])
def test_heads(engine, precision, flat, X):
    X = X.reshape(len(X), -1) if flat else X
    rng = np.random.default_rng(1)
    tolerance = 1e-5 if precision == "float32" else 0.05
    targets = (rng.normal(size=40), rng.normal(size=(40, 9, 2)))
    models = [(TinyMyoClassifier, np.arange(40) % 3, "decision_function")]
    models += [(TinyMyoRegressor, y, "predict") for y in targets]
    for kind, y, method in models:
        exact = kind(**QUICK).fit(X, y)
        other = kind(**QUICK, engine=engine, precision=precision).fit(X, y)
        for a, b in zip(exact.history_, other.history_, strict=True):
            assert a["train_loss"] == b["train_loss"]  # training stays with torch
        expected = getattr(exact, method)(X)
        np.testing.assert_allclose(getattr(other, method)(X), expected, atol=tolerance)


@pytest.mark.parametrize(("engine", "precision"), EVERY)
def test_copies_hold_no_graph(engine, precision, X):
    other = TinyMyoEmbedder(**OPTIONS, engine=engine, precision=precision).fit(X)
    size = len(pickle.dumps(other))
    before = other.transform(X)
    stored = pickle.dumps(other)
    assert (
        len(stored)
        == size
        < X.nbytes + 4 * sum(p.numel() for p in other.module_.parameters())
    )
    for again in (pickle.loads(stored), copy.deepcopy(other)):
        np.testing.assert_array_equal(again.transform(X), before)


@pytest.mark.parametrize(("engine", "precision"), EVERY)
def test_no_graph_outlives_its_weights(engine, precision, X):
    y = np.arange(40) % 2
    options = {**QUICK, "lr": 1e-2, "engine": engine, "precision": precision}
    model = TinyMyoClassifier(**options).fit(X, y)
    for train in (model.partial_fit, model.set_params(warm_start=True).fit, model.fit):
        before = model.predict_proba(X)
        train(X, y)
        with_torch = clone(model)
        vars(with_torch).update(vars(model))
        with_torch.set_params(engine="torch", precision="float32")
        after = model.predict_proba(X)
        np.testing.assert_allclose(after, with_torch.predict_proba(X), atol=0.02)
        assert np.abs(after - before).max() > 0.02


def test_ranges_are_widened_by_later_windows(X):
    y = np.arange(40) % 2
    model = TinyMyoClassifier(**QUICK, engine="openvino", precision="int8").fit(X, y)
    first = model._int8["ranges"]
    model.partial_fit(X[:2] * 1e-3, y[:2])
    second = model._int8["ranges"]
    assert np.all(second[..., 0] <= first[..., 0])
    assert np.all(second[..., 1] >= first[..., 1])


def test_sample_of_windows_is_bounded():
    assert len(sample_rows(10_000, 80)) == 256
    assert len(sample_rows(10_000, 800)) == 25
    np.testing.assert_array_equal(sample_rows(3, 80), [0, 1, 2])
    assert len(sample_rows(10, 100_000)) == 1


@pytest.mark.parametrize("engine", ENGINES)
def test_threads(engine, X):
    """Several threads may predict at once, the first time too."""
    model = TinyMyoEmbedder(**OPTIONS, engine=engine).fit(X)
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: model.transform(X), range(8)))
    for result in results[1:]:
        np.testing.assert_array_equal(result, results[0])


def test_cache_knows_the_engine(X, tmp_path):
    options = {**QUICK, "tune": "head", "memory": str(tmp_path)}
    y = np.arange(40) % 2
    exact = TinyMyoClassifier(**options).fit(X, y)
    rounded = TinyMyoClassifier(**options, engine="onnxruntime", precision="int8")
    rounded.fit(X, y)
    expected = exact.predict_proba(X)
    found = rounded.predict_proba(X)
    assert 0 < np.abs(found - expected).max() < 0.02
    np.testing.assert_array_equal(exact.predict_proba(X), expected)
    np.testing.assert_array_equal(rounded.predict_proba(X), found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "int8"}, "engine='onnxruntime' or 'openvino'"),
        (
            {"engine": "onnxruntime", "precision": "bf16"},
            "engine='torch' or 'openvino'",
        ),
        ({"engine": "openvino", "device": "meta"}, "device='meta'"),
        ({"engine": "tensorrt"}, "engine='tensorrt'"),
        ({"precision": "int4"}, "precision='int4'"),
    ],
)
def test_refused_before_work(options, message, X):
    with pytest.raises(ValueError, match=message):
        TinyMyoEmbedder(**OPTIONS, **options).fit(X)


def test_device_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"device='auto' .* or engine='torch'"):
        _engine.check_engine("openvino", "auto", "cuda")


@pytest.mark.parametrize("engine", ["torch", "onnxruntime"])
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": -3}, "batch_size must be a whole number and >= 1; got -3"),
        ({"precision": "fp16"}, "precision='fp16' is not"),
    ],
)
def test_changes_after_fit_are_checked(engine, changed, message, X):
    model = TinyMyoEmbedder(**OPTIONS, engine=engine).fit(X)
    with pytest.raises(ValueError, match=message) as caught:
        model.set_params(**changed).transform(X)
    assert "engine=," not in str(caught.value)


def test_int8_after_another_fit_is_refused(X):
    model = TinyMyoEmbedder(**OPTIONS, engine="openvino").fit(X)
    model.set_params(precision="int8")
    with pytest.raises(ValueError, match="fit it again"):
        model.transform(X)


@pytest.mark.parametrize("engine", ENGINES)
def test_missing_package_names_the_extra(engine, X, monkeypatch):
    original = builtins.__import__

    def missing(name, *args):
        if name == engine:
            raise ImportError(f"No module named {name!r}")
        return original(name, *args)

    def import_module(name):
        return missing(name)

    monkeypatch.setattr("importlib.import_module", import_module)
    with pytest.raises(OptionalDependencyError, match=rf"sktinymyo\[{engine}\]"):
        TinyMyoEmbedder(**OPTIONS, engine=engine).fit(X)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_wrong_numbers_are_refused(precision, X, monkeypatch):
    monkeypatch.setattr(
        _engine.OpenvinoSession,
        "run",
        lambda self, windows, output: np.ones((len(windows), 20, 48), np.float32),
    )
    model = TinyMyoEmbedder(**OPTIONS, engine="openvino", precision=precision).fit(X)
    with pytest.raises(EngineError, match="engine='torch'"):
        model.transform(X)


@pytest.mark.slow
def test_accuracy_on_real_recordings(data_folder):
    """int8 loses at most a point of accuracy, on sessions after those of the fit."""
    bunch = load_packed("ciil", data_folder)
    chosen = np.flatnonzero(bunch.meta["subject"] == bunch.meta["subject"].min())
    X, y, meta = sliding_windows(
        [bunch.recordings[i] for i in chosen],
        bunch.sfreq,
        0.2,
        0.1,
        labels=[bunch.target[i] for i in chosen],
        meta=bunch.meta.iloc[chosen],
    )
    first = (meta["session"] == meta["session"].min()).to_numpy()
    exact = TinyMyoClassifier("tinymyo-open-small", tune="head", random_state=0)
    expected = exact.fit(X[first], y[first]).predict(X[~first])
    accuracy = np.mean(expected == y[~first])
    for engine in ENGINES:
        model = clone(exact).set_params(engine=engine, precision="int8")
        found = model.fit(X[first], y[first]).predict(X[~first])
        assert np.mean(found == y[~first]) >= accuracy - 0.01
        assert np.mean(found == expected) > 0.98
