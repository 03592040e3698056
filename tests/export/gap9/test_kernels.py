"""Kernels one by one, at the edges of tiles and of the ranges of their numbers."""

import ctypes
import math
import shutil
import subprocess
import zlib
from ctypes import POINTER, Structure, byref, c_int, c_int32, c_int64, c_void_p
from pathlib import Path

import numpy as np
import pytest

from sktinymyo.export import gap9
from sktinymyo.export._integer.arithmetic import exp_table

from .builds import needs_compiler

SOURCES = Path(gap9.__file__).parent / "sources"
XPULP = Path(__file__).parent / "pmsis_stub" / "xpulp.h"
VARIANTS = {
    "int8": ("-O1", "-DNET_NARROW"),
    "Xpulp, emulated": ("-O1", "-include", str(XPULP)),
    "int16": ("-O3",),
    "this machine": ("-O3", "-march=native"),
}

pytestmark = needs_compiler


class Factor(Structure):
    _fields_ = [("multiplier", c_int32), ("shift", c_int32)]


class Product(Structure):
    _fields_ = [("rows", c_void_p), ("weight", c_void_p), ("bias", c_void_p)]
    _fields_ += [(name, c_int) for name in ("row_stride", "depth", "n_outputs")]
    _fields_ += [("rows_are_unsigned", c_int)]


class ToSums(Structure):
    _fields_ = [("out", c_void_p), ("row_stride", c_int), ("accumulate", c_int)]


class Normalisation(Structure):
    _fields_ = [("gain", c_void_p), ("offset", c_void_p), ("epsilon", ctypes.c_uint64)]
    _fields_ += [("shift", c_int32), ("zero", c_int32), ("width", c_int)]


class Softmax(Structure):
    _fields_ = [("table", c_void_p), ("step", Factor), ("scores", c_void_p)]
    _fields_ += [("totals", c_void_p), ("n_keys", c_int)]


class Division(Structure):
    _fields_ = [("mixed", c_void_p), ("totals", c_void_p), ("out", c_void_p)]
    _fields_ += [("scale", Factor), ("head_dim", c_int)]


def build(folder, options):
    path = folder / "kernels.so"
    command = [shutil.which("gcc") or "cc", "-std=c99", "-Wall", "-Wextra", "-Werror"]
    command += ["-shared", "-fPIC", *options, "-o", str(path)]
    command += [str(SOURCES / "kernels.c"), str(SOURCES / "product.c")]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(path))
    library.head_row.argtypes = [c_void_p, c_void_p, c_int, c_int64, Factor]
    library.crc32_update.restype = ctypes.c_uint32
    library.finish_sums.argtypes = [c_void_p, c_void_p]
    library.multiply.argtypes = [POINTER(Product), c_int, c_int, c_void_p, c_void_p]
    return library


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("kernels"), ("-O1",))


def requantise(value, multiplier, shift):
    return (value * multiplier + (1 << (shift - 1))) >> shift


def clamp(value, bits=8):
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


@pytest.mark.parametrize("variant", VARIANTS)
def test_sums_of_products(variant, tmp_path):
    library = build(tmp_path, VARIANTS[variant])
    finish = ctypes.cast(library.finish_sums, c_void_p)
    rng = np.random.default_rng(0)
    for trial in range(120):
        n_rows, n_outputs = rng.integers(1, 21), rng.integers(1, 38)
        depth, is_unsigned = int(rng.integers(1, 75)), trial % 2
        stride = depth + trial % 3
        kind = np.uint8 if is_unsigned else np.int8
        limits = np.iinfo(kind)
        rows = rng.integers(limits.min, limits.max + 1, (n_rows, stride)).astype(kind)
        if trial % 10 == 0:
            rows[:] = limits.max if is_unsigned else limits.min
        weight = rng.integers(-127, 128, (n_outputs, depth)).astype(np.int8)
        bias = rng.integers(-(2**30), 2**30, n_outputs).astype(np.int32)
        first = int(rng.integers(0, n_rows))
        out = np.full((n_rows, n_outputs), 7, dtype=np.int32)
        product = Product(
            rows.ctypes.data,
            weight.ctypes.data,
            bias.ctypes.data if trial % 4 < 2 else None,
            stride,
            depth,
            n_outputs,
            is_unsigned,
        )
        how = ToSums(out.ctypes.data, n_outputs, trial % 5 == 0)
        library.multiply(byref(product), first, int(n_rows), finish, byref(how))
        expected = rows[:, :depth].astype(np.int64) @ weight.astype(np.int64).T
        expected += bias if trial % 4 < 2 else 0
        expected += 7 if trial % 5 == 0 else 0
        np.testing.assert_array_equal(out[first:], expected[first:])
        assert (out[:first] == 7).all()


@pytest.mark.parametrize("kind", ["noise", "constant", "limits", "one spike"])
@pytest.mark.parametrize("width", [1, 2, 24, 768])
def test_normalise(kind, width, library):
    rng = np.random.default_rng(width)
    x = {
        "noise": rng.integers(-9000, 9000, (4, width)),
        "constant": np.full((4, width), -32768),
        "limits": rng.choice([-32768, 32767], (4, width)),
        "one spike": np.eye(4, width) * 32767,
    }[kind].astype(np.int16)
    gain = rng.integers(-(2**31), 2**31 - 1, width).astype(np.int32)
    offset = rng.integers(-(2**50), 2**50, width)
    for epsilon, shift in ((0, 44), (10**9, 39)):
        out = np.zeros((4, width), dtype=np.int8)
        what = Normalisation(
            gain.ctypes.data, offset.ctypes.data, epsilon, shift, -5, width
        )
        library.normalise(byref(what), c_void_p(x.ctypes.data), *_out(out), 0, 4)
        for row, found in zip(x.tolist(), out.tolist(), strict=True):
            d = [width * value - sum(row) for value in row]
            square = sum(value * value for value in d) // width + epsilon
            inverse = 2**46 // max(1, math.isqrt(square))
            n = [(value * inverse + 2**33) >> 34 for value in d]
            assert found == [
                clamp(((a * int(g) + int(o) + (1 << (shift - 1))) >> shift) - 5)
                for a, g, o in zip(n, gain, offset, strict=True)
            ]


def _out(array):
    return (c_void_p(array.ctypes.data),)


@pytest.mark.parametrize("n_keys", [1, 5, 64, 65, 200])
def test_softmax_weighs_in_place_and_divides(n_keys, library):
    rng = np.random.default_rng(n_keys)
    scores = rng.integers(-(2**21), 2**21, (3, n_keys)).astype(np.int32)
    scores[1], scores[2] = 2**21, np.linspace(-(2**21), 2**21, n_keys)
    before, table = scores.tolist(), exp_table()
    totals, step = np.zeros(3, dtype=np.int32), (2**30 + 12345, 42)
    library.weigh(
        byref(
            Softmax(
                table.ctypes.data,
                Factor(*step),
                scores.ctypes.data,
                totals.ctypes.data,
                n_keys,
            )
        ),
        0,
        3,
    )
    weights = scores.view(np.uint8).reshape(3, -1)[:, :n_keys]
    for row, found, total in zip(before, weights.tolist(), totals, strict=True):
        index = [min(requantise(max(row) - score, *step), 1023) for score in row]
        assert found == table[index].tolist()
        assert total == sum(found) >= 255

    mixed = rng.integers(-128, 128, (3, 6)) * totals[:, None]
    mixed, out = mixed.astype(np.int32), np.zeros((3, 6), dtype=np.int8)
    scale = (2**31 - 1, 38)
    what = Division(
        mixed.ctypes.data, totals.ctypes.data, out.ctypes.data, Factor(*scale), 6
    )
    library.divide(byref(what), 0, 3)
    for row, total, found in zip(mixed.tolist(), totals, out.tolist(), strict=True):
        n = [(value * (2**31 // int(total)) + 2**22) >> 23 for value in row]
        assert found == [clamp(requantise(value, *scale)) for value in n]


def test_logits_are_limited_to_32_bits(library):
    pooled = np.full(500, 32767, dtype=np.int16)
    weight = np.full(500, 127, dtype=np.int8)
    for sign, shift in ((1, 1), (-1, 1), (1, 30), (-1, 33)):
        bias = sign * 2**38
        scale = Factor(2**20 - 1, shift)
        signed = (weight * sign).astype(np.int8)
        found = library.head_row(
            pooled.ctypes.data, signed.ctypes.data, 500, bias, scale
        )
        total = int(pooled.astype(np.int64) @ signed) + bias
        assert found == clamp(requantise(total, 2**20 - 1, shift), 32)


def test_checksum_is_that_of_zlib(library):
    data = bytes(range(256)) * 3
    crc = library.crc32_update(0, data[:100], 100)
    assert library.crc32_update(crc, data[100:], len(data) - 100) == zlib.crc32(data)
