"""Networks for images as C: planned, compiled, equal to the reference bit for bit."""

import json
import shutil
import subprocess
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo.export._integer.image_program import ConvolutionSize, ImageShape
from sktinymyo.export._integer.reference import run_program as reference
from sktinymyo.export.gap9 import PlanError, estimate_gap9
from sktinymyo.export.gap9._checks import check_plan
from sktinymyo.export.gap9._codegen import generate_sources
from sktinymyo.export.gap9._host import BuildError
from sktinymyo.export.gap9._makefile import IMAGE_SOURCES
from sktinymyo.export.gap9._memory import MemoryPlan
from sktinymyo.export.gap9._plan import plan_program
from sktinymyo.export.gap9._tables import constant_bytes

from ..image_programs import image_shapes, make_image_shape, random_image_program
from ..programs import random_input
from .builds import Network, needs_compiler, needs_riscv, tight_image_plan

KB = 1024
SHAPES = {
    "some cells missing": {"n_missing": 4, "n_voting": 2},
    "a row": {"rows": 1, "columns": 11, "kernel": (1, 3), "stride": (1, 2)},
    "one class, one cell": {
        "rows": 1,
        "columns": 1,
        "kernel": (1, 1),
        "stride": (1, 1),
        "n_classes": 1,
        "n_times": 1,
    },
    "odd sizes": {"rows": 9, "columns": 7, "width": 9, "stride": (2, 1)},
}


def all_conv_net(rows=16, columns=8, n_classes=8, width=32, n_times=40):
    """The published sizes, and others."""
    sizes = [(width, 1), (width, 1), (2 * width, 2), (2 * width, 1)]
    sizes += [(4 * width, 2), (4 * width, 1), (4 * width, 1)]
    layers = [ConvolutionSize(n, 3, 3, step, step) for n, step in sizes]
    layers.append(ConvolutionSize(4 * width, 1, 1))
    n_channels = rows * columns
    return ImageShape(
        n_channels, n_times, n_times, rows, columns, n_classes, tuple(layers)
    )


def assert_same(run, program, windows):
    scores, layers = reference(program, windows, trace=True)
    np.testing.assert_array_equal(run.values, scores)
    for window, found in enumerate(run.crc):
        for name, values in layers.items():
            expected = zlib.crc32(np.ascontiguousarray(values[window]).tobytes())
            assert found[name] == expected, name


@needs_compiler
@pytest.mark.parametrize("is_tight", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_every_layer_is_that_of_the_reference(name, is_tight, tmp_path):
    shape = make_image_shape(**SHAPES[name])
    program, windows = random_image_program(shape, 3), random_input(shape, 2)
    plan = tight_image_plan(shape) if is_tight else plan_program(shape)
    run = Network(tmp_path, program, plan).run(
        windows, trace=True, sanitize="address,undefined"
    )
    assert len(run.crc) == 2
    assert_same(run, program, windows)
    for level in ("L1", "L2"):
        assert 0 < run.peaks[level] <= plan.peak[level]
        assert is_tight or run.peaks[level] > plan.peak[level] - 128


def test_tight_plans_cut_everything():
    """What the test above relies on."""
    shape = make_image_shape(**SHAPES["odd sizes"])
    plan = tight_image_plan(shape)
    in_parts = []
    for step in plan.steps:
        if step.kind == "convolution":
            assert step.parameters["row_tile"] < step.parameters["token_count"]
            assert step.parameters["out_tile"] < step.parameters["n_out"]
            assert step.parameters["n_transfers"] > 1
            rows = step.l1["map"][1] // step.parameters["map_columns"]
            rows //= step.parameters["channels"]
            in_parts.append(rows < step.parameters["map_rows"])
    assert in_parts == [False, True, True, True]


@needs_compiler
@pytest.mark.parametrize(
    "how",
    [{"cores": 1}, {"cores": 3}, {"cores": 8, "options": ("-DNET_NARROW",)}],
)
def test_kernels_of_every_machine_agree(how, tmp_path):
    shape = make_image_shape(rows=8, columns=5, width=7)
    program, windows = random_image_program(shape), random_input(shape, 6)
    assert_same(Network(tmp_path, program).run(windows, **how), program, windows)


@needs_compiler
@pytest.mark.slow
def test_threads_take_no_notice_of_one_another(tmp_path):
    shape = make_image_shape(rows=8)
    program, windows = random_image_program(shape), random_input(shape, 2)
    run = Network(tmp_path, program).run(windows, threads=True, sanitize="thread")
    assert_same(run, program, windows)


@needs_riscv
def test_riscv_gives_the_same_bits(tmp_path):
    shape = make_image_shape(rows=7, columns=3, n_missing=1)
    program, windows = random_image_program(shape), random_input(shape, 2)
    for number, plan in enumerate((plan_program(shape), tight_image_plan(shape))):
        network = Network(tmp_path / str(number), program, plan)
        assert_same(network.run(windows, machine="rv32", trace=True), program, windows)


@needs_compiler
def test_values_beyond_their_range_are_limited(tmp_path):
    shape = make_image_shape()
    program = random_image_program(shape)
    for name, values in program.arrays.items():
        if name.endswith(".shift"):
            values -= np.minimum(values - 1, 5)
    windows = random_input(shape, 2)
    windows[1] = -128
    _, layers = reference(program, windows, trace=True)
    assert np.isin(layers["layers.1"], (-128, 127)).mean() > 0.8
    run = Network(tmp_path, program).run(windows, trace=True, sanitize="undefined")
    assert_same(run, program, windows)


@needs_compiler
@pytest.mark.parametrize("level", ["L1", "L2"])
def test_guards_notice_an_overrun(level, tmp_path):
    network = Network(tmp_path, random_image_program(make_image_shape()))
    windows = random_input(network.program.shape, 1)
    too_small = network.plan.peak[level] - 16
    with pytest.raises(BuildError, match="overrun in step"):
        network.run(windows, options=(f"-DNET_{level}_BYTES={too_small}",))


@needs_compiler
@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(image_shapes(), st.booleans(), st.integers(0, 99))
def test_random_networks(tmp_path_factory, shape, is_tight, seed):
    program, windows = random_image_program(shape, seed), random_input(shape, 2, seed)
    plan = tight_image_plan(shape) if is_tight else plan_program(shape)
    network = Network(tmp_path_factory.mktemp("net"), program, plan)
    assert_same(network.run(windows, trace=True), program, windows)


@needs_compiler
def test_the_sources_are_strict_and_compile_for_the_chip(tmp_path):
    program = random_image_program(make_image_shape(n_missing=1))
    windows, stub = random_input(program.shape, 2), Path(__file__).parent / "pmsis_stub"
    vectors = windows, reference(program, windows)
    network = Network(tmp_path, program, vectors=vectors)
    sources = {path.name for path in (tmp_path / "src").glob("*.c")}
    machines = {"hal_host.c", "hal_qemu.c", "hal_gap9.c"}
    assert sources == {*IMAGE_SOURCES, *machines, "vectors.c"}
    plain = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-c"]
    plain += ["-o", str(tmp_path / "o")]
    for name in (*IMAGE_SOURCES, "vectors.c"):
        command = [*plain, str(tmp_path / "src" / name)]
        subprocess.run([*command, "-pedantic", "-Wshadow"], check=True)
        subprocess.run([*command, "-DNET_GAP9", "-DNET_TRACE", f"-I{stub}"], check=True)
    counted = constant_bytes(network.plan, 2)["vectors"]
    assert counted == 3 * (windows[0].size + 4 * program.shape.n_classes)


@needs_compiler
def test_the_makefile_builds(tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    program = random_image_program(make_image_shape())
    Network(tmp_path, program)
    subprocess.run(["make", "-s", "-C", str(tmp_path), "host"], check=True)
    windows = random_input(program.shape, 2)
    command = [tmp_path / "build" / "net", "int8", tmp_path / "weights.bin"]
    done = subprocess.run(
        command, input=windows.tobytes(), capture_output=True, check=True
    )
    assert done.stdout == reference(program, windows).tobytes()


# -- plans ---------------------------------------------------------------------


def tiles(total, size):
    return [(at, min(size, total - at)) for at in range(0, total, size)]


@settings(max_examples=25, deadline=None)
@given(image_shapes(), st.integers(2, 40), st.integers(3, 60))
def test_every_plan_keeps_its_promises(shape, l1_kb, l2_kb):
    try:
        plan = plan_program(shape, l1_kb * KB, l2_kb * KB)
    except PlanError as error:
        assert "does not fit L" in str(error)
        return
    check_plan(plan)
    assert plan.peak["L2"] + sum(constant_bytes(plan).values()) <= l2_kb * KB
    for step in plan.steps:
        end = 0
        for offset, size in sorted(step.l1.values()):
            assert offset >= end and offset % 16 == 0
            end = offset + size
        assert end <= plan.l1_bytes
        p = step.parameters
        if "slab" not in p:
            continue
        counts = np.zeros((p["token_count"], p["n_out"]), dtype=int)
        slabs = tiles(p["n_out"], p["slab"])
        streamed = step.layer in plan.streamed_layers()
        assert p["n_transfers"] == (len(slabs) if streamed else 0)
        assert ("stays" in p) == (not streamed)
        assert (f"{step.layer}.weight" in plan.resident) == (not streamed)
        for start, n_rows in slabs:
            for out, n_out in tiles(n_rows, p["out_tile"]):
                for row, n_cells in tiles(p["token_count"], p["row_tile"]):
                    columns = slice(start + out, start + out + n_out)
                    counts[row : row + n_cells, columns] += 1
        assert (counts == 1).all()


def test_weights_stay_where_they_fit():
    shape = all_conv_net()
    plan = plan_program(shape)
    assert plan.streamed_layers() == [] and plan.moved()["L3-L2"] == 0
    assert plan.peak["L2"] < 500 * KB and plan.peak["L1"] <= 100 * KB
    small = plan_program(shape, l2_bytes=300 * KB)
    streamed = small.streamed_layers()
    assert streamed and len(streamed) < 8
    # For every image, but no more of it than does not fit.
    assert 0 < small.moved()["L3-L2"] / shape.n_voting < 350 * KB
    assert small.peak["L2"] <= 300 * KB
    with pytest.raises(PlanError, match=r"L2.*smaller grid or a smaller width"):
        plan_program(shape, l2_bytes=20 * KB)
    with pytest.raises(PlanError, match=r"'layers.\d' does not fit L1"):
        plan_program(shape, l1_bytes=4 * KB)


def test_plan_survives_json():
    plan = plan_program(make_image_shape())
    assert MemoryPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan


def test_networks_too_wide_for_the_program_are_refused():
    shape = make_image_shape(rows=2, columns=2, width=480)
    program = random_image_program(shape)
    with pytest.raises(ValueError, match="at most 4096"):
        generate_sources(program, plan_program(shape))


def test_cost_of_images_adds_up():
    shape = all_conv_net()
    estimate = estimate_gap9(shape)
    item = estimate.estimates["published"]
    n_products = 37_000 + 1_180_000 * 4 + 590_000 * 2 + 131_000
    assert item.macs == pytest.approx(40 * n_products, rel=0.01)
    image = item.of_one_image()
    assert 40 * image.cycles + item.once == pytest.approx(item.cycles)
    assert "Each of the 40 images of a window:" in str(estimate)
    # Streaming weights for every image shows.
    streamed = estimate_gap9(shape, l2_kb=300).estimates["published"]
    assert streamed.cycles > 1.2 * item.cycles
    one = estimate_gap9(replace(shape, n_voting=1)).estimates["published"]
    assert one.cycles - one.once == pytest.approx(image.cycles)
