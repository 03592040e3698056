"""What TinyMyoEmbedder promises beyond scikit-learn's own checks."""

import numpy as np
import pytest

from sktinymyo import TinyMyoEmbedder


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(size=(6, 3, 70)).astype(np.float32)


def make_embedder(**parameters):
    defaults = {"weights": "random", "size": "nano", "random_state": 0}
    return TinyMyoEmbedder(**{**defaults, **parameters})


def test_pooling_is_the_mean_of_the_complete_patches(windows):
    embedder = make_embedder().fit(windows)
    tokens = embedder.encode(windows)
    assert tokens.shape == (6, 3, 4, 48)
    expected = tokens[:, :, :3].mean(axis=2)
    np.testing.assert_allclose(
        embedder.transform(windows), expected.reshape(6, -1), rtol=1e-4, atol=1e-5
    )
    mean = make_embedder(pooling="mean").fit_transform(windows)
    np.testing.assert_allclose(mean, expected.mean(axis=1), rtol=1e-4, atol=1e-5)
    cut = make_embedder().fit(windows[:, :, :60])
    cut.scale_mean_, cut.scale_std_ = embedder.scale_mean_, embedder.scale_std_


def test_names_tell_channel_and_dimension(windows):
    embedder = make_embedder().fit(windows)
    names = embedder.get_feature_names_out()
    assert names[0] == "tinymyoembedder_ch0_0"
    assert names[-1] == "tinymyoembedder_ch2_47"
    frame = embedder.set_output(transform="pandas").transform(windows)
    assert frame.columns.tolist() == names.tolist()
    pooled = make_embedder(pooling="mean").fit(windows).get_feature_names_out()
    assert pooled[-1] == "tinymyoembedder_47"


@pytest.mark.parametrize("scale", ["channel", "window"])
def test_gain_and_offset_do_not_matter(windows, scale):
    volts = (windows * np.array([[3e-6], [2e-5], [1e-4]])).astype(np.float64) + 1e-3
    expected = make_embedder(scale=scale).fit_transform(windows)
    result = make_embedder(scale=scale).fit_transform(volts)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)


def test_without_scaling_gain_matters(windows):
    embedder = make_embedder(scale=None).fit(windows)
    assert embedder.scale_mean_ is None
    difference = embedder.transform(windows) - embedder.transform(3 * windows)
    assert np.abs(difference).max() > 0.01


def test_bf16_is_close(windows):
    exact = make_embedder().fit_transform(windows)
    coarse = make_embedder(precision="bf16").fit_transform(windows)
    assert coarse.dtype == np.float32
    assert 0 < np.abs(exact - coarse).max() < 0.1


def test_memory_keeps_embeddings_of_windows(windows, tmp_path, monkeypatch):
    from sktinymyo._torch import ModuleRunner

    encoded = []
    run = ModuleRunner.run

    def count(self, X, **arguments):
        encoded.append(len(X))
        return run(self, X, **arguments)

    monkeypatch.setattr(ModuleRunner, "run", count)
    for scale, n_encoded in (("window", 6), ("channel", 6 + 3)):
        encoded.clear()
        embedder = make_embedder(memory=tmp_path, scale=scale)
        whole = embedder.fit_transform(windows)
        part = embedder.fit(windows[:3]).transform(windows[:3])
        embedder.transform(windows[1:2])
        assert sum(encoded) == n_encoded
    assert not np.array_equal(whole[:3], part)
    exact = make_embedder().fit_transform(windows)
    np.testing.assert_array_equal(whole, exact)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [({"pooling": "max"}, "pooling='max'"), ({"weights": 3}, "weights must be")],
)
def test_impossible_parameters_are_named(windows, parameters, message):
    with pytest.raises((ValueError, TypeError), match=message):
        make_embedder(**parameters).fit(windows)


def test_a_size_beside_trained_weights_is_told_to_have_no_effect(windows):
    with pytest.warns(UserWarning, match="size='nano' has no effect"):
        TinyMyoEmbedder("tinymyo-open-small", size="nano").fit(windows)
