"""Random integer programs for images, whose values neither vanish nor saturate."""

import numpy as np
from hypothesis import strategies as st

from sktinymyo.export._integer.arithmetic import multiplier_of
from sktinymyo.export._integer.image_program import ConvolutionSize, ImageShape
from sktinymyo.export._integer.program import IntegerProgram, Preprocess
from sktinymyo.export._integer.votes import vote_table

__all__ = ["image_shapes", "make_image_shape", "random_image_program"]

_INT8, _WEIGHT = 40.0, 40.0


def make_image_shape(
    rows=4,
    columns=5,
    n_missing=0,
    n_times=3,
    n_voting=None,
    width=4,
    n_classes=4,
    stride=(2, 2),
    kernel=(3, 3),
):
    """Sizes of a small program with layers of every kind."""
    layers = (
        ConvolutionSize(width, *kernel),
        ConvolutionSize(2 * width, *kernel, *stride),
        ConvolutionSize(3 * width + 1, *kernel),
        ConvolutionSize(2 * width, 1, 1),
    )
    return ImageShape(
        n_channels=rows * columns - n_missing,
        n_times=n_times,
        n_voting=n_voting or n_times,
        rows=rows,
        columns=columns,
        n_classes=n_classes,
        layers=layers,
    )


@st.composite
def image_shapes(draw):
    """Sizes of small programs of every kind."""
    rows, columns = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    n_times = draw(st.integers(1, 4))
    odd = st.sampled_from([1, 3, 3, 5])
    layers = [
        ConvolutionSize(
            draw(st.integers(1, 20)),
            draw(odd),
            draw(odd),
            draw(st.integers(1, 3)),
            draw(st.integers(1, 2)),
        )
        for _ in range(draw(st.integers(1, 4)))
    ]
    return ImageShape(
        n_channels=draw(st.integers(1, rows * columns)),
        n_times=n_times,
        n_voting=draw(st.integers(1, n_times)),
        rows=rows,
        columns=columns,
        n_classes=draw(st.integers(1, 12)),
        layers=tuple(layers),
    )


def random_image_program(shape, seed=0):
    """A program of this shape with random constants."""
    rng = np.random.default_rng(seed)
    cells = np.full(shape.n_cells, -1, dtype=np.int16)
    electrodes = rng.permutation(shape.n_channels)
    cells[rng.permutation(shape.n_cells)[: shape.n_channels]] = electrodes
    arrays = {
        "input.scale": rng.uniform(20, 40, shape.n_channels).astype("float32"),
        "input.offset": rng.uniform(-9, 9, shape.n_channels).astype("float32"),
        "input.zero": np.array(rng.integers(-9, 10), dtype=np.int32),
        "cells": cells.reshape(shape.rows, shape.columns),
        "exp_table": vote_table(),
    }
    spread_in, gain = _INT8, 2.0
    for layer in shape.convolutions:
        name = layer.layer
        spread = rng.uniform(0.6, 1.2, (layer.n_out, 1)) * _WEIGHT
        weight = np.rint(rng.normal(0, spread, (layer.n_out, layer.depth)))
        sums = spread[:, 0] * spread_in * np.sqrt(layer.depth)
        arrays[f"{name}.weight"] = np.clip(weight, -127, 127).astype(np.int8)
        bias = np.rint(rng.normal(0, 0.3, layer.n_out) * sums).astype(np.int32)
        arrays[f"{name}.bias"] = bias
        multiplier, shift = multiplier_of(gain * _INT8 / sums)
        arrays[f"{name}.multiplier"], arrays[f"{name}.shift"] = multiplier, shift
        # Not only the -128 of a ReLU.
        zero = int(rng.integers(-128, -40))
        arrays[f"{name}.zero"] = np.array(zero, dtype=np.int32)
        # Padding is the zero point, which need not be the mean of a map.
        spread_in = 70.0
    last = shape.convolutions[-1].cells_out
    arrays["pool.multiplier"], arrays["pool.shift"] = multiplier_of(60.0 / last)
    weight = np.rint(rng.normal(0, 40, (shape.n_classes, shape.n_pooled)))
    arrays["head.weight"] = np.clip(weight, -127, 127).astype(np.int8)
    sums = 40 * 3000 * np.sqrt(shape.n_pooled)
    bias = rng.normal(0, sums, shape.n_classes)
    arrays["head.bias"] = np.rint(bias).astype(np.int64)
    factor = 65536 * rng.uniform(0.5, 2, shape.n_classes) / sums
    arrays["head.multiplier"], arrays["head.shift"] = multiplier_of(factor, bits=20)
    preprocess = Preprocess(n_channels_in=shape.n_channels)
    return IntegerProgram(
        shape, arrays, preprocess, classes=list(range(shape.n_classes))
    )
