import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sktinymyo.exceptions import WindowsError
from sktinymyo.signal import (
    design_filter,
    filter_block,
    filter_recording,
    filter_windows,
)


def decibel(sos, frequency, sfreq):
    _, response = signal.sosfreqz(sos, worN=np.atleast_1d(frequency), fs=sfreq)
    return 20 * np.log10(np.maximum(np.abs(response), 1e-15))


def amplitude_after(frequency, phase, **parameters):
    """Amplitude of a sine after filtering, away from the ends."""
    times = np.arange(20_000) / 2000
    sine = np.sin(2 * np.pi * frequency * times)[np.newaxis]
    filtered = filter_recording(sine, 2000, phase=phase, **parameters)
    return np.sqrt(2 * np.mean(filtered[:, 8000:12_000] ** 2))


def test_response_at_edges_and_notch():
    sos = design_filter(2000, 20, 450, notch=50, order=4)
    assert sos.shape == (5, 6)
    edges = design_filter(2000, 20, 450, notch=None)
    np.testing.assert_allclose(decibel(edges, [20, 450], 2000), -3.01, atol=0.01)
    assert decibel(sos, 50, 2000) < -100
    np.testing.assert_allclose(decibel(sos, [100, 200], 2000), 0, atol=0.02)
    # One octave below the edge a filter of order 4 attenuates by 24 dB.
    highpass = design_filter(2000, 20, None, notch=None)
    assert decibel(highpass, 10, 2000) == pytest.approx(-24.1, abs=0.1)


@pytest.mark.parametrize(("phase", "level"), [("causal", -3.01), ("zero", -6.02)])
def test_one_pass_or_two(phase, level):
    for frequency in (20, 450):
        amplitude = amplitude_after(frequency, phase, notch=None)
        assert 20 * np.log10(amplitude) == pytest.approx(level, abs=0.02)


@pytest.mark.parametrize("width", [None, 4.0])
def test_notch_width(width):
    sos = design_filter(1000, None, None, notch=60, notch_width=width)
    half = (60 / 30 if width is None else width) / 2
    # A notch is not quite symmetric about its centre on the frequency axis.
    around = decibel(sos, [60 - half, 60 + half], 1000)
    np.testing.assert_allclose(around, -3.01, atol=0.15)
    assert decibel(sos, 60, 1000) < -100


def test_harmonics_up_to_nyquist():
    sos = design_filter(400, None, None, notch=[50, 60], notch_harmonics=True)
    removed = [50, 60, 100, 120, 150, 180]  # 200 is the Nyquist frequency
    assert len(sos) == len(removed)
    assert (decibel(sos, removed, 400) < -100).all()
    # Multiples that coincide are removed once.
    sos = design_filter(400, None, None, notch=[50, 100], notch_harmonics=True)
    assert len(sos) == 3


def test_one_sided_and_nothing():
    highpass = design_filter(1000, 20, None, notch=None)
    lowpass = design_filter(1000, None, 100, notch=None)
    assert decibel(highpass, 400, 1000) == pytest.approx(0, abs=0.01)
    assert decibel(lowpass, 1, 1000) == pytest.approx(0, abs=0.01)
    X = np.random.default_rng(0).normal(size=(2, 3, 10))
    identity = design_filter(1000, None, None, notch=None)
    for phase in ("zero", "causal"):
        np.testing.assert_array_equal(filter_windows(X, identity, phase=phase), X)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"sfreq": 200}, r"sfreq=200 Hz; pass h_freq=90 \(below 100 Hz\) or"),
        ({"sfreq": 20, "l_freq": 9.5, "h_freq": 10}, "pass h_freq=None"),
        ({"sfreq": 2000, "l_freq": 500}, "l_freq=500 Hz must be smaller than"),
        ({"sfreq": 100, "l_freq": 60, "h_freq": None}, "l_freq=60 Hz is not below 50"),
        ({"sfreq": 100, "h_freq": None}, "notch=50 Hz is not below 50 Hz.*notch=None"),
        ({"sfreq": 0}, "sfreq must be"),
        ({"sfreq": 2000, "l_freq": 0}, "l_freq must be"),
        ({"sfreq": 2000, "notch": [50, -1]}, "notch must be"),
        ({"sfreq": 2000, "notch_width": 0}, "notch_width must be"),
        ({"sfreq": 2000, "order": 0}, "order must be"),
    ],
)
def test_parameters_refused(arguments, match):
    with pytest.raises(ValueError, match=match):
        design_filter(**arguments)


def test_types_refused():
    with pytest.raises(TypeError, match="notch"):
        design_filter(2000, notch="50")
    with pytest.raises(TypeError, match="notch_harmonics"):
        design_filter(2000, notch_harmonics="yes")
    with pytest.raises(ValueError, match="phase='both'"):
        filter_windows(np.zeros((1, 1, 5)), design_filter(2000), phase="both")
    with pytest.raises(ValueError, match="sos must have shape"):
        filter_windows(np.zeros((1, 1, 5)), np.zeros(6))
    with pytest.raises(WindowsError, match="real numbers"):
        filter_windows(np.zeros((1, 1, 5), complex), design_filter(2000))


@pytest.mark.parametrize(("sfreq", "l_freq"), [(2000, 20), (2000, 0.05), (30_000, 1)])
def test_agrees_with_scipy(sfreq, l_freq):
    sos = design_filter(sfreq, l_freq, 450)
    X = np.random.default_rng(0).normal(3, 1, size=(4, 3, 500))
    zero = filter_windows(X, sos)
    expected = signal.sosfiltfilt(sos, X)
    np.testing.assert_allclose(zero, expected, rtol=0, atol=1e-10)
    start = signal.sosfilt_zi(sos)[:, None, None, :] * X[..., :1]
    expected, _ = signal.sosfilt(sos, X, zi=start)
    causal = filter_windows(X, sos, phase="causal")
    np.testing.assert_allclose(causal, expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("n_times", [1, 2, 3, 33, 34])
@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_short_windows(n_times, phase):
    sos = design_filter(2000)
    X = np.random.default_rng(0).normal(size=(3, 2, n_times))
    filtered = filter_windows(X, sos, phase=phase)
    assert np.isfinite(filtered).all()
    if phase == "zero":
        padding = min(33, n_times - 1)
        expected = signal.sosfiltfilt(sos, X, padlen=padding)
        np.testing.assert_allclose(filtered, expected, atol=1e-10)


@pytest.mark.parametrize("phase", ["zero", "causal"])
def test_offset_vanishes_without_transient(phase):
    X = np.full((2, 2, 100), 1e4)
    for l_freq in (0.1, 20):
        filtered = filter_windows(X, design_filter(2000, l_freq, 450), phase=phase)
        assert np.abs(filtered).max() < 1e-4
    lowpass = design_filter(2000, None, 450)
    np.testing.assert_allclose(filter_windows(X, lowpass, phase=phase), X, rtol=1e-10)


def test_zero_phase_has_no_delay_and_is_symmetric_in_time():
    impulse = np.zeros((1, 2001))
    impulse[0, 1000] = 1
    response = filter_windows(impulse, design_filter(2000, notch=None))[0]
    assert response.argmax() == 1000
    np.testing.assert_allclose(response, response[::-1], atol=1e-6)


def test_memory_order_type_and_input():
    X = np.random.default_rng(0).normal(size=(40, 5, 100)).astype(np.float32)
    X.flags.writeable = False
    before = X.copy()
    sos = design_filter(2000)
    filtered = filter_windows(X, sos)
    assert filtered.dtype == np.float32
    assert filtered.flags.c_contiguous
    np.testing.assert_array_equal(X, before)
    strided = np.asfortranarray(X).transpose(0, 1, 2)[::2]
    np.testing.assert_array_equal(filter_windows(strided, sos), filtered[::2])
    # float32 samples are filtered in float64: only the result is rounded.
    exact = filter_windows(X.astype(np.float64), sos)
    np.testing.assert_allclose(filtered, exact, rtol=1e-6, atol=1e-7)
    assert filter_windows(X.astype(np.int16), sos).dtype == np.float32
    assert filter_windows(X[:0], sos).shape == (0, 5, 100)


def test_long_recording_equals_block_by_block(monkeypatch):
    from sktinymyo.signal import filters

    recording = np.random.default_rng(0).normal(size=(3, 5000))
    whole = filter_recording(recording, 2000)
    monkeypatch.setattr(filters, "BLOCK_ELEMENTS", 1)
    np.testing.assert_array_equal(filter_recording(recording, 2000), whole)


@pytest.mark.parametrize("bad", [np.zeros(5), np.full((2, 5), np.nan)])
def test_recording_refused(bad):
    with pytest.raises(WindowsError, match="recording"):
        filter_recording(bad, 2000)


def test_transposed_recording_draws_a_warning():
    recording = np.random.default_rng(0).normal(size=(6, 3000))
    message = (
        r"recording has the shape \(3000, 6\): 3000 channels of 6 samples\. The "
        r"expected order is \(n_channels, n_times\); pass recording\.T"
    )
    for turned in (recording.T, pd.DataFrame(recording.T)):
        with pytest.warns(UserWarning, match=message):
            filter_recording(turned, 2000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filter_recording(recording, 2000)
        filter_recording(recording[:, :6], 2000)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_blocks_equal_one_pass(data):
    n_times = data.draw(st.integers(1, 300), label="n_times")
    cuts = data.draw(st.lists(st.integers(0, n_times), max_size=6), label="cuts")
    dtype = data.draw(st.sampled_from([np.float32, np.float64]), label="dtype")
    sos = design_filter(
        2000, data.draw(st.sampled_from([None, 0.5, 20])), 450, notch=[50, 100]
    )
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    recording = rng.normal(2, 1, size=(3, n_times)).astype(dtype)
    whole = filter_windows(recording, sos, phase="causal")
    state, parts = None, []
    for block in np.split(recording, sorted(cuts), axis=1):
        filtered, state = filter_block(block, sos, state)
        parts.append(filtered)
    joined = np.concatenate(parts, axis=1)
    assert joined.dtype == dtype
    np.testing.assert_array_equal(joined, whole)


def test_block_state():
    sos = design_filter(2000)
    block = np.random.default_rng(0).normal(size=(2, 50))
    rest = np.zeros((len(sos), 2, 2))
    from_rest, _ = filter_block(block, sos, rest)
    np.testing.assert_allclose(from_rest, signal.sosfilt(sos, block), atol=1e-12)
    assert not rest.any()
    with pytest.raises(WindowsError, match="state has shape"):
        filter_block(block, sos, np.zeros((len(sos), 3, 2)))
    with pytest.raises(WindowsError, match="NaN"):
        filter_block(np.full((2, 5), np.nan), sos)
