"""Augmentations keep what a window means and draw from their own generator."""

import pytest
import torch

from sktinymyo.nn import AUGMENTATIONS, augment_windows


def windows():
    return torch.randn(64, 8, 100, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("recipe", AUGMENTATIONS)
def test_shape_source_and_repeatability(recipe):
    original = windows()
    before, state = original.clone(), torch.get_rng_state()
    results = [
        augment_windows(original, recipe, torch.Generator().manual_seed(seed))
        for seed in (0, 0, 1)
    ]
    assert torch.equal(original, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert results[0].shape == original.shape
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


def test_every_change_is_of_the_size_stated():
    original, generator = windows(), torch.Generator().manual_seed(0)
    gains = (augment_windows(original, "amplitude", generator) / original)[..., 0]
    assert 0.9 <= gains.min() < 0.91
    assert 1.09 < gains.max() <= 1.1
    noise = augment_windows(original, "noise", generator) - original
    torch.testing.assert_close(
        noise.std() / original.std(), torch.tensor(0.01), rtol=0.05, atol=0
    )
    dropped = (augment_windows(original, "channel-drop", generator) == 0).all(-1)
    assert 0.02 < dropped.float().mean() < 0.09
    assert not dropped.all(dim=1).any()


def test_a_single_channel_is_never_dropped():
    original = torch.ones(500, 1, 4)
    result = augment_windows(original, "channel-drop", torch.Generator().manual_seed(0))
    assert torch.equal(result, original)


def test_rotation_keeps_neighbours_and_jitter_keeps_samples():
    original = torch.arange(8.0)[None, :, None].expand(200, 8, 100)
    turned = augment_windows(original, "rotation", torch.Generator().manual_seed(0))
    steps = turned[:, 0, 0]
    assert set(steps.tolist()) == {0.0, 1.0, 7.0}
    assert torch.equal((turned[:, 1, 0] - steps) % 8, torch.ones(200))

    original = torch.arange(100.0)[None, None].expand(200, 2, 100)
    shifted = augment_windows(original, "time-jitter", torch.Generator().manual_seed(0))
    assert torch.equal(shifted.sort(-1).values, original)
    starts = (shifted[:, 0, 0] + 50) % 100 - 50
    assert starts.min() == -10
    assert starts.max() == 10
    assert torch.equal(shifted[:, 0], shifted[:, 1])


def test_unknown_recipes_are_refused():
    with pytest.raises(ValueError, match="augment='mixup'.*'published'"):
        augment_windows(windows(), "mixup", torch.Generator())
