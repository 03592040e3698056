"""What pretrained weights are worth on sets, people and devices they never saw.

    python tests/benchmarks/transfer.py --question all --jobs 2 \
        --minirocket-python .venv-minirocket/bin/python
    python tests/benchmarks/transfer.py --question people --sets cote \
        --methods lda svm tuned-open --weights /folder/with/weights

Questions
    frozen       embeddings + LogisticRegression: open weights, random weights,
                 time-domain features, both side by side; within persons and on
                 unseen persons
    few-labels   1, 2 and 4 repetitions of every gesture of one person: networks
                 tuned from open and from random weights
    people       unseen persons, GroupKFold with five folds
    calibration  a model of other people and one repetition of every gesture of the
                 new person: not used, the head tuned, all tuned (``partial_fit``);
                 classical methods: not used, added to the training, used alone
    shift        before -> after the electrodes moved, and days apart

The splits stand in the first lines of ``transfer_data.py``, the recipe of the networks
in ``TUNING`` of ``transfer_methods.py``. Beside the networks: LDA, linear SVM, random
forest and LogisticRegression on time-domain features, and MiniRocket, which needs an
environment of its own (``minirocket/requirements.txt``).

Windows of 200 ms every 100 ms, unfiltered; networks get recordings above 500 Hz
resampled to 500 Hz, one of the rates of their pretraining: at 1000 Hz they take twice
as long. Every method comes in two forms:
``raw``, and ``person``: every channel of a person (shift: of a person on a day or in a
session) is scaled by mean and spread of the unlabelled windows of this person on the
same side of the split (calibration: of the one known repetition alone). All scalers,
this one too, are fitted inside the fold.

Two amounts of data: ``full`` for the classical methods, and ``reduced`` (see REDUCED in
``transfer_data.py``) for all. Each record is stored as soon as it is known, in
``transfer-SET-PROTOCOL.json``, and a second run goes on from there. ``report.py`` turns
them into tables. The recordings come from the folder in the environment variable
SKTINYMYO_DATA (or ``--data``).
"""

import argparse
import sys
from pathlib import Path

from _common import RESULTS, Results, limit_threads
from methods import CLASSICAL
from transfer_data import (
    FORMS,
    REDUCED,
    REPETITIONS,
    SETS,
    WINDOW,
    load_windows,
    n_draws,
    splits_of,
    spread_persons,
)
from transfer_methods import (
    ALIGNED,
    COSTLY,
    FIXED,
    FROZEN,
    TUNED,
    is_network,
    options_of,
    plain,
)
from transfer_run import Task, extras_of, run_minirocket, run_task

FEATURE_BASED = (*CLASSICAL, "logistic")
# Protocols, sets and methods of each question.
QUESTIONS = {
    "frozen": (
        ("within", "people"),
        ("cote", "3dc", "ciil"),
        (*FEATURE_BASED, "minirocket", *FROZEN),
    ),
    "few-labels": (
        ("few-labels",),
        ("cote", "3dc", "ciil"),
        (*FEATURE_BASED, "minirocket", "embed-open", "embed-random", *TUNED),
    ),
    "people": (
        ("people",),
        ("cote", "3dc"),
        (*FEATURE_BASED, "minirocket", *TUNED, *ALIGNED),
    ),
    "calibration": (
        ("calibration",),
        ("cote", "3dc"),
        (*CLASSICAL, "minirocket", *TUNED),
    ),
    "shift": (
        ("shift",),
        ("ciil-shift", "multiday"),
        (*FEATURE_BASED, "minirocket", "embed-open", "embed-random", *TUNED),
    ),
}
METHODS = list(dict.fromkeys(m for *_, names in QUESTIONS.values() for m in names))


def tasks_of(protocol, name, method, options, sha256):
    """List the tasks of a method on a set, for all amounts, forms and seeds."""
    network = is_network(method)
    sfreq = options.sfreq
    if sfreq is None and network:
        sfreq = SETS[name]["network_sfreq"]
    _, _, meta = load_windows(name, options.data, sfreq, options.window)
    environment = {
        "data": options.data,
        "weights": options.weights,
        "size": options.size,
        "device": options.device,
        "minirocket_python": options.minirocket_python,
        "models": options.models,
    }
    tasks = []
    for amount in _amounts(protocol, method, options.amount):
        fewer = REDUCED[name, protocol]
        if amount == "full":
            fewer = dict.fromkeys(fewer)
        for n in REPETITIONS if protocol == "few-labels" else (None,):
            if n is None:
                seeds = _seeds(method, amount, options.seeds)
            else:
                seeds = options.seeds or range(n_draws(name, meta, n))
            for seed in seeds:
                splits = splits_of(name, protocol, meta, repetitions=n, draw=seed)
                for form in _forms(protocol, method, options.forms):
                    key = {
                        "set": name,
                        "protocol": protocol,
                        "amount": amount,
                        "most_windows": [fewer["train"], fewer["test"]],
                        "method": method,
                        "form": form,
                        "sfreq": sfreq,
                        "window": options.window,
                        "repetitions": n,
                        "options": options_of(method, protocol),
                        "seed": seed,
                    }
                    if network:
                        key |= _weights_key(method, options, sha256)
                    tasks += [
                        Task(key | {"unit": split.unit}, split, environment)
                        for split in spread_persons(splits, fewer["people"])
                    ]
    return tasks


def _amounts(protocol, method, wanted):
    """Return the amounts of data that a method sees."""
    if wanted != "auto":
        return (wanted,)
    # MiniRocket makes 10,000 features of each window: gigabytes for a whole set.
    if method not in FEATURE_BASED:
        return ("reduced",)
    # Fitted anew for every person: hours on all windows.
    if protocol == "calibration":
        return ("reduced",)
    return ("full", "reduced")


def _forms(protocol, method, wanted):
    """Return the forms of scaling that a method is tried with."""
    if protocol == "few-labels" and method in TUNED:
        # Tuned networks scale by the statistics of their training windows, which
        # are those of the person.
        return [form for form in wanted if form == "raw"]
    return wanted


def _seeds(method, amount, wanted):
    """Return the seeds; those of "few-labels" are its draws."""
    if method in FIXED:
        return (wanted or [0])[:1]
    costly = method in COSTLY or (method == "forest" and amount == "full")
    return wanted or ([0] if costly else [0, 1, 2])


def _weights_key(method, options, sha256):
    """Return what names the weights, without a path of this machine."""
    if plain(method).endswith("-random"):
        return {"weights": f"random ({options.size})"}
    return {"weights": Path(options.weights).name, "sha256": sha256}


def checksum_of(options):
    """Return the first digits of the weights' checksum; None if they are not used."""
    if not any(plain(method).endswith("-open") for method in options.methods):
        return None
    from sktinymyo.exceptions import WeightsNotFoundError
    from sktinymyo.weights import load_weights

    try:
        return load_weights(options.weights).sha256[:12]
    except WeightsNotFoundError as error:
        raise SystemExit(
            f"{error} Pass --weights, or --methods without those ending in -open."
        ) from error


def parse():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add(
        "--question",
        nargs="+",
        choices=(*QUESTIONS, "all"),
        required=True,
        metavar="QUESTION",
        help=f"one or more of {', '.join(QUESTIONS)}, or all",
    )
    add("--sets", nargs="+", choices=list(SETS), help="default: all of the question")
    add(
        "--methods",
        nargs="+",
        choices=METHODS,
        metavar="METHOD",
        default=METHODS,
        help=f"default: all of the question, of {', '.join(METHODS)}",
    )
    add("--forms", nargs="+", choices=FORMS, default=list(FORMS))
    add(
        "--amount",
        choices=("auto", "full", "reduced"),
        default="auto",
        help="auto: features on both, networks and MiniRocket on the reduced set",
    )
    add(
        "--seeds",
        nargs="+",
        type=int,
        help="default: 0 1 2, or 0 where a seed takes long and folds show the spread",
    )
    add(
        "--weights",
        default="default",
        help="what the methods with -open start from: default, a file or a folder",
    )
    add("--size", default="tinymyo", help="of random weights (default tinymyo)")
    add(
        "--sfreq",
        type=float,
        help="resample all recordings to this rate in Hz, for every method",
    )
    add("--window", type=float, default=WINDOW, help="length in s (default 0.2)")
    add("--device", default="cpu", help="of the networks (default cpu)")
    add(
        "--minirocket-python",
        metavar="PATH",
        help="python of the environment with aeon; without it MiniRocket is left out",
    )
    add(
        "--models",
        help="folder for the networks of unseen people, which calibration needs again",
    )
    add("--data", help="folder with the packed sets")
    add("--out", type=Path, default=RESULTS, help="folder for the results")
    add("--jobs", type=int, default=1, help="processes (default 1)")
    add("--threads", type=int, default=1, help="threads of every library (default 1)")
    options = parser.parse_args()
    if "all" in options.question:
        options.question = list(QUESTIONS)
    return options


def main():
    """Run what is asked for and not yet stored."""
    options = parse()
    limit_threads(options.threads)
    without_minirocket = options.minirocket_python is None
    if without_minirocket and "minirocket" in options.methods:
        print("MiniRocket is left out: --minirocket-python names no environment.")
    sha256 = checksum_of(options)
    for question in options.question:
        protocols, sets, methods = QUESTIONS[question]
        methods = [method for method in methods if method in options.methods]
        if without_minirocket:
            methods = [method for method in methods if method != "minirocket"]
        for name in sets:
            if options.sets is not None and name not in options.sets:
                continue
            for protocol in protocols:
                results = Results(
                    options.out / f"transfer-{name}-{protocol}.json", "transfer"
                )
                for method in methods:
                    tasks = tasks_of(protocol, name, method, options, sha256)
                    run_missing(tasks, results, options.jobs)
                    show(tasks, results)


def run_missing(tasks, results, n_jobs):
    """Compute the tasks that are not stored, and store each when it is done."""
    from joblib import Parallel, delayed

    missing = [
        task
        for task in tasks
        if any(results.find(task.key | extra) is None for extra in extras_of(task.key))
    ]
    calls = [delayed(run_task)(task) for task in missing]
    if missing and missing[0].key["method"] == "minirocket":
        batches = {}
        for task in missing:
            shared = [str(v) for name, v in task.key.items() if name != "unit"]
            batches.setdefault(tuple(shared), []).append(task)
        calls = [delayed(run_minirocket)(batch) for batch in batches.values()]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    for records in parallel(calls):
        for key, values in records:
            results.add(key, values)


def show(tasks, results):
    """Print a line for every amount, form and way of calibration."""
    import numpy as np

    lines = {}
    for task in tasks:
        key = task.key
        for extra in extras_of(key):
            values = results.find(key | extra)
            title = (
                f"{key['set']} {key['protocol']} {key['repetitions'] or ''} "
                f"{key['method']} {key['amount']} {key['form']} "
                f"{extra.get('calibration', '')}"
            )
            lines.setdefault(" ".join(title.split()), []).append(values["accuracy"])
    for title, scores in lines.items():
        print(
            f"{title}: accuracy {np.mean(scores):.3f} +- {np.std(scores):.3f} "
            f"over {len(scores)}",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
