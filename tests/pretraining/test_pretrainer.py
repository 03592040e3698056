"""TinyMyoPretrainer: what it learns, resumes, saves and refuses."""

import os
import pickle
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import sktinymyo
from sktinymyo import TinyMyoEmbedder, TinyMyoPretrainer
from sktinymyo.datasets import make_gestures
from sktinymyo.pretraining import _software

CONFIG = """
[pretrainer]
size = "nano"
n_times = [40, 100]
batch_size = 64
max_steps = 60
random_state = 0
jitter = 10
gain = 0.1
dropout = {dropout}
[[simulated]]
simulator = "gestures"
n_subjects = 2
n_repetitions = 2
random_state = 1
[card]
name = "mini"
licence = "CC0-1.0"
"""


def nano(**options):
    parameters = {"max_epochs": 2, "batch_size": 16, "random_state": 0} | options
    return TinyMyoPretrainer("nano", **parameters)


@pytest.fixture(scope="module")
def recordings():
    return make_gestures(n_subjects=2, n_repetitions=2, random_state=0)


def test_pretraining_lowers_the_loss_and_leaves_the_callers_generator(recordings):
    windows = np.stack([r[:, -200:] for r in recordings.recordings])
    before = torch.get_rng_state()
    short = nano(max_steps=1).fit(windows)
    long = nano(max_epochs=30).fit(windows)
    assert torch.equal(before, torch.get_rng_state())
    assert long.score(windows) > short.score(windows) + 0.05
    again = nano(max_epochs=30).fit(windows)
    np.testing.assert_array_equal(again.transform(windows), long.transform(windows))
    copied = pickle.loads(pickle.dumps(long))
    np.testing.assert_array_equal(copied.transform(windows), long.transform(windows))


def test_recordings_of_several_shapes_labels_and_partial_fit(recordings):
    few = [r[:4] for r in recordings.recordings]
    model = nano(n_times=(40, 100)).fit(
        [*recordings.recordings, *few], y=[*recordings.target, *recordings.target]
    )
    assert model.transform(np.ones((2, 6, 100))).shape == (2, 6 * 48)
    assert {"raw", "spectrum", "labels"} <= set(model.history_[-1])
    n_rows = len(model.history_)
    model.partial_fit(recordings.recordings, y=recordings.target)
    assert len(model.history_) > n_rows
    assert model.history_[-1]["step"] > model.history_[n_rows - 1]["step"]


def test_nested_lists_are_windows_and_lists_of_arrays_are_recordings(recordings):
    windows = np.stack([r[:, -100:] for r in recordings.recordings])
    listed = nano().fit(windows.tolist())
    assert listed.n_times_in_ == 100
    np.testing.assert_allclose(
        listed.transform(windows), nano().fit(windows).transform(windows), atol=1e-5
    )
    assert not hasattr(nano(n_times=100).fit(list(windows)), "n_times_in_")
    ragged = [windows[0].tolist(), windows[1, :, :80].tolist()]
    assert nano(n_times=40).fit(ragged).data_["n_recordings"] == 2


def test_reconstruction_is_in_the_units_of_the_windows(recordings):
    windows = np.stack([r[:, -210:] for r in recordings.recordings]) * 1e-3
    model = nano().fit(windows)
    mask = np.zeros((len(windows), 8, 10), dtype=bool)
    mask[:, 2, 3] = True
    result = model.reconstruct(windows, mask)
    assert result.reconstruction.shape == (len(windows), 8, 200)
    spread = windows.std()
    assert np.abs(result.reconstruction).max() < 50 * spread
    assert model.reconstruct(windows).mask.mean() == pytest.approx(0.5)
    with pytest.raises(ValueError, match="targets"):
        nano(targets="spectrum").fit(windows).reconstruct(windows)


def test_saved_weights_serve_the_other_estimators(recordings, tmp_path):
    windows = np.stack([r[:, -200:] for r in recordings.recordings])
    model = nano().fit(windows)
    card = model.save_pretrained(tmp_path, name="mine", licence="CC0-1.0")
    assert card.licence == "CC0-1.0" and "steps" in card.recipe
    embedder = TinyMyoEmbedder(weights=tmp_path).fit(windows)
    np.testing.assert_allclose(
        embedder.transform(windows), model.transform(windows), atol=1e-5
    )
    more = nano(weights=tmp_path, max_steps=1, lr=1e-9).fit(windows)
    np.testing.assert_allclose(
        more.transform(windows), model.transform(windows), atol=1e-4
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": "huge"}, "size='huge'"),
        ({"mask_ratio": 1.0}, "mask_ratio must be"),
        ({"mask_form": "all"}, "mask_form='all'"),
        ({"targets": ()}, "targets is empty"),
        ({"n_times": 400}, "n_times=400 is longer"),
        ({"lr": 0}, "lr must be"),
        ({"scale": "person"}, "scale='person'"),
        ({"max_steps": 0}, "max_steps must be"),
    ],
)
def test_bad_parameters_are_refused(options, message):
    model = nano().set_params(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(np.ones((4, 2, 100)))


def command(folder, *arguments, launcher=()):
    start = [sys.executable, *launcher, "-m", "sktinymyo.pretraining"]
    where = ["--config", str(folder / "mini.toml"), "--out", str(folder / "out")]
    return [*start, *where, "--quiet", "--device", "cpu", *arguments]


def environment():
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def make_folder(folder, dropout=0.0):
    folder.mkdir()
    (folder / "mini.toml").write_text(CONFIG.format(dropout=dropout))
    return folder


@pytest.mark.slow
def test_killed_and_resumed_run_ends_with_the_same_weights(tmp_path):
    whole, broken = (make_folder(tmp_path / n, 0.1) for n in ("whole", "broken"))
    subprocess.run(command(whole), check=True, env=environment())
    arguments = ("--checkpoint-seconds", "0", "--resume")
    checkpoint = broken / "out" / "checkpoint.safetensors"
    for _ in range(2):
        process = subprocess.Popen(command(broken, *arguments), env=environment())
        seen = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if checkpoint.exists() and checkpoint.stat().st_mtime_ns > seen:
                break
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
    subprocess.run(command(broken, *arguments), check=True, env=environment())
    ours, theirs = (
        load_file(folder / "out" / "checkpoint.safetensors")
        for folder in (broken, whole)
    )
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        assert torch.equal(values, theirs[name]), name
    steps = [line.split(",")[0] for line in (broken / "out/log.csv").open()]
    assert steps == ["step", "20", "40", "60"]


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one(tmp_path):
    one, two = (make_folder(tmp_path / name) for name in ("one", "two"))
    subprocess.run(command(one), check=True, env=environment())
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    again = command(two, "--checkpointing", launcher=launcher)
    subprocess.run(again, check=True, env=environment())
    logs = [
        np.genfromtxt(folder / "out" / "log.csv", delimiter=",", names=True)
        for folder in (one, two)
    ]
    for name in ("loss", "raw", "spectrum"):
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=1e-4)


def test_a_checkpoint_of_another_run_is_refused(recordings, tmp_path):
    model = nano(n_times=100, max_steps=2, checkpoint_folder=tmp_path, resume=True)
    model.fit(recordings.recordings)
    with pytest.raises(ValueError, match="another run.*lr"):
        model.set_params(lr=1e-5).fit(recordings.recordings)
    (tmp_path / "checkpoint.safetensors").write_bytes(b"broken")
    with pytest.raises(ValueError, match="cannot be read"):
        model.fit(recordings.recordings)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[pretrainer]\nsize = 1", "names no recordings"),
        ("[pretrainer]\nsise = 1", "unknown entries"),
        ("not toml", "no TOML"),
    ],
)
def test_command_line_refuses_bad_configurations(tmp_path, content, message, capsys):
    from sktinymyo.pretraining.__main__ import main

    (tmp_path / "bad.toml").write_text(content)
    with pytest.raises(SystemExit) as error:
        main(["--config", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "out")])
    assert error.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_packaged_configurations_are_valid():
    from sktinymyo.pretraining._configuration import read_configuration

    for name in ("configs/open.toml", "configs/open-small.toml"):
        assert read_configuration(name).packed[0]["name"] == "aljazfrancic_myo"
    with pytest.raises(FileNotFoundError, match=r"open\.toml"):
        read_configuration("configs/other.toml")


def test_the_card_names_the_code(tmp_path, monkeypatch):
    text = _software.describe_software()
    assert text.startswith(
        f"sktinymyo {sktinymyo.__version__}, torch {torch.__version__}"
    )
    monkeypatch.setattr(_software.shutil, "which", lambda name: None)
    assert "commit" not in _software.describe_software()
