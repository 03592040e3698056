"""How to tune: what the defaults of TinyMyoClassifier were chosen by.

    python tests/benchmarks/recipes.py
    python tests/benchmarks/recipes.py --weights random --recipes "lr 1e-3" "lr 2e-3"

A TinyMyoClassifier is tuned with each recipe in two situations, both on part 1 of
``cote_allard_myo``: for unseen people (trained on some persons, scored on others; three
of five folds of GroupKFold), and for one person (trained on the first repetition of
every gesture, scored on the others; four persons). No other benchmark reports these
persons. Channels are scaled without labels: by the statistics of each person in the
first situation, of the training windows in the second. LDA and LogisticRegression on
time-domain features, and the frozen encoder with LogisticRegression, stand beside. Each
run is stored as soon as it is done.
"""

import sys
import time
from pathlib import Path

from _common import Results, limit_threads, parser_of

MOST_WINDOWS = 6_000
FOLDS = (0, 2, 4)
PEOPLE = (1, 5, 9, 13)
# Every third window of the other repetitions is scored.
THINNING = 3
BASE = {"lr": 5e-4, "layer_decay": 0.7, "head_start": "logistic"}
RECIPES = {
    "base": {},
    "random head": {"head_start": "random"},
    "lr 2e-4": {"lr": 2e-4},
    "lr 1e-3": {"lr": 1e-3},
    "lr 2e-3": {"lr": 2e-3},
    "decay 0.5": {"layer_decay": 0.5},
    "decay 0.9 (the paper's)": {"layer_decay": 0.9},
    "decay 1": {"layer_decay": 1.0},
    "no dropout": {"dropout": 0.0},
    "dropout 0.3": {"dropout": 0.3},
    "label smoothing 0.3": {"label_smoothing": 0.3},
    "amplitude": {"augment": "amplitude"},
    "armband": {"augment": "armband"},
    "head": {"tune": "head"},
    "two blocks": {"tune": 2},
}
RANDOM = {"layer_decay": 1.0, "head_start": "random"}
LDA = "features + LDA"
# C times the training windows, by the recipe's name.
CLASSICAL = {f"features + LogisticRegression, C = {k} / n": k for k in (3, 10, 30)}
FROZEN = {f"frozen + LogisticRegression, C = {k} / n": k for k in (1, 3, 10, 100)}


def situations(folder):
    """Return name -> list of (training windows, labels, test windows, labels)."""
    from ablation import DEVELOPMENT, development_sets
    from sklearn.model_selection import GroupKFold

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    name = next(iter(DEVELOPMENT))
    X, y, persons = development_sets(folder)[name]
    rows = slice(None, None, -(-len(y) // MOST_WINDOWS))
    X, y, persons = X[rows], y[rows], persons[rows]
    splits = list(GroupKFold(5).split(X, y, persons))
    unseen = [
        (X[train], y[train], X[test], y[test])
        for train, test in (splits[fold] for fold in FOLDS)
    ]

    packed, part = DEVELOPMENT[name]
    bunch = load_packed(packed, folder, part=part)
    X, y, meta = sliding_windows(
        bunch.recordings, bunch.sfreq, 0.2, 0.1, labels=bunch.target, meta=bunch.meta
    )
    first = (meta["repetition"] == meta["repetition"].min()).to_numpy()
    subjects = meta["subject"].to_numpy()
    own = []
    for place in PEOPLE:
        mine = subjects == sorted(set(subjects))[place]
        train, test = mine & first, mine & ~first
        own.append((X[train], y[train], X[test][::THINNING], y[test][::THINNING]))
    return {"unseen people": unseen, "one repetition": own}


def model_of(name, options, situation, n_train):
    """Return the estimator of a recipe, or one that stands beside."""
    from methods import FEATURES, classifier, regression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sktinymyo import TimeDomainFeatures, TinyMyoClassifier, TinyMyoEmbedder

    if name == LDA:
        return classifier("lda")
    if name in CLASSICAL:
        features = TimeDomainFeatures(features=FEATURES)
        head = regression(n_train, CLASSICAL[name])
        return make_pipeline(features, StandardScaler(), head)
    common = {
        "weights": options.weights,
        "size": options.size,
        "scale": "channel" if situation == "one repetition" else None,
        "random_state": 0,
    }
    if name in FROZEN:
        embedder = TinyMyoEmbedder(**common, pooling="channel")
        head = regression(n_train, FROZEN[name])
        return make_pipeline(embedder, StandardScaler(), head)
    return TinyMyoClassifier(**common, **parameters_of(name, options.weights))


def parameters_of(name, weights):
    """Return the parameters of TinyMyoClassifier that make a recipe."""
    start = RANDOM if weights == "random" else {}
    return {**BASE, **RECIPES[name], **start}


def main():
    """Run what is asked for and not yet stored."""
    parser = parser_of(__doc__, "recipes")
    parser.add_argument("--weights", default="tinymyo-open-small")
    parser.add_argument("--size", default="small", help="of random weights")
    parser.add_argument("--recipes", nargs="+", choices=list(RECIPES), metavar="RECIPE")
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "recipes")

    import numpy as np

    from sktinymyo.weights import load_weights

    start = {"weights": f"random ({options.size})"}
    if options.weights != "random":
        sha256 = load_weights(options.weights).sha256[:12]
        start = {"weights": Path(options.weights).name, "sha256": sha256}
    splits = situations(options.data)
    runs = [(name, {}, {}) for name in (LDA, *CLASSICAL)]
    runs += [(name, start, {}) for name in FROZEN]
    runs += [
        (name, start, parameters_of(name, options.weights))
        for name in options.recipes or RECIPES
    ]
    for name, weights, parameters in runs:

        def score(name=name):
            return {
                situation: [
                    model_of(name, options, situation, len(y))
                    .fit(X, y)
                    .score(X_test, y_test)
                    for X, y, X_test, y_test in cases
                ]
                for situation, cases in splits.items()
            }

        started = time.perf_counter()
        key = {"recipe": name, **weights, "parameters": parameters}
        values = results.compute(key, score)
        means = {place: round(float(np.mean(v)), 4) for place, v in values.items()}
        seconds = time.perf_counter() - started
        print(f"{name:>30}: {means} ({seconds:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
