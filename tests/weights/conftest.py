"""Small files of weights of every generation, written as other code writes them."""

import json

import pytest
import torch
from safetensors.torch import save, save_file

from sktinymyo.nn import (
    ClassificationHead,
    ReconstructionHead,
    RegressionHead,
    TinyMyo,
    TinyMyoConfig,
)

HEADS = {
    "classification": lambda: ClassificationHead(16, 3, 5),
    "regression": lambda: RegressionHead(16, 3, 2, n_hidden=7, n_times_out=11),
    "reconstruction": lambda: ReconstructionHead(16, 4),
    None: lambda: None,
}


def _make_model(position="per-channel", head=None, **fields):
    torch.manual_seed(0)
    small = {"embed_dim": 16, "depth": 2, "n_heads": 2, "patch_size": 4, "mlp_ratio": 3}
    config = TinyMyoConfig(position=position, n_channel_embeddings=6, **small | fields)
    return TinyMyo(config, HEADS[head]()).eval()


def _as_published(model, prefix="model."):
    """Tensors under the names of published files, with the tables of "flat"."""
    state = dict(model.state_dict())
    if model.config.position == "flat":
        pairs = torch.arange(0, model.config.head_dim, 2) / model.config.head_dim
        for index in range(model.config.depth):
            state[f"blocks.{index}.attn.rotary_emb.freqs"] = 10000.0**-pairs
    return {prefix + name: tensor.clone() for name, tensor in state.items()}


def _settings_of(model, **more):
    """Content of a config.json as published ones are."""
    config = model.config
    return {
        "n_layer": config.depth,
        "n_head": config.n_heads,
        "embed_dim": config.embed_dim,
        "patch_size": config.patch_size,
        "mlp_ratio": config.mlp_ratio,
        "qkv_bias": True,
        **more,
    }


@pytest.fixture
def write_published(tmp_path):
    """Write a folder with model.safetensors and config.json; return the folder."""

    def write(model=None, tensors=None, settings=None, name="published"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        model = _make_model() if model is None else model
        tensors = _as_published(model) if tensors is None else tensors
        settings = _settings_of(model) if settings is None else settings
        save_file(tensors, folder / "model.safetensors")
        (folder / "config.json").write_text(json.dumps(settings))
        return folder

    return write


# Handed out as fixtures, because test modules cannot import this file.
@pytest.fixture(scope="session")
def make_model():
    """Make a small network."""
    return _make_model


@pytest.fixture(scope="session")
def as_published():
    """Name the tensors of a network as published files do."""
    return _as_published


@pytest.fixture(scope="session")
def settings_of():
    """Describe a network as a published config.json does."""
    return _settings_of


@pytest.fixture(scope="session")
def whole_file():
    """Bytes of a good file that needs no config.json."""
    return save(_as_published(_make_model(embed_dim=64, n_heads=1)))
