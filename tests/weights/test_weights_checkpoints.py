"""Checkpoints made by other code give the numbers that code gave."""

import numpy as np
import pytest
import torch

from sktinymyo.weights import build_model, load_weights

CASES = {
    "position-flat/gestures": ("flat", "classification"),
    "position-none/gestures": ("none", "classification"),
    "position-per-channel/gestures": ("per-channel", "classification"),
    "position-per-channel/kinematics": ("per-channel", "regression"),
    "position-per-channel/pretrained": ("per-channel", "reconstruction"),
}
TOLERANCE = {"rtol": 0, "atol": 1e-5}


def test_every_checkpoint_at_hand_is_tested(checkpoints_folder):
    found = {
        str(file.parent.relative_to(checkpoints_folder))
        for file in checkpoints_folder.rglob("*.safetensors")
    }
    assert found == set(CASES)


@pytest.mark.parametrize("case", CASES)
def test_expected_outputs(checkpoints_folder, case):
    weights = load_weights(checkpoints_folder / case)
    assert (weights.generation, weights.head) == CASES[case]
    assert weights.card.generation == weights.config.position == weights.generation
    model = build_model(weights)
    with np.load(checkpoints_folder / case / "expected.npz") as expected:
        expected = {name: torch.from_numpy(expected[name]) for name in expected}
    x = expected["x"]
    with torch.inference_mode():
        latent = model.encode(x).flatten(1, 2)
        torch.testing.assert_close(latent, expected["latent"], **TOLERANCE)
        output = model(x).reshape(expected["output"].shape)
        torch.testing.assert_close(output, expected["output"], **TOLERANCE)
        if "mask" in expected:
            output = model(x, mask=expected["mask"]).flatten(1, 2)
            torch.testing.assert_close(output, expected["output_masked"], **TOLERANCE)
        if "channel_padding" in expected:
            padding = expected["channel_padding"]
            latent = model.encode(x, channel_padding=padding).flatten(1, 2)
            torch.testing.assert_close(latent, expected["latent_padded"], **TOLERANCE)
