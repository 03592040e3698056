"""Launchers of the command line: how many processes there really are."""

import os
import re
import socket
import subprocess
import sys

import numpy as np
import pytest

from sktinymyo.datasets import make_gestures
from sktinymyo.pretraining import __main__ as command_line
from sktinymyo.pretraining._configuration import _aligned, read_configuration

pytest.importorskip("accelerate")

OF_LAUNCHERS = (
    *command_line._SIZES,
    *command_line._RANKS,
    "LOCAL_RANK",
    "ACCELERATE_MIXED_PRECISION",
    "ACCELERATE_USE_CPU",
    "MASTER_ADDR",
    "MASTER_PORT",
)
CONFIG = """
[pretrainer]
size = "nano"
n_times = [40]
step = 20
max_steps = 4
batch_size = 8
random_state = 0

[files]
folder = "recordings"
"""


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in OF_LAUNCHERS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "mini.toml").write_text(CONFIG)
    (tmp_path / "recordings").mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        recording = rng.normal(size=(4, 300)).astype(np.float32)
        np.save(tmp_path / "recordings" / f"{number}.npy", recording)
    return tmp_path


def arguments(folder, out="out"):
    where = ["--config", str(folder / "mini.toml"), "--data", str(folder)]
    return [*where, "--out", str(folder / out), "--quiet", "--device", "cpu"]


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, (0, 1)),
        ({"WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "10.0.0.1"}, (3, 4)),
        ({"PMI_SIZE": "2", "PMI_RANK": "1"}, (1, 2)),
        ({"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "0"}, (0, 2)),
        # One process of accelerate, and an address that a cluster left behind.
        ({"ACCELERATE_MIXED_PRECISION": "no"}, (0, 1)),
        ({"MASTER_ADDR": "10.0.0.1"}, (0, 1)),
    ],
)
def test_processes_are_found(monkeypatch, variables, wanted):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert command_line._find_processes() == wanted


def test_one_process_in_place_of_several_is_refused(folder, monkeypatch, capsys):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(SystemExit) as error:
        command_line.main(arguments(folder))
    assert error.value.code == 2
    assert "torchrun --nproc_per_node" in capsys.readouterr().err
    assert not (folder / "out").exists()


PRETRAINER = "[pretrainer]\nrandom_state = 0\n"
SIMULATED = '[[simulated]]\nsimulator = "gestures"\nrandom_state = 0\n'
PACKED = '[[packed]]\nname = "aljazfrancic_myo"\n'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('precision = "flaot16"\n' + PRETRAINER + SIMULATED, "precision='flaot16'"),
        (SIMULATED, r"\[pretrainer\] needs random_state: .*got nothing"),
        (PRETRAINER + "batch_size = 8.0\n" + SIMULATED, "batch_size must be a whole"),
        (PRETRAINER + "warmup = 2\n" + SIMULATED, r"\[pretrainer\]: warmup must be"),
        (PRETRAINER + "weights = 3\n" + SIMULATED, "weights must be"),
        (PRETRAINER + '[[simulated]]\nsimulator = "gestures"', "needs random_state"),
        (PRETRAINER + SIMULATED.replace("= 0", "= true"), "random_state: .*got True"),
        (
            PRETRAINER + '[[simulated]]\nsimulator = ["gestures"]',
            "needs simulator: one",
        ),
        (PRETRAINER + '[[simulated]]\nsimulator = "gesture"', "'gesture' is not known"),
        (PRETRAINER + SIMULATED + 'n_subjects = "1"', r"\[\[simulated\]\]: n_subjects"),
        ('packed = ["aljaz"]\n' + PRETRAINER, r"\[\[packed\]\] must be a table"),
        (PRETRAINER + "[[packed]]\npart = 1", r"\[\[packed\]\] needs name"),
        (PRETRAINER + PACKED + 'align = "no"', "needs align: true or false; got 'no'"),
        (PRETRAINER + PACKED + "labels = 1", "needs labels: true or false; got 1"),
        (PRETRAINER + "[files]\nfolder = 3", r"\[files\] needs folder"),
        (PRETRAINER + '[files]\nfolder = "here"', "pass --data"),
    ],
)
def test_bad_entries_end_with_a_message(tmp_path, content, message, capsys):
    (tmp_path / "bad.toml").write_text(content)
    where = ["--config", str(tmp_path / "bad.toml"), "--out", str(tmp_path / "out")]
    with pytest.raises(SystemExit) as error:
        command_line.main(where)
    assert error.value.code == 2
    assert re.search(message, capsys.readouterr().err)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["open.toml", "configs/open.toml"])
def test_packaged_configurations_have_two_names(name, tmp_path):
    assert read_configuration(name).packed
    with pytest.raises(FileNotFoundError, match="there is no configuration"):
        read_configuration(tmp_path / name)


def test_weights_that_cannot_be_written_end_with_a_message(folder, capsys):
    (folder / "out").mkdir()
    (folder / "out" / "weights").write_text("in the way")
    with pytest.raises(SystemExit):
        command_line.main(arguments(folder))
    assert "weights" in capsys.readouterr().err


def test_a_dead_electrode_leaves_other_wearings_alone():
    bunch = make_gestures(n_subjects=4, n_repetitions=2, random_state=0)
    wearing = bunch.meta["subject"].to_numpy(dtype=str)
    turns = dict(zip(np.unique(wearing), (0, 3, 6, 1), strict=True))
    bunch.recordings = [
        np.roll(recording, -turns[name], axis=0)
        for recording, name in zip(bunch.recordings, wearing, strict=True)
    ]
    whole = _aligned(bunch, wearing)
    last = wearing == np.unique(wearing)[-1]
    for row in np.flatnonzero(last):
        bunch.recordings[row][2] = 0.0
    ours = _aligned(bunch, wearing)
    for row in np.flatnonzero(~last):
        np.testing.assert_array_equal(ours[row], whole[row])
    assert any((a != b).any() for a, b in zip(whole, bunch.recordings, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize(("n_processes", "status"), [("1", 0), ("2", 1)])
def test_accelerate_launch_on_the_processor(folder, n_processes, status):
    """What the launcher tells its process is as expected above."""
    launcher = ["-m", "accelerate.commands.launch", "--cpu"]
    launcher += ["--num_processes", n_processes, "-m", "sktinymyo.pretraining"]
    result = subprocess.run(
        [sys.executable, *launcher, *arguments(folder)], capture_output=True, text=True
    )
    assert result.returncode == status, result.stderr
    refused = "asked for several processes but started this one" in result.stderr
    assert refused is bool(status)
    assert (folder / "out" / "weights").exists() is not refused


@pytest.mark.slow
def test_processes_of_mpi_train_together(folder):
    """Variables as Open MPI sets them; only one process writes."""
    command_line.main(arguments(folder, "one"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    processes = []
    for rank in ("1", "0"):
        variables = {
            "OMPI_COMM_WORLD_SIZE": "2",
            "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
            "OMPI_COMM_WORLD_RANK": rank,
            "OMPI_COMM_WORLD_LOCAL_RANK": rank,
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": port,
        }
        command = [sys.executable, "-m", "sktinymyo.pretraining"]
        processes.append(
            subprocess.Popen(
                [*command, *arguments(folder, "two")],
                env={**os.environ, **variables},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert outputs[0] == "" and "weights" in outputs[1]
    logs = [
        np.genfromtxt(folder / name / "log.csv", delimiter=",", names=True)
        for name in ("one", "two")
    ]
    np.testing.assert_allclose(logs[0]["loss"], logs[1]["loss"], rtol=1e-4)
