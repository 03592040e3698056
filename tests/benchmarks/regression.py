"""Regression on real recordings: wrist angles and grip force.

    python tests/benchmarks/regression.py --set wrist
    python tests/benchmarks/regression.py --set grip --methods ridge forest tinymyo

Windows every 100 ms; the target is the value at the end of the window, as a decoder
in use needs it: the hand follows the muscle by some 100 ms. wrist: one person, two
angles in degrees, windows of 400 ms, GroupKFold with five folds over whole recordings.
grip: 14 persons, force as a fraction of the maximum, windows of 200 ms, GroupKFold
with five folds over persons. R2 and mean absolute error per fold, for each target.
The networks see at most `REDUCED` training windows, the others all and as many.
"""

import sys
import time

from _common import RESULTS, Results, limit_threads, parser_of, thin

SETS = {
    "wrist": {"name": "dymnz_wrist_angle", "groups": "recording", "window": 0.4},
    "grip": {"name": "dutra_grip_force", "groups": "subject", "window": 0.2},
}
STEP = 0.1
REDUCED = {
    "wrist": {"train": 4000, "max_epochs": 6},
    "grip": {"train": 4000, "max_epochs": 6},
}


def load_windows(name, folder):
    """Return windows, targets (n_windows, k), meta and the names of the targets."""
    import numpy as np

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    bunch = load_packed(SETS[name]["name"], folder)
    X, y, meta = sliding_windows(
        bunch.recordings,
        bunch.sfreq,
        SETS[name]["window"],
        STEP,
        labels=bunch.target,
        label="last",
        meta=bunch.meta,
    )
    return X, np.asarray(y).reshape(len(X), -1), meta, list(bunch.target_names)


def evaluate(model, X, y, train, test, names):
    """Fit on one side; R2 and mean absolute error of every target on the other."""
    import numpy as np
    from sklearn.metrics import mean_absolute_error, r2_score

    target = y[train] if y.shape[1] > 1 else y[train, 0]
    started = time.perf_counter()
    model.fit(X[train], target)
    fit_time = time.perf_counter() - started
    predicted = np.asarray(model.predict(X[test])).reshape(len(test), -1)
    values = {"fit_time": fit_time, "n_train": len(train), "n_test": len(test)}
    r2 = r2_score(y[test], predicted, multioutput="raw_values")
    error = mean_absolute_error(y[test], predicted, multioutput="raw_values")
    values["r2"] = dict(zip(names, map(float, r2), strict=True))
    values["mean_absolute_error"] = dict(zip(names, map(float, error), strict=True))
    return values


def main():
    """Run what is asked for and not yet stored."""
    from methods import REGRESSION_CLASSICAL, REGRESSION_NEURAL, regressor

    parser = parser_of(__doc__, "regression")
    parser.add_argument("--set", choices=sorted(SETS), required=True)
    parser.add_argument(
        "--methods", nargs="+", default=list(REGRESSION_CLASSICAL + REGRESSION_NEURAL)
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--max-epochs", type=int, help="instead of that in REDUCED")
    parser.add_argument("--device", default="cpu", help="of the networks")
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    parser.set_defaults(out=None)
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(
        options.out or RESULTS / f"regression-{options.set}.json", "regression"
    )

    import numpy as np
    from sklearn.model_selection import GroupKFold

    from sktinymyo.model_selection import guard_splits

    X, y, meta, names = load_windows(options.set, options.data)
    print(f"{options.set}: {len(X)} windows of {X.shape[1]} x {X.shape[2]}", flush=True)
    splits = guard_splits(GroupKFold(5), meta, groups=SETS[options.set]["groups"])
    reduced = REDUCED[options.set]
    for method in options.methods:
        neural = method in REGRESSION_NEURAL
        seeds = options.seeds if neural or method == "forest" else options.seeds[:1]
        for amount in ("reduced",) if neural else ("full", "reduced"):
            parameters = {}
            if neural:
                epochs = options.max_epochs or reduced["max_epochs"]
                parameters = {"device": options.device, "max_epochs": epochs}
            scores = []
            started = time.perf_counter()
            for seed in seeds:
                for fold, (train, test) in enumerate(splits):
                    limit = reduced["train"] if amount == "reduced" else None
                    train = train[thin(meta.iloc[train], limit)]
                    key = {
                        "set": options.set,
                        "amount": amount,
                        "most_windows": limit,
                        "method": method,
                        "max_epochs": parameters.get("max_epochs"),
                        "seed": seed,
                        "unit": fold,
                    }
                    model = regressor(method, seed=seed, options=parameters)
                    values = results.compute(
                        key,
                        lambda model=model, train=train, test=test: evaluate(
                            model, X, y, train, test, names
                        ),
                    )
                    scores.append(list(values["r2"].values()))
            print(
                f"{method:>8} {amount:>8}: R2 {np.round(np.mean(scores, 0), 3)} "
                f"+- {np.round(np.std(scores, 0), 3)} "
                f"({time.perf_counter() - started:.0f} s)",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
