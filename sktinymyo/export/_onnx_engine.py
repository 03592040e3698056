"""Prediction of a fitted estimator with onnxruntime in place of torch."""

import threading

import numpy as np
import torch

from .._validation import check_choice, check_number
from ._onnx_int8 import quantize_onnx, read_quantization
from ._onnx_session import make_session
from .onnx import read_report, to_onnx

__all__ = ["OnnxEngine"]

PRECISIONS = ("float32", "int8")
# Of one call on one thread: more leave the cache, fewer pay for the call.
_TOKENS_PER_CALL = 640
_N_SIMULATED = 8
_SEED = 0


class OnnxEngine:
    """Run the network of a fitted estimator with onnxruntime.

    The graph is built and compared with torch once, when it is first needed. Copies and
    pickles hold the settings and the int8 graph, but no session and no float32 graph,
    which is built again.

    Parameters
    ----------
    estimator : TinyMyoEmbedder, TinyMyoClassifier or TinyMyoRegressor
        Fitted.
    precision : {"float32", "int8"}, default="float32"
        Type of the linear maps.
    X_calib : array-like or None, default=None
        Real windows for "int8".
    n_threads : int or None, default=None
        Threads of one operator; None is torch's number.
    tolerance : float, default=1e-4
        Largest difference to torch in float32, as in :func:`to_onnx`.

    Attributes
    ----------
    report : ExportReport
        How well the float32 graph agrees with torch.
    quantization : QuantizationReport or None
        How well the int8 graph agrees with the float32 graph.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoEmbedder
    >>> from sktinymyo.export._onnx_engine import OnnxEngine
    >>> X = np.random.default_rng(0).normal(size=(8, 4, 100))
    >>> embedder = TinyMyoEmbedder("random", size="nano", random_state=0).fit(X)
    >>> outputs = OnnxEngine(embedder).run(X)
    >>> bool(np.abs(outputs - embedder.transform(X)).max() < 1e-5)
    True
    """

    def __init__(
        self,
        estimator,
        *,
        precision="float32",
        X_calib=None,
        n_threads=None,
        tolerance=1e-4,
    ):
        check_choice("precision", precision, PRECISIONS)
        check_number("n_threads", n_threads, minimum=1, integer=True, none_allowed=True)
        if precision == "int8" and X_calib is None:
            raise ValueError(
                "precision='int8' learns the ranges of the activations from real "
                "windows; pass a few hundred as X_calib=."
            )
        self.estimator = estimator
        self.precision = precision
        self.n_threads = n_threads
        self.tolerance = tolerance
        self._data = None
        self._forget_session()
        if precision == "int8":
            model = quantize_onnx(self._float_graph(), X_calib)
            self.quantization = read_quantization(model)
            self._data = model.SerializeToString()
        else:
            self.quantization = None

    def __getstate__(self):
        state = vars(self).copy()
        for name in ("_session", "_lock"):
            del state[name]
        return state

    def __setstate__(self, state):
        vars(self).update(state)
        self._forget_session()

    def _forget_session(self):
        self._session = None
        self._lock = threading.Lock()

    def _float_graph(self):
        """Build the graph, and compare it with the estimator."""
        options = {"raw_scores": True} if hasattr(self.estimator, "classes_") else None
        model = to_onnx(
            self.estimator,
            self._example_windows(),
            tolerance=self.tolerance,
            options=options,
        )
        self.report = read_report(model)
        return model

    def _example_windows(self):
        """Return noise of the strength that `fit` saw."""
        estimator = self.estimator
        shape = (_N_SIMULATED, estimator.n_channels_in_, estimator.n_times_in_)
        X = np.random.default_rng(_SEED).standard_normal(shape)
        if estimator.scale_mean_ is not None:
            X *= estimator.scale_std_[:, np.newaxis]
            X += estimator.scale_mean_[:, np.newaxis]
        return X.reshape(_N_SIMULATED, -1) if estimator.input_ndim_ == 2 else X

    def session(self):
        """Return the session, which is made at the first call."""
        with self._lock:
            if self._session is None:
                data = self._data
                if data is None:
                    data = self._float_graph().SerializeToString()
                n_threads = self.n_threads or torch.get_num_threads()
                self._session = make_session(data, n_threads)
        return self._session

    def run(self, X):
        """Return what the network makes of windows.

        Parameters
        ----------
        X : ndarray of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the form that the estimator was fitted on.

        Returns
        -------
        outputs : ndarray of float32
            The embedding, the logits (n_windows, n_classes), or the targets in their
            unit (those of one value a window as a column).
        """
        estimator = self.estimator
        session = self.session()
        n_patches = -(-estimator.n_times_in_ // estimator.config_.patch_size)
        step = max(1, _TOKENS_PER_CALL // (estimator.n_channels_in_ * n_patches))
        name = session.get_inputs()[0].name
        wanted = [session.get_outputs()[-1].name]
        return np.concatenate(
            [
                session.run(wanted, {name: X[at : at + step].astype(np.float32)})[0]
                for at in range(0, len(X), step)
            ]
        )
