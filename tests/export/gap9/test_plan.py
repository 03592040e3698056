"""The memory plan: nothing overlaps, everything fits, everything is computed once."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sktinymyo.export._integer.program import expected_arrays
from sktinymyo.export.gap9._checks import check_plan
from sktinymyo.export.gap9._memory import MemoryPlan
from sktinymyo.export.gap9._placement import Request, lower_bound, place
from sktinymyo.export.gap9._plan import PlanError, plan_program
from sktinymyo.export.gap9._tables import constant_bytes

from ..programs import make_shape

KB = 1024
LINEAR = ("patch", "attention_inputs", "projection", "hidden", "output", "head")


def tinymyo(n_channels, n_times=1000, **sizes):
    defaults = {"embed_dim": 192, "n_heads": 3, "mlp_dim": 768, "depth": 8}
    return make_shape(n_channels, n_times, **defaults | sizes)


@st.composite
def shapes(draw):
    n_heads = draw(st.integers(1, 4))
    return make_shape(
        n_channels=draw(st.integers(1, 12)),
        n_times=draw(st.integers(20, 700)),
        embed_dim=n_heads * 2 * draw(st.integers(1, 40)),
        n_heads=n_heads,
        mlp_dim=draw(st.integers(1, 500)),
        depth=draw(st.integers(0, 3)),
        n_classes=draw(st.integers(1, 60)),
        pooling=draw(st.sampled_from(["channel", "mean"])),
        position=draw(st.sampled_from(["per-channel", "none", "flat"])),
    )


def tiles(total, size):
    assert size > 0
    return [(at, min(size, total - at)) for at in range(0, total, size)]


def computed(plan, step):
    """Count how often every result of a linear step is computed."""
    p = step.parameters
    counts = np.zeros((p["token_count"], p["n_out"]), dtype=int)
    slabs = tiles(p["n_out"], p["slab"])
    assert p["slab"] % p["out_tile"] == 0 and len(slabs) == p["n_transfers"]
    for number, (start, n_rows) in enumerate(slabs):
        check_slab(plan, step, plan.transfers[p["first_transfer"] + number], n_rows)
        for out, n_out in tiles(n_rows, p["out_tile"]):
            for row, n_tokens in tiles(p["token_count"], p["row_tile"]):
                columns = slice(start + out, start + out + n_out)
                counts[row : row + n_tokens, columns] += 1
    return counts


def check_slab(plan, step, transfer, n_rows):
    assert transfer.step == step.index
    end = 0
    sizes = {"weight": step.parameters["n_in"], "multiplier": 4, "shift": 4}
    sizes["bias"] = 8 if step.kind == "head" else 4
    for piece in sorted(transfer.pieces, key=lambda piece: piece.target):
        source, size = plan.weights[piece.array]
        assert source <= piece.source and piece.source + piece.size <= source + size
        name = piece.array.rpartition(".")[2]
        assert piece.target >= end and piece.target % 16 == 0
        end = piece.target + piece.size
        if name in sizes:
            assert piece.target == step.parameters[f"slab_{name}"]
            assert piece.size == n_rows * sizes[name]
    assert end <= plan.buffer("slab0").size == plan.buffer("slab1").size


def check_l1(plan, step):
    places = dict(step.l1)
    if step.kind == "attention" and places["key"] == places["value"]:
        assert step.parameters["key_block"] < step.parameters["token_count"]
        del places["value"]
    end = 0
    for offset, size in sorted(places.values()):
        assert offset >= end and offset % 16 == 0
        end = offset + size
    assert end <= plan.l1_bytes


def check_all(plan):
    check_plan(plan)
    assert list(plan.weights) == list(expected_arrays(plan.shape))
    assert [t.index for t in plan.transfers] == list(range(len(plan.transfers)))
    assert all(offset % 16 == 0 for offset, _ in plan.weights.values())
    assert plan.peak["L2"] >= plan.lower_bound
    assert plan.peak["L2"] == max(plan.level(step.index) for step in plan.steps)
    tokens = {}
    for step in plan.steps:
        check_l1(plan, step)
        if step.kind in LINEAR:
            assert (computed(plan, step) == 1).all()
        if step.kind in ("hidden", "output"):
            start = step.parameters["token_start"]
            covered = range(start, start + step.parameters["token_count"])
            tokens.setdefault(step.layer, []).extend(covered)
    assert all(seen == list(range(plan.shape.n_tokens)) for seen in tokens.values())


@settings(max_examples=25, deadline=None)
@given(shapes(), st.integers(4, 100), st.integers(40, 1400))
def test_every_plan_keeps_its_promises(shape, l1_kb, l2_kb):
    try:
        plan = plan_program(shape, l1_kb * KB, l2_kb * KB)
    except PlanError as error:
        assert "does not fit L" in str(error)
        return
    check_all(plan)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 900), st.integers(0, 20), st.integers(0, 9)),
        min_size=1,
        max_size=25,
    )
)
def test_placement_never_overlaps(buffers):
    requests = [
        Request(str(number), size, first, first + more)
        for number, (size, first, more) in enumerate(buffers)
    ]
    offsets = place(requests)
    ends = {r.name: offsets[r.name] + r.size for r in requests}
    for one in requests:
        assert offsets[one.name] % 16 == 0
        for other in requests:
            if one is not other and one.meets(other):
                apart = ends[one.name] <= offsets[other.name]
                assert apart or ends[other.name] <= offsets[one.name]
    assert max(ends.values()) >= lower_bound(requests)


@pytest.mark.parametrize("n_channels, streamed", [(8, False), (16, True)])
def test_tinymyo_fits(n_channels, streamed):
    plan = plan_program(tinymyo(n_channels))
    check_all(plan)
    assert plan.peak["L1"] <= 100 * KB and plan.peak["L2"] <= 1200 * KB
    assert plan.gap == 0
    (keys,) = {s.parameters["key_block"] for s in plan.steps if s.kind == "attention"}
    assert (keys < plan.shape.n_tokens) == streamed
    # Every weight is read once a window.
    weights = sum(size for name, (_, size) in plan.weights.items() if "weight" in name)
    assert plan.moved()["L3-L2"] < 1.1 * weights


def test_little_l2_runs_the_mlp_in_parts():
    plan = plan_program(tinymyo(16), l2_bytes=1000 * KB)
    check_all(plan)
    hidden = [s for s in plan.steps if s.layer == "blocks.0.hidden"]
    assert len(hidden) > 1
    assert plan.peak["L2"] <= 1000 * KB


def test_what_does_not_fit_is_refused_with_advice():
    with pytest.raises(PlanError, match=r"L2.*stream 1200 KB.*fewer channels.*l2_kb"):
        plan_program(tinymyo(64))
    with pytest.raises(PlanError, match=r"'blocks.0.attention'.*scores.*l1_kb"):
        plan_program(tinymyo(64), l1_bytes=14 * KB)
    with pytest.raises(PlanError, match="l1_bytes=-1"):
        plan_program(tinymyo(8), l1_bytes=-1)


def test_tables_of_the_program_need_room_too():
    shape = make_shape()
    plan = plan_program(shape)
    least = plan.peak["L2"] + sum(constant_bytes(plan).values())
    assert plan_program(shape, l2_bytes=least).peak == plan.peak
    with pytest.raises(PlanError, match="tables of the program 5 KB"):
        plan_program(shape, l2_bytes=plan.lower_bound)


def test_plan_survives_json():
    plan = plan_program(make_shape())
    assert MemoryPlan.from_dict(json.loads(json.dumps(plan.to_dict()))) == plan
    assert plan_program(make_shape()) == plan
