"""Random networks written as C, compiled and run."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sktinymyo.exceptions import PlanError
from sktinymyo.export.gap9._codegen import generate_sources
from sktinymyo.export.gap9._host import build_program, missing_tools, run_program
from sktinymyo.export.gap9._image_schedule import ImageSchedule
from sktinymyo.export.gap9._plan import make_plan, plan_program
from sktinymyo.export.gap9._schedule import Schedule

__all__ = [
    "Network",
    "needs_compiler",
    "needs_riscv",
    "random_floats",
    "tight_image_plan",
    "tight_plan",
]

needs_compiler = pytest.mark.skipif(
    missing_tools("host") is not None, reason=str(missing_tools("host"))
)
needs_riscv = pytest.mark.skipif(
    missing_tools("rv32") is not None, reason=str(missing_tools("rv32"))
)


class Network:
    """The sources of a program in a folder, and what is built from them."""

    def __init__(self, folder, program, plan=None, vectors=None):
        self.folder, self.program, self._built = Path(folder), program, {}
        self.plan = plan or plan_program(program.shape)
        files = generate_sources(program, self.plan, vectors=vectors)
        for name, data in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)

    def run(self, windows, *, mode="int8", machine="host", **how):
        """Build with these options, if that was not done before, and run."""
        key = (machine, *sorted(how.items()))
        program = self._built.get(key)
        if program is None:
            program = self.folder / f"net{len(self._built)}"
            build_program(self.folder / "src", program, machine=machine, **how)
            self._built[key] = program
        weights = self.folder / "weights.bin"
        return run_program(program, weights, windows, mode=mode, machine=machine)


def tight_plan(shape):
    """A plan for hardly any L1 that cuts all it can: slabs, tiles, and the tokens."""
    slab_bytes = 8 * max(shape.mlp_dim, shape.n_pooled * 2)
    return _tightest(lambda l1_bytes: Schedule(shape, l1_bytes, slab_bytes, 3))


def tight_image_plan(shape):
    """The same for images; all weights are streamed."""
    names = frozenset([*shape.trace_names()[1:-2], "head"])
    return _tightest(lambda l1_bytes: ImageSchedule(shape, l1_bytes, 64, names))


def _tightest(make_schedule):
    low, high = 64, 100 * 1024
    while high - low > 16:
        middle = (low + high) // 2
        try:
            make_schedule(middle)
            high = middle
        except PlanError:
            low = middle
    plan = make_plan(make_schedule(high), 2**20)
    return replace(plan, steps=[_cut(step, plan.shape) for step in plan.steps])


def _cut(step, shape):
    """Halve the tiles of a step; they fit where the larger ones did."""
    parameters = dict(step.parameters)
    for name in ("row_tile", "query_rows"):
        if name in parameters:
            parameters[name] = -(-parameters[name] // 2)
    if parameters.get("out_tile", 1) > 2:
        # Rotary pairs must stay together.
        parameters["out_tile"] = parameters["out_tile"] // 4 * 2
    if "rotation_rows" in parameters:
        rows = min(shape.table_length, parameters["row_tile"])
        parameters["rotation_rows"] = rows
    return replace(step, parameters=parameters)


def random_floats(n_windows, n_channels, n_times, seed=0):
    """Noise on an offset, float32."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(n_windows, n_channels, n_times))
    return (noise * 2 + rng.normal(size=(n_channels, 1))).astype(np.float32)
