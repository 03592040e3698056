"""Scaling, devices and bounded batches."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo import _torch
from sktinymyo._torch import (
    ModuleRunner,
    WindowScaler,
    enough_threads,
    resolve_device,
    resolve_precision,
    windows_per_call,
)
from sktinymyo.nn import ClassificationHead, TinyMyo, config_of_size


@given(
    offset=st.floats(-1e4, 1e4),
    gain=st.floats(1e-6, 1e3),
    dtype=st.sampled_from([np.float32, np.float64]),
)
@settings(max_examples=30, deadline=None)
def test_channel_scaling_ignores_gain_and_offset(offset, gain, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(7, 3, 50))
    changed = (X * gain + offset * gain).astype(dtype)
    scaler = WindowScaler("channel").fit(changed)
    expected = (X - X.mean((0, 2), keepdims=True)) / X.std((0, 2), keepdims=True)
    tolerance = 1e-6 + 4 * np.finfo(dtype).eps * abs(offset)
    np.testing.assert_allclose(scaler.to_tensor(changed), expected, atol=tolerance)


def test_scaling_in_chunks_equals_scaling_at_once(monkeypatch):
    X = np.random.default_rng(0).normal(2, 3, size=(11, 2, 9))
    weight = np.arange(11.0)
    whole = WindowScaler("channel").fit(X, weight)
    monkeypatch.setattr(_torch, "_VALUES_PER_CHUNK", 40)
    chunked = WindowScaler("channel").fit(X, weight)
    np.testing.assert_allclose(chunked.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(chunked.std, whole.std, rtol=1e-12)
    repeated = WindowScaler("channel").fit(np.repeat(X, weight.astype(int), axis=0))
    np.testing.assert_allclose(repeated.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(repeated.std, whole.std, rtol=1e-12)


@pytest.mark.parametrize("method", ["channel", "window"])
@pytest.mark.parametrize("value", [0.0, 1e-3, 2048.1])
def test_a_constant_channel_becomes_zero(method, value):
    X = np.full((4, 2, 30), value, dtype=np.float32)
    scaled = WindowScaler(method).fit(X).to_tensor(X)
    np.testing.assert_allclose(scaled, 0, atol=1e-3)


def test_scaling_takes_counts_and_leaves_them_alone():
    counts = np.random.default_rng(0).integers(
        -128, 128, size=(5, 2, 40), dtype=np.int8
    )
    before = counts.copy()
    counts.flags.writeable = False
    for method in ("channel", "window", None):
        tensor = WindowScaler(method).fit(counts).to_tensor(counts)
        assert tensor.dtype == torch.float32
    np.testing.assert_array_equal(tensor, before)


def test_devices_that_are_not_there_are_refused():
    assert resolve_device("cpu") == torch.device("cpu")
    assert resolve_device("auto").type in ("cpu", "cuda", "mps")
    with pytest.raises(ValueError, match="device='cuda:99'.*not present"):
        resolve_device("cuda:99")
    for wrong in ("gpu", 3.5, "meta"):
        with pytest.raises(ValueError, match="device="):
            resolve_device(wrong)


def test_prediction_is_float32_unless_asked_otherwise():
    cpu = torch.device("cpu")
    assert resolve_precision("auto", cpu, training=False) == "float32"
    assert resolve_precision("bf16", cpu, training=False) == "bf16"
    with pytest.raises(ValueError, match="precision='half'"):
        resolve_precision("half", cpu, training=True)


def test_small_work_gets_few_threads_and_nobody_else_notices():
    cpu, found = torch.device("cpu"), torch.get_num_threads()
    small, large = config_of_size("nano"), config_of_size("tinymyo")
    torch.set_num_threads(3)
    try:
        with enough_threads(1200, small, cpu):
            assert torch.get_num_threads() == 1
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(torch.get_num_threads).result() == 3
        with enough_threads(1200, large, cpu):
            assert torch.get_num_threads() == 3
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(found)


def test_a_small_signal_on_a_large_offset_is_no_constant_channel():
    counts = np.random.default_rng(0).normal(8_388_608, 5, size=(20, 1, 50))
    for method in ("channel", "window"):
        scaled = WindowScaler(method).fit(counts).to_tensor(counts)
        assert scaled.std().item() == pytest.approx(1, rel=0.01)


def test_calls_are_bounded_whatever_the_batch_size():
    config = config_of_size("tinymyo")
    cpu = torch.device("cpu")
    sizes = [windows_per_call(8, 200, config, cpu, size) for size in (1, 4, 10**6)]
    assert sizes[:2] == [1, 4]
    assert 8 <= sizes[2] <= 32


@pytest.mark.parametrize("batch_size", [1, 2, 7, 1000])
def test_results_do_not_depend_on_the_batch(batch_size):
    generator = torch.Generator().manual_seed(0)
    config = config_of_size("nano")
    head = ClassificationHead(config.embed_dim, 2, 3, generator=generator)
    runner = ModuleRunner(
        TinyMyo(config, head, generator=generator), WindowScaler(None)
    )
    X = np.random.default_rng(0).normal(size=(23, 2, 47)).astype(np.float32)
    arguments = {"device": torch.device("cpu"), "precision": "float32"}
    whole = runner.run(X, batch_size=23, **arguments)
    parts = runner.run(X, batch_size=batch_size, **arguments)
    assert whole.shape == (23, 3)
    np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=2e-6)
    with torch.no_grad():
        plain = runner.module(torch.from_numpy(X))
    np.testing.assert_allclose(whole, plain, rtol=1e-4, atol=1e-5)
