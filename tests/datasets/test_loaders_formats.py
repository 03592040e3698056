"""Tests of the loaders of .mat, .json and HDF5 sets on files written here."""

import json

import numpy as np
import pytest
from scipy.io import savemat

from sktinymyo.datasets import (
    DatasetFormatError,
    LazyRecordings,
    load_emg2pose,
    load_epn612,
    load_ninapro_db5,
    load_ninapro_db8,
)
from sktinymyo.exceptions import DatasetNotFoundError


def _ninapro(path, codes, repetitions, n_glove=None, **changes):
    path.parent.mkdir(parents=True, exist_ok=True)
    n_times = len(codes)
    rng = np.random.default_rng(0)
    content = {
        "emg": rng.integers(-128, 127, (n_times, 16)).astype(float),
        "restimulus": np.reshape(codes, (-1, 1)),
        "rerepetition": np.reshape(repetitions, (-1, 1)),
    }
    if n_glove:
        content["glove"] = rng.normal(size=(n_times, n_glove))
    content.update(changes)
    savemat(path, {key: value for key, value in content.items() if value is not None})
    return content


CODES = [0, 0, 1, 1, 1, 0, 0, 1, 1, 0, 17, 17, 0]
REPETITIONS = [0, 0, 1, 1, 1, 0, 0, 2, 2, 0, 1, 1, 0]


def test_db5_segments(tmp_path):
    content = _ninapro(tmp_path / "s3/S3_E2_A1.mat", CODES, REPETITIONS)
    bunch = load_ninapro_db5(tmp_path)
    # Movements of the second exercise come behind the 12 of the first.
    assert bunch.target.tolist() == [0, 13, 0, 13, 0, 29, 0]
    assert bunch.meta["repetition"].tolist() == [1, 1, 1, 2, 2, 1, 1]
    assert bunch.meta["gesture"][5] == "Wrist extension with closed hand"
    assert (bunch.sfreq, bunch.n_channels, len(bunch.target_names)) == (200.0, 16, 53)
    np.testing.assert_array_equal(bunch.recordings[1], content["emg"][2:5].T)
    assert set(bunch.groups) == {3}
    assert set(bunch.meta["exercise"]) == {2}
    selected = load_ninapro_db5(tmp_path, repetitions=2, gestures="Thumb up", lazy=True)
    np.testing.assert_array_equal(selected.recordings[0], content["emg"][7:9].T)


def test_db5_labels_that_already_go_on_and_whole_files(tmp_path):
    codes = [code + 29 if code else 0 for code in CODES]
    _ninapro(tmp_path / "S1_E3_A1.mat", codes, REPETITIONS)
    assert set(load_ninapro_db5(tmp_path).target) == {0, 30, 46}
    whole = load_ninapro_db5(tmp_path, segment=False)
    assert whole.target[0].tolist() == codes
    assert whole.recordings[0].shape == (16, len(codes))
    with pytest.raises(ValueError, match="segment=True"):
        load_ninapro_db5(tmp_path, segment=False, gestures=0)


def test_db5_labels_shorter_than_the_signal(tmp_path):
    content = {"restimulus": np.reshape(CODES[:-2], (-1, 1))}
    _ninapro(tmp_path / "S1_E1_A1.mat", CODES, REPETITIONS, **content)
    whole = load_ninapro_db5(tmp_path, segment=False)
    assert whole.recordings[0].shape[1] == len(whole.target[0]) == len(CODES) - 2


def test_db5_cue_labels(tmp_path):
    other = {"stimulus": np.ones((13, 1)), "repetition": np.full((13, 1), 4)}
    _ninapro(tmp_path / "S1_E1_A1.mat", CODES, REPETITIONS, **other)
    bunch = load_ninapro_db5(tmp_path, labels="stimulus")
    assert bunch.meta[["repetition", "gesture"]].values.tolist() == [
        [4, "Index flexion"]
    ]
    with pytest.raises(ValueError, match="labels='cue'"):
        load_ninapro_db5(tmp_path, labels="cue")


@pytest.mark.parametrize("lazy", [False, True])
def test_db8_targets(tmp_path, lazy):
    codes = [min(code, 9) for code in CODES]
    path = tmp_path / "DB8_s11/S11_E1_A3.mat"
    content = _ninapro(path, codes, REPETITIONS, n_glove=18)
    bunch = load_ninapro_db8(tmp_path, lazy=lazy)
    assert isinstance(bunch.target, LazyRecordings if lazy else list)
    np.testing.assert_allclose(bunch.target[0], content["glove"], rtol=1e-6)
    np.testing.assert_allclose(bunch.recordings[0], content["emg"].T)
    assert bunch.meta[["subject", "session"]].values.tolist() == [[11, 3]]
    assert (bunch.sfreq, len(bunch.target_names)) == (2000.0, 18)

    actuation = load_ninapro_db8(tmp_path, target="doa", segment=True, lazy=lazy)
    glove = content["glove"][2:5]
    assert actuation.target[1].shape == (3, 5)
    np.testing.assert_allclose(actuation.target[1][:, 1], glove[:, 2], rtol=1e-6)
    np.testing.assert_allclose(
        actuation.target[1][:, 4],
        (glove[:, 9] + 2 * glove[:, 10] + glove[:, 12] + 2 * glove[:, 13]) / 6,
        rtol=1e-3,
        atol=1e-3,
    )


def test_db8_missing_glove_values_are_announced(tmp_path):
    glove = np.ones((13, 18))
    glove[4] = np.nan
    codes = [min(code, 9) for code in CODES]
    _ninapro(tmp_path / "S1_E1_A1.mat", codes, REPETITIONS, glove=glove)
    with pytest.warns(UserWarning, match="1 samples of the glove"):
        load_ninapro_db8(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"emg": None}, "lacks the variable"),
        ({"emg": np.ones((13, 12))}, "16 columns"),
        ({"emg": np.full((13, 16), np.nan)}, "NaN"),
        ({"emg": np.array([["text"]])}, "matrix of numbers"),
        ({"restimulus": np.full((13, 1), 99)}, "from 0 to 52"),
        ({"restimulus": np.full((13, 1), 0.5)}, "whole numbers"),
    ],
)
def test_wrong_mat_content_is_named(tmp_path, changes, message):
    _ninapro(tmp_path / "S1_E1_A1.mat", CODES, REPETITIONS, **changes)
    with pytest.raises(DatasetFormatError, match=message) as caught:
        load_ninapro_db5(tmp_path)
    assert "S1_E1_A1.mat" in str(caught.value)


def test_damaged_mat_files(tmp_path):
    path = tmp_path / "S1_E1_A1.mat"
    _ninapro(path, CODES, REPETITIONS)
    whole = path.read_bytes()
    for damaged in (whole[:300], whole[:-20], b"", b"text" * 100):
        path.write_bytes(damaged)
        with pytest.raises(DatasetFormatError, match="incomplete"):
            load_ninapro_db5(tmp_path)
    # The version number of MATLAB 7.3 files.
    path.write_bytes(whole[:124] + b"\x00\x02IM" + whole[128:])
    with pytest.raises(DatasetFormatError, match=r"7\.3"):
        load_ninapro_db5(tmp_path)
    path.unlink()
    with pytest.raises(DatasetNotFoundError, match="downloaded by hand"):
        load_ninapro_db5(tmp_path)


def _sample(gesture="fist", n_times=10, truth=(0, 0, 1, 1, 1, 0, 0, 0, 0, 0)):
    sample = {
        "emg": {f"ch{k}": [k] * n_times for k in range(1, 9)},
        "startPointforGestureExecution": 2,
    }
    if gesture is not None:
        sample["gestureName"] = gesture
    if truth is not None:
        sample["groundTruth"] = list(truth)
    return sample


def _user(folder, name, training, testing=()):
    path = folder / name / f"{name.split('/')[-1]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {
        "generalInfo": {"deviceModel": "Myo Armband"},
        "trainingSamples": {f"idx_{k}": s for k, s in enumerate(training, 1)},
        "testingSamples": {f"idx_{k}": s for k, s in enumerate(testing, 1)},
    }
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("lazy", [False, True])
def test_epn612(tmp_path, lazy):
    rest = _sample("noGesture", truth=None)
    _user(tmp_path, "trainingJSON/user2", [_sample(), rest, _sample()], [_sample()])
    _user(tmp_path, "testingJSON/user2", [_sample("pinch")], [_sample(None)])
    bunch = load_epn612(tmp_path, lazy=lazy)
    # Both folders count from 1, and unlabelled samples are left out.
    assert bunch.groups.tolist() == [308, 2, 2, 2, 2]
    assert bunch.meta["gesture"].tolist() == [
        "pinch",
        "fist",
        "noGesture",
        "fist",
        "fist",
    ]
    assert bunch.meta["repetition"].tolist() == [0, 0, 0, 1, 0]
    assert bunch.meta["session"].tolist() == [0, 0, 0, 0, 1]
    assert bunch.meta["gesture_start"][1] == 0.01
    lengths = [recording.shape[1] for recording in bunch.recordings]
    assert lengths == [3, 3, 10, 3, 3]
    np.testing.assert_array_equal(bunch.recordings[0][:, 0], np.arange(1, 9))
    whole = load_epn612(tmp_path, segment=False, part="training", gestures="fist")
    assert [recording.shape[1] for recording in whole.recordings] == [10, 10, 10]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"gestureName": "wave"}, "'wave'"),
        ({"emg": {"ch1": [1]}}, "ch1 to ch8"),
        ({"emg": None}, "ch1 to ch8"),
        ({"emg": {f"ch{k}": [1] * k for k in range(1, 9)}}, "equally long"),
        ({"emg": {f"ch{k}": ["a"] for k in range(1, 9)}}, "of numbers"),
        ({"emg": {f"ch{k}": [float("nan")] for k in range(1, 9)}}, "NaN"),
        ({"groundTruth": ["yes"]}, "groundTruth"),
    ],
)
def test_wrong_json_content_is_named(tmp_path, change, message):
    _user(tmp_path, "trainingJSON/user1", [_sample() | change])
    with pytest.raises(DatasetFormatError, match=message) as caught:
        load_epn612(tmp_path)
    assert "user1.json: trainingSamples/idx_1" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["{", "[1]", '{"a": 1}', '{"trainingSamples": [1]}', "[" * 100_000]
)
def test_damaged_json_files(tmp_path, text):
    _user(tmp_path, "trainingJSON/user1", []).write_text(text)
    with pytest.raises(DatasetFormatError, match=r"user1\.json"):
        load_epn612(tmp_path)


ATTRIBUTES = {
    "user": "u7",
    "session": "2022-12-06-a",
    "stage": "Fingers",
    "side": "left",
    "sample_rate": 2000.0,
}


def _pose(path, n_times=3000, failed=slice(0, 0), joints=20, attributes=ATTRIBUTES):
    h5py = pytest.importorskip("h5py")
    fields = [
        ("time", "<f8"),
        ("joint_angles", "<f8", (joints,)),
        ("emg", "<f4", (16,)),
    ]
    series = np.zeros(n_times, dtype=fields)
    rng = np.random.default_rng(0)
    series["emg"] = rng.normal(size=(n_times, 16))
    series["joint_angles"] = rng.normal(size=(n_times, joints))
    series["joint_angles"][failed] = 0.0
    with h5py.File(path, "w") as file:
        group = file.create_group("emg2pose")
        group["timeseries"] = series
        group.attrs.update(attributes)
    return series


def test_emg2pose(tmp_path):
    series = _pose(tmp_path / "a_left.hdf5")
    _pose(tmp_path / "b.hdf5", attributes=ATTRIBUTES | {"user": "u8"})
    bunch = load_emg2pose(tmp_path)
    assert isinstance(bunch.recordings, LazyRecordings)
    assert bunch.groups.tolist() == ["u7", "u8"]
    assert len(bunch.target_names) == 20
    np.testing.assert_array_equal(bunch.recordings[0], series["emg"].T)
    np.testing.assert_allclose(bunch.target[0], series["joint_angles"], rtol=1e-6)
    eager = load_emg2pose(tmp_path, subjects="u7", stages="Fingers", lazy=False)
    assert [part.shape for part in eager.target] == [(3000, 20)]


def test_emg2pose_cuts_out_failed_motion_capture(tmp_path):
    _pose(tmp_path / "a.hdf5", n_times=9000, failed=slice(2500, 3000))
    bunch = load_emg2pose(tmp_path, segment=True, minimum_duration=0.5)
    assert [recording.shape[1] for recording in bunch.recordings] == [2500, 6000]
    assert bunch.meta["repetition"].tolist() == [0, 1]
    assert all((angles != 0).any(axis=1).all() for angles in bunch.target)
    with pytest.raises(ValueError, match="minimum_duration"):
        load_emg2pose(tmp_path, segment=True, minimum_duration=10)


def test_damaged_hdf5_files(tmp_path):
    _pose(tmp_path / "a.hdf5", joints=12)
    with pytest.raises(DatasetFormatError, match="joint_angles"):
        load_emg2pose(tmp_path)
    _pose(tmp_path / "a.hdf5", attributes={"user": "u7"})
    with pytest.raises(DatasetFormatError, match="session, stage, side"):
        load_emg2pose(tmp_path)
    _pose(tmp_path / "a.hdf5", attributes=ATTRIBUTES | {"sample_rate": 1000.0})
    with pytest.raises(DatasetFormatError, match="1000"):
        load_emg2pose(tmp_path)
    (tmp_path / "a.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(DatasetFormatError, match=r"a\.hdf5"):
        load_emg2pose(tmp_path)
