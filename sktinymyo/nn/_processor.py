"""What this processor computes fast, and matrix products that make use of it.

Every answer depends on the processor's features alone, never on a timing, so
that two runs on one machine choose alike and give the same bits.
"""

import platform
import threading
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import torch

__all__ = ["bf16_is_fast", "fast_matmul", "micro_batch_size"]


@lru_cache(maxsize=1)
def _features():
    """Name and instruction sets of the processor, in lower case."""
    if hasattr(torch.cpu, "get_capabilities"):
        found = torch.cpu.get_capabilities()
        sets = {name for name, present in found.items() if present is True}
        return str(found.get("cpu_name", "")).lower(), sets
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else platform.processor()
    return text.lower(), set(text.lower().split())


def prefers_onednn():
    """Whether oneDNN multiplies float32 faster than MKL, torch's default.

    MKL keeps its best kernels for Intel's own processors: 150 GFLOP/s against
    140-160 of oneDNN on a Xeon, but 100-110 against 180-234 on a Zen 5.
    """
    name, _ = _features()
    return "amd" in name and torch.backends.mkldnn.is_available()


def bf16_is_fast(device="cpu"):
    """Tell whether a device multiplies bfloat16 faster than float32.

    Parameters
    ----------
    device : str or torch.device, default="cpu"
        Device to ask about.

    Returns
    -------
    bool
        True for a processor with the AVX512_BF16 or AMX instructions and for a
        CUDA device with bfloat16; False otherwise. Without such instructions
        bfloat16 is emulated, at a fifth of the speed of float32.

    Examples
    --------
    >>> from sktinymyo.nn import bf16_is_fast
    >>> bf16_is_fast("cpu") in (True, False)
    True
    """
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    if kind != "cpu":
        return False
    return bool(_features()[1] & {"avx512_bf16", "amx_bf16"})


@lru_cache(maxsize=1)
def _medium_is_exact():
    """Whether "medium" precision keeps float32's accuracy on this processor."""
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(256, 192, generator=generator, dtype=torch.float32)
    right = torch.randn(192, 768, generator=generator, dtype=torch.float32)
    exact = left.double() @ right.double()
    torch.set_float32_matmul_precision("medium")
    error = (left @ right - exact).abs().max() / exact.abs().max()
    return error.item() < 2e-6


_lock = threading.Lock()
_users = 0
_found = None


@contextmanager
def fast_matmul():
    """Multiply float32 matrices with the faster of torch's two libraries.

    Inside the context, torch's float32 matmul precision is ``"medium"`` where
    that is faster and still exact to float32 rounding (measured once against
    float64); elsewhere, and where the caller has chosen another precision than
    the default, nothing changes. The setting belongs to the whole process:
    other threads multiply with the same library meanwhile, to the same
    accuracy. It is put back when the last thread leaves.

    Yields
    ------
    None

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import fast_matmul
    >>> with fast_matmul():
    ...     product = torch.ones(2, 2) @ torch.ones(2, 2)
    >>> torch.get_float32_matmul_precision()
    'highest'
    """
    global _users, _found
    with _lock:
        if _users == 0:
            _found = torch.get_float32_matmul_precision()
            if prefers_onednn() and _found == "highest":
                try:
                    exact = _medium_is_exact()
                finally:
                    torch.set_float32_matmul_precision(_found)
                if exact:
                    torch.set_float32_matmul_precision("medium")
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and torch.get_float32_matmul_precision() != _found:
                torch.set_float32_matmul_precision(_found)


def micro_batch_size(n_channels, n_patches, *, n_tokens=1200):
    """Windows to compute in one call for the best speed on a processor.

    Larger calls spill out of the caches, smaller ones are bound by overhead.

    Parameters
    ----------
    n_channels, n_patches : int
        Size of a window in tokens.
    n_tokens : int, default=1200
        Tokens of one call to aim at; the best lies within about 640 and 1600.

    Returns
    -------
    int
        Number of windows, at least 1.

    Examples
    --------
    >>> from sktinymyo.nn import micro_batch_size
    >>> micro_batch_size(8, 10), micro_batch_size(16, 50)
    (15, 1)
    """
    return max(1, n_tokens // (n_channels * n_patches))
