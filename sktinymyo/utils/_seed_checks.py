"""Checks of randomness, threads, processes and the settings of the caller."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from joblib import Parallel, delayed

from ._check_tools import (
    METHODS,
    changed_outputs,
    data_for,
    fitted,
    has_parameter,
    outputs,
    pickled,
    prepared,
    process_settings,
    random_states,
    require,
    require_same,
    unpickled,
    windows_check,
)

__all__ = [
    "check_windows_global_generators",
    "check_windows_process_settings",
    "check_windows_same_seed",
    "check_windows_same_seed_in_processes",
    "check_windows_same_seed_in_threads",
]


@windows_check()
def check_windows_global_generators(name, estimator):
    """Check that global random generators are neither used nor moved.

    The generators of torch, NumPy and Python stand where they stood after
    `fit` and every prediction, and what they stand at has no influence. With
    ``random_state=None`` NumPy's may be drawn from, as in scikit-learn.
    """
    import torch

    X, y = data_for(estimator)
    model = prepared(estimator)
    before = random_states()

    def compare(what, but=()):
        moved = [
            key
            for key, state in random_states().items()
            if state != before[key] and key not in but
        ]
        require(not moved, f"{name}.{what} moves the generator of {', '.join(moved)}.")

    model.fit(X, y)
    compare("fit")
    for method in METHODS:
        if hasattr(model, method):
            getattr(model, method)(X)
            compare(method)
    expected = outputs(model, X)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(8191)
        require_same(
            expected,
            outputs(fitted(estimator, X, y), X),
            f"{name}: after torch.manual_seed by the caller",
        )
        require_same(
            expected, outputs(model, X), f"{name}: prediction after torch.manual_seed"
        )
    if has_parameter("random_state")(estimator):
        before = random_states()
        fitted(estimator, X, y, parameters={"random_state": None})
        compare("fit with random_state=None", but=("numpy.random",))


@windows_check()
def check_windows_same_seed(name, estimator):
    """Check that the same `random_state` gives the same model, bit by bit."""
    X, y = data_for(estimator)
    first = outputs(fitted(estimator, X, y, seed=3), X)
    second = outputs(fitted(estimator, X, y, seed=3), X)
    require(
        not changed_outputs(first, second),
        f"{name}: two fits with random_state=3 differ.",
    )


@windows_check()
def check_windows_same_seed_in_threads(name, estimator):
    """Check four fits at the same time in threads, each with its own seed.

    Each must give the model that the seed gives alone. A generator shared
    between threads shows here. So does state kept at prediction: one model,
    fresh from a pickle, predicts different windows in four threads.
    """
    n_threads = 4
    X, y = data_for(estimator)
    alone = [
        outputs(fitted(estimator, X, y, seed=seed), X) for seed in range(n_threads)
    ]
    barrier = threading.Barrier(n_threads)

    def fit(seed):
        model = prepared(estimator, seed)
        barrier.wait(timeout=120)
        return outputs(model.fit(X, y), X)

    parts = [X[start::n_threads] for start in range(n_threads)]
    expected = [outputs(fitted(estimator, X, y), part) for part in parts]
    # What is built at the first prediction after unpickling is built only once.
    model = unpickled(pickled(fitted(estimator, X, y)))

    def predict(part):
        barrier.wait(timeout=120)
        return outputs(model, part)

    with ThreadPoolExecutor(n_threads) as pool:
        together = list(pool.map(fit, range(n_threads)))
        predicted = list(pool.map(predict, parts))
    for seed in range(n_threads):
        require_same(
            alone[seed],
            together[seed],
            f"{name}: fitted in one of {n_threads} threads with random_state={seed}",
            tolerance=1e-4,
        )
        require_same(
            expected[seed],
            predicted[seed],
            f"{name}: prediction in one of {n_threads} threads",
        )


def fit_and_predict(estimator, X, y):
    """Fit and give the outputs; at module level, so that processes find it."""
    return outputs(estimator.fit(X, y), X)


@windows_check()
def check_windows_same_seed_in_processes(name, estimator):
    """Check that a fit in another process gives the same model as here.

    So that ``n_jobs=2`` in a search changes nothing but the time.
    """
    X, y = data_for(estimator)
    seeds = (0, 1)
    here = [outputs(fitted(estimator, X, y, seed=seed), X) for seed in seeds]
    there = Parallel(n_jobs=2, backend="loky")(
        delayed(fit_and_predict)(prepared(estimator, seed), X, y) for seed in seeds
    )
    for seed, first, second in zip(seeds, here, there, strict=True):
        require_same(
            first,
            second,
            f"{name}: fitted in another process with random_state={seed}",
            tolerance=1e-4,
        )


@windows_check()
def check_windows_process_settings(name, estimator):
    """Check that the caller's settings of the process are left as found.

    Threads, matmul precision, default type, determinism, gradient mode and
    autocast of torch, NumPy's error handling, environment variables and
    warning filters; with unusual values, which must not change the result.
    """
    import torch

    X, y = data_for(estimator)
    expected = outputs(fitted(estimator, X, y), X)
    found = process_settings()
    unusual = {
        "two threads": lambda: torch.set_num_threads(2),
        "one thread": lambda: torch.set_num_threads(1),
        "matmul precision 'high'": lambda: torch.set_float32_matmul_precision("high"),
        "default type float64": lambda: torch.set_default_dtype(torch.float64),
        "gradients switched off": lambda: torch.set_grad_enabled(False),
        "numpy errors raised": lambda: np.seterr(divide="raise", invalid="raise"),
    }
    try:
        for what, change in unusual.items():
            change()
            before = process_settings()
            try:
                seen = outputs(fitted(estimator, X, y), X)
            except Exception as error:
                raise AssertionError(
                    f"{name} with {what} raises {type(error).__name__}: {error}"
                ) from error
            after = process_settings()
            changed = [key for key in before if before[key] != after[key]]
            require(not changed, f"{name} with {what} changes {', '.join(changed)}.")
            require_same(expected, seen, f"{name} with {what}", tolerance=1e-3)
            _restore(found)
    finally:
        _restore(found)


def _restore(settings):
    """Put back the settings that the check above changes."""
    import torch

    torch.set_num_threads(settings["torch.get_num_threads"])
    torch.set_float32_matmul_precision(settings["torch.get_float32_matmul_precision"])
    torch.set_default_dtype(settings["torch.get_default_dtype"])
    torch.set_grad_enabled(settings["torch.is_grad_enabled"])
    np.seterr(**settings["numpy.geterr"])
