"""Hub names: the cache first, a bounded attempt to download, a helpful error."""

import hashlib
import http.server
import json
import socket
import threading
import time

import pytest
from safetensors.torch import save

from sktinymyo.exceptions import (
    OptionalDependencyError,
    UnsafeFileError,
    WeightsError,
    WeightsNotFoundError,
)
from sktinymyo.weights import _hub, get_cache_folder, load_weights

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "1234567890abcdef1234567890abcdef12345678"
TINYMYO = "pretraining/TinyMyo/TinyMyo.safetensors"


def set_endpoint(monkeypatch, address):
    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Point the hub at a closed port of this machine; no test leaves it."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}"
    set_endpoint(monkeypatch, address)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for name in ("HF_HUB_OFFLINE", "HF_HUB_ETAG_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def content(make_model, as_published, settings_of):
    """Files of a repository by path."""
    model = make_model()
    files = {}
    for path in (TINYMYO, "model.safetensors", "other/base.safetensors"):
        config = str(path).rpartition("/")[0] + "/config.json"
        files[path] = save(as_published(model))
        files[config.lstrip("/")] = json.dumps(settings_of(model)).encode()
    return files


def fill_cache(folder, repository, files):
    """Lay files out as huggingface_hub does."""
    root = folder / f"models--{repository.replace('/', '--')}"
    (root / "blobs").mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text(COMMIT)
    for path, data in files.items():
        blob = root / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        pointer = root / "snapshots" / COMMIT / path
        pointer.parent.mkdir(parents=True, exist_ok=True)
        pointer.symlink_to(blob)


@pytest.fixture
def server(monkeypatch, content):
    """Serve one repository on this machine the way the hub does."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

        def answer(self, with_body):
            seen.append((self.command, self.path))
            head, _, path = self.path.partition(f"/resolve/{Handler.revision}/")
            data = content.get(path) if head == "/PulpBio/TinyMyo" else None
            self.send_response(404 if data is None else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            if data is None:
                known = head == "/PulpBio/TinyMyo"
                self.send_header(
                    "X-Error-Code", "EntryNotFound" if known else "RepoNotFound"
                )
            else:
                checksum = hashlib.sha256(Handler.salt + data).hexdigest()
                self.send_header("ETag", f'"{checksum}"')
            self.send_header("Content-Length", str(len(data or b"")))
            self.end_headers()
            if with_body and data:
                self.wfile.write(data)

        def do_HEAD(self):
            self.answer(False)

        def do_GET(self):
            self.answer(True)

    Handler.salt, Handler.revision = b"", "main"
    running = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=running.serve_forever, args=(0.02,), daemon=True).start()
    address = f"http://127.0.0.1:{running.server_port}"
    set_endpoint(monkeypatch, address)
    running.seen, running.handler = seen, Handler
    yield running
    running.shutdown()
    running.server_close()


def test_cached_weights_load_without_network(tmp_path, monkeypatch, content):
    fill_cache(tmp_path, "PulpBio/TinyMyo", content)
    for name in ("get_hf_file_metadata", "hf_hub_download"):
        monkeypatch.setattr(hub, name, lambda *a, **k: pytest.fail("network used"))
    monkeypatch.setattr(_hub, "_probe", lambda *a: pytest.fail("network used"))
    weights = load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
    assert weights.config.n_heads == 2  # from the config.json beside it
    assert weights.card.licence == "CC BY-ND 4.0" and weights.card.sharing is False
    assert weights.card.sha256 == hashlib.sha256(content[TINYMYO]).hexdigest()
    assert weights.card.sfreq == 2000.0
    # The licence is that of the repository, the form of the data is not.
    other = load_weights(
        f"PulpBio/TinyMyo@{COMMIT}:other/base.safetensors", cache_folder=tmp_path
    )
    assert other.card.licence == "CC BY-ND 4.0" and other.card.sharing is False
    assert other.card.sfreq is None
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert get_cache_folder() == tmp_path
    assert load_weights("PulpBio/TinyMyo").sha256 == weights.sha256


def test_unregistered_repositories_have_no_licence(tmp_path, content):
    fill_cache(tmp_path, "some/body", content)
    card = load_weights("some/body", cache_folder=tmp_path, offline=True).card
    assert card.licence is None and card.sharing is None
    assert card.source == "Hugging Face hub, some/body:model.safetensors"


def test_damaged_cache_is_noticed(tmp_path, content):
    fill_cache(tmp_path, "PulpBio/TinyMyo", content)
    file = next(tmp_path.glob(f"*/snapshots/*/{TINYMYO}"))
    damaged = bytearray(content[TINYMYO])
    damaged[-1] ^= 1
    file.resolve().write_bytes(damaged)
    with pytest.raises(WeightsError, match="delete it and get it again"):
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)


def test_download_and_then_only_the_cache(tmp_path, server, content):
    weights = load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
    assert weights.sha256 == hashlib.sha256(content[TINYMYO]).hexdigest()
    assert weights.config.n_heads == 2
    asked = len(server.seen)
    assert ("GET", f"/PulpBio/TinyMyo/resolve/main/{TINYMYO}") in server.seen
    again = load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
    assert again.sha256 == weights.sha256 and len(server.seen) == asked


def test_download_without_config_json_at_a_revision(tmp_path, server, content):
    server.handler.revision = "v1"
    del content["config.json"]
    name = "PulpBio/TinyMyo@v1:model.safetensors"
    with pytest.raises(WeightsError, match="n_heads"):
        load_weights(name, cache_folder=tmp_path)
    assert ("HEAD", "/PulpBio/TinyMyo/resolve/v1/config.json") in server.seen


def test_download_of_something_else_than_promised(tmp_path, server):
    server.handler.salt = b"other content"
    with pytest.raises(WeightsError, match="was expected"):
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)


@pytest.mark.parametrize(
    "name", ["PulpBio/TinyMyo:no/such.safetensors", "some/body", "PulpBio/TinyMyo@v9"]
)
def test_what_the_hub_does_not_have(tmp_path, server, name):
    with pytest.raises(WeightsNotFoundError, match="NotFoundError: "):
        load_weights(name, cache_folder=tmp_path)


def assert_helpful(message, folder):
    for part in ("PulpBio/TinyMyo", TINYMYO, str(folder), 'weights="/path/to/'):
        assert part in message


def hanging(*arguments, **options):
    time.sleep(3)
    raise OSError("the network came back")


def refusing(*arguments, **options):
    raise socket.gaierror(-2, "Name or service not known")


@pytest.mark.parametrize("resolve", [None, hanging, refusing])
def test_no_network_is_told_within_a_second(tmp_path, monkeypatch, resolve):
    if resolve is not None:
        monkeypatch.setattr(socket, "getaddrinfo", resolve)
    start = time.perf_counter()
    with pytest.raises(WeightsNotFoundError) as caught:
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
    assert time.perf_counter() - start < 1
    assert_helpful(str(caught.value), tmp_path)
    assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("how", ["argument", "environment", "constant"])
def test_offline_never_touches_the_network(tmp_path, monkeypatch, how):
    monkeypatch.setattr(_hub, "_probe", lambda *a: pytest.fail("network used"))
    monkeypatch.setattr(
        hub, "get_hf_file_metadata", lambda *a, **k: pytest.fail("network used")
    )
    offline = None
    if how == "argument":
        offline = True
    elif how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    else:
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(WeightsNotFoundError) as caught:
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path, offline=offline)
    assert_helpful(str(caught.value), tmp_path)


def test_a_silent_server_is_given_up(tmp_path, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        set_endpoint(monkeypatch, address)
        monkeypatch.setenv("HF_HUB_ETAG_TIMEOUT", "0.5")
        start = time.perf_counter()
        with pytest.raises(WeightsNotFoundError, match="[Tt]ime"):
            load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
        assert time.perf_counter() - start < 5


def test_the_probe_asks_the_proxy(monkeypatch):
    assert _hub._first_hop("https://hub.example") == ("hub.example", 443)
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    assert _hub._first_hop("https://hub.example/x") == ("proxy.example", 3128)
    monkeypatch.setenv("no_proxy", "hub.example")
    assert _hub._first_hop("https://hub.example") == ("hub.example", 443)
    assert "not valid" in _hub._probe("http://hub.example:port", 0.1)


def test_offline_must_be_a_truth_value(tmp_path):
    with pytest.raises(TypeError, match="offline='no'"):
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path, offline="no")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("PulpBio/TinyMyo", ("PulpBio/TinyMyo", TINYMYO, None)),
        ("a/b", ("a/b", "model.safetensors", None)),
        ("a/b@v1.0", ("a/b", "model.safetensors", "v1.0")),
        ("a/b:c/d.safetensors", ("a/b", "c/d.safetensors", None)),
        ("a/b@refs/pr/1:d.safetensors", ("a/b", "d.safetensors", "refs/pr/1")),
    ],
)
def test_hub_names(name, wanted):
    parsed = _hub.parse_hub_name(name)
    assert (parsed.repository, parsed.path, parsed.revision) == wanted
    assert _hub.parse_hub_name(str(parsed)) == parsed


@pytest.mark.parametrize(
    "name", ["a", "a/b/c", "./a/b", "/a/b", "../b", "a/b.safetensors", "a\\b", "C:/x"]
)
def test_names_that_are_no_hub_names(name):
    assert _hub.parse_hub_name(name) is None


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("a/b:../c.safetensors", WeightsError),
        ("a/b:/etc/c.safetensors", WeightsError),
        ("a/b@x/../../../y", WeightsError),
        ("a/b@../../x", WeightsNotFoundError),
        ("a/b:readme.md", WeightsError),
        ("a/b:model.bin", UnsafeFileError),
        ("a--b/c", WeightsNotFoundError),
    ],
)
def test_hub_names_that_are_refused(tmp_path, monkeypatch, name, error):
    monkeypatch.setattr(_hub, "_probe", lambda *a: pytest.fail("network used"))
    with pytest.raises(error):
        load_weights(name, cache_folder=tmp_path)


def test_local_folders_come_before_the_hub(tmp_path, monkeypatch, content):
    folder = tmp_path / "PulpBio" / "TinyMyo"
    folder.mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(content["model.safetensors"])
    (folder / "config.json").write_bytes(content["config.json"])
    monkeypatch.chdir(tmp_path)
    assert "local file" in load_weights("PulpBio/TinyMyo").card.source


def test_missing_huggingface_hub_names_the_extra(tmp_path, monkeypatch):
    for name in ("huggingface_hub", "huggingface_hub.constants"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(OptionalDependencyError, match=r"sktinymyo\[hub\]"):
        load_weights("PulpBio/TinyMyo", cache_folder=tmp_path)
