"""Tests of cutting continuous recordings where their labels change."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktinymyo.model_selection import LeaveRepetitionsOut
from sktinymyo.signal import sliding_windows, split_recordings

RNG = np.random.default_rng(0)


def _recording(labels):
    return RNG.normal(size=(2, len(labels))).astype(np.float32)


def test_stretches_are_views_and_repetitions_count_across_recordings():
    labels = [np.repeat([1, 2, 1], 10), np.repeat([2, 1], [5, 15]), np.repeat([1], 8)]
    recordings = [_recording(codes) for codes in labels]
    meta = pd.DataFrame(
        {
            "recording": [7, 8, 9],
            "subject": ["anna", "anna", "bob"],
            "session": [0, 0, 0],
            "repetition": [0, 0, 0],
            "side": ["left", "left", "right"],
        }
    )
    parts, y, table = split_recordings(recordings, labels, meta, sfreq=10)
    assert y.tolist() == [1, 2, 1, 2, 1, 1]
    # Anna's second file goes on counting; Bob begins anew.
    assert table["repetition"].tolist() == [0, 0, 1, 1, 2, 0]
    assert table["subject"].tolist() == ["anna"] * 5 + ["bob"]
    assert table["recording"].tolist() == list(range(6))
    assert table["source_recording"].tolist() == [7, 7, 7, 8, 8, 9]
    assert table["start"].tolist() == [0, 1, 2, 0, 0.5, 0]
    assert table["side"].tolist() == ["left"] * 5 + ["right"]
    assert meta["repetition"].tolist() == [0, 0, 0]
    assert all(np.shares_memory(parts[k], recordings[0]) for k in range(3))
    np.testing.assert_array_equal(np.hstack(parts[3:5]), recordings[1])


def test_sessions_count_apart_and_text_labels_work():
    labels = np.repeat(["rest", "fist"], 4)
    table = split_recordings(
        [_recording(labels)] * 2, [labels] * 2, {"session": [1, 2]}, sfreq=1
    )[2]
    assert table["repetition"].tolist() == [0, 0, 0, 0]
    # Without subject and session everything is one session of one person.
    parts, y, table = split_recordings([_recording(labels)] * 2, [labels] * 2, sfreq=1)
    assert y.tolist() == ["rest", "fist"] * 2
    assert table["repetition"].tolist() == [0, 0, 1, 1]
    # A single recording, and a single label for a whole one.
    parts, y, table = split_recordings(_recording(labels), "fist", sfreq=1)
    assert (len(parts), y.tolist()) == (1, ["fist"])


def test_rest_takes_the_repetition_of_the_movement_before_it():
    labels = np.repeat([0, 1, 0, 2, 0, 1, 0, 2, 0], 10)
    recordings, labels = [_recording(labels), np.ones((2, 5))], [labels, np.zeros(5)]
    table = split_recordings(recordings, labels, sfreq=10, rest=0)[2]
    # The first rest goes with the first movement; rest alone counts by itself.
    assert table["repetition"].tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 0]
    with pytest.warns(
        UserWarning, match=r"label 0 lies between.*Pass rest=0"
    ) as caught:
        table = split_recordings(recordings[:1], labels[:1], sfreq=10)[2]
    assert caught[0].filename == __file__
    assert table["repetition"].tolist() == [0, 0, 1, 0, 2, 1, 3, 1, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        split_recordings(recordings[:1], [np.repeat([0, 1, 0], 30)], sfreq=10)
        split_recordings(recordings[:1], [np.repeat([0, 1, 2], 30)], sfreq=10)


def test_minimum_duration_is_in_seconds_and_inclusive():
    labels = np.repeat([1, 2, 1, 2], [30, 29, 31, 30])
    # 0.3 s times 100 Hz is 30.000000000000004 samples in another order.
    parts, y, table = split_recordings(
        _recording(labels), labels, sfreq=100, minimum_duration=0.3
    )
    assert [part.shape[1] for part in parts] == [30, 31, 30]
    assert y.tolist() == [1, 1, 2]
    assert table["repetition"].tolist() == [0, 1, 0]


@given(labels=st.lists(st.integers(0, 3), min_size=1, max_size=60))
def test_nothing_is_lost_and_no_part_holds_two_labels(labels):
    recording = np.arange(len(labels), dtype=float)[np.newaxis]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parts, y, table = split_recordings(recording, labels, sfreq=4)
    np.testing.assert_array_equal(np.hstack(parts), recording)
    lengths = [part.shape[1] for part in parts]
    assert np.repeat(y, lengths).tolist() == labels
    assert (y[1:] != y[:-1]).all()
    np.testing.assert_array_equal(table["start"] * 4, [part[0, 0] for part in parts])
    assert not table.assign(y=y).duplicated(["y", "repetition"]).any()


def test_the_way_to_scores_within_a_person():
    labels = np.repeat([0, 1, 0, 2] * 3, 100)
    parts, y, table = split_recordings(
        _recording(labels), labels, {"subject": "anna"}, sfreq=100, rest=0
    )
    X, y, meta = sliding_windows(parts, 100, 0.2, 0.1, labels=y, meta=table)
    folds = list(LeaveRepetitionsOut().split(X, y, meta))
    assert len(folds) == 3
    for _, test in folds:
        assert set(y[test]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("labels", "options", "message"),
    [
        ([np.zeros(9)], {}, r"labels\[0\] has shape \(9,\).*10 samples"),
        ([np.zeros((10, 2))], {}, "one label for each sample"),
        ([np.linspace(0, 1, 10)], {}, "missing values or fractions"),
        ([np.full(10, np.nan)], {}, "missing values or fractions"),
        ([np.array(["a", None] * 5, object)], {}, "missing values or fractions"),
        ([np.zeros(10)] * 2, {}, "2 entries"),
        (None, {}, "labels=None"),
        ([np.zeros(10)], {"rest": 3}, r"rest=3 is none of the labels \[0"),
        ([np.zeros(10)], {"minimum_duration": 2}, "the longest lasts 1 s"),
        ([np.zeros(10)], {"minimum_duration": -1}, "minimum_duration"),
        ([np.zeros(10)], {"sfreq": 0}, "sfreq"),
        ([np.zeros(10)], {"meta": [{"start": 0}]}, "'start'.*rename or drop"),
    ],
)
def test_wrong_input(labels, options, message):
    with pytest.raises(ValueError, match=message):
        split_recordings([np.zeros((2, 10))], labels, **({"sfreq": 10} | options))
    with pytest.raises(ValueError, match=r"recordings\[0\] must have the shape"):
        split_recordings([np.zeros((2, 0))], [np.zeros(0)], sfreq=10)
