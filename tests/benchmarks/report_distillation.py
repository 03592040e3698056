"""The tables of sizes.py and distillation.py, and their figure.

python tests/benchmarks/report_distillation.py --figure docs/images/distillation.svg
"""

import argparse
import json
import statistics
from pathlib import Path

from _common import RESULTS
from _tables import NOTHING, over_units, records_of, sources, spread, table
from report_scaling import describe

METHODS = {
    "lda": "LDA on features",
    "teacher": "teacher: frozen default weights + LogisticRegression",
    "frozen": "frozen pretrained weights + LogisticRegression",
    "alone": "labels alone",
    "alone, longer": "labels alone, for as many windows as with unlabelled ones",
    "tuned": "labels alone, all of the network, from pretrained weights",
    "logits": "labels and logits",
    "distilled": "labels, logits and features",
    "views": "labels, logits, features, another view of each window",
    "unlabelled": "labels, logits, features, unlabelled windows",
    "more people": "the same, and unlabelled windows of 19 other persons",
    "from weights": "labels, logits and features, from pretrained weights",
    "from weights, unlabelled": (
        "labels, logits, features, unlabelled windows, from pretrained weights"
    ),
}
SIZES = ("nano", "tiny", "small", "tinymyo")
# Rows of transfer.py: method, weights -> method and size here.
OF_TRANSFER = {
    ("tuned-random", "random (small)"): ("alone", "small"),
    ("embed-open", "tinymyo-open-small"): ("frozen", "small"),
    ("tuned-open", "tinymyo-open-small"): ("tuned", "small"),
    ("tuned-open", "default"): ("tuned", "tinymyo"),
}
# Of the figure: methods that a line joins, and its style.
LINES = {
    "alone": "o-",
    "tuned": "v-",
    "frozen": "D-",
    "distilled": "s-",
    "unlabelled": "^-",
    "more people": "P",
    "from weights": "X",
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
        text += [_scaling(contents), "\nLaws on paper:\n\n", describe(contents)]
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


def distillation(contents, transferred):
    """Render the contenders of every protocol, the recipes, and the integers."""
    if not contents:
        return NOTHING
    text = []
    for (name, protocol), title in TITLES.items():
        mine = contenders_of(contents, transferred, name, protocol)
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


def contenders_of(contents, transferred, name, protocol):
    """Return the records of a protocol, and those of transfer.py on the same windows.

    Only folds that have a teacher here are taken over.
    """
    mine = records_of(contents, set=name, question=protocol)
    units = {record["key"]["unit"] for record in mine}
    theirs = records_of(
        transferred, set=name, protocol=protocol, amount="reduced", form="person"
    )
    for record in theirs:
        key = record["key"]
        found = OF_TRANSFER.get((key["method"], key.get("weights")))
        if found is not None and key["unit"] in units:
            method, size = found
            mine.append(
                record | {"key": key | {"method": method, "size": size}},
            )
    return mine


def _groups(records):
    """Return (method, size) -> records, in the order of METHODS."""
    found = {}
    for record in records:
        name = record["key"]["method"], record["key"]["size"]
        found.setdefault(name, []).append(record)
    methods, sizes_ = list(METHODS), (None, *SIZES)

    def place(item):
        (method, size), _ = item
        return sizes_.index(size), methods.index(method)

    return dict(sorted(found.items(), key=place))


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


def draw(path, distilled, named, transferred):
    """Draw accuracy against parameters, multiplications and energy.

    Parameters
    ----------
    path : Path
        File to write.
    distilled, named, transferred : list of dict
        Contents of the files of distillation.py, of sizes.py and of transfer.py.
    """
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    costs = {
        record["key"]["size"]: (
            record["values"]["parameters"],
            record["values"]["40"]["macs"] / 1e6,
            record["values"]["40"]["mj"],
        )
        for record in records_of(named, question="table")
    }
    groups = _groups(contenders_of(distilled, transferred, "cote", "people"))
    teacher = _teacher_of(groups)
    # The teacher is the frozen one of its size.
    groups["frozen", "tinymyo"] = groups["teacher", None]
    figure, axes = plt.subplots(
        1, 3, figsize=(11, 5.5), sharey=True, layout="constrained"
    )
    labels = ("parameters", "multiplications, millions", "energy of a window, mJ")
    for number, axis in enumerate(axes):
        for size in SIZES:
            cost = costs[size][number]
            axis.axvline(cost, color="0.85", lw=1, zorder=0)
            place = {"xy": (cost, 1.01), "xycoords": ("data", "axes fraction")}
            axis.annotate(size, **place, ha="center", fontsize=9)
        for method, style in LINES.items():
            mine = [
                (costs[size][number], _gap(groups[method, size], teacher))
                for size in SIZES
                if (method, size) in groups
            ]
            if mine:
                axis.plot(*zip(*mine, strict=True), style, label=METHODS[method])
        lda = _gap(groups["lda", None], teacher)
        axis.axhline(lda, color="0.3", ls="--", lw=1, label=METHODS["lda"])
        axis.axhline(0, color="0.3", ls=":", lw=1, label=METHODS["teacher"])
        axis.set(xscale="log", xlabel=labels[number])
        axis.xaxis.set_minor_formatter(NullFormatter())
        if number:
            axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes[0].set_ylabel("accuracy on unseen people,\npoints above the teacher")
    marks, words = axes[0].get_legend_handles_labels()
    figure.legend(marks, words, loc="outside lower center", ncols=2, fontsize=8)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, metadata={"Date": None})


def main():
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--figure", type=Path, required=True)
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    contents = [
        [json.loads((options.results / f"{name}.json").read_text(encoding="utf-8"))]
        for name in ("distillation", "sizes", "transfer-cote-people")
    ]
    draw(options.figure, *contents)


if __name__ == "__main__":
    main()
