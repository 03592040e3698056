"""Running graphs with onnxruntime, their files, and what is stored in them."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from .._files import check_target_file, write_whole
from .._optional import import_optional
from ..engines._sessions import make_session

__all__ = [
    "INPUT",
    "check_path",
    "get_property",
    "load_model",
    "make_session",
    "run_graph",
    "set_property",
    "store_report",
    "stored_report",
    "write_model",
]

INPUT = "X"
_WINDOWS_PER_CALL = 32


def run_graph(session, X, outputs=None):
    """Return the outputs for windows, in batches of bounded size.

    Parameters
    ----------
    session : onnxruntime.InferenceSession
        From :func:`make_session`.
    X : array-like of shape (n_windows, ...)
        Windows; they become float32.
    outputs : list of str or None, default=None
        Which outputs; None is all.

    Returns
    -------
    results : list
        One array for each output, or a list of dictionaries where it is a map.
    """
    X = np.ascontiguousarray(X, dtype=np.float32)
    name = session.get_inputs()[0].name
    parts = [
        session.run(outputs, {name: X[at : at + _WINDOWS_PER_CALL]})
        for at in range(0, len(X), _WINDOWS_PER_CALL)
    ]
    return [_join(batches) for batches in zip(*parts, strict=True)]


def _join(batches):
    if isinstance(batches[0], list):
        return [row for batch in batches for row in batch]
    return np.concatenate(batches)


def check_path(path):
    """Return the target of a graph as a Path, refused before any work if it cannot be.

    Parameters
    ----------
    path : str or path
        A file that ends in .onnx, in a folder that exists.

    Returns
    -------
    path : Path

    Raises
    ------
    ValueError
        If the ending, the folder or the target is wrong.
    """
    return check_target_file(path, ".onnx")


def write_model(model, path):
    """Write a graph beside its target and rename it: the whole file or nothing."""
    write_whole(path, model.SerializeToString())


def get_property(model, key):
    """Return a text stored in a graph, or None."""
    return next((p.value for p in model.metadata_props if p.key == key), None)


def set_property(model, key, value):
    """Store a text in a graph, in place of an older one of that name."""
    entry = next((p for p in model.metadata_props if p.key == key), None)
    if entry is None:
        entry = model.metadata_props.add()
        entry.key = key
    entry.value = value


def store_report(model, key, report):
    """Store the fields of a dataclass in a graph."""
    set_property(model, key, json.dumps(asdict(report), sort_keys=True))


def stored_report(model, key, kind):
    """Return the dataclass stored in a graph, or None."""
    stored = get_property(model, key)
    if stored is None:
        return None
    try:
        return kind(**json.loads(stored))
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"the text {key!r} in the graph is damaged, or of another version "
            f"({error}); make the graph again with to_onnx."
        ) from error


def load_model(model):
    """Return a graph; a path is read.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    TypeError, ValueError
        If it is no graph.
    """
    onnx = import_optional("onnx", extra="export", purpose="reading a graph")
    if isinstance(model, onnx.ModelProto):
        return _with_input(model, "model")
    if not isinstance(model, (str, Path)):
        raise TypeError(
            "model must be what to_onnx returned, or the path of an .onnx file; got "
            f"{type(model).__name__}."
        )
    path = Path(model).expanduser()
    if not path.is_file():
        raise FileNotFoundError(f"model={str(model)!r}: there is no such file.")
    try:
        loaded = onnx.load(path)
    except Exception as error:  # of the parser, whose errors have no common class
        raise ValueError(
            f"model={str(model)!r} is not an ONNX file, or a damaged one ({error}); "
            "write it again with to_onnx(..., path=...)."
        ) from error
    return _with_input(loaded, f"model={str(model)!r}")


def _with_input(model, name):
    if not model.graph.input:
        raise ValueError(
            f"{name} holds no graph that takes windows; make it again with to_onnx."
        )
    return model
