"""Integer networks for images: the reference in numpy against plain arithmetic."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from sktinymyo.export._integer.arithmetic import requantise
from sktinymyo.export._integer.convolution import neighbours
from sktinymyo.export._integer.image_program import ConvolutionSize, ImageShape
from sktinymyo.export._integer.program import IntegerProgram
from sktinymyo.export._integer.reference import run_program
from sktinymyo.export._integer.votes import SCORE_UNIT, count_votes, vote_table

from .image_programs import image_shapes, make_image_shape, random_image_program
from .programs import random_input


@settings(max_examples=15, deadline=None)
@given(image_shapes(), st.integers(0, 99))
def test_convolutions_are_those_of_torch(shape, seed):
    program = random_image_program(shape, seed)
    arrays, windows = program.arrays, random_input(shape, 2, seed)
    scores, layers = run_program(program, windows, trace=True)
    assert list(layers) == shape.trace_names()
    maps, zero = layers["input"].astype(np.float64)[..., np.newaxis], None
    zero = float(arrays["input.zero"])
    for size in shape.convolutions:
        images = maps.reshape(-1, *size.grid_in, size.n_in).transpose(0, 3, 1, 2)
        kernel = arrays[f"{size.layer}.weight"].astype(np.float64)
        kernel = kernel.reshape(size.n_out, *size.kernel, size.n_in)
        sums = torch.nn.functional.conv2d(
            torch.from_numpy(images - zero),
            torch.from_numpy(kernel.transpose(0, 3, 1, 2).copy()),
            stride=size.stride,
            padding=size.padding,
        ).numpy()
        assert sums.shape[2:] == size.grid_out
        # The bias of the program holds the zero point of the input.
        bias = arrays[f"{size.layer}.bias"] + zero * kernel.sum(axis=(1, 2, 3))
        sums = (sums.transpose(0, 2, 3, 1) + bias).astype(np.int64)
        factor = arrays[f"{size.layer}.multiplier"], arrays[f"{size.layer}.shift"]
        zero = float(arrays[f"{size.layer}.zero"])
        expected = np.clip(requantise(sums, *factor) + int(zero), -128, 127)
        maps = layers[size.layer].astype(np.float64)
        np.testing.assert_array_equal(maps.reshape(expected.shape), expected)
    np.testing.assert_array_equal(scores, layers["vote"])


def test_samples_lie_where_the_cells_say():
    shape = make_image_shape(rows=3, columns=2, n_missing=2, n_times=4, n_voting=2)
    program = random_image_program(shape, 1)
    program.arrays["input.zero"][...] = 7
    cells = program.arrays["cells"] = np.array([[3, -1], [0, 2], [-1, 1]], np.int16)
    windows = random_input(shape, 5)
    _, layers = run_program(program, windows, trace=True)
    for time in (2, 3):
        for cell, channel in enumerate(cells.ravel()):
            expected = windows[:, channel, time] if channel >= 0 else 7
            assert (layers["input"][:, time - 2, cell] == expected).all()
    # What does not vote is not looked at.
    changed = windows.copy()
    changed[:, :, :2] = 0
    np.testing.assert_array_equal(
        run_program(program, changed), run_program(program, windows)
    )


def test_neighbours_of_a_single_row():
    (size,) = ImageShape(4, 1, 1, 1, 4, 2, (ConvolutionSize(2, 1, 5),)).convolutions
    rows = neighbours(size)
    assert rows.tolist() == [
        [4, 4, 0, 1, 2],
        [4, 0, 1, 2, 3],
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 4],
    ]


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 999))
def test_votes_are_those_of_the_estimator(n_voting, n_classes, seed):
    rng = np.random.default_rng(seed)
    real = rng.normal(0, 3, (6, n_voting, n_classes))
    logits = np.rint(real * 65536).astype(np.int32)
    scores = count_votes(logits, vote_table()) * SCORE_UNIT
    means = softmax(logits / 65536, axis=2).mean(axis=1)
    votes = (logits.argmax(axis=2)[:, :, None] == np.arange(n_classes)).sum(axis=1)
    expected = (votes + means) / (n_voting + 1) if n_voting > 1 else means
    np.testing.assert_allclose(scores, expected, atol=3e-3)
    # Never against a majority.
    most = votes.max(axis=1)
    rows = np.arange(len(votes))
    if n_voting > 1:
        assert (votes[rows, scores.argmax(axis=1)] == most).all()


def test_votes_of_extreme_logits_stay_in_range():
    ends = np.iinfo(np.int32)
    logits = np.full((1, 50_000, 3), ends.min, dtype=np.int32)
    logits[:, :, 1] = ends.max
    (scores,) = count_votes(logits, vote_table())
    assert scores.tolist() == [0, 2**30, 0]
    # Equal numbers of votes: the probabilities decide.
    logits = np.array([[[0, 9 * 65536], [65536, 0]]], dtype=np.int32)
    assert count_votes(logits, vote_table()).argmax() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_voting": 4}, "n_voting=4"),
        ({"n_channels": 21}, "cell of its own"),
        ({"layers": ()}, "layers is empty"),
    ],
)
def test_shapes_that_contradict_themselves_are_refused(changes, words):
    shape = make_image_shape()
    with pytest.raises(ValueError, match=words):
        ImageShape(**vars(shape) | changes)


@pytest.mark.parametrize("fields", [{"rows": 2}, {"n_out": 0}, {"row_stride": 1.5}])
def test_convolutions_that_are_none_are_refused(fields):
    with pytest.raises(ValueError, match=str(next(iter(fields.values())))):
        ConvolutionSize(**{"n_out": 3, "rows": 3, "columns": 3} | fields)


def test_a_program_without_its_cells_is_refused():
    program = random_image_program(make_image_shape())
    arrays = {k: v for k, v in program.arrays.items() if k != "cells"}
    with pytest.raises(ValueError, match=r"lacks the arrays \['cells'\]"):
        IntegerProgram(program.shape, arrays, program.preprocess)
