"""The tables of transfer.py."""

import statistics

from _tables import (
    NOTHING,
    over_units,
    records_of,
    sources,
    spread,
    table,
    windows_text,
)

METHODS = {
    "lda": "LDA on features",
    "svm": "linear SVM on features",
    "forest": "random forest on features",
    "logistic": "LogisticRegression on features",
    "lda-aligned": "LDA on features, armbands aligned",
    "forest-aligned": "random forest on features, armbands aligned",
    "minirocket": "MiniRocket",
    "embed-random": "frozen, random weights + LogisticRegression",
    "embed-open": "frozen, open weights + LogisticRegression",
    "union-random": "frozen, random weights, and features + LogisticRegression",
    "union-open": "frozen, open weights, and features + LogisticRegression",
    "tuned-random": "tuned from random weights",
    "tuned-open": "tuned from open weights",
    "embed-random-aligned": (
        "frozen, random weights + LogisticRegression, armbands aligned"
    ),
    "embed-open-aligned": "frozen, open weights + LogisticRegression, armbands aligned",
    "tuned-random-aligned": "tuned from random weights, armbands aligned",
    "tuned-open-aligned": "tuned from open weights, armbands aligned",
}
SETS = {
    "cote": "Myo, Côté-Allard (8 channels, 200 Hz, 7 gestures, 18 persons)",
    "3dc": "3DC (10 channels, 1000 Hz, 11 gestures, 21 persons)",
    "ciil": "CIIL (8 channels, 200 Hz, 5 gestures, 11 persons)",
    "ciil-shift": "CIIL, electrodes moved (8 channels, 200 Hz, 5 gestures, 21 persons)",
    "multiday": "MultiDay (4 channels, 1024 Hz, 11 gestures, one person)",
}
PROTOCOLS = {
    "people": "unseen persons, GroupKFold with five folds",
    "calibration": "unseen persons, one repetition of each gesture known",
    "within": "within persons",
    "few-labels": "within persons, from 1, 2 and 4 repetitions of each gesture",
    "shift": "before -> after",
}
FORMS = ("raw", "person")
CALIBRATIONS = {
    "none": "not used",
    "added": "added to the training",
    "alone": "used alone",
    "head": "head tuned",
    "all": "all tuned",
}
GOALS = {("people", "cote"): 0.80, ("people", "3dc"): 0.50}
CONTENDERS = {
    "features": ("lda", "svm", "forest", "logistic"),
    "MiniRocket": ("minirocket",),
    "random weights": ("embed-random", "union-random", "tuned-random"),
    "open weights": ("embed-open", "union-open", "tuned-open"),
    "features, aligned": ("lda-aligned", "forest-aligned"),
    "random weights, aligned": ("embed-random-aligned", "tuned-random-aligned"),
    "open weights, aligned": ("embed-open-aligned", "tuned-open-aligned"),
}


def transfer(contents):
    """Render the overview and a table for each set and protocol."""
    if not contents:
        return NOTHING
    text = ["\n", overview(contents)]
    for protocol, title in PROTOCOLS.items():
        for name, set_title in SETS.items():
            mine = records_of(contents, set=name, protocol=protocol)
            if mine:
                text += [f"\n**{set_title}: {title}**\n\n", _table(mine, protocol)]
    return "".join(text) + sources(contents)


def overview(contents):
    """Render the best of each kind of method on the reduced amount of data."""
    rows = []
    for protocol in PROTOCOLS:
        for name in SETS:
            mine = records_of(contents, set=name, protocol=protocol, amount="reduced")
            for n in sorted({r["key"]["repetitions"] for r in mine}, key=str):
                found = [r for r in mine if r["key"]["repetitions"] == n]
                goal = GOALS.get((protocol, name))
                rows.append(
                    [
                        protocol if n is None else f"{protocol}, {n}",
                        name,
                        *[_best(found, names) for names in CONTENDERS.values()],
                        f">= {goal:.2f}" if goal else "",
                    ]
                )
    return table(["protocol", "set", *CONTENDERS, "goal"], rows)


def _best(records, methods):
    """Return the highest mean accuracy among methods, forms and calibrations."""
    best = None
    for variant in _variants(records).values():
        if variant[0]["key"]["method"] in methods:
            value = statistics.fmean(over_units(variant, _accuracy)[0])
            if best is None or value > best[0]:
                best = value, variant[0]["key"]
    if best is None:
        return ""
    value, key = best
    way = CALIBRATIONS.get(key.get("calibration"))
    network = _network(key)
    rate = f"{key['sfreq']:g} Hz" if key["sfreq"] else None
    details = [key["method"], *filter(None, [network, rate]), key["form"]]
    details += [way] if way else []
    return f"{value:.3f} ({', '.join(details)})"


def _accuracy(values):
    return values["accuracy"]


def _variants(records):
    """Group records by all that names a contender; only the newest recipe is kept."""
    newest = {}
    for record in records:
        key = record["key"]
        name = tuple(
            str(key.get(part))
            for part in (
                "amount",
                "method",
                "weights",
                "sfreq",
                "window",
                "calibration",
                "repetitions",
                "form",
            )
        )
        recipe = str((key.get("sha256"), key["options"], key["most_windows"]))
        newest.setdefault(name, {}).setdefault(recipe, []).append(record)
    return {
        name: max(recipes.values(), key=lambda rows: max(row["date"] for row in rows))
        for name, recipes in newest.items()
    }


def _table(records, protocol):
    """Render the table of one set."""
    rows = {}
    for variant in _variants(records).values():
        key = variant[0]["key"]
        place = (
            key["amount"],
            list(METHODS).index(key["method"]),
            str(key.get("weights")),
            key["sfreq"] or 0,
            key["window"],
            list(CALIBRATIONS).index(key.get("calibration") or "none"),
        )
        rows.setdefault(place, {})[key["repetitions"], key["form"]] = variant
    numbers = sorted({n for cells in rows.values() for n, _ in cells}, key=str)
    folds = protocol in ("people", "calibration")
    days = records[0]["key"]["set"] == "multiday"
    unit = "days" if days else "folds" if folds else "people"
    head = ["method", "data"]
    if protocol == "calibration":
        head.append("known repetition")
    if numbers == [None]:
        head.append("training windows")
    head += [unit, "draws" if folds or numbers != [None] else "seeds"]
    for n in numbers:
        for form in FORMS:
            title = form if n is None else f"{n}, {form}"
            head += [f"{title}: accuracy", "macro-F1"] if n is None else [title]
    return table(
        head, [_row(cells, numbers, protocol) for _, cells in sorted(rows.items())]
    )


def _row(cells, numbers, protocol):
    """Render one contender."""
    first = next(iter(cells.values()))
    key = first[0]["key"]
    row = [_label(key), key["amount"]]
    if protocol == "calibration":
        row.append(CALIBRATIONS[key["calibration"]])
    if numbers == [None]:
        row.append(windows_text(first, "n_train"))
    parts = first[0]["values"].get("parts", {})
    units = {record["key"]["unit"] for record in first}
    draws = {(r["key"]["seed"], r["key"].get("draw")) for r in first}
    days = key["set"] == "multiday"
    row += [len(parts) if days else len(units), len(draws)]
    for n in numbers:
        for form in FORMS:
            found = cells.get((n, form), [])
            row.append(_cell(found, "accuracy", 0))
            if n is None:
                row.append(_cell(found, "f1_macro", 2))
    return row


def _cell(records, name, place):
    """Return mean and spread over people, folds or, of one person, days."""
    if not records:
        return ""
    means, _ = over_units(records, lambda values: values[name])
    parts = records[0]["values"].get("parts")
    if records[0]["key"]["set"] == "multiday":
        deviation = statistics.pstdev([scores[place] for scores in parts.values()])
        return f"{means[0]:.3f} ± {deviation:.3f}"
    return spread(means)


def _network(key):
    """Return the size of a network, or its weights, where they are not the default."""
    name = key.get("weights") or "default"
    if name.startswith("random ("):
        name = name.removeprefix("random (").removesuffix(")")
    return "" if name in ("default", "tinymyo") else name


def _label(key):
    """Return the name of a contender."""
    label = METHODS[key["method"]]
    network = _network(key)
    if network:
        label += f" ({network})"
    if key["sfreq"]:
        label += f", {key['sfreq']:g} Hz"
    if key["window"] != 0.2:
        label += f", windows of {1000 * key['window']:g} ms"
    return label
