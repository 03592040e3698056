"""Properties of what the loaders share."""

import subprocess
import sys

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from sktinymyo.datasets._bunch import label_runs
from sktinymyo.datasets._csv import compile_pattern
from sktinymyo.datasets._files import cut, natural_sorted, runs
from sktinymyo.datasets._ninapro import _fill_rest

words = st.text("abcXYZ-", min_size=1, max_size=6)
codes = st.lists(st.integers(0, 3), min_size=1, max_size=60)


@given(codes)
def test_cuts_put_together_are_the_whole(labels):
    labels = np.array(labels)
    table = np.arange(2 * len(labels)).reshape(-1, 2)
    files = pd.DataFrame({"path": ["file"], "subject": [1], "gesture": [""]})
    meta, items, target = label_runs(files, [labels], "abcd", segment=True)
    pieces = [cut(table, start, stop) for _, start, stop in items]
    np.testing.assert_array_equal(np.hstack(pieces), table.T)
    assert target is None
    for code, (_, start, stop) in zip(meta["target"], items, strict=True):
        assert set(labels[start:stop]) == {code}
    assert not meta.duplicated(["target", "repetition"]).any()
    assert (np.diff(meta["target"]) != 0).all()


@given(codes)
def test_runs_of_several_columns_end_where_any_changes(labels):
    labels = np.stack([labels, np.arange(len(labels)) // 5], axis=1)
    starts, stops = runs(labels)
    assert starts[0] == 0
    assert stops[-1] == len(labels)
    assert (starts[1:] == stops[:-1]).all()
    assert all(
        len(np.unique(labels[a:b], axis=0)) == 1
        for a, b in zip(starts, stops, strict=True)
    )


@given(codes, st.data())
def test_rest_takes_the_repetition_of_the_movement_before(labels, data):
    labels = np.array(labels)
    numbers = st.lists(
        st.integers(1, 6), min_size=len(labels), max_size=len(labels)
    ).map(np.array)
    repetitions = data.draw(numbers)
    filled = _fill_rest(labels, repetitions)
    moving = labels > 0
    np.testing.assert_array_equal(filled[moving], repetitions[moving])
    for index in np.flatnonzero(~moving):
        before, after = np.flatnonzero(moving[:index]), np.flatnonzero(moving[index:])
        if len(before):
            assert filled[index] == repetitions[before[-1]]
        elif len(after):
            assert filled[index] == repetitions[index + after[0]]


@given(words, st.lists(words, min_size=1, max_size=3), st.integers(0, 10**6))
def test_patterns_read_what_they_would_write(subject, gesture, repetition):
    pattern = "{subject}/{gesture}_{repetition}.csv"
    fields = {
        "subject": subject,
        "gesture": "_".join(gesture),
        "repetition": str(repetition),
    }
    match = compile_pattern(pattern).fullmatch(pattern.format(**fields))
    assert match.groupdict() == fields


def test_natural_order():
    names = ["trial_10", "trial_2", "Trial_1", "a", "10", "9"]
    assert natural_sorted(names) == ["9", "10", "a", "Trial_1", "trial_2", "trial_10"]


def test_import_leaves_torch_and_matplotlib_alone():
    code = (
        "import sys, sktinymyo.datasets; "
        "print({'torch', 'matplotlib', 'h5py', 'pooch'} & set(sys.modules))"
    )
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == "set()"
