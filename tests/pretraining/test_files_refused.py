"""Files that must not be read: hostile, damaged, missing, or of no known form."""

import functools
import os
import pickle
import re
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo.exceptions import DatasetNotFoundError, WindowsError
from sktinymyo.pretraining._sources import open_source

SIZE = {"n_times": 20, "step": 10}
ARRAY = np.random.default_rng(0).normal(20, 40, (4, 503)).astype("float32")
SHORT = ARRAY[:2, :87]


class _Evil:
    def __reduce__(self):
        return os.mkdir, ("unpickled",)


def bad_files(folder):
    """Write files that must be refused; return what the message says of each."""
    array = ARRAY
    expected = {}

    def add(name, message, write=None, content=None):
        path = folder / name
        if content is not None:
            path.write_bytes(content)
        else:
            write(path)
        expected[path] = message

    def header(shape, descr="<f4", fortran=False):
        def write(path):
            with path.open("wb") as file:
                facts = {"descr": descr, "fortran_order": fortran, "shape": shape}
                np.lib.format.write_array_header_1_0(file, facts)
                file.write(bytes(1000))

        return write

    def long_header(content):
        # Most of what such a file announces is spaces, which take no room in a zip.
        return b"\x93NUMPY\x02\x00" + len(content).to_bytes(4, "little") + content

    def member(name, content, **facts):
        def write(path):
            np.savez(path, good=array, **facts)
            with zipfile.ZipFile(path, "a") as archive:
                archive.writestr(name, content)

        return write

    evil = np.array([[_Evil()]], dtype=object)
    add("empty.npy", "damaged", content=b"")
    add("text.npy", "damaged", content=b"hello" * 100)
    add("evil.npy", "object of shape", lambda p: np.save(p, evil, allow_pickle=True))
    add("pickle.npy", "damaged", content=pickle.dumps(_Evil()))
    add("one.npy", "two dimensions", lambda p: np.save(p, np.ones(30)))
    add("three.npy", "mmap_mode", lambda p: np.save(p, np.ones((3, 2, 30))))
    add("text2.npy", "real numbers", lambda p: np.save(p, np.full((2, 30), "a")))
    add("short.npy", "incomplete: its header announces", header((100, 1000)))
    add("huge.npy", "incomplete: its header announces", header((2**40, 2**40)))
    add("less.npy", "incomplete: its header announces", header((-2, -30)))
    add("none.npy", "no channel", header((0, 30)))
    add("samples.npy", "no sample", header((10**12, 0)))
    add("spaces.npy", "header of 70000 bytes", content=long_header(b" " * 70_000))
    add("code.npy", "damaged", header((2, 30), descr="__import__('os')"))
    add("version.npy", "version", content=b"\x93NUMPY\x09\x00" + bytes(100))
    add("empty.npz", "damaged", content=b"")
    add("text.npz", "damaged", content=b"PK\x03\x04" * 30)
    add("nothing.npz", "It holds: a .float64, .3,.", lambda p: np.savez(p, a=[1.0] * 3))
    add("evil.npz", "holds no recording", lambda p: np.savez(p, a=evil))
    add("evilfact.npz", "pickle", lambda p: np.savez(p, a=array, label=evil))
    add("member.npz", "damaged", member("b.npy", b"\x93NUMPY"))
    add("spaces.npz", "header of", member("b.npy", long_header(b" " * 70_000)))
    add("packed.npz", "load_packed", lambda p: np.savez(p, rec_start=1, rec_len=2))
    add("press.npz", "cache_folder=", lambda p: np.savez_compressed(p, array))
    add("rate.npz", "sfreq=-3", lambda p: np.savez(p, array, sfreq=-3))
    add("up.npz", "orientation='up'", lambda p: np.savez(p, array, orientation="up"))
    add("labels.npz", "for each of the 1", lambda p: np.savez(p, array, label=[1, 2]))
    add("yes.npz", "sfreq=True", lambda p: np.savez(p, array, sfreq=True))
    add("complex.npz", "label=1j", lambda p: np.savez(p, array, label=1j))
    add("many.npz", "too many", lambda p: np.savez(p, array, group=np.zeros(200_000)))
    return expected


def bad_hdf5(folder):
    h5py = pytest.importorskip("h5py")
    array = ARRAY
    expected = {}

    def add(name, message, write):
        expected[folder / name] = message
        with h5py.File(folder / name, "w") as file:
            write(file)

    def virtual(file):
        layout = h5py.VirtualLayout(shape=(4, 503), dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "a", shape=(4, 503))
        file.create_virtual_dataset("a", layout)

    secret = [(str(folder / "secret.txt"), 0, h5py.h5f.UNLIMITED)]
    add("nothing.h5", "It is empty", lambda f: None)
    add("one.h5", "holds no recording", lambda f: f.update(a=np.arange(30)))
    add("virtual.h5", "in other files", virtual)
    add(
        "external.h5",
        "in other files",
        lambda f: f.create_dataset("a", (2, 30), "u1", external=secret),
    )
    add(
        "unwritten.h5", "no samples", lambda f: f.create_dataset("a", (8, 10**12), "f4")
    )
    add(
        "chunks.h5",
        "smaller chunks",
        lambda f: f.create_dataset("a", data=array, chunks=(4, 503)),
    )

    def say(file, name, value):
        file["a"] = array
        file.attrs[name] = value

    for name, fact, value, message in [
        ("rate", "sfreq", "fast", "sfreq='fast'"),
        ("rates", "sfreq", [1, 2], "must be one value"),
        ("yes", "sfreq", True, "sfreq=True must be"),
        ("complex", "label", 1j, "label=1j of type complex must be"),
        ("unset", "label", h5py.Empty("f"), "label=.*of type Empty must be"),
        ("unset2", "group", h5py.Empty("f"), "group=.*of type Empty must be"),
    ]:
        add(f"{name}.h5", message, functools.partial(say, name=fact, value=value))
    add(
        "pointer.h5",
        "of type Reference must be",
        lambda f: (f.update(a=array), f.attrs.update(label=f["a"].ref)),
    )
    add(
        "wide.h5",
        "3000000000 channels",
        lambda f: f.create_dataset(
            "a", (3 * 10**9, 30), "u1", chunks=(9, 9)
        ).write_direct(np.ones((9, 9), "u1"), dest_sel=np.s_[:9, :9]),
    )
    for name, content in [("text.h5", b"hello" * 100), ("empty.h5", b"")]:
        (folder / name).write_bytes(content)
        expected[folder / name] = "cannot be read as .h5"
    with h5py.File(folder / "cut.h5", "w") as file:
        file["a"] = array
    content = (folder / "cut.h5").read_bytes()
    (folder / "cut.h5").write_bytes(content[: len(content) // 2])
    expected[folder / "cut.h5"] = "cannot be read|damaged"
    return expected


@pytest.mark.parametrize("write", [bad_files, bad_hdf5])
def test_bad_files_are_refused_by_name(write, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sktinymyo.pretraining._hdf5.LARGEST_CHUNK", 4000)
    (tmp_path / "secret.txt").write_text("secret" * 50)
    for path, message in write(tmp_path).items():
        with pytest.raises(WindowsError) as caught:
            open_source(path, **SIZE)
        text = str(caught.value)
        assert str(path) in text, text
        assert re.search(message, text), f"{path.name}: {text}"
    assert not (tmp_path / "unpickled").exists()


def test_places_that_do_not_exist_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("")
    for place in (tmp_path, tmp_path / "missing", tmp_path / "missing.npy"):
        with pytest.raises(DatasetNotFoundError, match=re.escape(str(place))):
            open_source(place, **SIZE)
    with pytest.raises(WindowsError, match=r"does not end in one of \.h5"):
        open_source(tmp_path / "notes.txt", **SIZE)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    np.save(folder / "a.npy", SHORT)
    np.savez(folder / "b.npz", SHORT, label="a", sfreq=200.0)
    np.savez_compressed(folder / "c.npz", SHORT)
    return folder


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_damaged_bytes_end_in_an_error_with_the_name(data, fuzzed):
    source = fuzzed / data.draw(st.sampled_from(["a.npy", "b.npz", "c.npz"]))
    content = bytearray(source.read_bytes())
    # Headers are at the beginning, and in archives at the end too.
    places = st.integers(0, 150) | st.integers(-250, -1)
    for place in data.draw(st.lists(places, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    length = data.draw(st.just(len(content)) | st.integers(0, len(content)))
    path = fuzzed / "out" / source.name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content[:length])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            opened = open_source(path, cache_folder=fuzzed / "cache", **SIZE)
            opened.read(np.arange(min(3, opened.n_windows)))
    except WindowsError as error:
        text = str(error)
        assert str(path) in text or "n_times=20 is longer than all" in text
