"""Graphs made ready to run."""

from .._optional import import_optional

__all__ = ["make_session"]


def make_session(model, n_threads=None, *, extra="export"):
    """Return a session of onnxruntime on the processor.

    Parameters
    ----------
    model : onnx.ModelProto or bytes
        The graph.
    n_threads : int or None, default=None
        Threads of one operator; None is one for each core.
    extra : str, default="export"
        Extra that is named where onnxruntime is missing.

    Returns
    -------
    session : onnxruntime.InferenceSession
    """
    runtime = import_optional("onnxruntime", extra=extra, purpose="running a graph")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 0 if n_threads is None else n_threads
    # Threads that wait for work in a loop slow down everything else on the machine.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    data = model if isinstance(model, bytes) else model.SerializeToString()
    return runtime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
