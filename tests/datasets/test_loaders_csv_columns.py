"""Columns of one's own text files: time, labels, text, decimal commas, names."""

import re
import warnings

import numpy as np
import pytest

from sktinymyo.datasets import DatasetFormatError, load_csv_folder

N_TIMES = 60


@pytest.fixture
def table():
    return np.random.default_rng(0).normal(size=(N_TIMES, 2)).round(3)


def _write(folder, name, columns, header=None, delimiter=","):
    rows = zip(*columns, strict=True)
    lines = [] if header is None else [header]
    lines += [delimiter.join(str(value) for value in row) for row in rows]
    (folder / name).write_text("\n".join(lines) + "\n")


def test_the_advice_on_the_time_leaves_out_labels_and_targets(tmp_path, table):
    time, label = np.arange(N_TIMES) / 1000, np.repeat([0, 1], N_TIMES // 2)
    columns = [time, *table.T, label]
    _write(tmp_path, "anna.csv", columns, "t;a;b;label", ";")
    options = {"sfreq": 1000, "delimiter": ";"}
    for target in ({"label_column": "label"}, {"target_columns": ["label"]}):
        with pytest.warns(UserWarning, match="looks like the time") as caught:
            load_csv_folder(tmp_path, "{subject}.csv", **options, **target)
        assert caught[0].filename == __file__
        advice = re.search(r"columns=(\[.*\])", str(caught[0].message)).group(1)
        assert advice == "['a', 'b']"
        with pytest.raises(ValueError, match="'label', which is (label|target)_column"):
            load_csv_folder(
                tmp_path, "{subject}.csv", columns=[1, 2, 3], **options, **target
            )
    # Without a header, and with the time in the middle, numbers are advised.
    _write(tmp_path, "anna.csv", [table[:, 0], time, table[:, 1], label])
    with pytest.warns(UserWarning, match=r"columns=\[0, 2\]"):
        load_csv_folder(tmp_path, "{subject}.csv", sfreq=1000, label_column=3)


@pytest.mark.parametrize(
    ("scale", "digits", "name"),
    [(1, 3, "time"), (1000, 0, "ms"), (1, 5, "x"), (1000, 2, "stamp"), (1e6, 0, "us")],
)
def test_a_time_that_contradicts_sfreq(tmp_path, table, scale, digits, name):
    time = [f"{value:.{digits}f}" for value in scale * (5 + np.arange(N_TIMES) / 500)]
    _write(tmp_path, "a_b_1.csv", [time, *table.T], f"{name},ch1,ch2")
    with pytest.warns(UserWarning, match=f"'{name}' .* 500 Hz, but sfreq=200 Hz") as w:
        load_csv_folder(tmp_path, sfreq=200, columns=["ch1", "ch2"])
    assert len(w) == 1
    assert w[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_csv_folder(tmp_path, sfreq=500, columns=["ch1", "ch2"])


def test_what_is_no_time_is_not_compared(tmp_path, table):
    rng = np.random.default_rng(1)
    counter, packets = np.arange(N_TIMES), np.arange(N_TIMES) // 8
    steps, irregular = np.repeat([0, 1], 30), rng.uniform(0, 1, N_TIMES).cumsum() ** 2
    columns = [*table.T, counter, packets, steps, irregular]
    _write(tmp_path, "a_b_1.csv", columns, "ch1,ch2,sample,packet,force,other")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_csv_folder(tmp_path, sfreq=200, columns=["ch1", "ch2"])
    # Rounded stamps of an odd rate agree with it.
    time = [f"{k / 1926:.3f}" for k in range(N_TIMES)]
    _write(tmp_path, "a_b_1.csv", [time, *table.T], "time,ch1,ch2")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load_csv_folder(tmp_path, sfreq=1926, columns=["ch1", "ch2"])


def test_a_pattern_without_the_field_of_the_class(tmp_path, table):
    pattern = "{subject}_{movement}_{repetition}.csv"
    for name in ("a_fist_1.csv", "a_open_1.csv"):
        _write(tmp_path, name, [*table.T, np.zeros(N_TIMES)])
    with pytest.raises(
        ValueError,
        match="no field 'gesture'.*subject, movement, repetition: pass "
        "label='movement'",
    ):
        load_csv_folder(tmp_path, pattern, sfreq=200)
    bunch = load_csv_folder(tmp_path, pattern, sfreq=200, label="movement")
    assert bunch.target_names == ["fist", "open"]
    assert bunch.meta["gesture"].tolist() == ["fist", "open"]
    assert load_csv_folder(tmp_path, pattern, sfreq=200, label=None).target_names == []
    assert (
        len(load_csv_folder(tmp_path, pattern, sfreq=200, label_column=2).target) == 2
    )
    # Repetitions that names do not state count for each class, whatever its field.
    pattern = "{subject}_{movement}_1.csv"
    bunch = load_csv_folder(tmp_path, pattern, sfreq=200, label="movement")
    assert bunch.meta["repetition"].tolist() == [0, 0]


def test_labels_as_text(tmp_path, table):
    words = np.repeat(["rest", "None", '"open, wide"'], N_TIMES // 3)
    _write(tmp_path, "a.csv", [*table.T, words], "ch1,ch2,label")
    # A file in which every label is a number still goes with the others.
    _write(tmp_path, "b.csv", [*table.T, np.full(N_TIMES, 7)], "ch1,ch2,label")
    options = {"pattern": "{subject}.csv", "sfreq": 200, "label_column": "label"}
    bunch = load_csv_folder(tmp_path, **options)
    assert bunch.target_names == ["7", "None", "open, wide", "rest"]
    assert bunch.target[0].tolist() == [3] * 20 + [1] * 20 + [2] * 20
    assert set(bunch.target[1]) == {0}
    np.testing.assert_allclose(bunch.recordings[0], table.T, rtol=1e-6)
    bunch = load_csv_folder(tmp_path, **options, label_names={"None": "nothing"})
    assert bunch.target_names == ["7", "nothing", "open, wide", "rest"]
    with pytest.raises(ValueError, match="holds text; pass a dict"):
        load_csv_folder(tmp_path, **options, label_names=["a", "b"])
    # By number, without a header, with a separator at the end of the lines.
    _write(tmp_path, "a.csv", [words, *table.T, [""] * N_TIMES])
    (tmp_path / "b.csv").unlink()
    bunch = load_csv_folder(tmp_path, "{subject}.csv", sfreq=200, label_column=0)
    assert bunch.recordings[0].shape == (2, N_TIMES)
    assert bunch.target_names == ["None", "open, wide", "rest"]
    _write(tmp_path, "a.csv", [*table.T, [*["rest"] * 59, " "]], "ch1,ch2,label")
    with pytest.raises(DatasetFormatError, match="empty in 1 line.*near line 61"):
        load_csv_folder(tmp_path, **options)
    _write(tmp_path, "a.csv", [*table.T, table[:, 0]], "ch1,ch2,label")
    with pytest.raises(DatasetFormatError, match="whole numbers or text; found"):
        load_csv_folder(tmp_path, **options)


def test_text_among_the_signals(tmp_path, table):
    stamps = [f"12:00:{k:02d}" for k in range(N_TIMES)]
    broken = [f"{value}" for value in table[:, 1]]
    broken[40] = "lost"
    _write(tmp_path, "a_b_1.csv", [stamps, table[:, 0], broken], "clock,ch1,ch2")
    with pytest.raises(DatasetFormatError, match=r"a_b_1.*'ch2': 'lost' near line 42"):
        load_csv_folder(tmp_path, sfreq=200, columns=["ch1", "ch2"])
    with pytest.raises(DatasetFormatError, match=r"a_b_1.*'clock': '12:00:\d+' in lin"):
        load_csv_folder(tmp_path, sfreq=200)
    # What is not read may be anything, from the first line on.
    for columns in (["ch1"], [1]):
        bunch = load_csv_folder(tmp_path, sfreq=200, columns=columns)
        np.testing.assert_allclose(bunch.recordings[0][0], table[:, 0], rtol=1e-6)


def test_decimal_commas(tmp_path, table):
    cells = [[f"{value:.3f}".replace(".", ",") for value in row] for row in table.T]
    _write(tmp_path, "a_b_1.csv", [*cells, ["x"] * N_TIMES], "ch1;ch2;label", ";")
    options = {"sfreq": 200, "delimiter": ";", "columns": ["ch1", "ch2"]}
    for extra in ({}, {"label_column": "label"}):
        bunch = load_csv_folder(tmp_path, decimal=",", **options, **extra)
        np.testing.assert_allclose(bunch.recordings[0], table.T, rtol=1e-6)
    for cut in (slice(2), slice(3)):
        _write(tmp_path, "a_b_1.csv", [*cells, ["x"] * N_TIMES][cut], None, ";")
        with pytest.raises(DatasetFormatError, match='Pass decimal=","'):
            load_csv_folder(tmp_path, sfreq=200, delimiter=";", columns=[0, 1])
    _write(tmp_path, "a_b_1.csv", table.T, "ch1;ch2", ";")
    with pytest.raises(DatasetFormatError, match="a_b_1"):
        load_csv_folder(tmp_path, sfreq=200, delimiter=";", decimal=",")
    with pytest.raises(ValueError, match="are the same sign"):
        load_csv_folder(tmp_path, sfreq=200, decimal=",")
    with pytest.raises(ValueError, match="decimal=';'"):
        load_csv_folder(tmp_path, sfreq=200, decimal=";")


def test_the_wrong_separator_is_not_taken_for_text(tmp_path, table):
    _write(tmp_path, "a_b_1.csv", [["0,00"] * N_TIMES, ["51,2"] * N_TIMES], None, ";")
    with pytest.raises(DatasetFormatError, match="separated by ','.*delimiter="):
        load_csv_folder(tmp_path, sfreq=200)


def test_files_that_do_not_fit_are_named(tmp_path, table):
    names = ["a_fist_1.csv", "a_open_1.csv", "a_fist_2.CSV", "a-open-2.csv"]
    for name in names:
        _write(tmp_path, name, table.T)
    (tmp_path / "notes.txt").write_text("not data")
    with pytest.warns(UserWarning, match=r"2 of 4 files do not fit") as caught:
        bunch = load_csv_folder(tmp_path, sfreq=200)
    assert caught[0].filename == __file__
    assert "a_fist_2.CSV" in str(caught[0].message)
    assert "a-open-2.csv" in str(caught[0].message)
    assert "notes" not in str(caught[0].message)
    assert bunch.meta["file"].tolist() == names[:2]


def test_labels_are_renumbered_without_gaps(tmp_path, table):
    codes = np.repeat([20, 0, -1], N_TIMES // 3)
    _write(tmp_path, "a.csv", [*table.T, codes], "ch1,ch2,label")
    options = {"pattern": "{subject}.csv", "sfreq": 200, "label_column": "label"}
    bunch = load_csv_folder(tmp_path, **options)
    assert bunch.target_names == ["-1", "0", "20"]
    assert bunch.target[0].tolist() == [2] * 20 + [1] * 20 + [0] * 20
    names = {0: "rest", 10: "fist", 20: "open"}
    bunch = load_csv_folder(tmp_path, **options, label_names=names)
    # The fist does not occur here, but is named; -1 has no name of its own.
    assert bunch.target_names == ["-1", "rest", "fist", "open"]
    assert [bunch.target_names[k] for k in bunch.target[0][::20]] == [
        "open",
        "rest",
        "-1",
    ]
    for wrong, error in (({0: "a", 20: "a"}, ValueError), ("rest", TypeError)):
        with pytest.raises(error, match="label_names"):
            load_csv_folder(tmp_path, **options, label_names=wrong)
    with pytest.raises(ValueError, match="name of another"):
        load_csv_folder(tmp_path, **options, label_names={0: "20"})


def test_whole_numbers_in_names_are_numbers(tmp_path, table):
    for name in ("01_fist_1.csv", "1_fist_02.csv", "2_7b_01.csv"):
        _write(tmp_path, name, table.T)
    meta = load_csv_folder(tmp_path, sfreq=200).meta
    assert meta["subject"].tolist() == [1, 1, 2]
    assert meta["repetition"].tolist() == [1, 2, 1]
    assert meta["gesture"].tolist() == ["fist", "fist", "7b"]
