"""Grid search of a head over a frozen encoder: how often is the encoder run?

    python tests/benchmarks/search.py

Five folds, six candidates, 2,000 windows of 8 x 200, one thread: ways to search the
same kind of head, timed one after the other in processes of their own.

pipeline         Pipeline(TinyMyoEmbedder, RidgeClassifier): the encoder runs for every
                 fold, candidate and side
pipeline-memory  the same with Pipeline(memory=folder), which does not keep what is
                 transformed at test time
embedder-memory  the same with TinyMyoEmbedder(memory=folder)
head             TinyMyoClassifier(tune="head"), no memory
head-memory      TinyMyoClassifier(tune="head", memory=folder)

All with scale="window", so that a window's embedding does not depend on the fold. The
ways that end in "-channel" have scale="channel", the default: its statistics are
learned in every fold, which then has embeddings of its own.

The goal is at least 20 times the speed of the encoder inside the Pipeline: pipeline
beside embedder-memory, whose heads are the same.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time

from _common import Results, limit_threads, parser_of

WAYS = (
    "pipeline",
    "pipeline-memory",
    "embedder-memory",
    "embedder-memory-channel",
    "head",
    "head-memory",
    "head-memory-channel",
)


def make_search(way, folder, size):
    """Return the search, with six candidates for the head."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import Pipeline

    from sktinymyo import TinyMyoClassifier, TinyMyoEmbedder

    common = {"weights": "random", "size": size, "device": "cpu", "random_state": 0}
    scale = "channel" if way.endswith("-channel") else "window"
    way = way.removesuffix("-channel")
    if way.startswith("head"):
        memory = None if way == "head" else folder
        model = TinyMyoClassifier(tune="head", memory=memory, scale=scale, **common)
        grid = {"lr": [1e-4, 5e-4, 2e-3], "weight_decay": [0.01, 0.1]}
    else:
        memory = folder if way == "embedder-memory" else None
        steps = [
            ("embedder", TinyMyoEmbedder(memory=memory, scale=scale, **common)),
            ("head", RidgeClassifier()),
        ]
        model = Pipeline(steps, memory=folder if way == "pipeline-memory" else None)
        grid = {"head__alpha": [1e-1, 1.0, 10.0, 100.0, 1e3, 1e4]}
    folds = StratifiedKFold(5, shuffle=True, random_state=0)
    return GridSearchCV(model, grid, cv=folds)


def run(way, n_windows, size):
    """Search once and return the seconds it took and how well it went."""
    import numpy as np

    rng = np.random.default_rng(0)
    y = np.arange(n_windows) % 5
    X = rng.standard_normal((n_windows, 8, 200), dtype=np.float32)
    # One louder channel for each class: something to find.
    X[np.arange(n_windows), y] *= 1.5
    with tempfile.TemporaryDirectory() as folder:
        search = make_search(way, folder, size)
        started = time.perf_counter()
        search.fit(X, y)
        seconds = time.perf_counter() - started
    return {"seconds": seconds, "best_score": float(search.best_score_)}


def main():
    """Run the ways that are asked for and not yet stored."""
    parser = parser_of(__doc__, "search")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--windows", type=int, default=2000)
    parser.add_argument("--size", default="tinymyo")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    limit_threads(options.threads)
    if options.child:
        print(json.dumps(run(options.child, options.windows, options.size)))
        return
    results = Results(options.out, "search")
    for way in options.ways:
        key = {
            "way": way,
            "n_windows": options.windows,
            "size": options.size,
            "threads": options.threads,
        }

        def in_child(way=way):
            command = [sys.executable, __file__, "--child", way]
            command += ["--windows", str(options.windows), "--size", options.size]
            command += ["--threads", str(options.threads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
            if done.returncode:
                raise SystemExit(f"{way} failed")
            return json.loads(done.stdout.splitlines()[-1])

        values = results.compute(key, in_child)
        print(f"{way:>16}: {values['seconds']:8.1f} s, {values['best_score']:.3f}")


if __name__ == "__main__":
    sys.exit(main())
