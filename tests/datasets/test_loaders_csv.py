"""Tests of the loader for a folder of one's own text files."""

import re
import warnings

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score

from sktinymyo.datasets import DatasetFormatError, LazyRecordings, load_csv_folder
from sktinymyo.exceptions import DatasetNotFoundError
from sktinymyo.signal.windows import sliding_windows


def _write(folder, name, table, header=None, delimiter=","):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = [] if header is None else [header]
    lines += [delimiter.join(f"{value:g}" for value in row) for row in table]
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(size=(30, 4)).round(3).astype(np.float32)


def test_fields_become_meta(tmp_path, table):
    names = [
        "anna_wrist_flexion_2.csv",
        "anna_wrist_flexion_10.csv",
        "ben_fist_1.csv",
    ]
    for name in names:
        _write(tmp_path, name, table)
    (tmp_path / "notes.txt").write_text("not data")
    bunch = load_csv_folder(tmp_path, sfreq=1000, unit="mV")
    assert bunch.groups.tolist() == ["anna", "anna", "ben"]
    # Underscores belong to the gesture; 10 comes after 2.
    assert bunch.meta["gesture"].tolist() == ["wrist_flexion", "wrist_flexion", "fist"]
    assert bunch.meta["repetition"].tolist() == [2, 10, 1]
    assert bunch.meta["file"].tolist() == names
    assert bunch.target_names == ["fist", "wrist_flexion"]
    assert bunch.target.tolist() == [1, 1, 0]
    np.testing.assert_allclose(bunch.recordings[0], table.T, rtol=1e-6)
    assert bunch.recordings[0].dtype == np.float32
    lazy = load_csv_folder(tmp_path, sfreq=1000, lazy=True).recordings
    assert isinstance(lazy, LazyRecordings)
    np.testing.assert_array_equal(lazy[2], bunch.recordings[2])


def test_from_files_to_scores(tmp_path):
    rng = np.random.default_rng(0)
    for subject in "abc":
        for gesture, gain in (("rest", 1), ("fist", 20)):
            for repetition in (1, 2):
                samples = gain * rng.normal(size=(100, 3))
                _write(tmp_path, f"{subject}_{gesture}_{repetition}.csv", samples)
    bunch = load_csv_folder(tmp_path, sfreq=100)
    X, y, meta = sliding_windows(
        bunch.recordings, bunch.sfreq, 0.2, 0.1, labels=bunch.target, meta=bunch.meta
    )
    scores = cross_val_score(
        LogisticRegression(),
        np.log(X.std(axis=2)),
        y,
        groups=meta["subject"],
        cv=GroupKFold(3),
    )
    assert scores.min() > 0.95


@pytest.mark.parametrize("header", [None, "time,left,right,force"])
@pytest.mark.parametrize("above", ["", "device: armband\nrate: 200\n"])
def test_header_and_lines_above_are_found(tmp_path, table, header, above):
    _write(tmp_path, "a_b_1.csv", table, header=header)
    path = tmp_path / "a_b_1.csv"
    # Spreadsheet programs put a byte-order mark in front.
    path.write_text("\ufeff" + above + path.read_text(), encoding="utf-8")
    columns = [1, 2] if header is None else ["left", "right"]
    bunch = load_csv_folder(tmp_path, sfreq=200, columns=columns)
    np.testing.assert_allclose(bunch.recordings[0], table[:, 1:3].T, rtol=1e-6)
    expected = ["column 1", "column 2"] if header is None else ["left", "right"]
    assert bunch.channel_names == expected


@pytest.mark.parametrize(
    ("delimiter", "written"), [(";", ";"), ("\t", "\t"), (None, " ")]
)
def test_delimiters(tmp_path, table, delimiter, written):
    _write(tmp_path, "a_b_1.csv", table, delimiter=written)
    bunch = load_csv_folder(tmp_path, sfreq=200, delimiter=delimiter)
    np.testing.assert_allclose(bunch.recordings[0], table.T, rtol=1e-6)
    if delimiter is not None:
        with pytest.raises(DatasetFormatError, match="delimiter="):
            load_csv_folder(tmp_path, sfreq=200)


def test_folders_and_expressions(tmp_path, table):
    _write(tmp_path, "P01/day 2/fist_3.txt", table)
    bunch = load_csv_folder(
        tmp_path, "{subject}/day {session}/{gesture}_{repetition}.txt", sfreq=200
    )
    row = bunch.meta.loc[0, ["subject", "session", "gesture", "repetition"]]
    assert row.tolist() == ["P01", 2, "fist", 3]
    for pattern in (
        r"P(?P<subject>\d+)/.*/(?P<gesture>\w+)_\d+\.txt",
        re.compile(r"P(?P<subject>\d+)/.*/(?P<gesture>\w+)_\d+\.txt"),
    ):
        bunch = load_csv_folder(tmp_path, pattern, sfreq=200)
        assert bunch.groups.tolist() == [1]
        assert bunch.meta["repetition"].tolist() == [0]


def test_label_column(tmp_path, table):
    codes = np.repeat([0, 1, 2], 10)
    _write(tmp_path, "anna.csv", np.c_[table, codes], header="a,b,c,d,label")
    options = {"pattern": "{subject}.csv", "sfreq": 200, "label_column": "label"}
    bunch = load_csv_folder(tmp_path, **options, label_names=["rest", "fist", "open"])
    assert bunch.target[0].tolist() == codes.tolist()
    assert bunch.channel_names == ["a", "b", "c", "d"]
    assert bunch.target_names == ["rest", "fist", "open"]
    X, y, _ = sliding_windows(bunch.recordings, 200, 0.05, 0.05, labels=bunch.target)
    assert X.shape == (3, 4, 10)
    assert y.tolist() == [0, 1, 2]
    with pytest.raises(DatasetFormatError, match="from 0 to 1"):
        load_csv_folder(tmp_path, **options, label_names=["rest", "fist"])


def test_target_columns(tmp_path, table):
    _write(tmp_path, "anna.csv", table, header="a,b,force,angle")
    bunch = load_csv_folder(
        tmp_path, "{subject}.csv", sfreq=200, target_columns=["force", "angle"]
    )
    np.testing.assert_allclose(bunch.target[0], table[:, 2:], rtol=1e-6)
    np.testing.assert_allclose(bunch.recordings[0], table[:, :2].T, rtol=1e-6)
    assert bunch.target_names == ["force", "angle"]
    with pytest.raises(ValueError, match="not both"):
        load_csv_folder(
            tmp_path, "{subject}.csv", sfreq=200, label_column=0, target_columns=[1]
        )


def test_a_column_of_times_is_announced(tmp_path, table):
    time = np.arange(30)[:, np.newaxis] / 1000
    _write(tmp_path, "a_b_1.csv", np.hstack([time, table]))
    with pytest.warns(UserWarning, match="looks like the time"):
        load_csv_folder(tmp_path, sfreq=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            load_csv_folder(tmp_path, sfreq=1000, columns=range(1, 5)).n_channels == 4
        )


def test_nothing_matches(tmp_path, table):
    with pytest.raises(DatasetNotFoundError, match="not an existing folder"):
        load_csv_folder(tmp_path / "absent", sfreq=200)
    for k in range(20):
        _write(tmp_path, f"S{k}.csv", table)
    with pytest.raises(DatasetNotFoundError, match=r"S0\.csv, S1\.csv.*\.\.\."):
        load_csv_folder(tmp_path, sfreq=200)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"sfreq": 0}, ValueError, "sfreq"),
        ({"pattern": "data.csv"}, ValueError, "names no field"),
        ({"pattern": "{1}.csv"}, ValueError, "not a name"),
        ({"pattern": "{subject.csv"}, ValueError, "not readable"),
        ({"pattern": 3}, TypeError, "pattern"),
        ({"label": "movement"}, ValueError, "its fields are subject, gesture"),
        ({"columns": []}, ValueError, "no channel"),
        ({"columns": ["ch1"]}, DatasetFormatError, "no header line"),
        ({"columns": [4]}, DatasetFormatError, "4 columns"),
        ({"delimiter": ""}, ValueError, "None for white space"),
        ({"skiprows": -1}, ValueError, "skiprows"),
    ],
)
def test_wrong_parameters(tmp_path, table, options, error, message):
    _write(tmp_path, "a_b_1.csv", table)
    with pytest.raises(error, match=message):
        load_csv_folder(tmp_path, **({"sfreq": 200} | options))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no line of numbers"),
        ("hello\nworld\n", "holds no line of numbers"),
        ("1,2,3,4\n1,2,3\n", "near line 2"),
        ("1,2,3,4\n1,2,x,4\n", "text in column 2: 'x' near line 2"),
        ("1,2,3,4\n1,2,3,4,5\n", "not a table of numbers"),
        ("1,2,3,4\n1,2,nan,4\n", "near line 2"),
        ("1,2,3\n1,2,3\n", "the first file has 4"),
    ],
)
def test_malformed_files_are_named(tmp_path, table, text, message):
    _write(tmp_path, "a_b_1.csv", table)
    (tmp_path / "a_b_2.csv").write_text(text)
    with pytest.raises(DatasetFormatError, match=message) as caught:
        load_csv_folder(tmp_path, sfreq=200)
    assert "a_b_2.csv" in str(caught.value)
    (tmp_path / "a_b_2.csv").write_bytes(b"\xff\xfe\x00binary")
    with pytest.raises(DatasetFormatError, match="UTF-8"):
        load_csv_folder(tmp_path, sfreq=200)


def test_files_without_classes(tmp_path, table):
    _write(tmp_path, "anna_1.csv", table)
    bunch = load_csv_folder(
        tmp_path, "{subject}_{repetition}.csv", sfreq=200, label=None
    )
    assert bunch.target.tolist() == [0]
    assert bunch.target_names == []
