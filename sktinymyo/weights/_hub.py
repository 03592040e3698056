"""Weights on the Hugging Face hub: the cache first, then a bounded download.

Looking into the cache never touches the network. A download starts only after
the hub was seen to be reachable: resolving a name or connecting can hang for
minutes on a machine without network, and no time limit of an HTTP client covers
name resolution.
"""

import os
import re
import socket
import threading
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from .._optional import import_optional
from ..exceptions import WeightsError, WeightsNotFoundError
from ._registry import find_repository
from ._safetensors import check_suffix

__all__ = ["HubFile", "fetch", "get_cache_folder", "parse_hub_name"]

DEFAULT_PATH = "model.safetensors"
# Connecting takes some 0.05 s on ordinary lines. The error of a machine without
# network must come within 1 s, of which importing huggingface_hub takes a share.
ANSWER_SECONDS = 0.75
MIN_PROBE_SECONDS = 0.3
# For the answer about one file; the download itself has the hub's own limits.
ETAG_SECONDS = 10

_PART = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}"
_HUB_NAME = re.compile(
    rf"(?P<repository>{_PART}/{_PART})"
    r"(?:@(?P<revision>[A-Za-z0-9_][A-Za-z0-9_./-]*))?"
    r"(?::(?P<path>[^\\:\x00-\x1f]+))?"
)


@dataclass(frozen=True)
class HubFile:
    """A file in a repository of the hub; revision None is its main branch."""

    repository: str
    path: str
    revision: str | None = None

    def __str__(self):
        """Return the name that :func:`parse_hub_name` accepts."""
        revision = "" if self.revision is None else f"@{self.revision}"
        return f"{self.repository}{revision}:{self.path}"


def parse_hub_name(name):
    """Split ``owner/name[@revision][:path]``.

    Parameters
    ----------
    name : str
        As the user wrote it.

    Returns
    -------
    hub_file : HubFile or None
        None if `name` does not have the form of a hub name.

    Raises
    ------
    WeightsError
        If the path or the revision points outside the repository, or the path is
        no safetensors file.
    """
    match = _HUB_NAME.fullmatch(name)
    if match is None or match["repository"].endswith(".safetensors"):
        return None
    path, revision = match["path"], match["revision"]
    entry = find_repository(match["repository"])
    if path is None:
        path = DEFAULT_PATH if entry is None else entry.path
    if revision is None and entry is not None and path == entry.path:
        revision = entry.revision
    parts = [*path.split("/"), *(revision or "main").split("/")]
    if any(part in ("", ".", "..") for part in parts):
        raise WeightsError(
            f"weights={name!r}: the path and the revision in a hub name must not be "
            "absolute nor contain '.' or '..'."
        )
    check_suffix(path)
    if not path.endswith(".safetensors"):
        raise WeightsError(
            f"weights={name!r}: the path in a hub name must end in .safetensors."
        )
    return HubFile(match["repository"], path, revision)


def get_cache_folder(cache_folder=None):
    """Folder in which downloaded weights are kept.

    Parameters
    ----------
    cache_folder : str, path or None, default=None
        None is the cache of huggingface_hub, which other programs share; the
        environment variables HF_HUB_CACHE and HF_HOME move it.

    Returns
    -------
    folder : pathlib.Path
        It need not exist yet.

    Examples
    --------
    >>> from sktinymyo.weights import get_cache_folder
    >>> get_cache_folder("my-cache").name
    'my-cache'
    """
    if cache_folder is None:
        cache_folder = _import_hub().constants.HF_HUB_CACHE
    return Path(cache_folder).expanduser().absolute()


def fetch(hub_file, cache_folder=None, offline=None):
    """Find a file of the hub in the cache, or download it.

    Parameters
    ----------
    hub_file : HubFile
        What to find.
    cache_folder : str, path or None, default=None
        As in :func:`get_cache_folder`.
    offline : bool or None, default=None
        True never uses the network. None downloads if the hub answers within
        0.75 s; False waits for slow connections.

    Returns
    -------
    file : Path
        The weights.
    config_file : Path or None
        The config.json beside them in the repository, if there is one.

    Raises
    ------
    WeightsNotFoundError
        If the file is not in the cache and cannot be downloaded.
    """
    start = time.perf_counter()
    hub = _import_hub()
    folder = get_cache_folder(cache_folder)
    config = str(PurePosixPath(hub_file.path).with_name("config.json"))
    file = _find_in_cache(hub, hub_file, hub_file.path, folder)
    if file is not None:
        return file, _find_in_cache(hub, hub_file, config, folder)

    if offline or _told_to_stay_offline(hub):
        reason = (
            "offline=True was passed" if offline else "HF_HUB_OFFLINE forbids downloads"
        )
        raise _not_found(hub_file, folder, reason)
    if offline is None:
        left = ANSWER_SECONDS - (time.perf_counter() - start)
        problem = _probe(hub.constants.ENDPOINT, max(left, MIN_PROBE_SECONDS))
        if problem is not None:
            raise _not_found(hub_file, folder, problem)
    # The configuration first: weights in the cache then have it beside them.
    try:
        config_file = _download(hub, hub_file, config, folder, may_be_absent=True)
        return _download(hub, hub_file, hub_file.path, folder), config_file
    # Versions of huggingface_hub build on different HTTP libraries, whose errors
    # have no base class in common.
    except Exception as error:
        raise _not_found(hub_file, folder, _in_one_line(error)) from error


def stored_checksum(file):
    """SHA-256 that the cache promises for a file, or None.

    The cache stores large files under their checksum and links to them.
    """
    try:
        target = file.readlink()
    except OSError:
        return None
    is_checksum = re.fullmatch(r"[0-9a-f]{64}", target.name) is not None
    return target.name if is_checksum and target.parent.name == "blobs" else None


def _import_hub():
    for module in ("huggingface_hub.constants", "huggingface_hub.utils"):
        import_optional(
            module, extra="hub", purpose="Loading weights from the Hugging Face hub"
        )
    # The package itself makes its functions available only when they are used.
    return import_optional("huggingface_hub", extra="hub", purpose="The hub")


def _told_to_stay_offline(hub):
    told = os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")
    return told or hub.constants.HF_HUB_OFFLINE


def _find_in_cache(hub, hub_file, path, folder):
    try:
        found = hub.try_to_load_from_cache(
            hub_file.repository, path, cache_dir=folder, revision=hub_file.revision
        )
    except ValueError as error:  # the hub's rules for names are stricter than ours
        raise WeightsNotFoundError(
            f"weights={str(hub_file)!r} is not a valid name on the hub: {error}"
        ) from error
    # Beside a path and None, a marker says that the repository has no such file.
    return Path(found) if isinstance(found, str) else None


def _download(hub, hub_file, path, folder, may_be_absent=False):
    endpoint = hub.constants.ENDPOINT
    url = hub.hf_hub_url(
        hub_file.repository, path, revision=hub_file.revision, endpoint=endpoint
    )
    # Asked on its own because the download answers a silent server with retries
    # that last minutes.
    try:
        hub.get_hf_file_metadata(url, timeout=_etag_seconds())
    except hub.utils.EntryNotFoundError:
        if may_be_absent:
            return None
        raise
    return Path(
        hub.hf_hub_download(
            hub_file.repository,
            path,
            revision=hub_file.revision,
            cache_dir=folder,
            endpoint=endpoint,
            etag_timeout=_etag_seconds(),
            library_name="sktinymyo",
        )
    )


def _etag_seconds():
    try:
        return float(os.environ["HF_HUB_ETAG_TIMEOUT"])
    except (KeyError, ValueError):
        return ETAG_SECONDS


def _probe(endpoint, seconds):
    """Say why the hub cannot be reached, or return None if it can.

    Runs in a thread of its own, because nothing can interrupt a name resolution
    that hangs; the thread dies with the process.
    """
    try:
        host, port = _first_hop(endpoint)
    except ValueError as error:
        return f"the address {endpoint} or that of the proxy is not valid ({error})"
    outcome = []

    def connect():
        try:
            socket.create_connection((host, port), timeout=seconds).close()
            outcome.append(None)
        except OSError as error:
            outcome.append(f"{host} cannot be reached ({error})")

    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(seconds)
    if outcome:
        return outcome[0]
    return (
        f"{host} did not answer within {seconds:.2f} s (load_weights(..., "
        "offline=False) waits for slow connections, once: then the weights are in "
        "the cache)"
    )


def _first_hop(endpoint):
    """Host and port that a request to `endpoint` connects to first."""
    url = urllib.parse.urlsplit(endpoint)
    proxies = urllib.request.getproxies()
    proxy = proxies.get(url.scheme) or proxies.get("all")
    if proxy and not urllib.request.proxy_bypass(url.hostname or ""):
        url = urllib.parse.urlsplit(proxy if "//" in proxy else f"http://{proxy}")
    default_ports = {"https": 443, "http": 80}
    return url.hostname or "", url.port or default_ports.get(url.scheme, 1080)


def _in_one_line(error):
    text = " ".join(str(error).split()) or type(error).__name__
    return f"{type(error).__name__}: {text[:300]}"


def _not_found(hub_file, folder, reason):
    repository = hub_file.repository
    return WeightsNotFoundError(
        f"The weights {hub_file.path} of the hub repository {repository} (revision "
        f"{hub_file.revision or 'main'}) are not in the cache folder {folder} and "
        f"could not be downloaded: {reason}. Download the file and the config.json "
        'beside it on a machine with network and pass weights="/path/to/'
        f'{PurePosixPath(hub_file.path).name}", or train from scratch with '
        f'weights="random". If {repository!r} was meant as a local file or folder: '
        "there is none of that name here."
    )
