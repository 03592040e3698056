"""How long a network takes on a GAP9, and what energy: an estimate, never measured."""

import math
from dataclasses import dataclass

from .._integer.image_program import ImageShape
from .._integer.program import trace_names
from ._image_cost import IMAGE_ORIGIN, image_counts, image_cycles
from ._preprocess_cost import ORIGIN, preprocess_cycles

__all__ = [
    "COEFFICIENTS",
    "OPERATING_POINTS",
    "CostEstimate",
    "LayerCost",
    "digits",
    "estimate",
    "render_table",
]

# Share by which the cycles may be wrong. Two public results to which the coefficients
# were not fitted come out 15 % and 22 % too low.
CYCLES_ERROR = 0.25


@dataclass(frozen=True)
class OperatingPoint:
    """Clock and power of the chip.

    Parameters
    ----------
    megahertz : float
        Clock of the cluster.
    volt : float
        Supply.
    milliwatt, lowest, highest : float
        Power, and the range of published values.
    """

    megahertz: float
    volt: float
    milliwatt: float
    lowest: float
    highest: float


OPERATING_POINTS = {
    "370MHz": OperatingPoint(370, 0.80, 57, 55, 64),
    "240MHz": OperatingPoint(240, 0.65, 39, 36, 42),
    "150MHz": OperatingPoint(150, 0.65, 19, 18, 20),
}


@dataclass(frozen=True)
class Coefficients:
    """Speed of the kernels: MAC a cycle, and cycles an element.

    Parameters
    ----------
    linear, patch, scores, values : float
        Multiplications a cycle of all 8 cores: linear layers with at least 192
        inputs, with 20 inputs, queries with keys, and probabilities with values.
    gelu, layer_norm, softmax, add : float
        Cycles an element.
    origin : str
        Where the numbers are from.
    """

    linear: float
    patch: float
    scores: float
    values: float
    gelu: float
    layer_norm: float
    softmax: float
    add: float
    origin: str

    def linear_speed(self, n_in):
        """Return the multiplications a cycle of a linear layer with `n_in` inputs.

        Between the two known points an output takes ``n_in / speed + overhead``
        cycles.
        """
        if n_in >= 192 or self.linear == self.patch:
            return self.linear
        slope = (192 / self.linear - 20 / self.patch) / (192 - 20)
        overhead = 20 / self.patch - 20 * slope
        return n_in / (n_in * slope + overhead)


COEFFICIENTS = {
    "published": Coefficients(
        linear=11.6,
        patch=11.6,
        scores=11.6,
        values=11.6,
        gelu=34,
        layer_norm=29,
        softmax=0,
        add=6.1,
        origin="fitted to the published 0.785 s of TinyMyo; softmax is within 11.6",
    ),
    "optimised": Coefficients(
        linear=15.4,
        patch=8,
        scores=11.8,
        values=15,
        gelu=0.94,
        layer_norm=4.4,
        softmax=4.5,
        add=1.0,
        origin="8 cores with Xpulp in a public simulator, data in L1",
    ),
}
CYCLES_ONCE = 0.45e6
_ONCE = "start of the program"
CYCLES_PER_LAYER = 5e3
L3_BYTES_PER_CYCLE = 1.0
L2_BYTES_PER_CYCLE = 8.0


@dataclass(frozen=True)
class LayerCost:
    """Cost of a layer.

    Parameters
    ----------
    layer : str
        Its name in a trace.
    macs : int
        Multiplications with addition.
    cycles : dict of str to float
        Cycles of its parts: "linear", "attention", "gelu", "layer_norm", "softmax",
        "add", "weights" (from L3; of images from L2 too) and "start"; "filter" and
        "quantise" of the preprocessing; "gather" and "vote" of images.
    """

    layer: str
    macs: int
    cycles: dict

    @property
    def total(self):
        """Cycles of all parts."""
        return sum(self.cycles.values())

    @property
    def kind(self):
        """Name without the number of the block; convolutions keep theirs."""
        before, _, last = self.layer.rpartition(".")
        return last if before != "layers" else self.layer


@dataclass(frozen=True)
class CostEstimate:
    """Estimate for one window.

    Parameters
    ----------
    coefficients : {"published", "optimised"}
        Set of coefficients.
    layers : list of LayerCost
        In the order of the network.
    error : float, default=0.25
        Share by which the cycles may be wrong, up or down.
    n_images : int or None, default=None
        Images of the window that a network for images classifies; None is an encoder.
    once : float, default=450000
        Cycles of the start of the program.
    """

    coefficients: str
    layers: list
    error: float = CYCLES_ERROR
    n_images: int | None = None
    once: float = CYCLES_ONCE

    @property
    def cycles(self):
        """Cycles of a window."""
        return self.once + sum(layer.total for layer in self.layers)

    def of_one_image(self):
        """Return the estimate for one of the images, without the start of the program.

        What a device computes for every new sample; its filter and its quantisation
        are those of one sample too.

        Returns
        -------
        estimate : CostEstimate
        """
        share = 1 / self.n_images
        layers = [
            LayerCost(
                layer.layer,
                round(layer.macs * share),
                {part: cycles * share for part, cycles in layer.cycles.items()},
            )
            for layer in self.layers
        ]
        return CostEstimate(self.coefficients, layers, self.error, once=0.0)

    @property
    def macs(self):
        """Multiplications of a window."""
        return sum(layer.macs for layer in self.layers)

    @property
    def has_preprocessing(self):
        """Whether filter and quantisation of the window are among the layers."""
        return self.layers[0].layer == "preprocess"

    def seconds(self, point):
        """Return the latency at an operating point, with its lower and upper end."""
        seconds = self.cycles / (OPERATING_POINTS[point].megahertz * 1e6)
        return seconds, seconds * (1 - self.error), seconds * (1 + self.error)

    def millijoules(self, point):
        """Return the energy at an operating point, with its lower and upper end.

        The ends are those of latency and power together.
        """
        seconds, least, most = self.seconds(point)
        power = OPERATING_POINTS[point]
        return seconds * power.milliwatt, least * power.lowest, most * power.highest

    def by_kind(self):
        """Return the cycles of all layers of a name together, in order."""
        sums = {}
        for layer in self.layers:
            sums[layer.kind] = sums.get(layer.kind, 0.0) + layer.total
        return sums | {_ONCE: self.once}

    def by_layer(self):
        """Return the cycles of every layer, in order."""
        return {layer.layer: layer.total for layer in self.layers} | {_ONCE: self.once}

    def to_dict(self):
        """Return the estimate as plain dicts and numbers, for a JSON file."""
        points = {}
        for name, point in OPERATING_POINTS.items():
            seconds, energy = self.seconds(name), self.millijoules(name)
            points[name] = {
                "volt": point.volt,
                "latency_s": dict(zip(_ENDS, map(_short, seconds), strict=True)),
                "energy_mj": dict(zip(_ENDS, map(_short, energy), strict=True)),
            }
        fields = {
            "origin": COEFFICIENTS[self.coefficients].origin,
            "preprocessing": ORIGIN if self.has_preprocessing else "not counted",
            "cycles": round(self.cycles),
            "cycles_error_share": self.error,
            "macs": self.macs,
            "operating_points": points,
            "cycles_by_layer": {
                name: round(cycles) for name, cycles in self.by_layer().items()
            },
        }
        if self.n_images is not None:
            fields["images"] = IMAGE_ORIGIN
            image = self.of_one_image().to_dict()
            names = ("cycles", "macs", "operating_points")
            fields["of_one_image"] = {name: image[name] for name in names}
        return fields


_ENDS = ("value", "low", "high")


def _short(number):
    """Round to four digits: an estimate has no more."""
    return float(f"{number:.4g}")


def estimate(shape, coefficients="published", plan=None, preprocess=None):
    """Estimate the cost of a window.

    Parameters
    ----------
    shape : ProgramShape or ImageShape
        Sizes of the network.
    coefficients : {"published", "optimised"}, default="published"
        "published" is what a deployment reached, "optimised" what the kernels reach
        when nothing else slows them.
    plan : MemoryPlan or None, default=None
        Gives the bytes from L3; None: every weight once, of images none, for they
        stay.
    preprocess : Preprocess or None, default=None
        Map, filter and quantisation of the window are counted too; None: the network
        alone, as in the published measurement.

    Returns
    -------
    estimate : CostEstimate

    Examples
    --------
    >>> from sktinymyo.export._integer.program import ProgramShape
    >>> from sktinymyo.export.gap9._cost import estimate
    >>> shape = ProgramShape(
    ...     n_channels=8, n_times=1000, patch_size=20, n_patches=50, embed_dim=192,
    ...     n_heads=3, head_dim=64, mlp_dim=768, depth=8, n_classes=6, table_length=50,
    ... )
    >>> seconds, low, high = estimate(shape).seconds("370MHz")
    >>> round(seconds, 1)
    0.8
    """
    speeds = COEFFICIENTS[coefficients]
    streamed = _streamed_bytes(shape, plan)
    is_image = isinstance(shape, ImageShape)
    counts = image_counts(shape) if is_image else _counts(shape)
    layers = []
    if preprocess is not None:
        before = preprocess_cycles(preprocess, shape)
        layers.append(LayerCost("preprocess", 0, before))
    for name in trace_names(shape)[1:]:
        macs, cycles = 0, {}
        found = counts[name if is_image else name.rpartition(".")[2]]
        for part, (count, n_in) in found.items():
            if part == "linear":
                macs += count
                cycles[part] = count / speeds.linear_speed(n_in)
            elif part in ("scores", "values"):
                macs += count
                cycles.setdefault("attention", 0.0)
                cycles["attention"] += count / getattr(speeds, part)
            else:
                cycles[part] = count * getattr(speeds, part)
        cycles |= image_cycles(shape, name) if is_image else {}
        cycles["weights"] = streamed.get(name, 0) / L3_BYTES_PER_CYCLE
        cycles["start"] = CYCLES_PER_LAYER
        n = shape.n_runs
        cycles = {part: n * value for part, value in cycles.items()}
        layers.append(LayerCost(name, n * macs, cycles))
    n_images = shape.n_runs if is_image else None
    return CostEstimate(coefficients, layers, n_images=n_images)


def _counts(shape):
    """Return multiplications (with the inputs of the layer) and elements by kind."""
    n, width, hidden = shape.n_tokens, shape.embed_dim, shape.mlp_dim
    linear = {"linear": (n * width * width, width)}
    norm = {"layer_norm": (n * width, None)}
    add = {"add": (n * width, None)}
    pairs = n * n * width
    return {
        "patch": {"linear": (n * shape.patch_size * width, shape.patch_size)} | add,
        "norm1": norm,
        "query": linear,
        "key": linear,
        "value": linear,
        "attention": {
            "scores": (pairs, None),
            "values": (pairs, None),
            "softmax": (n * n * shape.n_heads, None),
        },
        "projection": linear | add,
        "norm2": norm,
        "hidden": {
            "linear": (n * width * hidden, width),
            "gelu": (n * hidden, None),
        },
        "output": {"linear": (n * hidden * width, hidden)} | add,
        "norm": norm,
        "pool": add,
        "head": {"linear": (shape.n_classes * shape.n_pooled, shape.n_pooled)},
    }


def _streamed_bytes(shape, plan):
    """Return the bytes that every layer brings from L3."""
    streamed = {}
    if plan is None and isinstance(shape, ImageShape):
        return streamed
    if plan is None:
        width, hidden = shape.embed_dim, shape.mlp_dim
        sizes = {
            "patch": width * (shape.patch_size + 12),
            **dict.fromkeys(("norm1", "norm2", "norm"), width * 12),
            **dict.fromkeys(("query", "key", "value"), width * (width + 12)),
            "projection": width * (width + 12),
            "hidden": hidden * (width + 12),
            "output": width * (hidden + 12),
            "head": shape.n_classes * (shape.n_pooled + 16),
        }
        names = trace_names(shape)
        return {name: sizes.get(name.rpartition(".")[2], 0) for name in names}
    for step in plan.steps:
        size = step.moved["L3-L2"]
        if isinstance(shape, ImageShape):
            # Their layers are so small that fetching the weights takes a part of it.
            size += step.moved["L2-L1"] / L2_BYTES_PER_CYCLE
        streamed[step.layer] = streamed.get(step.layer, 0) + size
    return streamed


def render_table(estimates, point, *, per_layer=False):
    """Write estimates as a table.

    Parameters
    ----------
    estimates : list of CostEstimate
        One for each set of coefficients, of the same network.
    point : {"370MHz", "240MHz", "150MHz"}
        Operating point of the latencies of layers.
    per_layer : bool, default=False
        A line for every layer, in place of the sum over the blocks.

    Returns
    -------
    table : str
    """
    megahertz = OPERATING_POINTS[point].megahertz
    columns = []
    for item in estimates:
        rows = item.by_layer() if per_layer else item.by_kind()
        columns.append(rows)
    names = list(columns[0])
    width = max(map(len, names)) + 2
    heads = "".join(f"{item.coefficients:>24}" for item in estimates)
    units = f"{'M cycles':>12}{'ms':>12}" * len(estimates)
    lines = [f"{'layer':<{width}}{heads}", f"{'at ' + point:<{width}}{units}"]
    for name in names:
        numbers = "".join(
            f"{rows[name] / 1e6:>12.3f}{rows[name] / megahertz / 1e3:>12.2f}"
            for rows in columns
        )
        lines.append(f"{name:<{width}}{numbers}")
    numbers = "".join(
        f"{item.cycles / 1e6:>12.1f}{item.cycles / megahertz / 1e3:>12.1f}"
        for item in estimates
    )
    lines += [f"{'all':<{width}}{numbers}", "", *_render_points(estimates)]
    return "\n".join(lines)


def _render_points(estimates):
    lines = [
        f"{'coefficients':<14}{'point':>8}{'latency':>12}{'from - to':>19}"
        f"{'energy':>12}{'from - to':>19}"
    ]
    for item in estimates:
        for point in OPERATING_POINTS:
            seconds, energy = item.seconds(point), item.millijoules(point)
            lines.append(
                f"{item.coefficients:<14}{point:>8}"
                f"{digits(seconds[0]) + ' s':>12}{_range(seconds):>19}"
                f"{digits(energy[0]) + ' mJ':>12}{_range(energy):>19}"
            )
    if estimates[0].n_images is not None:
        images = [item.of_one_image() for item in estimates]
        lines += ["", f"Each of the {estimates[0].n_images} images of a window:"]
        lines += _render_points(images)[1:]
    return lines


def _range(values):
    return f"{digits(values[1])} - {digits(values[2])}"


def digits(number):
    """Write three digits of a positive number."""
    decimals = max(0, 2 - math.floor(math.log10(number)))
    return f"{number:.{decimals}f}"
