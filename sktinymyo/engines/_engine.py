"""A network that another engine than torch computes, compared with torch."""

import numpy as np
import torch

from .._optional import import_optional
from .._torch import enough_threads, threads_worth
from ..exceptions import EngineError
from ..nn import micro_batch_size
from ._forms import OnnxruntimeWriter, OpenvinoWriter, write_network
from ._sessions import OnnxruntimeSession, OpenvinoSession

__all__ = ["Engine", "check_engine", "simulated_windows"]

ENGINES = ("torch", "onnxruntime", "openvino")
# Packages that an engine needs beside torch, and what it computes with.
_PACKAGES = {"onnxruntime": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
_PRECISIONS = {
    "torch": ("float32", "bf16"),
    "onnxruntime": ("float32", "int8"),
    "openvino": ("float32", "bf16", "int8"),
}
_WRITERS = {"onnxruntime": OnnxruntimeWriter, "openvino": OpenvinoWriter}
_SESSIONS = {"onnxruntime": OnnxruntimeSession, "openvino": OpenvinoSession}
# Fewer than torch likes: these engines lose less by a call.
_TOKENS_PER_CALL = 320
# With several threads, each of which needs work.
_MOST_TOKENS_PER_CALL = 1200
# float32 differs by rounding, 1e-6. What is rounded to 8 bits or to bf16 stays below
# 0.05 in all that was measured; a product that overflows is off by the whole scale.
_TOLERANCE = {"float32": 1e-4, "bf16": 0.2, "int8": 0.2}
_N_SIMULATED = 8
_SEED = 0


def check_engine(engine, precision, device):
    """Refuse combinations that cannot be computed, and packages that are missing.

    Parameters
    ----------
    engine : {"torch", "onnxruntime", "openvino"}
        What computes predictions.
    precision : {"auto", "float32", "bf16", "int8"}
        With what numbers.
    device : str or torch.device
        Where torch computes.

    Raises
    ------
    ValueError
        If the engine is unknown, or does not compute in this precision or place.
    OptionalDependencyError
        If a package of the engine is missing.
    """
    if engine not in ENGINES:
        raise ValueError(
            f"engine={engine!r} is not accepted; pass one of: "
            f"{', '.join(map(repr, ENGINES))}."
        )
    if precision != "auto" and precision not in _PRECISIONS[engine]:
        known = " or ".join(map(repr, _PRECISIONS[engine]))
        others = [repr(name) for name in ENGINES if precision in _PRECISIONS[name]]
        other_engine = f"engine={' or '.join(others)}, or " if others else ""
        raise ValueError(
            f"precision={precision!r} is not computed by engine={engine!r}; pass "
            f"{other_engine}precision={known}."
        )
    if engine == "torch":
        return
    if device != "auto" and torch.device(device).type != "cpu":
        raise ValueError(
            f"engine={engine!r} predicts on the processor, but device={device!r} asks "
            "for another place; pass device='auto' (training takes a graphics card "
            "where there is one) or device='cpu', or engine='torch'."
        )
    for package in _PACKAGES[engine]:
        import_optional(package, extra=engine, purpose=f"engine={engine!r}")


def simulated_windows(shape, mean, std):
    """Return noise with the mean and about the strength of each channel.

    Parameters
    ----------
    shape : tuple (n_channels, n_times)
        Of one window.
    mean, std : ndarray of shape (n_channels,)
        What the channels hold.

    Returns
    -------
    windows : ndarray of float64, shape (8, n_channels, n_times)
    """
    rng = np.random.default_rng(_SEED)
    strength = np.geomspace(0.3, 1.0, _N_SIMULATED)[:, np.newaxis, np.newaxis]
    noise = rng.standard_normal((_N_SIMULATED, *shape))
    return mean[:, np.newaxis] + std[:, np.newaxis] * strength * noise


class Engine:
    """Run a fitted network with onnxruntime or OpenVINO.

    Parameters
    ----------
    name : {"onnxruntime", "openvino"}
        The engine.
    precision : {"float32", "bf16", "int8"}
        With what numbers it computes.
    module : TinyMyo
        The network, which must not change any more.
    scaler : WindowScaler
        Applied to every batch.
    examples : ndarray of shape (n_windows, n_channels, n_times)
        Windows on which the result is compared with that of torch.
    ranges : ActivationRanges or None, default=None
        For "int8".
    batch_size : int or None, default=None
        Most windows of a call; fewer are taken where that is faster.

    Attributes
    ----------
    difference : float
        Largest difference to torch in float32 on the examples: of the tokens as a share
        of the largest value, of the output of the head the same, or as it is where that
        is below one.

    Raises
    ------
    EngineError
        If the difference is above 1e-4 ("float32") or 0.2 ("bf16", "int8").
    """

    def __init__(
        self, name, precision, module, scaler, examples, ranges=None, batch_size=None
    ):
        self.name, self.precision = name, precision
        self.scaler = scaler
        self.config = module.config
        shape = examples.shape[1:]
        n_patches = max(shape[1] // self.config.patch_size, 1)
        self._form = (shape[0], n_patches)
        n_tokens = min(
            _TOKENS_PER_CALL * torch.get_num_threads(),
            _MOST_TOKENS_PER_CALL,
        )
        best = micro_batch_size(shape[0], n_patches, n_tokens=n_tokens)
        self._step = min(best, batch_size or best)
        # A window alone is worth fewer threads than a full batch.
        n_threads = {
            n_windows: threads_worth(n_windows * shape[0] * n_patches, self.config)
            for n_windows in (1, self._step)
        }
        data = write_network(_WRITERS[name], module, *shape, ranges)
        options = {}
        if name == "openvino":
            # OpenVINO 2026.4 mixes up tokens and heads of equal number where it knows
            # both; windows of three tokens are cheap in any form.
            options["fixed"] = shape[0] * n_patches != self.config.n_heads
        self._session = _SESSIONS[name](data, precision, n_threads, **options)
        self.difference = self._compare(module, examples)

    def _compare(self, module, examples):
        """Return the largest difference to torch; refuse one that is a fault."""
        windows = self.scaler.to_tensor(examples)
        device = next(module.parameters()).device
        windows = windows.to(device)
        n_tokens = len(windows) * self._form[0] * self._form[1]
        # Full batches and a window alone, each of which may be compiled by itself.
        n_windows = -(-len(examples) // self._step) * self._step
        rows = np.arange(n_windows) % len(examples)
        difference = 0.0
        kinds = ("tokens",) if module.model_head is None else ("tokens", "head")
        for kind in kinds:
            with torch.inference_mode(), enough_threads(n_tokens, self.config, device):
                exact = module.encode(windows) if kind == "tokens" else module(windows)
            exact = exact.float().cpu().numpy()
            exact = exact[:, :, : self._form[1]] if kind == "tokens" else exact
            scale = float(np.abs(exact).max())
            scale = max(scale, 1.0) if kind == "head" else scale
            for part in (rows, rows[:1]):
                found = self.run(examples[part], kind).reshape(exact[part].shape)
                error = float(np.abs(found - exact[part]).max()) / scale
                difference = max(difference, error if np.isfinite(error) else np.inf)
        tolerance = _TOLERANCE[self.precision]
        if difference > tolerance:
            raise EngineError(
                f"engine={self.name!r} with precision={self.precision!r} differs from "
                f"torch by {difference:.2g} of the scale of the outputs, more than "
                f"{tolerance:g}, on this machine. Pass engine='torch', and report the "
                "processor and the versions of the packages."
            )
        return difference

    def run(self, X, kind, finish=None):
        """Return an output for every window.

        Parameters
        ----------
        X : ndarray of shape (n_windows, n_channels, n_times)
            Windows of any real type.
        kind : {"tokens", "head"}
            Tokens of the complete patches, (n_windows, n_channels, n_patches,
            embed_dim), or the output of the head.
        finish : callable or None, default=None
            Applied to the output of every batch as a tensor.

        Returns
        -------
        outputs : ndarray of float32, shape (n_windows, ...)
        """
        step = self._step
        outputs = None
        for start in range(0, len(X), step):
            output = self._call(X[start : start + step], kind)
            if kind == "tokens":
                output = output.reshape(len(output), *self._form, -1)
            if finish is not None:
                output = finish(torch.from_numpy(output)).numpy()
            if outputs is None:
                outputs = np.empty((len(X), *output.shape[1:]), dtype=np.float32)
            outputs[start : start + step] = output
        return outputs

    def _call(self, X, kind):
        """Compute one batch, filled up to a full one or window by window."""
        windows = self.scaler.to_tensor(X).numpy()
        n_windows, step = len(windows), self._step
        if n_windows == step:
            return self._session.run(windows, kind)
        if 2 * n_windows > step:
            full = np.zeros((step, *windows.shape[1:]), np.float32)
            full[:n_windows] = windows
            return self._session.run(full, kind)[:n_windows]
        return np.concatenate(
            [self._session.run(windows[i : i + 1], kind) for i in range(n_windows)]
        )
