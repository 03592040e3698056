import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

from sktinymyo.exceptions import WindowsError
from sktinymyo.preprocessing import (
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    TimeDomainFeatures,
)
from sktinymyo.signal import (
    extract_features,
    filter_recording,
    filter_windows,
    resample,
)

N_CHANNELS, N_TIMES = 4, 60

ESTIMATORS = [
    EMGFilter(),
    EMGFilter(phase="causal", notch=[50, 60], notch_harmonics=True),
    EMGResampler(1000, 2000),
    EMGResampler(sfreq_in=2000, sfreq_out=600),
    ChannelMapper(),
    ChannelMapper(n_channels=3, missing="repeat"),
    ChannelScaler(),
    ChannelScaler("minmax"),
    ChannelScaler("robust"),
    ChannelScaler("standard", per="window"),
    ChannelScaler("minmax", per="window"),
    ChannelScaler("robust", per="window"),
    TimeDomainFeatures(),
    TimeDomainFeatures(["htd", "hjorth", "ls9", "tdpsd", "log_var"]),
]


@parametrize_with_checks(ESTIMATORS)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture
def windows():
    X = np.random.default_rng(0).normal(size=(12, N_CHANNELS, N_TIMES))
    X = (X * np.array([1, 10, 1e-5, 1e4])[:, np.newaxis]).astype(np.float32)
    X.flags.writeable = False
    return X


def split_into_channels(estimator):
    """Return a clone that reads flattened windows as N_CHANNELS channels."""
    name = "n_channels_in" if isinstance(estimator, ChannelMapper) else "n_channels"
    return clone(estimator).set_params(**{name: N_CHANNELS})


each = pytest.mark.parametrize("estimator", ESTIMATORS, ids=lambda e: repr(e)[:60])


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_windows_and_flattened_windows_agree(estimator, dtype, windows):
    X = windows.astype(dtype)
    X.flags.writeable = False
    before = X.copy()
    out = clone(estimator).fit_transform(X)
    np.testing.assert_array_equal(X, before)
    assert out.dtype == dtype
    flat = split_into_channels(estimator)
    flat_out = flat.fit_transform(X.reshape(len(X), -1))
    assert flat_out.ndim == 2
    np.testing.assert_array_equal(flat_out, out.reshape(len(X), -1))
    assert len(flat.get_feature_names_out()) == flat_out.shape[1]
    assert len(set(flat.get_feature_names_out())) == flat_out.shape[1]
    assert flat.n_channels_in_ == N_CHANNELS
    assert flat.n_times_in_ == N_TIMES


@each
def test_integers_become_float32(estimator, windows):
    assert clone(estimator).fit_transform(windows.astype(np.int16)).dtype == np.float32


@each
def test_other_shapes_are_refused(estimator, windows):
    fitted = clone(estimator).fit(windows)
    with pytest.raises(WindowsError, match="3 channels x 60 samples"):
        fitted.transform(windows[:, :3])
    with pytest.raises(WindowsError, match="4 channels x 59 samples"):
        fitted.transform(windows[:, :, :59])
    with pytest.raises(ValueError, match=r"dimensions|features"):
        fitted.transform(windows.reshape(len(windows), -1))
    with pytest.raises(ValueError, match="NaN"):
        fitted.transform(np.full_like(windows, np.nan))
    with pytest.raises(NotFittedError):
        clone(estimator).transform(windows)
    with pytest.raises(NotFittedError):
        clone(estimator).get_feature_names_out()


@each
def test_tables_on_request_and_windows_passing_by(estimator, windows):
    plain = clone(estimator).fit_transform(windows)
    asked = clone(estimator).set_output(transform="pandas")
    for out in (asked.fit_transform(windows), asked.fit(windows).transform(windows)):
        if isinstance(estimator, TimeDomainFeatures):
            assert isinstance(out, pd.DataFrame)
            assert list(out.columns) == list(asked.get_feature_names_out())
        else:
            assert isinstance(out, np.ndarray)
        np.testing.assert_array_equal(np.asarray(out), plain)
    flat = split_into_channels(estimator).set_output(transform="pandas")
    table = flat.fit_transform(windows.reshape(len(windows), -1))
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns) == list(flat.get_feature_names_out())


@each
def test_each_window_by_itself_and_pickle(estimator, windows):
    fitted = clone(estimator).fit(windows)
    together = fitted.transform(windows)
    restored = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(restored.transform(windows), together)
    alone = np.concatenate([fitted.transform(windows[i : i + 1]) for i in range(12)])
    np.testing.assert_allclose(alone, together, rtol=1e-5, atol=1e-6)
    assert len(pickle.dumps(fitted)) < 4000


def test_lists_are_windows_too(windows):
    from_list = EMGFilter().fit_transform(windows.astype(np.float64).tolist())
    assert from_list.shape == windows.shape


def test_filter(windows):
    estimator = EMGFilter(1000, 30, 200, [60, 120], order=2, phase="causal").fit(
        windows
    )
    np.testing.assert_array_equal(
        estimator.transform(windows),
        filter_windows(windows, estimator.sos_, phase="causal"),
    )
    recording = np.random.default_rng(1).normal(size=(3, 777))
    np.testing.assert_array_equal(
        EMGFilter(1000, 30, 200, [60, 120], order=2).filter_recording(recording),
        filter_recording(recording, 1000, 30, 200, [60, 120], order=2),
    )
    with pytest.raises(ValueError, match=r"sfreq=200 Hz; pass h_freq=90"):
        EMGFilter(sfreq=200).fit(windows)
    with pytest.raises(ValueError, match="phase='both'"):
        EMGFilter(phase="both").fit(windows)
    with pytest.raises(WindowsError, match="recording"):
        EMGFilter().filter_recording(np.zeros(10))


def test_resampler(windows):
    estimator = EMGResampler(2000, 600).fit(windows)
    assert (estimator.up_, estimator.down_, estimator.n_times_out_) == (3, 10, 18)
    np.testing.assert_array_equal(
        estimator.transform(windows), resample(windows, 2000, 600)
    )
    names = estimator.get_feature_names_out()
    assert names[[0, 17, 18]].tolist() == ["ch0_t0", "ch0_t17", "ch1_t0"]
    with pytest.raises(ValueError, match="sfreq_out must be"):
        EMGResampler(1000, -1).fit(windows)


@pytest.mark.parametrize(
    ("parameters", "source"),
    [
        ({"order": [1, 2, 3, 0]}, [1, 2, 3, 0]),
        ({"order": np.array([3, 3])}, [3, 3]),
        ({"n_channels": 2}, [0, 1]),
        ({"order": [2, 1, 0], "n_channels": 2}, [2, 1]),
        ({"n_channels": 6, "missing": "zero"}, [0, 1, 2, 3, -1, -1]),
        ({"n_channels": 6, "missing": "repeat"}, [0, 1, 2, 3, 0, 1]),
        ({"order": [5, 0], "missing": "zero"}, [-1, 0]),
        ({"order": [5, 0], "n_channels": 3, "missing": "repeat"}, [1, 0, 1]),
    ],
)
def test_channel_mapper(parameters, source, windows):
    mapper = ChannelMapper(**parameters)
    out = mapper.fit_transform(windows)
    assert mapper.source_.tolist() == source
    assert mapper.n_channels_out_ == len(source)
    assert out.flags.c_contiguous
    for i, channel in enumerate(source):
        expected = 0 if channel < 0 else windows[:, channel]
        np.testing.assert_array_equal(out[:, i], np.broadcast_to(expected, (12, 60)))


def test_channel_mapper_copies_only_if_needed(windows):
    assert np.shares_memory(ChannelMapper().fit_transform(windows), windows)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"n_channels": 6}, "2 of the 6 channels.*missing='zero'"),
        ({"order": [0, 4]}, "1 of the 2 channels"),
        ({"order": [0, -1]}, "order must be"),
        ({"order": []}, "order is empty"),
        ({"n_channels": 0}, "n_channels must be"),
        ({"missing": "nan"}, "missing='nan'"),
        ({"n_channels_in": 3}, "4 channels"),
    ],
)
def test_channel_mapper_refuses(parameters, match, windows):
    with pytest.raises(ValueError, match=match):
        ChannelMapper(**parameters).fit(windows)


def test_features(windows):
    estimator = TimeDomainFeatures(
        ["rms", "WAMP", "zc"], threshold=0.5, willison_threshold=1.0
    )
    out = estimator.fit_transform(windows)
    expected = extract_features(
        windows, ["rms", "wamp", "zc"], threshold=0.5, willison_threshold=1.0
    )
    np.testing.assert_array_equal(out, expected.reshape(12, -1))
    assert estimator.get_feature_names_out()[2:4].tolist() == ["ch0_zc", "ch1_rms"]
    with pytest.raises(ValueError, match="'entropy'"):
        TimeDomainFeatures(["mav", "entropy"]).fit(windows)
    with pytest.raises(ValueError, match="willison_threshold must be"):
        TimeDomainFeatures(willison_threshold=-1).fit(windows)


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_grid_search_over_filter_edges_in_a_pipeline(output):
    rng = np.random.default_rng(0)
    y = np.tile(["fist", "rest"], 60)
    # The classes differ only in power between 100 and 200 Hz, under a strong artefact.
    X = rng.normal(size=(120, 3, 200))
    X = filter_windows(X, np.array([[0.3, 0, -0.3, 1, -1.5, 0.9]]))
    X *= np.where(y == "fist", 1.4, 1.0)[:, np.newaxis, np.newaxis]
    slow = np.sin(2 * np.pi * 5 * np.arange(200) / 1000 + rng.normal(size=(120, 1, 1)))
    X += 30 * rng.normal(size=(120, 1, 1)) * slow
    model = make_pipeline(
        EMGFilter(notch=None, h_freq=None),
        ChannelMapper(n_channels=4, missing="repeat"),
        EMGResampler(1000, 1000),
        ChannelScaler(),
        TimeDomainFeatures("rms"),
        LinearDiscriminantAnalysis(),
    ).set_output(transform=output)
    grid = {"emgfilter__l_freq": [None, 40], "emgfilter__sfreq": [1000]}
    search = GridSearchCV(model, grid, cv=GroupKFold(3), error_score="raise")
    search.fit(X, y, groups=np.arange(120) // 10)
    assert search.best_params_["emgfilter__l_freq"] == 40
    assert search.best_score_ > 0.9
    assert search.cv_results_["mean_test_score"][0] < search.best_score_ - 0.1
    names = search.best_estimator_[:-1].get_feature_names_out()
    assert names.tolist() == ["ch0_rms", "ch1_rms", "ch2_rms", "ch3_rms"]
