"""The float network in the form that Deeploy, a compiler for GAP9, reads.

It takes a folder with ``network.onnx``, ``inputs.npz`` and ``outputs.npz``. Its target
for GAP9 knows neither quantised operators nor a mean over an axis, and static shapes
only: the graph is float32, for one window, pools by a product with a constant row, and
has GELU in the tanh form.
"""

import numpy as np

from ..._optional import import_optional
from ...engines._graph import GraphParts, GraphWriter
from ...engines._network import NetworkWriter
from .._onnx_images import write_maps

__all__ = ["deeploy_graph"]

OPSET = 20
_IR_VERSION = 9


class _Container(GraphParts):
    """Writes GELU in the form that Deeploy knows."""

    def add_node(self, operator, inputs, outputs, *, name, **attributes):
        if operator == "Gelu":
            attributes["approximate"] = "tanh"
        super().add_node(operator, inputs, outputs, name=name, **attributes)


def deeploy_graph(model):
    """Write the network of a pipeline, from scaled windows to logits.

    Parameters
    ----------
    model : ExportedModel or ExportedImages
        The pipeline; its filter, its scaling and its vote are not part of the graph.

    Returns
    -------
    graph : onnx.ModelProto
        Input ``input`` (1, n_channels, n_times), of images one image (1, 1, n_rows,
        n_columns); output ``logits`` (1, n_classes).

    Raises
    ------
    OptionalDependencyError
        If onnx is not installed.
    """
    onnx = import_optional("onnx", extra="export", purpose="the graph for Deeploy")
    from onnx import TensorProto, helper

    container = _Container(OPSET)
    graph = GraphWriter(container, container)
    if model.kind == "images":
        size = (1, 1, *model.cells.shape)
        embedding = write_maps(graph, "input", model.network)
    else:
        size = (1, model.n_channels, model.n_times)
        network = NetworkWriter(graph, model.encoder, *size[1:])
        embedding = network.pooled(network.tokens("input"), model.pooling)
    weight, bias = (
        array.astype(np.float32) for array in (model.head_weight, model.head_bias)
    )
    graph.linear(embedding, weight, bias, "head", into="logits")
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, size)
        for name, size in (
            ("input", size),
            ("logits", (1, len(weight))),
        )
    ]
    written = helper.make_model(
        helper.make_graph(
            container.nodes, "tinymyo", ends[:1], ends[1:], container.constants
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=_IR_VERSION,
        producer_name="sktinymyo",
    )
    written = _with_whole_shapes(written)
    onnx.checker.check_model(written, full_check=True)
    return written


def _with_whole_shapes(model):
    """Write the lengths that a Reshape keeps: compilers of static graphs want them."""
    from onnx import numpy_helper, shape_inference

    inferred = shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    sizes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in [*inferred.graph.value_info, *inferred.graph.output]
    }
    constants = {constant.name: constant for constant in inferred.graph.initializer}
    for node in inferred.graph.node:
        if node.op_type == "Reshape":
            whole = np.array(sizes[node.output[0]], dtype=np.int64)
            tensor = numpy_helper.from_array(whole, node.input[1])
            constants[node.input[1]].CopyFrom(tensor)
    return inferred
