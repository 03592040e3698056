"""Images of electrode grids: single samples, votes, sessions, people, shifted grids.

    python tests/benchmarks/hdsemg.py
    python tests/benchmarks/hdsemg.py --only export

The set ``flexemg_hd64_demo`` (16 x 4 electrodes, 1000 Hz, rest and four gestures, three
people) and the simulated grid of 16 x 8. Filters: 20 to 380 Hz, without 45 to 55 Hz.

Transitions lie inside the segments of the set: 25 % are left out at both borders of
each, as its authors do. The closing rest of a file has a repetition of its own in the
set; it belongs to its file here. Windows are 50 ms without overlap for the images, and
every second sample of them is trained on; LDA on time-domain features sees windows of
200 ms every 100 ms. Scores of single samples, of votes over the last n samples of a
segment, and of votes over the same windows that LDA sees. "export" compares the float
network with its int8 graph and with its integers, whose C program gives the same bits.
"""

import copy
import itertools
import sys

from _common import Results, limit_threads, parser_of

VOTES = (1, 10, 40, 150)
FRAMES = 0.05
FEATURES = ["mav", "zc", "ssc", "wl", "rms", "log_var"]
RECIPE = {"frames_per_window": 25, "max_epochs": 4}
# Fewer images, seen more often.
CALIBRATION = {"frames_per_window": 25, "max_epochs": 10}
# A part of the classes: a lower rate leaves the features of the others in place.
PART = {**CALIBRATION, "lr": 5e-4}
SHIFTS = (0.0, 5.0, 10.0)
# With the number of their seeds.
METHODS = {"lda": 1, "allconv": 2, "geng": 1}
SIMULATED_METHODS = {"lda": 1, "allconv": 1}
SIMULATED = {
    "n_subjects": 2,
    "n_gestures": 8,
    "n_repetitions": 2,
    "n_sessions": 2,
    "duration": 2.0,
    "grid": (16, 8),
    "sfreq": 1000,
    "random_state": 0,
}


class Frames:
    """Filtered recordings as short windows for images and longer ones for LDA."""

    def __init__(self, bunch, border):
        import numpy as np

        from sktinymyo import EMGFilter, sliding_windows

        band = EMGFilter(bunch.sfreq, 20, 380, notch=50, notch_width=10)
        recordings = []
        for recording in bunch.recordings:
            filtered = band.filter_recording(recording)
            cut = int(border * filtered.shape[1])
            recordings.append(
                filtered[:, cut : filtered.shape[1] - cut].astype(np.float32)
            )
        arguments = {"labels": bunch.target, "meta": bunch.meta}
        self.grid = bunch.grid
        self.X, self.y, self.meta = sliding_windows(
            recordings, bunch.sfreq, FRAMES, FRAMES, **arguments
        )
        self.long, self.long_y, self.long_meta = sliding_windows(
            recordings, bunch.sfreq, 0.2, 0.1, **arguments
        )


def flexemg(folder):
    """Return the frames of the recorded set; its repetition is that of the file."""
    from sktinymyo.datasets import load_packed

    bunch = load_packed("flexemg_hd64_demo", folder)
    bunch.meta["repetition"] %= 20
    return Frames(bunch, border=0.25)


def choose(meta, **wanted):
    """Return the rows whose columns hold these values."""
    import numpy as np

    rows = np.ones(len(meta), dtype=bool)
    for name, value in wanted.items():
        rows &= (meta[name] == value).to_numpy()
    return rows


def network(kind, grid, seed, recipe):
    """Return an unfitted classifier of images."""
    from geng import GengClassifier

    from sktinymyo import AllConvNetClassifier

    classes = {"allconv": AllConvNetClassifier, "geng": GengClassifier}
    return classes[kind](grid, random_state=seed, **recipe)


def score_votes(model, frames, test):
    """Score a fitted model on single samples and with votes."""
    import numpy as np
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    from sktinymyo.signal import majority_vote

    meta, n_times = frames.meta[choose(frames.meta, **test)], frames.X.shape[2]
    labels = model.predict_frames(frames.X[choose(frames.meta, **test)]).ravel()
    truth = np.repeat(frames.y[choose(frames.meta, **test)], n_times)
    recordings = np.repeat(meta["recording"].to_numpy(), n_times)
    scores = {}
    for n_frames in VOTES:
        voted = majority_vote(labels, recordings, n_frames)
        scores[str(n_frames)] = accuracy_score(truth, voted)
        scores[f"balanced {n_frames}"] = balanced_accuracy_score(truth, voted)
    rows = choose(frames.long_meta, **test)
    truth = frames.long_y[rows]
    # A window of 200 ms is four of 50 ms.
    windows = frames.long[rows]
    short = windows.reshape(*windows.shape[:2], -1, n_times).swapaxes(1, 2)
    short = model.predict_frames(short.reshape(-1, *frames.X.shape[1:]))
    short = short.reshape(len(truth), -1)
    counts = (short[:, :, None] == model.classes_).sum(axis=1)
    voted = model.classes_[counts.argmax(axis=1)]
    scores["window"] = accuracy_score(truth, voted)
    scores["balanced window"] = balanced_accuracy_score(truth, voted)
    scores["recall"] = {
        str(label): float((voted[truth == label] == label).mean())
        for label in np.unique(truth)
    }
    scores["n_parameters"] = sum(p.numel() for p in model.module_.parameters())
    return scores


def score_lda(frames, train, test):
    """Fit and score LDA on time-domain features of 200 ms."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import accuracy_score, balanced_accuracy_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from sktinymyo import TimeDomainFeatures

    model = make_pipeline(
        TimeDomainFeatures(features=FEATURES),
        StandardScaler(),
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
    )
    rows = choose(frames.long_meta, **train)
    model.fit(frames.long[rows], frames.long_y[rows])
    rows = choose(frames.long_meta, **test)
    truth, labels = frames.long_y[rows], model.predict(frames.long[rows])
    return {
        "window": accuracy_score(truth, labels),
        "balanced window": balanced_accuracy_score(truth, labels),
    }


def within(results, frames, name, subjects, splits, methods):
    """Score every method on splits within people."""

    def run(kind, seed, train, test):
        if kind == "lda":
            return score_lda(frames, train, test)
        rows = choose(frames.meta, **train)
        model = network(kind, frames.grid, seed, RECIPE)
        model.fit(frames.X[rows], frames.y[rows])
        return score_votes(model, frames, test)

    for seed in range(max(methods.values())):
        for kind, protocol in itertools.product(methods, splits):
            if seed < methods[kind]:
                for subject in subjects:
                    for number, (train, test) in enumerate(splits[protocol]):
                        key = {
                            "set": name,
                            "protocol": protocol,
                            "method": kind,
                            "unit": int(subject),
                            "fold": number,
                            "seed": seed,
                        }
                        who = {"subject": subject}
                        values = results.compute(
                            key,
                            lambda k=kind, s=seed, a=who | train, b=who | test: run(
                                k, s, a, b
                            ),
                        )
                        print(key, round(values["window"], 3), flush=True)


def transfer(results, frames, seeds):
    """Score what models of the other people are worth, before and after calibration."""
    import numpy as np

    meta = frames.meta
    for seed in seeds:
        for subject in np.unique(meta["subject"]):
            key = {
                "set": "flexemg",
                "protocol": "transfer",
                "unit": int(subject),
                "seed": seed,
            }
            names = ("others", "scratch", "others + all", "others + part")
            if all(results.find(key | {"method": m}) for m in names):
                continue
            others = (meta["subject"] != subject) & (meta["session"] == 0)
            others = others.to_numpy()
            test = {"subject": subject, "session": 1}
            # Half a second of every segment of one file.
            shown = choose(meta, subject=subject, session=0, repetition=0)
            order = meta.groupby("recording").cumcount().to_numpy()
            shown &= order < 10
            part = shown & np.isin(frames.y, [0, 1, 4])
            model = network("allconv", frames.grid, seed, RECIPE)
            model.fit(frames.X[others], frames.y[others])
            results.add(key | {"method": "others"}, score_votes(model, frames, test))
            for name, rows, recipe in (
                ("others + all", shown, CALIBRATION),
                ("others + part", part, PART),
            ):
                tuned = copy.deepcopy(model).set_params(**recipe)
                tuned.partial_fit(frames.X[rows], frames.y[rows])
                results.add(key | {"method": name}, score_votes(tuned, frames, test))
            scratch = network("allconv", frames.grid, seed, CALIBRATION)
            scratch.fit(frames.X[shown], frames.y[shown])
            results.add(key | {"method": "scratch"}, score_votes(scratch, frames, test))
            for name in names:
                values = results.find(key | {"method": name})
                print(key, name, round(values["window"], 3), flush=True)


def export(results, frames, seed=0):
    """Score float, int8 graph and integers of the network for the next session."""
    import numpy as np
    from sklearn.metrics import accuracy_score, balanced_accuracy_score

    from sktinymyo import estimate_gap9, to_onnx
    from sktinymyo.export._onnx_session import make_session, run_graph
    from sktinymyo.export.quantize import quantize

    meta = frames.meta
    for subject in np.unique(meta["subject"]):
        train = choose(meta, subject=subject, session=0)
        test = choose(meta, subject=subject, session=1)
        X, truth = frames.X[test], frames.y[test]
        model = None
        for vote in (1, "window"):
            key = {
                "set": "flexemg",
                "protocol": "export",
                "unit": int(subject),
                "vote": vote,
                "seed": seed,
            }
            if results.find(key):
                continue
            if model is None:
                model = network("allconv", frames.grid, seed, RECIPE)
                model.fit(frames.X[train], frames.y[train])
            model.set_params(vote=vote)
            known = frames.X[train][::4]
            graph = to_onnx(model, known[:8], quantize="int8", X_calib=known)
            integers = quantize(model, known)
            labels = {
                "float": model.predict(X),
                "int8": run_graph(make_session(graph), X.astype(np.float32))[0],
                "integers": integers.predict(X),
            }
            values = {"n_windows": len(X), "weights_bytes": integers.program.nbytes()}
            for name, found in labels.items():
                values[name] = {
                    "accuracy": accuracy_score(truth, found),
                    "balanced": balanced_accuracy_score(truth, found),
                    "agreement": float(np.mean(found == labels["float"])),
                }
            chip = estimate_gap9(model)
            values["peak"] = dict(chip.plan.peak)
            values["of_one_image"] = {
                name: {
                    "ms": 1e3 * one.of_one_image().seconds("370MHz")[0],
                    "mj": one.of_one_image().millijoules("370MHz")[0],
                }
                for name, one in chip.estimates.items()
            }
            results.add(key, values)
            print(key, values, flush=True)


def main():
    """Run what is not yet stored."""
    parser = parser_of(__doc__, "hdsemg")
    parser.add_argument("--only", choices=("scores", "export"), default=None)
    parser.add_argument("--data", default=None, help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    results = Results(options.out, "hdsemg")

    from sktinymyo.datasets import make_hdsemg

    frames = flexemg(options.data)
    if options.only != "scores":
        export(results, frames)
    if options.only == "export":
        return
    first = {"session": 0}
    recorded = {
        "repetition": [
            (first | {"repetition": 0}, first | {"repetition": 1}),
            (first | {"repetition": 1}, first | {"repetition": 0}),
        ],
        "session": [({"session": 0}, {"session": 1})],
    }
    once = dict.fromkeys(METHODS, 1)
    within(results, frames, "flexemg", (1, 2, 3), recorded, once)
    transfer(results, frames, (0,))
    for shift in SHIFTS:
        name = f"simulated, shift {shift:g} mm"
        keys = [r["key"] for r in results.records if r["key"]["set"] == name]
        if len(keys) == 2 * 2 * 2:
            continue
        bunch = make_hdsemg(electrode_shift=shift, **SIMULATED)
        splits = {
            "repetition": [(first | {"repetition": 0}, first | {"repetition": 1})],
            "session": [({"session": 0}, {"session": 1})],
        }
        simulated = Frames(bunch, border=0.25)
        within(results, simulated, name, (0, 1), splits, SIMULATED_METHODS)
    # Last, because they say least: how much the first seeds mean.
    within(results, frames, "flexemg", (1, 2, 3), recorded, METHODS)
    transfer(results, frames, (1,))


if __name__ == "__main__":
    sys.exit(main())
