"""The whole C program against the integer reference, bit for bit."""

import zlib
from dataclasses import replace

import numpy as np
import pytest

from sktinymyo.export._integer.preprocess import (
    StreamingPreprocess,
    preprocess_windows,
    quantise_input,
)
from sktinymyo.export._integer.program import Preprocess
from sktinymyo.export._integer.reference import run_program as reference
from sktinymyo.export.gap9 import _host
from sktinymyo.export.gap9._host import BuildError, build_program, missing_tools
from sktinymyo.signal import design_filter

from ..programs import make_shape, random_input, random_program
from .builds import (
    Network,
    needs_compiler,
    needs_riscv,
    random_floats,
    tight_plan,
)

SHAPES = {
    "small": {},
    "one channel, one class": {"n_channels": 1, "n_times": 41, "n_classes": 1},
    "odd sizes": {
        "n_channels": 5,
        "n_times": 139,
        "embed_dim": 30,
        "n_heads": 3,
        "mlp_dim": 37,
        "depth": 1,
        "n_classes": 11,
    },
    "flat positions": {"position": "flat", "pooling": "mean", "n_times": 220},
    "no positions": {"position": "none", "n_heads": 4, "depth": 1},
    "deep": {"depth": 5, "embed_dim": 8, "n_heads": 1, "mlp_dim": 8},
}


def checksums(layers, window):
    return {
        name: zlib.crc32(np.ascontiguousarray(values[window]).tobytes())
        for name, values in layers.items()
    }


def assert_same(run, program, windows):
    """Logits, and where there is a trace every layer of every window."""
    logits, layers = reference(program, windows, trace=True)
    np.testing.assert_array_equal(run.values, logits)
    for window, found in enumerate(run.crc):
        assert found == checksums(layers, window)


@needs_compiler
@pytest.mark.parametrize(
    ("name", "is_tight"),
    [*((name, True) for name in SHAPES), ("small", False), ("odd sizes", False)],
)
def test_every_layer_is_that_of_the_reference(name, is_tight, tmp_path):
    shape = make_shape(**SHAPES[name])
    program, windows = random_program(shape, seed=3), random_input(shape, 2)
    plan = tight_plan(shape) if is_tight else None
    network = Network(tmp_path, program, plan)
    run = network.run(windows, trace=True, sanitize="address,undefined")
    assert len(run.crc) == 2
    assert_same(run, program, windows)
    # The guards stand at the peaks of the plan, so that these cannot be passed.
    for level in ("L1", "L2"):
        peak = network.plan.peak[level]
        assert 0 < run.peaks[level] <= peak
        if not is_tight:
            assert run.peaks[level] >= peak - 128


def test_tight_plans_cut_everything():
    """What the tests above rely on."""
    shape = make_shape(**SHAPES["flat positions"])
    plan = tight_plan(shape)
    for step in plan.steps:
        parameters = step.parameters
        if step.kind == "attention":
            assert parameters["query_rows"] < parameters["key_block"] < shape.n_tokens
        elif step.kind in ("patch", "attention_inputs", "projection", "hidden"):
            assert parameters["row_tile"] < parameters["token_count"]
            assert parameters["out_tile"] < parameters["n_out"]
    hidden = [step for step in plan.steps if step.layer == "blocks.0.hidden"]
    assert len(hidden) == 3
    assert all(step.parameters["n_transfers"] > 1 for step in hidden)


@needs_compiler
def test_results_beyond_their_range_are_limited(tmp_path):
    shape = make_shape(depth=1)
    program = random_program(shape)
    for name, values in program.arrays.items():
        if name.endswith(("shift", "norm1.gain")):
            values -= np.minimum(values // 2, 4)
    windows = np.full((2, shape.n_channels, shape.n_times), -128, dtype=np.int8)
    windows[1] = random_input(shape, 1)[0]
    _, layers = reference(program, windows, trace=True)
    for name in ("patch", "blocks.0.query", "blocks.0.value", "blocks.0.projection"):
        limits = np.iinfo(layers[name].dtype)
        assert np.isin(layers[name], (limits.min, limits.max)).mean() > 0.2
    run = Network(tmp_path, program, tight_plan(shape)).run(
        windows, trace=True, sanitize="address,undefined"
    )
    assert_same(run, program, windows)


@needs_compiler
@pytest.mark.parametrize(
    "how",
    [
        {"cores": 1},
        {"cores": 3},
        {"options": ("-DNET_NARROW",)},
        {"options": ("-march=x86-64",)},
    ],
)
def test_kernels_of_every_machine_agree(how, tmp_path):
    shape = make_shape(n_times=400, embed_dim=24, n_heads=3)
    program, windows = random_program(shape), random_input(shape, 40)
    assert_same(Network(tmp_path, program).run(windows, **how), program, windows)


@needs_compiler
def test_threads_take_no_notice_of_one_another(tmp_path):
    shape = make_shape(n_times=220)
    program, windows = random_program(shape), random_input(shape, 2)
    run = Network(tmp_path, program).run(windows, threads=True, sanitize="thread")
    assert_same(run, program, windows)


@needs_riscv
@pytest.mark.parametrize("is_tight", [False, True])
def test_riscv_gives_the_same_bits(is_tight, tmp_path):
    shape = make_shape(n_channels=4, n_times=170, embed_dim=20, mlp_dim=42)
    program, windows = random_program(shape), random_input(shape, 2)
    plan = tight_plan(shape) if is_tight else None
    network = Network(tmp_path, program, plan)
    assert_same(network.run(windows, machine="rv32", trace=True), program, windows)


@needs_compiler
@pytest.mark.parametrize("level", ["L1", "L2"])
def test_guards_notice_an_overrun(level, tmp_path):
    network = Network(tmp_path, random_program(make_shape()))
    windows = random_input(network.program.shape, 1)
    too_small = network.plan.peak[level] - 16
    with pytest.raises(BuildError, match="overrun in step"):
        network.run(windows, options=(f"-DNET_{level}_BYTES={too_small}",))


def filtered_program(phase, *, mapped, n_times=330):
    """A program with a filter and, if asked for, a map of four channels to three."""
    shape = make_shape(n_channels=3, n_times=n_times)
    sos = design_filter(1000, 20, 450, 50).astype(np.float32)
    rng = np.random.default_rng(0)
    preprocess = Preprocess(
        n_channels_in=4 if mapped else 3,
        mapper=rng.normal(size=(3, 4)).astype(np.float32) if mapped else None,
        sos=sos,
        initial_state=rng.normal(size=(len(sos), 2)).astype(np.float32),
        phase=phase,
        pad_length=33 if phase == "zero" else 0,
    )
    return replace(random_program(shape), preprocess=preprocess)


@pytest.mark.parametrize(
    ("machine", "phase", "mapped"),
    [
        ("host", "causal", True),
        ("host", "zero", False),
        ("host", "zero", True),
        ("rv32", "zero", True),
    ],
)
def test_preprocessing_gives_the_same_bits(machine, phase, mapped, tmp_path):
    if missing_tools(machine):
        pytest.skip(missing_tools(machine))
    program = filtered_program(phase, mapped=mapped)
    n_channels = program.preprocess.n_channels_in
    X = random_floats(3, n_channels, program.shape.n_times)
    network = Network(tmp_path, program)
    expected = preprocess_windows(program, X)
    found = network.run(X, mode="filter", machine=machine).values
    np.testing.assert_array_equal(found, expected.ravel())
    logits = network.run(X, mode="float32", machine=machine).values
    windows = quantise_input(program, expected)
    np.testing.assert_array_equal(logits, reference(program, windows))


@needs_compiler
def test_streaming_gives_the_same_bits(tmp_path):
    program = filtered_program("causal", mapped=True)
    recording = random_floats(1, 4, 5000)[0]
    run = Network(tmp_path, program).run(recording.T, mode="stream")
    expected = StreamingPreprocess(program).push(recording)
    np.testing.assert_array_equal(run.values.reshape(-1, 3), expected.T)


@needs_compiler
def test_inputs_are_rounded_to_the_even_neighbour(tmp_path):
    shape = make_shape(n_channels=1, n_times=40)
    program = random_program(shape)
    program.arrays["input.scale"][:], program.arrays["input.offset"][:] = 1, 0
    X = np.linspace(-150, 150, 7 * 40).round(1).astype(np.float32)
    X[:6] = [0.5, 1.5, -0.5, -1.5, 1e30, -1e30]
    X = X.reshape(7, 1, 40)
    run = Network(tmp_path, program).run(X, mode="float32", trace=True)
    expected = quantise_input(program, X)
    found = [crc["input"] for crc in run.crc]
    assert found == [zlib.crc32(window.tobytes()) for window in expected]


@needs_compiler
@pytest.mark.parametrize("phase", ["causal", "zero"])
def test_overflow_in_the_filter_ends_the_same_way(phase, tmp_path):
    program = filtered_program(phase, mapped=False)
    X = random_floats(2, 3, program.shape.n_times)
    X[1] *= 3e37
    windows = preprocess_windows(program, X)
    assert not np.isfinite(windows[1]).all()
    run = Network(tmp_path, program).run(X, mode="float32", sanitize="undefined")
    np.testing.assert_array_equal(
        run.values, reference(program, quantise_input(program, windows))
    )


@needs_compiler
def test_failures_are_told(tmp_path, monkeypatch):
    network = Network(tmp_path, random_program(make_shape()))
    windows = random_input(network.program.shape, 2)
    with pytest.raises(BuildError, match="ends within a window"):
        network.run(windows.reshape(-1)[:-1])
    (tmp_path / "weights.bin").write_bytes(b"short")
    with pytest.raises(BuildError, match="wrong size"):
        network.run(windows)
    with pytest.raises(ValueError, match="takes float32"):
        network.run(windows, mode="float32")
    (tmp_path / "net0").chmod(0o600)
    with pytest.raises(BuildError, match="does not start"):
        network.run(windows)
    (tmp_path / "src" / "main.c").write_text("nonsense")
    with pytest.raises(BuildError, match="compiler refused"):
        build_program(tmp_path / "src", tmp_path / "net")
    monkeypatch.setattr(_host.shutil, "which", lambda name: None)
    assert "install" in missing_tools("rv32")
    with pytest.raises(BuildError, match="gcc or cc or clang not found"):
        build_program(tmp_path / "src", tmp_path / "net")


@needs_compiler
@pytest.mark.slow
def test_a_thousand_windows(tmp_path):
    shape = make_shape(8, 200, 32, 2, 64, 2, 7)
    program, windows = random_program(shape), random_input(shape, 1000)
    run = Network(tmp_path, program).run(windows, trace=True)
    assert_same(run, program, windows)


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("seed", range(12))
def test_random_networks(seed, tmp_path):
    rng = np.random.default_rng(seed)
    n_heads = int(rng.integers(1, 5))
    shape = make_shape(
        n_channels=int(rng.integers(1, 9)),
        n_times=int(rng.integers(20, 300)),
        embed_dim=n_heads * 2 * int(rng.integers(1, 13)),
        n_heads=n_heads,
        mlp_dim=int(rng.integers(1, 100)),
        depth=int(rng.integers(1, 4)),
        n_classes=int(rng.integers(1, 20)),
        pooling=str(rng.choice(["channel", "mean"])),
        position=str(rng.choice(["per-channel", "none", "flat"])),
    )
    program, windows = random_program(shape, seed), random_input(shape, 3, seed)
    network = Network(tmp_path, program, tight_plan(shape) if seed % 2 else None)
    assert_same(network.run(windows, trace=True), program, windows)
    if missing_tools("rv32") is None:
        assert_same(network.run(windows, machine="rv32", trace=True), program, windows)
