"""The graph of the network in the form that each engine computes fastest."""

import numpy as np
import torch

from ..nn import MeanRegressionHead, RegressionHead, rotary_table
from ._graph import GraphParts, GraphWriter
from ._network import NetworkWriter
from ._ranges import affine

__all__ = ["INPUT", "OnnxruntimeWriter", "OpenvinoWriter", "write_network"]

INPUT = "windows"
_OPSET = 20
_IR_VERSION = 9
# Seven of the eight bits of a weight: processors without VNNI instructions add two
# products in 16 bits, which larger weights can overflow.
_HIGHEST_WEIGHT = 63
_HIGHEST_SIGNED = 127


class _EngineWriter(NetworkWriter):
    """Write a network for an engine, in float32 or with int8 products.

    Parameters
    ----------
    graph, module, n_channels, n_times
        As in :class:`NetworkWriter`; windows arrive scaled.
    ranges : ActivationRanges or None, default=None
        What the activations reach, for int8 products; None keeps them in float32.
    """

    def __init__(self, graph, module, n_channels, n_times, ranges=None):
        super().__init__(graph, module, n_channels, n_times)
        self.ranges = ranges

    def _attention(self, x, layer, name, rotation):
        # Three maps in place of one save a copy of all that is cut apart.
        weight, bias = self._query_key_value(layer)
        width = self.config.embed_dim
        x = self._rounded_input(x, layer, "qkv")
        query, key, value = (
            self._map(x, weight[part], bias[part], f"{name}_{title}")
            for title, part in (
                ("query", slice(0, width)),
                ("key", slice(width, 2 * width)),
                ("value", slice(2 * width, None)),
            )
        )
        return self._attend(query, key, value, layer, rotation)

    def _linear(self, x, weight, bias, layer, title):
        x = self._rounded_input(x, layer, title)
        return self._map(x, weight, bias, f"block{layer}_{title}")

    def _map(self, x, weight, bias, name):
        if self.ranges is None:
            return self.graph.linear(x, weight, bias, name)
        graph = self.graph
        largest = np.abs(weight).max(axis=1)
        scale = np.where(largest > 0, largest, 1.0) / _HIGHEST_WEIGHT
        levels = np.round(weight / scale[:, np.newaxis]).astype(np.int8)
        weight = graph.node(
            "DequantizeLinear",
            graph.constant(levels.T, f"{name}_levels"),
            graph.constant(scale, f"{name}_scale"),
            graph.constant(np.zeros(len(scale), np.int8), f"{name}_zero"),
            name=f"{name}_weight",
            axis=1,
        )
        product = graph.node("MatMul", x, weight, name=f"{name}_product")
        return graph.binary("Add", product, bias, name=name)

    def _rounded_input(self, x, layer, title):
        """Let a tensor pass through the 256 levels of its range."""
        if self.ranges is None:
            return x
        scale, zero = affine(*self.ranges.limits(layer, title))
        return self._through_levels(x, scale, zero, f"block{layer}_{title}")

    def _through_levels(self, x, scale, zero, name):
        graph = self.graph
        levels = [
            graph.constant(scale, f"{name}_step"),
            graph.constant(zero, f"{name}_zero"),
        ]
        x = graph.node("QuantizeLinear", x, *levels, name=f"{name}_rounded")
        return graph.node("DequantizeLinear", x, *levels, name=f"{name}_back")

    def _tables(self):
        """Return cosines and sines (N, h / 2) of all tokens, or None."""
        config = self.config
        if config.position == "none":
            return None
        positions = torch.arange(self.n_patches).repeat(self.n_channels)
        if config.position == "flat":
            positions = torch.arange(self.n_patches * self.n_channels)
        table = rotary_table(positions, config.head_dim, config.rotary_base).numpy()
        return table[..., 0], table[..., 1]

    def head(self, tokens, into):
        """Write the head upon tokens (B, N, D), or nothing if there is none."""
        head = self.module.model_head
        if head is None:
            return None
        if not isinstance(head, RegressionHead):
            return self.logits(tokens, into=into)
        if isinstance(head, MeanRegressionHead):
            shape = ()
        else:
            shape = (head.n_times_out or self.n_patches, 1)
        return self.graph.node("Identity", self.regressed(tokens, shape), into=into)


class OpenvinoWriter(_EngineWriter):
    """Attention that OpenVINO turns into one operation of its own, and so turns."""

    def _rotation(self):
        tables = self._tables()
        if tables is None:
            return None
        return [
            self.graph.constant(np.tile(table, 2)[np.newaxis, np.newaxis], name)
            for table, name in zip(tables, ("cosines", "sines"), strict=True)
        ]

    def _attend(self, query, key, value, layer, rotation):
        graph, n_heads = self.graph, self.config.n_heads
        query, key, value = (self._heads(x, n_heads) for x in (query, key, value))
        if rotation is not None:
            query, key = self._rotated(query, rotation), self._rotated(key, rotation)
        if self.ranges is not None:
            query, key = (
                self._signed_levels(x, layer, title)
                for x, title in ((query, "query"), (key, "key"))
            )
        key = graph.node("Transpose", key, perm=[0, 1, 3, 2])
        scores = graph.node("MatMul", query, key, name=f"block{layer}_scores")
        weights = graph.node("Softmax", scores, name=f"block{layer}_weights", axis=-1)
        mixed = graph.node("MatMul", weights, value, name=f"block{layer}_mixed")
        mixed = graph.node("Transpose", mixed, perm=[0, 2, 1, 3])
        return graph.reshape(mixed, 0, 0, self.config.embed_dim)

    def _rotated(self, x, rotation):
        """Turn x = (a, b): x cos + (-b, a) sin, the form in which OpenVINO sees it."""
        graph, half = self.graph, self.config.head_dim // 2
        cosines, sines = rotation
        a, b = graph.slice(x, 0, half), graph.slice(x, half, 2 * half)
        swapped = graph.node("Concat", graph.node("Neg", b), a, axis=-1)
        first, second = graph.node("Mul", x, cosines), graph.node("Mul", swapped, sines)
        return graph.node("Add", first, second, name="turned")

    def _signed_levels(self, x, layer, title):
        largest = self.ranges.limits(layer, title)[1]
        scale = np.float32(largest / _HIGHEST_SIGNED)
        return self._through_levels(x, scale, np.int8(0), f"block{layer}_{title}")


class OnnxruntimeWriter(_EngineWriter):
    """Attention and turning as operators of onnxruntime itself."""

    def _rotation(self):
        tables = self._tables()
        if tables is None:
            return None
        first = self.graph.constant(np.array([0], np.int64), "first_row")
        names = ("cosines", "sines")
        return [first, *map(self.graph.constant, tables, names)]

    def _attend(self, query, key, value, layer, rotation):
        def own(operator, *inputs, **options):
            options |= {"domain": "com.microsoft", "num_heads": self.config.n_heads}
            name = f"block{layer}_{operator}"
            return self.graph.node(operator, *inputs, name=name, **options)

        if rotation is not None:
            query, key = (own("RotaryEmbedding", x, *rotation) for x in (query, key))
        # The scale of the scores is in the queries already.
        return own("MultiHeadAttention", query, key, value, scale=1.0)


def write_network(writer, module, n_channels, n_times, ranges=None):
    """Write a network from scaled windows to its tokens and the output of its head.

    Parameters
    ----------
    writer : type
        :class:`OpenvinoWriter` or :class:`OnnxruntimeWriter`.
    module : TinyMyo
        The network.
    n_channels, n_times : int
        Shape of a window.
    ranges : ActivationRanges or None, default=None
        For int8 products.

    Returns
    -------
    data : bytes
        The graph: input ``windows`` (B, C, T), outputs ``tokens`` (B, C * P, D) of the
        complete patches and, with a head, ``head``.
    """
    from onnx import TensorProto, helper

    parts = GraphParts(_OPSET)
    graph = GraphWriter(parts, parts)
    network = writer(graph, module, n_channels, n_times, ranges)
    tokens = graph.node("Identity", network.tokens(INPUT), into="tokens")
    outputs = [tokens, network.head(tokens, "head")]
    shape = ["n_windows", n_channels, n_times]
    model = helper.make_model(
        helper.make_graph(
            parts.nodes,
            "tinymyo",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, None)
                for name in outputs
                if name is not None
            ],
            parts.constants,
        ),
        opset_imports=[
            helper.make_opsetid("", _OPSET),
            helper.make_opsetid("com.microsoft", 1),
        ],
        ir_version=_IR_VERSION,
        producer_name="sktinymyo",
    )
    return model.SerializeToString()
