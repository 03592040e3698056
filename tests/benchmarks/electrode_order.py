"""Whether frozen open weights depend on the order of the electrodes.

    python tests/benchmarks/electrode_order.py

The channels of all people are put into another order, the same for training and test:
turned round the arm, turned and mirrored, or shuffled. If the channel vectors that the
encoder learned on one armband meant much on another, or on the same one worn elsewhere,
the order would matter. Small open weights and LogisticRegression on unseen people, in
the folds, windows and scaling of ``transfer.py`` (reduced data, scaled by person).
"""

import sys

from _common import Results, limit_threads, parser_of, thin

SETS = ("cote", "3dc")
WEIGHTS = "tinymyo-open-small"
SHUFFLES = 3


def orders_of(n_channels):
    """Return name -> order of the channels."""
    import numpy as np

    order = np.arange(n_channels)
    orders = {"as recorded": order}
    for turn in range(1, n_channels, 2):
        orders[f"turned by {turn}"] = np.roll(order, turn)
        orders[f"mirrored, turned by {turn}"] = np.roll(order[::-1], turn)
    rng = np.random.default_rng(0)
    orders |= {f"shuffled {k}": rng.permutation(order) for k in range(SHUFFLES)}
    return orders


def folds_of(name, folder):
    """Return the scaled windows and labels of both sides of every fold."""
    from transfer_data import REDUCED, SETS, load_windows, scale_groups, splits_of

    X, y, meta = load_windows(name, folder, SETS[name]["network_sfreq"])
    persons = meta["subject"].to_numpy()
    fewer = REDUCED[name, "people"]
    folds = []
    for split in splits_of(name, "people", meta):
        train = split.train[thin(meta.iloc[split.train], fewer["train"])]
        test = split.test[thin(meta.iloc[split.test], fewer["test"])]
        folds.append(
            (
                scale_groups(X, train, persons, split.train),
                y[train],
                scale_groups(X, test, persons, split.test),
                y[test],
            )
        )
    return folds


def main():
    """Run what is not yet stored."""
    parser = parser_of(__doc__, "electrode_order")
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "electrode_order")

    import numpy as np
    from transfer_methods import build

    for name in SETS:
        folds = folds_of(name, options.data)

        def score(order, folds=folds):
            scores = []
            for X, y, X_test, y_test in folds:
                model = build("embed-open", n_train=len(y), weights=WEIGHTS)
                model.fit(X[:, order], y)
                scores.append(model.score(X_test[:, order], y_test))
            return {"accuracy": scores}

        for title, order in orders_of(folds[0][0].shape[1]).items():
            key = {"set": name, "order": title, "weights": WEIGHTS}
            values = results.compute(key, lambda order=order: score(order))
            print(f"{name}, {title}: {np.mean(values['accuracy']):.3f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
