"""What a small network gains from a large one's answers.

    python tests/benchmarks/distillation.py --question recipe
    python tests/benchmarks/distillation.py --question people within ablation export
    python tests/benchmarks/distillation.py --question people --sets 3dc --seeds 0

Questions
    recipe     rates, dropout, shares of the teacher, views: unseen people of part 1 of
               ``cote_allard_myo``, whose persons appear in no other question
               (the situation of ``recipes.py``)
    people     unseen persons: teacher, students alone and distilled, LDA; GroupKFold
               with five folds (``transfer.py`` has students from pretrained weights)
    within     the same for one person at a time, the first round -> the others; nine
               persons, evenly spread ("--methods tuned": all of a small network, from
               pretrained weights, as in transfer.py)
    ablation   further rows of "people" on cote: logits without features, views,
               unlabelled windows of the persons of part 1; labels alone for as many
               windows as "unlabelled" sees; a small student that starts from
               "tinymyo-open-small"
    export     the distilled student of the first fold as integers: accuracy, and the
               checks of its bundle for GAP9

The teacher is the best frozen model of ``transfer.py`` on these sets: the default
weights, embeddings by channel, a logistic regression on them. It is fitted on the
training side of every split, on the same labelled windows as the students. Windows,
splits and amounts are those of ``transfer.py`` ("reduced"), every channel scaled by the
unlabelled windows of its person ("person"). Each run is stored as soon as it is done,
and a second run goes on from there.
"""

import functools
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from _common import Results, limit_threads, parser_of, thin

# Of TinyMyoClassifier as a student, and of the same network with labels alone; chosen
# by --question recipe.
STUDENT = {"lr": 3e-3, "dropout": 0.0}
ALONE = {"lr": 3e-3, "dropout": 0.1}
# Windows that a student sees in training, repeated ones counted; fewest, most epochs.
SEEN = 30_000
EPOCHS = (3, 60)
# Of DistilledClassifier; chosen by --question recipe.
LESSON = {"alpha": 0.9, "temperature": 2.0, "feature_weight": 1.0}
# Persons of "within", evenly spread.
MOST_PERSONS = 9
# Most windows without labels, of the training persons and of others.
MOST_UNLABELLED = 12_000
# Of the student, and of the lesson; lesson None: labels alone.
RECIPES = {
    "alone": {"lesson": None},
    "alone, dropout 0.1": {"lesson": None, "dropout": 0.1},
    "alone, lr 1e-3": {"lesson": None, "lr": 1e-3},
    "alone, armband": {"lesson": None, "augment": "armband"},
    "base": {},
    "no features": {"lesson": {"feature_weight": 0.0}},
    "features 3": {"lesson": {"feature_weight": 3.0}},
    "alpha 0.5": {"lesson": {"alpha": 0.5}},
    "alpha 1": {"lesson": {"alpha": 1.0}},
    "temperature 1": {"lesson": {"temperature": 1.0}},
    "temperature 4": {"lesson": {"temperature": 4.0}},
    "lr 1e-3": {"lr": 1e-3},
    "lr 1e-2": {"lr": 1e-2},
    "dropout 0.1": {"dropout": 0.1},
    "seen 60,000": {"seen": 60_000},
    "seen 60,000, batches of 128, lr 6e-3": {
        "seen": 60_000,
        "batch_size": 128,
        "lr": 6e-3,
    },
    "seen 120,000, batches of 128, lr 6e-3": {
        "seen": 120_000,
        "batch_size": 128,
        "lr": 6e-3,
    },
    "alone, seen 60,000": {"lesson": None, "seen": 60_000},
    "amplitude, one view": {"lesson": {"augment": "amplitude", "views": 1}},
    "armband, fresh": {"lesson": {"augment": "armband"}},
    "armband, one view": {"lesson": {"augment": "armband", "views": 1}},
}
VIEWS = {"augment": "amplitude", "views": 1}
# Changes of the lesson, and whose unlabelled windows are added.
LESSONS = {
    "logits": ({"feature_weight": 0.0}, None),
    "distilled": ({}, None),
    "views": (VIEWS, None),
    "unlabelled": ({}, "persons"),
    "more people": ({}, "both"),
    "from weights": ({}, None),
    "from weights, unlabelled": ({}, "persons"),
}
STUDIED = ("alone", "distilled", "unlabelled")
FURTHER = ("logits", "views", "more people", "alone, longer")
# Of the student that starts from weights, which recipes.py chose for those.
WEIGHTS = "tinymyo-open-small"
FROM_WEIGHTS = {"lr": 5e-4, "layer_decay": 0.7, "dropout": 0.1}
STUDENTS = ("nano", "tiny", "small")


@dataclass(frozen=True)
class Case:
    """A split: windows and labels to learn from, and to score.

    Parameters
    ----------
    unit : int
        Fold or person.
    X, y, X_test, y_test : ndarray
        Windows and labels.
    rest : ndarray or None
        Further windows of the training persons, without labels.
    """

    unit: int
    X: object
    y: object
    X_test: object
    y_test: object
    rest: object = None


def development(options):
    """List the splits by which recipes are chosen."""
    from recipes import situations

    return [
        Case(unit, *split)
        for unit, split in enumerate(situations(options.data)["unseen people"])
    ]


@functools.lru_cache(maxsize=1)
def cases_of(name, protocol, folder):
    """List the splits of a set."""
    import numpy as np
    from transfer_data import (
        REDUCED,
        SETS,
        load_windows,
        scale_groups,
        splits_of,
        spread_persons,
    )

    X, y, meta = load_windows(name, folder, SETS[name]["network_sfreq"])
    persons = meta["subject"].to_numpy()
    fewer = REDUCED[name, protocol]
    cases = []
    splits = splits_of(name, protocol, meta)
    if protocol == "within":
        splits = spread_persons(splits, MOST_PERSONS)
    for split in splits:
        train = split.train[thin(meta.iloc[split.train], fewer["train"])]
        test = split.test[thin(meta.iloc[split.test], fewer["test"])]
        rest = np.setdiff1d(split.train, train)
        rest = rest[:: max(-(-len(rest) // MOST_UNLABELLED), 1)]
        scale = functools.partial(scale_groups, X, groups=persons)
        cases.append(
            Case(
                split.unit,
                scale(train, statistics=split.train),
                y[train],
                scale(test, statistics=split.test),
                y[test],
                scale(rest, statistics=split.train) if len(rest) else None,
            )
        )
    return cases


@functools.lru_cache(maxsize=1)
def others_of(folder):
    """Return windows of the persons of development, scaled by person."""
    import numpy as np
    from ablation import DEVELOPMENT
    from transfer_data import STEP, WINDOW, scale_groups

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    packed, part = next(iter(DEVELOPMENT.values()))
    bunch = load_packed(packed, folder, part=part)
    X, _, meta = sliding_windows(
        bunch.recordings,
        bunch.sfreq,
        WINDOW,
        STEP,
        labels=bunch.target,
        meta=bunch.meta,
    )
    X = scale_groups(X, np.arange(len(X)), meta["subject"].to_numpy())
    return X[:: -(-len(X) // MOST_UNLABELLED)]


def teacher_of(n_train, memory=None):
    """Return the teacher, not fitted."""
    from methods import STRENGTH, regression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sktinymyo import TinyMyoEmbedder

    embedder = TinyMyoEmbedder(scale=None, memory=memory)
    head = regression(n_train, STRENGTH["embeddings"])
    return make_pipeline(embedder, StandardScaler(), head)


def epochs_of(n_windows, seen=None):
    """Return how often a student sees each window."""
    low, high = EPOCHS
    return min(max(round((seen or SEEN) / n_windows), low), high)


def student_of(size, n_windows, *, seed=0, seen=None, weights="random", **changes):
    """Return a student, not fitted."""
    from sktinymyo import TinyMyoClassifier

    return TinyMyoClassifier(
        weights,
        size=size,
        scale=None,
        max_epochs=epochs_of(n_windows, seen),
        random_state=seed,
        **{**STUDENT, **changes},
    )


def recipe_of(method, case):
    """Return what a student that is no other's pupil, or starts elsewhere, changes."""
    if method == "alone":
        return ALONE
    if method == "alone, longer":
        n_windows = len(case.y) + (0 if case.rest is None else len(case.rest))
        return ALONE | {"seen": n_windows * epochs_of(n_windows)}
    if method == "tuned":
        from transfer_methods import TUNING, VIEWS

        return TUNING["open"] | {"weights": WEIGHTS, "seen": VIEWS["open"]}
    if method.startswith("from weights"):
        return FROM_WEIGHTS | {"weights": WEIGHTS}
    return STUDENT


def distilled_of(case, options, *, size="nano", seed=0, lesson=(), where=None, **own):
    """Return the meta-estimator, with changes of lesson and student."""
    import numpy as np

    from sktinymyo import DistilledClassifier

    lesson = {**LESSON, **dict(lesson)}
    more = []
    if where in ("persons", "both") and case.rest is not None:
        more.append(case.rest)
    if where in ("others", "both"):
        more.append(others_of(options.data))
    more = np.concatenate(more) if more else None
    n_windows = len(case.y) + (0 if more is None else len(more))
    n_windows *= 1 + lesson.get("views", 0)
    return DistilledClassifier(
        teacher_of(len(case.y), options.memory),
        student_of(size, n_windows, seed=seed, **own),
        unlabeled=more,
        random_state=seed,
        **lesson,
    )


def model_of(method, case, options, *, size=None, seed=0):
    """Return a contender, not fitted."""
    from methods import classifier

    if method == "lda":
        return classifier("lda")
    if method == "teacher":
        return teacher_of(len(case.y), options.memory)
    if method == "tuned":
        from transfer_methods import build

        return build("tuned-open", n_train=len(case.y), seed=seed, weights=WEIGHTS)
    recipe = recipe_of(method, case)
    if method not in LESSONS:
        return student_of(size, len(case.y), seed=seed, **recipe)
    lesson, where = LESSONS[method]
    return distilled_of(
        case, options, size=size, seed=seed, lesson=lesson, where=where, **recipe
    )


def run(model, case):
    """Fit and score."""
    from transfer_run import metrics

    started = time.perf_counter()
    model.fit(case.X, case.y)
    seconds = time.perf_counter() - started
    return metrics(case.y_test, model.predict(case.X_test)) | {
        "n_train": len(case.y),
        "n_test": len(case.y_test),
        "fit_time": seconds,
    }


def of_recipes(options):
    """Yield key and function for every recipe and split."""
    cases = development(options)
    for name in ("lda", "teacher", *(options.recipes or RECIPES)):
        recipe = dict(RECIPES.get(name, {}))
        key = {"question": "recipe", "recipe": name}
        if name in RECIPES:
            key |= {"student": STUDENT, "seen": SEEN, "lesson": LESSON} | recipe
        for case in cases:

            def compute(name=name, recipe=recipe, case=case):
                if name not in RECIPES:
                    return run(model_of(name, case, options), case)
                own = {k: v for k, v in recipe.items() if k != "lesson"}
                lesson = recipe.get("lesson", {})
                if lesson is None:
                    return run(student_of("nano", len(case.y), **own), case)
                return run(distilled_of(case, options, lesson=lesson, **own), case)

            yield key | {"unit": case.unit}, compute


def of_contenders(options, protocol, ablate=False):
    """Yield key and function for every contender, or every further part of a lesson."""
    for name in ["cote"] if ablate else options.sets:
        for case in cases_of(name, protocol, options.data):
            if options.folds is not None and case.unit not in options.folds:
                continue
            contenders = (_ablation if ablate else _contenders)(options, case)
            for method, size, seed in contenders:
                key = {
                    "question": protocol,
                    "set": name,
                    "unit": case.unit,
                    "method": method,
                    "size": size,
                    "seed": seed,
                }
                if size is not None:
                    recipe = dict(recipe_of(method, case))
                    seen = recipe.pop("seen", SEEN)
                    key |= {"student": recipe, "seen": seen}
                if method in LESSONS:
                    key |= {"lesson": LESSON | LESSONS[method][0]}
                yield key, functools.partial(_run, method, case, options, size, seed)


def _run(method, case, options, size, seed):
    model = model_of(method, case, options, size=size, seed=seed)
    return run(model, case)


def _contenders(options, case):
    """Yield method, size and seed."""
    for method in ("lda", "teacher"):
        yield method, None, 0
    if "tuned" in options.methods:
        yield "tuned", "small", 0
    for size in options.sizes:
        for method in (name for name in STUDIED if name in options.methods):
            if method == "unlabelled" and case.rest is None:
                continue
            for seed in options.seeds if size == "nano" else (0,):
                yield method, size, seed


def _ablation(options, case):
    """Yield the rows that are not among the contenders."""
    for method in options.further:
        for seed in options.seeds if method in FURTHER else (0,):
            yield method, "nano" if method in FURTHER else "small", seed


def of_export(options):
    """Yield key and function for the integers of the first fold."""
    for case in cases_of("cote", "people", options.data)[:1]:
        key = {"question": "export", "set": "cote", "unit": case.unit, "size": "nano"}
        key |= {"student": STUDENT, "seen": SEEN, "lesson": LESSON}
        yield key, functools.partial(_integers, case, options)


def _integers(case, options):
    """Return the accuracy in float and in integers, and the estimate."""
    import tempfile

    from sktinymyo import export_gap9
    from sktinymyo.export.quantize import quantize

    model = distilled_of(case, options, where="persons").fit(case.X, case.y)
    real = model.predict(case.X_test)
    integers = quantize(model, case.X, y_calib=case.y).predict(case.X_test)
    module = model.student_.module_
    values = {
        "accuracy": float((real == case.y_test).mean()),
        "integers": float((integers == case.y_test).mean()),
        "agreement": float((integers == real).mean()),
        "parameters": sum(parameter.numel() for parameter in module.parameters()),
    }
    with tempfile.TemporaryDirectory() as folder:
        bundle = export_gap9(model, Path(folder) / "bundle", X_calib=case.X[:500])
        return values | {"checks": bundle.manifest["checks"]}


def main():
    """Run what is asked for and not yet stored."""
    questions = {
        "recipe": of_recipes,
        "people": functools.partial(of_contenders, protocol="people"),
        "within": functools.partial(of_contenders, protocol="within"),
        "ablation": functools.partial(of_contenders, protocol="people", ablate=True),
        "export": of_export,
    }
    parser = parser_of(__doc__, "distillation")
    add = parser.add_argument
    add("--question", nargs="+", choices=questions, required=True, metavar="QUESTION")
    add("--sets", nargs="+", choices=("cote", "3dc"), default=["cote"])
    add("--recipes", nargs="+", choices=list(RECIPES), metavar="RECIPE")
    add("--sizes", nargs="+", choices=STUDENTS, default=["nano", "tiny"])
    add("--seeds", nargs="+", type=int, default=[0, 1], help="of nano students")
    add("--methods", nargs="+", choices=(*STUDIED, "tuned"), default=STUDIED)
    further = (*FURTHER, "from weights", "from weights, unlabelled")
    add("--further", nargs="+", choices=further, default=further, help="of ablation")
    add("--folds", nargs="+", type=int, help="default: all")
    add("--memory", help="folder for the teacher's embeddings, each computed once")
    add("--data", help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "distillation")
    for question in options.question:
        for key, compute in questions[question](options):
            values = results.compute(key, compute)
            names = ("recipe", "set", "method", "size", "unit", "seed")
            title = [str(key[name]) for name in names if key.get(name) is not None]
            print(question, *title, f"{values['accuracy']:.4f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
