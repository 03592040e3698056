"""Random small networks, in all their forms, against torch."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo import TinyMyoClassifier, TinyMyoEmbedder, TinyMyoRegressor
from sktinymyo.nn import TinyMyo, TinyMyoConfig
from sktinymyo.weights import save_weights

pytest.importorskip("onnxruntime")
pytest.importorskip("skl2onnx")

from sktinymyo.export._onnx_session import make_session, run_graph
from sktinymyo.export.onnx import to_onnx


@st.composite
def configs(draw):
    n_heads = draw(st.integers(1, 3))
    return TinyMyoConfig(
        embed_dim=n_heads * 2 * draw(st.integers(1, 5)),
        depth=draw(st.integers(0, 3)),
        n_heads=n_heads,
        mlp_ratio=draw(st.sampled_from([0.5, 2.0, 4.0])),
        patch_size=draw(st.sampled_from([5, 20])),
        position=draw(st.sampled_from(["per-channel", "none", "flat"])),
        n_channel_embeddings=draw(st.sampled_from([2, 16])),
    )


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Return a function that writes a network with values that all matter."""
    folder = tmp_path_factory.mktemp("weights")

    def write(config, seed):
        generator = torch.Generator().manual_seed(seed)
        module = TinyMyo(config, generator=generator)
        with torch.no_grad():
            for parameter in module.parameters():
                noise = torch.randn(parameter.shape, generator=generator)
                parameter += 0.2 * noise
        path = folder / "network.safetensors"
        save_weights(path, module)
        return path

    return write


@settings(max_examples=30, deadline=None, derandomize=True)
@given(
    config=configs(),
    n_channels=st.integers(1, 5),
    n_times=st.sampled_from([1, 13, 20, 40, 47, 95]),
    scale=st.sampled_from(["channel", "window", None]),
    pooling=st.sampled_from(["channel", "mean"]),
    opset=st.sampled_from([18, 20, 22]),
    seed=st.integers(0, 1000),
)
def test_embedders(
    weights_file, config, n_channels, n_times, scale, pooling, opset, seed
):
    X = np.random.default_rng(seed).normal(1, 2, size=(6, n_channels, n_times))
    embedder = TinyMyoEmbedder(
        weights_file(config, seed), scale=scale, pooling=pooling
    ).fit(X)
    X = X.astype(np.float32)
    model = to_onnx(embedder, X, target_opset=opset, verify=False)
    (result,) = run_graph(make_session(model), X)
    np.testing.assert_allclose(result, embedder.transform(X), atol=1e-5)


@settings(max_examples=8, deadline=None, derandomize=True)
@given(
    n_times=st.sampled_from([13, 47, 80]),
    flat=st.booleans(),
    shape=st.sampled_from([(), (3,), (5, 2), (4, 1)]),
    seed=st.integers(0, 1000),
)
def test_heads(n_times, flat, shape, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(12, 2, n_times)).astype(np.float32)
    X = X.reshape(12, -1) if flat else X
    options = {
        "weights": "random",
        "size": "nano",
        "max_epochs": 1,
        "n_channels": 2,
        "random_state": seed,
    }
    classifier = TinyMyoClassifier(**options).fit(X, np.arange(12) % 4)
    labels, probabilities = run_graph(make_session(to_onnx(classifier, X)), X)
    np.testing.assert_allclose(probabilities, classifier.predict_proba(X), atol=1e-5)
    assert (labels == classifier.predict(X)).all()

    regressor = TinyMyoRegressor(**options).fit(X, rng.normal(size=(12, *shape)))
    (result,) = run_graph(make_session(to_onnx(regressor, X)), X)
    expected = regressor.predict(X)
    np.testing.assert_allclose(result.reshape(expected.shape), expected, atol=1e-5)


def test_open_weights_of_full_size():
    X = np.random.default_rng(0).normal(size=(3, 8, 200)).astype(np.float32)
    embedder = TinyMyoEmbedder().fit(X)
    (result,) = run_graph(make_session(to_onnx(embedder, X)), X)
    np.testing.assert_allclose(result, embedder.transform(X), atol=1e-5)
