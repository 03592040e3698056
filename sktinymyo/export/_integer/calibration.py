"""What values the layers of the network take on real windows, in float32."""

import numpy as np
import torch

from ...nn import rotary_table, rotate
from .image_calibration import collect_image_statistics, image_trace
from .statistics import Statistics

__all__ = ["collect_statistics", "float_trace"]

# Values kept of every tensor: enough to place a clipping range, and bounded.
_MOST_TOKENS = 1024
_TOKENS_PER_CHUNK = 2048


@torch.inference_mode()
def float_trace(model, windows):
    """Run the network in float32 and return the result of every layer.

    Parameters
    ----------
    model : ExportedModel
        Its encoder and head are run.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        Preprocessed and scaled windows.

    Returns
    -------
    layers : dict of str to ndarray of float32
        Names and shapes are those of a trace of the integer program; besides,
        ``"blocks.l.before"`` is what goes into the GELU.
    """
    if model.kind == "images":
        return image_trace(model, windows)
    encoder, config = model.encoder, model.config
    n_used = model.n_patches * config.patch_size
    x = torch.from_numpy(np.ascontiguousarray(windows[:, :, :n_used], np.float32))
    device = next(encoder.parameters()).device
    x = x.to(device)
    n_windows, n_channels, _ = x.shape
    layers = {"input": x.reshape(n_windows, -1, config.patch_size)}
    tokens = encoder.add_channel_vectors(encoder.embed_patches(x)).flatten(1, 2)
    layers["patch"] = tokens
    rotation = _rotation(config, n_channels, model.n_patches)
    rotation = None if rotation is None else rotation.to(device)
    for number, block in enumerate(encoder.blocks):
        found = {}
        tokens = _block(block, tokens, rotation, found)
        layers |= {f"blocks.{number}.{name}": value for name, value in found.items()}
    tokens = encoder.norm(tokens)
    layers["norm"] = tokens
    layers = {name: value.cpu().numpy() for name, value in layers.items()}
    means = layers["norm"].reshape(n_windows, n_channels, model.n_patches, -1)
    means = means.mean(axis=2)
    channel = model.pooling == "channel"
    pooled = means.reshape(n_windows, -1) if channel else means.mean(axis=1)
    layers["pool"] = pooled
    layers["head"] = pooled @ model.head_weight.T + model.head_bias
    return layers


def _rotation(config, n_channels, n_patches):
    """Return the rotary table of all tokens, or None."""
    if config.position == "none":
        return None
    positions = torch.arange(n_channels * n_patches)
    if config.position == "per-channel":
        positions = positions % n_patches
    return rotary_table(positions, config.head_dim, config.rotary_base)


def _block(block, x, rotation, found):
    """Run one block, and keep what its layers make."""
    y = found["norm1"] = block.norm1(x)
    n_heads = block.attn.n_heads
    qkv = block.attn.qkv(y).unflatten(-1, (3, n_heads, -1)).permute(2, 0, 3, 1, 4)
    q, k, v = qkv
    if rotation is not None:
        q, k = rotate(q, rotation), rotate(k, rotation)
    for name, part in (("query", q), ("key", k), ("value", v)):
        found[name] = part.transpose(1, 2).flatten(2)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    mixed = found["attention"] = mixed.transpose(1, 2).flatten(2)
    x = found["projection"] = x + block.attn.proj(mixed)
    y = found["norm2"] = block.norm2(x)
    before = found["before"] = block.mlp.fc1(y)
    hidden = found["hidden"] = torch.nn.functional.gelu(before)
    found["output"] = x + block.mlp.fc2(hidden)
    return found["output"]


def collect_statistics(model, windows, batch_size, rng):
    """Run the network over calibration windows and keep samples of every layer.

    Parameters
    ----------
    model : ExportedModel
        What to run.
    windows : ndarray of float32, shape (n_windows, n_channels, n_times)
        Preprocessed and scaled windows.
    batch_size : int or "auto"
        Windows of one pass.
    rng : numpy.random.Generator
        Chooses the tokens that are kept.

    Returns
    -------
    statistics : Statistics
    """
    if model.kind == "images":
        return collect_image_statistics(model, windows, rng)
    n_tokens = model.n_channels * model.n_patches
    if batch_size == "auto":
        batch_size = max(1, _TOKENS_PER_CHUNK // n_tokens)
    n_batches = -(-len(windows) // batch_size)
    per_batch = -(-_MOST_TOKENS // n_batches)
    statistics = Statistics()
    for start in range(0, len(windows), batch_size):
        layers = float_trace(model, windows[start : start + batch_size])
        n_rows = layers["input"].shape[0] * n_tokens
        rows = rng.choice(n_rows, size=min(per_batch, n_rows), replace=False)
        for name, value in layers.items():
            # Pooled values and logits are one row a window, and few.
            kept = (
                value if value.ndim == 2 else value.reshape(-1, value.shape[-1])[rows]
            )
            statistics.add(name, value, kept)
    return statistics.joined()
