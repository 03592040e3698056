"""Fit MiniRocket on windows and predict; runs in an environment with aeon.

    python tests/benchmarks/minirocket/run.py cases.npz predictions.npz --seed 0

``transfer.py`` calls it. The first file holds, for the cases k = 0, 1, ..., the arrays
``X_train_k`` (n_windows, n_channels, n_times), ``y_train_k`` and ``X_test_k``; the
second one ``predicted_k`` and ``seconds_k`` (of fitting and of predicting), and
``version`` of aeon. MiniRocket with aeon's defaults: 10,000 kernels and a ridge
classifier [1]_.

References
----------
.. [1] A. Dempster, D. F. Schmidt, G. I. Webb, "MiniRocket: A Very Fast (Almost)
   Deterministic Transform for Time Series Classification", KDD 2021, pages 248-257.
"""

import argparse
import itertools
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from aeon.classification.convolution_based import MiniRocketClassifier


def main():
    """Read the cases, fit one model for each and write what they predict."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cases", type=Path, help="file with windows and labels")
    parser.add_argument("out", type=Path, help="file for the predictions")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    answers = {"version": np.array(metadata.version("aeon"))}
    with np.load(options.cases) as cases:
        for k in itertools.count():
            if f"X_train_{k}" not in cases:
                break
            model = MiniRocketClassifier(random_state=options.seed, n_jobs=1)
            started = time.perf_counter()
            model.fit(cases[f"X_train_{k}"], cases[f"y_train_{k}"])
            fitted = time.perf_counter()
            answers[f"predicted_{k}"] = model.predict(cases[f"X_test_{k}"])
            seconds = [fitted - started, time.perf_counter() - fitted]
            answers[f"seconds_{k}"] = np.array(seconds)
    np.savez(options.out, **answers)


if __name__ == "__main__":
    main()
