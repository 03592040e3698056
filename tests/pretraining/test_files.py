"""Recordings in files: read in slices, within bounds, and never trusted."""

import os
import pickle
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sktinymyo.exceptions import WindowsError
from sktinymyo.pretraining import _files
from sktinymyo.pretraining._sources import open_source

SIZE = {"n_times": 20, "step": 10}
# Sizes that a block, a chunk and a window do not divide.
SHAPES = [(4, 503), (2, 87), (4, 20), (1, 300)]


def recordings(dtype="float32"):
    rng = np.random.default_rng(0)
    return [rng.normal(20, 40, shape).astype(dtype) for shape in SHAPES]


def h5(path, arrays, attributes=None, **options):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        file.attrs.update(attributes or {})
        for i, array in enumerate(arrays):
            own = dict(options)
            if "chunks" in own:
                own["chunks"] = tuple(np.minimum(own["chunks"], array.shape).tolist())
            file.create_dataset(f"people/r{i}", data=array, **own)


def write_npy(folder, arrays):
    for i, array in enumerate(arrays):
        np.save(folder / f"r{i}.npy", array)


def write_fortran(folder, arrays):
    write_npy(folder, [np.asfortranarray(array) for array in arrays])


def write_npz(folder, arrays):
    np.savez(folder / "all.npz", *arrays)


def write_compressed(folder, arrays):
    np.savez_compressed(folder / "all.npz", *arrays)


def write_times_first_npz(folder, arrays):
    turned = {f"r{i}": array.T for i, array in enumerate(arrays)}
    np.savez(folder / "all.npz", orientation="times-first", **turned)


def write_h5(folder, arrays):
    h5(folder / "all.h5", arrays)


def write_chunked(folder, arrays):
    h5(folder / "all.hdf5", arrays, chunks=(1, 20), compression="gzip")


def write_times_first_h5(folder, arrays):
    turned = [array.T for array in arrays]
    h5(folder / "all.h5", turned, {"orientation": "times-first"})


def write_times_first_chunked(folder, arrays):
    turned = [array.T for array in arrays]
    attributes = {"orientation": np.array([b"times-first"])}
    h5(folder / "all.h5", turned, attributes, chunks=(16, 1), shuffle=True)


def write_userblock(folder, arrays):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "all.h5", "w", userblock_size=512) as file:
        for i, array in enumerate(arrays):
            file[f"r{i}"] = array


FORMATS = [
    write_npy,
    write_fortran,
    write_npz,
    write_compressed,
    write_times_first_npz,
    write_h5,
    write_chunked,
    write_times_first_h5,
    write_times_first_chunked,
    write_userblock,
]


@pytest.mark.parametrize("dtype", ["float32", ">i2", "float16"])
@pytest.mark.parametrize("write", FORMATS, ids=lambda write: write.__name__)
def test_every_format_gives_what_memory_gives(write, dtype, tmp_path, monkeypatch):
    # Small blocks, so that statistics are merged from several of them.
    for module in ("_files", "_recordings"):
        name = f"sktinymyo.pretraining.{module}.BLOCK_ELEMENTS"
        monkeypatch.setattr(name, 100)
    arrays = recordings(dtype)
    folder = tmp_path / "data"
    folder.mkdir()
    write(folder, arrays)
    plain = open_source(arrays, **SIZE)
    everything = np.random.default_rng(0).permutation(plain.n_windows)
    for _ in range(2):
        source = open_source(folder, cache_folder=tmp_path / "cache", **SIZE)
        windows, padding, _ = source.read(everything)
        expected, expected_padding, _ = plain.read(everything)
        np.testing.assert_allclose(windows, expected, atol=1e-6)
        np.testing.assert_array_equal(padding, expected_padding)


def test_hdf5_in_one_piece_is_read_without_hdf5(tmp_path, monkeypatch):
    pytest.importorskip("h5py")
    write_h5(tmp_path, recordings())
    source = open_source(tmp_path, **SIZE)
    source.close()
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert source.read([0])[0].shape == (1, 4, 20)


def test_samples_are_read_as_they_are(tmp_path):
    """Small blocks of rows and times together cover every sample once."""
    arrays = [array.astype("float64") for array in recordings()]
    h5(tmp_path / "a.h5", arrays, chunks=(2, 20))
    options = {"orientation": "channels-first", "datasets": None, "cache_folder": None}
    files = _files.FileRecordings([tmp_path], **options)
    for elements in (1, 30, 100_000):
        _files.BLOCK_ELEMENTS, kept = elements, _files.BLOCK_ELEMENTS
        try:
            for i, array in enumerate(arrays[:2]):
                seen = np.zeros(array.shape, int)
                for rows, start, stop in files.blocks(i):
                    seen[rows, start:stop] += 1
                    block = files.read_rows(i, rows, start, stop)
                    np.testing.assert_array_equal(block, array[rows, start:stop])
                assert (seen == 1).all()
        finally:
            _files.BLOCK_ELEMENTS = kept


def test_facts_of_files(tmp_path):
    h5py = pytest.importorskip("h5py")
    arrays = recordings()
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["sfreq"] = 200.0
        file.attrs["group"] = "ann"
        for i, array in enumerate(arrays[:2]):
            item = file.create_dataset(f"session1/r{i}", data=array)
            item.attrs["label"] = ["rest", "fist"][i]
        file["session1"].attrs["group"] = "ann, day 1"
        file["session1/r0"].attrs["sfreq"] = np.array([[100]])
        file["session1/onsets"] = np.arange(30)
        file["names"] = ["a", "b"]
    np.savez(
        tmp_path / "b.npz",
        later=arrays[2],
        early=arrays[3],
        label=np.array(["fist", "rest"]),
        group="bob",
        sfreq=500,
    )
    source = open_source(tmp_path, **SIZE)
    names = [name.removeprefix(f"{tmp_path}/") for name in source.recording_names]
    assert names == [
        "a.h5, recording 'session1/r0'",
        "a.h5, recording 'session1/r1'",
        "b.npz, recording 'later'",
        "b.npz, recording 'early'",
    ]
    assert source.classes_.tolist() == ["fist", "rest"]
    firsts = np.unique(source.recordings_of_windows, return_index=True)[1]
    assert source.read(firsts)[2].tolist() == [1, 0, 0, 1]
    facts = source.describe()
    assert facts["sfreq"] == [100.0, 200.0, 500.0]
    assert facts["n_groups"] == 2
    # What is given counts for more.
    source = open_source(tmp_path, [1, 2, 3, None], range(4), sfreq=50, **SIZE)
    assert source.read(firsts)[2].tolist() == [0, 1, 2, -1]
    assert (source.describe()["sfreq"], source.describe()["n_groups"]) == ([50.0], 4)
    # A choice of arrays, by the last or the full name.
    for pattern, n_recordings in [("r*", 2), ("session1/r1", 1), (["r0", "r1"], 2)]:
        source = open_source(tmp_path / "a.h5", datasets=pattern, **SIZE)
        assert source.n_recordings == n_recordings


def test_folders_are_searched_and_files_can_be_listed(tmp_path):
    arrays = recordings()
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    for place in ("b/2.npy", "a.npy", "b/.hidden/3.npy", ".a.npy", "b/1.NPY"):
        with (tmp_path / place).open("wb") as file:
            np.save(file, arrays[0])
    (tmp_path / "notes.txt").write_text("")
    source = open_source(str(tmp_path), **SIZE)
    names = [Path(n).relative_to(tmp_path).as_posix() for n in source.recording_names]
    assert names == ["a.npy", "b/1.NPY", "b/2.npy"]
    listed = open_source([tmp_path / "b" / "2.npy", tmp_path / "a.npy"], **SIZE)
    assert [Path(name).name for name in listed.recording_names] == ["2.npy", "a.npy"]
    # The fingerprint goes by names inside the folder, wherever that lies.
    (tmp_path / "b").rename(tmp_path / "c")
    (tmp_path / "a.npy").rename(tmp_path / "c" / "a.npy")
    moved = open_source(tmp_path / "c", **SIZE).fingerprint()
    (tmp_path / "c").rename(tmp_path / "d")
    assert open_source(tmp_path / "d", **SIZE).fingerprint() == moved
    assert moved != source.fingerprint()


def test_broken_samples_are_named_when_scanned_or_read(tmp_path):
    array = recordings()[0].copy()
    array[2, 333] = np.nan
    h5(tmp_path / "a.h5", [recordings()[1], array], chunks=(1, 100))
    message = r"a\.h5, recording 'people/r1' contains NaN.*channel 2 at sample 333"
    with pytest.raises(WindowsError, match=message):
        open_source(tmp_path, **SIZE)
    # Files that need no statistics are not read as a whole beforehand.
    source = open_source(tmp_path, scale="window", **SIZE)
    with pytest.raises(WindowsError, match=message):
        source.read(np.arange(source.n_windows))


def test_files_that_change_or_vanish_are_noticed(tmp_path):
    for name in ("a.npy", "b.npy"):
        np.save(tmp_path / name, recordings()[0])
    source = open_source(tmp_path, scale=None, **SIZE)
    last = source.n_windows - 1
    source.close()
    np.save(tmp_path / "a.npy", recordings()[0][:, :-7])
    (tmp_path / "b.npy").unlink()
    with pytest.raises(WindowsError, match=r"a\.npy has changed since"):
        source.read([0])
    with pytest.raises(WindowsError, match=r"b\.npy is gone"):
        source.read([last])


def test_only_a_few_files_are_open_at_a_time(tmp_path):
    if not Path("/proc/self/fd").is_dir():
        pytest.skip("counts the open files of Linux")
    for i in range(40):
        np.save(tmp_path / f"{i}.npy", recordings()[1])
    h5(tmp_path / "a.h5", [recordings()[1]], chunks=(1, 10))

    def n_open():
        return len(list(Path("/proc/self/fd").iterdir()))

    before = n_open()
    source = open_source(tmp_path, **SIZE)
    for batch in source.order(0, 0, 50):
        source.read(batch)
        assert n_open() <= before + _files.OPEN_FILES + 1
    source.close()
    assert n_open() == before


def test_files_are_shared_among_threads_and_processes(tmp_path):
    for i in range(12):
        h5(tmp_path / f"{i}.h5", recordings()[:2], chunks=(1, 50))
        np.save(tmp_path / f"{i}.npy", recordings()[0])
    source = open_source(tmp_path, **SIZE)
    batches = list(source.order(0, 0, 16))
    alone = [source.read(batch)[0] for batch in batches]
    copy = pickle.loads(pickle.dumps(source))
    with ThreadPoolExecutor(4) as pool:
        for left, right in zip(alone, pool.map(copy.read, batches), strict=True):
            np.testing.assert_array_equal(left, right[0])
    if hasattr(os, "fork"):
        # A worker that inherits open files opens its own.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            same = all(
                np.array_equal(source.read(batch)[0], left)
                for batch, left in zip(batches, alone, strict=True)
            )
            os._exit(0 if same else 1)
        for batch, left in zip(batches, alone, strict=True):
            np.testing.assert_array_equal(source.read(batch)[0], left)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_cache_spares_the_second_scan_and_heals(tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    write_compressed(tmp_path, recordings())
    first = open_source(tmp_path, cache_folder=cache, **SIZE)
    everything = np.arange(first.n_windows)
    expected = first.read(everything)[0]
    kept = sorted(path.name for path in cache.iterdir())
    assert len(kept) == len(SHAPES) + 1
    # The cache lies inside the folder and is not taken for recordings.
    scans = []
    scan = _files.Recordings._moments_of_one
    monkeypatch.setattr(
        _files.Recordings,
        "_moments_of_one",
        lambda self, i: scans.append(i) or scan(self, i),
    )
    again = open_source(tmp_path, cache_folder=cache, **SIZE)
    assert scans == []
    np.testing.assert_array_equal(again.read(everything)[0], expected)
    assert again.fingerprint() == first.fingerprint()
    # Damaged or missing pieces are made anew; nothing half-written stays.
    for path in cache.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    healed = open_source(tmp_path, cache_folder=cache, **SIZE)
    assert scans == [0, 1, 2, 3]
    np.testing.assert_array_equal(healed.read(everything)[0], expected)
    assert sorted(path.name for path in cache.iterdir()) == kept
    # Another content of the same name is another file.
    write_compressed(tmp_path, [array * 2 + 1 for array in recordings()])
    changed = open_source(tmp_path, cache_folder=cache, scale=None, **SIZE)
    assert changed.read([0])[0] == pytest.approx(recordings()[0][None, :, :20] * 2 + 1)
    with pytest.raises(ValueError, match="is the folder with the recordings"):
        open_source(tmp_path, cache_folder=tmp_path, **SIZE)


def test_cache_needs_room(tmp_path, monkeypatch):
    write_compressed(tmp_path, recordings())
    usage = type("Usage", (), {"free": 100})
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage)
    with pytest.raises(WindowsError, match=r"needs .* MB unpacked, but cache_folder="):
        open_source(tmp_path, cache_folder=tmp_path / "cache", **SIZE)
    assert list((tmp_path / "cache").iterdir()) == []


def test_hdf5_without_h5py_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ImportError, match=r"sktinymyo\[data\]"):
        open_source(tmp_path, **SIZE)


WRITE = """
import sys
from pathlib import Path
import h5py, numpy as np
folder = Path(sys.argv[1])
rng = np.random.default_rng(0)
block = rng.normal(size=(8, 600_000)).astype("float32")
for k in range(6):
    np.save(folder / f"{k}.npy", block)
    np.savez(folder / f"{k}.npz", a=block.T[:300_000], b=block[:, :300_000].T,
             orientation="times-first")
    with h5py.File(folder / f"{k}.h5", "w") as file:
        file["plain"] = block[:, :300_000]
        file.create_dataset("packed", data=block[:, :300_000], chunks=True)
"""
READ = """
import re, sys
from pathlib import Path
import h5py, numpy as np
from sktinymyo.pretraining._sources import open_source

def peak():
    # Of this process alone; the figure of getrusage begins with the parent's.
    text = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\\s+(\\d+) kB", text)[1]) / 1024

before = peak()
source = open_source(sys.argv[1], n_times=1000, step=500)
scanned = peak()
for batch in source.order(0, 0, 64):
    source.read(batch)
print(source.n_windows, before, scanned, peak())
"""


@pytest.mark.slow
def test_an_epoch_of_files_stays_within_a_small_part_of_their_size(tmp_path):
    """346 MB of files: opened, scanned and read at random in 48 MB of memory."""
    if not Path("/proc/self/status").exists():
        pytest.skip("measures memory as Linux counts it")
    pytest.importorskip("h5py")
    command = [sys.executable, "-c"]
    subprocess.run([*command, WRITE, str(tmp_path)], check=True)
    n_bytes = sum(path.stat().st_size for path in tmp_path.iterdir())
    assert n_bytes > 300e6
    result = subprocess.run(
        [*command, READ, str(tmp_path)], check=True, capture_output=True, text=True
    )
    n_windows, before, scanned, after = map(float, result.stdout.split())
    assert n_windows * 500 * 8 * 4 > 0.99 * n_bytes
    assert scanned - before < 32, result.stdout
    assert after - before < 48, result.stdout
