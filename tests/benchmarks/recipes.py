"""How to tune: learning rate, layer decay and passes, on people set aside for choices.

    python tests/benchmarks/recipes.py --weights default
    python tests/benchmarks/recipes.py --weights random --size tinymyo

A TinyMyoClassifier is tuned on some persons of part 1 of ``cote_allard_myo`` and scored
on others (three of five folds of GroupKFold), once for each recipe. No other benchmark
reports these persons; the defaults of the classifier and the recipes of
``transfer.py`` are chosen here. Channels are scaled by the statistics of each person,
without labels. Each run is stored as soon as it is done.
"""

import sys
import time
from pathlib import Path

from _common import Results, limit_threads, parser_of

MOST_WINDOWS = 6_000
FOLDS = (0, 2, 4)
BASE = {"lr": 5e-4, "layer_decay": 0.7, "max_epochs": 3}
RECIPES = {
    "base": {},
    "lr 2e-4": {"lr": 2e-4},
    "lr 1e-3": {"lr": 1e-3},
    "lr 2e-3": {"lr": 2e-3},
    "decay 0.5": {"layer_decay": 0.5},
    "decay 0.9": {"layer_decay": 0.9},
    "decay 1": {"layer_decay": 1.0},
    "lr 4e-3": {"lr": 4e-3},
    "6 epochs": {"max_epochs": 6},
    "lr 2e-3, 6 epochs": {"lr": 2e-3, "max_epochs": 6},
    "lr 2e-3, decay 0.5": {"lr": 2e-3, "layer_decay": 0.5},
    "dropout 0.2": {"dropout": 0.2},
    "head": {"tune": "head", "max_epochs": 20},
    "two blocks": {"tune": 2},
    "amplitude": {"augment": "amplitude"},
}


def main():
    """Run what is asked for and not yet stored."""
    parser = parser_of(__doc__, "recipes")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--size", default="tinymyo", help="of random weights")
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES))
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "recipes")

    import numpy as np
    from ablation import DEVELOPMENT, development_sets
    from sklearn.model_selection import GroupKFold

    from sktinymyo import TinyMyoClassifier
    from sktinymyo.weights import load_weights

    name = next(iter(DEVELOPMENT))
    X, y, persons = development_sets(options.data)[name]
    rows = slice(None, None, -(-len(y) // MOST_WINDOWS))
    X, y, persons = X[rows], y[rows], persons[rows]
    splits = list(GroupKFold(5).split(X, y, persons))
    if options.weights == "random":
        start = {"weights": f"random ({options.size})"}
    else:
        start = {
            "weights": Path(options.weights).name,
            "sha256": load_weights(options.weights).sha256[:12],
        }
    for recipe in options.recipes:
        parameters = BASE | RECIPES[recipe]

        def score(parameters=parameters):
            scores = []
            for fold in FOLDS:
                train, test = splits[fold]
                model = TinyMyoClassifier(
                    options.weights,
                    size=options.size,
                    scale=None,
                    random_state=0,
                    **parameters,
                )
                scores.append(model.fit(X[train], y[train]).score(X[test], y[test]))
            return {"accuracy": scores}

        started = time.perf_counter()
        values = results.compute(start | {"set": name, **parameters}, score)
        print(
            f"{recipe:>18}: {np.mean(values['accuracy']):.4f} "
            f"{[round(v, 3) for v in values['accuracy']]} "
            f"({time.perf_counter() - started:.0f} s)",
            flush=True,
        )


if __name__ == "__main__":
    sys.exit(main())
