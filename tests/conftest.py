"""Fixtures shared by the tests."""

import os
from pathlib import Path

# Before torch is imported, here and in child processes: workers with several
# threads each wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest


@pytest.fixture(scope="session")
def data_folder():
    """Folder with the real recordings, from the variable SKTINYMYO_DATA."""
    folder = os.environ.get("SKTINYMYO_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("SKTINYMYO_DATA does not name a folder with real recordings")
    return Path(folder)


@pytest.fixture(scope="session")
def checkpoints_folder(data_folder):
    """Folder with small checkpoints of every generation, beside the recordings."""
    folder = data_folder.parent / "checkpoints"
    if not folder.is_dir():
        pytest.skip("no folder 'checkpoints' beside the recordings in SKTINYMYO_DATA")
    return folder
