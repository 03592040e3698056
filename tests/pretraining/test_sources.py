"""Windows cut on the fly: every one once, scaled as a plain computation does."""

import itertools
import pickle
import tracemalloc
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.utils import Bunch

from sktinymyo.datasets import LazyRecordings, make_gestures
from sktinymyo.exceptions import WindowsError
from sktinymyo.pretraining._sources import open_source

SIZE = {"n_times": 20, "step": 10}


def naive_starts(length, n_times, step):
    """Starts of windows by walking along the recording."""
    if length < n_times:
        return []
    starts = list(range(0, length - n_times + 1, step))
    missed = length - (starts[-1] + n_times)
    return starts + [length - n_times] * (missed >= step / 2)


def naive_window(recordings, groups, i, start, n_times, scale):
    """One window, scaled with statistics of whole arrays."""
    window = recordings[i][:, start : start + n_times].astype(np.float64)
    if scale is None:
        return window
    if scale == "window":
        pool = window
    elif scale == "recording":
        pool = recordings[i]
    else:
        pool = np.concatenate(
            [
                r
                for r, g in zip(recordings, groups, strict=True)
                if g == groups[i]
                and len(r) == len(recordings[i])
                and r.shape[1] >= n_times
            ],
            axis=1,
        )
    pool = pool.astype(np.float64)
    spread = pool.std(axis=1, keepdims=True)
    return (window - pool.mean(axis=1, keepdims=True)) / np.where(spread, spread, 1)


@st.composite
def sets_of_recordings(draw):
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    shapes = draw(
        st.lists(
            st.tuples(st.integers(1, 3), st.integers(0, 60)), min_size=1, max_size=8
        )
    )
    dtype = draw(st.sampled_from([np.float32, np.float64, np.int16, ">f4", np.float16]))
    recordings = [rng.normal(10, 30, shape).astype(dtype) for shape in shapes]
    groups = draw(
        st.lists(st.integers(0, 2), min_size=len(shapes), max_size=len(shapes))
    )
    return recordings, groups


@given(
    data=sets_of_recordings(),
    n_times=st.integers(2, 25),
    step=st.integers(1, 30),
    batch_size=st.integers(1, 9),
    scale=st.sampled_from(["group", "recording", "window", None]),
)
@settings(max_examples=150, deadline=None)
def test_epoch_holds_every_window_once_as_computed_plainly(
    data, n_times, step, batch_size, scale
):
    recordings, groups = data
    expected = [
        (i, start)
        for i, recording in enumerate(recordings)
        for start in naive_starts(recording.shape[1], n_times, step)
    ]
    options = {"n_times": n_times, "step": step, "scale": scale}
    if not expected:
        with pytest.raises(WindowsError, match="longer than all"):
            open_source(recordings, groups=groups, **options)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        source = open_source(recordings, range(len(recordings)), groups, **options)
    assert source.n_windows == len(expected)
    channels = source.n_channels
    assert channels.tolist() == [len(recordings[i]) for i, _ in expected]

    batches = source.order(3, 1, batch_size)
    sizes = [len(batch) for batch in batches]
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert sorted(np.concatenate(list(batches)).tolist()) == list(range(len(expected)))
    # As many batches of one number of channels as there can be.
    numbers, counts = np.unique(channels, return_counts=True)
    pure = [b for b in batches if len(b) == batch_size and len(set(channels[b])) == 1]
    for number, count in zip(numbers, counts, strict=True):
        found = sum(channels[batch[0]] == number for batch in pure)
        assert found >= count // batch_size

    for batch in batches:
        windows, padding, labels = source.read(batch)
        largest = channels[batch].max()
        assert windows.shape == (len(batch), largest, n_times)
        assert windows.dtype == np.float32
        assert (padding is None) == (len(set(channels[batch])) == 1)
        for row, index in enumerate(batch):
            i, start = expected[index]
            plain = naive_window(recordings, groups, i, start, n_times, scale)
            np.testing.assert_allclose(
                windows[row, : len(plain)], plain, rtol=2e-5, atol=2e-5
            )
            assert not windows[row, len(plain) :].any()
            assert source.classes_[labels[row]] == i
            if padding is not None:
                assert padding[row].tolist() == [
                    c >= len(plain) for c in range(largest)
                ]


def test_order_depends_on_seed_epoch_and_batch_size_alone():
    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=(c, 300)) for c in (2, 4, 2, 4)]
    source = open_source(recordings, **SIZE)
    again = open_source([r * 2 for r in recordings], **SIZE)

    def flat(source, *arguments):
        return np.concatenate(list(source.order(*arguments))).tolist()

    first = flat(source, 1, 2, 8)
    assert first == flat(again, 1, 2, 8)
    for other in [(1, 3, 8), (2, 2, 8), (2, 1, 8)]:
        assert first != flat(source, *other)
    # Shuffled across recordings: a batch sees several of them.
    origin = source.recordings_of_windows
    assert np.mean([len(set(origin[b])) for b in source.order(0, 0, 8)]) > 1.5
    assert [len(b) for b in source.order(0, 0, 8)[1:3]] == [8, 8]


def test_order_of_many_windows_takes_four_bytes_each():
    zeros = np.broadcast_to(np.float32(0), (1, 3_000_000))
    source = open_source([zeros], n_times=1, step=1, scale=None)
    tracemalloc.start()
    batches = source.order(0, 0, 512)
    kept, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(batches) == -(-source.n_windows // 512)
    assert kept < 4.5 * source.n_windows
    assert peak < 9 * source.n_windows
    assert batches[0].dtype == np.int32


def test_forms_of_the_same_windows_agree(tmp_path):
    X = np.random.default_rng(0).normal(5, 2, (30, 4, 50)).astype(np.float32)
    np.save(tmp_path / "windows.npy", X)
    options = {"n_times": 20, "step": 15, "scale": "group"}
    source = open_source(X, **options)
    plain = (X - X.mean((0, 2), keepdims=True)) / X.std((0, 2), keepdims=True)
    assert source.n_windows == 90
    windows, padding, labels = source.read(np.arange(90))
    expected = [plain[i, :, s : s + 20] for i in range(30) for s in (0, 15, 30)]
    np.testing.assert_allclose(windows, expected, atol=1e-5)
    assert padding is None
    assert set(labels) == {-1}
    mapped = np.load(tmp_path / "windows.npy", mmap_mode="r")
    frame = pd.DataFrame(X.reshape(30, -1))
    for form, n_channels in [
        (X.reshape(30, -1), 4),
        (frame, 4),
        (X.reshape(30, -1).tolist(), 4),
        (mapped, None),
        (np.asfortranarray(X), 4),
    ]:
        other = open_source(form, n_channels=n_channels, **options)
        np.testing.assert_allclose(other.read(np.arange(90))[0], windows, atol=1e-6)
    # A list holds recordings, each of which is a group.
    for form in (list(X), X.tolist(), tuple(X), _objects(X)):
        other = open_source(form, **options)
        alone = open_source(X, groups=range(30), **options)
        got, wanted = other.read(np.arange(90))[0], alone.read(np.arange(90))[0]
        np.testing.assert_allclose(got, wanted, atol=1e-6)


def _objects(X):
    array = np.empty(len(X), dtype=object)
    array[:] = list(X)
    return array


def test_bunches_bring_labels_groups_and_rates():
    bunch = make_gestures(n_subjects=2, n_repetitions=2, duration=1.0, random_state=0)
    source = open_source(bunch, **SIZE)
    facts = source.describe()
    assert facts["n_groups"] == len(
        bunch.meta[["subject", "session"]].drop_duplicates()
    )
    assert facts["sfreq"] == [200.0]
    assert facts["hours"] == pytest.approx(
        sum(r.shape[1] for r in bunch.recordings) / 200 / 3600
    )
    assert set(source.classes_) <= set(bunch.target_names)
    windows, _, labels = source.read(np.arange(source.n_windows))
    names = np.array(bunch.target_names)[bunch.target]
    origin = source.recordings_of_windows
    assert source.classes_[labels].tolist() == names[origin].tolist()

    # Two sets: the same names of people and gestures, yet other people.
    both = open_source([bunch, bunch], **SIZE)
    assert both.describe()["n_groups"] == 2 * facts["n_groups"]
    assert both.n_windows == 2 * source.n_windows
    second = np.arange(source.n_windows) + source.n_windows
    np.testing.assert_array_equal(both.read(second)[0], windows)
    np.testing.assert_array_equal(both.read(second)[2], labels)
    assert both.recording_names[-1].startswith("X[1].recordings[")

    # Labels and groups given count for more than those found.
    other = open_source(bunch, y=[7] * len(names), groups=[0] * len(names), **SIZE)
    assert other.classes_.tolist() == [7]
    assert other.describe()["n_groups"] == 1


def test_targets_of_regressions_are_no_labels():
    recordings = [np.random.default_rng(0).normal(size=(2, 100))]
    for target in ([np.zeros((100, 3))], np.zeros((1, 3)), None):
        bunch = Bunch(recordings=recordings, target=target, target_names=["a"])
        assert open_source(bunch, **SIZE).classes_ is None
    bunch = Bunch(
        recordings=recordings * 2, target=np.array([-1, 0]), target_names=["a"]
    )
    assert open_source(bunch, **SIZE).read([0, 9])[2].tolist() == [-1, 0]


def test_sequences_that_decode_on_access_are_kept_within_bounds(monkeypatch):
    rng = np.random.default_rng(0)
    recordings = [rng.normal(size=(2, n)).astype(np.float32) for n in (90, 70, 80)]
    decoded = []

    def decode(i):
        decoded.append(i)
        return recordings[i]

    monkeypatch.setattr("sktinymyo.pretraining._recordings.KEPT_BYTES", 1300)
    lazy = open_source(LazyRecordings(range(3), decode), **SIZE)
    assert decoded == [0, 1, 2]
    plain = open_source(recordings, **SIZE)
    everything = np.arange(plain.n_windows)
    np.testing.assert_array_equal(lazy.read(everything)[0], plain.read(everything)[0])
    # Read recording by recording, whatever the order of the windows.
    decoded.clear()
    lazy.read(np.random.default_rng(1).permutation(everything))
    assert decoded == [0, 1, 2]
    assert lazy.fingerprint() == plain.fingerprint()


def test_half_a_step_at_the_end_makes_one_more_window():
    ramp = np.arange(100.0)[np.newaxis]

    def starts(length):
        source = open_source([ramp[:, :length]], n_times=20, step=10, scale=None)
        return source.read(np.arange(source.n_windows))[0][:, 0, 0].tolist()

    assert starts(20) == [0]
    assert starts(24) == [0]
    assert starts(25) == [0, 5]
    assert starts(30) == [0, 10]
    assert starts(38) == [0, 10, 18]


def test_shift_moves_windows_inside_their_recording():
    ramps = [np.arange(50.0)[np.newaxis], np.arange(100.0, 130.0)[np.newaxis]]
    source = open_source(ramps, n_times=20, step=10, scale=None)
    first = [0, 10, 20, 30, 100, 110]
    for shift in (3, -4, 1000, [1, -20, 5, 5, -1, -3]):
        windows = source.read(np.arange(6), shift)[0]
        moved = np.array(first) + shift
        low, high = np.array([0] * 4 + [100] * 2), np.array([30] * 4 + [110] * 2)
        assert windows[:, 0, 0].tolist() == np.clip(moved, low, high).tolist()
    for wrong in ([1, 2], 0.5, [[1]]):
        with pytest.raises(ValueError, match="shift must be"):
            source.read(np.arange(6), wrong)


def test_scaling_keeps_small_signals_on_large_offsets():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(3, 200_000)) * [[1e-6], [1.0], [1e8]]
    recording = signal + [[1.0], [1e9], [0.0]]
    # Longer than one block, so that moments are merged.
    for scale in ("group", "recording"):
        source = open_source([recording], n_times=2000, step=2000, scale=scale)
        windows = source.read(np.arange(100))[0]
        np.testing.assert_allclose(windows.std((0, 2)), 1, rtol=1e-6)
        np.testing.assert_allclose(windows.mean((0, 2)), 0, atol=1e-6)
    for scale in ("group", "window"):
        flat = np.full((2, 100), 0.1, dtype=np.float32)
        source = open_source([flat], scale=scale, **SIZE)
        np.testing.assert_allclose(source.read([0])[0], 0, atol=1e-6)


def test_groups_share_their_scale_and_others_do_not():
    rng = np.random.default_rng(0)
    weak, strong = rng.normal(size=(2, 400)), 9 * rng.normal(size=(2, 400))
    with pytest.warns(UserWarning, match="1 of 3 recordings are shorter"):
        source = open_source(
            [weak, strong, weak[:, :5] + np.nan], groups=["a", "a", "b"], **SIZE
        )
    spread = [source.read(np.arange(k, k + 39))[0].std() for k in (0, 39)]
    assert spread[1] / spread[0] == pytest.approx(9, rel=0.2)
    for groups in (None, [None, None], [np.nan, pd.NA], [("a", 1), ("a", 2)]):
        source = open_source([weak, strong], groups=groups, **SIZE)
        spread = [source.read(np.arange(k, k + 39))[0].std() for k in (0, 39)]
        assert spread == pytest.approx([1, 1], rel=0.05)


@pytest.mark.parametrize(
    ("labels", "classes", "codes"),
    [
        (["b", None, "a"], ["a", "b"], [1, -1, 0]),
        ([3.0, np.nan, -1.0], [3.0], [0, -1, -1]),
        (np.array([5, -1, 2]), [2, 5], [1, -1, 0]),
        (pd.Series(["x", pd.NA, "x"]), ["x"], [0, -1, 0]),
        (pd.Categorical(["x", None, "w"]), ["w", "x"], [1, -1, 0]),
        ([True, False, None], [False, True], [1, 0, -1]),
        (np.array(["b", "a", "-1"]), ["-1", "a", "b"], [2, 1, 0]),
        ([None, None, np.nan], None, [-1, -1, -1]),
        (None, None, [-1, -1, -1]),
    ],
)
@pytest.mark.filterwarnings("ignore:y holds the label")
def test_labels_of_any_kind(labels, classes, codes):
    X = np.random.default_rng(0).normal(size=(3, 2, 20))
    source = open_source(X, labels, **SIZE)
    found = None if source.classes_ is None else source.classes_.tolist()
    assert found == classes
    assert source.read([0, 1, 2])[2].tolist() == codes


def test_a_class_called_minus_one_is_noticed():
    X = np.random.default_rng(0).normal(size=(3, 2, 20))
    with pytest.warns(UserWarning, match="if -1 is a class of yours"):
        open_source(X, [1, -1, 1], **SIZE)


GOOD = [np.random.default_rng(k).normal(size=(2, 50)) for k in range(3)]
BROKEN = np.random.default_rng(0).normal(size=(2, 50))
BROKEN[1, 33] = np.inf


@pytest.mark.parametrize(
    ("X", "options", "error", "message"),
    [
        (GOOD, {"n_times": 0}, ValueError, "n_times must be"),
        (GOOD, {"step": 1.5}, TypeError, "step must be"),
        (GOOD, {"scale": "dataset"}, ValueError, "scale='dataset'"),
        (GOOD, {"n_channels": 1}, WindowsError, r"X\[0\] has 2 channels.*3 of 3"),
        (GOOD, {"y": [1, 2]}, ValueError, "y has 2 values for 3 recordings"),
        (GOOD, {"y": [[1], [2], [3]]}, ValueError, "y must hold one label"),
        (GOOD, {"y": np.ones((3, 1))}, ValueError, r"shape \(3, 1\)"),
        (GOOD, {"y": "abc"}, ValueError, "y must hold one value for each"),
        (GOOD, {"y": [0.5, 1, 2]}, ValueError, "fractions such as 0.5"),
        (GOOD, {"y": ["a", 1, None]}, ValueError, "mixes labels.*int, str"),
        (GOOD, {"groups": [1]}, ValueError, "groups has 1 values"),
        (GOOD, {"groups": [[1], [1], [2]]}, ValueError, "groups must hold"),
        (GOOD, {"sfreq": [200, 200]}, ValueError, "sfreq has 2 values"),
        (GOOD, {"sfreq": -1}, ValueError, "sfreq must be"),
        (GOOD, {"n_times": 51}, WindowsError, "n_times=51 is longer.*50 samples"),
        (GOOD, {"datasets": [3]}, TypeError, "datasets must be"),
        (GOOD, {"orientation": "up"}, ValueError, "orientation='up'"),
        ([], {}, WindowsError, "empty list"),
        ([*GOOD, BROKEN], {}, WindowsError, r"X\[3\].*channel 1 at sample 33"),
        ([BROKEN], {"scale": None}, WindowsError, r"X\[0\].*channel 1 at sample 33"),
        (np.stack([*GOOD, BROKEN]), {}, WindowsError, r"X\[3\].*at sample 33"),
        ([GOOD[0] * 1e300], {}, WindowsError, "too large"),
        ([np.ones(30)], {}, WindowsError, r"X\[0\] must have the shape.*\(30,\)"),
        ([GOOD[0].astype(complex)], {}, WindowsError, "real numbers.*complex"),
        ([GOOD[0].astype(str)], {}, WindowsError, "real numbers"),
        ([GOOD[0], "file.npy"], {}, WindowsError, "X mixes paths and recordings"),
        ([[[1, 2], [3]]], {}, WindowsError, r"X\[0\] is not an array"),
        ([GOOD[0].T], {}, WindowsError, r"50 channels of 2 samples.*transpose"),
        (np.ones(30), {}, WindowsError, "X must be an array"),
        (np.ones((2, 0, 30)), {}, WindowsError, r"\(2, 0, 30\)"),
        (np.ones((2, 3, 30)), {"n_channels": 4}, WindowsError, "X has 3 channels"),
        (np.ones((2, 30)), {"n_channels": 4}, WindowsError, "30 columns"),
        (None, {}, WindowsError, "X must be an array.*NoneType"),
        (5, {}, WindowsError, "X must be an array"),
        ({"a": 1}, {}, WindowsError, "X must be an array"),
        (Bunch(recordings=[]), {}, WindowsError, "recordings is empty"),
        ([["a", "b"]], {}, WindowsError, "X must be an array"),
    ],
)
def test_errors_say_what_is_wrong(X, options, error, message):
    with pytest.raises(error, match=message):
        open_source(X, **{**SIZE, **options})


def test_one_recording_taken_for_many_windows_is_noticed():
    with pytest.warns(UserWarning, match=r"pass \[X\] if it is one recording"):
        open_source(np.random.default_rng(0).normal(size=(8, 1000)), **SIZE)


def test_values_beyond_float32_are_refused_when_read():
    source = open_source([GOOD[0] * 1e60], scale=None, **SIZE)
    with pytest.raises(WindowsError, match=r"X\[0\] holds values up to .* too large"):
        source.read([0])
    scaled = open_source([GOOD[0] * 1e60], **SIZE)
    assert np.isfinite(scaled.read([0])[0]).all()


def test_reading_wants_numbers_of_windows():
    source = open_source(GOOD, **SIZE)
    for wrong in ([12], [-1]):
        with pytest.raises(IndexError, match="from 0 to 11"):
            source.read(wrong)
    for wrong in ([0.5], 3, [[1]]):
        with pytest.raises(TypeError, match="indices must be"):
            source.read(wrong)
    windows, padding, labels = source.read([])
    assert (windows.shape, padding, labels.shape) == ((0, 0, 20), None, (0,))
    for wrong in ((-1, 0, 1), (0, -1, 1), (0, 0, 0)):
        with pytest.raises(ValueError, match="must be a whole number"):
            source.order(*wrong)


def test_fingerprint_tells_data_apart():
    base = {"X": GOOD, "y": [0, 1, 0], "groups": [0, 0, 1], "scale": None, **SIZE}
    longer = [np.pad(GOOD[0], ((0, 0), (0, 1))), *GOOD[1:]]
    changed = [GOOD[0].copy(), *GOOD[1:]]
    changed[0][0, 0] += 1
    last = [*GOOD[:2], GOOD[2].copy()]
    last[2][1, -1] += 1
    variants = [
        base,
        {**base, "X": GOOD[::-1]},
        {**base, "X": longer},
        {**base, "X": changed},
        {**base, "X": last},
        {**base, "X": np.stack(GOOD)},
        {**base, "y": [1, 0, 1]},
        {**base, "y": ["a", "b", "a"]},
        {**base, "groups": [0, 1, 1]},
        {**base, "step": 9},
        {**base, "scale": "window"},
    ]
    prints = [open_source(**variant).fingerprint() for variant in variants]
    assert len(set(prints)) == len(prints)
    assert all(len(text) == 64 for text in prints)
    copy = {**base, "X": [np.asfortranarray(x) for x in GOOD]}
    assert open_source(**copy).fingerprint() == prints[0]


def test_sources_survive_pickling_and_threads():
    recordings = [np.random.default_rng(k).normal(size=(2, 500)) for k in range(4)]
    for X in (recordings, LazyRecordings(recordings, np.asarray)):
        source = open_source(X, y=list("abab"), **SIZE)
        copy = pickle.loads(pickle.dumps(source))
        batches = list(source.order(0, 0, 7))
        alone = [source.read(batch) for batch in batches]
        with ThreadPoolExecutor(4) as pool:
            together = list(pool.map(copy.read, batches))
        for left, right in zip(alone, together, strict=True):
            np.testing.assert_array_equal(left[0], right[0])
            np.testing.assert_array_equal(left[2], right[2])


def test_description_is_plain():
    with pytest.warns(UserWarning, match="give no window, first X.3."):
        source = open_source(
            [*GOOD, GOOD[0][:, :5]],
            ["a", None, "b", "c"],
            sfreq=[200, 100, 200, 50],
            **SIZE,
        )
    facts = source.describe()
    assert facts["hours"] == pytest.approx((50 + 50 + 100) / 200 / 3600)
    assert facts["sfreq"] == [100.0, 200.0]
    assert facts["n_recordings"] == 3
    assert facts["n_recordings_too_short"] == 1
    assert facts["recordings_by_n_channels"] == {2: 3}
    assert facts["n_labelled_windows"] == 8
    kinds = (str, int, float, list, dict, type(None))
    values = itertools.chain(facts.values(), facts["sfreq"])
    assert all(type(value) in kinds for value in values)
    assert repr(source) == (
        "WindowSource(12 windows of 20 samples from 4 recordings, scale='group')"
    )
