"""Dropout: right on average, repeatable, and apart from the global generator."""

import copy

import pytest
import torch

from sktinymyo.nn import Dropout, DropPath, set_generator


def seeded(module, seed=0):
    set_generator(module, torch.Generator().manual_seed(seed))
    return module


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_share_and_mean(p):
    x = torch.ones(100, 3001)
    result = seeded(Dropout(p))(x)
    share = round(p * 256) / 256
    torch.testing.assert_close(
        (result == 0).float().mean(), torch.tensor(share), atol=0.004, rtol=0
    )
    assert result.unique().tolist() == pytest.approx([0, 1 / (1 - share)])
    # Neighbours, which share a draw of 64 bits, are independent.
    zero = (result == 0).float() - share
    covariance = (zero[:, 1:] * zero[:, :-1]).mean()
    assert abs(covariance) < 0.002


def test_drop_path_takes_whole_windows():
    result = seeded(DropPath(0.25))(torch.ones(8000, 2, 3))
    assert torch.equal(result.amin(dim=(1, 2)), result.amax(dim=(1, 2)))
    assert (result == 0).float().mean().item() == pytest.approx(0.25, abs=0.02)
    assert result.max().item() == pytest.approx(1 / 0.75)


@pytest.mark.parametrize("kind", [Dropout, DropPath])
def test_generator_decides_and_the_global_one_is_spared(kind):
    x = torch.ones(200, 7, requires_grad=True)
    state = torch.get_rng_state()
    layer = seeded(kind(0.5), 1)
    first = layer(x)
    assert not torch.equal(first, layer(x))
    assert torch.equal(first, seeded(layer, 1)(x))
    first.sum().backward()
    assert torch.equal(x.grad, first)
    assert torch.equal(torch.get_rng_state(), state)
    assert copy.deepcopy(layer).generator is None
    torch.manual_seed(0)
    from_global = kind(0.5)(x)
    torch.manual_seed(0)
    assert torch.equal(from_global, kind(0.5)(x))
    torch.set_rng_state(state)


@pytest.mark.parametrize("kind", [Dropout, DropPath])
def test_nothing_happens_in_evaluation_or_at_zero(kind):
    x = torch.ones(5, 3)
    assert kind(0.0)(x) is x
    assert kind(0.5).eval()(x) is x
    assert "p=0.5" in repr(kind(0.5))
    with pytest.raises(ValueError, match="p must be >= 0 and < 1; got 1"):
        kind(1)


def test_half_precision_and_strided_input():
    x = torch.ones(6, 40, 50, dtype=torch.bfloat16).transpose(1, 2)
    result = seeded(Dropout(0.5))(x)
    assert result.dtype == torch.bfloat16
    assert set(result.unique().tolist()) == {0.0, 2.0}
