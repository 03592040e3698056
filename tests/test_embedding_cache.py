"""Embeddings are computed once for every window, across calls and processes."""

import joblib
import numpy as np
import pytest

from sktinymyo._embedding_cache import EmbeddingCache


class CountingEncoder:
    def __init__(self):
        self.n_windows = 0

    def __call__(self, windows):
        self.n_windows += len(windows)
        return windows.sum(axis=2).astype(np.float32)


@pytest.fixture
def windows():
    return np.random.default_rng(0).normal(size=(12, 3, 10)).astype(np.float32)


def test_every_window_is_encoded_once(windows, tmp_path):
    encoder = CountingEncoder()
    expected = windows.sum(axis=2)
    for rows in (
        [0, 1, 2, 3],
        [2, 3, 4, 5],
        [5, 0, 0, 5],
        range(12),
        range(11, -1, -1),
    ):
        cache = EmbeddingCache(str(tmp_path), b"encoder")
        rows = list(rows)
        np.testing.assert_allclose(
            cache.compute(windows[rows], encoder), expected[rows], rtol=1e-6
        )
    assert encoder.n_windows == len(windows)


def test_another_context_shares_nothing(windows, tmp_path):
    encoder = CountingEncoder()
    EmbeddingCache(str(tmp_path), b"one").compute(windows, encoder)
    EmbeddingCache(str(tmp_path), b"two").compute(windows, encoder)
    assert encoder.n_windows == 2 * len(windows)


def test_the_type_of_a_window_is_part_of_its_key(tmp_path):
    encoder = CountingEncoder()
    cache = EmbeddingCache(str(tmp_path), b"encoder")
    ones = np.ones((1, 1, 8), dtype=np.int8)
    cache.compute(ones, encoder)
    cache.compute(ones.view(np.uint8), encoder)
    cache.compute(ones.reshape(1, 2, 4), encoder)
    assert encoder.n_windows == 3


@pytest.mark.parametrize("memory", [None, joblib.Memory(None)])
def test_without_a_location_nothing_is_kept(windows, memory):
    encoder = CountingEncoder()
    for _ in range(2):
        EmbeddingCache(memory, b"encoder").compute(windows, encoder)
    assert encoder.n_windows == 2 * len(windows)


@pytest.mark.parametrize("content", [b"not an array", b""])
@pytest.mark.parametrize("name", ["values.npy", "keys.npy"])
def test_damaged_entries_are_computed_again_once(windows, tmp_path, name, content):
    encoder = CountingEncoder()
    EmbeddingCache(tmp_path, b"encoder").compute(windows, encoder)
    (damaged,) = tmp_path.rglob(name)
    damaged.write_bytes(content)
    for _ in range(2):
        result = EmbeddingCache(tmp_path, b"encoder").compute(windows, encoder)
        np.testing.assert_allclose(result, windows.sum(axis=2), rtol=1e-6)
    assert encoder.n_windows == 2 * len(windows)


def test_a_full_disk_costs_the_cache_but_not_the_result(windows, tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("No space left on device")

    monkeypatch.setattr(np, "save", fail)
    with pytest.warns(UserWarning, match="could not be kept.*No space left"):
        result = EmbeddingCache(tmp_path, b"encoder").compute(
            windows, CountingEncoder()
        )
    np.testing.assert_allclose(result, windows.sum(axis=2), rtol=1e-6)
    assert not [path for path in tmp_path.rglob("*") if ".writing" in path.name]


def test_a_failing_encoder_leaves_nothing_behind(windows, tmp_path):
    def fail(windows):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        EmbeddingCache(tmp_path, b"encoder").compute(windows, fail)
    assert not list(tmp_path.rglob("*.npy"))


def test_joblib_clears_the_embeddings_with_its_own_results(windows, tmp_path):
    memory = joblib.Memory(tmp_path, verbose=0)
    encoder = CountingEncoder()
    EmbeddingCache(memory, b"encoder").compute(windows, encoder)
    memory.clear(warn=False)
    EmbeddingCache(memory, b"encoder").compute(windows, encoder)
    assert encoder.n_windows == 2 * len(windows)
