"""Render the stored results as tables in docs/benchmarks.md.

    python tests/benchmarks/report.py

Reads every JSON file in tests/benchmarks/results (or ``--results``) and replaces what
stands between ``<!-- begin NAME -->`` and ``<!-- end NAME -->`` in the page. Sections
without results say so; text outside the markers is left alone.
"""

import argparse
import json
import re
import statistics
import sys
from pathlib import Path

from _common import RESULTS
from _tables import (
    NOTHING,
    distinct,
    over_units,
    records_of,
    sources,
    spread,
    table,
    windows_text,
)
from contenders import LABELS, TRAINING_LABELS
from pretraining_speed import GOAL, GOAL_NAME, GOAL_SHAPE
from pretraining_speed import LABELS as PRETRAINING_LABELS
from report_deployment import C_GOAL, c_ratios, deployment
from report_distillation import distillation, sizes
from report_hdsemg import hdsemg
from report_pretraining import ablation, electrode_orders, recipes, turn_costs
from report_transfer import transfer

PAGE = Path(__file__).parents[2] / "docs" / "benchmarks.md"
METHODS = {
    "lda": "LDA on features",
    "svm": "linear SVM on features",
    "forest": "random forest on features",
    "embedder": "TinyMyoEmbedder (random weights) + LogisticRegression",
    "tinymyo": "TinyMyoClassifier, from random weights",
    "ridge": "ridge on features",
}
SETS = {
    "3dc": "3DC (10 channels, 1000 Hz, 11 gestures, 21 persons)",
    "cote": "Myo, Côté-Allard (8 channels, 200 Hz, 7 gestures, 18 persons)",
    "ciil": "CIIL (8 channels, 200 Hz, 5 gestures, 11 persons)",
    "wrist": "wrist angles (4 channels, 460 Hz, one person)",
    "grip": "grip force (8 channels, 200 Hz, 14 persons)",
}
PROTOCOLS = {
    ("3dc", "within"): "within persons: cycles 0-3 -> 4-7",
    ("cote", "within"): "within persons: training round -> two test rounds",
    ("ciil", "within"): "within persons: 1 s per gesture -> 15 repetitions",
    "people": "unseen persons: GroupKFold, five folds",
}
ENGINE_GOALS = {
    "onnxruntime float32": 1.9,
    "openvino float32": 2.3,
    "openvino bf16": 4.2,
    "openvino int8": 5.5,
}
GROUPS = {"htd": "HTD", "ls4": "LS4", "tdpsd": "TDPSD"}


def accuracy(contents):
    """Render the tables of accuracy.py."""
    text = []
    for name in ("3dc", "cote", "ciil"):
        for protocol in ("within", "people"):
            mine = records_of(contents, set=name, protocol=protocol)
            if not mine:
                continue
            title = PROTOCOLS.get((name, protocol)) or PROTOCOLS[protocol]
            text.append(f"\n**{SETS[name]}, {title}**\n\n")
            rows = []
            for amount in ("full", "reduced"):
                for method in METHODS:
                    found = records_of(
                        contents,
                        set=name,
                        protocol=protocol,
                        amount=amount,
                        method=method,
                    )
                    if found:
                        rows.append(_accuracy_row(method, amount, found))
            head = [
                "method",
                "data",
                "training windows",
                "people" if protocol == "within" else "folds",
                "accuracy",
                "balanced accuracy",
                "macro-F1",
                "seeds (± of accuracy)",
            ]
            text.append(table(head, rows))
    return "".join(text) + sources(contents) if text else NOTHING


def _accuracy_row(method, amount, records):
    cells = []
    for name in ("accuracy", "balanced_accuracy", "f1_macro"):
        means, seeds = over_units(records, lambda values, name=name: values[name])
        cells.append(spread(means))
        if name == "accuracy":
            n_units, n_seeds = len(means), len(seeds)
            between = statistics.pstdev(seeds) if n_seeds > 1 else None
    seeds_text = f"{n_seeds}" + (f" (± {between:.3f})" if between is not None else "")
    passes = records[0]["key"]["max_epochs"]
    label = METHODS[method] + (f", {passes} epochs" if passes else "")
    label = label.replace("auto epochs", "epochs by default")
    return [
        label,
        amount,
        windows_text(records, "n_train"),
        n_units,
        *cells,
        seeds_text,
    ]


def regression(contents):
    """Render the tables of regression.py."""
    text = []
    for name in ("wrist", "grip"):
        mine = records_of(contents, set=name)
        if not mine:
            continue
        targets = list(mine[0]["values"]["r2"])
        head = ["method", "data", "training windows", "folds", "seeds"]
        for target in targets:
            head += [f"R2, {target}", "MAE"]
        rows = []
        for amount in ("full", "reduced"):
            for method in METHODS:
                found = records_of(contents, set=name, amount=amount, method=method)
                if not found:
                    continue
                cells = []
                for target in targets:
                    for score in ("r2", "mean_absolute_error"):
                        means, seeds = over_units(
                            found, lambda v, s=score, t=target: v[s][t]
                        )
                        cells.append(spread(means))
                label = METHODS[method].replace("TinyMyoClassifier", "TinyMyoRegressor")
                label += f", {found[0]['key']['max_epochs']} epochs" * bool(
                    found[0]["key"]["max_epochs"]
                )
                count = windows_text(found, "n_train")
                rows.append([label, amount, count, len(means), len(seeds), *cells])
        text += [f"\n**{SETS[name]}**\n\n", table(head, rows)]
    return "".join(text) + sources(contents) if text else NOTHING


def inference(contents):
    """Render the inference part of speed.py."""
    records = records_of(contents, kind="inference")
    if not records:
        return NOTHING
    reference = records[0]["key"]["reference"]
    text = []
    for shape in distinct(records, "shape"):
        mine = [record for record in records if record["key"]["shape"] == shape]
        batches = distinct(mine, "batch")
        head = [shape, *[f"w/s, batch {batch}" for batch in batches]]
        head += [*[f"ratio, {batch}" for batch in batches], "peak memory, MiB"]
        rows = []
        for name in mine[0]["values"]:
            values = [record["values"][name] for record in mine]
            peaks = [f"{v['peak_mib']:.0f}" for v in values if "peak_mib" in v]
            rows.append(
                [
                    LABELS[name],
                    *[f"{v['windows_per_second']:.1f}" for v in values],
                    *[f"{v['ratio']:.2f}" for v in values],
                    peaks[-1] if peaks else "",
                ]
            )
        text += ["\n", table(head, rows)]
    note = f"\nRatios: {LABELS[reference]} = 1.\n"
    return "".join(text) + note + sources(contents)


def engines(contents):
    """Render the results of engines.py."""
    records = records_of(contents, kind="engines")
    if not records:
        return NOTHING
    rows = []
    for record in records:
        key, values = record["key"], record["values"]
        for name, row in values.items():
            engine, _, precision = name.partition(" ")
            difference = row.get("difference")
            rows.append(
                [
                    f"{key['shape']}, batch {key['batch']}",
                    LABELS[engine] if engine == "authors" else engine,
                    precision,
                    f"{row['windows_per_second']:.1f}",
                    f"{row['ratio']:.2f}",
                    "" if difference is None else f"{difference:.1e}",
                ]
            )
    head = ["windows", "engine", "precision", "w/s", "ratio", "difference to torch"]
    reference = records[0]["key"]["reference"]
    note = f"\nRatios: {LABELS.get(reference, reference)} = 1.\n"
    return table(head, rows) + note + sources(contents)


def training(contents):
    """Render the training part of speed.py."""
    records = records_of(contents, kind="training")
    if not records:
        return NOTHING
    reference = records[0]["key"]["reference"]
    rows = []
    for record in records:
        base = record["values"][reference]["growth_mib"]
        for name, label in TRAINING_LABELS.items():
            values = record["values"].get(name)
            if values is None:
                continue
            rows.append(
                [
                    f"{record['key']['shape']}, batch {record['key']['batch']}",
                    label,
                    f"{values['windows_per_second']:.1f}",
                    f"{values['ratio']:.2f}",
                    f"{values['growth_mib']:.0f}",
                    f"{base / max(values['growth_mib'], 1):.1f}",
                ]
            )
    batch = records[0]["values"]["memory_batch"]
    head = ["case", "contender", "w/s", "ratio", f"MiB beyond the model, batch {batch}"]
    note = f"\nRatios: {TRAINING_LABELS[reference]} = 1 (memory: how much less).\n"
    return table([*head, "times less memory"], rows) + note + sources(contents)


def pretraining(contents):
    """Render the results of pretraining_speed.py."""
    rows = []
    for record in records_of(contents):
        for name, label in PRETRAINING_LABELS.items():
            values = record["values"].get(name)
            if values is None:
                continue
            ratios = [values.get(f"times_{base}") for base in ("authors", "plain")]
            rows.append(
                [
                    record["key"]["shape"],
                    label,
                    values["batch"],
                    f"{values['windows_per_second']:.1f}",
                    *["" if ratio is None else f"{ratio:.2f}" for ratio in ratios],
                ]
            )
    if not rows:
        return NOTHING
    head = ["windows", "step", "batch", "w/s", "times authors'", "times plain"]
    return table(head, rows) + sources(contents)


def growth(contents):
    """Render the growth part of speed.py."""
    records = records_of(contents, kind="growth")
    if not records:
        return NOTHING
    records.sort(key=lambda record: record["key"]["n_windows"])
    rows = [
        [
            f"{record['key']['n_windows']:,}",
            f"{record['values']['seconds']:.2f}",
            f"{record['values']['windows_per_second']:.0f}",
            f"{record['values']['input_mib']:.0f}",
            f"{record['values']['output_mib']:.0f}",
            f"{record['values']['beyond_output_mib']:.0f}",
        ]
        for record in records
    ]
    head = ["windows", "s", "w/s", "input, MiB", "output, MiB", "beyond both, MiB"]
    return table(head, rows) + sources(contents)


def search(contents):
    """Render the results of search.py."""
    records = records_of(contents)
    if not records:
        return NOTHING
    seconds = {r["key"]["way"]: r["values"]["seconds"] for r in records}
    rows = []
    for record in records:
        way = record["key"]["way"]
        ratio = seconds["pipeline"] / seconds[way] if "pipeline" in seconds else None
        rows.append(
            [
                way,
                f"{seconds[way]:.1f}",
                f"{ratio:.1f}" if ratio else "",
                f"{record['values']['best_score']:.3f}",
            ]
        )
    head = ["way", "s", "times faster than pipeline", "best score"]
    return table(head, rows) + sources(contents)


def preprocessing(contents):
    """Render the results of preprocessing.py."""
    rows = []
    for record in records_of(contents, kind="features"):
        values, group = record["values"], GROUPS[record["key"]["group"]]
        libemg = values.get("libemg")
        for name in ("libemg", "float64", "float32"):
            if name in values:
                ratio = f"{values[name] / libemg:.1f}" if libemg else ""
                who = "LibEMG" if name == "libemg" else f"ours, {name}"
                rows.append([group, who, f"{values[name]:,.0f}", ratio])
    text = table(["features", "", "w/s", "ratio"], rows) if rows else ""
    for record in records_of(contents, kind="filter"):
        rows = [[who, f"{took:.1f}"] for who, took in record["values"].items()]
        text += "\n" + table(["filter", "ms"], rows)
    return text + sources(contents) if text else NOTHING


def goals(results):
    """Compare what was measured with what was aimed at, beside the authors' code."""
    rows = []

    def row(work, goal, numbers):
        if not numbers:
            rows.append([work, f">= {goal}", "not measured", ""])
            return
        low, high = min(numbers), max(numbers)
        measured = f"{low:.2f}" if len(numbers) == 1 else f"{low:.2f} to {high:.2f}"
        reached = sum(number >= goal for number in numbers)
        verdict = "reached" if reached == len(numbers) else "missed"
        if 0 < reached < len(numbers):
            verdict = f"reached in {reached} of {len(numbers)} cases"
        rows.append([work, f">= {goal}", measured, verdict])

    def ratios(kind, name):
        records = records_of(results.get("speed", []), kind=kind, reference="authors")
        return [r["values"][name]["ratio"] for r in records]

    row("inference, float32", 2.0, ratios("inference", "packed"))
    row("inference, bf16", 3.2, ratios("inference", "packed-bf16"))
    row("inference, onnxruntime", 1.9, ratios("inference", "onnxruntime"))
    for name, goal in ENGINE_GOALS.items():
        found = records_of(results.get("engines", []), reference="authors")
        ratios_found = [record["values"][name]["ratio"] for record in found]
        row(f"inference, engine {name}", goal, ratios_found)
    row("training, regularised", 3.4, ratios("training", "ours"))
    row("training, no dropout", 4.3, ratios("training", "ours-no-dropout"))
    large = records_of(
        results.get("speed", []), kind="training", reference="authors", shape="16x1000"
    )
    row(
        "training, memory at 800 tokens",
        10.0,
        [
            r["values"]["authors"]["growth_mib"] / r["values"]["ours"]["growth_mib"]
            for r in large
        ],
    )
    steps = records_of(
        results.get("pretraining-speed", []), shape=GOAL_SHAPE, authors=True
    )
    row(
        f"pretraining at {GOAL_SHAPE}, the recipe that ships",
        GOAL,
        [r["values"][GOAL_NAME]["times_authors"] for r in steps],
    )
    ways = {
        r["key"]["way"]: r["values"]["seconds"]
        for r in records_of(results.get("search", []))
    }
    known = {"pipeline", "embedder-memory"} <= set(ways)
    row(
        "grid search of a head",
        20.0,
        [ways["pipeline"] / ways["embedder-memory"]] if known else [],
    )
    for group, goal in (("htd", 3.5), ("tdpsd", 11.5), ("ls4", 37.0)):
        found = records_of(results.get("preprocessing", []), group=group)
        values = [
            r["values"]["float32"] / r["values"]["libemg"]
            for r in found
            if "libemg" in r["values"]
        ]
        row(f"features, {GROUPS[group]}, beside LibEMG", goal, values)
    row("C program of a bundle, beside onnxruntime int8", C_GOAL, c_ratios(results))
    return table(["work", "goal, times", "measured, times", ""], rows)


def main():
    """Fill the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args()
    results = {}
    for path in sorted(options.results.glob("*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        results.setdefault(content["benchmark"], []).append(content)
    speed = results.get("speed", [])

    def part(kind):
        return [c for c in speed if any(r["key"]["kind"] == kind for r in c["records"])]

    sections = {
        "goals": goals(results),
        "accuracy": accuracy(results.get("accuracy", [])),
        "transfer": transfer(results.get("transfer", [])),
        "ablation": ablation(results.get("ablation", [])),
        "sizes": sizes(results.get("sizes", [])),
        "distillation": distillation(
            results.get("distillation", []), results.get("transfer", [])
        ),
        "recipes": recipes(results.get("recipes", [])),
        "electrode_order": electrode_orders(results.get("electrode_order", [])),
        "turn_cost": turn_costs(results.get("turn_cost", [])),
        "hdsemg": hdsemg(results.get("hdsemg", [])),
        "regression": regression(results.get("regression", [])),
        "inference": inference(part("inference")),
        "engines": engines(results.get("engines", [])),
        "training": training(part("training")),
        "pretraining": pretraining(results.get("pretraining-speed", [])),
        "growth": growth(part("growth")),
        "search": search(results.get("search", [])),
        "preprocessing": preprocessing(results.get("preprocessing", [])),
        "deployment": deployment(results),
    }
    page = options.page.read_text(encoding="utf-8")
    for name, text in sections.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
        if not pattern.search(page):
            raise SystemExit(f"{options.page} lacks the markers of {name!r}.")
        replacement = f"{begin}\n{text}\n{end}"
        page = pattern.sub(lambda match, text=replacement: text, page)
    draft = options.page.with_name(options.page.name + ".part")
    draft.write_text(page, encoding="utf-8")
    draft.replace(options.page)


if __name__ == "__main__":
    sys.exit(main())
