"""What matters in pretraining, at small scale, on people set aside for choices.

    python tests/benchmarks/ablation.py
    python tests/benchmarks/ablation.py --variants published spectrum --seeds 0

Every variant pretrains the small encoder (4 x 128) on the same number of patches of
``aljazfrancic_myo``, so that all of them cost about the same; its frozen embeddings
then go into an LDA that is scored on unseen people (GroupKFold, five folds over
persons). The people are those of part 1 of ``cote_allard_myo`` and of
``michidk_rps_myo``: no other benchmark reports them, so that a choice made here does
not flatter a figure there. Channels are scaled by the statistics of each person,
without labels. ``features`` (the same LDA on time-domain features) and ``random`` (an
encoder that learned nothing) stand beside. ``base`` hides half of the cells of short
windows, predicts samples and spectra, and learns the gestures beside; every other
variant changes one thing of it. *aligned* turns the armbands, by labels, to one common
position, *turned at random* gives each wearing another one, so that channel vectors can
mean nothing. *simulated rates* adds recordings of the simulator at 500, 1000 and 2000
Hz, which take a share of the windows. Each run is stored as soon as it is done.
"""

import sys
import time

from _common import Results, limit_threads, parser_of, thin

WINDOW, STEP = 0.2, 0.1
# Windows of each set that the LDA and its test see.
MOST_WINDOWS = 10_000
DEVELOPMENT = {"cote part 1": ("cote_allard_myo", 1), "rps": ("michidk_rps_myo", None)}
BATCH = 256
BASE = {
    "n_times": (40, 40, 40, 100, 200),
    "step": 50,
    "jitter": 25,
    "gain": 0.15,
    "batch_size": BATCH,
    "lr": 2e-3,
    "warmup": 0.05,
    "labelled": True,
    "worn": "as worn",
    "simulated": False,
}
SIMULATED = (
    {"n_channels": 8, "sfreq": 1000, "random_state": 1},
    {"n_channels": 12, "sfreq": 2000, "random_state": 2},
    {"n_channels": 4, "sfreq": 500, "random_state": 3},
)
VARIANTS = {
    "base": {},
    "aligned": {"worn": "aligned"},
    "turned at random": {"worn": "turned at random"},
    "simulated rates": {"simulated": True},
    "published": {
        "targets": "raw",
        "visible_only": False,
        "labelled": False,
        "gain": 0.0,
        "jitter": 0,
        "n_times": 1000,
        "step": 500,
        "batch_size": 64,
        "lr": 5e-4,
    },
    "samples": {"targets": "raw", "labelled": False},
    "spectrum": {"targets": "spectrum", "labelled": False},
    "samples and spectrum": {"labelled": False},
    "labels and spectrum": {"targets": "spectrum"},
    "labels and samples": {"targets": "raw"},
    "mask tokens": {"visible_only": False},
    "25 % hidden": {"mask_ratio": 0.25},
    "75 % hidden": {"mask_ratio": 0.75},
    "whole channels": {"mask_form": "channel"},
    "spans of time": {"mask_form": "time", "n_times": (100, 200)},
    "short windows only": {"n_times": 40},
    "long windows only": {"n_times": 200},
    "no gain": {"gain": 0.0},
}


def wearings_of(meta):
    """Return the name of person and session of every recording."""
    names = meta["subject"].astype(str) + " " + meta["session"].astype(str)
    return names.to_numpy(dtype=str)


def person_scaled(recordings, meta):
    """Return recordings scaled by the statistics of each person and session."""
    import numpy as np

    wearing = wearings_of(meta)
    scaled = [None] * len(recordings)
    for name in np.unique(wearing):
        rows = np.flatnonzero(wearing == name)
        joined = np.concatenate([recordings[i] for i in rows], axis=1)
        mean = joined.mean(axis=1, keepdims=True)
        std = joined.std(axis=1, keepdims=True)
        for i in rows:
            scaled[i] = (recordings[i] - mean) / std
    return scaled


def development_sets(folder):
    """Return name -> (windows, labels, persons)."""
    from sktinymyo import sliding_windows
    from sktinymyo.datasets import load_packed

    sets = {}
    for name, (packed, part) in DEVELOPMENT.items():
        bunch = load_packed(packed, folder, part=part)
        recordings = person_scaled(bunch.recordings, bunch.meta)
        X, y, meta = sliding_windows(
            recordings, bunch.sfreq, WINDOW, STEP, labels=bunch.target, meta=bunch.meta
        )
        rows = thin(meta, MOST_WINDOWS)
        persons = meta["subject"].to_numpy()
        sets[name] = (X[rows], y[rows], persons[rows])
    return sets


def scores_of(embed, sets, classifier):
    """Return set -> accuracy of every fold."""
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    values = {}
    for name, (X, y, persons) in sets.items():
        model = make_pipeline(StandardScaler(), classifier)
        features = embed(X)
        scores = cross_val_score(model, features, y, groups=persons, cv=GroupKFold(5))
        values[name] = [float(score) for score in scores]
    return values


def mean_length(n_times):
    """Return the mean number of samples of a window."""
    lengths = n_times if isinstance(n_times, tuple) else (n_times,)
    return sum(lengths) / len(lengths)


def pretrained(options, seed, steps, data):
    """Pretrain one variant and return it."""
    import numpy as np

    from sktinymyo import TinyMyoPretrainer

    recordings, labels, wearings = data
    parameters = {**BASE, **options}
    worn = parameters.pop("worn")
    if worn != "as worn":
        turns = turns_of(worn, recordings, labels, wearings, seed)
        recordings = [
            np.roll(recording, turns[name], axis=0)
            for recording, name in zip(recordings, wearings, strict=True)
        ]
    if parameters.pop("simulated"):
        more = simulated()
        recordings = recordings + more
        labels = np.concatenate([labels, np.full(len(more), None)])
    labels = labels if parameters.pop("labelled") else None
    budget = steps * BATCH * mean_length(BASE["n_times"])
    a_step = parameters["batch_size"] * mean_length(parameters["n_times"])
    parameters["max_steps"] = round(budget / a_step)
    model = TinyMyoPretrainer("small", scale=None, random_state=seed, **parameters)
    return model.fit(recordings, labels)


def turns_of(worn, recordings, labels, wearings, seed):
    """Return wearing -> channels by which its recordings are turned."""
    import numpy as np

    from sktinymyo.signal import align_wearings

    if worn == "aligned":
        strength = np.array([recording.std(axis=1) for recording in recordings])
        return align_wearings(strength, labels, wearings)
    names = np.unique(wearings).tolist()
    turns = np.random.default_rng(seed).integers(len(recordings[0]), size=len(names))
    return dict(zip(names, turns.tolist(), strict=True))


def simulated():
    """Return simulated recordings of several rates, scaled as the real ones are."""
    from sktinymyo.datasets import make_gestures

    recordings = []
    for facts in SIMULATED:
        bunch = make_gestures(n_subjects=6, n_repetitions=3, **facts)
        recordings += person_scaled(bunch.recordings, bunch.meta)
    return recordings


def main():
    """Run what is asked for and not yet stored."""
    parser = parser_of(__doc__, "ablation")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--steps",
        type=int,
        default=400,
        help="of 256 windows with the lengths of the base (default 400)",
    )
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "ablation")

    import numpy as np
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from sktinymyo import TimeDomainFeatures, TinyMyoEmbedder
    from sktinymyo.datasets import load_packed

    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    sets = development_sets(options.data)
    features = TimeDomainFeatures(features=["mav", "zc", "ssc", "wl", "rms", "log_var"])

    def report(name, seed, function):
        key = {"variant": name, "seed": seed, "steps": options.steps}
        if name == "features":
            key = {"variant": name, "seed": 0, "steps": 0}
        started = time.perf_counter()
        values = results.compute(key, function)
        means = ", ".join(
            f"{place} {np.mean(scores):.3f}" for place, scores in values.items()
        )
        print(
            f"{name:>22} seed {seed}: {means} ({time.perf_counter() - started:.0f} s)",
            flush=True,
        )

    report("features", 0, lambda: scores_of(features.fit_transform, sets, lda))
    bunch = load_packed("aljazfrancic_myo", options.data)
    meta = bunch.meta
    data = (
        person_scaled(bunch.recordings, meta),
        meta["gesture"].to_numpy(),
        wearings_of(meta),
    )
    for seed in options.seeds:
        embedder = TinyMyoEmbedder(
            "random", size="small", scale=None, random_state=seed
        )
        report(
            "random",
            seed,
            lambda embedder=embedder: scores_of(embedder.fit_transform, sets, lda),
        )
        for name in options.variants:
            report(
                name,
                seed,
                lambda name=name, seed=seed: scores_of(
                    pretrained(VARIANTS[name], seed, options.steps, data).transform,
                    sets,
                    lda,
                ),
            )


if __name__ == "__main__":
    sys.exit(main())
