"""Data, comparisons and snapshots that the estimator checks share."""

import functools
import io
import os
import random
import re
import warnings
from unittest import SkipTest

import joblib
import numpy as np
from sklearn.base import BaseEstimator, clone, is_regressor

__all__ = [
    "N_CHANNELS",
    "N_TIMES",
    "changed_outputs",
    "channels_parameter",
    "data_for",
    "fingerprint",
    "fitted",
    "has_parameter",
    "make_windows",
    "outputs",
    "pickled",
    "prepared",
    "process_settings",
    "random_states",
    "refused",
    "require",
    "require_same",
    "same_values",
    "unpickled",
    "windows_check",
]

N_CHANNELS = 3
N_TIMES = 40
METHODS = ("predict", "predict_proba", "decision_function", "transform")

SHARED_SECTIONS = """

    Parameters
    ----------
    name : str
        Name of the estimator, for the messages.
    estimator : estimator
        Instance to check; it is cloned and not changed.

    Raises
    ------
    AssertionError
        If the estimator fails the check; the message says what was seen.

    Examples
    --------
    >>> from sktinymyo import {kind}
    >>> from sktinymyo.utils.estimator_checks import {check}
    >>> estimator = {kind}({arguments})
    >>> {check}("{kind}", estimator)
"""

# Of each kind, one that fits in a moment, for the examples.
EXAMPLES = {
    "EMGFilter": "",
    "TinyMyoClassifier": 'weights="random", size="nano", max_epochs=2',
    "TinyMyoRegressor": 'weights="random", size="nano", max_epochs=2',
}


def windows_check(applies=None, example="EMGFilter"):
    """Mark a function as a check and say to which estimators it applies.

    Parameters
    ----------
    applies : callable or None, default=None
        Takes an estimator and tells whether the check applies; None for all.
    example : str, default="EMGFilter"
        Estimator that the example of the docstring shows.

    Returns
    -------
    decorator : callable
        Adds the attribute `applies` and the shared sections of the docstring;
        whatever the estimator raises becomes an AssertionError.
    """

    def decorate(function):
        @functools.wraps(function)
        def check(name, estimator):
            try:
                function(name, estimator)
            except (AssertionError, SkipTest):
                raise
            except Exception as error:
                raise AssertionError(
                    f"{name} raises {type(error).__name__} in {function.__name__}: "
                    f"{error}"
                ) from error

        check.applies = (lambda estimator: True) if applies is None else applies
        # Under ``python -OO`` there are no docstrings to add to.
        if function.__doc__:
            check.__doc__ = function.__doc__.rstrip() + SHARED_SECTIONS.format(
                kind=example, arguments=EXAMPLES[example], check=function.__name__
            )
        return check

    return decorate


def has_parameter(parameter):
    """Return a predicate that tells whether an estimator has this parameter."""
    return lambda estimator: parameter in estimator.get_params(deep=False)


def channels_parameter(estimator):
    """Return the parameter that splits flattened windows into channels, or None.

    It is `n_channels`, or `n_channels_in` where both exist, because `n_channels`
    then speaks of the output.
    """
    parameters = estimator.get_params(deep=False)
    for parameter in ("n_channels_in", "n_channels"):
        if parameter in parameters:
            return parameter
    return None


def require(condition, message):
    """Raise an AssertionError, also where ``python -O`` drops assertions."""
    if not condition:
        raise AssertionError(message)


def make_windows(
    n_windows=18, n_channels=N_CHANNELS, n_times=N_TIMES, n_classes=3, seed=0
):
    """Windows of noise whose loud channel tells the class.

    Returns
    -------
    X : ndarray of shape (n_windows, n_channels, n_times), float32
    y : ndarray of shape (n_windows,), int
        Every class has ``n_windows / n_classes`` windows, in turn.
    """
    generator = np.random.default_rng(seed)
    y = np.arange(n_windows) % n_classes
    X = generator.standard_normal((n_windows, n_channels, n_times))
    X[np.arange(n_windows), y % n_channels] *= 4.0
    return X.astype(np.float32), y


def data_for(estimator, n_windows=18, **options):
    """Windows and a target that suits the kind of the estimator."""
    X, y = make_windows(n_windows=n_windows, **options)
    if is_regressor(estimator):
        target = np.log(X.var(axis=(1, 2), dtype=np.float64) + 1e-9)
        y = (target - target.mean()) / target.std()
    return X, y


def prepared(estimator, seed=0, **parameters):
    """Clone the estimator and fix its seeds."""
    copy = clone(estimator)
    seeds = {
        key: seed
        for key in copy.get_params(deep=True)
        if key == "random_state" or key.endswith("__random_state")
    }
    return copy.set_params(**(seeds | parameters))


def fitted(estimator, X, y, *, seed=0, parameters=None, **fit_parameters):
    """Clone, fix the seeds, fit."""
    copy = prepared(estimator, seed, **(parameters or {}))
    return copy.fit(X, y, **fit_parameters)


def outputs(estimator, X):
    """Call every method that takes windows; give the outputs by method."""
    return {
        method: np.asarray(getattr(estimator, method)(X))
        for method in METHODS
        if hasattr(estimator, method)
    }


def same_values(first, second, tolerance):
    """Compare two arrays; floats relative to the largest magnitude seen."""
    if first.shape != second.shape:
        return False
    if first.dtype.kind in "fc" and second.dtype.kind in "fc":
        scale = max(np.abs(first).max(initial=0), np.abs(second).max(initial=0))
        return bool(np.allclose(first, second, rtol=0, atol=tolerance * scale))
    return bool(np.array_equal(first, second))


def require_same(first, second, message, *, tolerance=1e-5):
    """Require that two dictionaries of outputs agree."""
    require(
        first.keys() == second.keys(), f"{message}: the methods differ: {first.keys()}"
    )
    for method, values in first.items():
        others = second[method]
        if same_values(values, others, tolerance):
            continue
        detail = f"shapes {values.shape} and {others.shape}"
        if values.shape == others.shape:
            if values.dtype.kind in "fc" and others.dtype.kind in "fc":
                detail = f"largest difference {np.abs(values - others).max():.3g}"
            else:
                detail = f"{np.count_nonzero(values != others)} values differ"
        raise AssertionError(f"{message}: {method} differs ({detail}).")


def changed_outputs(first, second):
    """Tell whether two dictionaries of outputs differ in a single bit."""
    return any(
        not np.array_equal(values, second[method]) for method, values in first.items()
    )


def refused(call, message, *, naming=(), errors=(ValueError,)):
    """Require that a call raises, with a message that names the things given.

    Parameters
    ----------
    call : callable
        Takes no argument.
    message : str
        What should have been refused, for the AssertionError.
    naming : iterable of int or str
        Whole words the error's message must contain (case is ignored).
    errors : tuple of exception types, default=(ValueError,)
        Accepted types.
    """
    try:
        call()
    except errors as error:
        text = str(error)
        missing = [
            str(word)
            for word in naming
            if not re.search(rf"(?<!\w){re.escape(str(word))}(?!\w)", text, re.I)
        ]
        require(
            not missing,
            f"{message} was refused, but the message does not name "
            f"{', '.join(missing)}: {text!r}",
        )
    except Exception as error:
        raise AssertionError(
            f"{message} was refused with {type(error).__name__}: {error}; expected "
            f"{' or '.join(kind.__name__ for kind in errors)}."
        ) from error
    else:
        raise AssertionError(f"{message} was accepted.")


def fingerprint(value):
    """Describe the content of a parameter, so that a change inside it shows."""
    if hasattr(value, "state_dict") and hasattr(value, "named_parameters"):
        return (
            type(value).__name__,
            value.training,
            [
                (key, fingerprint(tensor.detach().cpu().numpy()))
                for key, tensor in value.state_dict().items()
            ],
            [
                (key, parameter.requires_grad, parameter.grad is None)
                for key, parameter in value.named_parameters()
            ],
        )
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        return fingerprint(value.detach().cpu().numpy())
    if isinstance(value, BaseEstimator):
        return type(value).__name__, fingerprint(vars(value))
    if isinstance(value, dict):
        return [(fingerprint(key), fingerprint(item)) for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [fingerprint(item) for item in value]
    try:
        return joblib.hash(value)
    except Exception:
        # Objects that cannot be pickled can still be told from one another.
        return id(value)


def random_states():
    """State of the global generators of Python, NumPy and torch."""
    import torch

    # The legacy generator is the one that a careless estimator would draw from.
    name, keys, *rest = np.random.get_state()  # noqa: NPY002
    states = {
        "random": random.getstate(),
        "numpy.random": (name, keys.tobytes(), *rest),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }
    if torch.cuda.is_available():
        states["torch.cuda"] = [
            state.numpy().tobytes() for state in torch.cuda.get_rng_state_all()
        ]
    return states


def process_settings():
    """Read the settings of the process that belong to the caller, by name."""
    import torch

    return {
        "torch.get_num_threads": torch.get_num_threads(),
        "torch.get_float32_matmul_precision": torch.get_float32_matmul_precision(),
        "torch.get_default_dtype": torch.get_default_dtype(),
        "torch.are_deterministic_algorithms_enabled": (
            torch.are_deterministic_algorithms_enabled()
        ),
        "torch.is_grad_enabled": torch.is_grad_enabled(),
        "torch.is_inference_mode_enabled": torch.is_inference_mode_enabled(),
        "torch.is_autocast_enabled": torch.is_autocast_enabled(),
        "torch.backends.cudnn.benchmark": torch.backends.cudnn.benchmark,
        "torch.backends.cudnn.deterministic": torch.backends.cudnn.deterministic,
        "torch.backends.mkldnn.enabled": torch.backends.mkldnn.enabled,
        "torch.backends.cuda.flash_sdp_enabled": (
            torch.backends.cuda.flash_sdp_enabled()
        ),
        "torch.backends.cuda.math_sdp_enabled": torch.backends.cuda.math_sdp_enabled(),
        "numpy.geterr": np.geterr(),
        "os.environ": dict(os.environ),
        "warnings.filters": list(warnings.filters),
    }


def pickled(model):
    """Return the bytes that joblib stores for a model."""
    buffer = io.BytesIO()
    joblib.dump(model, buffer)
    return buffer.getvalue()


def unpickled(content):
    """Return the model of these bytes."""
    return joblib.load(io.BytesIO(content))
