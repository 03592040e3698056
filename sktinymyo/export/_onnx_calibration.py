"""Ranges of the tensors of a graph, from windows that it will meet."""

from ..engines._ranges import Observed
from ._onnx_session import make_session

__all__ = ["CALIBRATIONS", "observe", "with_outputs"]

CALIBRATIONS = ("percentile", "entropy", "mse")
# Few, since all observed tensors of a batch are in memory together.
_WINDOWS_PER_CALL = 4


def with_outputs(model, names):
    """Return a copy of a graph whose outputs are these tensors."""
    import onnx

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    del copy.graph.output[:]
    copy.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    return copy


def observe(model, names, X):
    """Return what tensors hold when windows pass through a graph.

    Parameters
    ----------
    model : onnx.ModelProto
        The graph, in float32.
    names : list of str
        Tensors to look at.
    X : ndarray of float32
        Windows; they pass twice, first for the ranges.

    Returns
    -------
    observed : dict of str to Observed
    """
    session = make_session(with_outputs(model, names))
    source = session.get_inputs()[0].name
    observed = {name: Observed() for name in names}
    for see in ("see_range", "see_values"):
        for at in range(0, len(X), _WINDOWS_PER_CALL):
            batch = session.run(names, {source: X[at : at + _WINDOWS_PER_CALL]})
            for name, values in zip(names, batch, strict=True):
                getattr(observed[name], see)(values)
    return observed
