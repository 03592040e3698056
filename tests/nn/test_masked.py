"""Masks, targets and the masked autoencoder."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sktinymyo.nn import (
    MASK_FORMS,
    MaskedAutoencoder,
    TinyMyo,
    TinyMyoConfig,
    draw_mask,
    patch_targets,
)

CONFIG = TinyMyoConfig(
    embed_dim=32, depth=2, n_heads=2, dropout=0.0, attention_dropout=0.0, drop_path=0.0
)


def make_model(seed=0, **options):
    generator = torch.Generator().manual_seed(seed)
    encoder = TinyMyo(CONFIG, generator=generator)
    return MaskedAutoencoder(encoder, generator=generator, **options).eval()


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 5),
    st.integers(1, 9),
    st.integers(1, 7),
    st.floats(0.05, 0.95),
    st.sampled_from(MASK_FORMS),
    st.integers(0, 2**31),
)
def test_every_window_hides_the_stated_share_of_its_cells(
    n_windows, n_channels, n_patches, ratio, form, seed
):
    generator = torch.Generator().manual_seed(seed)
    n_real = torch.randint(1, n_channels + 1, (n_windows, 1), generator=generator)
    padding = torch.arange(n_channels) >= n_real
    mask = draw_mask(
        (n_windows, n_channels, n_patches),
        ratio,
        form,
        generator=generator,
        channel_padding=padding,
    )
    assert not mask[padding].any()
    for window, real in zip(mask, n_real[:, 0].tolist(), strict=True):
        units = {"cell": real * n_patches, "channel": real, "time": n_patches}[form]
        expected = min(max(round(ratio * units), 1), units - 1)
        assert int(window.sum()) == expected * (real * n_patches // units)


def test_spectrum_agrees_with_scipy():
    rng = np.random.default_rng(0)
    patches = rng.standard_normal((2, 3, 4, 20))
    taper = signal.windows.hann(20)
    taper /= np.sqrt(np.sum(taper**2))
    power = np.abs(np.fft.rfft(patches * taper)) ** 2
    ours = patch_targets(torch.from_numpy(patches), "spectrum")
    np.testing.assert_allclose(ours, 0.5 * np.log(power + 1e-3), rtol=1e-4, atol=1e-4)


def test_hidden_patches_do_not_reach_the_encoder_and_padding_changes_nothing():
    model = make_model(visible_only=True, targets=("raw", "spectrum"), n_classes=3)
    generator = torch.Generator().manual_seed(1)
    windows = torch.randn(3, 4, 100, generator=generator)
    mask = draw_mask((3, 4, 5), 0.5, generator=generator)
    other = windows.unflatten(2, (5, 20)).clone()
    other[mask] = 9.0
    with torch.inference_mode():
        output = model(windows, mask)
        changed = model(other.flatten(2), mask)
        for name, values in output.items():
            torch.testing.assert_close(values, changed[name])
        padded = torch.cat([windows, torch.full((3, 2, 100), 7.0)], dim=1)
        padding = torch.arange(6).expand(3, 6) >= 4
        wide = torch.cat([mask, torch.zeros(3, 2, 5, dtype=torch.bool)], dim=1)
        labels = torch.tensor([0, -1, 2])
        expected = model.losses(windows, mask, labels=labels)
        losses = model.losses(padded, wide, padding, labels)
    assert expected["labels"][1] == 0
    for name, values in expected.items():
        torch.testing.assert_close(losses[name], values, rtol=1e-5, atol=1e-6)


def test_published_form_is_the_encoder_with_mask_tokens_and_a_linear_map():
    model = make_model(visible_only=False)
    windows = torch.randn(2, 3, 60, generator=torch.Generator().manual_seed(1))
    mask = draw_mask((2, 3, 3), 0.5, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        linear = model.predictors["raw"]
        expected = linear(model.encoder.encode(windows, mask))
        torch.testing.assert_close(model(windows, mask)["raw"], expected)
        patches = windows.unflatten(2, (3, 20))
        error = (expected - patch_targets(patches, "raw")).abs()
        smooth = torch.where(error < 1, error**2 / 2, error - 0.5).mean(dim=-1)
        by_hand = [
            (w[m].mean() + 0.1 * w[~m].mean())
            for w, m in zip(smooth, mask, strict=True)
        ]
        losses = model.losses(windows, mask)["raw"]
    torch.testing.assert_close(losses, torch.stack(by_hand))


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="ratio=1.5"):
        draw_mask((1, 2, 3), 1.5)
    with pytest.raises(ValueError, match="form='half'"):
        draw_mask((1, 2, 3), 0.5, "half")
    with pytest.raises(ValueError, match="targets"):
        make_model(targets=("phase",))
