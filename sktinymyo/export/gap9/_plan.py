"""The memory plan of a network on a chip with a small L1, an L2 and a large L3.

The parts of a plan, and how a program runs with it, are described in ``_memory.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from .._integer.image_program import ImageShape
from ._image_schedule import image_schedules
from ._memory import Buffer, MemoryPlan, Piece, PlanError, Step, Transfer
from ._placement import lower_bound, place
from ._schedule import Schedule
from ._steps import StepList
from ._tables import constant_bytes

__all__ = [
    "Buffer",
    "MemoryPlan",
    "Piece",
    "PlanError",
    "Step",
    "Transfer",
    "make_plan",
    "plan_program",
]

# Beyond about 150 KB a slab only takes memory; below 8 KB transfers dominate.
_SLAB_KB = (8, 16, 24, 32, 48, 64, 80, 96, 128, 160)
# Parts of fewer tokens than this leave cores idle.
_FEWEST_TOKENS = 32
# Moving 2 % more bytes than needed is no price for memory: computing takes far longer.
_TOLERATED_COST = 1.02


def plan_program(shape, l1_bytes=100 * 1024, l2_bytes=1400 * 1024):
    """Plan the memory of a network: tiles, slabs, and a place for every buffer.

    Among the plans that fit, those that move the fewest bytes between the levels are
    taken, and of these the one that takes the least of L2. A network for images runs
    many times a window: its weights stay in L2, those that fit. The plan is the same
    every time.

    Parameters
    ----------
    shape : ProgramShape or ImageShape
        Sizes of the network.
    l1_bytes : int, default=102400
        Size of the arena in L1: 100 KB of the 128 KB of a GAP9, whose cores keep their
        stacks there.
    l2_bytes : int, default=1433600
        L2 for the arena and the tables of the program: 1400 KB of the 1.5 MB. Code,
        stacks and what the SDK takes have the rest.

    Returns
    -------
    plan : MemoryPlan

    Raises
    ------
    PlanError
        If the network does not fit; the message names the largest tensors and what to
        change.

    Examples
    --------
    >>> from sktinymyo.export._integer.program import ProgramShape
    >>> from sktinymyo.export.gap9._plan import plan_program
    >>> shape = ProgramShape(
    ...     n_channels=8, n_times=1000, patch_size=20, n_patches=50, embed_dim=192,
    ...     n_heads=3, head_dim=64, mlp_dim=768, depth=8, n_classes=6, table_length=50,
    ... )
    >>> plan = plan_program(shape)
    >>> plan.peak["L1"] <= 100 * 1024 and plan.peak["L2"] <= 1400 * 1024
    True
    """
    for name, size in (("l1_bytes", l1_bytes), ("l2_bytes", l2_bytes)):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise PlanError(f"{name}={size!r} is not accepted; pass a count of bytes.")
    options = _image_options if isinstance(shape, ImageShape) else _encoder_options
    options = options(shape, l1_bytes)
    fitting = [option for option in options if option.peak <= l2_bytes]
    tables = 0
    while fitting:
        dearest = min(option.cost for option in fitting) * _TOLERATED_COST
        good = [option for option in fitting if option.cost <= dearest]
        best = min(good, key=lambda option: (option.peak, option.cost))
        plan = make_plan(best.whole(), l2_bytes)
        tables = sum(constant_bytes(plan).values())
        if plan.peak["L2"] + tables <= l2_bytes:
            return plan
        fitting.remove(best)
    nearest = min(options, key=lambda option: option.bound)
    raise _too_large(nearest, tables, l2_bytes)


@dataclass(frozen=True)
class _Option:
    """A schedule that may be taken, and how to make that of the whole network."""

    schedule: StepList
    whole: Callable
    bound: int
    peak: int
    cost: float

    @classmethod
    def of(cls, schedule, whole):
        requests = schedule.requests()
        offsets = place(requests)
        peak = max(offsets[r.name] + r.size for r in requests)
        return cls(schedule, whole, lower_bound(requests), peak, schedule.cost())


def _encoder_options(shape, l1_bytes):
    # Blocks are alike, so the tiles and slabs are chosen on a network of one block.
    small = replace(shape, depth=min(shape.depth, 1))
    return [
        _Option.of(
            Schedule(small, l1_bytes, slab_kb * 1024, parts),
            partial(Schedule, shape, l1_bytes, slab_kb * 1024, parts),
        )
        for parts in _token_parts(shape.n_tokens)
        for slab_kb in _SLAB_KB
    ]


def _image_options(shape, l1_bytes):
    slabs = [slab_kb * 1024 for slab_kb in _SLAB_KB]
    schedules = image_schedules(shape, l1_bytes, slabs)
    return [_Option.of(schedule, lambda own=schedule: own) for schedule in schedules]


def _token_parts(n_tokens):
    """List the numbers of parts of the MLP that are tried."""
    return [
        n for n in (1, 2, 3, 4, 6, 8, 16) if n == 1 or n_tokens >= n * _FEWEST_TOKENS
    ]


def make_plan(schedule, l2_bytes):
    """Give every buffer of a schedule its place, whether or not it fits.

    Parameters
    ----------
    schedule : StepList
        Steps, transfers and lifetimes.
    l2_bytes : int
        L2 that the program may take.

    Returns
    -------
    plan : MemoryPlan
    """
    requests = schedule.requests()
    offsets = place(requests)
    buffers = [
        Buffer(r.name, "L2", offsets[r.name], r.size, r.first_step, r.last_step)
        for r in requests
    ]
    return MemoryPlan(
        shape=schedule.shape,
        l1_bytes=schedule.l1_bytes,
        l2_bytes=l2_bytes,
        buffers=buffers,
        steps=schedule.steps,
        transfers=schedule.transfers,
        weights=schedule.weights,
        resident={name: name for name in schedule.resident},
        lower_bound=lower_bound(requests),
    )


def _too_large(option, tables, l2_bytes):
    """Make the refusal of the option that comes nearest to fitting."""
    requests = option.schedule.requests()
    last = max(request.last_step for request in requests)
    sums = [
        sum(r.size for r in requests if r.first_step <= step <= r.last_step)
        for step in range(last + 1)
    ]
    worst = sums.index(max(sums))
    alive = [r for r in requests if r.first_step <= worst <= r.last_step]
    alive.sort(key=lambda request: -request.size)
    names = ", ".join(f"{r.name} {r.size / 1024:.0f} KB" for r in alive[:4])
    beside = f"; tables of the program {tables / 1024:.0f} KB" if tables else ""
    advice = "shorter windows, fewer channels or a narrower encoder (the tensors grow "
    advice += "with channels x patches x embed_dim)"
    if isinstance(option.schedule.shape, ImageShape):
        advice = "a smaller grid or a smaller width"
    return PlanError(
        f"the network does not fit L2: it needs at least "
        f"{(option.bound + tables) / 1024:.0f} KB of {l2_bytes / 1024:.0f} KB at one "
        f"time (largest: {names}{beside}). Use {advice}, or pass a larger l2_kb if the "
        "device has it."
    )
