"""The fast path gives the numbers of the plain one, whatever it is made of."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo.nn import (
    ClassificationHead,
    PackedTinyMyo,
    TinyMyo,
    TinyMyoConfig,
    _packed,
    pack,
)

from .test_tinymyo import POSITIONS, small_model, windows


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("position", POSITIONS)
@given(
    n_windows=st.integers(1, 5),
    n_channels=st.integers(1, 6),
    n_times=st.integers(1, 33),
    padded=st.booleans(),
)
@settings(max_examples=12, deadline=None)
def test_agrees_with_the_plain_path(
    position, onednn, n_windows, n_channels, n_times, padded
):
    model = small_model(position, ClassificationHead(24, n_channels, 3))
    fast = PackedTinyMyo(model, onednn=onednn)
    x, padding = windows(n_windows, n_channels, n_times), None
    if padded:
        padding = windows(n_windows, n_channels, seed=4) > 0
        padding[:, 0] = False
    expected = model.encode(x, channel_padding=padding)
    torch.testing.assert_close(
        fast.encode(x, padding), expected.detach(), atol=1e-5, rtol=0
    )
    torch.testing.assert_close(
        fast(x, channel_padding=padding),
        model(x, channel_padding=padding).detach(),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("onednn", [False, True])
@pytest.mark.parametrize("shape", [(1, 8, 200), (3, 8, 1000), (1, 16, 1000)])
def test_published_size(onednn, shape):
    model, x = TinyMyo(TinyMyoConfig(depth=8)).eval(), windows(*shape)
    before = x.clone()
    with torch.no_grad():
        expected = model.encode(x)
    found = PackedTinyMyo(model, onednn=onednn).encode(x)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    assert torch.equal(x, before)
    assert not found.requires_grad


@pytest.mark.parametrize("onednn", [False, True])
def test_bf16_is_close_and_returns_float32(onednn):
    model, x = small_model(head=ClassificationHead(24, 3, 2)), windows(4, 3, 23)
    padding = torch.zeros(4, 3, dtype=torch.bool)
    padding[0, 1] = True
    with torch.no_grad():
        expected = model.encode(x, channel_padding=padding)
    fast = PackedTinyMyo(model, "bf16", onednn=onednn)
    found = fast.encode(x, padding)
    assert found.dtype == fast(x).dtype == torch.float32
    error = (found - expected).norm() / expected.norm()
    assert 1e-5 < error < 0.03


def test_long_windows_in_bf16_take_the_fused_attention(monkeypatch):
    model, x = small_model(), windows(2, 3, 20)
    usual = pack(model, "bf16").encode(x)
    monkeypatch.setattr(_packed, "LONGEST_MATMUL_ATTENTION", 1)
    torch.testing.assert_close(
        pack(model, "bf16").encode(x), usual, atol=0.1, rtol=0.05
    )


def test_falls_back_where_torch_lacks_the_private_interface(monkeypatch):
    model, x = small_model(), windows(2, 3, 20)
    expected = model.encode(x).detach()

    def missing(*_):
        raise AttributeError("'_OpNamespace' 'mkldnn' has no attribute")

    _packed.onednn_works.cache_clear()
    monkeypatch.setattr(torch.ops.mkldnn, "_reorder_linear_weight", missing)
    try:
        assert not _packed.onednn_works(torch.float32)
        fast = PackedTinyMyo(model, onednn=True)
        torch.testing.assert_close(fast.encode(x), expected, atol=1e-5, rtol=0)
    finally:
        _packed.onednn_works.cache_clear()


def test_wrong_results_of_the_private_interface_are_noticed(monkeypatch):
    _packed.onednn_works.cache_clear()
    monkeypatch.setattr(
        torch.ops.mkldnn, "_linear_pointwise", lambda x, w, b, *_: x.new_zeros(3, 48)
    )
    try:
        assert not _packed.onednn_works(torch.float32)
    finally:
        _packed.onednn_works.cache_clear()


def test_holds_its_own_weights_without_gradients():
    model, x = small_model(head=ClassificationHead(24, 3, 2)), windows(2, 3, 20)
    fast = pack(model.train())
    before = fast(x)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert torch.equal(fast(x), before)
    assert model.training
    head = torch.nn.Linear(24, 2)  # tokens must serve to train something on top
    head(fast.encode(x)).sum().backward()
    assert head.weight.grad is not None


def test_draws_no_random_numbers_and_serves_threads():
    model, x = small_model(), windows(3, 4, 30)
    state = torch.get_rng_state()
    fast = pack(model)
    expected, results = fast.encode(x), [None] * 4

    def work(place):
        results[place] = [fast.encode(x) for _ in range(10)]

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(one, expected) for several in results for one in several)
    assert torch.equal(torch.get_rng_state(), state)


def test_refuses_what_it_cannot_pack():
    with pytest.raises(TypeError, match="model must be a TinyMyo; got Linear"):
        pack(torch.nn.Linear(2, 2))
    with pytest.raises(ValueError, match="precision='int8'"):
        pack(small_model(), precision="int8")
    with pytest.raises(ValueError, match="float64"):
        pack(small_model().double())
