"""Random integer programs, whose values neither vanish nor saturate."""

import numpy as np

from sktinymyo.export._integer.arithmetic import (
    exp_table,
    gelu_table,
    multiplier_of,
    rotation_table,
)
from sktinymyo.export._integer.program import IntegerProgram, Preprocess, ProgramShape

__all__ = ["make_shape", "random_input", "random_program"]

# Standard deviations that the layers aim at, in integer steps.
_INT8, _STREAM, _WEIGHT = 38.0, 4000.0, 40.0


def make_shape(
    n_channels=3,
    n_times=70,
    embed_dim=16,
    n_heads=2,
    mlp_dim=32,
    depth=2,
    n_classes=4,
    pooling="channel",
    position="per-channel",
    patch_size=20,
):
    """Sizes of a small program."""
    n_patches = n_times // patch_size
    length = {"per-channel": n_patches, "flat": n_channels * n_patches, "none": 1}
    return ProgramShape(
        n_channels=n_channels,
        n_times=n_times,
        patch_size=patch_size,
        n_patches=n_patches,
        embed_dim=embed_dim,
        n_heads=n_heads,
        head_dim=embed_dim // n_heads,
        mlp_dim=mlp_dim,
        depth=depth,
        n_classes=n_classes,
        pooling=pooling,
        position=position,
        table_length=length[position],
    )


def random_input(shape, n_windows, seed=0):
    """Windows of int8 noise, a few samples at the limits."""
    rng = np.random.default_rng(seed)
    size = (n_windows, shape.n_channels, shape.n_times)
    return np.clip(np.rint(rng.normal(0, 45, size)), -128, 127).astype(np.int8)


def random_program(shape, seed=0):
    """A program of this shape with random constants."""
    return _Maker(shape, np.random.default_rng(seed)).program()


class _Maker:
    def __init__(self, shape, rng):
        self.shape, self.rng, self.arrays = shape, rng, {}

    def program(self):
        shape, arrays, rng = self.shape, self.arrays, self.rng
        arrays["input.scale"] = rng.uniform(20, 40, shape.n_channels).astype("float32")
        arrays["input.offset"] = rng.uniform(-9, 9, shape.n_channels).astype("float32")
        arrays["input.zero"] = np.array(rng.integers(-9, 10), dtype=np.int32)
        self.linear("patch", shape.embed_dim, shape.patch_size, 45.0, _STREAM)
        vectors = rng.normal(0, _STREAM / 3, (shape.n_channels, shape.embed_dim))
        arrays["channel_vectors"] = np.rint(vectors).astype(np.int16)
        positions = np.arange(shape.table_length)
        base = 10000.0
        arrays["rotation"] = rotation_table(positions, shape.head_dim, base)
        arrays["exp_table"] = exp_table()
        for number in range(shape.depth):
            self.block(f"blocks.{number}")
        self.norm("norm")
        n_summed = shape.n_patches
        if shape.pooling == "mean":
            n_summed *= shape.n_channels
        self.factor("pool", 5000 / (_INT8 * np.sqrt(n_summed)))
        self.head()
        preprocess = Preprocess(n_channels_in=shape.n_channels)
        classes = list(range(shape.n_classes))
        return IntegerProgram(shape, arrays, preprocess, classes=classes)

    def factor(self, name, factor, prefix=""):
        multiplier, shift = multiplier_of(factor)
        separator = "_" if prefix else ""
        self.arrays[f"{name}.{prefix}{separator}multiplier"] = multiplier
        self.arrays[f"{name}.{prefix}{separator}shift"] = shift

    def linear(self, name, n_out, n_in, spread_in, spread_out):
        spread = self.rng.uniform(0.6, 1.2, (n_out, 1)) * _WEIGHT
        weight = np.rint(self.rng.normal(0, spread, (n_out, n_in)))
        sums = spread[:, 0] * spread_in * np.sqrt(n_in)
        self.arrays[f"{name}.weight"] = np.clip(weight, -127, 127).astype(np.int8)
        bias = self.rng.normal(0, 0.3, n_out) * sums
        self.arrays[f"{name}.bias"] = np.rint(bias).astype(np.int32)
        jitter = self.rng.uniform(0.7, 1.2, n_out)
        self.factor(name, spread_out * jitter / sums)

    def norm(self, name):
        width, shift = self.shape.embed_dim, int(self.rng.integers(20, 38))
        gain = self.rng.uniform(0.6, 1.2, width) * _INT8 / 4096
        offset = self.rng.normal(0, 8, width)
        self.arrays[f"{name}.gain"] = np.rint(gain * 2.0**shift).astype(np.int32)
        self.arrays[f"{name}.offset"] = np.rint(offset * 2.0**shift).astype(np.int64)
        self.arrays[f"{name}.shift"] = np.array(shift, dtype=np.int32)
        self.arrays[f"{name}.zero"] = np.array(self.rng.integers(-9, 9), dtype=np.int32)
        epsilon = int(self.rng.integers(0, 10_000_000))
        self.arrays[f"{name}.epsilon"] = np.array(epsilon, dtype=np.uint64)

    def block(self, name):
        shape, width = self.shape, self.shape.embed_dim
        self.norm(f"{name}.norm1")
        for part in ("query", "key"):
            self.linear(f"{name}.{part}", width, width, _INT8, 64 * _INT8)
        self.linear(f"{name}.value", width, width, _INT8, _INT8)
        spread_of_scores = np.sqrt(shape.head_dim) * _INT8**2
        self.factor(f"{name}.attention", 1.5 * 128 / spread_of_scores, "exp")
        # The mean of few values spreads less than they do.
        gain = min(np.sqrt(shape.n_tokens / 5 + 1), 1.6)
        self.factor(f"{name}.attention", gain / 256, "out")
        self.linear(f"{name}.projection", width, width, _INT8, _STREAM)
        self.factor(f"{name}.projection", self.rng.uniform(0.7, 0.99), "skip")
        self.norm(f"{name}.norm2")
        self.linear(f"{name}.hidden", shape.mlp_dim, width, _INT8, _INT8)
        zero = int(self.rng.integers(-20, 20))
        self.arrays[f"{name}.hidden.zero"] = np.array(zero, dtype=np.int32)
        self.arrays[f"{name}.gelu"] = gelu_table(0.03, zero, 0.012, -100)
        self.linear(f"{name}.output", width, shape.mlp_dim, 60.0, _STREAM)
        self.factor(f"{name}.output", self.rng.uniform(0.7, 0.99), "skip")

    def head(self):
        shape, arrays = self.shape, self.arrays
        weight = np.rint(self.rng.normal(0, 40, (shape.n_classes, shape.n_pooled)))
        arrays["head.weight"] = np.clip(weight, -127, 127).astype(np.int8)
        sums = 40 * 5000 * np.sqrt(shape.n_pooled)
        bias = self.rng.normal(0, sums, shape.n_classes)
        arrays["head.bias"] = np.rint(bias).astype(np.int64)
        multiplier, shift = multiplier_of(
            65536 * self.rng.uniform(1, 3, shape.n_classes) / sums, bits=20
        )
        arrays["head.multiplier"], arrays["head.shift"] = multiplier, shift
