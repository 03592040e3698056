"""Between arrays and torch: devices, scaling, bounded batches, plain state."""

import copy
import hashlib
import threading
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from threadpoolctl import ThreadpoolController

from ._validation import check_choice
from .exceptions import WindowsError
from .nn import bf16_is_fast, micro_batch_size, pack

__all__ = [
    "ModuleRunner",
    "WindowScaler",
    "arrays_of_module",
    "digest_of_arrays",
    "enough_threads",
    "limited_threads",
    "load_arrays",
    "make_generator",
    "pool_tokens",
    "resolve_device",
    "resolve_precision",
    "rounding_of",
    "threads_worth",
    "windows_per_call",
]

PRECISIONS = ("auto", "float32", "bf16")

# A graphics processor is filled by many more tokens than the caches of a core hold.
_TOKENS_PER_CALL_ACCELERATOR = 65_536

_LEAST_TOKENS_PER_CALL = 16

# Multiplications of the widest linear map that are worth a thread: about 0.3 ms.
_PRODUCTS_PER_THREAD = 30_000_000

# Values read at once by the statistics: 32 MB in float64.
_VALUES_PER_CHUNK = 4_194_304


def resolve_device(device):
    """Return the torch device that a user's choice stands for.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda", "cuda:<k>", "mps"} or torch.device
        "auto" takes CUDA, then Apple's MPS, then the CPU.

    Returns
    -------
    device : torch.device

    Raises
    ------
    ValueError
        If the device is not known or not present on this machine.
    """
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda")
        if torch.backends.mps.is_available():
            return torch.device("mps")
        return torch.device("cpu")
    try:
        resolved = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(
            f"device={device!r} is not known; pass 'auto', 'cpu', 'cuda' or 'mps'."
        ) from error
    present = {
        "cpu": lambda: True,
        "cuda": lambda: (
            torch.cuda.is_available()
            and (resolved.index or 0) < torch.cuda.device_count()
        ),
        "mps": torch.backends.mps.is_available,
    }
    if resolved.type not in present or not present[resolved.type]():
        raise ValueError(
            f"device={device!r} was asked for but is not present on this machine; "
            "pass device='auto' or device='cpu'."
        )
    return resolved


def resolve_precision(precision, device, *, training):
    """Return "float32" or "bf16" for a user's choice of precision.

    "auto" is bf16 in training where the hardware computes with it, and float32
    in prediction, whose results then agree between machines.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision != "auto":
        return precision
    if not training:
        return "float32"
    return "bf16" if bf16_is_fast(device) else "float32"


def make_generator(seed, device="cpu"):
    """Return a generator of torch seeded with `seed`, apart from the global one."""
    return torch.Generator(device=device).manual_seed(int(seed))


def windows_per_call(n_channels, n_times, config, device, batch_size):
    """Windows that one forward pass should take, at most `batch_size`."""
    n_patches = max(-(-n_times // config.patch_size), 1)
    if device.type == "cpu":
        best = micro_batch_size(n_channels, n_patches)
    else:
        best = micro_batch_size(
            n_channels, n_patches, n_tokens=_TOKENS_PER_CALL_ACCELERATOR
        )
    return max(1, min(best, batch_size))


def _least_windows(n_channels, n_times, config):
    """Windows below which a forward pass is filled up with zeros.

    Matrix products of very few rows take other kernels, which round otherwise:
    a window would get another result alone than among others.
    """
    n_tokens = n_channels * max(-(-n_times // config.patch_size), 1)
    return -(-_LEAST_TOKENS_PER_CALL // n_tokens)


@lru_cache(maxsize=1)
def _openmp():
    """Return the control of torch's OpenMP threads."""
    return ThreadpoolController().select(user_api="openmp")


def enough_threads(n_tokens, config, device):
    """Let torch use as many threads of the processor as the work is worth.

    Threads that have little to do wait for one another: on a busy machine a
    small network took thirty times as long with four threads as with one. The
    number is never raised above the caller's. It is that of the calling thread
    alone, so that other threads do not notice.

    Parameters
    ----------
    n_tokens : int
        Tokens of one forward pass.
    config : TinyMyoConfig
        Shape of the encoder.
    device : torch.device
        Where the pass is computed; only the CPU is concerned.

    Returns
    -------
    context manager
        Puts the number back at its end.
    """
    return limited_threads(n_tokens * config.embed_dim * config.mlp_dim, device)


def limited_threads(n_products, device):
    """Let torch use as many threads as a number of multiplications is worth.

    Parameters
    ----------
    n_products : int
        Multiplications of the widest layer in one forward pass.
    device : torch.device
        Where the pass is computed; only the CPU is concerned.

    Returns
    -------
    context manager
        As from :func:`enough_threads`.
    """
    wanted = max(1, n_products // _PRODUCTS_PER_THREAD)
    if device.type != "cpu" or wanted >= torch.get_num_threads():
        return nullcontext()
    return _openmp().limit(limits=wanted)


def threads_worth(n_tokens, config):
    """Return how many threads a forward pass is worth, at most the caller's number."""
    work = n_tokens * config.embed_dim * config.mlp_dim
    return max(1, min(work // _PRODUCTS_PER_THREAD, torch.get_num_threads()))


@dataclass
class WindowScaler:
    """Bring the channels of windows to zero mean and unit standard deviation.

    Parameters
    ----------
    method : {"channel", "window"} or None
        "channel" uses the statistics learned by `fit`, "window" those of each
        window, None changes nothing.
    mean, std : ndarray of shape (n_channels,) or None
        Learned statistics of "channel".
    """

    method: str | None
    mean: np.ndarray | None = None
    std: np.ndarray | None = None

    def fit(self, X, sample_weight=None):
        """Learn mean and standard deviation of every channel, chunk by chunk."""
        if self.method != "channel":
            return self
        n_windows, n_channels, n_times = X.shape
        if sample_weight is None:
            weights = np.ones(n_windows)
        else:
            weights = np.asarray(sample_weight, dtype=np.float64)
        step = max(1, _VALUES_PER_CHUNK // (n_channels * n_times))
        total = weights.sum() * n_times
        chunks = [slice(at, at + step) for at in range(0, n_windows, step)]
        mean = np.zeros(n_channels)
        for chunk in chunks:
            sums = X[chunk].sum(axis=2, dtype=np.float64)
            mean += weights[chunk] @ sums
        mean /= total
        variance = np.zeros(n_channels)
        for chunk in chunks:
            centred = X[chunk] - mean[:, np.newaxis]
            variance += weights[chunk] @ np.einsum("nct,nct->nc", centred, centred)
        std = _usable(np.sqrt(variance / total), mean, X.dtype)
        self.mean, self.std = mean, std
        return self

    def statistics_of(self, X):
        """Return what windows are scaled by: mean and deviation, or (None, None)."""
        if self.method is None:
            return None, None
        if self.method == "channel":
            return self.mean[:, np.newaxis], self.std[:, np.newaxis]
        values = X.astype(np.float64)
        mean = values.mean(axis=2, keepdims=True)
        values -= mean
        std = values.std(axis=2, keepdims=True)
        return mean, _usable(std, mean, X.dtype)

    def to_tensor(self, X):
        """Return windows as a new float32 tensor, scaled; X is left as it is."""
        mean, std = self.statistics_of(X)
        if mean is not None:
            X = X.astype(np.float64)
            X -= mean
            X /= std
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = np.array(X, dtype=np.float32, order="C")
            finite = np.isfinite(scaled.sum(dtype=np.float64))
        if not finite:
            advice = "" if self.method == "channel" else ", or pass scale='channel'"
            raise WindowsError(
                f"X holds values that are too large for float32 after scaling with "
                f"scale={self.method!r}; the largest is {np.abs(X).max():.3g}. Look "
                f"for broken samples{advice}."
            )
        return torch.from_numpy(scaled)


def rounding_of(dtype):
    """Return the relative size of differences that are rounding, not signal.

    Half floats are how small files are made, not how signals are computed.
    """
    single = dtype.kind == "f" and dtype.itemsize <= 4
    return np.finfo(np.float32 if single else np.float64).eps


def _usable(std, mean, dtype):
    """Replace deviations that are nothing but rounding by one."""
    return np.where(std <= 10 * rounding_of(dtype) * np.abs(mean), 1.0, std)


class ModuleRunner:
    """Run a fitted module over any number of windows in bounded batches.

    The fast path is built at the first prediction and kept beside the module;
    several threads may predict at once.

    Parameters
    ----------
    module : TinyMyo
        The module; it is put into evaluation mode.
    scaler : WindowScaler
        Applied to every batch.
    """

    def __init__(self, module, scaler):
        self.module = module.eval().requires_grad_(False)
        self.scaler = scaler
        self._packed = {}
        # What others keep for as long as the module stays the same.
        self.kept = {}
        self._digest = None
        self._lock = threading.Lock()

    def digest(self):
        """Return the sha256 of the encoder's tensors, computed once."""
        with self._lock:
            if self._digest is None:
                arrays = arrays_of_module(self.module)
                self._digest = digest_of_arrays(
                    {
                        name: array
                        for name, array in arrays.items()
                        if not name.startswith("model_head.")
                    }
                )
        return self._digest

    def _callable(self, device, precision, method):
        """Return the function of windows to call on this device."""
        if device.type == "cpu":
            with self._lock:
                if precision not in self._packed:
                    module = self.module
                    if next(module.parameters()).device.type != "cpu":
                        module = copy.deepcopy(module).cpu()
                    self._packed[precision] = pack(module, precision=precision)
            fast = self._packed[precision]
            return fast.encode if method == "encode" else fast
        with self._lock:
            self.module.to(device)
        return self.module.encode if method == "encode" else self.module

    def run(self, X, *, device, precision, batch_size, method="head", finish=None):
        """Return the module's output of every window, one row a window.

        Parameters
        ----------
        X : ndarray of shape (n_windows, n_channels, n_times)
            Windows of any real type.
        device : torch.device
            Where to compute.
        precision : {"float32", "bf16"}
            Type of the matrix products.
        batch_size : int
            Most windows of one forward pass; fewer are taken where that is faster.
        method : {"head", "encode"}, default="head"
            Output of the head, or the tokens.
        finish : callable or None, default=None
            Applied to the output of every batch.

        Returns
        -------
        outputs : ndarray of float32, shape (n_windows, ...)
        """
        call = self._callable(device, precision, method)
        step = windows_per_call(*X.shape[1:], self.module.config, device, batch_size)
        least = _least_windows(*X.shape[1:], self.module.config)
        outputs = None
        cast = device.type != "cpu" and precision == "bf16"
        n_tokens = step * X.shape[1] * -(-X.shape[2] // self.module.config.patch_size)
        with (
            torch.inference_mode(),
            enough_threads(n_tokens, self.module.config, device),
        ):
            for start in range(0, len(X), step):
                batch = self.scaler.to_tensor(X[start : start + step])
                n_windows = len(batch)
                if n_windows < least:
                    padding = (0, 0, 0, 0, 0, least - n_windows)
                    batch = torch.nn.functional.pad(batch, padding)
                batch = batch.to(device)
                with torch.autocast(device.type, torch.bfloat16, enabled=cast):
                    output = call(batch)
                output = output.float() if finish is None else finish(output.float())
                output = output[:n_windows].cpu().numpy()
                if outputs is None:
                    outputs = np.empty((len(X), *output.shape[1:]), dtype=np.float32)
                outputs[start : start + step] = output
        return outputs


def pool_tokens(tokens, pooling, n_complete):
    """Pool tokens (B, C, P, D) to (B, C * D) or (B, D) over the complete patches."""
    means = tokens[:, :, :n_complete].mean(dim=2)
    return means.flatten(1) if pooling == "channel" else means.mean(dim=1)


def arrays_of_module(module):
    """Return the tensors of a module as a dictionary of numpy arrays (copies)."""
    return {
        name: tensor.detach().cpu().numpy().copy()
        for name, tensor in module.state_dict().items()
    }


def load_arrays(module, arrays):
    """Put arrays into the tensors of a module; the names must match exactly."""
    state = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    module.load_state_dict(state, strict=True)
    return module


def digest_of_arrays(arrays):
    """Return the sha256 of named arrays, independent of their order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name}{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
