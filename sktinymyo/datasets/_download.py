"""Downloading at a pinned commit: files or an archive, each file by its sha256."""

import contextlib
import hashlib
import logging
import os
import shutil
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from .._optional import import_optional
from ..exceptions import DatasetNotFoundError
from ._bunch import check_flag
from ._files import DatasetFormatError

# Addresses are constants so that tests and mirrors can put others in their place.
FILE_ADDRESS = "https://raw.githubusercontent.com"
ARCHIVE_ADDRESS = "https://github.com"
_VARIABLE = "SKTINYMYO_HOME"
_TIMEOUT = (5, 60)
_N_CONNECTIONS = 4
_CHUNK = 1 << 16


@dataclass(frozen=True)
class RemoteSet:
    """Where a set lies and which files, by sha256, belong to it.

    Archives made by the host are not the same bytes every time; their members
    are, so the pin is a list of files (``registry/<name>.txt``: sha256, bytes,
    path), not a hash of the archive.
    """

    name: str
    repository: str
    commit: str
    as_archive: bool

    def registry(self):
        """Return {path: (sha256, bytes)}."""
        file = resources.files(__package__) / "registry" / f"{self.name}.txt"
        lines = file.read_text(encoding="utf-8").splitlines()
        entries = (line.split(" ", 2) for line in lines)
        return {path: (sha256, int(size)) for sha256, size, path in entries}


def get_data_home(data_home=None):
    """Return the folder in which downloaded sets are kept.

    Parameters
    ----------
    data_home : str, path or None, default=None
        The folder; None takes the environment variable ``SKTINYMYO_HOME`` or,
        where it is not set, the cache folder of the operating system.

    Returns
    -------
    Path
        The folder, which need not exist yet. A set lies in a folder of its own
        inside.

    Raises
    ------
    OptionalDependencyError
        If the cache folder is needed and pooch is missing.

    Examples
    --------
    >>> from sktinymyo.datasets import get_data_home
    >>> get_data_home("recordings").name
    'recordings'
    """
    if data_home is None:
        data_home = os.environ.get(_VARIABLE) or None
    if data_home is None:
        pooch = import_optional("pooch", extra="data", purpose="the download cache")
        data_home = pooch.os_cache("sktinymyo")
    return Path(data_home).expanduser()


def fetch_set(remote, data_home, download_if_missing):
    """Return the folder of a set after making sure that its files are there.

    Parameters
    ----------
    remote : RemoteSet
        What to download.
    data_home : str, path or None
        See `get_data_home`.
    download_if_missing : bool
        False raises an error instead of using the network.

    Returns
    -------
    Path
    """
    check_flag("download_if_missing", download_if_missing)
    folder = get_data_home(data_home) / "datasets" / remote.name
    registry = remote.registry()
    missing = {
        path: entry
        for path, entry in registry.items()
        if not _is_intact(folder / path, *entry)
    }
    if not missing:
        return folder
    if not download_if_missing:
        raise DatasetNotFoundError(
            f"{len(missing)} of {len(registry)} files of {remote.name} are missing or "
            f"damaged in {str(folder)!r}, and download_if_missing=False. Call again "
            "with download_if_missing=True, or put the files of "
            f"{ARCHIVE_ADDRESS}/{remote.repository} at commit {remote.commit[:12]} "
            "there."
        )
    pooch = import_optional("pooch", extra="data", purpose=f"fetch_{remote.name}")
    folder.mkdir(parents=True, exist_ok=True)
    with _quiet(pooch):
        if remote.as_archive:
            _fetch_archive(pooch, remote, folder, missing)
        else:
            _fetch_files(pooch, remote, folder, missing)
    return folder


def _is_intact(path, sha256, size):
    try:
        if path.stat().st_size != size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except OSError:
        return False


@contextlib.contextmanager
def _quiet(pooch):
    """Keep pooch from announcing every single file."""
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def _network_errors(remote, folder):
    """Turn the errors of the network into ours."""
    requests = import_optional("requests", extra="data", purpose="the download")
    try:
        yield
    except requests.exceptions.RequestException as error:
        raise DatasetNotFoundError(
            f"{remote.name} is not complete in {str(folder)!r} and could not be "
            f"downloaded from {remote.repository} ({type(error).__name__}: {error}). "
            "Check the connection and call again (what has arrived is kept), set "
            f"{_VARIABLE} to a folder that has the set, or pass data_home=."
        ) from error


def _fetch_files(pooch, remote, folder, missing):
    """Download files one by one; pooch writes beside and renames after the check."""
    store = pooch.create(
        path=folder,
        base_url=f"{FILE_ADDRESS}/{remote.repository}/{remote.commit}/",
        registry={path: f"sha256:{sha256}" for path, (sha256, _) in missing.items()},
        retry_if_failed=0,
    )
    downloader = pooch.HTTPDownloader(timeout=_TIMEOUT)
    # Two threads that make the same folder get in each other's way inside pooch.
    for parent in {(folder / path).parent for path in missing}:
        parent.mkdir(parents=True, exist_ok=True)

    def fetch_one(path):
        try:
            store.fetch(path, downloader=downloader)
        except ValueError as error:
            raise DatasetFormatError(
                f"{path} of {remote.name} was downloaded from {remote.repository} but "
                "does not have the recorded sha256; it was thrown away. A proxy may "
                f"have changed it. ({error})"
            ) from None

    with _network_errors(remote, folder):
        executor = ThreadPoolExecutor(_N_CONNECTIONS)
        try:
            for _ in executor.map(fetch_one, missing):
                pass
        finally:
            executor.shutdown(cancel_futures=True)


def _fetch_archive(pooch, remote, folder, missing):
    """Download one archive and take the missing files out of it."""
    archive = folder / f"{remote.commit}.zip"
    url = f"{ARCHIVE_ADDRESS}/{remote.repository}/archive/{remote.commit}.zip"
    with _network_errors(remote, folder):
        pooch.retrieve(
            url,
            known_hash=None,
            fname=archive.name,
            path=folder,
            downloader=_download_resuming,
        )
    try:
        _unpack(archive, remote, folder, missing)
    finally:
        archive.unlink(missing_ok=True)


def _download_resuming(url, output_file, _):
    """Download into ``<commit>.zip.part`` and go on with what it holds already."""
    requests = import_optional("requests", extra="data", purpose="the download")
    part = Path(output_file).parent / (url.rsplit("/", 1)[-1] + ".part")
    have = part.stat().st_size if part.exists() else 0
    headers = {"Range": f"bytes={have}-"} if have else {}
    with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable:
            # The part is not the beginning of what the server has now.
            part.unlink()
        response.raise_for_status()
        # A server that cannot go on sends everything, with another status.
        goes_on = response.status_code == requests.codes.partial_content
        with part.open("ab" if goes_on else "wb") as file:
            for block in response.iter_content(_CHUNK):
                file.write(block)
    shutil.move(part, output_file)


def _unpack(archive, remote, folder, missing):
    """Take listed files out of an archive; names inside it decide nothing."""
    root = f"{remote.repository.split('/')[1]}-{remote.commit}"
    try:
        with zipfile.ZipFile(archive) as content:
            for path, (sha256, size) in missing.items():
                member = f"{root}/{path}"
                data = _read_member(content, member, size)
                if hashlib.sha256(data).hexdigest() != sha256:
                    raise DatasetFormatError(
                        f"{member} in the archive of {remote.repository} does not have "
                        "the recorded sha256; it was not taken out."
                    )
                _write_beside(folder / path, data)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DatasetFormatError(
            f"the archive of {remote.repository} is damaged ({error}) and was thrown "
            "away; call again."
        ) from None


def _read_member(content, member, size):
    try:
        info = content.getinfo(member)
    except KeyError:
        raise DatasetFormatError(f"the archive lacks {member}.") from None
    # The recorded size keeps a hostile archive from filling the memory.
    if info.file_size != size:
        raise DatasetFormatError(
            f"{member} in the archive has {info.file_size} bytes; expected {size}."
        )
    with content.open(info) as file:
        return file.read(size + 1)


def _write_beside(path, data):
    """Write to a temporary name and rename, so that no half file is left."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
