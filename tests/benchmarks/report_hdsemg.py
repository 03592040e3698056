"""Tables of hdsemg.py for docs/benchmarks.md."""

import statistics

from _tables import NOTHING, distinct, over_units, records_of, sources, table

COLUMNS = {
    "1": "single samples",
    "10": "votes of 10",
    "40": "of 40",
    "150": "of 150",
    "window": "of 200 ms windows",
}
METHODS = {
    "lda": "LDA on features",
    "allconv": "AllConvNetClassifier",
    "geng": "network of Geng et al.",
}
PROTOCOLS = {"repetition": "other repetition", "session": "next session"}
TRANSFER = {
    "others": "other people, as it is",
    "scratch": "from random weights, calibration alone",
    "others + all": "other people, then calibrated",
    "others + part": "other people, then three of five gestures",
}
FORMS = {
    "float": "float32",
    "int8": "int8, ONNX",
    "integers": "integers, C program",
}
VOTES = {1: "last sample of 50 ms", "window": "50 ms, all samples vote"}
# Codes of the gestures that the last row was shown.
SHOWN = ("0", "1", "4")


def cell(records, column):
    """Return accuracy over people, and the mean balanced accuracy."""
    if not records or column not in records[0]["values"]:
        return ""
    people, _ = over_units(records, lambda values: values[column])
    balanced, _ = over_units(records, lambda values: values[f"balanced {column}"])
    deviation = statistics.pstdev(people)
    return (
        f"{statistics.fmean(people):.3f} ± {deviation:.3f} "
        f"({statistics.fmean(balanced):.3f})"
    )


def size(records):
    """Return the number of parameters of the networks."""
    numbers = {r["values"].get("n_parameters") for r in records}
    return f"{numbers.pop():,}" if numbers != {None} else ""


def over_seeds(records):
    """Return how far the means of the seeds lie apart, for windows."""
    _, seeds = over_units(records, lambda values: values["window"])
    if len(seeds) < 2:
        return "one"
    return f"{len(seeds)}, {max(seeds) - min(seeds):.3f} apart"


def rows_within(contents, name):
    """Return the rows of one set."""
    rows = []
    for protocol, what in PROTOCOLS.items():
        for method, title in METHODS.items():
            mine = records_of(contents, set=name, protocol=protocol, method=method)
            if mine:
                cells = [cell(mine, column) for column in COLUMNS]
                rows.append([what, title, size(mine), *cells, over_seeds(mine)])
    return rows


def rows_of_transfer(contents):
    """Return the rows of models of other people."""
    rows = []
    for method, title in TRANSFER.items():
        mine = records_of(contents, protocol="transfer", method=method)
        if mine:
            recalls = [r["values"]["recall"] for r in mine]
            parts = [
                statistics.fmean(
                    value
                    for recall in recalls
                    for code, value in recall.items()
                    if (code in SHOWN) is shown
                )
                for shown in (True, False)
            ]
            cells = [cell(mine, column) for column in COLUMNS]
            rows.append([title, *cells, *(f"{part:.3f}" for part in parts)])
    return rows


def rows_of_export(contents):
    """Return the rows of the forms of the network, and what it takes of a chip."""
    rows = []
    for vote, what in VOTES.items():
        mine = records_of(contents, protocol="export", vote=vote)
        for form, title in FORMS.items() if mine else ():
            columns = {
                name: [r["values"][form][name] for r in mine]
                for name in ("accuracy", "balanced", "agreement")
            }
            rows.append(
                [what, title, sum(r["values"]["n_windows"] for r in mine)]
                + [
                    f"{statistics.fmean(found):.3f} ± {statistics.pstdev(found):.3f}"
                    for found in columns.values()
                ]
            )
    return rows


def chip_of(contents):
    """Return a sentence on memory and estimates of one image."""
    values = records_of(contents, protocol="export", vote=1)[0]["values"]
    levels = ", ".join(
        f"{level} {size / 1024:.0f} KB" for level, size in values["peak"].items()
    )
    costs = ", ".join(
        f"{one['ms']:.2f} ms and {one['mj']:.3f} mJ ({name})"
        for name, one in values["of_one_image"].items()
    )
    return (
        f"\nOf the chip it takes {levels}; an image is estimated at {costs} at "
        "370 MHz, never measured.\n"
    )


def hdsemg(contents):
    """Render everything that is known."""
    if not any(content["records"] for content in contents):
        return NOTHING
    head = ["tested on", "method", "parameters", *COLUMNS.values(), "seeds"]
    text = ["\n**flexemg (16 x 4, 1000 Hz, 5 classes, 3 people), within people**\n\n"]
    text.append(table(head, rows_within(contents, "flexemg")))
    rows = rows_of_transfer(contents)
    if rows:
        text.append("\n**flexemg, from the other two people to the next session**\n\n")
        ends = ["recall of rest, fist, open", "of the others"]
        text.append(table(["model", *COLUMNS.values(), *ends], rows))
    rows = rows_of_export(contents)
    if rows:
        text.append("\n**flexemg, next session: float and what is exported**\n\n")
        scores = ["accuracy", "balanced accuracy", "labels as in float"]
        text.append(table(["label of", "form", "windows", *scores], rows))
        text.append(chip_of(contents))
    every = [record for content in contents for record in content["records"]]
    for name in distinct(every, "set"):
        if name.startswith("simulated"):
            people = len(distinct(records_of(contents, set=name), "unit"))
            text.append(f"\n**{name} (16 x 8, 8 gestures, {people} people)**\n\n")
            text.append(table(head, rows_within(contents, name)))
    return "".join(text) + sources(contents)
