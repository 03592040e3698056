"""Accuracy on real gestures, within persons and on unseen persons.

    python tests/benchmarks/accuracy.py --set 3dc --protocol within
    python tests/benchmarks/accuracy.py --set cote --protocol people \
        --methods lda svm forest embedder tinymyo --seeds 0 1 2

The recordings are read with ``sktinymyo.datasets.load_packed`` from the folder
in the environment variable SKTINYMYO_DATA (or ``--data``). Windows of 200 ms
every 100 ms, unfiltered, as in the published baselines of these files. Scalers and
models are fitted inside the fold; no recording is on both sides.

Protocols
    within  a model per person: 3dc cycles 0-3 -> 4-7; cote training round -> the
            two test rounds; ciil 1 s per gesture -> 15 repetitions
    people  GroupKFold with five folds over the persons

Two amounts of data: ``full`` (all persons, all windows) for the classical
methods, and ``reduced`` (see REDUCED) for all methods, so that networks trained
from random weights stay under half an hour on two cores and every method is seen
on the same windows. ``--amount full`` runs the networks on everything too.

Each fold of each method is stored as soon as it is done, and a second run goes on
from there. ``report.py`` turns the results into tables.
"""

import sys
import time

from _common import RESULTS, Results, limit_threads, parser_of, thin

SETS = {
    "3dc": {
        "name": "3dc_q4",
        "part": None,
        "by": "repetition",
        "train": [0, 1, 2, 3],
    },
    "cote": {
        "name": "cote_allard_myo",
        "part": 0,
        "by": "session",
        "train": [2],
    },
    "ciil": {"name": "ciil", "part": 0, "by": "session", "train": [0]},
}
WINDOW, STEP = 0.2, 0.1
# Persons, the most windows on each side of a split, and the passes of training
# (None: the estimator's own choice, about 30,000 windows in all).
REDUCED = {
    ("3dc", "within"): {"people": 3, "train": 800, "test": 800, "max_epochs": 15},
    ("3dc", "people"): {"people": None, "train": 1200, "test": 1500, "max_epochs": 8},
    ("cote", "within"): {"people": 6, "train": None, "test": 1400, "max_epochs": None},
    ("cote", "people"): {
        "people": None,
        "train": 6000,
        "test": 3000,
        "max_epochs": None,
    },
    ("ciil", "within"): {
        "people": None,
        "train": None,
        "test": 1500,
        "max_epochs": None,
    },
    ("ciil", "people"): {
        "people": None,
        "train": 6000,
        "test": 3000,
        "max_epochs": None,
    },
}


def load_windows(name, folder):
    """Return windows, labels and meta of a set."""
    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    facts = SETS[name]
    bunch = load_packed(facts["name"], folder, part=facts["part"])
    return sliding_windows(
        bunch.recordings,
        bunch.sfreq,
        WINDOW,
        STEP,
        labels=bunch.target,
        meta=bunch.meta,
    )


def splits_of(name, protocol, meta):
    """Yield (unit, train, test): one person or one fold each."""
    import numpy as np
    from sklearn.model_selection import GroupKFold

    from sktinymyo.model_selection import LeaveRepetitionsOut, guard_splits

    facts = SETS[name]
    if protocol == "people":
        splits = guard_splits(GroupKFold(5), meta, groups="subject")
        for fold, (train, test) in enumerate(splits):
            yield fold, train, test
        return
    values = np.setdiff1d(meta[facts["by"]].unique(), facts["train"])
    splitter = LeaveRepetitionsOut(
        test_repetitions=values.tolist(), by=facts["by"], per_subject=True
    )
    subjects = np.unique(meta["subject"])
    for subject, (train, test) in zip(
        subjects, guard_splits(splitter, meta), strict=True
    ):
        yield int(subject), train, test


def evaluate(model, X, y, meta, train, test):
    """Fit and score one split with the package's own helper."""
    from sktinymyo.model_selection import cross_validate_windows

    scores = cross_validate_windows(
        model, X, y, meta, cv=[(train, test)], score_per="fold"
    )
    row = scores.iloc[0]
    names = ("accuracy", "balanced_accuracy", "f1_macro", "fit_time", "score_time")
    values = {name: float(row[name]) for name in names}
    return values | {"n_train": len(train), "n_test": len(test)}


def main():
    """Run what is asked for and not yet stored."""
    from methods import CLASSICAL, NEURAL, classifier

    parser = parser_of(__doc__, "accuracy")
    parser.add_argument("--set", choices=sorted(SETS), required=True)
    parser.add_argument("--protocol", choices=("within", "people"), required=True)
    parser.add_argument("--methods", nargs="+", default=list(CLASSICAL + NEURAL))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--amount",
        choices=("auto", "full", "reduced"),
        default="auto",
        help="auto: classical methods on both, networks on the reduced set",
    )
    parser.add_argument("--max-epochs", type=int, help="instead of that in REDUCED")
    parser.add_argument("--device", default="cpu", help="of the networks")
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    parser.set_defaults(out=None)
    options = parser.parse_args()
    limit_threads(options.threads)
    out = options.out or RESULTS / f"accuracy-{options.set}-{options.protocol}.json"
    results = Results(out, "accuracy")

    import numpy as np

    X, y, meta = load_windows(options.set, options.data)
    print(f"{options.set}: {len(X)} windows of {X.shape[1]} x {X.shape[2]}", flush=True)
    splits = list(splits_of(options.set, options.protocol, meta))
    reduced = REDUCED[options.set, options.protocol]
    for method in options.methods:
        neural = method in NEURAL
        if options.amount == "auto":
            amounts = ("reduced",) if neural else ("full", "reduced")
        else:
            amounts = (options.amount,)
        for amount in amounts:
            fewer = reduced if amount == "reduced" else dict.fromkeys(reduced)
            # LDA and the linear SVM (primal problem) draw nothing; a forest on all
            # windows of unseen persons takes minutes: one seed.
            drawn = neural or (method == "forest" and amount == "reduced")
            seeds = options.seeds if drawn else options.seeds[:1]
            parameters = {}
            if method == "tinymyo":
                epochs = options.max_epochs or fewer["max_epochs"] or "auto"
                parameters = {"device": options.device, "max_epochs": epochs}
            units = _spread(splits, fewer["people"])
            started = time.perf_counter()
            scores = []
            for seed in seeds:
                for unit, train, test in units:
                    train = train[thin(meta.iloc[train], fewer["train"])]
                    test = test[thin(meta.iloc[test], fewer["test"])]
                    key = {
                        "set": options.set,
                        "protocol": options.protocol,
                        "amount": amount,
                        "most_windows": [fewer["train"], fewer["test"]],
                        "method": method,
                        "max_epochs": parameters.get("max_epochs"),
                        "seed": seed,
                        "unit": unit,
                    }
                    model = classifier(method, seed=seed, options=parameters)
                    values = results.compute(
                        key,
                        lambda model=model, train=train, test=test: evaluate(
                            model, X, y, meta, train, test
                        ),
                    )
                    scores.append(values["accuracy"])
            print(
                f"{method:>10} {amount:>8}: accuracy {np.mean(scores):.3f} "
                f"+- {np.std(scores):.3f} over {len(scores)} "
                f"({time.perf_counter() - started:.0f} s)",
                flush=True,
            )


def _spread(splits, n_people):
    """Return evenly spread persons; all if None."""
    if n_people is None or n_people >= len(splits):
        return splits
    return [
        splits[(2 * i + 1) * len(splits) // (2 * n_people)] for i in range(n_people)
    ]


if __name__ == "__main__":
    sys.exit(main())
