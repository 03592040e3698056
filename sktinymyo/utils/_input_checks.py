"""Checks of which windows an estimator accepts and refuses."""

import tempfile
from pathlib import Path

import numpy as np
from sklearn.utils import get_tags

from ._check_tools import (
    METHODS,
    N_CHANNELS,
    N_TIMES,
    channels_parameter,
    data_for,
    fitted,
    has_parameter,
    make_windows,
    outputs,
    prepared,
    refused,
    require,
    require_same,
    windows_check,
)

__all__ = [
    "check_windows_accepted",
    "check_windows_batch_invariance",
    "check_windows_dtypes",
    "check_windows_flat_equals_3d",
    "check_windows_flat_is_not_3d",
    "check_windows_input_not_modified",
    "check_windows_nonfinite_refused",
    "check_windows_odd_shapes",
    "check_windows_sample_weight_refused",
    "check_windows_shape_changed",
    "check_windows_wrong_input_refused",
]


@windows_check()
def check_windows_accepted(name, estimator):
    """Check that three-dimensional windows are accepted and remembered.

    `fit` stores ``n_channels_in_``, ``n_times_in_`` and ``n_features_in_``; every
    method gives one finite output a window; nested lists give the same model;
    the tags say that three-dimensional input is accepted, and also
    two-dimensional, without which scikit-learn runs no checks at all.
    """
    tags = get_tags(estimator).input_tags
    require(
        tags.three_d_array and tags.two_d_array,
        f"{name}: the input tags two_d_array and three_d_array must both be True.",
    )
    X, y = data_for(estimator)
    copy = prepared(estimator)
    require(copy.fit(X, y) is copy, f"{name}.fit does not return the estimator.")
    expected = {
        "n_channels_in_": N_CHANNELS,
        "n_times_in_": N_TIMES,
        "n_features_in_": N_CHANNELS * N_TIMES,
    }
    for attribute, value in expected.items():
        seen = getattr(copy, attribute, None)
        require(
            seen == value, f"{name}.fit sets {attribute}={seen!r}; expected {value}."
        )
    results = outputs(copy, X)
    require(results, f"{name} has none of the methods {', '.join(METHODS)}.")
    for method, values in results.items():
        require(
            values.shape[:1] == (len(X),),
            f"{name}.{method} gives the shape {values.shape} for {len(X)} windows.",
        )
        require(
            values.dtype.kind not in "fc" or np.isfinite(values).all(),
            f"{name}.{method} gives NaN or infinity.",
        )
    as_lists = outputs(fitted(estimator, X.tolist(), list(y)), X.tolist())
    require_same(results, as_lists, f"{name} on nested lists", tolerance=1e-4)


@windows_check()
def check_windows_shape_changed(name, estimator):
    """Check that a changed number of channels or samples is refused.

    scikit-learn compares only the product of the two, so that windows of
    4 x 30 pass where 3 x 40 were seen in `fit`. The message must name the
    channels and the samples, those seen in `fit` and those given.
    """
    X, y = data_for(estimator)
    model = fitted(estimator, X, y)
    shapes = [
        (N_CHANNELS - 1, N_TIMES),
        (N_CHANNELS + 2, N_TIMES),
        (N_CHANNELS, N_TIMES + 20),
        (N_CHANNELS, N_TIMES - 1),
        (4, 30),
        (N_TIMES, N_CHANNELS),
    ]
    for shape in shapes:
        other, _ = make_windows(n_windows=6, n_channels=shape[0], n_times=shape[1])
        for method in METHODS:
            if hasattr(model, method):
                refused(
                    lambda method=method, other=other: getattr(model, method)(other),
                    f"{name} fitted on {N_CHANNELS} x {N_TIMES}: {shape[0]} x "
                    f"{shape[1]} in {method}",
                    naming={N_CHANNELS, N_TIMES, *shape},
                )


@windows_check()
def check_windows_flat_is_not_3d(name, estimator):
    """Check that flat windows are refused after 3-D ones, and the reverse."""
    X, y = data_for(estimator)
    flat = X.reshape(len(X), -1)
    channels = channels_parameter(estimator)
    parameters = {}
    if channels is None:
        X = X.reshape(len(X), 1, -1)
    else:
        parameters[channels] = N_CHANNELS
    for first, second in ((X, flat), (flat, X)):
        model = fitted(estimator, first, y, parameters=parameters)
        for method in METHODS:
            if hasattr(model, method):
                refused(
                    lambda method=method, model=model, second=second: getattr(
                        model, method
                    )(second),
                    f"{name} fitted on {first.ndim} dimensions: {second.ndim} "
                    f"dimensions in {method}",
                )


@windows_check()
def check_windows_flat_equals_3d(name, estimator):
    """Check that flattened windows give what three-dimensional ones give.

    One row a window, split by the parameter `n_channels` where the estimator
    has it (None means one channel), or by `n_channels_in` where `n_channels`
    speaks of the output. A number of columns that it does not divide is
    refused.
    """
    X, y = data_for(estimator)
    n_windows = len(X)
    channels = channels_parameter(estimator)
    pairs = [(X.reshape(n_windows, 1, -1), {})]
    if channels is not None:
        pairs = [
            (X.reshape(n_windows, 1, -1), {channels: None}),
            (X, {channels: N_CHANNELS}),
        ]
        refused(
            lambda: fitted(
                estimator,
                X[:, :1].reshape(n_windows, -1),
                y,
                parameters={channels: N_CHANNELS},
            ),
            f"{name}: {N_TIMES} columns with {channels}={N_CHANNELS}",
        )
    for windows, parameters in pairs:
        flat = windows.reshape(n_windows, -1)
        expected = outputs(fitted(estimator, windows, y), windows)
        seen = outputs(fitted(estimator, flat, y, parameters=parameters), flat)
        for method, values in seen.items():
            if method == "transform":
                require(
                    values.ndim == 2,
                    f"{name}.transform gives {values.ndim} dimensions for flat input.",
                )
                expected[method] = expected[method].reshape(n_windows, -1)
        require_same(
            expected,
            seen,
            f"{name}: {windows.shape[1]} channel(s), flat against 3-D",
            tolerance=1e-5,
        )


@windows_check()
def check_windows_nonfinite_refused(name, estimator):
    """Check that NaN and infinity in 3-D windows are refused by every method."""
    if get_tags(estimator).input_tags.allow_nan:
        return
    X, y = data_for(estimator)
    model = fitted(estimator, X, y)
    for value in (np.nan, np.inf, -np.inf):
        bad = X.copy()
        bad[-1, 1, 7] = value
        calls = {"fit": lambda bad=bad: fitted(estimator, bad, y)}
        for method in METHODS:
            if hasattr(model, method):
                calls[method] = lambda method=method, bad=bad: getattr(model, method)(
                    bad
                )
        for method, call in calls.items():
            refused(call, f"{name}.{method} with {value} in one sample")


@windows_check()
def check_windows_wrong_input_refused(name, estimator):
    """Check that arrays that are no windows are refused, before work starts.

    None at all, one or four dimensions, complex numbers, text, and targets of
    another length.
    """
    X, y = data_for(estimator)
    wrong = {
        "no windows": (X[:0], y[:0]),
        "one dimension": (X[0, 0], y[:1].repeat(N_TIMES)),
        "four dimensions": (X[:, None], y),
        "windows without channels": (X[:, :0], y),
        "windows without samples": (X[:, :, :0], y),
        "complex numbers": (X.astype(complex) + 1j, y),
        "text": (np.full(X.shape, "loud"), y),
    }
    if get_tags(estimator).target_tags.required:
        wrong["fewer labels than windows"] = (X, y[:-1])
    model = fitted(estimator, X, y)
    for what, (windows, target) in wrong.items():
        refused(
            lambda windows=windows, target=target: fitted(estimator, windows, target),
            f"{name}.fit: {what}",
            errors=(ValueError, TypeError),
        )
        if what == "fewer labels than windows":
            continue
        for method in METHODS:
            if hasattr(model, method):
                refused(
                    lambda method=method, windows=windows: getattr(model, method)(
                        windows
                    ),
                    f"{name}.{method}: {what}",
                    errors=(ValueError, TypeError),
                )


@windows_check()
def check_windows_odd_shapes(name, estimator):
    """Check one channel, many channels, short windows and odd lengths.

    A window shorter than a network's patch or a filter's padding, a length
    that no patch divides, more channels than a network has embeddings for,
    and the prediction of a single window all work and give finite numbers.
    """
    shapes = [(1, N_TIMES), (2, 7), (3, 27), (20, 21), (1, 3)]
    for n_channels, n_times in shapes:
        X, y = data_for(estimator, n_channels=n_channels, n_times=n_times)
        what = f"{name} on {n_channels} channel(s) x {n_times} samples"
        try:
            model = fitted(estimator, X, y)
            results = outputs(model, X)
            single = outputs(model, X[:1])
        except Exception as error:
            raise AssertionError(
                f"{what} raises {type(error).__name__}: {error}"
            ) from error
        for method, values in results.items():
            require(
                values.dtype.kind not in "fc" or np.isfinite(values).all(),
                f"{what}: {method} gives NaN or infinity.",
            )
            require(
                single[method].shape == (1, *values.shape[1:]),
                f"{what}: {method} of a single window gives {single[method].shape}.",
            )


@windows_check()
def check_windows_dtypes(name, estimator):
    """Check float64, float32, float16 and integers, as amplifiers deliver them.

    Whole numbers give the same model in every type that holds them.
    """
    X, y = data_for(estimator)
    whole = np.clip(np.round(X * 10), -127, 127)
    expected = outputs(fitted(estimator, whole.astype(np.float32), y), whole)
    for dtype in (np.float64, np.float16, np.int8, np.int16, np.int32):
        typed = whole.astype(dtype)
        seen = outputs(fitted(estimator, typed, y), typed)
        require_same(
            expected,
            seen,
            f"{name}: {np.dtype(dtype).name} against float32",
            tolerance=1e-4,
        )


@windows_check()
def check_windows_input_not_modified(name, estimator):
    """Check that the caller's arrays are left alone, and may be read-only.

    Read-only arrays, memory maps, views with strides and Fortran order give
    the same result as a plain array.
    """
    X, y = data_for(estimator)
    before, y_before = X.copy(), np.array(y)
    expected = outputs(fitted(estimator, X, y), X)
    require(
        np.array_equal(X, before) and np.array_equal(y, y_before),
        f"{name} modifies the windows or the target it is given.",
    )
    frozen, target = X.copy(), np.array(y)
    frozen.flags.writeable = target.flags.writeable = False
    spaced = np.repeat(np.repeat(X, 2, axis=0), 3, axis=2)[::2, :, ::3]
    variants = {
        "read-only": (frozen, target),
        "strided": (spaced, np.repeat(y, 2)[::2]),
        "reversed": (X[:, :, ::-1].copy()[:, :, ::-1], y),
        "Fortran-ordered": (np.asfortranarray(X), y),
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "windows.npy"
        np.save(path, X)
        mapped = np.load(path, mmap_mode="r")
        variants["memory-mapped"] = (mapped, y)
        for what, (windows, labels) in variants.items():
            try:
                seen = outputs(fitted(estimator, windows, labels), windows)
            except Exception as error:
                raise AssertionError(
                    f"{name} on {what} windows raises {type(error).__name__}: {error}"
                ) from error
            require_same(expected, seen, f"{name} on {what} windows")
        # Windows keeps a mapped file open, and its folder cannot be removed then.
        variants.clear()
        del mapped, windows


@windows_check()
def check_windows_batch_invariance(name, estimator):
    """Check that a window's result does not depend on its company.

    One window at a time, in another order, among many, and with another
    `batch_size` where the estimator has one: the same to rounding.
    """
    X, y = data_for(estimator)
    model = fitted(estimator, X, y)
    expected = outputs(model, X)

    single = [outputs(model, X[index : index + 1]) for index in range(len(X))]
    joined = {
        method: np.concatenate([result[method] for result in single])
        for method in expected
    }
    require_same(expected, joined, f"{name}: one window at a time against all")

    order = np.random.default_rng(0).permutation(len(X))
    shuffled = outputs(model, X[order])
    require_same(
        {method: values[order] for method, values in expected.items()},
        shuffled,
        f"{name}: windows in another order",
    )

    many = outputs(model, np.concatenate([X] * 12)[: 11 * len(X) + 1])
    require_same(
        expected,
        {method: values[: len(X)] for method, values in many.items()},
        f"{name}: the same windows among many",
    )

    if has_parameter("batch_size")(estimator):
        for batch_size in (1, 5, 4096):
            model.set_params(batch_size=batch_size)
            require_same(
                expected,
                outputs(model, X),
                f"{name}: prediction with batch_size={batch_size}",
            )


def takes_sample_weight(estimator):
    """Tell whether `fit` takes the weights of the windows."""
    from sklearn.utils.validation import has_fit_parameter

    return has_fit_parameter(estimator, "sample_weight")


@windows_check(takes_sample_weight, example="TinyMyoClassifier")
def check_windows_sample_weight_refused(name, estimator):
    """Check that weights of a wrong length, shape or value are refused."""
    X, y = data_for(estimator)
    weight = np.ones(len(X))
    bad = weight.copy()
    bad[2] = np.nan
    wrong = {
        "too few weights": weight[:-1],
        "a matrix of weights": np.ones((len(X), 2)),
        "NaN among the weights": bad,
        "only zero weights": 0 * weight,
    }
    for what, value in wrong.items():
        refused(
            lambda value=value: fitted(estimator, X, y, sample_weight=value),
            f"{name}.fit: {what}",
        )
