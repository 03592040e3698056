"""From a float32 graph of a network to one whose matrices are int8."""

import re
from dataclasses import dataclass

import numpy as np

from ..engines._ranges import affine
from ..exceptions import UnsupportedStepError
from ._onnx_calibration import observe

__all__ = ["block_outputs", "quantize_graph"]

# Products with weights, and products of activations; the first map and the head stay in
# float32: of little cost, and all later error would start from them.
_LINEAR = re.compile(
    r"block\d+_(qkv|projection|hidden|mlp)_product\d*|convolution[1-9]\d*_map\d*"
)
_ATTENTION = re.compile(r"block\d+_(scores|mixed)\d*")
_BLOCK_OUTPUT = re.compile(r"(block|convolution)(\d+)_output\d*")
# Of the factors by which columns are evened out.
_LARGEST_FACTOR = 100.0


@dataclass
class _Linear:
    """A product x @ weight of the graph, or a convolution of x with a weight."""

    node: object
    x: str
    weight: np.ndarray

    @property
    def axis(self):
        """Axis of the outputs in the weight."""
        return 0 if self.node.op_type == "Conv" else 1


class _Graph:
    """Access to the parts of a graph by name."""

    def __init__(self, model):
        self.graph = model.graph
        self.constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self.producers = {
            name: node for node in model.graph.node for name in node.output
        }
        self.consumers = {}
        for node in model.graph.node:
            for name in node.input:
                self.consumers.setdefault(name, []).append(node)

    def matching(self, pattern):
        return [node for node in self.graph.node if pattern.fullmatch(node.name)]

    def value(self, name):
        from onnx import numpy_helper

        return numpy_helper.to_array(self.constants[name])

    def add_constant(self, values, name):
        from onnx import numpy_helper

        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self.graph.initializer.append(tensor)
        self.constants[name] = tensor
        return name

    def linear(self):
        """List the products with weights."""
        return [
            _Linear(node, node.input[0], self.value(node.input[1]))
            for node in self.matching(_LINEAR)
        ]

    def drop_unused_constants(self):
        used = {name for node in self.graph.node for name in node.input}
        kept = [tensor for tensor in self.graph.initializer if tensor.name in used]
        del self.graph.initializer[:]
        self.graph.initializer.extend(kept)


def block_outputs(model):
    """Return the names of the tensors after each block or convolution, in order."""
    return [
        node.output[0]
        for node in model.graph.node
        if _BLOCK_OUTPUT.fullmatch(node.name)
    ]


def quantize_graph(model, X, *, calibration, smooth, attention, reduce_range):
    """Return a copy of a graph with int8 weights and uint8 activations of its products.

    Parameters
    ----------
    model : onnx.ModelProto
        A graph with a network, in float32.
    X : ndarray of float32
        Windows for the ranges of the activations.
    calibration : {"percentile", "entropy", "mse"}
        How a range is chosen.
    smooth : float
        How far the columns of activations after a LayerNorm are evened out, 0 to 1.
    attention : bool
        Whether the products of queries, keys, weights and values are quantised too.
    reduce_range : bool
        Whether weights use 7 bits.

    Returns
    -------
    quantized : onnx.ModelProto

    Raises
    ------
    UnsupportedStepError
        If the graph has no products of a network.
    """
    import onnx

    quantized = onnx.ModelProto()
    quantized.CopyFrom(model)
    graph = _Graph(quantized)
    if not graph.matching(_LINEAR):
        raise UnsupportedStepError(
            "the graph has no TinyMyo network (or one without blocks) and no "
            "AllConvNetClassifier, and nothing "
            "else in it gains from int8; leave out quantize='int8'."
        )
    if smooth > 0:
        _even_out(quantized, graph, X, smooth)
    names = dict.fromkeys(linear.x for linear in graph.linear())
    if attention:
        names |= dict.fromkeys(
            name for node in graph.matching(_ATTENTION) for name in node.input
        )
    observed = observe(quantized, list(names), X)
    limits = {name: observed[name].limits(calibration) for name in names}
    for linear in graph.linear():
        _quantize_weight(graph, linear, limits, 63 if reduce_range else 127)
    for name in names:
        _quantize_activation(graph, name, limits[name], attention)
    graph.drop_unused_constants()
    _sort(quantized.graph)
    return quantized


def _even_out(model, graph, X, strength):
    """Divide columns after a LayerNorm, and multiply the rows that take them.

    The result stays the same; columns much larger than others no longer decide on the
    step of all (Xiao and others, "SmoothQuant", arXiv 2211.10438).
    """
    after_norm = [
        linear
        for linear in graph.linear()
        if graph.producers[linear.x].op_type == "LayerNormalization"
        and len(graph.consumers[linear.x]) == 1
    ]
    if not after_norm:
        return
    observed = observe(model, [linear.x for linear in after_norm], X)
    for linear in after_norm:
        of_x = observed[linear.x].largest
        of_weight = np.abs(linear.weight).max(axis=1)
        factor = of_x**strength / np.maximum(of_weight, 1e-8) ** (1 - strength)
        factor = np.where((of_x > 0) & (of_weight > 0), factor, 1.0)
        factor = factor / np.exp(np.log(factor).mean())
        factor = np.clip(factor, 1 / _LARGEST_FACTOR, _LARGEST_FACTOR)
        factor = factor.astype(np.float32)
        norm = graph.producers[linear.x]
        for i in (1, 2):
            values = graph.value(norm.input[i]) / factor
            name = f"{linear.x}_even_{i}"
            norm.input[i] = graph.add_constant(values, name)
        weight = linear.weight * factor[:, np.newaxis]
        name = f"{linear.node.input[1]}_{linear.x}_even"
        linear.node.input[1] = graph.add_constant(weight, name)


def _quantize_weight(graph, linear, limits, highest):
    """Store a weight as int8, symmetric, with one scale for each output."""
    others = tuple(axis for axis in range(linear.weight.ndim) if axis != linear.axis)
    largest = np.abs(linear.weight).max(axis=others)
    scale = (np.where(largest > 0, largest, 1.0) / highest).astype(np.float32)
    values = np.round(linear.weight / np.expand_dims(scale, others))
    values = np.clip(values, -highest, highest).astype(np.int8)
    name = f"{linear.node.output[0]}_weight"
    linear.node.input[1] = _dequantized(graph, values, scale, name, linear.axis)
    if linear.node.op_type == "Conv":
        # An integer convolution takes its bias in the scale of its sums.
        scale = scale * affine(*limits[linear.x])[0]
        bias = np.round(graph.value(linear.node.input[2]) / scale)
        bias = np.clip(bias, -(2**31), 2**31 - 128).astype(np.int32)
        name = f"{linear.node.output[0]}_bias"
        linear.node.input[2] = _dequantized(graph, bias, scale, name, 0)


def _dequantized(graph, values, scale, name, axis):
    """Add integers and the node that makes real numbers of them."""
    from onnx import helper

    node = helper.make_node(
        "DequantizeLinear",
        [
            graph.add_constant(values, f"{name}_{values.dtype}"),
            graph.add_constant(scale, f"{name}_scale"),
            graph.add_constant(np.zeros(len(scale), values.dtype), f"{name}_zero"),
        ],
        [name],
        name=f"{name}_dequantize",
        axis=axis,
    )
    graph.graph.node.append(node)
    return name


def _quantize_activation(graph, x, limits, attention):
    """Let the products that take x take its uint8 form."""
    from onnx import helper

    scale, zero = affine(*limits)
    parameters = [
        graph.add_constant(np.float32(scale), f"{x}_scale"),
        graph.add_constant(np.uint8(zero), f"{x}_zero"),
    ]
    quantized, back = f"{x}_uint8", f"{x}_back"
    graph.graph.node.extend(
        [
            helper.make_node("QuantizeLinear", [x, *parameters], [quantized]),
            helper.make_node("DequantizeLinear", [quantized, *parameters], [back]),
        ]
    )
    for node in graph.consumers[x]:
        wanted = _LINEAR.fullmatch(node.name)
        wanted = wanted or (attention and _ATTENTION.fullmatch(node.name))
        for i, name in enumerate(node.input):
            if wanted and name == x:
                node.input[i] = back


def _sort(graph):
    """Bring the nodes into an order in which every input exists."""
    known = {tensor.name for tensor in graph.initializer}
    known |= {value.name for value in graph.input} | {""}
    waiting, ordered = list(graph.node), []
    while waiting:
        later = []
        for node in waiting:
            if all(name in known for name in node.input):
                known.update(node.output)
                ordered.append(node)
            else:
                later.append(node)
        waiting = later
    del graph.node[:]
    graph.node.extend(ordered)
