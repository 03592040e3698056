"""The cost model: published figures, error bars, table and figure."""

import matplotlib
import numpy as np
import pytest

from sktinymyo.export._integer.program import Preprocess
from sktinymyo.export.gap9 import estimate_gap9
from sktinymyo.export.gap9._cost import (
    COEFFICIENTS,
    OPERATING_POINTS,
    estimate,
    render_table,
)
from sktinymyo.export.gap9._plan import plan_program

from ..programs import make_shape

TINYMYO = {"embed_dim": 192, "n_heads": 3, "mlp_dim": 768, "depth": 8, "n_classes": 6}


def tinymyo(n_channels):
    return make_shape(n_channels, 1000, **TINYMYO)


def cycles_of_additions(item):
    return sum(layer.cycles.get("add", 0) for layer in item.layers)


def test_published_time_and_energy():
    item = estimate(tinymyo(8), "published")
    seconds, low, high = item.seconds("370MHz")
    millijoules, least, most = item.millijoules("370MHz")
    assert low <= 0.785 <= high and least <= 44.9 <= most
    assert seconds == pytest.approx(0.785, rel=0.04)
    assert millijoules == pytest.approx(44.9, rel=0.04)
    # The published deployment left out the additions: without them it is exact.
    without = item.cycles - cycles_of_additions(item)
    assert without / 370e6 == pytest.approx(0.785, abs=0.002)


@pytest.mark.parametrize(
    "n_channels, coefficients, cycles, seconds, millijoules",
    [
        (8, "optimised", 160e6, 0.43, 24.8),
        (16, "optimised", 425e6, 1.15, 66),
        (16, "published", 662e6, 1.79, 102),
    ],
)
def test_other_rows_of_the_table(
    n_channels, coefficients, cycles, seconds, millijoules
):
    shape = tinymyo(n_channels)
    item = estimate(shape, coefficients, plan_program(shape))
    assert item.cycles == pytest.approx(cycles, rel=0.03)
    assert item.seconds("370MHz")[0] == pytest.approx(seconds, rel=0.03)
    assert item.millijoules("370MHz")[0] == pytest.approx(millijoules, rel=0.03)


def test_parts_add_up_and_the_plan_changes_little():
    shape = tinymyo(8)
    for name in COEFFICIENTS:
        item = estimate(shape, name, plan_program(shape))
        assert sum(item.by_kind().values()) == pytest.approx(item.cycles)
        assert item.cycles == pytest.approx(estimate(shape, name).cycles, rel=0.01)
        fields = item.to_dict()
        assert fields["cycles_error_share"] == 0.25 and fields["origin"]
        parts = fields["cycles_by_layer"]
        assert sum(parts.values()) == pytest.approx(fields["cycles"], abs=len(parts))
        assert set(fields["operating_points"]) == set(OPERATING_POINTS)


def test_preprocessing_is_counted_where_it_is_known():
    shape, rate = make_shape(8, 200), np.zeros((3, 6), dtype=np.float32)
    cycles = {}
    for phase, padding in (("causal", 0), ("zero", 21)):
        before = Preprocess(8, sos=rate, phase=phase, pad_length=padding)
        item = estimate(shape, preprocess=before)
        cycles[phase] = item.layers[0].cycles["filter"]
        without = estimate(shape)
        more = item.cycles - without.cycles
        assert item.layers[0].layer == "preprocess"
        assert more == pytest.approx(sum(item.layers[0].cycles.values()))
    # Five multiplications and four additions at least, and twice over with padding.
    assert cycles["causal"] > 9 * 3 * 8 * 200
    assert cycles["zero"] > 2 * cycles["causal"]
    assert "not counted" in without.to_dict()["preprocessing"]


def test_narrow_layers_are_slower():
    speeds = COEFFICIENTS["optimised"]
    assert speeds.linear_speed(20) == pytest.approx(speeds.patch)
    assert speeds.linear_speed(192) == speeds.linear_speed(768) == speeds.linear
    assert speeds.patch < speeds.linear_speed(64) < speeds.linear


def test_table_and_figure():
    matplotlib.use("Agg")
    result = estimate_gap9(tinymyo(8), profile="240MHz")
    rows = [line.split() for line in result.table(per_layer=True).splitlines()[2:]]
    rows = rows[: rows.index([])]
    assert ["blocks.7.attention"] in [row[:1] for row in rows]
    *parts, total = (float(row[-4]) for row in rows)
    assert sum(parts) == pytest.approx(total, abs=0.06)
    assert "at 240MHz" in str(result)
    assert str(result) == render_table(list(result.estimates.values()), "240MHz")
    assert "0.606 - 1.01" in str(result) and "attention" in str(result)
    figure = result.plot()
    assert len(figure.axes) == 2 and "240MHz" in figure.axes[0].get_xlabel()
    axes = result.plot_memory().axes
    used = result.plan.peak["L2"] / 1024
    assert used < axes[0].get_ylim()[1] < 2 * used
    assert [axis.get_ylabel() for axis in axes] == ["L2 (KB of 1400)", "L1 (KB of 100)"]
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    "arguments, message",
    [({"profile": "400MHz"}, "profile='400MHz'"), ({"l1_kb": 0}, "l1_kb must be")],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        estimate_gap9(make_shape(), **arguments)
