"""The reference of the integer program against a reading of its specification."""

import math
from dataclasses import replace

import numpy as np
import pytest

from sktinymyo.export._integer.program import (
    IntegerProgram,
    ProgramShape,
    expected_arrays,
    trace_names,
)
from sktinymyo.export._integer.reference import run_program

from .programs import make_shape, random_input, random_program

SHAPES = [
    {},
    {"position": "flat", "pooling": "mean"},
    {"position": "none", "depth": 1, "n_classes": 1},
    {"depth": 0},
    {"embed_dim": 2, "n_heads": 1, "mlp_dim": 1, "n_channels": 1, "n_times": 20},
]


def rq(value, multiplier, shift):
    return (int(value) * int(multiplier) + (1 << (int(shift) - 1))) >> int(shift)


def limit(value, bits):
    return max(-(1 << (bits - 1)), min((1 << (bits - 1)) - 1, value))


class PlainRun:
    """The network of one window in lists of whole numbers, written from the text."""

    def __init__(self, program):
        self.shape = program.shape
        self.arrays = {name: array.tolist() for name, array in program.arrays.items()}

    def linear(self, name, x):
        a = self.arrays
        rows = zip(
            a[f"{name}.weight"],
            a[f"{name}.bias"],
            a[f"{name}.multiplier"],
            a[f"{name}.shift"],
            strict=True,
        )
        return [
            rq(bias + sum(w * v for w, v in zip(row, x, strict=True)), m, s)
            for row, bias, m, s in rows
        ]

    def norm(self, name, x):
        a, width = self.arrays, len(x)
        total = sum(x)
        d = [width * v - total for v in x]
        mean_square = sum(v * v for v in d) // width
        root = max(1, math.isqrt(mean_square + a[f"{name}.epsilon"]))
        inverse = (1 << 46) // root
        shift, out = a[f"{name}.shift"], []
        for v, gain, offset in zip(
            d, a[f"{name}.gain"], a[f"{name}.offset"], strict=True
        ):
            n = (v * inverse + (1 << 33)) >> 34
            y = (n * gain + offset + (1 << (shift - 1))) >> shift
            out.append(limit(y + a[f"{name}.zero"], 8))
        return out

    def turned(self, name, x, token):
        fine = [limit(v, 16) for v in self.linear(name, x)]
        row = self.arrays["rotation"][token % self.shape.table_length]
        out = []
        for at in range(0, len(fine), 2):
            a, b = fine[at : at + 2]
            c, s = row[at % self.shape.head_dim // 2]
            out.append(limit((a * c - b * s + (1 << 19)) >> 20, 8))
            out.append(limit((b * c + a * s + (1 << 19)) >> 20, 8))
        return out

    def attend(self, name, q, keys, values):
        a = self.arrays
        scores = [sum(x * y for x, y in zip(q, k, strict=True)) for k in keys]
        m, s = a[f"{name}.exp_multiplier"], a[f"{name}.exp_shift"]
        steps = [min(rq(max(scores) - score, m, s), 1023) for score in scores]
        e = [a["exp_table"][step] for step in steps]
        inverse, out = (1 << 31) // sum(e), []
        for d in range(len(q)):
            mixed = sum(w * v[d] for w, v in zip(e, values, strict=True))
            n = (mixed * inverse + (1 << 22)) >> 23
            m, s = a[f"{name}.out_multiplier"], a[f"{name}.out_shift"]
            out.append(limit(rq(n, m, s), 8))
        return out

    def add(self, name, x, branch):
        m = self.arrays[f"{name}.skip_multiplier"]
        s = self.arrays[f"{name}.skip_shift"]
        parts = zip(x, self.linear(name, branch), strict=True)
        return [limit(rq(old, m, s) + new, 16) for old, new in parts]

    def block(self, name, tokens):
        h, n_heads = self.shape.head_dim, self.shape.n_heads
        y = [self.norm(f"{name}.norm1", x) for x in tokens]
        q = [self.turned(f"{name}.query", x, t) for t, x in enumerate(y)]
        k = [self.turned(f"{name}.key", x, t) for t, x in enumerate(y)]
        v = [[limit(w, 8) for w in self.linear(f"{name}.value", x)] for x in y]
        mixed = [[] for _ in tokens]
        for part in (slice(at * h, at * h + h) for at in range(n_heads)):
            keys, values = [x[part] for x in k], [x[part] for x in v]
            for token, out in enumerate(mixed):
                out += self.attend(f"{name}.attention", q[token][part], keys, values)
        tokens = [
            self.add(f"{name}.projection", x, o)
            for x, o in zip(tokens, mixed, strict=True)
        ]
        out = []
        for x in tokens:
            hidden = self.linear(f"{name}.hidden", self.norm(f"{name}.norm2", x))
            zero, table = (
                self.arrays[f"{name}.hidden.zero"],
                self.arrays[f"{name}.gelu"],
            )
            hidden = [table[limit(u + zero, 8) + 128] for u in hidden]
            out.append(self.add(f"{name}.output", x, hidden))
        return out

    def logits(self, window):
        shape, a = self.shape, self.arrays
        tokens = []
        for channel, samples in enumerate(window.tolist()):
            for p in range(shape.n_patches):
                patch = samples[p * shape.patch_size : (p + 1) * shape.patch_size]
                vector = a["channel_vectors"][channel]
                parts = zip(self.linear("patch", patch), vector, strict=True)
                tokens.append([limit(x + v, 16) for x, v in parts])
        for number in range(shape.depth):
            tokens = self.block(f"blocks.{number}", tokens)
        y = [[v - a["norm.zero"] for v in self.norm("norm", x)] for x in tokens]
        size = shape.n_patches if shape.pooling == "channel" else len(y)
        pooled = []
        for at in range(0, len(y), size):
            sums = (sum(column) for column in zip(*y[at : at + size], strict=True))
            m, s = a["pool.multiplier"], a["pool.shift"]
            pooled += [limit(rq(total, m, s), 16) for total in sums]
        name, out = "head", []
        for k, row in enumerate(a[f"{name}.weight"]):
            acc = a["head.bias"][k]
            acc += sum(w * v for w, v in zip(row, pooled, strict=True))
            out.append(limit(rq(acc, a["head.multiplier"][k], a["head.shift"][k]), 32))
        return out


@pytest.mark.parametrize("sizes", SHAPES)
def test_reference_equals_the_specification_in_plain_python(sizes):
    shape = make_shape(**sizes)
    program = random_program(shape, seed=len(sizes))
    windows = random_input(shape, 2, seed=1)
    windows[1] = -128
    found = run_program(program, windows)
    assert found.dtype == np.int32
    assert found.tolist() == [PlainRun(program).logits(window) for window in windows]


# After LayerNorm a token of two values has only two states.
@pytest.mark.parametrize("sizes", SHAPES[:-1])
def test_random_programs_neither_vanish_nor_saturate(sizes):
    shape = make_shape(**sizes)
    _, layers = run_program(random_program(shape), random_input(shape, 40), trace=True)
    assert list(layers) == trace_names(shape)
    for name, values in layers.items():
        info = np.iinfo(values.dtype)
        full = np.mean((values == info.min) | (values == info.max))
        assert full < 0.25 and values.std() > 1, name


def test_a_window_does_not_depend_on_the_others_nor_on_the_tail():
    shape = make_shape(n_channels=8, n_times=215)
    program = random_program(shape)
    windows = random_input(shape, 30)
    whole = run_program(program, windows)
    alone = [run_program(program, window[np.newaxis])[0] for window in windows]
    np.testing.assert_array_equal(whole, alone)
    windows[:, :, 200:] = 7
    np.testing.assert_array_equal(run_program(program, windows), whole)
    assert run_program(program, windows[:0]).shape == (0, 4)


def test_wrong_windows_and_constants_are_named():
    shape = make_shape()
    program = random_program(shape)
    with pytest.raises(ValueError, match="q_input is float64 .* must be int8"):
        run_program(program, np.zeros((1, 3, 70)))
    with pytest.raises(ValueError, match=r"shape \(n_windows, 3, 70\)"):
        run_program(program, np.zeros((1, 3, 60), np.int8))
    arrays = dict(program.arrays)
    arrays["extra"] = arrays.pop("norm.gain")
    with pytest.raises(ValueError, match=r"lacks .*norm.gain.* unknown .*extra"):
        replace(program, arrays=arrays)
    arrays = dict(program.arrays) | {"norm.gain": np.zeros(3, np.int32)}
    with pytest.raises(ValueError, match="'norm.gain' is int32 of shape"):
        IntegerProgram(shape, arrays, program.preprocess)
    assert program.arrays.keys() == expected_arrays(shape).keys()


def test_sizes_that_contradict_each_other_are_refused():
    good = vars(make_shape())
    for changes, words in [
        ({"n_patches": 4}, "n_patches=4"),
        ({"n_times": 19, "n_patches": 0}, "at least 1"),
        ({"head_dim": 5}, "head_dim=5"),
        ({"embed_dim": 4096, "n_heads": 64, "head_dim": 64}, "at most 2000"),
    ]:
        with pytest.raises(ValueError, match=words):
            ProgramShape(**{**good, **changes})
