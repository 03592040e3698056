"""The TinyMyo network as ONNX operators, written from the arrays of a fitted module.

Written by hand rather than traced: 31 operators a block, the same with every version
of torch, with names that say what they are. Letters in shape comments: B windows, C
channels, T samples, P complete patches of a channel, N = C * P tokens, D embedding, H
heads, h = D / H.
"""

import numpy as np
import torch
from torch.nn import functional as F

from .._torch import arrays_of_module
from ..nn import rotary_table

__all__ = ["NetworkWriter"]


class NetworkWriter:
    """Write the parts of one network, from windows to its outputs.

    Parameters
    ----------
    graph : GraphWriter
        Takes the operators.
    module : TinyMyo
        The network, with or without a head.
    n_channels, n_times : int
        Shape of a window.
    scaler : WindowScaler or None, default=None
        How windows are scaled before the network; None leaves them alone.
    """

    def __init__(self, graph, module, n_channels, n_times, scaler=None):
        self.graph = graph
        self.module = module
        self.config = module.config
        self.arrays = arrays_of_module(module)
        self.n_channels = n_channels
        self.n_times = n_times
        self.scaler = scaler
        self.n_patches = max(n_times // self.config.patch_size, 1)

    # -- windows to tokens -----------------------------------------------------

    def tokens(self, x):
        """Scale and encode windows (B, C, T): tokens (B, N, D)."""
        x = self._complete_patches(self._scaled(x))
        x = self._embedded(x)
        rotation = self._rotation()
        for layer in range(self.config.depth):
            x = self._block(x, layer, rotation)
        return self._layer_norm(x, "norm", "norm")

    def _scaled(self, x):
        graph, scaler = self.graph, self.scaler
        if scaler is None or scaler.method is None:
            return x
        if scaler.method == "window":
            return graph.standardise(x)
        mean, deviation = scaler.mean[:, np.newaxis], scaler.std[:, np.newaxis]
        x = graph.subtract_center(x, mean, deviation)
        return graph.binary("Div", x, deviation, name="scaled")

    def _complete_patches(self, x):
        """Cut off an incomplete last patch, which nothing that is kept attends to."""
        wanted = self.n_patches * self.config.patch_size
        if wanted < self.n_times:
            return self.graph.slice(x, 0, wanted)
        if wanted > self.n_times:  # shorter than a single patch
            padding = np.array([0, 0, 0, 0, 0, wanted - self.n_times], np.int64)
            return self.graph.node("Pad", x, self.graph.constant(padding, "padding"))
        return x

    def _embedded(self, x):
        """Map patches to tokens and add what tells the channels apart."""
        graph, config = self.graph, self.config
        x = graph.reshape(x, 0, self.n_channels, self.n_patches, config.patch_size)
        weight = self.arrays["patch_embedding.patch_embed.proj.weight"]
        bias = self.arrays["patch_embedding.patch_embed.proj.bias"]
        if config.position == "per-channel":
            channels = np.arange(self.n_channels) % config.n_channel_embeddings
            vectors = self.arrays["channel_embed"][0, channels]  # (C, 1, D)
            bias = (bias + vectors)[np.newaxis]
        x = graph.linear(x, weight.reshape(config.embed_dim, -1), bias, "patch")
        return graph.reshape(x, 0, self.n_channels * self.n_patches, config.embed_dim)

    def _rotation(self):
        """Cosines and sines (1, 1, N, h / 2) of all tokens, or None."""
        config = self.config
        if config.position == "none":
            return None
        positions = torch.arange(self.n_patches).repeat(self.n_channels)
        if config.position == "flat":
            positions = torch.arange(self.n_patches * self.n_channels)
        table = rotary_table(positions, config.head_dim, config.rotary_base).numpy()
        return [
            self.graph.constant(table[np.newaxis, np.newaxis, :, :, i], name)
            for i, name in enumerate(("cosines", "sines"))
        ]

    # -- one block -------------------------------------------------------------

    def _block(self, x, layer, rotation):
        graph, arrays, name = self.graph, self.arrays, f"block{layer}"

        def linear(y, part, title):
            weight, bias = (
                arrays[f"blocks.{layer}.{part}.{k}"] for k in ("weight", "bias")
            )
            return self._linear(y, weight, bias, layer, title)

        y = self._layer_norm(x, f"blocks.{layer}.norm1", f"{name}_norm1")
        y = self._attention(y, layer, name, rotation)
        x = graph.node(
            "Add", x, linear(y, "attn.proj", "projection"), name=f"{name}_mid"
        )
        y = self._layer_norm(x, f"blocks.{layer}.norm2", f"{name}_norm2")
        y = graph.gelu(linear(y, "mlp.fc1", "hidden"), f"{name}_gelu")
        return graph.node("Add", x, linear(y, "mlp.fc2", "mlp"), name=f"{name}_output")

    def _linear(self, x, weight, bias, layer, title):
        """Write a linear map of a block."""
        return self.graph.linear(x, weight, bias, f"block{layer}_{title}")

    def _norm_parameters(self, part):
        """Return gain and offset of a LayerNorm."""
        return [self.arrays[f"{part}.{k}"] for k in ("weight", "bias")]

    def _layer_norm(self, x, part, name):
        graph = self.graph
        gain, offset = (
            graph.constant(values, f"{name}_{k}")
            for k, values in zip(
                ("weight", "bias"), self._norm_parameters(part), strict=True
            )
        )
        epsilon = float(self.module.norm.eps)
        return graph.node(
            "LayerNormalization", x, gain, offset, name=name, axis=-1, epsilon=epsilon
        )

    def _attention(self, x, layer, name, rotation):
        graph, config = self.graph, self.config
        n_heads, head_dim, width = config.n_heads, config.head_dim, config.embed_dim
        weight, bias = self._query_key_value(layer)
        x = self._linear(x, weight, bias, layer, "qkv")
        both, value = graph.split(x, [2 * width, width], -1, f"{name}_parts")
        both = self._heads(both, 2 * n_heads)  # queries, then keys: (B, 2 H, N, h)
        if rotation is not None:
            both = self._rotated(both, rotation)
        query, key = graph.split(both, [n_heads, n_heads], 1, f"{name}_qk")
        key = graph.node("Transpose", key, perm=[0, 1, 3, 2])
        scores = graph.node("MatMul", query, key, name=f"{name}_scores")
        weights = graph.node("Softmax", scores, name=f"{name}_weights", axis=-1)
        value = self._heads(value, n_heads)
        mixed = graph.node("MatMul", weights, value, name=f"{name}_mixed")
        mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return graph.reshape(mixed, 0, 0, n_heads * head_dim)

    def _heads(self, x, n_heads):
        """Cut the width of tokens (B, N, n_heads * h): (B, n_heads, N, h)."""
        x = self.graph.reshape(x, 0, 0, n_heads, self.config.head_dim)
        return self.graph.node("Transpose", x, perm=[0, 2, 1, 3])

    def _query_key_value(self, layer):
        """Return weight (3 D, D) and bias (3 D,) in the order that the graph computes.

        A head's pairs (2 i, 2 i + 1), which turn together, become its two halves:
        cheap to cut, and the same change of queries and keys leaves their products
        alone. The scale of the scores goes into the queries.
        """
        config = self.config
        weight, bias = (
            self.arrays[f"blocks.{layer}.attn.qkv.{k}"].copy()
            for k in ("weight", "bias")
        )
        dim = config.head_dim
        halves = np.concatenate([np.arange(0, dim, 2), np.arange(1, dim, 2)])
        heads = dim * np.arange(2 * config.n_heads)[:, np.newaxis]
        order = (heads + halves).ravel()
        for array in (weight, bias):
            array[: len(order)] = array[order]
            array[: config.embed_dim] *= np.float32(dim**-0.5)
        return weight, bias

    def _rotated(self, x, rotation):
        """Turn the halves a and b of every head: (a cos - b sin, b cos + a sin)."""
        graph, half = self.graph, self.config.head_dim // 2
        cosines, sines = rotation
        a, b = graph.split(x, [half, half], -1, "halves")
        ac, bs = graph.node("Mul", a, cosines), graph.node("Mul", b, sines)
        bc, as_ = graph.node("Mul", b, cosines), graph.node("Mul", a, sines)
        first, second = graph.node("Sub", ac, bs), graph.node("Add", bc, as_)
        return graph.node("Concat", first, second, name="turned", axis=-1)

    # -- tokens to the output --------------------------------------------------

    def pooled(self, tokens, pooling, into=None):
        """Average tokens (B, N, D): (B, C * D), or (B, D) with pooling="mean".

        Written as a product with a row of equal weights: compilers for small chips
        take it where they lack the mean over an axis (Deeploy for GAP9).
        """
        graph, width = self.graph, self.config.embed_dim
        by_channel = pooling == "channel"
        n_averaged = self.n_patches * (1 if by_channel else self.n_channels)
        row = np.full((1, n_averaged), 1 / n_averaged)
        tokens = self._by_channel(tokens) if by_channel else tokens
        row = graph.constant(row, "mean_of_patches")
        means = graph.node("MatMul", row, tokens, name="pooled")
        n_means = self.n_channels if by_channel else 1
        return graph.reshape(means, 0, n_means * width, into=into)

    def _by_channel(self, tokens):
        shape = (self.n_channels, self.n_patches, self.config.embed_dim)
        return self.graph.reshape(tokens, 0, *shape)

    def logits(self, tokens, into=None):
        """Send tokens (B, N, D) through the classification head: (B, n_classes)."""
        weight, bias = (
            self.arrays[f"model_head.classifier.{k}"] for k in ("weight", "bias")
        )
        embedding = self.pooled(tokens, "channel")
        return self.graph.linear(embedding, weight, bias, "logits", into=into)

    def regressed(self, tokens, target_shape):
        """Send tokens (B, N, D) through the convolutions of the regression head."""
        graph = self.graph
        x = graph.node("Transpose", self._by_channel(tokens), perm=[0, 1, 3, 2])
        x = graph.reshape(x, 0, self.n_channels * self.config.embed_dim, self.n_patches)
        x = graph.silu(self._convolution(x, 0), "head_wide")
        x = graph.silu(self._convolution(x, 3), "head_mixed")
        x = self._convolution(x, 5)  # (B, n_outputs, P)
        if len(target_shape) < 2:
            return graph.reduce("Mean", x, keepdims=False)
        if target_shape[0] != self.n_patches:
            # Linear interpolation is linear in the values: a matrix (P, n_times_out).
            unit = torch.eye(self.n_patches, dtype=torch.float64)[np.newaxis]
            matrix = F.interpolate(unit, target_shape[0], mode="linear")[0].numpy()
            x = graph.binary("MatMul", x, matrix, name="interpolated")
        return graph.node("Transpose", x, perm=[0, 2, 1])

    def _convolution(self, x, index):
        layer = self.module.model_head.regressor[index]
        weight, bias = (
            self.graph.constant(
                self.arrays[f"model_head.regressor.{index}.{k}"], f"head{index}_{k}"
            )
            for k in ("weight", "bias")
        )
        padding = layer.padding[0]
        return self.graph.node(
            "Conv",
            x,
            weight,
            bias,
            name=f"head{index}",
            kernel_shape=list(layer.kernel_size),
            pads=[padding, padding],
            group=layer.groups,
        )
