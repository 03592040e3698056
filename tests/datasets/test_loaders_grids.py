"""Tests of the loaders of high-density sets on files in the published layout."""

import numpy as np
import pytest
from scipy.io import savemat

from sktinymyo import sliding_windows
from sktinymyo.datasets import DatasetFormatError, load_capgmyo, load_csl_hdemg
from sktinymyo.exceptions import DatasetNotFoundError
from sktinymyo.model_selection import LeaveRepetitionsOut


def capgmyo(folder, wearing, gesture, trial, data=None, **change):
    folder = folder / f"dba-preprocessed-{wearing:03d}"
    folder.mkdir(exist_ok=True)
    if data is None:
        data = np.random.default_rng(trial).uniform(-1, 1, (200, 128))
    content = {"data": data, "subject": wearing, "gesture": gesture, "trial": trial}
    name = f"{wearing:03d}-{gesture:03d}-{trial:03d}.mat"
    savemat(folder / name, content | change)
    return data


def test_capgmyo_odd_and_even_trials(tmp_path):
    for wearing in (1, 2):
        for gesture in (1, 8):
            for trial in range(1, 5):
                data = capgmyo(tmp_path, wearing, gesture, trial)
    capgmyo(tmp_path, 1, 100, 1)
    capgmyo(tmp_path, 1, 101, 1)
    bunch = load_capgmyo(tmp_path, "a")
    assert len(bunch.recordings) == 16
    np.testing.assert_array_equal(bunch.recordings[-1], data.T.astype(np.float32))
    assert bunch.grid == (16, 8)
    assert set(bunch.target) == {0, 7}
    assert set(bunch.meta["session"]) == {1}
    X, y, meta = sliding_windows(
        bunch.recordings, bunch.sfreq, 0.01, 0.01, labels=bunch.target, meta=bunch.meta
    )
    split = LeaveRepetitionsOut(test_repetitions=[2, 4, 6, 8, 10], per_subject=True)
    folds = list(split.split(X, y, meta))
    assert len(folds) == 2
    for train, test in folds:
        assert set(meta["repetition"].iloc[train]) == {1, 3}
        assert set(meta["repetition"].iloc[test]) == {2, 4}


def test_capgmyo_wearings_of_one_person_are_sessions(tmp_path):
    for wearing in (1, 2, 7):
        capgmyo(tmp_path, wearing, 3, 1)
    bunch = load_capgmyo(tmp_path, "b", lazy=True)
    assert bunch.meta["subject"].tolist() == [1, 1, 4]
    assert bunch.meta["session"].tolist() == [1, 2, 1]
    assert bunch.meta["wearing"].tolist() == [1, 2, 7]
    second = load_capgmyo(tmp_path, "b", sessions=2, subjects=1)
    np.testing.assert_array_equal(second.recordings[0], bunch.recordings[1])
    assert len(load_capgmyo(tmp_path, "c").target_names) == 12


def test_capgmyo_refused(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="001-001-001.mat"):
        load_capgmyo(tmp_path, "a")
    with pytest.raises(ValueError, match="database"):
        load_capgmyo(tmp_path, "d")
    capgmyo(tmp_path, 1, 9, 1)
    with pytest.raises(DatasetFormatError, match="gesture 9"):
        load_capgmyo(tmp_path, "a")
    capgmyo(tmp_path, 1, 9, 1, data=np.zeros((30, 64)))
    with pytest.raises(DatasetFormatError, match="128 columns"):
        load_capgmyo(tmp_path, "c")
    capgmyo(tmp_path, 1, 9, 1, data=np.full((30, 128), np.nan))
    with pytest.raises(DatasetFormatError, match="data holds NaN"):
        load_capgmyo(tmp_path, "c")
    path = next(tmp_path.rglob("*.mat"))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(DatasetFormatError, match="001-009-001.mat"):
        load_capgmyo(tmp_path, "c")


def csl(folder, subject, session, gesture, trials):
    folder = folder / f"subject{subject}" / f"session{session}"
    folder.mkdir(parents=True, exist_ok=True)
    cells = np.empty((len(trials), 1), dtype=object)
    for k, trial in enumerate(trials):
        cells[k, 0] = trial
    path = folder / f"gest{gesture}.mat"
    savemat(path, {"gestures": cells})
    return path


def numbered(n_times):
    """A trial whose samples are the numbers of their raw channels."""
    return np.repeat(np.arange(192.0)[:, np.newaxis], n_times, axis=1)


def test_csl_channels_and_trials(tmp_path):
    csl(tmp_path, 1, 2, 11, [numbered(20), numbered(21)])
    csl(tmp_path, 1, 1, 0, [numbered(5)])
    bunch = load_csl_hdemg(tmp_path, lazy=True)
    assert [r.shape for r in bunch.recordings] == [(168, 5), (168, 20), (168, 21)]
    assert bunch.meta["session"].tolist() == [1, 2, 2]
    assert bunch.meta["repetition"].tolist() == [1, 1, 2]
    assert bunch.target.tolist() == [0, 11, 11]
    image = bunch.recordings[1][:, 0].reshape(bunch.grid)
    # Rows of eight electrodes give seven differences.
    np.testing.assert_array_equal(image[0], np.arange(7))
    np.testing.assert_array_equal(image[23], 184 + np.arange(7))
    chosen = load_csl_hdemg(tmp_path, gestures=11, repetitions=2)
    assert [r.shape for r in chosen.recordings] == [(168, 21)]


def test_csl_refused(tmp_path):
    with pytest.raises(DatasetNotFoundError, match="gest0.mat"):
        load_csl_hdemg(tmp_path)
    path = csl(tmp_path, 1, 1, 0, [numbered(5), numbered(5)[:168]])
    with pytest.raises(DatasetFormatError, match="trial 2"):
        load_csl_hdemg(tmp_path)
    csl(tmp_path, 1, 1, 0, [numbered(5), np.full((192, 5), np.nan)])
    with pytest.raises(DatasetFormatError, match="trial 2 holds NaN"):
        load_csl_hdemg(tmp_path)
    # What tells the version 7.3, an HDF5 file, is in the header.
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512))
    with pytest.raises(DatasetFormatError, match="7.3 file; expected version 5"):
        load_csl_hdemg(tmp_path)
    savemat(path, {"gestures": np.zeros((2, 3))})
    with pytest.raises(DatasetFormatError, match="cell array"):
        load_csl_hdemg(tmp_path)
    path.write_bytes(b"nothing")
    with pytest.raises(DatasetFormatError, match="damaged"):
        load_csl_hdemg(tmp_path)
    path.unlink()
    csl(tmp_path, 1, 1, 27, [numbered(5)])
    with pytest.raises(DatasetFormatError, match="gesture 27"):
        load_csl_hdemg(tmp_path)
