"""The manifest of a bundle: what must be in it, and whether the files are still so."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...exceptions import BundleError

__all__ = [
    "BUILD_FOLDER",
    "FORMAT",
    "MANIFEST",
    "SCHEMA_VERSION",
    "BundleError",
    "Check",
    "check_files",
    "digest",
    "hash_files",
    "list_files",
    "read_manifest",
    "write_manifest",
]

MANIFEST = "manifest.json"
FORMAT = "sktinymyo-gap9-bundle"
SCHEMA_VERSION = 1
# What the Makefile and verify() build; never part of the manifest.
BUILD_FOLDER = "build"

# A manifest takes some 100 KB; whatever is much larger is none of ours.
_MOST_BYTES = 32 * 1024 * 1024
_SECTIONS = {
    "created_by": dict,
    "shape": dict,
    "input": dict,
    "classes": dict,
    "scales": dict,
    "plan": dict,
    "estimates": dict,
    "weights": dict,
    "checks": list,
    "files": dict,
}


@dataclass(frozen=True)
class Check:
    """Outcome of a check of a bundle.

    Parameters
    ----------
    name : str
        What was checked.
    status : {"passed", "failed", "skipped"}
        How it went.
    detail : str, default=""
        Numbers, the files concerned, or why it was skipped.

    Examples
    --------
    >>> from sktinymyo.export.gap9 import Check
    >>> print(Check("files", "failed", "weights.bin was changed"))
    failed  files: weights.bin was changed
    """

    name: str
    status: str
    detail: str = ""

    def __post_init__(self):
        """Refuse a status that nobody knows."""
        if self.status not in ("passed", "failed", "skipped"):
            raise ValueError(
                f"status={self.status!r} is not accepted; pass 'passed', 'failed' or "
                "'skipped'."
            )

    def __str__(self):
        return f"{self.status:<8}{self.name}" + (f": {self.detail}" * bool(self.detail))


def read_manifest(folder):
    """Read the manifest of a bundle.

    Parameters
    ----------
    folder : path
        The bundle.

    Returns
    -------
    manifest : dict

    Raises
    ------
    BundleError
        If there is none, it is not ours, or it names files outside of the bundle.
    """
    path = Path(folder) / MANIFEST
    if path.is_symlink() or not path.is_file():
        raise BundleError(
            f"{str(folder)!r} is not a bundle: there is no file {MANIFEST} in it. Pass "
            "a folder that export_gap9 wrote."
        )
    if path.stat().st_size > _MOST_BYTES:
        raise BundleError(f"{path} has more than {_MOST_BYTES} bytes; it is not ours.")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{path} is not a JSON file ({error}).") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BundleError(f"{path} is not the manifest of a bundle of sktinymyo.")
    version = manifest.get("schema_version")
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"{path} has schema_version={version!r}; this version of sktinymyo reads "
            f"{SCHEMA_VERSION}. Export again, or use the version that wrote it."
        )
    for name, kind in _SECTIONS.items():
        if not isinstance(manifest.get(name), kind):
            raise BundleError(
                f"{path} lacks the section {name!r}; it is damaged. Export again."
            )
    for name, entry in manifest["files"].items():
        _check_name(name)
        if not isinstance(entry, dict) or not isinstance(entry.get("sha256"), str):
            raise BundleError(f"{path} has no sha256 of {name!r}; it is damaged.")
    return manifest


def _check_name(name):
    """Refuse names that could lead out of the bundle."""
    parts = PurePosixPath(name).parts
    if (
        not parts
        or name.startswith("/")
        or ".." in parts
        or "\\" in name
        or ":" in name
        or not name.isprintable()
        or str(PurePosixPath(name)) != name
    ):
        raise BundleError(
            f"the manifest names the file {name!r}, which is not a plain path inside "
            "of the bundle; do not use this bundle."
        )


def write_manifest(folder, content):
    """Write a manifest with the checksums of all files of the folder.

    Parameters
    ----------
    folder : path
        A folder with all other files of a bundle.
    content : dict
        All sections but "files".

    Returns
    -------
    manifest : dict
    """
    manifest = {"format": FORMAT, "schema_version": SCHEMA_VERSION}
    manifest |= content | {"files": hash_files(folder)}
    manifest["sha256"] = digest(manifest)
    text = json.dumps(manifest, indent=1, allow_nan=False, ensure_ascii=False)
    (Path(folder) / MANIFEST).write_text(text + "\n", encoding="utf-8")
    return manifest


def digest(manifest):
    """Return the sha256 of a manifest, without its own entry "sha256".

    Parameters
    ----------
    manifest : dict

    Returns
    -------
    sha256 : str
    """
    content = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def list_files(folder):
    """List the files of a bundle, without its manifest and what was built.

    Parameters
    ----------
    folder : path

    Returns
    -------
    files : list of str
        Paths in the folder with "/", sorted.

    Raises
    ------
    BundleError
        If there is a link or something else that is neither file nor folder.
    """
    folder = Path(folder)
    found = []
    for here, folders, files in os.walk(folder):
        here = Path(here)
        if here == folder:
            folders[:] = [name for name in folders if name != BUILD_FOLDER]
        for name in [*folders, *files]:
            path = here / name
            if path.is_symlink() or not (path.is_dir() or path.is_file()):
                raise BundleError(
                    f"{path} is a link or no regular file; a bundle has none."
                )
        found += [(here / name).relative_to(folder).as_posix() for name in files]
    return sorted(set(found) - {MANIFEST})


def hash_files(folder):
    """Return size and sha256 of every file of a bundle.

    Parameters
    ----------
    folder : path

    Returns
    -------
    files : dict of str to dict
    """
    return {name: _hash(Path(folder) / name) for name in list_files(folder)}


def _hash(path):
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}


def check_files(folder, manifest):
    """Compare the files of a bundle with its manifest.

    Parameters
    ----------
    folder : path
    manifest : dict

    Returns
    -------
    problems : list of str
        Every file that is missing, changed or not in the manifest, which may itself
        have been changed.
    """
    known = manifest["files"]
    there = list_files(folder)
    problems = [f"{name} is missing" for name in known if name not in there]
    if manifest.get("sha256") != digest(manifest):
        problems.append(f"{MANIFEST} was changed")
    for name in there:
        if name not in known:
            problems.append(f"{name} is not in the manifest")
        elif _hash(Path(folder) / name)["sha256"] != known[name]["sha256"]:
            problems.append(f"{name} was changed")
    return problems
