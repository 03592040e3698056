"""Fits the methods of the transfer benchmark and scores what they predict."""

import copy
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from _common import thin
from transfer_data import N_KNOWN, load_windows, scale_groups
from transfer_methods import (
    ALIGNED,
    CALIBRATION,
    TUNED,
    build,
    is_network,
    options_of,
    plain,
    weights_of,
)

RUN_MINIROCKET = Path(__file__).parent / "minirocket" / "run.py"


@dataclass(frozen=True)
class Task:
    """One method on one split: what is computed and stored at a time.

    Parameters
    ----------
    key : dict
        Names the record; "calibration" and "draw" are added to it.
    split : Split
        Rows of both sides.
    environment : dict
        Data folder, weights, device: what does not belong into the key.
    """

    key: dict
    split: object
    environment: dict


@dataclass(frozen=True)
class Case:
    """Windows to fit once, and those to predict then.

    Parameters
    ----------
    X, y, groups : ndarray
        Training windows, labels, and persons or recordings.
    tests : list of tuple
        What names the record, windows, labels, and the part (person or session)
        of every window.
    tune : str or None, default=None
        "head" or "all" to go on from the model of the first case.
    """

    X: object
    y: object
    groups: object
    tests: list
    tune: str | None = None


def modes_of(method):
    """Return the ways in which a method uses the known repetition."""
    if method in TUNED:
        return tuple(CALIBRATION)
    # Hundreds of further fits on thousands of windows for the slowest method.
    return ("alone",) if method == "minirocket" else ("added", "alone")


def extras_of(key):
    """List what tells the records of one task apart."""
    if key["protocol"] != "calibration":
        return [{}]
    return [
        {"calibration": mode, "draw": draw}
        for mode in ("none", *modes_of(key["method"]))
        for draw in range(N_KNOWN)
    ]


def cases_of(task):
    """Yield the cases of a task, the one with the most windows first."""
    import numpy as np

    key, split = task.key, task.split
    X, y, meta = load_windows(
        key["set"], task.environment["data"], key["sfreq"], key["window"]
    )
    shift = key["protocol"] == "shift"
    columns = ["subject", "session"] if shift else ["subject"]
    scaled_together = meta.groupby(columns).ngroup().to_numpy()
    unseen = key["protocol"] in ("people", "calibration")
    groups = meta["subject" if unseen else "recording"].to_numpy()
    parts = meta["session" if shift else "subject"].to_numpy()
    most_train, most_test = key["most_windows"]
    train = split.train[thin(meta.iloc[split.train], most_train)]
    test = split.test[thin(meta.iloc[split.test], most_test)]

    def windows(rows, known):
        if key["form"] == "raw":
            return X[rows]
        return scale_groups(X, rows, scaled_together, known)

    training = windows(train, split.train), y[train], groups[train]
    if key["protocol"] != "calibration":
        tests = [({}, windows(test, split.test), y[test], parts[test])]
        yield Case(*training, tests)
        return

    def tests_of(mode, draw, persons):
        known = np.concatenate([split.draws[person][draw] for person in persons])
        mine = test[np.isin(parts[test], persons)]
        extra = {"calibration": mode, "draw": draw}
        return extra, windows(mine, known), y[mine], parts[mine]

    draws = range(N_KNOWN)
    yield Case(*training, [tests_of("none", draw, list(split.draws)) for draw in draws])
    for person, known_of_draw in split.draws.items():
        for draw in draws:
            known = known_of_draw[draw]
            own = windows(known, known), y[known], groups[known]
            for mode in modes_of(key["method"]):
                tests = [tests_of(mode, draw, [person])]
                if mode == "added":
                    both = zip(training, own, strict=True)
                    yield Case(*(np.concatenate(pair) for pair in both), tests)
                else:
                    tune = mode if mode in CALIBRATION else None
                    yield Case(*own, tests, tune)


def metrics(y, predicted):
    """Return accuracy, balanced accuracy and macro-F1."""
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

    return {
        "accuracy": float(accuracy_score(y, predicted)),
        "balanced_accuracy": float(balanced_accuracy_score(y, predicted)),
        "f1_macro": float(f1_score(y, predicted, average="macro")),
    }


class Answers:
    """Gathers the predictions of the cases of a task into records."""

    def __init__(self, key):
        self.key = key
        self.gathered = {}

    def add(self, case, predictions, fit_time, score_time):
        """Take the predictions for every test of a case."""
        for (extra, _, y, parts), predicted in zip(
            case.tests, predictions, strict=True
        ):
            mine = self.gathered.setdefault(tuple(extra.items()), [])
            mine.append((y, predicted, parts, len(case.y), fit_time, score_time))

    def records(self):
        """Return pairs of key and values."""
        import numpy as np

        records = []
        for extra, rows in self.gathered.items():
            y, predicted, parts = (
                np.concatenate([row[k] for row in rows]) for k in range(3)
            )
            values = metrics(y, predicted)
            names = np.unique(parts)
            if len(names) > 1:
                values["parts"] = {
                    str(name): list(
                        metrics(y[parts == name], predicted[parts == name]).values()
                    )
                    for name in names
                }
            values |= {
                "n_train": int(np.mean([row[3] for row in rows])),
                "n_test": len(y),
                "fit_time": sum(row[4] for row in rows),
                "score_time": sum(row[5] for row in rows),
            }
            records.append((self.key | dict(extra), values))
        return records


def fitted(case, key, environment):
    """Return a fitted model; networks of unseen people are fitted once for all."""
    import joblib

    path = None
    unseen = key["protocol"] in ("people", "calibration")
    if environment["models"] is not None and unseen and is_network(key["method"]):
        parts = {name: key[name] for name in key if name not in ("protocol", "options")}
        parts["options"] = options_of(key["method"], "people")
        name = joblib.hash((parts, case.X, case.y))
        path = Path(environment["models"]) / f"{name}.joblib"
        if path.exists():
            return joblib.load(path)
    model = build(
        key["method"],
        n_train=len(case.y),
        seed=key["seed"],
        weights=weights_of(key["method"], environment["weights"]),
        size=environment["size"],
        device=environment["device"],
    )
    grouped = plain(key["method"]) in TUNED or key["method"] in ALIGNED
    model.fit(case.X, case.y, **({"groups": case.groups} if grouped else {}))
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        joblib.dump(model, path)
    return model


def run_task(task):
    """Compute all records of a task."""
    key, environment = task.key, task.environment
    answers = Answers(key)
    base = None
    for case in cases_of(task):
        started = time.perf_counter()
        if case.tune is None:
            model = fitted(case, key, environment)
            base = model if base is None else base
        else:
            model = copy.deepcopy(base).set_params(**CALIBRATION[case.tune])
            model.partial_fit(case.X, case.y, groups=case.groups)
        ready = time.perf_counter()
        predictions = [
            model.predict(X, groups=parts)
            if key["method"] in ALIGNED
            else model.predict(X)
            for _, X, _, parts in case.tests
        ]
        answers.add(case, predictions, ready - started, time.perf_counter() - ready)
    return answers.records()


def run_minirocket(tasks):
    """Compute all records of tasks of one seed in one call of the other program."""
    import numpy as np

    answers = [Answers(task.key) for task in tasks]
    arrays, owners = {}, []
    for task, mine in zip(tasks, answers, strict=True):
        for case in cases_of(task):
            k = len(owners)
            arrays[f"X_train_{k}"], arrays[f"y_train_{k}"] = case.X, case.y
            arrays[f"X_test_{k}"] = np.concatenate([X for _, X, _, _ in case.tests])
            owners.append((mine, case))
    with tempfile.TemporaryDirectory() as folder:
        cases, out = Path(folder) / "cases.npz", Path(folder) / "predictions.npz"
        np.savez(cases, **arrays)
        arrays.clear()
        command = [
            tasks[0].environment["minirocket_python"],
            str(RUN_MINIROCKET),
            str(cases),
            str(out),
            "--seed",
            str(tasks[0].key["seed"]),
        ]
        subprocess.run(command, check=True)
        with np.load(out) as found:
            version = str(found["version"])
            for k, (mine, case) in enumerate(owners):
                ends = np.cumsum([len(y) for _, _, y, _ in case.tests])[:-1]
                seconds = found[f"seconds_{k}"].tolist()
                mine.add(case, np.split(found[f"predicted_{k}"], ends), *seconds)
    return [
        (key, values | {"aeon": version})
        for mine in answers
        for key, values in mine.records()
    ]
