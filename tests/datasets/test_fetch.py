"""Tests of the downloads, from a server on this machine."""

import hashlib
import io
import socket
import threading
import time
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from sktinymyo.datasets import (
    DatasetFormatError,
    _download,
    _fetch,
    fetch_3dc,
    fetch_ciil,
    fetch_cote_allard,
    fetch_myo_readings,
    fetch_one_subject_myo,
    get_data_home,
)
from sktinymyo.exceptions import DatasetNotFoundError

pytest.importorskip("pooch")

SETS = {
    "one_subject_myo": (fetch_one_subject_myo, _fetch._ONE_SUBJECT_MYO, 68),
    "3dc": (fetch_3dc, _fetch._3DC, 1936),
    "cote_allard": (fetch_cote_allard, _fetch._COTE_ALLARD, 2128),
    "ciil": (fetch_ciil, _fetch._CIIL, 2260),
    "myo_readings": (fetch_myo_readings, _fetch._MYO_READINGS, 1002),
}
TEXT = b"1,2,3,4,5,6,7,8\n" * 40
FILES = {
    f"trial_{trial}/R_{repetition}_C_0.csv": TEXT + f"{trial},".encode() * 7 + b"0\n"
    for trial in (1, 2)
    for repetition in (0, 1)
}


class _Server:
    """Serves bytes by path; can break off, understand ranges, and counts."""

    def __init__(self):
        self.content, self.requests, self.break_after = {}, [], {}
        self.ranges = True
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range")))
                body = outer.content.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                first = 0
                if outer.ranges and self.headers.get("Range"):
                    first = int(self.headers["Range"][6:].split("-")[0])
                self.send_response(206 if first else 200)
                self.send_header("Content-Length", str(len(body) - first))
                self.end_headers()
                limit = outer.break_after.pop(self.path, None)
                self.wfile.write(body[first:] if limit is None else body[:limit])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        serve = self.server.serve_forever
        threading.Thread(target=serve, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server(monkeypatch):
    server = _Server()
    monkeypatch.setattr(_download, "FILE_ADDRESS", server.address)
    monkeypatch.setattr(_download, "ARCHIVE_ADDRESS", server.address)
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    yield server
    server.close()


@pytest.fixture
def small(server, monkeypatch):
    """Reduce OneSubjectMyo to four files and serve them."""
    _use_registry(monkeypatch, FILES)
    remote = _fetch._ONE_SUBJECT_MYO
    for path, body in FILES.items():
        server.content[f"/{remote.repository}/{remote.commit}/{path}"] = body
    return server


def _use_registry(monkeypatch, files):
    registry = {
        path: (hashlib.sha256(body).hexdigest(), len(body))
        for path, body in files.items()
    }
    monkeypatch.setattr(_download.RemoteSet, "registry", lambda self: registry)


def _left(home):
    return sorted(path.name for path in home.rglob("*") if path.is_file())


@pytest.mark.parametrize("name", sorted(SETS))
def test_registries_are_complete_and_well_formed(name):
    _, remote, n_files = SETS[name]
    registry = remote.registry()
    assert len(registry) == n_files
    for path, (sha256, size) in registry.items():
        assert len(sha256) == 64
        assert size > 0
        assert not path.startswith("/")
        assert ".." not in path.split("/")
    assert len(remote.commit) == 40


@pytest.mark.parametrize("name", sorted(SETS))
def test_registries_fit_the_real_files(data_folder, name):
    _, remote, _ = SETS[name]
    folder = data_folder / "raw" / remote.repository.split("/")[1]
    present = 0
    for path, entry in remote.registry().items():
        if (folder / path).exists():
            assert _download._is_intact(folder / path, *entry), path
            present += 1
    assert present >= 8


def test_download_then_no_further_request(tmp_path, small):
    bunch = fetch_one_subject_myo(data_home=tmp_path)
    assert len(bunch.recordings) == 4
    assert bunch.recordings[0].shape == (8, 41)
    assert len(small.requests) == 4
    again = fetch_one_subject_myo(
        data_home=tmp_path, download_if_missing=False, sessions=2
    )
    assert len(again.recordings) == 2
    assert len(small.requests) == 4
    np.testing.assert_array_equal(again.recordings[0], bunch.recordings[2])


def test_wrong_sha256_is_refused_and_nothing_left(tmp_path, small):
    path = next(path for path in small.content if path.endswith("trial_2/R_1_C_0.csv"))
    good, small.content[path] = small.content[path], b"other content"
    with pytest.raises(DatasetFormatError, match=r"trial_2/R_1_C_0\.csv.*sha256"):
        fetch_one_subject_myo(data_home=tmp_path)
    folder = tmp_path / "datasets/one_subject_myo"
    assert not (folder / "trial_2/R_1_C_0.csv").exists()
    small.content[path] = good
    small.requests.clear()
    fetch_one_subject_myo(data_home=tmp_path)
    assert path in [request for request, _ in small.requests]
    assert len(_left(folder)) == 4


def test_interruption_keeps_what_is_verified(tmp_path, small, monkeypatch):
    monkeypatch.setattr(_download, "_N_CONNECTIONS", 1)
    paths = list(small.content)
    small.break_after[paths[2]] = 100
    with pytest.raises(DatasetNotFoundError, match="call again"):
        fetch_one_subject_myo(data_home=tmp_path)
    # No half file under any name; what arrived whole is not fetched again.
    folder = tmp_path / "datasets/one_subject_myo"
    kept = [path.relative_to(folder).as_posix() for path in folder.rglob("*.csv")]
    assert len(_left(tmp_path)) == len(kept) >= 2
    assert all((folder / name).read_bytes() == FILES[name] for name in kept)
    small.requests.clear()
    assert len(fetch_one_subject_myo(data_home=tmp_path).recordings) == 4
    missing = [path for path in paths if not path.endswith(tuple(kept))]
    assert [path for path, _ in small.requests] == missing
    assert paths[2] in missing


def test_damaged_files_are_fetched_again(tmp_path, small):
    fetch_one_subject_myo(data_home=tmp_path)
    damaged = tmp_path / "datasets/one_subject_myo/trial_1/R_0_C_0.csv"
    damaged.write_bytes(damaged.read_bytes().replace(b"1,2", b"9,2"))
    with pytest.raises(DatasetNotFoundError, match="1 of 4 files"):
        fetch_one_subject_myo(data_home=tmp_path, download_if_missing=False)
    fetch_one_subject_myo(data_home=tmp_path)
    assert damaged.read_bytes() == FILES["trial_1/R_0_C_0.csv"]


@pytest.mark.parametrize("name", sorted(SETS))
def test_missing_and_not_allowed(tmp_path, server, name):
    fetch, _, _ = SETS[name]
    with pytest.raises(DatasetNotFoundError, match="download_if_missing=True") as error:
        fetch(data_home=tmp_path, download_if_missing=False)
    assert str(tmp_path / "datasets" / name) in str(error.value)
    assert not server.requests
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["one_subject_myo", "ciil"])
def test_offline_is_quick_and_clear(tmp_path, monkeypatch, name):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    monkeypatch.setattr(_download, "FILE_ADDRESS", address)
    monkeypatch.setattr(_download, "ARCHIVE_ADDRESS", address)
    began = time.monotonic()
    with pytest.raises(DatasetNotFoundError, match="SKTINYMYO_HOME"):
        SETS[name][0](data_home=tmp_path)
    assert time.monotonic() - began < 5
    assert _left(tmp_path) == []


def _archive(server, monkeypatch, members, registered=None):
    remote = _fetch._CIIL
    files = {
        f"ElectrodeShift/subject{k}/training/R_0_C_0.csv": TEXT * k for k in (1, 2, 3)
    }
    _use_registry(monkeypatch, files if registered is None else registered)
    root = f"CIILData-{remote.commit}"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, body in (files | members).items():
            if body is not None:
                archive.writestr(f"{root}/{path}", body)
        archive.writestr("../../escaped.csv", b"1")
        archive.writestr(f"{root}/model.p", b"a pickle")
    url = f"/{remote.repository}/archive/{remote.commit}.zip"
    server.content[url] = buffer.getvalue()
    return url


def test_archive_takes_listed_files_only(tmp_path, server, monkeypatch):
    _archive(server, monkeypatch, {})
    bunch = fetch_ciil(data_home=tmp_path / "home")
    assert bunch.groups.tolist() == [101, 102, 103]
    assert _left(tmp_path) == ["R_0_C_0.csv"] * 3
    assert fetch_ciil(data_home=tmp_path / "home", lazy=True).sfreq == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (None, "lacks"),
        (TEXT[:-2] + b"9\n", "sha256"),
        (TEXT * 50_000, "bytes; expected 640"),
    ],
)
def test_archive_with_other_content(tmp_path, server, monkeypatch, change, message):
    path = "ElectrodeShift/subject1/training/R_0_C_0.csv"
    _archive(server, monkeypatch, {path: change})
    with pytest.raises(DatasetFormatError, match=message):
        fetch_ciil(data_home=tmp_path)
    assert not (tmp_path / "datasets/ciil" / path).exists()
    assert not list(tmp_path.rglob("*.zip"))


@pytest.mark.parametrize("ranges", [True, False])
def test_archive_goes_on_after_an_interruption(tmp_path, server, monkeypatch, ranges):
    url = _archive(server, monkeypatch, {})
    monkeypatch.setattr(_download, "_CHUNK", 50)
    server.ranges = ranges
    server.break_after[url] = 200
    with pytest.raises(DatasetNotFoundError, match="call again"):
        fetch_ciil(data_home=tmp_path)
    assert [name.rsplit(".", 1)[-1] for name in _left(tmp_path)] == ["part"]
    assert len(fetch_ciil(data_home=tmp_path).recordings) == 3
    assert server.requests[1] == (url, "bytes=200-")
    assert _left(tmp_path) == ["R_0_C_0.csv"] * 3


def test_damaged_archive_is_thrown_away(tmp_path, server, monkeypatch):
    url = _archive(server, monkeypatch, {})
    good, server.content[url] = server.content[url], b"an error page"
    with pytest.raises(DatasetFormatError, match="thrown away"):
        fetch_ciil(data_home=tmp_path)
    assert _left(tmp_path) == []
    server.content[url] = good
    assert len(fetch_ciil(data_home=tmp_path).recordings) == 3


def test_data_home(tmp_path, monkeypatch):
    monkeypatch.setenv("SKTINYMYO_HOME", str(tmp_path))
    assert get_data_home() == tmp_path
    assert get_data_home(tmp_path / "other") == tmp_path / "other"
    monkeypatch.delenv("SKTINYMYO_HOME")
    assert get_data_home().name == "sktinymyo"
