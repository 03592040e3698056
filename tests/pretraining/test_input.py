"""What X may be, and that training and `transform` see the same numbers."""

import gc
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.utils import Bunch

from sktinymyo import TinyMyoPretrainer
from sktinymyo.datasets import LazyRecordings
from sktinymyo.exceptions import WindowsError
from sktinymyo.inspection import ReconstructionDisplay
from sktinymyo.pretraining import _pretrainer

RNG = np.random.default_rng(0)
RECORDINGS = [RNG.normal(size=(n, 300)) for n in (4, 8, 8)]
EQUAL = [RNG.normal(size=(4, 100)) for _ in range(3)]
# Of different strengths, so that it matters what is scaled together.
WINDOWS = RNG.normal(size=(6, 4, 40)) * np.arange(1, 7)[:, None, None]


def nano(**options):
    defaults = {"size": "nano", "max_steps": 2, "batch_size": 8, "random_state": 0}
    return TinyMyoPretrainer(**defaults | options)


@pytest.fixture
def trained_on(monkeypatch):
    """Fit and return the source of the windows, without training."""

    def trained_on(model, *arguments):
        seen = []

        def pretrain(network, source, *others, **options):
            seen.append(source)
            raise StopIteration

        monkeypatch.setattr(_pretrainer, "pretrain", pretrain)
        with pytest.raises(StopIteration):
            model.fit(*arguments)
        return seen[0]

    return trained_on


def objects(items):
    array = np.empty(len(items), dtype=object)
    array[:] = items
    return array


@pytest.mark.parametrize(
    "X",
    [
        LazyRecordings(RECORDINGS, np.asarray),
        LazyRecordings(EQUAL, np.asarray),
        objects(RECORDINGS),
        tuple(RECORDINGS),
        {"recordings": RECORDINGS},
        [{"recordings": RECORDINGS[:2]}, Bunch(recordings=RECORDINGS[2:])],
    ],
)
def test_every_sequence_and_mapping_holds_recordings(trained_on, X):
    source = trained_on(nano(n_times=40), X)
    facts = source.describe()
    assert facts["n_recordings"] == facts["n_groups"] == 3


@pytest.mark.parametrize(
    ("X", "message"),
    [
        ([], "X is an empty list"),
        ({"a": 1}, "X must be an array"),
        ([[[1, 2], [3]]], r"X\[0\] is not an array"),
        ([np.ones(3), np.ones(4)], r"X\[0\] must have the shape"),
    ],
)
def test_what_holds_nothing_known_is_refused(X, message):
    with pytest.raises(WindowsError, match=message):
        nano(n_times=40).fit(X)


@pytest.mark.parametrize("n_times", [None, 100])
def test_a_single_recording_taken_for_windows_is_noticed(trained_on, n_times):
    recording = RNG.normal(size=(8, 2000))
    with pytest.warns(UserWarning, match=r"pass \[X\] if it is one") as caught:
        trained_on(nano(n_times=n_times), recording)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained_on(nano(n_channels=1, n_times=n_times), recording)
        trained_on(nano(n_times=100), [recording])


@pytest.mark.parametrize(
    ("scale", "X"),
    [
        ("recording", WINDOWS),
        ("group", WINDOWS[:, :, :10] + 5),
        ("window", WINDOWS[:, :, :10] + 5),
        ("group", (WINDOWS / 6 + 100).astype(np.float16)),
        ("window", (WINDOWS / 6 + 100).astype(np.float16)),
        ("group", (WINDOWS * 9 + 500).astype(np.uint16)),
        ("group", WINDOWS * 1e-3 + 1e7),
        ("group", WINDOWS * 1e39),
        (None, WINDOWS),
    ],
)
def test_training_and_transform_scale_alike(trained_on, scale, X):
    model = nano(scale=scale)
    windows = trained_on(model, X).read(np.arange(len(X)))[0]
    n_times = X.shape[2]
    assert windows.shape[2] == max(n_times, 20)
    assert not windows[:, :, n_times:].any()
    expected = model._scaler.to_tensor(X).numpy()
    np.testing.assert_allclose(windows[:, :, :n_times], expected, atol=1e-5)
    assert scale is None or 0.5 < expected.std() < 2


@pytest.mark.parametrize("change", [lambda X: X + 1e7, lambda X: X * 1e39])
def test_offset_and_unit_change_nothing(change):
    plain, moved = nano().fit(WINDOWS), nano().fit(change(WINDOWS))
    expected = plain.transform(WINDOWS)
    np.testing.assert_allclose(moved.transform(change(WINDOWS)), expected, atol=1e-3)
    assert moved.score(change(WINDOWS)) == pytest.approx(plain.score(WINDOWS), abs=1e-3)
    got = moved.reconstruct(change(WINDOWS)).reconstruction
    wanted = change(plain.reconstruct(WINDOWS).reconstruction.astype(np.float64))
    spread = np.abs(change(WINDOWS) - change(0 * WINDOWS)).max()
    np.testing.assert_allclose(got / spread, wanted / spread, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "X"),
    [
        ({"mask_form": "channel", "n_times": 40}, [np.ones((1, 60)), EQUAL[0]]),
        ({"mask_form": "time", "n_times": (20, 40)}, EQUAL),
        ({"mask_form": "channel"}, WINDOWS[:, :1]),
        ({}, WINDOWS[:, :1, :20]),
    ],
)
def test_masks_that_hide_nothing_are_noticed(trained_on, options, X):
    with pytest.warns(UserWarning, match="hides nothing in windows of") as caught:
        trained_on(nano(**options), X)
    assert caught[0].filename == __file__


def test_data_frames_of_embeddings_after_a_fit_on_recordings():
    model = nano(n_times=40).fit(RECORDINGS).set_output(transform="pandas")
    assert model.transform(WINDOWS).shape == (6, 4 * 48)
    with pytest.raises(AttributeError, match="after a fit on recordings"):
        model.get_feature_names_out()
    model.fit(WINDOWS)
    assert model.transform(WINDOWS).columns[0] == "tinymyopretrainer_ch0_0"


def write_files(folder, kind, **facts):
    """Write recordings, one in a file, that state facts."""
    for number, recording in enumerate(RECORDINGS):
        if kind == "npz":
            np.savez(folder / f"{number}.npz", emg=recording, **facts)
        else:
            h5py = pytest.importorskip("h5py")
            with h5py.File(folder / f"{number}.h5", "w") as file:
                file["session/emg"] = recording
                file["session"].attrs.update(facts)


@pytest.mark.parametrize("kind", ["npz", "h5"])
def test_files_that_state_no_group_are_noticed(trained_on, tmp_path, kind):
    write_files(tmp_path, kind, subject="ann")
    message = (
        r"no groups: each of 3 .*Save group=.*\('subject' in the files is not read"
    )
    with pytest.warns(UserWarning, match=message) as caught:
        trained_on(nano(n_times=40), tmp_path)
    assert len(caught) == 1 and caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for scale in ("recording", "window", None):
            trained_on(nano(n_times=40, scale=scale), tmp_path)
        trained_on(nano(n_times=40), RECORDINGS)
        trained_on(nano(n_times=40), sorted(tmp_path.iterdir())[:1])
        source = trained_on(nano(n_times=40), tmp_path, None, ["ann", "ann", "bob"])
        assert source.describe()["n_groups"] == 2
        write_files(tmp_path, kind, group="ann")
        assert trained_on(nano(n_times=40), tmp_path).describe()["n_groups"] == 1


@pytest.mark.parametrize("facts", [{"sfreq": 2000.0}, {}])
def test_recordings_shorter_than_windows_come_with_a_length(tmp_path, facts):
    write_files(tmp_path, "npz", **facts)
    rate = facts.get("sfreq", 200.0)
    message = f"n_times=1000 is .*0.2 s at {rate:g} Hz, n_times={0.2 * rate:g}\\."
    with pytest.raises(WindowsError, match=message):
        nano().fit(tmp_path)


@pytest.mark.parametrize("X", [RECORDINGS, {"recordings": RECORDINGS}, "folder"])
def test_what_takes_windows_says_how_to_cut_them(X):
    model = nano(n_times=40).fit(RECORDINGS)
    message = r"\(n_windows, n_channels, n_times\).*sliding_windows"
    draw = partial(ReconstructionDisplay.from_estimator, model)
    for use in (model.score, model.transform, model.reconstruct, draw):
        with pytest.raises(WindowsError, match=message):
            use(X)
    # Recordings that are as long as one another make windows, as before.
    assert model.transform(EQUAL).shape == (3, 4 * 48)


def test_files_are_closed_even_after_errors(tmp_path):
    for number, recording in enumerate(RECORDINGS):
        np.save(tmp_path / f"{number}.npy", recording)
    gc.collect()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        nano(n_times=40, scale="recording").fit(tmp_path)
        with pytest.raises(ValueError, match="y has 1 values"):
            nano(n_times=40).fit(tmp_path, y=[1], groups=range(3))
        with pytest.raises(ValueError, match="groups has 1"):
            nano(n_times=40).fit(tmp_path, groups=[1])
        with pytest.raises(ValueError, match="diverged"):
            nano(n_times=40, lr=1e30, scale=None, max_steps=20).fit(tmp_path)
        gc.collect()
    assert not caught


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"targets": 5}, TypeError, "targets=5 is not accepted"),
        ({"targets": None}, TypeError, "targets=None is not accepted"),
        ({"n_times": ()}, ValueError, "n_times is empty"),
        ({"cache_folder": 5}, TypeError, "cache_folder must be a path or None; got 5"),
        ({"checkpoint_folder": 5}, TypeError, "checkpoint_folder must be a path"),
        ({"visible_only": "no"}, TypeError, "visible_only must be True or False"),
        ({"checkpointing": 1}, TypeError, "checkpointing must be True or False; got 1"),
        ({"resume": "no"}, TypeError, "resume must be True or False; got 'no'"),
        ({"resume": True}, ValueError, "resume=True needs checkpoint_folder="),
        ({"size": "tinymyo-open"}, ValueError, "pass weights='tinymyo-open'"),
        ({"size": "huge"}, ValueError, r"one of: .*'large'\.$"),
    ],
)
def test_parameters_of_a_wrong_kind_are_named(options, error, message):
    with pytest.raises(error, match=message):
        nano(**options).fit(WINDOWS)
