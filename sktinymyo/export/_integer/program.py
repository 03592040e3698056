"""The integer program: shapes, constants, and what stands before the network."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

__all__ = [
    "IntegerProgram",
    "Preprocess",
    "ProgramShape",
    "expected_arrays",
    "trace_names",
]

# The sum of squares of a LayerNorm, up to 2**30 * embed_dim**3, must fit 63 bits.
MOST_EMBED_DIM = 2000


@dataclass(frozen=True)
class ProgramShape:
    """Sizes of the program of an encoder.

    Parameters
    ----------
    n_channels : int
        Channels of the network, after a change of channels by the preprocessing.
    n_times : int
        Samples of a window; those after the last complete patch are cut off.
    patch_size : int
        Samples of a patch.
    n_patches : int
        Complete patches of a channel.
    embed_dim, n_heads, head_dim, mlp_dim, depth : int
        Sizes of the encoder.
    n_classes : int
        Rows of the head.
    pooling : {"channel", "mean"}
        Mean over the patches of each channel, or over all tokens.
    position : {"per-channel", "none", "flat"}
        How a token knows where it is.
    table_length : int
        Rows of the rotary table; token t uses row ``t % table_length``.
    """

    n_channels: int
    n_times: int
    patch_size: int
    n_patches: int
    embed_dim: int
    n_heads: int
    head_dim: int
    mlp_dim: int
    depth: int
    n_classes: int
    pooling: str = "channel"
    position: str = "per-channel"
    table_length: int = 1

    def __post_init__(self):
        """Refuse sizes that contradict one another."""
        if self.n_patches != self.n_times // self.patch_size or self.n_patches < 1:
            raise ValueError(
                f"n_patches={self.n_patches} is not the number of complete patches "
                f"of n_times={self.n_times} and patch_size={self.patch_size}; it "
                "must be their whole quotient, and at least 1."
            )
        if self.n_heads * self.head_dim != self.embed_dim or self.head_dim % 2:
            raise ValueError(
                f"n_heads={self.n_heads} x head_dim={self.head_dim} must be "
                f"embed_dim={self.embed_dim}, with an even head_dim."
            )
        if self.embed_dim > MOST_EMBED_DIM:
            raise ValueError(
                f"embed_dim={self.embed_dim} is too large for the sums of the integer "
                f"LayerNorm; it must be at most {MOST_EMBED_DIM}."
            )

    # Layer whose mean the head sees, and runs of the steps for one window.
    pooled_layer = "norm"
    n_runs = 1

    @property
    def n_tokens(self):
        """Tokens of a window, channel by channel."""
        return self.n_channels * self.n_patches

    @property
    def n_rows(self):
        """Rows of its matrices of activations, for a window."""
        return self.n_tokens

    @property
    def n_pooled(self):
        """Values that the head sees."""
        parts = self.n_channels if self.pooling == "channel" else 1
        return parts * self.embed_dim

    @property
    def words(self):
        """The network in a few words."""
        return f"{self.depth} blocks x {self.embed_dim}"

    def expected_arrays(self):
        """List type and shape of every constant, in order of use."""
        return _encoder_arrays(self)

    def trace_names(self):
        """List the layers of a trace, in order."""
        parts = ("norm1", "query", "key", "value", "attention", "projection")
        parts += ("norm2", "hidden", "output")
        blocks = [f"blocks.{k}.{part}" for k in range(self.depth) for part in parts]
        return ["input", "patch", *blocks, "norm", "pool", "head"]


@dataclass(frozen=True)
class Preprocess:
    """What is done to samples in float32 before they become integers.

    Channels are mapped first, then filtered. Scaling is part of the input's
    quantisation.

    Parameters
    ----------
    n_channels_in : int
        Channels of the recording.
    sfreq : float or None, default=None
        Sampling rate in Hz, if a step knows it.
    mapper : ndarray of float32, shape (n_channels, n_channels_in) or None
        Linear map of the channels; None passes them as they are.
    sos : ndarray of float32, shape (n_sections, 6) or None
        Second-order sections with ``a0 = 1``; None filters nothing.
    initial_state : ndarray of float32, shape (n_sections, 2) or None
        State that an endless constant 1 leaves in the sections.
    phase : {"causal", "zero"}, default="causal"
        Forwards only, or forwards and backwards over every window.
    pad_length : int, default=0
        Samples that "zero" adds at both ends of a window.
    """

    n_channels_in: int
    sfreq: float | None = None
    mapper: np.ndarray | None = None
    sos: np.ndarray | None = None
    initial_state: np.ndarray | None = None
    phase: str = "causal"
    pad_length: int = 0

    @property
    def n_channels(self):
        """Channels after the mapping."""
        return self.n_channels_in if self.mapper is None else len(self.mapper)


def expected_arrays(shape):
    """List the constants of a program of this shape, in order of their use.

    Parameters
    ----------
    shape : ProgramShape or ImageShape

    Returns
    -------
    arrays : dict of str to (dtype, tuple)
        Type and shape of every constant.
    """
    return shape.expected_arrays()


def _encoder_arrays(shape):
    width, hidden, n_channels = shape.embed_dim, shape.mlp_dim, shape.n_channels

    def linear(name, n_out, n_in):
        return {
            f"{name}.weight": ("int8", (n_out, n_in)),
            f"{name}.bias": ("int32", (n_out,)),
            f"{name}.multiplier": ("int32", (n_out,)),
            f"{name}.shift": ("int32", (n_out,)),
        }

    def norm(name):
        return {
            f"{name}.gain": ("int32", (width,)),
            f"{name}.offset": ("int64", (width,)),
            f"{name}.shift": ("int32", ()),
            f"{name}.zero": ("int32", ()),
            f"{name}.epsilon": ("uint64", ()),
        }

    def skip(name):
        return {
            f"{name}.skip_multiplier": ("int32", ()),
            f"{name}.skip_shift": ("int32", ()),
        }

    arrays = {
        "input.scale": ("float32", (n_channels,)),
        "input.offset": ("float32", (n_channels,)),
        "input.zero": ("int32", ()),
        **linear("patch", width, shape.patch_size),
        "channel_vectors": ("int16", (n_channels, width)),
        "rotation": ("int16", (shape.table_length, shape.head_dim // 2, 2)),
        "exp_table": ("uint8", (1024,)),
    }
    for number in range(shape.depth):
        name = f"blocks.{number}"
        arrays |= norm(f"{name}.norm1")
        for part in ("query", "key", "value"):
            arrays |= linear(f"{name}.{part}", width, width)
        for part in ("exp_multiplier", "exp_shift", "out_multiplier", "out_shift"):
            arrays[f"{name}.attention.{part}"] = ("int32", ())
        arrays |= linear(f"{name}.projection", width, width)
        arrays |= skip(f"{name}.projection")
        arrays |= norm(f"{name}.norm2")
        arrays |= linear(f"{name}.hidden", hidden, width)
        arrays[f"{name}.hidden.zero"] = ("int32", ())
        arrays[f"{name}.gelu"] = ("int8", (256,))
        arrays |= linear(f"{name}.output", width, hidden)
        arrays |= skip(f"{name}.output")
    arrays |= norm("norm")
    arrays["pool.multiplier"] = arrays["pool.shift"] = ("int32", ())
    arrays["head.weight"] = ("int8", (shape.n_classes, shape.n_pooled))
    arrays["head.bias"] = ("int64", (shape.n_classes,))
    arrays["head.multiplier"] = arrays["head.shift"] = ("int32", (shape.n_classes,))
    return arrays


def trace_names(shape):
    """List the layers whose results a trace holds, in order.

    Parameters
    ----------
    shape : ProgramShape or ImageShape

    Returns
    -------
    names : list of str
    """
    return shape.trace_names()


@dataclass(frozen=True)
class IntegerProgram:
    """A network in integers, with all that it needs to run.

    Parameters
    ----------
    shape : ProgramShape or ImageShape
        Sizes.
    arrays : dict of str to ndarray
        Constants, exactly those of :func:`expected_arrays`.
    preprocess : Preprocess
        What stands before the input's quantisation.
    scales : dict of str to float, default={}
        Real size of one step of every tensor of a trace, for reports;
        ``blocks.l.before`` is what goes into the GELU.
    zeros : dict of str to int, default={}
        Integer that stands for 0.0 in these tensors; 0 if not named.
    classes : list, default=[]
        Labels in the order of the logits.
    metadata : dict, default={}
        What is known of the origin.

    Raises
    ------
    ValueError
        If a constant is missing, unknown, or of another type or shape.
    """

    shape: ProgramShape
    arrays: Mapping
    preprocess: Preprocess
    scales: Mapping = field(default_factory=dict)
    zeros: Mapping = field(default_factory=dict)
    classes: list = field(default_factory=list)
    metadata: Mapping = field(default_factory=dict)

    def __post_init__(self):
        """Compare the constants with what the shape asks for."""
        expected = expected_arrays(self.shape)
        if self.arrays.keys() != expected.keys():
            missing = sorted(expected.keys() - self.arrays.keys())
            unknown = sorted(self.arrays.keys() - expected.keys())
            raise ValueError(
                f"the program lacks the arrays {missing} and has the unknown arrays "
                f"{unknown}; pass exactly those of expected_arrays(shape)."
            )
        for name, (dtype, size) in expected.items():
            array = self.arrays[name]
            if array.dtype != dtype or array.shape != size:
                raise ValueError(
                    f"the array {name!r} is {array.dtype} of shape {array.shape}; it "
                    f"must be {dtype} of shape {size}."
                )
        if self.preprocess.n_channels != self.shape.n_channels:
            raise ValueError(
                f"the preprocessing ends with {self.preprocess.n_channels} channels, "
                f"but the network has {self.shape.n_channels}; they must be equal."
            )

    def nbytes(self):
        """Return the bytes of all constants together."""
        return sum(array.nbytes for array in self.arrays.values())
