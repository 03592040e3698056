"""Writing ONNX operators one after the other, into a container of skl2onnx or alone."""

from collections import Counter

import numpy as np

__all__ = ["LOWEST_OPSET", "HIGHEST_OPSET", "GraphParts", "GraphWriter"]

# 18 is the first in which axes are inputs everywhere, 22 the last that skl2onnx writes.
LOWEST_OPSET, HIGHEST_OPSET = 18, 22
_EPSILON = float(np.finfo(np.float32).eps)


class GraphParts:
    """Take nodes and constants where skl2onnx is not at hand.

    It is both the scope and the container of a :class:`GraphWriter`.

    Parameters
    ----------
    target_opset : int, default=20
        Version of the operators.
    """

    def __init__(self, target_opset=20):
        self.target_opset = target_opset
        self.nodes, self.constants, self._seen = [], [], Counter()

    def get_unique_variable_name(self, name):
        """Return a name that occurs once."""
        self._seen[name] += 1
        return f"{name}_{self._seen[name]}"

    def get_unique_operator_name(self, name):
        """Return a name of an operator that occurs once."""
        return self.get_unique_variable_name(f"{name}_node")

    def add_node(self, operator, inputs, outputs, *, name, **attributes):
        """Take one operator."""
        from onnx import helper

        node = helper.make_node(operator, inputs, outputs, name=name, **attributes)
        self.nodes.append(node)

    def add_initializer(self, name, _type, _shape, tensor):
        """Take one constant."""
        self.constants.append(tensor)


class GraphWriter:
    """Add operators and constants to a graph by calling functions.

    Parameters
    ----------
    scope : skl2onnx.common._topology.Scope
        Gives names that occur once.
    container : skl2onnx.common._container.ModelComponentContainer
        Takes the operators and constants.

    Raises
    ------
    ValueError
        If the container writes an opset that lacks operators needed here.
    """

    def __init__(self, scope, container):
        self._scope, self._container = scope, container
        self.opset = container.target_opset
        if self.opset < LOWEST_OPSET:
            raise ValueError(
                f"target_opset={self.opset} is not accepted; pass {LOWEST_OPSET} to "
                f"{HIGHEST_OPSET}."
            )

    def node(self, operator, *inputs, name=None, outputs=1, into=None, **attributes):
        """Add one operator.

        Parameters
        ----------
        operator : str
            Its type, of the main domain.
        *inputs : str
            Names of its inputs.
        name : str or None, default=None
            Start of the names of node and output; None is `operator`.
        outputs : int, default=1
            Number of outputs.
        into : str or None, default=None
            Name of the output, for the end of a graph; None makes one.
        **attributes
            Attributes of the operator.

        Returns
        -------
        output : str or list of str
            Name of the output, or names if there are several.
        """
        name = operator if name is None else name
        if into is None:
            names = [self._scope.get_unique_variable_name(name) for _ in range(outputs)]
        else:
            names = [into]
        self._container.add_node(
            operator,
            list(inputs),
            names,
            name=self._scope.get_unique_operator_name(name),
            **attributes,
        )
        return names[0] if outputs == 1 else names

    def constant(self, values, name="constant"):
        """Add a constant and return its name; real numbers become float32."""
        from onnx import numpy_helper

        values = np.asarray(values)
        if values.dtype.kind == "f":
            values = values.astype(np.float32)
        elif values.dtype.kind in "USO":
            values = values.astype(object)
        if values.dtype == object:
            return self._text_constant(values, name)
        name = self._scope.get_unique_variable_name(name)
        tensor = numpy_helper.from_array(np.ascontiguousarray(values), name)
        self._container.add_initializer(name, None, None, tensor)
        return name

    def _text_constant(self, values, name):
        from onnx import TensorProto

        name = self._scope.get_unique_variable_name(name)
        texts = [text.encode() for text in values.ravel()]
        self._container.add_initializer(name, TensorProto.STRING, values.shape, texts)
        return name

    # -- what several graphs need ----------------------------------------------

    def reshape(self, x, *shape, into=None):
        """Reshape; 0 keeps an axis, such as the first one, of any length."""
        shape = self.constant(np.array(shape, np.int64), "shape")
        return self.node("Reshape", x, shape, into=into)

    def slice(self, x, start, stop, axis=-1):
        """Cut one axis."""
        ends = [
            self.constant(np.array([n], np.int64), "slice") for n in (start, stop, axis)
        ]
        return self.node("Slice", x, *ends)

    def split(self, x, lengths, axis, name):
        """Cut one axis into parts of these lengths."""
        parts = self.constant(np.array(lengths, np.int64), "parts")
        return self.node("Split", x, parts, name=name, outputs=len(lengths), axis=axis)

    def reduce(self, kind, x, axis=-1, keepdims=True):
        """Reduce one axis: kind is Mean, Sum, Min or Max."""
        axes = self.constant(np.array([axis], np.int64), "axes")
        return self.node(f"Reduce{kind}", x, axes, keepdims=int(keepdims))

    def binary(self, operator, x, value, name=None):
        """Apply an operator of two arguments to a tensor and a constant."""
        return self.node(operator, x, self.constant(value), name=name)

    def linear(self, x, weight, bias, name, into=None):
        """Multiply the last axis by a weight (n_out, n_in) and add a bias."""
        weight = self.constant(np.asarray(weight).T, f"{name}_weight")
        product = self.node("MatMul", x, weight, name=f"{name}_product")
        bias = self.constant(bias, f"{name}_bias")
        return self.node("Add", product, bias, name=name, into=into)

    def gelu(self, x, name):
        """Exact GELU: one operator from opset 20 on, five before."""
        if self.opset >= 20:
            return self.node("Gelu", x, name=name)
        error = self.node("Erf", self.binary("Mul", x, np.float32(0.5**0.5)))
        half = self.binary("Mul", x, np.float32(0.5))
        return self.node(
            "Mul", half, self.binary("Add", error, np.float32(1)), name=name
        )

    def silu(self, x, name):
        """Multiply x with its sigmoid."""
        return self.node("Mul", x, self.node("Sigmoid", x), name=name)

    def subtract_center(self, x, center, scale):
        """Subtract constants from x; their digits beyond float32 where they matter.

        Parameters
        ----------
        x : str
            Tensor.
        center : ndarray of float64
            What is subtracted.
        scale : ndarray of float64
            Size of what is left. Where the center is larger, its rounding to
            float32 would show.

        Returns
        -------
        output : str
        """
        rounded = center.astype(np.float32)
        x = self.binary("Sub", x, rounded, name="centred")
        rest = center - rounded
        if np.any(np.abs(center) > scale) and np.any(rest):
            x = self.binary("Sub", x, rest, name="centred")
        return x

    def subtract_mean(self, x):
        """Return x without its mean over time, and the mean.

        Twice, since the mean of a large offset is rounded.
        """
        first = self.reduce("Mean", x)
        x = self.node("Sub", x, first, name="centred")
        second = self.reduce("Mean", x)
        x = self.node("Sub", x, second, name="centred")
        return x, self.node("Add", first, second, name="mean")

    def where_zero(self, x, limit):
        """Replace a scale by one where it is not above a limit (a tensor)."""
        too_small = self.node("LessOrEqual", x, limit)
        return self.node("Where", too_small, self.constant(np.float32(1)), x)

    def standardise(self, x):
        """Bring each channel of each window to zero mean and unit deviation."""
        x, mean = self.subtract_mean(x)
        variance = self.reduce("Mean", self.node("Mul", x, x))
        deviation = self.node("Sqrt", variance, name="deviation")
        rounding = self.binary("Mul", self.node("Abs", mean), np.float32(10 * _EPSILON))
        return self.node("Div", x, self.where_zero(deviation, rounding), name="scaled")
