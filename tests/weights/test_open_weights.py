"""The open weights inside the package: offline, complete, and always the same."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import sktinymyo
from sktinymyo import TinyMyoEmbedder
from sktinymyo.weights import load_weights, read_card

NAMES = ["tinymyo-open", "tinymyo-open-small"]
REFERENCE = Path(__file__).parent / "open_embeddings.npz"
REFERENCE_SHA256 = "14b7a646ac93c85bf43d1526ea2596e9ce9398013b6f0575043fe456fa5e413e"
PROJECT = Path(sktinymyo.__file__).parent.parent


def reference_windows():
    """Return four windows of 8 x 40 samples that no generator of numbers can change."""
    window, channel, time = np.ogrid[:4, :8, :40]
    return np.sin(0.1 * (window + 1) * (channel + 2) * time + time**2 % 7)


def write_reference():
    """Store the embeddings of new weights, when this file is run as a program.

    The checksum it prints goes into REFERENCE_SHA256.
    """
    embeddings = {
        name: TinyMyoEmbedder(name, scale=None).fit_transform(reference_windows())
        for name in NAMES
    }
    np.savez(REFERENCE, **embeddings)
    sys.stdout.write(hashlib.sha256(REFERENCE.read_bytes()).hexdigest() + "\n")


def test_reference_is_the_pinned_one():
    assert hashlib.sha256(REFERENCE.read_bytes()).hexdigest() == REFERENCE_SHA256


@pytest.mark.parametrize("name", NAMES)
def test_embeddings_are_those_of_the_release(name):
    with np.load(REFERENCE) as stored:
        expected = stored[name]
    embedder = TinyMyoEmbedder(name, scale=None)
    first = embedder.fit_transform(reference_windows())
    np.testing.assert_allclose(first, expected, atol=2e-4)
    np.testing.assert_array_equal(embedder.fit_transform(reference_windows()), first)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("name", NAMES)
def test_cards_are_complete(name):
    card = read_card(name)
    missing = [field for field, value in card.to_dict().items() if value is None]
    assert set(missing) <= {"citation"}
    assert card.sharing and card.licence == "BSD-3-Clause"
    assert card.sfreqs[0] == card.sfreq == 200.0
    assert card.channel_range == (4, 64)
    assert "aljazfrancic_myo" in card.data and "simulat" in card.data


def test_the_default_is_the_large_one_and_both_are_small_files():
    assert read_card("default") == read_card("tinymyo-open")
    assert load_weights("default").config.embed_dim == 192
    files = (PROJECT / "sktinymyo" / "weights" / "data").glob("*.safetensors")
    assert sum(file.stat().st_size for file in files) < 16e6


OFFLINE = """
import socket, sys

def refuse(*arguments, **keywords):
    raise AssertionError("the network was used")

socket.socket.connect = socket.getaddrinfo = refuse
sys.path.insert(0, sys.argv[1])
import numpy as np
import sktinymyo
assert sktinymyo.__file__.startswith(sys.argv[1]), sktinymyo.__file__
windows = np.random.default_rng(0).normal(size=(3, 8, 40))
embedder = sktinymyo.TinyMyoEmbedder()
first = embedder.fit_transform(windows)
assert np.isfinite(first).all() and first.std() > 0
assert (embedder.fit_transform(windows) == first).all()
sktinymyo.TinyMyoClassifier("tinymyo-open-small", max_epochs=1).fit(windows, [0, 1, 0])
"""


@pytest.mark.slow
def test_the_wheel_works_without_network(tmp_path):
    if not (PROJECT / "pyproject.toml").exists():
        pytest.skip("needs the source tree to build the wheel from")
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index"]
    command += ["--no-build-isolation", "--wheel-dir", str(tmp_path), str(PROJECT)]
    subprocess.run(command, check=True, capture_output=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        content.extractall(tmp_path / "unpacked")
    subprocess.run(
        [sys.executable, "-c", OFFLINE, str(tmp_path / "unpacked")],
        check=True,
        cwd=tmp_path,
    )


if __name__ == "__main__":
    write_reference()
