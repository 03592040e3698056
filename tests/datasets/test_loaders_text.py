"""Tests of the loaders of text and .dat sets, on real files where they are at hand."""

import pickle

import numpy as np
import pytest

from sktinymyo.datasets import (
    DatasetFormatError,
    LazyRecordings,
    load_3dc,
    load_ciil,
    load_cote_allard,
    load_myo_readings,
    load_one_subject_myo,
    load_packed,
    load_uci_emg,
)
from sktinymyo.exceptions import DatasetNotFoundError
from sktinymyo.signal.windows import sliding_windows

BUNCH_FIELDS = {
    "recordings",
    "sfreq",
    "target",
    "target_names",
    "groups",
    "meta",
    "n_channels",
    "channel_names",
    "unit",
    "DESCR",
    "license",
    "citation",
    "source",
}
# loader, folder of the real files, recordings in them, packed set with the same
REAL = [
    (load_one_subject_myo, "OneSubjectMyoDataset", 60, None),
    (load_ciil, "CIILData", 145, "ciil"),
    (load_3dc, "3DCDataset", 12, None),
    (load_cote_allard, "MyoArmbandDataset", 8, "cote_allard_myo"),
    (load_myo_readings, "myo-readings-dataset", 85, "aljazfrancic_myo"),
]


def _write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def _lines(n_columns, n_times=5, last=()):
    row = ",".join([*(str(k) for k in range(1, n_columns + 1)), *map(str, last)])
    return f"{row}\n" * n_times


@pytest.mark.parametrize(("load", "name", "n_recordings", "_"), REAL)
def test_real_files(data_folder, load, name, n_recordings, _):
    folder = data_folder / "raw" / name
    bunch, lazy = load(folder), load(folder, lazy=True)
    assert set(bunch) >= BUNCH_FIELDS
    assert len(bunch.recordings) == len(bunch.target) == n_recordings
    assert isinstance(lazy.recordings, LazyRecordings)
    for eager, read in zip(
        bunch.recordings, pickle.loads(pickle.dumps(lazy.recordings)), strict=True
    ):
        assert eager.dtype == np.float32
        assert eager.shape[0] == bunch.n_channels == len(bunch.channel_names)
        np.testing.assert_array_equal(eager, read)
    names = [bunch.target_names[code] for code in bunch.target]
    assert names == bunch.meta["gesture"].tolist()
    assert list(bunch.meta)[:5] == [
        "recording",
        "subject",
        "session",
        "repetition",
        "gesture",
    ]
    X, y, meta = sliding_windows(
        lazy.recordings, lazy.sfreq, 0.2, 0.2, labels=lazy.target, meta=lazy.meta
    )
    assert X.shape[1] == bunch.n_channels
    assert len(X) == len(y) == len(meta)


@pytest.mark.parametrize(
    ("load", "name", "_", "packed"), [case for case in REAL if case[3]]
)
def test_real_files_agree_with_the_packed_sets(data_folder, load, name, _, packed):
    bunch = load(data_folder / "raw" / name)
    reference = load_packed(packed, data_folder, lazy=True)
    keys = {
        tuple(row): index
        for index, row in enumerate(
            zip(
                reference.meta.get("subject_name", reference.meta["subject"]),
                reference.meta["session"],
                reference.meta["repetition"],
                reference.target,
                reference.meta.get("condition", reference.meta["session"] * 0),
                strict=True,
            )
        )
    }
    for index in range(0, len(bunch.recordings), 7):
        row = bunch.meta.loc[index]
        subject = row["subject"]
        if packed == "cote_allard_myo":
            subject = subject.replace("EvaluationDataset", "Eval")
        condition = 0
        if packed == "aljazfrancic_myo":
            condition = bunch.target_names.index(row["file_gesture"])
        key = (
            subject,
            row["session"],
            row["repetition"],
            bunch.target[index],
            condition,
        )
        np.testing.assert_array_equal(
            bunch.recordings[index], reference.recordings[keys[key]]
        )


def test_one_subject_is_part_of_ciil(data_folder):
    alone = load_one_subject_myo(data_folder / "raw/OneSubjectMyoDataset", sessions=3)
    whole = load_packed("ciil", data_folder, subjects=1, sessions=4)
    for first, second in zip(alone.recordings, whole.recordings, strict=True):
        np.testing.assert_array_equal(first, second)
    assert alone.meta["gesture"].tolist() == whole.meta["gesture"].tolist()


def test_numbers_in_names_count_as_numbers(tmp_path):
    for trial in (1, 2, 10):
        _write(tmp_path / f"trial_{trial}/R_0_C_0.csv", _lines(8))
    bunch = load_one_subject_myo(tmp_path)
    assert bunch.meta["session"].tolist() == [1, 2, 10]
    assert load_one_subject_myo(tmp_path, sessions=[10]).groups.tolist() == [1]


def test_3dc_copies_are_left_out(tmp_path):
    def write(participant, part, cycle, gesture):
        name = f"Participant{participant}/{part}/EMG/3dc_EMG_gesture_{cycle}_{gesture}"
        _write(tmp_path / f"{name}.txt", _lines(10))

    write(14, "test", 0, 10)
    write(14, "test", 1, 1)
    write(14, "test", 1, 2)
    write(14, "train", 0, 0)
    write(21, "train", 0, 0)
    write(2, "test", 3, 0)
    bunch = load_3dc(tmp_path)
    rows = bunch.meta[["subject", "session", "repetition"]].to_numpy().tolist()
    assert rows == [[2, 1, 7], [14, 0, 0], [14, 1, 5]]
    assert len(load_3dc(tmp_path, drop_copies=False).recordings) == 6
    assert len(load_3dc(tmp_path, sessions="train").recordings) == 1


def test_cote_allard_layout_and_copies(tmp_path):
    signal = np.arange(-40, 40, dtype="<i2")
    for name in ("EvaluationDataset/Male0/Test1", "PreTrainingDataset/Male0/training0"):
        (tmp_path / name).mkdir(parents=True)
        signal.tofile(tmp_path / name / "classe_27.dat")
    (tmp_path / "PreTrainingDataset/Female8/training0").mkdir(parents=True)
    signal.tofile(tmp_path / "PreTrainingDataset/Female8/training0/classe_0.dat")
    bunch = load_cote_allard(tmp_path)
    np.testing.assert_array_equal(bunch.recordings[0], signal.reshape(10, 8).T)
    assert bunch.meta["repetition"].tolist() == [3, 3]
    assert bunch.meta["gesture"].tolist() == ["Hand open"] * 2
    assert len(set(bunch.groups)) == 2
    assert len(load_cote_allard(tmp_path, drop_copies=False).recordings) == 3
    assert load_cote_allard(tmp_path, part="evaluation").meta["session"].tolist() == [2]
    signal[:-1].tofile(tmp_path / "EvaluationDataset/Male0/Test1/classe_1.dat")
    with pytest.raises(DatasetFormatError, match="multiple of 16"):
        load_cote_allard(tmp_path)


def test_myo_readings_cut_whole_and_curated(tmp_path):
    text = "".join(_lines(8, 4, [code]) for code in (0, 2, 0, 2))
    for session in ("12345-1", "12345-2"):
        _write(tmp_path / f"_readings_left_hand/{session}/2.txt", text)
    (tmp_path / "curated.txt").write_text("12345-2\n")
    bunch = load_myo_readings(tmp_path, sessions=1)
    assert bunch.target.tolist() == [0, 2, 0, 2]
    assert bunch.meta["repetition"].tolist() == [0, 0, 1, 1]
    assert set(bunch.groups) == {"L12345"}
    assert len(load_myo_readings(tmp_path, gestures="Extension").recordings) == 4
    assert set(load_myo_readings(tmp_path, curated=True).meta["session"]) == {2}
    whole = load_myo_readings(tmp_path, sessions=1, segment=False)
    assert whole.recordings[0].shape == (8, 16)
    assert whole.target[0].tolist() == [0] * 4 + [2] * 4 + [0] * 4 + [2] * 4
    with pytest.raises(ValueError, match="segment=True"):
        load_myo_readings(tmp_path, segment=False, repetitions=1)
    with pytest.raises(ValueError, match="hand='both'"):
        load_myo_readings(tmp_path, hand="both")


def test_myo_readings_repairs(tmp_path):
    folder = tmp_path / "_readings_right_hand"
    rows = [f"{k % 90},{k % 7},3,4,5,6,7,8,{k // 50}" for k in range(100)]
    torn = [*rows[:30], "1,2,3,4,5,6,7,8,00,1,2", "-4,0", *rows[30:]]
    repeated = [row for k, row in enumerate(rows) for _ in range(1 + (k % 5 == 4))]
    _write(folder / "10000-1/1.txt", "\n".join(rows))
    _write(folder / "10000-2/1.txt", "\n".join(torn))
    _write(folder / "69069-1/1.txt", "\n".join(repeated))
    _write(folder / "69069-1/3.txt", "\n".join(rows))
    _write(folder / "32185-1/1.txt", "\n".join(rows))
    with pytest.warns(UserWarning) as caught:
        bunch = load_myo_readings(tmp_path)
    messages = [str(warning.message) for warning in caught]
    assert any("2 torn lines" in message for message in messages)
    assert any("69069-1/3.txt" in message for message in messages)
    assert bunch.meta["subject"].tolist() == ["R10000"] * 4 + ["R69069"] * 2
    for index in (2, 4):
        np.testing.assert_array_equal(bunch.recordings[index], bunch.recordings[0])
    assert set(load_myo_readings(tmp_path, subjects="R32185").groups) == {"R32185"}
    with pytest.raises(DatasetFormatError, match="10000-2"):
        load_myo_readings(tmp_path, repair=False)
    as_it_is = load_myo_readings(tmp_path, subjects="R69069", repair=False)
    assert sum(part.shape[1] for part in as_it_is.recordings) == 220
    _write(folder / "10000-2/1.txt", "\n".join(torn * 3))
    with pytest.raises(DatasetFormatError, match="6 unreadable lines"):
        load_myo_readings(tmp_path)


def _uci_file(folder, rows, name="1_raw_data_13-12_22.03.16.txt"):
    header = "\t".join(["time", *(f"channel{k}" for k in range(1, 9)), "class"])
    return _write(folder / name, header + "\n" + "\n".join(rows) + "\n")


def test_uci_layout(tmp_path):
    codes = [0, 0, 0, 1, 1, 1, 0, 0, 6, 6, 1, 1]
    rows = [
        "\t".join([str(time), *(f"{k}e-05" for k in range(1, 9)), str(code)])
        for time, code in enumerate(codes)
    ]
    # The last line of one published file is incomplete.
    _uci_file(tmp_path / "02", [*rows, "12\t1e-05"])
    bunch = load_uci_emg(tmp_path)
    assert bunch.target.tolist() == [1, 6, 1]
    assert bunch.meta["repetition"].tolist() == [0, 0, 1]
    assert bunch.groups.tolist() == [2, 2, 2]
    assert bunch.sfreq == 1000.0
    np.testing.assert_allclose(bunch.recordings[0][:, 0], np.arange(1, 9) * 1e-5)
    everything = load_uci_emg(tmp_path, unmarked=True, lazy=True)
    assert [recording.shape[1] for recording in everything.recordings] == [
        3,
        3,
        2,
        2,
        2,
    ]
    whole = load_uci_emg(tmp_path, segment=False)
    assert whole.target[0].tolist() == codes
    _uci_file(tmp_path / "02", [row + "9" for row in rows])
    with pytest.raises(DatasetFormatError, match="from 0 to 7"):
        load_uci_emg(tmp_path)
    _uci_file(tmp_path / "02", rows[:2])
    with pytest.raises(DatasetFormatError, match="no marked gesture"):
        load_uci_emg(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        (_lines(7), "7 columns"),
        (_lines(8) + "1,2,3\n", r"line 6"),
        ("1,2,3,4,5,6,7,x\n", "not a table of numbers"),
        ("1,2,3,4,5,6,7,nan\n", "line 1"),
        ("1,2,3,4,5,6,7,1e999\n", "line 1"),
        ("\x00\x01\x02", "expected lines with 8"),
    ],
)
def test_malformed_text_is_named(tmp_path, text, message):
    _write(tmp_path / "trial_1/R_0_C_0.csv", text)
    with pytest.raises(DatasetFormatError, match=message) as caught:
        load_one_subject_myo(tmp_path)
    assert "R_0_C_0.csv" in str(caught.value)


@pytest.mark.parametrize(
    "load", [load_one_subject_myo, load_ciil, load_3dc, load_cote_allard, load_uci_emg]
)
def test_wrong_folders_say_what_is_expected(tmp_path, load):
    with pytest.raises(DatasetNotFoundError, match="not an existing folder"):
        load(tmp_path / "absent")
    (tmp_path / "holiday photos").mkdir()
    with pytest.raises(DatasetNotFoundError, match="holds: holiday photos") as caught:
        load(tmp_path)
    assert "expected" in str(caught.value)


def test_ciil_numbers_people_of_both_studies_apart(tmp_path):
    for name in (
        "MinimalTrainingData/subject2/train",
        "MinimalTrainingData/subject2/test/trial_0",
        "ElectrodeShift/subject2/training",
        "ElectrodeShift/subject2/trial_4",
    ):
        _write(tmp_path / name / "R_0_C_3.csv", _lines(8))
    meta = load_ciil(tmp_path).meta
    assert meta["subject"].tolist() == [2, 2, 102, 102]
    assert meta["session"].tolist() == [0, 1, 0, 5]
    assert set(meta["gesture"]) == {"Wrist extension"}
    assert load_ciil(tmp_path, part="shift").groups.tolist() == [102, 102]
