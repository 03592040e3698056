"""The attention for training agrees with torch's, forwards and backwards."""

import pytest
import torch
from torch.nn import functional as F

from sktinymyo.nn import Dropout, _attention
from sktinymyo.nn._attention import cached_attention, matmul_attention


def inputs(n_windows=3, n_tokens=37):
    generator = torch.Generator().manual_seed(0)
    shape = (n_windows, 2, n_tokens, 8)
    return [torch.randn(shape, generator=generator).requires_grad_() for _ in range(3)]


def bias(n_windows, n_tokens=37):
    values = torch.zeros(n_windows, 1, 1, n_tokens)
    values[0, ..., -5:] = -torch.inf
    return values


def value_and_gradients(attention, tensors, **options):
    for tensor in tensors:
        tensor.grad = None
    mixed = attention(*tensors, **options)
    (mixed * torch.linspace(-1, 1, mixed.numel()).view_as(mixed)).sum().backward()
    return [mixed.detach(), *(tensor.grad for tensor in tensors)]


@pytest.mark.parametrize("implementation", [cached_attention, matmul_attention])
@pytest.mark.parametrize("biased", [0, 1, 3])
@pytest.mark.parametrize("cache", ["all heads", "one head", "computed again"])
def test_values_and_gradients_of_torch(implementation, biased, cache, monkeypatch):
    if cache != "all heads":
        monkeypatch.setattr(_attention, "CACHED_SCORES", 1)
    if cache == "computed again":
        monkeypatch.setattr(_attention, "LONGEST_KEPT", 1)
    tensors, key_bias = inputs(), bias(biased) if biased else None
    expected = value_and_gradients(
        F.scaled_dot_product_attention, tensors, attn_mask=key_bias
    )
    found = value_and_gradients(implementation, tensors, key_bias=key_bias)
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("cached_scores", [2**18, 1])
@pytest.mark.parametrize("longest_kept", [2048, 1])
def test_dropout_is_the_same_in_both(cached_scores, longest_kept, monkeypatch):
    monkeypatch.setattr(_attention, "CACHED_SCORES", cached_scores)
    monkeypatch.setattr(_attention, "LONGEST_KEPT", longest_kept)
    results = []
    for implementation in (cached_attention, matmul_attention):
        dropout = Dropout(0.3)
        dropout.generator = torch.Generator().manual_seed(4)
        results.append(
            value_and_gradients(
                implementation, inputs(), key_bias=bias(3), dropout=dropout
            )
        )
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, atol=2e-5, rtol=1e-5)
