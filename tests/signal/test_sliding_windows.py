import tracemalloc
import warnings
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo.exceptions import WindowsError
from sktinymyo.signal import sliding_windows


def numbered(n_channels, n_times, dtype=np.float32):
    return np.arange(n_channels * n_times, dtype=dtype).reshape(n_channels, n_times)


def test_one_recording():
    recording = numbered(2, 10)
    X, y, meta = sliding_windows(recording, sfreq=10, window=0.4, step=0.3)
    assert y is None
    assert X.dtype == np.float32
    assert X.flags.c_contiguous
    assert X.flags.writeable
    assert not np.shares_memory(X, recording)
    np.testing.assert_array_equal(X, [recording[:, s : s + 4] for s in (0, 3, 6)])
    assert list(meta.columns) == [
        "recording",
        "subject",
        "session",
        "repetition",
        "onset",
    ]
    np.testing.assert_allclose(meta["onset"], [0, 0.3, 0.6])
    assert meta["recording"].tolist() == [0, 0, 0]
    assert meta["subject"].isna().all()


def test_several_recordings_with_meta():
    recordings = [numbered(2, 10), numbered(2, 7), numbered(2, 12)]
    table = pd.DataFrame(
        {
            "gesture": ["a", "b", "c"],
            "subject": [7, 7, 8],
            "repetition": [1, 2, 1],
            "recording": [10, 11, 12],
        },
        index=[5, 6, 7],
    )
    X, y, meta = sliding_windows(
        recordings, 10, 0.5, 0.5, labels=["a", "b", "c"], meta=table
    )
    assert X.shape == (5, 2, 5)
    assert y.tolist() == ["a", "a", "b", "c", "c"]
    assert meta["recording"].tolist() == [10, 10, 11, 12, 12]
    assert meta["subject"].tolist() == [7, 7, 7, 8, 8]
    assert meta["session"].isna().all()
    assert meta["gesture"].tolist() == y.tolist()
    assert list(meta.columns)[-2:] == ["onset", "gesture"]
    assert meta.index.tolist() == list(range(5))
    np.testing.assert_array_equal(X[2], recordings[1][:, :5])


def test_forms_of_meta_and_of_several_recordings():
    rows = [{"subject": "ann"}, {"subject": "bob"}]
    for meta in (rows, {"subject": ["ann", "bob"]}, pd.DataFrame(rows)):
        for recordings in (np.zeros((2, 3, 4)), (np.zeros((3, 4)), np.zeros((3, 4)))):
            _, _, table = sliding_windows(recordings, 1, 4, 4, meta=meta)
            assert table["subject"].tolist() == ["ann", "bob"]
    _, _, table = sliding_windows([[1.0, 2.0]], 1, 1, 1, meta={"subject": "ann"})
    assert table["subject"].tolist() == ["ann", "ann"]
    _, _, table = sliding_windows(np.zeros((2, 3, 4)), 1, 4, 4, meta={"session": 3})
    assert table["session"].tolist() == [3, 3]


@pytest.mark.filterwarnings("ignore:step=")
@settings(max_examples=60, deadline=None)
@given(
    labels=st.lists(st.sampled_from("abc"), min_size=6, max_size=60),
    n_window=st.integers(1, 6),
    n_step=st.integers(1, 7),
)
def test_labels_of_classes_agree_with_a_loop(labels, n_window, n_step):
    recording = numbered(1, len(labels))
    starts = range(0, len(labels) - n_window + 1, n_step)
    contents = [labels[s : s + n_window] for s in starts]

    def cut(label):
        return sliding_windows(recording, 1, n_window, n_step, labels, label)

    assert cut("first")[1].tolist() == [c[0] for c in contents]
    assert cut("last")[1].tolist() == [c[-1] for c in contents]
    X, y, _ = cut("majority")
    expected = [
        min(Counter(c).items(), key=lambda i: (-i[1], i[0]))[0] for c in contents
    ]
    assert y.tolist() == expected
    pure = [
        (s, c[0]) for s, c in zip(starts, contents, strict=True) if len(set(c)) == 1
    ]
    if not pure:
        with pytest.raises(WindowsError, match="leaves no window"):
            cut("pure")
        return
    X, y, meta = cut("pure")
    assert y.tolist() == [c for _, c in pure]
    assert meta["onset"].tolist() == [s for s, _ in pure]
    np.testing.assert_array_equal(X, [recording[:, s : s + n_window] for s, _ in pure])


def test_continuous_targets():
    rng = np.random.default_rng(0)
    recordings = [numbered(2, 20), numbered(2, 15)]
    targets = [rng.normal(size=(n, 3)).astype(np.float32) for n in (20, 15)]
    starts = [(0, s) for s in (0, 5, 10, 15)] + [(1, s) for s in (0, 5, 10)]

    def cut(label, labels=targets):
        return sliding_windows(recordings, 1, 5, 5, labels=labels, label=label)[1]

    expected = np.stack([targets[i][s : s + 5] for i, s in starts])
    sequence = cut("sequence")
    assert sequence.dtype == np.float32
    np.testing.assert_array_equal(sequence, expected)
    np.testing.assert_allclose(cut("mean"), expected.mean(axis=1), rtol=1e-5)
    np.testing.assert_array_equal(cut("last"), expected[:, -1])
    single = [t[:, 0] for t in targets]
    np.testing.assert_array_equal(cut("sequence", single), expected[:, :, :1])
    np.testing.assert_array_equal(cut("last", single), expected[:, -1, 0])
    np.testing.assert_array_equal(cut("mean", [0.5, 1.5]), [0.5] * 4 + [1.5] * 3)


@pytest.mark.parametrize(
    ("labels", "label", "match"),
    [
        (np.zeros(9), "majority", "labels has 9 entries.*10 samples"),
        (np.zeros((10, 2)), "majority", "label='majority' cannot use"),
        (np.full(10, 0.5), "majority", "fractions"),
        (["a"] * 10, "mean", "needs numbers"),
        (1.0, "sequence", "one for every sample"),
        ("a", "mode", "label='mode' is not accepted"),
    ],
)
def test_labels_refused(labels, label, match):
    with pytest.raises(ValueError, match=match):
        sliding_windows(np.zeros((2, 10)), 10, 0.5, 0.5, labels=labels, label=label)


def test_wrong_use():
    recordings = [np.zeros((2, 10)), np.zeros((2, 20))]
    with pytest.raises(ValueError, match="labels='a' is one label"):
        sliding_windows(recordings, 1, 5, 5, labels="a")
    with pytest.raises(ValueError, match="labels has 1 entries.*2 recordings"):
        sliding_windows(recordings, 1, 5, 5, labels=["a"])
    with pytest.raises(ValueError, match=r"labels\[1\] has 10 entries"):
        sliding_windows(recordings, 1, 5, 5, labels=[np.zeros(10), np.zeros(10)])
    with pytest.raises(ValueError, match="meta has 1 rows"):
        sliding_windows(recordings, 1, 5, 5, meta=[{"subject": 1}])
    with pytest.raises(ValueError, match="column 'onset'"):
        sliding_windows(recordings, 1, 5, 5, meta={"onset": 0.0})
    with pytest.raises(WindowsError, match="longest recording has 20 samples"):
        sliding_windows(recordings, 1, 21, 5)
    with pytest.raises(WindowsError, match="recording.1. has 3 channels"):
        sliding_windows([np.zeros((2, 10)), np.zeros((3, 10))], 1, 5, 5)
    with pytest.raises(WindowsError, match="NaN"):
        sliding_windows(np.full((2, 10), np.nan), 1, 5, 5)
    with pytest.raises(WindowsError, match="empty sequence"):
        sliding_windows([], 1, 5, 5)
    with pytest.raises(ValueError, match="step=0.001 s is less than one sample"):
        sliding_windows(recordings, 100, 0.05, 0.001)
    with pytest.warns(UserWarning, match="1 of 2 recordings are shorter"):
        X, y, meta = sliding_windows(recordings, 1, 15, 15, labels=["a", "b"])
    assert y.tolist() == ["b"]
    assert meta["recording"].tolist() == [1]


def test_transposed_recordings_draw_a_hint():
    turned = np.zeros((3000, 6), np.float32)
    hint = (
        r"the shape \(3000, 6\): 3000 channels of 6 samples\. The expected order is "
        r"\(n_channels, n_times\); pass recording{}\.T if it is the other way round\."
    )
    for recording, place in (
        (turned, ""),
        (pd.DataFrame(turned), ""),
        ([turned, turned], r"\[0\]"),
        ([pd.DataFrame(turned), turned[:2000]], r"\[0\]"),
    ):
        with pytest.raises(WindowsError, match=hint.format(place)):
            sliding_windows(recording, 200, 0.2, 0.1)
    with pytest.raises(WindowsError, match=r"\[1\] has 2000 channels.*3000 channels"):
        sliding_windows([turned, turned[:2000]], 200, 0.02, 0.02)
    with pytest.raises(ValueError, match="3000 entries.*" + hint.format("")):
        sliding_windows(turned, 200, 0.2, 0.1, labels=np.zeros(3000))
    with pytest.warns(UserWarning, match=hint.format("")):
        sliding_windows(turned, 200, 0.02, 0.02)


def test_milliseconds_for_seconds():
    recording = np.zeros((8, 3000), np.float32)
    with pytest.raises(WindowsError, match=r"3000 samples \(15 s\).*200 ms pass 0\.2"):
        sliding_windows(recording, 200, 200, 100)
    with pytest.raises(WindowsError, match=r"in seconds\.$"):
        sliding_windows(recording[:, :20], 200, 0.2, 0.1)
    with pytest.warns(UserWarning, match=r"left out.*100 ms pass 0\.1"):
        X, _, _ = sliding_windows(recording, 200, 0.2, 100)
    assert len(X) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sliding_windows(recording, 200, 0.2, 0.2)


@pytest.mark.parametrize(
    ("given_type", "expected"),
    [("float64", "float64"), ("int16", "float32"), ("int32", "float64")],
)
def test_types(given_type, expected):
    X, _, _ = sliding_windows(numbered(2, 10).astype(given_type), 1, 5, 1)
    assert X.dtype == expected
    np.testing.assert_array_equal(X[1, 0], np.arange(1, 6))


def test_memory_is_that_of_the_output():
    recordings = [np.zeros((8, 50_000), np.float32) for _ in range(4)]
    labels = [np.repeat(np.arange(10), 5000)] * 4
    sliding_windows(recordings, 1000, 0.2, 0.1, labels=labels)
    tracemalloc.start()
    try:
        X, _, _ = sliding_windows(recordings, 1000, 0.2, 0.05, labels, "pure")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 1.15 * X.nbytes
