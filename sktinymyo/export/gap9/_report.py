"""What a person reads and sees of a bundle: the text and the figures."""

import textwrap

from ..._optional import import_optional
from .._integer.image_program import ImageShape
from ._cost import COEFFICIENTS, OPERATING_POINTS, digits, render_table
from ._image_cost import IMAGE_ORIGIN
from ._preprocess_cost import ORIGIN
from ._tables import constant_bytes

__all__ = ["plot_cost", "plot_memory", "render_memory", "render_report"]

# Colours of the safe palette of Okabe and Ito; families of buffers and parts of time.
_FAMILIES = {
    "stream (int16)": ("stream", "#0072B2"),
    "normalised tokens": ("normed", "#56B4E9"),
    "query, key, value": (".head.", "#009E73"),
    "attended": ("attended", "#F0E442"),
    "hidden layer": ("hidden", "#D55E00"),
    "weights (slabs)": ("slab", "#CC79A7"),
    "maps": ("maps", "#56B4E9"),
    "weights that stay": ("layers.", "#E69F00"),
    "input, output, tables": ("", "#999999"),
}
_CONSTANTS = "tables of the program"
# Times what is used: so far up an axis reaches at most.
_MOST_EMPTY = 1.2
_PARTS = {
    "linear": "#0072B2",
    "attention": "#009E73",
    "softmax": "#56B4E9",
    "gelu": "#D55E00",
    "layer_norm": "#F0E442",
    "add": "#CC79A7",
    "weights": "#999999",
    "start": "#555555",
    "filter": "#E69F00",
    "quantise": "#8C6D31",
    "gather": "#56B4E9",
    "vote": "#F0E442",
}


def _kb(size):
    return f"{size / 1024:.1f} KB"


def render_memory(plan):
    """Write the memory plan as text.

    Parameters
    ----------
    plan : MemoryPlan

    Returns
    -------
    text : str
    """
    peak, moved = plan.peak, plan.moved()
    tables = sum(constant_bytes(plan).values())
    is_image = isinstance(plan.shape, ImageShape)
    constants = "weights" if is_image else "slabs"
    lines = [
        f"{'level':<7}{'in use':>12}{'allowed':>12}",
        f"{'L1':<7}{_kb(peak['L1']):>12}{_kb(plan.l1_bytes):>12}",
        f"{'L2':<7}{_kb(peak['L2'] + tables):>12}{_kb(plan.l2_bytes):>12}",
        f"{'L3':<7}{_kb(peak['L3']):>12}{'':>12}",
        f"L2: {_kb(peak['L2'])} of activations and {constants}, {_kb(tables)} of "
        f"tables. At least {_kb(plan.lower_bound)} must be",
        f"alive at one time; the placement takes {plan.gap} bytes more. Not counted: "
        "code, stacks, the",
        "SDK, and the windows that are linked into the test program of the chip.",
        f"Moved for one window: {_kb(moved['L3-L2'])} from L3, {_kb(moved['L2-L1'])} "
        f"from L2 to L1, {_kb(moved['L1-L2'])} back.",
        "",
        f"{'kind of step':<18}{'tokens':>8}{'tile':>8}{'channels':>10}{'tile':>8}"
        f"{'slab':>8}{'L1':>12}",
    ]
    seen = set()
    for step in plan.steps:
        parameters = step.parameters
        name = step.layer if step.kind == "convolution" else step.kind
        if name in seen:
            continue
        seen.add(name)
        tokens = parameters.get("token_count", parameters.get("group_rows"))
        tile = parameters.get("row_tile", parameters.get("query_rows"))
        row = [parameters.get(name, "") for name in ("n_out", "out_tile", "slab")]
        lines.append(
            f"{name:<18}{tokens:>8}{tile:>8}{row[0]:>10}{row[1]:>8}{row[2]:>8}"
            f"{_kb(step.l1_bytes):>12}"
        )
    lines.append(_weights_line(plan) if is_image else _attention_line(plan))
    return "\n".join(lines)


def _attention_line(plan):
    for step in plan.steps:
        if step.kind == "attention":
            keys, tokens = step.parameters["key_block"], step.parameters["token_count"]
            if keys == tokens:
                return "Keys and values of a head stay in L1."
            return f"Keys and values of a head come to L1 in blocks of {keys} tokens."
    return "There is no attention."


def _weights_line(plan):
    layers = plan.streamed_layers()
    if not layers:
        return (
            "All weights stay in L2: they are read from L3 once, not for every image."
        )
    return _wrap(
        f"The weights of {', '.join(layers)} come from L3 for every image; those of "
        "the other layers stay in L2."
    )


def render_report(manifest, plan, estimates, point):
    """Write the report of a bundle.

    Parameters
    ----------
    manifest : dict
    plan : MemoryPlan
    estimates : list of CostEstimate
    point : str
        Operating point of the latencies of layers.

    Returns
    -------
    text : str
    """
    weights, classes = manifest["weights"], manifest["classes"]["values"]
    sections = {
        "Network": _wrap(
            f"{_network_line(plan.shape)}, {len(classes)} classes: {_names(classes)}"
        ),
        "Memory": render_memory(plan),
        "Time and energy of a window": _render_cost(estimates, point),
        "Checks": "\n".join(
            f"{check['status']:<8}{check['name']}"
            + (f": {check['detail']}" if check.get("detail") else "")
            for check in manifest["checks"]
        )
        or "none was run",
        "Weights": _wrap(weights["notice"]),
    }
    parts = [f"{name}\n{'-' * len(name)}\n{text}" for name, text in sections.items()]
    return "\n\n".join(["Bundle for a GAP9\n=================", *parts]) + "\n"


def _network_line(shape):
    size = f"{shape.n_channels} channels x {shape.n_times} samples"
    if isinstance(shape, ImageShape):
        return f"{size}, {shape.words}, {shape.n_voting} images vote"
    return (
        f"{size}, {shape.n_tokens} tokens, width {shape.embed_dim}, {shape.n_heads} "
        f"heads, {shape.depth} blocks"
    )


def _render_cost(estimates, point):
    origins = "; ".join(
        f"{item.coefficients!r}: {COEFFICIENTS[item.coefficients].origin}"
        for item in estimates
    )
    words = (
        "An estimate, never measured on a chip: the cycles may be "
        f"{estimates[0].error:.0%} off in either direction. Coefficients: {origins}; "
        f"preprocessing: {ORIGIN}."
    )
    if estimates[0].n_images is not None:
        words += f" {IMAGE_ORIGIN.capitalize()}."
    return f"{_wrap(words)}\n\n{render_table(estimates, point)}"


def _wrap(text):
    return textwrap.fill(text, 88)


def _names(values):
    names = [text if (text := str(v)).isprintable() else repr(v) for v in values]
    return ", ".join(names if len(names) <= 12 else [*names[:10], "...", names[-1]])


def plot_memory(plan, axes=None):
    """Draw what lies in L2 and L1 over the steps of the network.

    Parameters
    ----------
    plan : MemoryPlan
    axes : sequence of 2 matplotlib Axes or None, default=None
        For L2 and for L1; None makes a figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="plot_memory")
    if axes is None:
        _, axes = pyplot.subplots(
            2, 1, figsize=(10, 6.5), sharex=True, height_ratios=(3, 1), layout="tight"
        )
    above, below = axes
    legend = {}
    for buffer in plan.buffers:
        family, color = _family(buffer.name)
        legend[family] = above.bar(
            buffer.first_step,
            buffer.size / 1024,
            width=buffer.last_step - buffer.first_step + 1,
            bottom=buffer.offset / 1024,
            align="edge",
            color=color,
            edgecolor="white",
            linewidth=0.3,
        )
    steps = range(len(plan.steps))
    peak, tables = plan.peak, sum(constant_bytes(plan).values())
    legend[_CONSTANTS] = above.bar(
        0,
        tables / 1024,
        width=len(plan.steps),
        bottom=peak["L2"] / 1024,
        align="edge",
        color="0.85",
    )
    _draw_limit(above, "L2", peak["L2"] + tables, plan.l2_bytes)
    above.set_title("Memory over the steps of the network")
    order = [family for family in (*_FAMILIES, _CONSTANTS) if family in legend]
    above.legend(
        [legend[family] for family in order],
        order,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        frameon=False,
        fontsize="small",
    )
    below.stairs(
        [step.l1_bytes / 1024 for step in plan.steps],
        [*steps, len(plan.steps)],
        fill=True,
        color="#56B4E9",
    )
    _draw_limit(below, "L1", peak["L1"], plan.l1_bytes)
    starts = [s.index for s in plan.steps if s.layer.endswith(".norm1")]
    for axis in axes:
        for start in starts:
            axis.axvline(start, color="0.7", linewidth=0.5)
    steps_of = "step (grey lines: blocks)" if starts else "step of one image"
    below.set_xlabel(steps_of)
    below.set_xlim(0, len(plan.steps))
    return above.figure


def _draw_limit(axis, level, used, allowed):
    """Draw what is allowed; where that is far off, what is used fills the axis."""
    axis.set_ylabel(f"{level} (KB of {allowed / 1024:.0f})")
    axis.axhline(allowed / 1024, color="black", linestyle="--", linewidth=1)
    axis.set_ylim(0, min(allowed, _MOST_EMPTY * used) / 1024 * 1.05)


def _family(name):
    for family, (mark, color) in _FAMILIES.items():
        if mark in name:
            return family, color
    raise KeyError(name)


def plot_cost(estimates, point="370MHz", axes=None):
    """Draw the time of the layers as bars, those of all blocks together.

    Parameters
    ----------
    estimates : list of CostEstimate
        One for each set of coefficients.
    point : {"370MHz", "240MHz", "150MHz"}, default="370MHz"
        Operating point.
    axes : sequence of matplotlib Axes or None, default=None
        As many as estimates; None makes a figure.

    Returns
    -------
    figure : matplotlib.figure.Figure
    """
    pyplot = import_optional("matplotlib.pyplot", extra="plot", purpose="plot_cost")
    if axes is None:
        n = len(estimates)
        _, axes = pyplot.subplots(
            1,
            n,
            figsize=(5.5 * n + 1, 4.5),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        axes = axes[0]
    for axis, item in zip(axes, estimates, strict=True):
        _draw_cost(axis, item, point)
    axes[0].invert_yaxis()
    # Beside the axes: a bar may end anywhere inside of them.
    axes[-1].legend(
        frameon=False, loc="upper left", bbox_to_anchor=(1.01, 1), fontsize="small"
    )
    return axes[0].figure


def _draw_cost(axis, item, point):
    kinds = list(dict.fromkeys(layer.kind for layer in item.layers))
    counts = [sum(layer.kind == kind for layer in item.layers) for kind in kinds]
    names = [
        kind if n == 1 else f"{kind} (x {n})"
        for kind, n in zip(kinds, counts, strict=True)
    ]
    left = [0.0] * len(kinds)
    for part, color in _PARTS.items():
        cycles = dict.fromkeys(kinds, 0.0)
        for layer in item.layers:
            cycles[layer.kind] += layer.cycles.get(part, 0.0)
        widths = [_milliseconds(cycles[kind], point) for kind in kinds]
        if any(widths):
            label = part.replace("_", " ")
            axis.barh(names, widths, left=left, color=color, label=label)
        left = [a + b for a, b in zip(left, widths, strict=True)]
    # Else the axis would end where the longest bar does.
    axis.use_sticky_edges = False
    axis.margins(x=0.02, y=0.02)
    axis.set_xlim(left=0)
    unit, factor = ("s", 1) if item.seconds(point)[2] >= 1 else ("ms", 1e3)
    value, low, high = (digits(x * factor) for x in item.seconds(point))
    axis.set(
        xlabel=f"estimated time at {point} (ms)",
        title=f"{item.coefficients}: {value} {unit} ({low} to {high} {unit})",
    )


def _milliseconds(cycles, point):
    return cycles / OPERATING_POINTS[point].megahertz / 1e3
