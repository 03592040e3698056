"""The tables of sizes.py and distillation.py, and their figure.

python tests/benchmarks/report_distillation.py --figure docs/images/distillation.svg
"""

import argparse
import json
import statistics
from pathlib import Path

from _common import RESULTS
from _tables import NOTHING, over_units, records_of, sources, spread, table

METHODS = {
    "lda": "LDA on features",
    "teacher": "teacher: frozen default weights + LogisticRegression",
    "alone": "labels alone",
    "logits": "labels and logits",
    "distilled": "labels, logits and features",
    "views": "labels, logits, features, another view of each window",
    "unlabelled": "labels, logits, features, unlabelled windows",
    "more people": "the same, and unlabelled windows of 19 other persons",
}
TITLES = {
    ("cote", "people"): "Myo, Côté-Allard: unseen persons",
    ("cote", "within"): "Myo, Côté-Allard: within persons, first round -> two others",
    ("3dc", "people"): "3DC: unseen persons",
}


def sizes(contents):
    """Render the named sizes, the forms of students, and the step of "large"."""
    if not contents:
        return NOTHING
    text = [_named(contents)]
    if records_of(contents, question="forms"):
        text.append("\n**Forms of a student** (unseen people of part 1, distilled)\n\n")
        text.append(_forms(contents))
    if records_of(contents, question="scaling"):
        text.append("\n**Short pretraining of every size** (samples hidden)\n\n")
        text.append(_scaling(contents))
    if records_of(contents, question="large"):
        text.append('\n**One training step of "large"**, four windows\n\n')
        text.append(_large(contents))
    return "\n" + "".join(text) + sources(contents)


def _named(contents):
    rows = []
    for record in records_of(contents, question="table"):
        values = record["values"]
        depth, width, heads, patch = values["shape"]
        costs = []
        for n_times in ("40", "200", "1000"):
            cost = values[n_times]
            note = "" if cost["fits"] else " (too large for L2)"
            costs += [
                f"{cost['macs'] / 1e6:,.1f}",
                f"{cost['ms']:,.1f}{note}",
                f"{cost['mj']:,.2f}",
            ]
        rows.append(
            [
                record["key"]["size"],
                f"{depth} x {width}",
                heads,
                patch,
                f"{values['parameters']:,}",
                *costs,
            ]
        )
    units = ("M MAC", "ms", "mJ")
    head = ["size", "layers x width", "heads", "patch", "parameters"]
    head += [f"8 x {n}: {unit}" for n in (40, 200, 1000) for unit in units]
    return table(head, rows)


def _forms(contents):
    forms = {}
    for record in records_of(contents, question="forms"):
        forms.setdefault(record["key"]["form"], []).append(record["values"])
    rows = [
        [
            name,
            f"{found[0]['parameters']:,}",
            f"{found[0]['200']['macs'] / 1e6:.1f}",
            f"{found[0]['200']['ms']:.1f}",
            f"{found[0]['200']['mj']:.2f}",
            spread([values["accuracy"] for values in found]),
            len(found),
        ]
        for name, found in forms.items()
    ]
    head = ["form", "parameters", "8 x 200: M MAC", "ms", "mJ", "accuracy", "folds"]
    return table(head, rows)


def _scaling(contents):
    rows = [
        [
            record["key"]["size"],
            f"{record['values']['parameters']:,}",
            record["key"]["steps"],
            f"{record['values']['error']:.4f}",
            spread(record["values"]["accuracy"]),
            f"{record['values']['fit_time']:.0f}",
        ]
        for record in records_of(contents, question="scaling")
    ]
    head = ["size", "parameters", "steps", "error of hidden samples", "accuracy", "s"]
    return table(head, rows)


def _large(contents):
    rows = [
        [
            f"8 x {record['key']['n_times']}",
            record["key"]["way"],
            f"{record['values']['peak_gib']:.1f}",
            f"{record['values']['seconds']:.0f}",
        ]
        for record in records_of(contents, question="large")
    ]
    return table(["windows", "way", "peak memory, GiB", "s"], rows)


def distillation(contents):
    """Render the contenders of every protocol, the recipes, and the integers."""
    if not contents:
        return NOTHING
    text = []
    for (name, protocol), title in TITLES.items():
        mine = records_of(contents, set=name, question=protocol)
        if mine:
            text += [f"\n**{title}**\n\n", _contenders(mine)]
    recipes = records_of(contents, question="recipe")
    if recipes:
        text += ["\n**Recipes** (unseen people of part 1)\n\n", _recipes(recipes)]
    for record in records_of(contents, question="export"):
        values = record["values"]
        ran = [c for c in values["checks"] if c["status"] != "skipped"]
        passed = sum(check["status"] == "passed" for check in ran)
        text.append(
            f"\n**In integers** (first fold, {values['parameters']:,} parameters): "
            f"accuracy {values['accuracy']:.4f} in float32 and "
            f"{values['integers']:.4f} in integers; the two agree on "
            f"{100 * values['agreement']:.2f} % of the windows; {passed} of "
            f"{len(ran)} checks of the bundle passed.\n"
        )
    return "".join(text) + sources(contents)


def _groups(records):
    """Return (method, size) -> records, in the order of METHODS."""
    found = {}
    for record in records:
        name = record["key"]["method"], record["key"]["size"]
        found.setdefault(name, []).append(record)
    order = list(METHODS)
    return dict(
        sorted(
            found.items(), key=lambda item: (item[0][1] or "", order.index(item[0][0]))
        )
    )


def _means(records):
    return over_units(records, lambda values: values["accuracy"])


def _gap(records, teacher):
    """Return the mean distance to the teacher on the same folds, in points."""
    units = {}
    for record in records:
        mine = units.setdefault(record["key"]["unit"], [])
        mine.append(record["values"]["accuracy"])
    gaps = [statistics.fmean(found) - teacher[unit] for unit, found in units.items()]
    return 100 * statistics.fmean(gaps)


def _teacher_of(groups):
    """Return the teacher's accuracy of each fold."""
    return {
        record["key"]["unit"]: record["values"]["accuracy"]
        for record in groups["teacher", None]
    }


def _contenders(records):
    groups = _groups(records)
    teacher = _teacher_of(groups)
    rows = []
    for (method, size), mine in groups.items():
        units, seeds = _means(mine)
        gap = f"{_gap(mine, teacher) + 0.0:+.1f}".replace("-0.0", "0.0")
        rows.append(
            [
                size or "",
                METHODS[method],
                spread(units),
                len(units),
                _seeds(mine, units, seeds),
                "" if method == "teacher" else gap,
            ]
        )
    head = ["size", "learned from", "accuracy", "folds or persons", "seeds"]
    return table([*head, "points to the teacher"], rows)


def _seeds(records, units, seeds):
    """Return how many seeds all folds have, and their spread."""
    n = len(records) // len(units)
    return f"{n} (± {statistics.pstdev(seeds):.3f})" if n > 1 else "1"


def _recipes(records):
    names = {}
    for record in records:
        names.setdefault(record["key"]["recipe"], []).append(
            record["values"]["accuracy"]
        )
    rows = [[name, spread(found), len(found)] for name, found in names.items()]
    return table(["recipe", "accuracy", "folds"], rows)


def draw(path, distilled, named):
    """Draw accuracy against parameters, multiplications and energy.

    Parameters
    ----------
    path : Path
        File to write.
    distilled, named : list of dict
        Contents of the files of distillation.py and of sizes.py.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import NullFormatter

    costs = {
        record["key"]["size"]: (
            record["values"]["parameters"],
            record["values"]["40"]["macs"] / 1e6,
            record["values"]["40"]["mj"],
        )
        for record in records_of(named, question="table")
    }
    groups = _groups(records_of(distilled, set="cote", question="people"))
    figure, axes = plt.subplots(
        1, 3, figsize=(10, 4), sharey=True, layout="constrained"
    )
    labels = ("parameters", "multiplications, millions", "energy of a window, mJ")
    teacher = _teacher_of(groups)
    for place, axis in enumerate(axes):
        for style, method in zip(
            "os^", ("alone", "distilled", "unlabelled"), strict=True
        ):
            mine = sorted(
                (costs[size][place], _gap(found, teacher))
                for (name, size), found in groups.items()
                if name == method
            )
            axis.plot(*zip(*mine, strict=True), f"{style}-", label=METHODS[method])
        axis.plot(costs["tinymyo"][place], 0, "D", color="k", label="teacher")
        lda = _gap(groups["lda", None], teacher)
        axis.axhline(lda, color="0.5", ls="--", lw=1, label="LDA on features")
        axis.set(xscale="log", xlabel=labels[place])
        axis.xaxis.set_minor_formatter(NullFormatter())
    axes[0].set_ylabel("accuracy on unseen people,\npoints above the teacher")
    marks, words = axes[0].get_legend_handles_labels()
    figure.legend(marks, words, loc="outside lower center", ncols=3, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    distilled, named = (
        [json.loads((options.results / f"{name}.json").read_text(encoding="utf-8"))]
        for name in ("distillation", "sizes")
    )
    draw(options.figure, distilled, named)


if __name__ == "__main__":
    main()
