"""Graphs made ready to run."""

import threading

import numpy as np

from .._optional import import_optional
from ._forms import INPUT

__all__ = ["OnnxruntimeSession", "OpenvinoSession", "make_session"]


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


class OnnxruntimeSession:
    """Run a graph of :func:`write_network` with onnxruntime.

    Parameters
    ----------
    data : bytes
        The graph.
    precision : {"float32", "int8"}
        What it was written for.
    n_threads : dict of int to int
        Threads for each number of windows in a call; the most are taken always.
    """

    def __init__(self, data, precision, n_threads):
        self._session = make_session(data, max(n_threads.values()), extra="onnxruntime")

    def run(self, windows, output):
        """Return one output for scaled windows (B, C, T), in one call."""
        return self._session.run([output], {INPUT: windows})[0]


class OpenvinoSession:
    """Run a graph of :func:`write_network` with OpenVINO.

    It is compiled once for each number of windows in a call: with fixed shapes
    OpenVINO plans all memory beforehand and joins more operations.

    Parameters
    ----------
    data : bytes
        The graph.
    precision : {"float32", "bf16", "int8"}
        What it was written for.
    n_threads : dict of int to int
        Threads for each number of windows in a call.
    fixed : bool, default=True
        Whether it is compiled for fixed shapes.
    """

    def __init__(self, data, precision, n_threads, *, fixed=True):
        openvino = import_optional(
            "openvino", extra="openvino", purpose="engine='openvino'"
        )
        self._core = openvino.Core()
        self._data = data
        self._fixed = fixed
        self._n_threads = n_threads
        self._options = {
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
            "ENABLE_CPU_PINNING": False,
            "INFERENCE_PRECISION_HINT": self._precision_of_floats(precision),
        }
        self._compiled = {}
        self._idle = {}
        self._lock = threading.Lock()

    def _precision_of_floats(self, precision):
        """Return the type of what is not int8.

        Processors without instructions for bf16 take float32: OpenVINO would imitate
        the instructions, forty times as slowly.
        """
        known = self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return "bf16" if precision != "float32" and "BF16" in known else "f32"

    def run(self, windows, output):
        """Return one output for scaled windows (B, C, T), in one call."""
        shape = windows.shape if self._fixed else None
        request = self._take_request(shape)
        try:
            request.infer({INPUT: windows}, share_inputs=True)
            return np.array(request.get_tensor(output).data, dtype=np.float32)
        finally:
            self._idle[shape].append(request)

    def _take_request(self, shape):
        """Return a request that no other thread uses."""
        with self._lock:
            if shape not in self._compiled:
                model = self._core.read_model(self._data)
                if shape is not None:
                    model.reshape(list(shape))
                n_windows = max(self._n_threads) if shape is None else shape[0]
                threads = {"INFERENCE_NUM_THREADS": self._n_threads[n_windows]}
                self._compiled[shape] = self._core.compile_model(
                    model, "CPU", self._options | threads
                )
                self._idle[shape] = []
            idle = self._idle[shape]
            return idle.pop() if idle else self._compiled[shape].create_infer_request()
