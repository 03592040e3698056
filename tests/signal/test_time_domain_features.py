"""Features against plain loops over the published formulas."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sktinymyo.exceptions import WindowsError
from sktinymyo.signal import FEATURE_GROUPS, extract_features, resolve_features
from sktinymyo.signal.features import FEATURES

RNG = np.random.default_rng(0)


def variance(x):
    mean = math.fsum(x) / len(x)
    return math.fsum((v - mean) ** 2 for v in x) / len(x)


def differences(x):
    return [b - a for a, b in zip(x[:-1], x[1:], strict=True)]


def mobility(x):
    return math.sqrt(variance(differences(x)) / variance(x))


def second_l_moment(x):
    """Half the mean difference of two samples drawn without replacement."""
    n = len(x)
    pairs = math.fsum(abs(x[i] - x[j]) for i in range(n) for j in range(i))
    return pairs / (n * (n - 1) / 2) / 2


def descriptors(x):
    """Logarithms of the TDPSD descriptors of one signal."""
    n = len(x) - 1
    d1 = differences(x)
    d2 = differences(d1)

    def normalise(moment):
        return moment**0.1 / 0.1

    m0 = normalise(math.sqrt(math.fsum(v * v for v in x)) / n)
    m2 = normalise(math.sqrt(math.fsum(v * v for v in d1) / n))
    m4 = normalise(math.sqrt(math.fsum(v * v for v in d2) / n))
    return {
        "m0": math.log(m0),
        "m2": math.log(abs(m0 - m2)),
        "m4": math.log(abs(m0 - m4)),
        "sparsi": math.log(math.sqrt(abs((m0 - m2) * (m0 - m4))) / m0),
        "irf": math.log(m2 / math.sqrt(m0 * m4)),
        "wlf": math.log(math.sqrt(math.fsum(map(abs, d1)) / math.fsum(map(abs, d2)))),
    }


def similarity(name):
    def feature(x):
        a = descriptors(x)[name]
        b = descriptors([math.log(v * v + 2.0**-52) for v in x])[name]
        return -2 * a * b / (a * a + b * b)

    return feature


def crossings(x, threshold=0.0):
    pairs = zip(x[:-1], x[1:], strict=True)
    return sum(a * b < 0 and abs(a - b) >= threshold for a, b in pairs)


def slope_changes(x, threshold=0.0):
    count = 0
    for before, here, after in zip(x[:-2], x[1:-1], x[2:], strict=True):
        turns = (here > before and here > after) or (here < before and here < after)
        large = abs(here - before) >= threshold or abs(here - after) >= threshold
        count += turns and large
    return count


REFERENCE = {
    "mav": lambda x: math.fsum(map(abs, x)) / len(x),
    "zc": crossings,
    "ssc": slope_changes,
    "wl": lambda x: math.fsum(map(abs, differences(x))),
    "rms": lambda x: math.sqrt(math.fsum(v * v for v in x) / len(x)),
    "iav": lambda x: math.fsum(map(abs, x)),
    "dasdv": lambda x: math.sqrt(
        math.fsum(d * d for d in differences(x)) / (len(x) - 1)
    ),
    "var": variance,
    "log_var": lambda x: math.log(variance(x)),
    "wamp": lambda x: sum(abs(d) > 0.002 for d in differences(x)),
    "mfl": lambda x: math.log10(math.fsum(map(abs, differences(x)))),
    "msr": lambda x: abs(sum(complex(v) ** 0.5 for v in x) / len(x)),
    "ls": second_l_moment,
    "activity": variance,
    "mobility": mobility,
    "complexity": lambda x: mobility(differences(x)) / mobility(x),
    **{name: similarity(name) for name in FEATURE_GROUPS["tdpsd"]},
}


@pytest.mark.parametrize("name", list(FEATURES))
@pytest.mark.parametrize("scale", [1e-4, 1.0, 100.0])
def test_agrees_with_the_formula(name, scale):
    X = scale * RNG.normal(size=(4, 3, 61))
    X[0, 0, :30] = np.round(X[0, 0, :30])  # zeros and ties
    expected = [[REFERENCE[name](row.tolist()) for row in window] for window in X]
    values = extract_features(X, name)[..., 0]
    np.testing.assert_allclose(values, expected, rtol=1e-9, atol=1e-12)
    single = extract_features(X.astype(np.float32), name)
    assert single.dtype == np.float32
    if name not in ("wamp", "zc", "ssc"):
        np.testing.assert_allclose(single[..., 0], expected, rtol=2e-3, atol=1e-5)


@pytest.mark.parametrize("name", ["zc", "ssc"])
@pytest.mark.parametrize("threshold", [0.3, 2.0])
def test_threshold(name, threshold):
    X = RNG.normal(size=(3, 2, 80))
    expected = [[REFERENCE[name](r.tolist(), threshold) for r in w] for w in X]
    values = extract_features(X, name, threshold=threshold)[..., 0]
    np.testing.assert_array_equal(values, expected)


def test_flat_samples_count_neither_as_crossing_nor_as_slope_change():
    X = np.array([[[1.0, 0.0, -1.0, -1.0, -1.0, 0.0, 0.0, 2.0]]])
    np.testing.assert_array_equal(extract_features(X, ["zc", "ssc"]), [[[0, 0]]])


def test_counts_of_a_sine_and_hjorth_of_a_sine():
    times = np.arange(2000) / 2000
    X = np.sin(2 * np.pi * 20 * times + 0.1)[np.newaxis, np.newaxis]
    values = extract_features(X, ["zc", "ssc", "mobility", "complexity", "rms"])[0, 0]
    step = 2 * np.sin(np.pi * 20 / 2000)
    np.testing.assert_allclose(values, [40, 40, step, 1, np.sqrt(0.5)], rtol=2e-3)


@pytest.mark.parametrize("n_times", [1, 2, 3])
@pytest.mark.parametrize("value", [0.0, 0.1, -5.0, 1e-25])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_constant_and_very_short_windows_are_finite(n_times, value, dtype):
    X = np.full((2, 2, n_times), value, dtype)
    values = extract_features(X, list(FEATURES))
    assert np.isfinite(values).all()
    zeros = ["wl", "zc", "ssc", "dasdv", "wamp", "mobility", "complexity"]
    assert not extract_features(X, zeros).any()


@settings(max_examples=60, deadline=None)
@given(
    arrays(
        np.float32,
        st.tuples(st.integers(1, 3), st.integers(1, 3), st.integers(1, 20)),
        elements=st.floats(-(2.0**17), 2.0**17, width=32),
    )
)
def test_windows_and_channels_are_independent(X):
    names = list(FEATURES)
    together = extract_features(X, names)
    assert np.isfinite(together).all()
    for i, window in enumerate(X):
        for c, row in enumerate(window):
            alone = extract_features(row[np.newaxis, np.newaxis], names)[0, 0]
            np.testing.assert_allclose(together[i, c], alone, rtol=1e-4, atol=1e-4)


def test_large_offset_keeps_digits_in_float32():
    X = (1000 + RNG.normal(size=(3, 2, 200))).astype(np.float32)
    names = ["var", "ls", "mobility", "complexity"]
    exact = extract_features(X.astype(np.float64), names)
    np.testing.assert_allclose(extract_features(X, names), exact, rtol=1e-4)


def test_blocks_strides_and_input(monkeypatch):
    from sktinymyo.signal import features

    X = RNG.normal(size=(11, 3, 50)).astype(np.float32)
    X.flags.writeable = False
    names = list(FEATURES)
    whole = extract_features(X, names)
    monkeypatch.setattr(features, "BLOCK_ELEMENTS", 1)
    np.testing.assert_allclose(extract_features(X, names), whole, rtol=1e-5)
    turned = np.asfortranarray(X)
    np.testing.assert_allclose(extract_features(turned, names), whole, rtol=1e-5)
    assert extract_features(X[:0], names).shape == (0, 3, len(names))


def test_names():
    assert set(FEATURES) == set(REFERENCE)
    assert resolve_features(["LS4", "wamp", "mav"]) == (
        "ls",
        "mfl",
        "msr",
        "wamp",
        "mav",
    )
    for bad in ("nonsense", ["mav", 3], []):
        with pytest.raises(ValueError, match="features"):
            resolve_features(bad)
    for groups in FEATURE_GROUPS.values():
        assert set(groups) <= set(FEATURES)


def test_refused():
    with pytest.raises(WindowsError, match="n_windows, n_channels, n_times"):
        extract_features(np.zeros((2, 5)))
    with pytest.raises(ValueError, match="threshold must be"):
        extract_features(np.zeros((1, 1, 5)), threshold=-1)


@pytest.mark.parametrize("group", ["htd", "ls4", "tdpsd"])
def test_agrees_with_libemg(group):
    extractor = pytest.importorskip("libemg.feature_extractor").FeatureExtractor()
    X = RNG.normal(size=(20, 4, 200))
    expected = extractor.extract_feature_group(group.upper(), X)
    expected = np.stack(list(expected.values()), axis=-1)
    np.testing.assert_allclose(extract_features(X, group), expected, rtol=1e-9)
