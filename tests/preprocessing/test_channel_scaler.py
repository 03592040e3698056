import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

from sktinymyo.preprocessing import ChannelScaler

METHODS = ["standard", "minmax", "robust"]


@pytest.fixture
def windows():
    rng = np.random.default_rng(0)
    # 65 and 5 x 65 samples a channel: the quartiles fall on samples, so that all
    # definitions agree.
    return rng.normal([[5], [-1e-6], [1e5]], [[1], [1e-7], [3]], size=(5, 3, 65))


def by_channel(X):
    return np.moveaxis(X, 1, 2).reshape(-1, X.shape[1])


@pytest.mark.parametrize(
    ("method", "reference"),
    [
        ("standard", StandardScaler()),
        ("minmax", MinMaxScaler(feature_range=(-1, 1))),
        ("robust", RobustScaler()),
    ],
)
def test_agrees_with_scikit_learn_on_channels(method, reference, windows):
    scaled = ChannelScaler(method).fit_transform(windows)
    expected = reference.fit_transform(by_channel(windows))
    np.testing.assert_allclose(by_channel(scaled), expected, atol=1e-8)
    each = ChannelScaler(method, per="window").fit_transform(windows)
    for window, result in zip(windows, each, strict=True):
        expected = reference.fit_transform(window.T).T
        np.testing.assert_allclose(result, expected, atol=1e-8)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("per", ["dataset", "window"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
def test_constant_channels(method, per, dtype, value):
    X = np.full((5, 2, 33), value, dtype)
    X[:, 1] = np.random.default_rng(0).normal(size=(5, 33))
    scaled = ChannelScaler(method, per).fit_transform(X)
    assert np.abs(scaled[:, 0]).max() <= abs(value) * np.finfo(dtype).eps
    assert scaled[:, 1].std() > 0.3


@pytest.mark.parametrize("method", METHODS)
def test_weights_count_windows_several_times(method):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 3, 11))
    weight = rng.integers(0, 4, size=20)
    weighted = ChannelScaler(method).fit(X, sample_weight=weight)
    repeated = ChannelScaler(method).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.center_, repeated.center_, atol=1e-12)
    np.testing.assert_allclose(weighted.scale_, repeated.scale_, rtol=1e-12)
    equal = ChannelScaler(method).fit(X, sample_weight=np.full(20, 0.3))
    plain = ChannelScaler(method).fit(X)
    np.testing.assert_allclose(equal.scale_, plain.scale_, rtol=1e-9)


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("weighted", [False, True])
def test_learning_in_parts_equals_fit(method, weighted, windows):
    rng = np.random.default_rng(0)
    X = rng.normal(1e6, 1, size=(50, 3, 20))
    weight = rng.uniform(0.5, 2, size=50) if weighted else np.ones(50)
    whole = ChannelScaler(method).fit(X, sample_weight=weight if weighted else None)
    parts = ChannelScaler(method)
    for start in range(0, 50, 7):
        part = slice(start, start + 7)
        parts.partial_fit(X[part], sample_weight=weight[part] if weighted else None)
    np.testing.assert_allclose(parts.center_, whole.center_, rtol=1e-14)
    np.testing.assert_allclose(parts.scale_, whole.scale_, rtol=1e-9)
    assert parts.n_samples_seen_ == 50
    # fit forgets what was learned before.
    fresh = ChannelScaler(method).fit(X[:5])
    np.testing.assert_array_equal(parts.fit(X[:5]).center_, fresh.center_)


def test_variance_is_exact_with_a_large_offset():
    X = np.random.default_rng(0).normal(size=(40, 2, 50))
    offset = ChannelScaler().fit(X + 1e9)
    np.testing.assert_allclose(offset.scale_, ChannelScaler().fit(X).scale_, rtol=1e-6)


def test_quantiles_in_parts_are_not_offered():
    assert not hasattr(ChannelScaler("robust"), "partial_fit")
    assert hasattr(ChannelScaler("robust", per="window"), "partial_fit")


@pytest.mark.parametrize(
    ("weight", "match"),
    [(np.zeros(5), "zero for every"), (-np.ones(5), "negative"), (np.ones(2), "shape")],
)
def test_weights_refused(weight, match, windows):
    with pytest.raises(ValueError, match=match):
        ChannelScaler().fit(windows, sample_weight=weight)


def test_parameters_refused(windows):
    with pytest.raises(ValueError, match="method='max'"):
        ChannelScaler("max").fit(windows)
    with pytest.raises(ValueError, match="per='channel'"):
        ChannelScaler(per="channel").fit(windows)
