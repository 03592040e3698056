"""What a turn should cost in ArmbandAlignedClassifier, on people set aside.

    python tests/benchmarks/turn_cost.py

LDA on time-domain features, unseen people (GroupKFold with five folds), without
alignment and inside ArmbandAlignedClassifier with several costs. The people are those
of part 1 of ``cote_allard_myo`` and of ``michidk_rps_myo``, and ``aljazfrancic_myo``,
on which the open weights were pretrained; transfer.py reports none of them. Ten people
of the simulator stand beside, with all armbands in one place and with each turned at
random. Channels are scaled by the statistics of each person and session, without
labels.
"""

import sys

from _common import Results, limit_threads, parser_of, thin

COSTS = (None, 0.0, 0.03, 0.05, 0.08)
MOST_WINDOWS = 12_000


def sets_of(folder):
    """Return name -> (windows, labels, persons, wearings)."""
    import numpy as np
    from ablation import development_sets, person_scaled, wearings_of

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    sets = {
        name: (X, y, persons, persons)
        for name, (X, y, persons) in development_sets(folder).items()
    }
    bunch = load_packed("aljazfrancic_myo", folder)
    X, _, meta = sliding_windows(
        person_scaled(bunch.recordings, bunch.meta),
        bunch.sfreq,
        0.2,
        0.1,
        meta=bunch.meta,
    )
    known = meta["gesture"].notna().to_numpy().nonzero()[0]
    rows = known[thin(meta.iloc[known], MOST_WINDOWS)]
    meta = meta.iloc[rows]
    sets["aljazfrancic_myo"] = (
        X[rows],
        meta["gesture"].to_numpy().astype(str),
        meta["subject"].to_numpy(),
        wearings_of(meta),
    )
    X, y, persons = simulated_people()
    sets["simulator, in one place"] = (X, y, persons, persons)
    turns = np.random.default_rng(0).integers(X.shape[1], size=persons.max() + 1)
    turned = [
        np.roll(window, turns[person], axis=0)
        for window, person in zip(X, persons, strict=True)
    ]
    sets["simulator, turned at random"] = (np.array(turned), y, persons, persons)
    return sets


def simulated_people():
    """Return windows, labels and persons of the simulator."""
    from ablation import person_scaled

    from sktinymyo import sliding_windows
    from sktinymyo.datasets import make_gestures

    bunch = make_gestures(n_subjects=10, n_gestures=5, random_state=0)
    X, y, meta = sliding_windows(
        person_scaled(bunch.recordings, bunch.meta),
        bunch.sfreq,
        0.2,
        0.1,
        labels=bunch.target,
        meta=bunch.meta,
    )
    return X, y, meta["subject"].to_numpy()


def main():
    """Run what is not yet stored."""
    parser = parser_of(__doc__, "turn_cost")
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "turn_cost")

    import numpy as np
    from methods import classifier
    from sklearn.model_selection import GroupKFold

    from sktinymyo import ArmbandAlignedClassifier

    for name, (X, y, persons, wearings) in sets_of(options.data).items():
        for cost in COSTS:

            def score(cost=cost, X=X, y=y, persons=persons, wearings=wearings):
                scores = []
                for train, test in GroupKFold(5).split(X, y, persons):
                    model = classifier("lda", seed=0)
                    if cost is None:
                        model.fit(X[train], y[train])
                        scores.append(model.score(X[test], y[test]))
                        continue
                    model = ArmbandAlignedClassifier(model, turn_cost=cost)
                    model.fit(X[train], y[train], groups=wearings[train])
                    scores.append(model.score(X[test], y[test], groups=wearings[test]))
                return {"accuracy": scores}

            values = results.compute({"set": name, "turn_cost": cost}, score)
            print(f"{name}, {cost}: {np.mean(values['accuracy']):.3f}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
