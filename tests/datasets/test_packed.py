"""Tests of the packed sets."""

import pickle
import zipfile

import numpy as np
import pytest

from sktinymyo.datasets import (
    DatasetFormatError,
    LazyRecordings,
    list_packed,
    load_packed,
)
from sktinymyo.exceptions import DatasetNotFoundError
from sktinymyo.signal.windows import sliding_windows


def _content(**changes):
    """Three recordings of two people, 3 channels, in the plain layout."""
    rng = np.random.default_rng(0)
    content = {
        "signal": rng.integers(-100, 100, (60, 3)).astype(np.int8),
        "rec_start": np.array([0, 20, 45]),
        "rec_len": np.array([20, 25, 15]),
        "subject": np.array([0, 1, 1], dtype=np.int16),
        "session": np.array([0, 0, 1]),
        "gesture": np.array([0, 1, 0]),
        "repetition": np.array([0, 0, 1]),
        "part": np.array([0, 1, 1]),
        "part_names": np.array(["first", "second"]),
        "subject_names": np.array(["anna", "ben"]),
        "gesture_names": np.array(["rest", "fist"]),
        "fs": np.float64(200),
        "scale": np.array([0.5, 1.0, 2.0]),
        "unit": np.array("mV"),
        "license": np.array("none stated"),
    }
    content.update(changes)
    return {key: value for key, value in content.items() if value is not None}


def _write(folder, name="tiny", **changes):
    np.savez_compressed(folder / f"{name}.npz", **_content(**changes))
    return folder


def test_values_names_and_groups(tmp_path):
    bunch = load_packed("tiny", _write(tmp_path))
    content = _content()
    expected = (content["signal"][20:45] * content["scale"]).T.astype(np.float32)
    np.testing.assert_array_equal(bunch.recordings[1], expected)
    assert bunch.recordings[1].dtype == np.float32
    assert bunch.recordings[1].flags.c_contiguous
    assert bunch.target.tolist() == [0, 1, 0]
    assert bunch.groups.tolist() == [0, 1, 1]
    assert bunch.meta["part_name"].tolist() == ["first", "second", "second"]
    assert bunch.meta["gesture"].tolist() == ["rest", "fist", "rest"]
    assert (bunch.sfreq, bunch.unit, bunch.n_channels) == (200.0, "mV", 3)
    assert list_packed(tmp_path) == ["tiny"]


def test_byte_planes_equal_the_plain_layout(tmp_path):
    signal = np.array([[-32768, -1, 0, 255, 256, 32767]] * 3, dtype=np.int16).T
    signal = np.tile(signal, (10, 1))
    plain = load_packed("a", _write(tmp_path, "a", signal=signal))
    planes = {
        "signal": None,
        "signal_lo": (signal & 0xFF).astype(np.uint8).T,
        "signal_hi": (signal >> 8).astype(np.int8).T,
    }
    split = load_packed("b", _write(tmp_path, "b", **planes))
    for first, second in zip(plain.recordings, split.recordings, strict=True):
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        ({"part": 1}, [1, 2]),
        ({"part": "second", "sessions": [1]}, [2]),
        ({"subjects": "ben"}, [1, 2]),
        ({"subjects": np.int64(0)}, [0]),
        ({"gestures": "rest"}, [0, 2]),
        ({"gestures": [0, 1]}, [0, 1, 2]),
        ({"repetitions": 1}, [2]),
    ],
)
@pytest.mark.parametrize("lazy", [False, True])
def test_selection(tmp_path, selection, expected, lazy):
    folder = _write(tmp_path)
    whole = load_packed("tiny", folder)
    part = load_packed("tiny", folder, lazy=lazy, **selection)
    assert len(part.recordings) == len(part.meta) == len(part.target) == len(expected)
    for recording, index in zip(part.recordings, expected, strict=True):
        np.testing.assert_array_equal(recording, whole.recordings[index])
    assert part.target.tolist() == whole.target[expected].tolist()
    assert part.meta["recording"].tolist() == list(range(len(expected)))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ({"subjects": 7}, r"subjects=7.*Available: 0, 1"),
        ({"conditions": 0}, "no column"),
        ({"gestures": ["wave"]}, "Available: fist, rest"),
        ({"subjects": []}, "empty selection"),
        ({"subjects": 0, "sessions": 1}, "loosen"),
    ],
)
def test_impossible_selections(tmp_path, selection, message):
    with pytest.raises(ValueError, match=message):
        load_packed("tiny", _write(tmp_path), **selection)


def test_lazy_recordings_pickle_without_samples(tmp_path):
    signal = np.ones((100_000, 3), dtype=np.int8)
    lazy = load_packed("tiny", _write(tmp_path, signal=signal), lazy=True).recordings
    assert isinstance(lazy, LazyRecordings)
    state = pickle.dumps(lazy)
    assert len(state) < 2000
    np.testing.assert_array_equal(pickle.loads(state)[1:][0], lazy[1])


def test_regression_targets_are_physical(tmp_path):
    target = np.arange(120).reshape(60, 2).astype(np.int16)
    folder = _write(
        tmp_path,
        target=target,
        target_scale=np.float64(0.1),
        target_names=np.array(["flexion", "pronation"]),
    )
    bunch = load_packed("tiny", folder, sessions=1)
    assert bunch.target_names == ["flexion", "pronation"]
    assert len(bunch.target) == 1
    np.testing.assert_allclose(bunch.target[0], target[45:60] * 0.1, rtol=1e-6)
    X, y, _ = sliding_windows(
        bunch.recordings, 200, 0.05, 0.025, bunch.target, label="last", meta=bunch.meta
    )
    assert X.shape == (2, 3, 10)
    assert y.shape == (2, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gesture": None}, "lacks the field 'gesture'"),
        ({"gesture": np.array([0, 5, 0])}, "do not fit"),
        ({"rec_len": np.array([20, 25, 99])}, "end at sample 144"),
        ({"rec_len": np.array([20, 25])}, "2 values for 3"),
        ({"rec_start": np.array([0, -1, 45])}, "starts from 0"),
        ({"rec_start": np.array([0.0, 20.0, 45.0])}, "whole numbers"),
        ({"scale": np.array([1.0])}, "3 finite numbers"),
        ({"fs": np.float64(0)}, "positive number"),
        ({"signal": np.ones((60, 3))}, "whole numbers"),
        ({"target": np.ones((5, 1), np.int16)}, "target"),
    ],
)
def test_wrong_content_is_named(tmp_path, changes, message):
    with pytest.raises(DatasetFormatError, match=message) as caught:
        load_packed("tiny", _write(tmp_path, **changes))
    assert "tiny.npz" in str(caught.value)


def test_damaged_files_and_pickles_are_refused(tmp_path):
    whole = (_write(tmp_path) / "tiny.npz").read_bytes()
    (tmp_path / "half.npz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "text.npz").write_text("not an archive")
    np.save(tmp_path / "single", np.ones(3))
    (tmp_path / "single.npy").rename(tmp_path / "single.npz")
    for name in ("half", "text", "single"):
        with pytest.raises(DatasetFormatError, match=f"{name}.npz"):
            load_packed(name, tmp_path)
    flipped = bytearray(whole)
    flipped[120] ^= 0xFF
    (tmp_path / "flipped.npz").write_bytes(flipped)
    with pytest.raises(DatasetFormatError, match="flipped.npz"):
        load_packed("flipped", tmp_path)

    class Harmful:
        def __reduce__(self):
            return (pytest.fail, ("a pickle was executed",))

    names = np.array([Harmful()], dtype=object)
    np.savez(tmp_path / "pickle.npz", **_content(gesture_names=names))
    with pytest.raises(DatasetFormatError, match="gesture_names"):
        load_packed("pickle", tmp_path)


def test_hostile_size_is_refused(tmp_path):
    _write(tmp_path)
    header = "{'descr': '|i1', 'fortran_order': False, 'shape': (1 << 60, 3), }"
    header = header.replace("1 << 60", str(1 << 60)).ljust(117) + "\n"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    np.savez(tmp_path / "huge.npz", **_content(signal=None))
    with zipfile.ZipFile(tmp_path / "huge.npz", "a") as archive:
        archive.writestr("signal.npy", member)
    with pytest.raises(DatasetFormatError, match="signal"):
        load_packed("huge", tmp_path)


def test_missing_sets_and_folders(tmp_path, monkeypatch):
    with pytest.raises(DatasetNotFoundError, match="Sets there: tiny"):
        load_packed("other", _write(tmp_path))
    with pytest.raises(DatasetNotFoundError, match="not an existing folder"):
        list_packed(tmp_path / "absent")
    monkeypatch.delenv("SKTINYMYO_DATA", raising=False)
    with pytest.raises(DatasetNotFoundError, match="SKTINYMYO_DATA"):
        list_packed()
    monkeypatch.setenv("SKTINYMYO_DATA", str(tmp_path))
    assert list_packed() == ["tiny"]
    assert len(load_packed(tmp_path / "tiny.npz").recordings) == 3


# name: (recordings, sfreq, channels, people, targets)
REAL = {
    "aljazfrancic_myo": (9901, 200.0, 8, 38, 8),
    "ciil": (2260, 200.0, 8, 32, 5),
    "cote_allard_myo": (2044, 200.0, 8, 37, 7),
    "dutra_grip_force": (16, 200.0, 8, 14, 1),
    "dymnz_wrist_angle": (33, 460.0, 4, 1, 2),
    "flexemg_hd64_demo": (54, 1000.0, 64, 3, 5),
    "michidk_rps_myo": (1890, 200.0, 8, 13, 3),
    "multiday_1024hz_25days": (275, 1024.0, 4, 1, 11),
}


@pytest.mark.parametrize("name", sorted(REAL))
def test_real_sets(data_folder, name):
    bunch = load_packed(name, data_folder, lazy=True)
    n_recordings, sfreq, n_channels, n_people, n_targets = REAL[name]
    assert len(bunch.recordings) == len(bunch.target) == n_recordings
    assert (bunch.sfreq, bunch.n_channels) == (sfreq, n_channels)
    assert len(bunch.channel_names) == n_channels
    assert len(np.unique(bunch.groups)) == n_people
    assert len(bunch.target_names) == n_targets
    with np.load(data_folder / f"{name}.npz") as stored:
        index = n_recordings // 2
        start, length = int(stored["rec_start"][index]), int(stored["rec_len"][index])
        if "signal" in stored:
            samples = stored["signal"][start : start + length]
        else:
            high = stored["signal_hi"][:, start : start + length].astype(int)
            samples = (high * 256 + stored["signal_lo"][:, start : start + length]).T
        expected = (samples * stored["scale"]).T
        np.testing.assert_allclose(bunch.recordings[index], expected, rtol=1e-6)
        if "target" in stored:
            scaled = stored["target"][start : start + length] * stored["target_scale"]
            np.testing.assert_allclose(bunch.target[index], scaled, rtol=1e-6)


def test_people_of_both_parts_differ(data_folder):
    for name in ("cote_allard_myo", "ciil"):
        meta = load_packed(name, data_folder, lazy=True).meta
        people = [set(meta.loc[meta["part"] == part, "subject"]) for part in (0, 1)]
        assert not people[0] & people[1]


def test_electrode_grid(data_folder):
    bunch = load_packed("flexemg_hd64_demo", data_folder, subjects=1, lazy=True)
    assert bunch.grid == (16, 4)
    assert bunch.channel_names[5] == "row1_column1"
    assert bunch.recordings[0].reshape(*bunch.grid, -1).shape == (16, 4, 5000)
