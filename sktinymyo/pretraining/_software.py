"""Which code trained a set of weights."""

import shutil
import subprocess
from importlib import metadata
from pathlib import Path

__all__ = ["describe_software"]

_PACKAGES = ("sktinymyo", "torch")
_PATIENCE = 5.0


def describe_software():
    """Return versions and, in a checkout of the source, the commit.

    Returns
    -------
    text : str
        Such as "sktinymyo 0.1.0, torch 2.13.0, commit 0123456789ab". "changed" after
        the commit means that files of the package differ from it.
    """
    parts = [f"{name} {metadata.version(name)}" for name in _PACKAGES]
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
