import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from sktinymyo.exceptions import WindowsError
from sktinymyo.signal import resample, resampling_ratio


@pytest.mark.parametrize(
    ("sfreq_in", "sfreq_out", "ratio"),
    [
        (200, 2000, (10, 1)),
        (2000, 200.0, (1, 10)),
        (2148.1481, 2000, (27, 29)),
        (1259.259, 2000, (27, 17)),
        (2048, 2000, (125, 128)),
        (1000, 689.06, (606, 880)),
        (500, 500, (1, 1)),
    ],
)
def test_ratio(sfreq_in, sfreq_out, ratio):
    up, down = resampling_ratio(sfreq_in, sfreq_out)
    assert min(up, down) <= 1000
    assert up / down * sfreq_in == pytest.approx(sfreq_out, rel=1e-6)
    if sfreq_out != 689.06:
        assert (up, down) == ratio


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 60), st.sampled_from([(200, 2000), (2000, 600), (1000, 999), (3, 2)])
)
def test_length_and_agreement_with_scipy(n_times, rates):
    up, down = resampling_ratio(*rates)
    X = np.random.default_rng(n_times).normal(size=(2, 3, n_times))
    resampled = resample(X, *rates)
    assert resampled.shape == (2, 3, int(np.ceil(n_times * up / down)))
    expected = signal.resample_poly(X, up, down, axis=-1, padtype="mean")
    np.testing.assert_allclose(resampled, expected, atol=1e-12)


@pytest.mark.parametrize("rates", [(1000, 2000), (2000, 500), (1259.259, 2000)])
def test_sine_is_kept(rates):
    sfreq_in, sfreq_out = rates
    times_in = np.arange(int(2 * sfreq_in)) / sfreq_in
    resampled = resample(np.sin(2 * np.pi * 40 * times_in), *rates)
    times_out = np.arange(len(resampled)) / sfreq_out
    inside = (times_out > 0.2) & (times_out < 1.8)
    expected = np.sin(2 * np.pi * 40 * times_out)
    assert np.abs(resampled - expected)[inside].max() < 3e-3


def test_frequencies_above_the_new_nyquist_are_removed():
    times = np.arange(4000) / 2000
    resampled = resample(np.sin(2 * np.pi * 700 * times), 2000, 500)
    assert np.abs(resampled[100:-100]).max() < 3e-3


def test_offset_and_ramp_survive_at_the_ends():
    constant = np.full((2, 50), 7.0)
    np.testing.assert_allclose(resample(constant, 1000, 300), 7, rtol=1e-12)
    ramp = np.arange(50.0)
    doubled = resample(ramp, 1000, 2000, padding="line")
    np.testing.assert_allclose(doubled[:99], np.arange(99) / 2, atol=0.05)


@pytest.mark.parametrize("padding", ["mean", "line", "constant"])
def test_type_blocks_and_input(padding, monkeypatch):
    from sktinymyo.signal import resampling

    X = np.random.default_rng(0).normal(size=(7, 3, 40)).astype(np.float32)
    X.flags.writeable = False
    resampled = resample(X, 1000, 300, padding=padding)
    assert resampled.dtype == np.float32
    exact = resample(X.astype(np.float64), 1000, 300, padding=padding)
    np.testing.assert_allclose(resampled, exact, atol=1e-5)
    monkeypatch.setattr(resampling, "BLOCK_ELEMENTS", 1)
    again = resample(X, 1000, 300, padding=padding)
    np.testing.assert_allclose(again, resampled, atol=1e-6)
    same = resample(X, 1000, 1000)
    assert not np.shares_memory(same, X)
    np.testing.assert_array_equal(same, X)


def test_refused():
    with pytest.raises(ValueError, match="sfreq_in must be"):
        resample(np.zeros((1, 5)), 0, 10)
    with pytest.raises(TypeError, match="sfreq_out must be"):
        resample(np.zeros((1, 5)), 10, "10")
    with pytest.raises(ValueError, match="padding="):
        resample(np.zeros((1, 5)), 10, 20, padding="edge")
    with pytest.raises(WindowsError, match="one sample"):
        resample(np.zeros((2, 0)), 10, 20)
