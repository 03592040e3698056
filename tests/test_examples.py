"""The examples run, on the simulator and in a small setting."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def run_example(tmp_path, *options, name="plot_01_gestures", **variables):
    """Run an example in a process of its own, without a screen."""
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith("SKTINYMYO_")},
        "MPLBACKEND": "agg",
        "SKTINYMYO_HOME": str(tmp_path / "cache"),
        **variables,
    }
    return subprocess.run(
        [sys.executable, EXAMPLES / f"{name}.py", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=600,
    )


SMALL = "--people 2 --epochs 1 --jobs 1 --figure figure.png".split()


@pytest.mark.slow
def test_gestures_example_falls_back_to_the_simulator(tmp_path):
    result = run_example(tmp_path, *SMALL)
    assert result.returncode == 0, result.stderr
    # The first line says which source and how to use another, and nothing comes before.
    first = result.stdout.splitlines()[0]
    assert first.startswith("Source: SIMULATED")
    assert "DEMO_OPTIONS=--fetch" in first
    assert "SKTINYMYO_DATA" in first
    rows = [line for line in result.stdout.splitlines() if " +- " in line]
    # Three decoders on two questions, and the line that explains the spread.
    assert len(rows) == 7
    assert sum(line.startswith("new people") for line in rows) == 3
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.slow
def test_gestures_example_uses_real_recordings_where_they_are(tmp_path, data_folder):
    result = run_example(tmp_path, *SMALL, SKTINYMYO_DATA=str(data_folder))
    assert result.returncode == 0, result.stderr
    assert "Source: REAL" in result.stdout


@pytest.mark.slow
def test_gestures_example_finds_the_download_cache(tmp_path, data_folder):
    source = data_folder / "raw" / "OneSubjectMyoDataset"
    if not source.is_dir():
        pytest.skip("no copy of OneSubjectMyo among the real recordings")
    shutil.copytree(source, tmp_path / "cache" / "datasets" / "one_subject_myo")
    result = run_example(tmp_path, *SMALL)
    assert result.returncode == 0, result.stderr
    assert "OneSubjectMyo" in result.stdout.split("Source: REAL")[1]
    # One person: a single question, and the spread is that over folds.
    assert "new people" not in result.stdout
    assert "standard deviation over folds" in result.stdout


@pytest.mark.slow
def test_gestures_example_says_what_is_missing(tmp_path):
    result = run_example(tmp_path, "--source", "packed")
    assert result.returncode != 0
    assert "SKTINYMYO_DATA" in result.stderr


@pytest.mark.slow
def test_plot_02_compares_open_and_random_weights(tmp_path):
    options = "--people 3 --figure figure.png".split()
    result = run_example(tmp_path, *options, name="plot_02_transfer")
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    assert "SIMULATED" in result.stdout.splitlines()[0]
    assert result.stdout.splitlines()[1].startswith("tinymyo-open: ")
    assert "open weights + log. reg." in result.stdout
    assert (tmp_path / "figure.png").stat().st_size > 10_000


@pytest.mark.slow
def test_plot_03_pretrains_saves_and_compares(tmp_path):
    options = "--people 4 --steps 20 --out encoder --figures figures".split()
    result = run_example(tmp_path, *options, name="plot_03_pretrain_your_own")
    assert result.returncode == 0, result.stderr
    assert "Warning" not in result.stderr
    assert "minutes of signal" in result.stdout
    assert "recipe: 50% masked by cell, visible tokens only" in result.stdout
    rows = re.findall(r"^(.+?) +0\.\d{3} \+- \d\.\d{3}$", result.stdout, re.M)
    assert [row.split(" + ")[0] for row in rows] == [
        "time-domain features",
        "time-domain features",
        "random encoder",
        "my encoder",
    ]
    assert (tmp_path / "encoder" / "model.safetensors").exists()
    for figure in ("loss", "reconstruction", "comparison"):
        assert (tmp_path / "figures" / f"{figure}.png").stat().st_size > 5_000


@pytest.mark.slow
def test_gap9_example_writes_a_bundle_and_its_figures(tmp_path):
    pytest.importorskip("skl2onnx")
    options = ["--no-verify", "--out", "bundle", "--figures", "figures"]
    result = run_example(tmp_path, *options, name="plot_04_gap9")
    assert result.returncode == 0, result.stderr
    assert "SIMULATED" in result.stdout.splitlines()[0]
    assert (tmp_path / "bundle" / "manifest.json").is_file()
    figures = list((tmp_path / "figures").glob("*.png"))
    assert len(figures) == 3
    assert all(figure.stat().st_size > 10_000 for figure in figures)


@pytest.mark.slow
def test_plot_06_repairs_votes_and_calibrates(tmp_path):
    result = run_example(
        tmp_path, "--epochs", "2", "--figures", "figures", name="plot_06_hdsemg"
    )
    assert result.returncode == 0, result.stderr
    lines = result.stdout.splitlines()
    # Three electrodes without contact in each session, and no other.
    assert [line.count(",") for line in lines if "bad electrodes" in line] == [2, 2]
    rows = [line for line in lines if line.startswith(("other", "next session"))]
    assert len(rows) == 4
    made = {path.name for path in (tmp_path / "figures").iterdir()}
    assert made == {"maps.png", "votes.png", "first_step.png"}


@pytest.mark.slow
def test_distillation_example(tmp_path):
    result = run_example(
        tmp_path, "--people", "3", "--figure", "figure.png", name="plot_05_distill"
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("SIMULATED")
    assert "distilled, in integers:" in result.stdout
    assert (tmp_path / "figure.png").stat().st_size > 10_000
