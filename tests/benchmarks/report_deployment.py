"""The tables of deployment.py."""

import statistics

from _tables import NOTHING, sources, spread, table, windows_text

FORMS = {
    "torch": "float32, torch",
    "onnx-float32": "float32, ONNX",
    "onnx-int8": "int8, ONNX",
    "integers": "integers, C program",
    "lda": "LDA on features",
}
CONTENDERS = {
    "c": "C program",
    "c-no-vnni": "C program, compiled with -mno-avx512vnni",
    "onnxruntime-int8": "onnxruntime, int8",
    "onnxruntime-float32": "onnxruntime, float32",
    "torch": "torch, float32 (predict)",
}
NETWORKS = {"default": "TinyMyo", "tinymyo-open-small": "small"}
KB = 1024
C_GOAL, C_GOAL_NAME = 0.5, "c"


def deployment(results):
    """Render all parts.

    Parameters
    ----------
    results : dict of str to list
        Contents of the result files by benchmark.

    Returns
    -------
    text : str
    """
    parts = {
        "deployment-accuracy": ("Accuracy", _accuracy),
        "deployment-memory": ("Memory, and estimated time and energy", _memory),
        "deployment-timing": ("Windows per second on a workstation", _timing),
        "deployment-ablation": ("What the choices of int8 cost", _ablation),
    }
    text = ""
    for name, (title, render) in parts.items():
        contents = results.get(name, [])
        records = [record for content in contents for record in content["records"]]
        text += f"\n**{title}**\n\n"
        text += render(_ordered(records)) + sources(contents) if records else NOTHING
    return text


def c_ratios(results):
    """Return the speed of the C program beside onnxruntime's int8 in every case."""
    return [
        record["values"][C_GOAL_NAME]["ratio"]
        for content in results.get("deployment-timing", [])
        for record in content["records"]
    ]


def _ordered(records):
    """Group records by case and weights, small shapes and networks first."""
    groups = {}
    for record in records:
        key = record["key"]
        channels, times = map(int, key["case"].split("x"))
        place = times, channels, list(NETWORKS).index(key["weights"])
        groups.setdefault(place, []).append(record)
    return [groups[place] for place in sorted(groups)]


def _title(records):
    key = records[0]["key"]
    return f"{key['case']}, {NETWORKS[key['weights']]}"


def _accuracy(groups):
    rows = []
    for records in groups:
        values = [record["values"] for record in records]
        windows = sum(one["n_test"] for one in values)
        for form, label in FORMS.items():
            mine = [one[form] for one in values]
            cells = []
            for score in ("accuracy", "balanced_accuracy", "f1_macro"):
                numbers = [one[score] for one in mine]
                many = len(numbers) > 1
                cells.append(spread(numbers) if many else f"{numbers[0]:.3f}")
            lost = [
                100 * (one["torch"]["accuracy"] - one[form]["accuracy"])
                for one in values
            ]
            changed = sum(one["changed"] for one in mine)
            beside = form not in ("torch", "lda")
            rows.append(
                [
                    _title(records),
                    label,
                    windows_text(records, "n_train"),
                    len(records),
                    *cells,
                    f"{statistics.fmean(lost):+.2f}" if beside else "",
                    f"{changed:,} of {windows:,}" if beside else "",
                ]
            )
    head = ["windows, network", "form", "training windows", "folds", "accuracy"]
    head += [
        "balanced accuracy",
        "macro-F1",
        "points of accuracy lost",
        "labels that change",
    ]
    return table(head, rows)


def _memory(groups):
    rows, times = [], []
    for records in groups:
        values = records[0]["values"]
        files, peak = values["bytes"], values["peak_bytes"]
        rows.append(
            [
                _title(records),
                *[f"{size / 1e6:.2f}" for size in files.values()],
                *[f"{peak[level] / KB:.1f}" for level in ("L1", "L2", "L3")],
                f"{values['moved_bytes']['L3-L2'] / KB:,.0f}",
                f"{values['macs'] / 1e6:,.0f}",
            ]
        )
        for point in values["operating_points"]["published"]:
            row = [_title(records), point]
            for profile in values["operating_points"].values():
                row += [_range(profile[point]["latency_s"], 1000)]
                row += [_range(profile[point]["energy_mj"], 1)]
            times.append(row)
    head = ["windows, network", "model_fp32.onnx, MB", "model_int8.onnx, MB"]
    head += ["weights.bin, MB", "L1, KB", "L2, KB", "L3, KB"]
    head += ["from L3 a window, KB", "million MAC a window"]
    text = table(head, rows)
    head = ["windows, network", "operating point", "published: ms", "mJ"]
    return f"{text}\n{table([*head, 'optimised: ms', 'mJ'], times)}"


def _range(estimate, factor):
    low, value, high = (factor * estimate[name] for name in ("low", "value", "high"))
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} ({low:,.{digits}f} to {high:,.{digits}f})"


def _timing(groups):
    rows, starts = [], []
    for records in groups:
        values = records[0]["values"]
        for name, label in CONTENDERS.items():
            if name not in values:
                continue
            calls = values["windows_a_call"].get(name, "")
            rate, ratio = (values[name][k] for k in ("windows_per_second", "ratio"))
            rows.append([_title(records), label, calls, f"{rate:.1f}", f"{ratio:.2f}"])
        starts.append(1000 * values["start_seconds"])
    head = ["windows, network", "contender", "windows a call", "w/s", "ratio"]
    values = groups[0][0]["values"]
    note = (
        "\nRatios: onnxruntime, int8 = 1. C: "
        f"{values['compiler']}, `-O3 -march=native` (target `host` of the bundle's "
        f"Makefile); starting it takes {min(starts):.0f} to "
        f"{max(starts):.0f} ms and counts. Medians of {len(values['rounds']['c'])} "
        "rounds.\n"
    )
    return table(head, rows) + note


def _ablation(groups):
    rows = []
    for records in groups:
        for record in records:
            values = record["values"]
            rows.append(
                [
                    _title(records),
                    f"`{record['key']['quantiser']}`",
                    record["key"]["changed"],
                    f"{values['accuracy']:.3f}",
                    f"{100 * (values['accuracy_float'] - values['accuracy']):+.2f}",
                    f"{100 * values['agreement']:.1f} %",
                    f"{values['decibels']:.1f}",
                ]
            )
    head = ["windows, network", "function", "changed", "accuracy"]
    head += ["points lost", "same labels", "logits, dB"]
    flat = [record for records in groups for record in records]
    tested, calibrated = (windows_text(flat, n) for n in ("n_test", "n_calibration"))
    return table(head, rows) + (
        f"\n{tested} test windows, calibrated on {calibrated} of the training side.\n"
    )
