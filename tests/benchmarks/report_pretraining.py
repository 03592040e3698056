"""The tables of ablation.py, recipes.py, turn_cost.py and electrode_order.py."""

import statistics

from _tables import NOTHING, sources, spread, table

ABLATION_LABELS = {
    "features": "no network: LDA on time-domain features",
    "random": "encoder that learned nothing",
    "published": "the published recipe",
    "samples": "samples alone, no labels",
    "spectrum": "spectra alone, no labels",
    "samples and spectrum": "samples and spectra, no labels",
    "labels and samples": "samples and labels",
    "labels and spectrum": "spectra and labels",
    "base": "**base**: samples, spectra and labels",
    "aligned": "armbands aligned (ships)",
    "turned at random": "armbands turned at random",
    "simulated rates": "simulated recordings of other rates beside (ships)",
    "mask tokens": "mask tokens inside the encoder",
    "25 % hidden": "25 % hidden",
    "75 % hidden": "75 % hidden",
    "whole channels": "whole channels hidden",
    "spans of time": "spans of time hidden, long windows",
    "short windows only": "windows of 40 samples only",
    "long windows only": "windows of 200 samples only",
    "no gain": "no augmentation of the gain",
}


def ablation(contents):
    """Render the mean over folds, and mean and spread over seeds."""
    records = [record for content in contents for record in content["records"]]
    if not records:
        return NOTHING
    places = list(records[0]["values"])
    rows = []
    for variant, label in ABLATION_LABELS.items():
        mine = [r for r in records if r["key"]["variant"] == variant]
        if not mine:
            continue
        row = [label, len(mine)]
        for place in places:
            means = [statistics.fmean(r["values"][place]) for r in mine]
            row.append(spread(means) if len(means) > 1 else f"{means[0]:.3f}")
        rows.append(row)
    head = ["pretraining", "seeds", *(f"unseen people, {place}" for place in places)]
    return "\n" + table(head, rows) + sources(contents)


def recipes(contents):
    """Render both accuracies of every recipe."""
    records = [record for content in contents for record in content["records"]]
    if not records:
        return NOTHING
    places = list(records[0]["values"])
    rows = [
        [
            record["key"]["recipe"],
            record["key"].get("weights", ""),
            *(spread(record["values"][place]) for place in places),
        ]
        for record in records
    ]
    return "\n" + table(["recipe", "weights", *places], rows) + sources(contents)


def turn_costs(contents):
    """Render the mean accuracy over folds of every set and cost."""
    records = [record for content in contents for record in content["records"]]
    if not records:
        return NOTHING
    sets = list(dict.fromkeys(r["key"]["set"] for r in records))
    costs = list(dict.fromkeys(r["key"]["turn_cost"] for r in records))
    means = {
        (r["key"]["set"], r["key"]["turn_cost"]): spread(r["values"]["accuracy"])
        for r in records
    }
    head = ["set", *("not aligned" if cost is None else f"{cost:g}" for cost in costs)]
    rows = [[name, *(means.get((name, cost), "") for cost in costs)] for name in sets]
    return "\n" + table(head, rows) + sources(contents)


def electrode_orders(contents):
    """Render the order as recorded, and the range over all others."""
    records = [record for content in contents for record in content["records"]]
    if not records:
        return NOTHING
    rows = []
    for name in dict.fromkeys(record["key"]["set"] for record in records):
        mine = [r for r in records if r["key"]["set"] == name]
        recorded = next(r for r in mine if r["key"]["order"] == "as recorded")
        means = [
            statistics.fmean(r["values"]["accuracy"]) for r in mine if r is not recorded
        ]
        rows.append(
            [
                name,
                spread(recorded["values"]["accuracy"]),
                len(means),
                f"{statistics.fmean(means):.3f}",
                f"{min(means):.3f} to {max(means):.3f}",
            ]
        )
    head = ["set", "as recorded", "other orders", "their mean", "their range"]
    return "\n" + table(head, rows) + sources(contents)
