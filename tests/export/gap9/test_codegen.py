"""Sources and weights written from programs, and the layer for the chip."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sktinymyo.export.gap9._codegen import generate_sources, pack_weights
from sktinymyo.export.gap9._makefile import PROGRAM_SOURCES
from sktinymyo.export.gap9._plan import plan_program
from sktinymyo.export.gap9._tables import constant_bytes

from ..programs import make_shape, random_input, random_program
from .builds import Network, needs_compiler, needs_riscv

STUB = Path(__file__).parent / "pmsis_stub"


@pytest.fixture(scope="module")
def program():
    return random_program(make_shape())


@pytest.fixture(scope="module")
def plan(program):
    return plan_program(program.shape)


def test_weights_lie_where_the_plan_says(program, plan):
    packed = pack_weights(program, plan)
    assert len(packed) == plan.peak["L3"]
    for name, (offset, size) in plan.weights.items():
        array = program.arrays[name]
        found = np.frombuffer(packed[offset : offset + size], array.dtype)
        np.testing.assert_array_equal(found, array.ravel())
    covered = sum(size for _, size in plan.weights.values())
    assert packed.count(0) >= len(packed) - covered


def test_sources_are_the_same_every_time(program, plan):
    files = generate_sources(program, plan)
    assert files == generate_sources(program, plan)
    assert {f"src/{name}" for name in PROGRAM_SOURCES} < files.keys()
    text = files["src/net.c"].decode()
    for name, (offset, size) in plan.weights.items():
        assert re.search(rf"\* {re.escape(name)} +{offset} +{size}\n", text)
    # Floats are written so that nothing is lost.
    line = re.search(r"net_input_scale\[NET_CHANNELS\] = {(.*)}", text).group(1)
    found = [float.fromhex(number.rstrip("f")) for number in line.split(", ")]
    np.testing.assert_array_equal(found, program.arrays["input.scale"])


def test_lines_of_the_sources_fit_an_editor():
    folder = Path(generate_sources.__code__.co_filename).parent / "sources"
    for path in folder.glob("*.[ch]"):
        assert max(map(len, path.read_text().splitlines())) <= 88, path.name


def test_a_plan_for_another_network_is_refused(program, plan):
    other = random_program(make_shape(depth=1))
    with pytest.raises(ValueError, match="plan the memory of this program"):
        generate_sources(other, plan)
    with pytest.raises(ValueError, match="'head.weight' of"):
        pack_weights(random_program(make_shape(n_classes=9)), plan)


def test_too_deep_layers_are_refused(program, plan):
    steps = [
        replace(step, parameters=step.parameters | {"n_in": 4097})
        for step in plan.steps
    ]
    with pytest.raises(ValueError, match="'patch' adds 4097 products"):
        generate_sources(program, replace(plan, steps=steps))


@pytest.mark.parametrize("wrong", ["windows", "logits", "type"])
def test_vectors_must_fit(wrong, program, plan):
    windows = random_input(program.shape, 2)
    logits = np.zeros((2, 4), dtype=np.int32)
    vectors = {
        "windows": (windows[:, :, 1:], logits),
        "logits": (windows, logits[:1]),
        "type": (windows.astype(np.float32), logits),
    }[wrong]
    with pytest.raises(ValueError, match="they must be int8"):
        generate_sources(program, plan, vectors=vectors)


@needs_compiler
@pytest.mark.parametrize("compiler", ["gcc", "riscv64-unknown-elf-gcc"])
def test_the_layer_of_the_chip_compiles_against_public_names(
    compiler, program, plan, tmp_path
):
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is not installed")
    logits = np.zeros((2, 4), dtype=np.int32)
    Network(tmp_path, program, plan, (random_input(program.shape, 2), logits))
    text = (tmp_path / "src" / "hal_gap9.c").read_text()
    assert "compiled against the public names of the interface, not run" in text
    options = ["-std=c99", "-Wall", "-Wextra", "-Werror", "-DNET_GAP9", "-DNET_TRACE"]
    if compiler != "gcc":
        options += ["-march=rv32imc", "-mabi=ilp32", "--specs=picolibc.specs"]
    for name in (*PROGRAM_SOURCES, "hal_gap9.c", "vectors.c"):
        command = [compiler, *options, f"-I{STUB}", "-c", "-o", str(tmp_path / "o")]
        subprocess.run([*command, str(tmp_path / "src" / name)], check=True)


@needs_compiler
def test_the_sources_are_strict_c99(program, plan, tmp_path):
    Network(tmp_path, program, plan)
    options = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wshadow", "-Werror"]
    for name in (*PROGRAM_SOURCES, "hal_host.c", "vectors.c"):
        command = ["gcc", *options, "-c", "-o", str(tmp_path / "o")]
        subprocess.run([*command, str(tmp_path / "src" / name)], check=True)


@needs_riscv
def test_constants_take_the_memory_that_is_counted(program, plan, tmp_path):
    logits = np.zeros((2, 4), dtype=np.int32)
    Network(tmp_path, program, plan, (random_input(program.shape, 2), logits))
    found = {}
    for name in ("net", "vectors"):
        compiled = tmp_path / f"{name}.o"
        command = ["riscv64-unknown-elf-gcc", "-march=rv32imc", "-mabi=ilp32", "-O2"]
        command += ["--specs=picolibc.specs", "-c", "-o", str(compiled)]
        subprocess.run([*command, str(tmp_path / "src" / f"{name}.c")], check=True)
        size = ["riscv64-unknown-elf-size", str(compiled)]
        said = subprocess.run(size, check=True, capture_output=True, text=True).stdout
        found[name] = sum(map(int, said.splitlines()[1].split()[:3]))
    counted = constant_bytes(plan, 2)
    assert counted["vectors"] == found["vectors"]
    # The filter's constants, and gaps between texts, are not counted.
    assert counted["tables"] <= found["net"] <= counted["tables"] + 400


@needs_compiler
def test_the_makefile_builds_and_says_what_it_lacks(program, plan, tmp_path):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    Network(tmp_path, program, plan)
    options = "OPTIONS=-O0"
    subprocess.run(["make", "-s", "host", options], cwd=tmp_path, check=True)
    assert (tmp_path / "build" / "net").exists()
    refused = subprocess.run(
        ["make", "-s", "gap9"], cwd=tmp_path, capture_output=True, text=True
    )
    assert refused.returncode and "GAP9 SDK" in refused.stdout
