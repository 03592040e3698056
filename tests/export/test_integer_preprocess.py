"""Float32 preprocessing against the transformers it stands for."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo import ChannelMapper, EMGFilter
from sktinymyo.exceptions import WindowsError
from sktinymyo.export._integer.preprocess import (
    StreamingPreprocess,
    preprocess_windows,
    quantise_input,
)
from sktinymyo.export._integer.program import Preprocess
from sktinymyo.export._pipeline import _Chain

from .programs import make_shape, random_program


def preprocess_of(*steps):
    """What the export makes of fitted transformers."""
    chain = _Chain([])
    for step in steps:
        chain.read("step", step)
    assert not chain.problems
    return SimpleNamespace(preprocess=chain.preprocess(None))


def recordings(n_windows=6, n_channels=3, n_times=300, offset=5.0, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_windows, n_channels, n_times))
    return (noise * rng.uniform(0.2, 3, (n_windows, 1, 1)) + offset).astype(np.float32)


@pytest.mark.parametrize("phase", ["causal", "zero"])
@pytest.mark.parametrize(
    "options",
    [
        {"sfreq": 2000},
        {"sfreq": 200, "h_freq": None},
        {"sfreq": 500, "h_freq": 200, "notch": (50, 60), "order": 2},
        {"sfreq": 1000, "l_freq": None, "notch": None},
    ],
)
def test_filter_agrees_with_the_transformer(phase, options):
    X = recordings()
    step = EMGFilter(phase=phase, **options).fit(X)
    found = preprocess_windows(preprocess_of(step), X)
    assert found.dtype == np.float32
    expected = step.transform(X.astype(np.float64))
    assert np.abs(found - expected).max() < 2e-5 * np.abs(X).max()


@pytest.mark.parametrize("n_times", [1, 2, 7])
def test_short_windows_are_padded_as_by_the_transformer(n_times):
    X = recordings(n_times=n_times)
    step = EMGFilter(2000).fit(X)
    found = preprocess_windows(preprocess_of(step), X)
    np.testing.assert_allclose(found, step.transform(X), atol=2e-5)


def test_two_causal_filters_and_a_map_agree_with_the_transformers():
    X = recordings()
    steps = [EMGFilter(2000, notch=None, phase="causal").fit(X)]
    steps += [ChannelMapper([2, 0, 5], missing="zero").fit(X)]
    steps += [EMGFilter(2000, None, None, notch=50, phase="causal").fit(X)]
    expected = X
    for step in steps:
        expected = step.transform(expected)
    found = preprocess_windows(preprocess_of(*steps), X)
    np.testing.assert_allclose(found, expected, atol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(0, 99))
def test_a_stream_in_any_blocks_equals_the_whole(lengths, seed):
    total = sum(lengths)
    record = recordings(1, 4, max(total, 1), seed=seed)[0][:, :total]
    steps = [EMGFilter(2000, phase="causal"), ChannelMapper([3, 1, 0, 0])]
    program = preprocess_of(*(step.fit(recordings(2, 4, 50)) for step in steps))
    stream = StreamingPreprocess(program)
    cuts = np.cumsum(lengths)[:-1]
    found = np.concatenate(
        [stream.push(block) for block in np.split(record, cuts, axis=1)], axis=1
    )
    if total:
        whole = preprocess_windows(program, record[np.newaxis])[0]
        np.testing.assert_array_equal(found, whole)
    stream.reset()
    np.testing.assert_array_equal(stream.push(record), found)


def test_a_long_stream_follows_the_float64_filter():
    record = recordings(1, 2, 20_000, offset=100.0)[0]
    step = EMGFilter(2000, phase="causal").fit(record[np.newaxis])
    found = StreamingPreprocess(preprocess_of(step)).push(record)
    expected = step.filter_recording(record.astype(np.float64))
    assert np.abs(found - expected).max() < 2e-5 * np.abs(record).max()


def test_quantised_input_rounds_to_even_and_clips():
    shape = make_shape(n_channels=1, n_times=20)
    program = random_program(shape)
    arrays = dict(program.arrays)
    arrays["input.scale"] = np.array([2.0], np.float32)
    arrays["input.offset"] = np.array([1.0], np.float32)
    program = replace(program, arrays=arrays)
    samples = np.array([[[0.25, 0.75, -0.25, 1e9, -1e9]]], dtype=np.float32)
    assert quantise_input(program, samples).tolist() == [[[2, 2, 0, 127, -128]]]


def test_impossible_samples_are_refused():
    X = recordings()
    program = preprocess_of(EMGFilter(2000).fit(X))
    with pytest.raises(ValueError, match="phase='zero' cannot be streamed"):
        StreamingPreprocess(program)
    with pytest.raises(WindowsError, match="shorter than the padding of 33"):
        preprocess_windows(program, X[:, :, :20])
    with pytest.raises(WindowsError, match="too large for float32"):
        preprocess_windows(program, np.full((1, 3, 60), 1e300))
    with pytest.raises(WindowsError, match=r"must be \(n_windows, 3, n_times\)"):
        preprocess_windows(program, X[:, :2])
    plain = SimpleNamespace(preprocess=Preprocess(n_channels_in=3))
    with pytest.raises(WindowsError, match=r"must be \(3, n_times\)"):
        StreamingPreprocess(plain).push(X[0, :2])
