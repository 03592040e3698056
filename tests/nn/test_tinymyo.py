"""The encoder: published numbers, exact behaviour at the edges, reproducibility."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file

from sktinymyo.nn import (
    ClassificationHead,
    ReconstructionHead,
    RegressionHead,
    TinyMyo,
    TinyMyoConfig,
    micro_batch_size,
    pack,
)

POSITIONS = ("per-channel", "none", "flat")
CHECKPOINTS = (
    "position-flat/gestures",
    "position-none/gestures",
    "position-per-channel/gestures",
    "position-per-channel/kinematics",
    "position-per-channel/pretrained",
)
SMALL = TinyMyoConfig(embed_dim=24, depth=2, n_heads=3, patch_size=5)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def small_model(position="per-channel", head=None, **changes):
    """A small model whose every parameter matters: none is left at 0 or 1."""
    config = TinyMyoConfig(**{**SMALL.to_dict(), "position": position, **changes})
    model = TinyMyo(config, head, generator=generator()).eval()
    noise = generator(1)
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=noise)
            parameter.add_(values, alpha=0.2)
    return model


def windows(*shape, seed=3):
    return torch.randn(shape, generator=generator(seed))


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def load_checkpoint(folder):
    """Build the model that the shapes of the tensors tell of."""
    state = {
        name.removeprefix("model."): tensor
        for name, tensor in load_file(folder / "model.safetensors").items()
    }
    position = "per-channel" if "channel_embed" in state else "none"
    for name in [name for name in state if name.endswith("rotary_emb.freqs")]:
        del state[name]
        position = "flat"
    if "model_head.classifier.weight" in state:
        n_classes, n_features = state["model_head.classifier.weight"].shape
        head = ClassificationHead(192, n_features // 192, n_classes)
    elif "model_head.regressor.0.weight" in state:
        n_features = state["model_head.regressor.0.weight"].shape[1]
        n_outputs = len(state["model_head.regressor.5.weight"])
        head = RegressionHead(192, n_features // 192, n_outputs, n_times_out=200)
    else:
        head = ReconstructionHead()
    model = TinyMyo(TinyMyoConfig(depth=2, position=position), head).eval()
    model.load_state_dict(state, strict=True)
    return model


@pytest.mark.parametrize("name", CHECKPOINTS)
@pytest.mark.parametrize("path", ["plain", "packed", "training"])
def test_checkpoints_give_the_expected_numbers(checkpoints_folder, name, path):
    model = load_checkpoint(checkpoints_folder / name)
    expected = np.load(checkpoints_folder / name / "expected.npz")
    x = torch.from_numpy(expected["x"])
    if path == "training":  # its attention is another one; dropout would hide it
        for module in model.modules():
            if hasattr(module, "p"):
                module.p = 0.0
        model.train()
    run = pack(model) if path == "packed" else model

    def check(result, key):
        result = result.detach().numpy().reshape(expected[key].shape)
        np.testing.assert_allclose(result, expected[key], rtol=0, atol=1e-5)

    check(run.encode(x), "latent")
    check(run(x), "output")
    if "mask" in expected:
        padding = torch.from_numpy(expected["channel_padding"])
        check(run.encode(x, channel_padding=padding), "latent_padded")
        if path != "packed":
            mask = torch.from_numpy(expected["mask"])
            check(model(x, mask=mask), "output_masked")


def test_published_parameter_counts():
    model = TinyMyo(TinyMyoConfig(position="none"), ReconstructionHead())
    assert count(model.patch_embedding) == 4_032
    assert {count(block) for block in model.blocks} == {444_864}
    assert count(model.norm) == 384
    assert count(model.model_head) == 3_860
    assert count(model) == 3_567_380
    assert count(TinyMyo(head=ReconstructionHead())) == 3_567_380 + 3_072
    assert count(ClassificationHead(192, 8, 5)) == 7_685
    assert count(RegressionHead(192, 16, 5)) == 788_997


def test_initial_values():
    model = TinyMyo(generator=generator())
    for embedding in (model.mask_token, model.channel_embed):
        assert 0.019 < embedding.abs().max() <= 0.02  # cut at one deviation
    for layer, block in enumerate(model.blocks, start=1):
        bound = math.sqrt(6 / (192 + 768))
        assert 0.99 * bound < block.mlp.fc1.weight.abs().max() <= bound
        scaled = block.mlp.fc2.weight.abs().max() * math.sqrt(2 * layer)
        assert 0.99 * bound < scaled <= 1.0001 * bound
        bound = math.sqrt(6 / (192 + 192))
        scaled = block.attn.proj.weight.abs().max() * math.sqrt(2 * layer)
        assert 0.99 * bound < scaled <= 1.0001 * bound
        assert not block.attn.qkv.bias.any()


def test_a_generator_makes_models_alike_and_spares_the_global_one():
    def make(seed):
        source = generator(seed)
        head = RegressionHead(24, 3, 2, n_hidden=8, generator=source)
        return TinyMyo(SMALL, head, generator=source)

    before = torch.get_rng_state()
    first, second, other = make(5), make(5), make(6)
    ClassificationHead(24, 3, 2, generator=generator())
    ReconstructionHead(24, 5, generator=generator())
    x = windows(4, 3, 20)
    results = []
    for _ in range(2):
        first.train().set_generator(generator(9))
        results.append(first(x))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(*results)
    assert not torch.equal(first(x), results[0])
    for (name, a), b, c in zip(
        first.state_dict().items(),
        second.state_dict().values(),
        other.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(a, b), name
        if not name.endswith("bias") and "norm" not in name:
            assert not torch.equal(a, c), name


@pytest.mark.parametrize("position", POSITIONS)
def test_rotary_angles_are_those_of_the_token(position):
    """Queries and keys turned by hand, element by element."""
    model = small_model(position)
    table = model._rotation(3, 4, 4, model.mask_token)
    if position == "none":
        assert table is None
        return
    for token in range(12):
        place = token if position == "flat" else token % 4
        for pair in range(4):
            angle = place / 10000 ** (2 * pair / 8)
            expected = [math.cos(angle), math.sin(angle)]
            assert table[token, pair].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("position", ["none", "flat"])
def test_without_positions_the_encoder_is_permutation_equivariant(position):
    model, x = small_model(position), windows(2, 6, 20)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    alike = torch.allclose(
        model.encode(x[:, order]), model.encode(x)[:, order], atol=1e-5
    )
    assert alike == (position == "none")


def test_channels_beyond_the_learned_vectors_start_again():
    model, x = small_model(n_channel_embeddings=4), windows(2, 9, 20)
    order = torch.tensor([4, 1, 2, 3, 0, 5, 6, 7, 8])  # 0 and 4 share a vector
    tokens = model.encode(x)
    torch.testing.assert_close(
        model.encode(x[:, order]), tokens[:, order], atol=1e-5, rtol=0
    )
    other = model.encode(x[:, [1, 0, *range(2, 9)]])
    assert not torch.allclose(other[:, 2:], tokens[:, 2:], atol=1e-3)


@pytest.mark.parametrize("position", POSITIONS)
@given(n_times=st.integers(1, 24), n_channels=st.integers(1, 5))
@settings(max_examples=15, deadline=None)
def test_incomplete_patch_changes_nothing_else(position, n_times, n_channels):
    head = ClassificationHead(24, n_channels, 3, generator=generator())
    model, x = small_model(position, head), windows(2, n_channels, n_times)
    n_complete = n_times // 5
    tokens = model.encode(x)
    assert tokens.shape == (2, n_channels, math.ceil(n_times / 5), 24)
    if n_complete:
        cut = x[..., : 5 * n_complete]
        torch.testing.assert_close(
            tokens[:, :, :n_complete], model.encode(cut), atol=1e-5, rtol=0
        )
        torch.testing.assert_close(model(x), model(cut))
    else:  # a short window keeps its single token
        filled = torch.nn.functional.pad(x, (0, 5 - n_times))
        torch.testing.assert_close(tokens, model.encode(filled))
        torch.testing.assert_close(model(x), model(filled))


@pytest.mark.parametrize("position", POSITIONS)
def test_padded_channels_do_not_reach_the_others(position):
    model, x = small_model(position), windows(2, 4, 23)
    padding = torch.tensor([[False, False, True, True], [False] * 4])
    changed = x.clone()
    changed[0, 2:] = 7.0
    tokens = model.encode(x, channel_padding=padding)
    result = model.encode(changed, channel_padding=padding)
    torch.testing.assert_close(result[0, :2], tokens[0, :2])
    torch.testing.assert_close(result[1], tokens[1])
    alone = model.encode(x[:1, :2])
    torch.testing.assert_close(tokens[:1, :2], alone, atol=1e-5, rtol=0)


def test_masked_patches_do_not_reach_anything():
    model, x = small_model(head=ReconstructionHead(24, 5)), windows(2, 3, 20)
    mask = torch.zeros(2, 3, 4, dtype=torch.bool)
    mask[0, 1, 2] = True
    changed = x.clone()
    changed[0, 1, 10:15] = 9.0
    torch.testing.assert_close(model(changed, mask=mask), model(x, mask=mask))
    assert model(x, mask=mask).shape == (2, 3, 4, 5)
    assert not torch.allclose(model(x, mask=mask)[0], model(x)[0])


def test_regression_head_interpolates_to_the_target():
    head = RegressionHead(24, 3, 2, n_hidden=8, n_times_out=20).eval()
    free = RegressionHead(24, 3, 2, n_hidden=8).eval()
    free.load_state_dict(head.state_dict())
    tokens = windows(2, 3, 4, 24)
    values = free(tokens).detach().numpy()
    assert values.shape == (2, 4, 2)
    places = np.clip((np.arange(20) + 0.5) * 4 / 20 - 0.5, 0, 3)
    expected = np.stack(
        [[np.interp(places, range(4), column) for column in one.T] for one in values]
    ).transpose(0, 2, 1)
    np.testing.assert_allclose(head(tokens).detach(), expected, atol=1e-6)


@pytest.mark.parametrize(
    "copy_of", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))]
)
def test_copies_compute_the_same_and_leave_the_generator_behind(copy_of):
    model, x = small_model(head=ClassificationHead(24, 3, 2)), windows(2, 3, 20)
    source = generator(1)
    model.set_generator(source)
    twin = copy_of(model)
    assert torch.equal(twin(x), model(x))
    state = source.get_state()
    twin.train()(x)
    assert torch.equal(source.get_state(), state)
    assert model.blocks[0].attn.dropout.generator is source
    other = TinyMyo(model.config, ClassificationHead(24, 3, 2)).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(x), model(x))
    assert not [name for name, _ in model.named_buffers()]


def test_autocast_trains_in_bf16_with_float32_tokens():
    model = small_model(dropout=0.0, attention_dropout=0.0, drop_path=0.0).train()
    x, gradients = windows(3, 4, 20), []
    for enabled in (False, True):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            tokens = model.encode(x)
        assert tokens.dtype == torch.float32
        (tokens * windows(*tokens.shape)).sum().backward()
        gradients.append(model.blocks[0].attn.qkv.weight.grad.flatten())
    assert torch.cosine_similarity(*gradients, dim=0) > 0.99


def test_exported_program_has_real_numbers_only():
    model, x = small_model(head=ClassificationHead(24, 3, 2)), windows(2, 3, 20)
    program = torch.export.export(model, (x,))
    assert "complex" not in str(program.graph)
    torch.testing.assert_close(program.module()(x), model(x))


def test_inference_mode_first_then_training():
    """Nothing made without gradients may be kept and break training."""
    model, x = small_model(), windows(2, 3, 20)
    with torch.inference_mode():
        model.encode(x)
    model.train().encode(x).sum().backward()
    assert model.mask_token.grad is None
    assert model.channel_embed.grad is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("embed_dim", 0),
        ("embed_dim", 190),
        ("depth", -1),
        ("depth", 1.5),
        ("n_heads", 5),
        ("n_heads", True),
        ("mlp_ratio", 0),
        ("patch_size", "20"),
        ("position", "rotary"),
        ("n_channel_embeddings", 0),
        ("dropout", 1.0),
        ("attention_dropout", -0.1),
        ("drop_path", None),
        ("rotary_base", math.nan),
    ],
)
def test_config_names_the_bad_field(field, value):
    with pytest.raises(ValueError, match=field):
        TinyMyoConfig(**{field: value})


def test_config_round_trip():
    config = TinyMyoConfig(depth=3, position="flat")
    assert TinyMyoConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match=r"unknown fields.*\['layers'\]"):
        TinyMyoConfig.from_dict({"layers": 3})


def test_errors_name_the_argument():
    model = small_model(head=ClassificationHead(24, 3, 2))
    x = windows(2, 3, 20)
    with pytest.raises(ValueError, match=r"x must have the shape.*\(3, 20\)"):
        model.encode(x[0])
    with pytest.raises(ValueError, match=r"mask must.*\(2, 3, 4\).*\(2, 3, 5\)"):
        model.encode(x, mask=torch.zeros(2, 3, 5, dtype=torch.bool))
    with pytest.raises(ValueError, match="channel_padding must"):
        model.encode(x, channel_padding=torch.zeros(2, 4, dtype=torch.bool))
    with pytest.raises(ValueError, match="every channel"):
        model.encode(x, channel_padding=torch.ones(2, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="n_channels=3.*4 channels"):
        model(windows(2, 4, 20))
    with pytest.raises(ValueError, match="n_channels=2"):
        RegressionHead(24, 2, 1)(windows(2, 3, 4, 24))


@given(n_channels=st.integers(1, 300), n_patches=st.integers(1, 300))
def test_micro_batches_are_near_the_best_size(n_channels, n_patches):
    n_tokens, size = n_channels * n_patches, micro_batch_size(n_channels, n_patches)
    assert size >= 1
    assert size * n_tokens <= max(1200, n_tokens)
    assert (size + 1) * n_tokens > 1200
