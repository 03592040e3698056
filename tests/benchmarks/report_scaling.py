"""What the size of the encoder is worth: the curve of sizes.py, and its power law.

    python tests/benchmarks/report_scaling.py --figure docs/images/scaling.svg

Draws the error on hidden samples and the accuracy on unseen people against the
parameters, and prints the law ``error = a * parameters ** slope`` that fits the sizes
best, with what it would give for "large". That is a line on paper: four sizes, trained
for minutes, say little about a fifth that is 28 times as large.
"""

import argparse
import json
import statistics
from pathlib import Path

from _common import RESULTS
from _tables import distinct, records_of

QUANTITIES = {
    "error": "error on hidden samples",
    "wrong": "share of wrong windows of unseen people",
}


def curves(contents):
    """Return steps -> (sizes, parameters, quantity -> values), from small to large."""
    found = {}
    records = records_of(contents, question="scaling")
    for steps in sorted(distinct(records, "steps")):
        mine = [record for record in records if record["key"]["steps"] == steps]
        mine.sort(key=lambda record: record["values"]["parameters"])
        values = [record["values"] for record in mine]
        found[steps] = (
            [record["key"]["size"] for record in mine],
            [each["parameters"] for each in values],
            {
                "error": [each["error"] for each in values],
                "wrong": [1 - statistics.fmean(each["accuracy"]) for each in values],
            },
        )
    return found


def parameters_of_large(contents):
    """Return the parameters of "large" without its head, as in the curve."""
    (record,) = records_of(contents, question="table", size="large")
    width = record["values"]["shape"][1]
    # Eight classes from eight channels; see sizes.py.
    return record["values"]["parameters"] - (8 * width + 1) * 8


def fit_power_law(parameters, values, at, confidence=0.95):
    """Fit a line to the logarithms.

    Parameters
    ----------
    parameters, values : list of float
        At least three points.
    at : float
        Number of parameters to follow the line to.
    confidence : float, default=0.95
        Of the intervals: those of Student's t for the errors of the fit.

    Returns
    -------
    law : dict
        ``slope`` and ``value`` (at `at`), each with an interval (low, high);
        ``factor``.
    """
    import numpy as np
    from scipy.stats import t

    x, y = np.log(parameters), np.log(values)
    slope, intercept = np.polyfit(x, y, 1)
    left = len(x) - 2
    spread = ((x - x.mean()) ** 2).sum()
    variance = ((y - slope * x - intercept) ** 2).sum() / left
    far = t.ppf((1 + confidence) / 2, left)
    of_slope = far * np.sqrt(variance / spread)
    distance = (np.log(at) - x.mean()) ** 2 / spread
    of_value = far * np.sqrt(variance * (1 + 1 / len(x) + distance))
    middle = slope * np.log(at) + intercept
    return {
        "factor": float(np.exp(intercept)),
        "slope": (slope, slope - of_slope, slope + of_slope),
        "value": tuple(np.exp([middle, middle - of_value, middle + of_value])),
    }


def describe(contents):
    """Return a line for every quantity and number of steps."""
    large, lines = parameters_of_large(contents), []
    for steps, (sizes, parameters, quantities) in curves(contents).items():
        for name, values in quantities.items():
            law = fit_power_law(parameters, values, large)
            slope, low, high = law["slope"]
            middle, least, most = law["value"]
            falls = (
                "falls" if high < 0 else "rises" if low > 0 else "is not told from 0"
            )
            lines.append(
                f"- {steps:,} steps, {QUANTITIES[name]}: {law['factor']:.3g} x "
                f"parameters^{slope:+.3f}, 95 % interval of the exponent {low:+.3f} to "
                f"{high:+.3f} ({falls}; {len(sizes)} sizes); followed to the "
                f'{large:,} parameters of "large": {middle:.3f}, 95 % '
                f"interval {least:.3f} to {most:.3f}\n"
            )
    return "".join(lines)


def draw(path, contents):
    """Draw both quantities against parameters, and the lines to "large"."""
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    import numpy as np
    from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

    large = parameters_of_large(contents)
    figure, axes = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for colour, (steps, found) in enumerate(curves(contents).items()):
        sizes, parameters, quantities = found
        for axis, (name, values) in zip(axes, quantities.items(), strict=True):
            style = {"color": f"C{colour}"}
            axis.plot(parameters, values, "o-", label=f"{steps:,} steps", **style)
            law = fit_power_law(parameters, values, large)
            line = np.geomspace(parameters[0], large, 50)
            law = law["factor"] * line ** law["slope"][0]
            axis.plot(line, law, "--", lw=1, alpha=0.6, **style)
            axis.set(xlabel="parameters of the encoder", ylabel=QUANTITIES[name])
            axis.set(xscale="log", yscale="log")
            if colour == 0:
                for size, number in zip(
                    [*sizes, "large"], [*parameters, large], strict=True
                ):
                    place = {"xy": (number, 1.02), "ha": "center", "fontsize": 8}
                    axis.annotate(size, xycoords=("data", "axes fraction"), **place)
                axis.axvline(large, color="0.7", lw=1, ls=":")
    for axis in axes:
        axis.yaxis.set_minor_formatter(NullFormatter())
        axis.yaxis.set_major_locator(MaxNLocator(6))
        axis.yaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
        axis.tick_params(which="both", labelsize=8)
    axes[0].plot([], [], "k--", lw=1, alpha=0.6, label="power law, on paper")
    marks, words = axes[0].get_legend_handles_labels()
    figure.legend(marks, words, loc="outside lower center", ncols=3, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Draw the figure and print the laws."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    contents = [json.loads((options.results / "sizes.json").read_text("utf-8"))]
    draw(options.figure, contents)
    print(describe(contents), end="")


if __name__ == "__main__":
    main()
