"""Checks of what fitting does to the model, its parameters and its state."""

import copy
import inspect

import numpy as np
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.exceptions import NotFittedError

from ._check_tools import (
    METHODS,
    N_CHANNELS,
    N_TIMES,
    changed_outputs,
    data_for,
    fingerprint,
    fitted,
    has_parameter,
    make_windows,
    outputs,
    pickled,
    prepared,
    refused,
    require,
    require_same,
    unpickled,
    windows_check,
)
from ._input_checks import takes_sample_weight

__all__ = [
    "check_windows_all_used",
    "check_windows_device_refused",
    "check_windows_init_only_parameters",
    "check_windows_parameters_untouched",
    "check_windows_partial_fit",
    "check_windows_pickle",
    "check_windows_refit",
    "check_windows_zero_weight_ignored",
]


def is_supervised(estimator):
    """Tell whether the estimator is a classifier or a regressor."""
    return is_classifier(estimator) or is_regressor(estimator)


def is_supervised_with_weights(estimator):
    """Tell whether the estimator has a target and takes weights."""
    return is_supervised(estimator) and takes_sample_weight(estimator)


def has_partial_fit(estimator):
    """Tell whether the estimator is a classifier that goes on learning."""
    return is_classifier(estimator) and hasattr(estimator, "partial_fit")


@windows_check()
def check_windows_init_only_parameters(name, estimator):
    """Check that the constructor stores its parameters and nothing else.

    No other attribute, private ones included, and every value as it was
    given: the same object, neither converted nor copied.
    """
    kind = type(estimator)
    given = estimator.get_params(deep=False)
    trials = [(given, kind(**given))]
    defaults = {
        key: parameter.default
        for key, parameter in inspect.signature(kind).parameters.items()
    }
    if inspect.Parameter.empty not in defaults.values():
        trials.append((defaults, kind()))
    for parameters, fresh in trials:
        stored = vars(fresh)
        extra = sorted(set(stored) - set(parameters))
        require(
            not extra, f"{name}.__init__ sets {', '.join(extra)} beside parameters."
        )
        missing = sorted(set(parameters) - set(stored))
        require(not missing, f"{name}.__init__ does not store {', '.join(missing)}.")
        changed = sorted(
            key for key in parameters if stored[key] is not parameters[key]
        )
        require(
            not changed, f"{name}.__init__ changes the values of {', '.join(changed)}."
        )


@windows_check()
def check_windows_parameters_untouched(name, estimator):
    """Check that parameters are the same after `fit` and prediction, deep inside.

    A torch module or an estimator given as a parameter must be copied in
    `fit`: trained in place, it would carry what it saw in one fold into the
    next, and cross-validation would report a result that is too good.
    """
    X, y = data_for(estimator)
    model = prepared(estimator)
    parameters = model.get_params(deep=False)
    before = {key: fingerprint(value) for key, value in parameters.items()}
    model.fit(X, y)
    outputs(model, X)
    after = model.get_params(deep=False)
    for key, value in parameters.items():
        require(
            after[key] is value, f"{name} replaces its parameter {key} when fitted."
        )
        # A RandomState given as random_state is drawn from by convention.
        require(
            key == "random_state" or fingerprint(value) == before[key],
            f"{name} changes what its parameter {key} holds; copy it in fit.",
        )


@windows_check()
def check_windows_pickle(name, estimator):
    """Check that pickles are small, complete, and hold no training data.

    The size does not grow with the number of windows seen in `fit`; the copy
    gives bit by bit the same outputs, as does a deep copy; a clone of a fitted
    estimator is not fitted.
    """
    sizes = {}
    for n_windows in (24, 240):
        X, y = data_for(estimator, n_windows=n_windows)
        model = fitted(estimator, X, y)
        outputs(model, X)
        sizes[n_windows] = len(pickled(model))
    growth = sizes[240] - sizes[24]
    # One byte a window and sample would be far more than any statistics need.
    allowed = (240 - 24) * N_CHANNELS * N_TIMES // 8
    require(
        growth < allowed,
        f"{name}: the pickle grows by {growth} bytes from 24 to 240 windows; does it "
        "hold training data?",
    )
    expected = outputs(model, X)
    copies = {
        "joblib.dump and joblib.load": unpickled(pickled(model)),
        "copy.deepcopy": copy.deepcopy(model),
    }
    for what, duplicate in copies.items():
        require(
            not changed_outputs(expected, outputs(duplicate, X)),
            f"{name}: the outputs after {what} are not the same.",
        )
        for attribute in ("n_channels_in_", "n_times_in_", "n_features_in_"):
            require(
                getattr(duplicate, attribute, None) == getattr(model, attribute),
                f"{name}: {attribute} is lost in {what}.",
            )
    unfitted = clone(model)
    for method in METHODS:
        if hasattr(unfitted, method):
            refused(
                lambda method=method: getattr(unfitted, method)(X),
                f"{name}: {method} of a clone of a fitted estimator",
                errors=(NotFittedError,),
            )


@windows_check()
def check_windows_refit(name, estimator):
    """Check that a second `fit` starts afresh, as fold 2 of a cross-validation.

    Fitting twice gives what fitting once on the second windows gives, also
    where their shape and classes are others. `warm_start` is switched off.
    """
    parameters = {}
    if has_parameter("warm_start")(estimator):
        parameters["warm_start"] = False
    X_1, y_1 = data_for(estimator)
    seconds = {
        "other windows": data_for(estimator, seed=1),
        "windows of another shape": data_for(
            estimator, n_channels=2, n_times=60, n_classes=2, seed=2
        ),
    }
    for what, (X_2, y_2) in seconds.items():
        once = outputs(fitted(estimator, X_2, y_2, parameters=parameters), X_2)
        model = fitted(estimator, X_1, y_1, parameters=parameters)
        outputs(model, X_1)
        try:
            twice = outputs(model.fit(X_2, y_2), X_2)
        except Exception as error:
            raise AssertionError(
                f"{name}: a second fit on {what} raises {type(error).__name__}: {error}"
            ) from error
        require_same(
            once, twice, f"{name}: a second fit on {what} does not start afresh"
        )


@windows_check(has_parameter("device"), example="TinyMyoClassifier")
def check_windows_device_refused(name, estimator):
    """Check that a device that is not there is refused, naming the parameter.

    ``device="cuda"`` on a machine without one (not tried where there is one)
    and a device that no machine has.
    """
    import torch

    X, y = data_for(estimator)
    devices = ["toaster"]
    if not torch.cuda.is_available():
        devices.append("cuda")
    for device in devices:
        refused(
            lambda device=device: fitted(
                estimator, X, y, parameters={"device": device}
            ),
            f"{name}: device={device!r}, which is not there,",
            naming=("device", device),
            errors=(ValueError, RuntimeError),
        )


@windows_check(is_supervised, example="TinyMyoClassifier")
def check_windows_all_used(name, estimator):
    """Check that every window is learned from: none is held back unasked.

    The target of one window after the other is changed, and each time the
    model must change. A hidden validation split, or an incomplete last batch
    that is dropped, shows as windows without influence. A class that occurs
    in a single window is a class.
    """
    X, y = data_for(estimator, n_windows=10, n_classes=2)
    reference = outputs(fitted(estimator, X, y), X)
    unused = []
    for index in range(len(X)):
        changed = y.copy()
        if is_classifier(estimator):
            changed[index] = 1 - y[index]
        else:
            # To the other side of the mean: with an absolute error only the side
            # of the prediction matters.
            changed[index] = -np.sign(y[index]) * (2 + abs(y[index]))
        if not changed_outputs(reference, outputs(fitted(estimator, X, changed), X)):
            unused.append(index)
    require(
        not unused,
        f"{name}: of {len(X)} windows, those at {unused} have no influence on the "
        "model; are they held back for validation?",
    )
    if is_classifier(estimator):
        rare = y.copy()
        rare[-1] = 2
        try:
            model = fitted(estimator, X, rare)
        except Exception as error:
            raise AssertionError(
                f"{name} with a class of a single window raises "
                f"{type(error).__name__}: {error}"
            ) from error
        require(
            np.array_equal(model.classes_, [0, 1, 2]),
            f"{name}: a class of a single window is missing from {model.classes_!r}.",
        )


@windows_check(is_supervised_with_weights, example="TinyMyoClassifier")
def check_windows_zero_weight_ignored(name, estimator):
    """Check that the target of a window of weight zero has no influence.

    And that weights of one are as good as none.
    """
    X, y = data_for(estimator)
    weight = np.ones(len(X))
    weight[-6:] = 0
    other = y.copy()
    other[-6:] = np.roll(y[-6:], 1)
    require_same(
        outputs(fitted(estimator, X, y, sample_weight=weight), X),
        outputs(fitted(estimator, X, other, sample_weight=weight), X),
        f"{name}: other targets for windows of weight zero",
    )
    require_same(
        outputs(fitted(estimator, X, y), X),
        outputs(fitted(estimator, X, y, sample_weight=np.ones(len(X))), X),
        f"{name}: weights of one against no weights",
    )
    unequal = np.where(y > np.median(y), 20.0, 0.05)
    require(
        changed_outputs(
            outputs(fitted(estimator, X, y), X),
            outputs(fitted(estimator, X, y, sample_weight=unequal), X),
        ),
        f"{name}: sample_weight has no influence at all.",
    )


@windows_check(has_partial_fit, example="TinyMyoClassifier")
def check_windows_partial_fit(name, estimator):
    """Check that `partial_fit` goes on with new windows of known classes.

    The classes are named at the first call; a later call with a class that
    was not named, or with windows of another shape, is refused; a call
    changes the model; `fit` starts afresh.
    """
    X, y = make_windows()
    refused(
        lambda: prepared(estimator).partial_fit(X, y),
        f"{name}: a first partial_fit without classes",
        naming=("classes",),
    )
    model = prepared(estimator)
    seen = y < 2
    require(
        model.partial_fit(X[seen], y[seen], classes=[0, 1, 2]) is model,
        f"{name}.partial_fit does not return the estimator.",
    )
    require(
        np.array_equal(model.classes_, [0, 1, 2]),
        f"{name}: classes_ after partial_fit is {model.classes_!r}.",
    )
    first = outputs(model, X)
    model.partial_fit(X, y)
    require(
        changed_outputs(first, outputs(model, X)),
        f"{name}: a second partial_fit changes nothing.",
    )
    refused(
        lambda: model.partial_fit(X, y + 1),
        f"{name}.partial_fit: a class that was not named",
    )
    other, other_y = make_windows(n_channels=4, n_times=30)
    refused(
        lambda: model.partial_fit(other, other_y),
        f"{name}.partial_fit: windows of another shape",
        naming=(N_CHANNELS, N_TIMES, 4, 30),
    )
    require_same(
        outputs(fitted(estimator, X, y), X),
        outputs(model.fit(X, y), X),
        f"{name}: fit after partial_fit does not start afresh",
    )
