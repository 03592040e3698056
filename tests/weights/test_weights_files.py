"""Hostile, damaged and foreign files: our errors, and nothing executed."""

import json
import os
import pickle
import struct
import zipfile

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sktinymyo.exceptions import (
    SktinymyoError,
    UnsafeFileError,
    WeightsError,
    WeightsNotFoundError,
)
from sktinymyo.weights import _safetensors, load_weights


def with_header(header, data=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"", "is empty"),
        (b"{", "not a safetensors file"),
        (b"my weights are 1, 2 and 3\n", "not a safetensors file"),
        (lambda whole: whole[:5], "not a safetensors file"),
        (lambda whole: whole[:300], "cut short"),
        (lambda whole: whole[:-1], "damaged"),
        (lambda whole: whole + b"\0", "damaged"),
        (struct.pack("<Q", 2**63) + b"{}", "not a safetensors file"),
        (struct.pack("<Q", 9_000_000) + b"{}", "cut short"),
        (with_header(b"{nonsense"), "not valid JSON"),
        (with_header(b'{"a":' + b"[" * 100_000), "not valid JSON: nested too deeply"),
        (with_header(b'{"a":{},"a":{}}'), "occurs twice"),
        (with_header(b'{"\xff":{}}'), "not valid JSON"),
        (with_header({"a": 1}), "tensor a"),
        (with_header({"a": ENTRY | {"shape": [2.0]}}), "tensor a"),
        (with_header({"a": ENTRY | {"shape": [-2]}}), "tensor a"),
        (with_header({"a": ENTRY | {"shape": [0] * 1000}}), "tensor a"),
        (with_header({"a": ENTRY | {"dtype": 7}}), "tensor a"),
        (with_header({"__metadata__": {"sktinymyo": 1}}), "metadata must be texts"),
        (with_header({"__metadata__": [1]}), "metadata must be texts"),
        (with_header({"__metadata__": {"sktinymyo": "{"}}), "not valid JSON"),
        (with_header({"mask_token": ENTRY}, bytes(8)), "misshapen"),
        (with_header({"mask_token": ENTRY | {"shape": [2**31]}}), "misshapen"),
        (with_header({"norm.weight": ENTRY | {"shape": [10**4000]}}), "tensor norm"),
        (with_header({"blocks.9999.x": ENTRY}, bytes(8)), "unexpected"),
    ],
)
def test_damaged_files(tmp_path, content, named, whole_file):
    path = tmp_path / "model.safetensors"
    path.write_bytes(content(whole_file) if callable(content) else content)
    with pytest.raises(WeightsError, match=named) as caught:
        load_weights(path)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 20_000


def test_offsets_that_lie(tmp_path, whole_file):
    length = int.from_bytes(whole_file[:8], "little")
    header = json.loads(whole_file[8 : 8 + length])
    path = tmp_path / "model.safetensors"
    name = "model.norm.bias"
    for offsets in ([0, 8], [0, 10**18], [-4, 252], "all", None):
        header[name] = header[name] | {"data_offsets": offsets}
        path.write_bytes(with_header(header, whole_file[8 + length :]))
        with pytest.raises(WeightsError, match="damaged"):
            load_weights(path)


def test_names_in_messages_are_short_and_printable(tmp_path):
    path = tmp_path / "model.safetensors"
    for name in ("\x1b[2J", "x" * 10_000, ""):
        for familiar in ({}, {"mask_token": ENTRY | {"data_offsets": [8, 16]}}):
            path.write_bytes(with_header({name: ENTRY} | familiar, bytes(16)))
            with pytest.raises(WeightsError) as caught:
                load_weights(path)
            message = str(caught.value)
            assert "\x1b" not in message and "x" * 300 not in message


@given(place=st.integers(0, 3000), value=st.integers(0, 255))
@example(place=0, value=0x80)
@settings(max_examples=150, deadline=None)
def test_any_changed_byte_loads_or_is_our_error(
    tmp_path_factory, place, value, whole_file
):
    content = bytearray(whole_file)
    content[place] = value
    path = tmp_path_factory.getbasetemp() / "changed.safetensors"
    path.write_bytes(content)
    try:
        load_weights(path)
    except SktinymyoError:
        pass


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize("name", ["w.pt", "w.PTH", "w.ckpt", "w.bin", "w.pkl"])
def test_pickles_are_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
    for source in (tmp_path / name, str(tmp_path / name), tmp_path):
        with pytest.raises(UnsafeFileError) as caught:
            load_weights(source)
        assert name in str(caught.value)
        assert "weights_only=True" in str(caught.value)
        assert "save_file" in str(caught.value)


def test_pickles_are_refused_by_content(tmp_path):
    path = tmp_path / "model.safetensors"
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Bomb(), protocol))
        with pytest.raises(UnsafeFileError, match="content is a pickle"):
            load_weights(path)
    for zipped in (True, False):
        torch.save({"x": torch.ones(1)}, path, _use_new_zipfile_serialization=zipped)
        with pytest.raises(UnsafeFileError, match=str(path)):
            load_weights(path)
    with zipfile.ZipFile(path, "w"):
        pass
    with pytest.raises(UnsafeFileError, match="zip archive"):
        load_weights(path)


def test_the_conversion_that_the_error_shows_works(
    tmp_path, monkeypatch, make_model, as_published
):
    monkeypatch.chdir(tmp_path)
    model = make_model(embed_dim=64, n_heads=1)
    path = tmp_path / "trained.ckpt"
    torch.save({"state_dict": as_published(model)}, path)
    with pytest.raises(UnsafeFileError) as caught:
        load_weights(path)
    lines = [line[4:] for line in str(caught.value).splitlines() if line[:4] == "    "]
    exec("\n".join(lines), {})
    weights = load_weights(tmp_path / "weights.safetensors")
    assert torch.equal(weights.state["norm.bias"], model.norm.bias)


def test_a_header_that_starts_like_a_pickle_is_read(tmp_path):
    # 0x0280 is a length of 640, and 0x80 0x02 the start of a pickle.
    text = json.dumps({"__metadata__": {}}).encode().ljust(640)
    path = tmp_path / "model.safetensors"
    path.write_bytes(with_header(text))
    assert path.read_bytes()[:2] == b"\x80\x02"
    with pytest.raises(WeightsError, match="no tensors") as caught:
        load_weights(path)
    assert not isinstance(caught.value, UnsafeFileError)


def test_things_that_are_no_files(tmp_path):
    loop = tmp_path / "loop.safetensors"
    loop.symlink_to(loop)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(loop)
    with pytest.raises(WeightsError, match="cannot be read"):
        load_weights(str(loop))
    with pytest.raises(WeightsError):
        load_weights(tmp_path)  # the folder's only file
    loop.unlink()
    (tmp_path / "inner.safetensors").mkdir()
    with pytest.raises(WeightsError, match="is a folder"):
        load_weights(tmp_path)
    with pytest.raises(WeightsNotFoundError, match="no .safetensors file"):
        load_weights(tmp_path / "inner.safetensors")
    with pytest.raises(WeightsNotFoundError, match="There is no file"):
        load_weights(tmp_path / "absent.safetensors")
    dangling = tmp_path / "dangling.safetensors"
    dangling.symlink_to(tmp_path / "nowhere")
    with pytest.raises(WeightsNotFoundError, match="dangling"):
        load_weights(dangling)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_named_pipes_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.safetensors")
    with pytest.raises(WeightsError, match="not a regular file"):
        load_weights(tmp_path)


def test_several_files_in_a_folder_are_listed(tmp_path, whole_file):
    for name in ("b", "a"):
        (tmp_path / f"{name}.safetensors").write_bytes(whole_file)
    with pytest.raises(WeightsError, match=r"2 files(?s:.*)a\.saf(?s:.*)b\.saf"):
        load_weights(tmp_path)
    assert load_weights(tmp_path / "a.safetensors").config.depth == 2


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"[]", "must hold a JSON object"),
        (b"{", "not valid JSON"),
        (b"\xff\xfe\x00", "not valid JSON"),
        (b"{}" + b" " * 2**20, "more than"),
        (b'{"n_layer": 1' + b"0" * 5000 + b"}", "not valid JSON|n_layer"),
    ],
)
def test_damaged_config_json(tmp_path, content, named, whole_file):
    (tmp_path / "model.safetensors").write_bytes(whole_file)
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(WeightsError, match=named) as caught:
        load_weights(tmp_path)
    assert "config.json" in str(caught.value)


def test_file_size_is_limited(tmp_path, monkeypatch, whole_file):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole_file)
    monkeypatch.setattr(_safetensors, "MAX_FILE_BYTES", 1000)
    with pytest.raises(WeightsError, match="more than 1000"):
        load_weights(path)


def test_unreadable_file(tmp_path, monkeypatch, whole_file):
    path = tmp_path / "model.safetensors"
    path.write_bytes(whole_file)

    def fail(*arguments):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", fail)
    with pytest.raises(WeightsError, match="cannot be read.*Permission denied"):
        load_weights(path)
