"""Which code trained a set of weights."""

import shutil
import subprocess
from pathlib import Path

import torch

from .. import __version__

__all__ = ["describe_software"]

_PATIENCE = 5.0


def describe_software():
    """Return versions and, in a checkout of the source, the commit.

    Returns
    -------
    text : str
        Such as "sktinymyo 0.1.0, torch 2.13.0, commit 0123456789ab". "changed" after
        the commit means that files of the package differ from it.
    """
    # Not of importlib.metadata: a copy that was not installed is unknown there.
    parts = [f"sktinymyo {__version__}", f"torch {torch.__version__}"]
    package = Path(__file__).parents[1]
    # A copy inside somebody else's repository must not get that one's commit.
    if (package.parent / "pyproject.toml").exists():
        commit = _git(package, "rev-parse", "--short=12", "HEAD")
        if commit:
            changed = _git(package, "status", "--porcelain", "--", ".")
            parts.append(f"commit {commit}{' changed' if changed else ''}")
    return ", ".join(parts)


def _git(folder, *arguments):
    """Return what git says, or nothing where it cannot tell."""
    program = shutil.which("git")
    if program is None:
        return ""
    try:
        answer = subprocess.run(
            [program, *arguments],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return answer.stdout.strip()
