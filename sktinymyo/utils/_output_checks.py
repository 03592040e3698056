"""Checks of what an estimator gives back: labels, columns, frames."""

import numpy as np
from sklearn import config_context
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags

from ._check_tools import (
    data_for,
    fitted,
    make_windows,
    outputs,
    prepared,
    refused,
    require,
    require_same,
    windows_check,
)

__all__ = [
    "check_windows_classifier_labels",
    "check_windows_classifier_outputs",
    "check_windows_feature_names_out",
    "check_windows_regressor_targets",
    "check_windows_set_output",
]


def has_transform(estimator):
    """Tell whether the estimator transforms."""
    return hasattr(estimator, "transform")


@windows_check(has_transform)
def check_windows_feature_names_out(name, estimator):
    """Check that ``get_feature_names_out`` fits what `transform` gives.

    One distinct name a column; for 3-D output, one for every channel and
    sample, in the order of the flattened window. `fit_transform` agrees with
    `fit` and `transform`.
    """
    X, y = data_for(estimator)
    model = fitted(estimator, X, y)
    require(
        hasattr(model, "get_feature_names_out"),
        f"{name} has transform but no get_feature_names_out.",
    )
    values = model.transform(X)
    names = np.asarray(model.get_feature_names_out())
    expected = int(np.prod(values.shape[1:]))
    require(
        names.shape == (expected,),
        f"{name}: {names.shape[0]} names for outputs of shape {values.shape}; "
        f"expected {expected}.",
    )
    require(
        len(set(names)) == len(names) and all(isinstance(item, str) for item in names),
        f"{name}: the names must be distinct strings.",
    )
    if hasattr(model, "fit_transform"):
        require_same(
            {"transform": values},
            {"transform": prepared(estimator).fit_transform(X, y)},
            f"{name}: fit_transform against fit and transform",
        )


@windows_check(has_transform)
def check_windows_set_output(name, estimator):
    """Check ``set_output(transform="pandas")``: frames for 2-D, arrays for 3-D.

    A data frame cannot hold three dimensions: an estimator that gives 3-D
    windows must give the same array as before, or no Pipeline that has such a
    step could be asked for frames. Tried by method and by global setting.
    """
    import pandas as pd

    X, y = data_for(estimator)
    model = fitted(estimator, X, y)
    expected = model.transform(X)
    require(
        hasattr(model, "set_output"),
        f"{name} has transform but no set_output: derive from TransformerMixin.",
    )

    def compare(values, what):
        if expected.ndim == 2:
            require(
                isinstance(values, pd.DataFrame)
                and list(values.columns) == list(model.get_feature_names_out()),
                f"{name}: {what} must give a data frame with the feature names; got "
                f"{type(values).__name__}.",
            )
        else:
            require(
                isinstance(values, np.ndarray),
                f"{name}: {what} must leave 3-D output alone; got "
                f"{type(values).__name__}.",
            )
        require_same(
            {"transform": np.asarray(expected)},
            {"transform": np.asarray(values, dtype=expected.dtype)},
            f"{name}: {what}",
        )

    for what, configure, options in (
        ("set_output", True, {}),
        ("the global setting", False, {"transform_output": "pandas"}),
    ):
        try:
            with config_context(**options):
                copy = prepared(estimator)
                if configure:
                    copy.set_output(transform="pandas")
                compare(copy.fit(X, y).transform(X), what)
                if hasattr(copy, "fit_transform"):
                    compare(copy.fit_transform(X, y), f"{what} with fit_transform")
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"{name}: {what} raises {type(error).__name__}: {error}"
            ) from error


@windows_check(is_classifier, example="TinyMyoClassifier")
def check_windows_classifier_labels(name, estimator):
    """Check that any type of label comes back as it was given.

    Strings, negative and large integers, booleans, objects and a pandas
    Series: `classes_` are the labels, `predict` gives labels, and the
    probabilities do not depend on what the classes are called.
    """
    import pandas as pd

    X, codes = make_windows()
    reference = {}
    for n_classes in (2, 3):
        target = codes % n_classes
        reference[n_classes] = outputs(fitted(estimator, X, target), X)
    label_sets = {
        "strings": np.array(["fist", "open hand", "rest"]),
        "objects": np.array(["fist", "open hand", "rest"], dtype=object),
        "negative integers": np.array([-7, -1, 40]),
        "large integers": np.array([3, 2**40, 2**41]),
        "unsigned integers": np.array([2, 66, 255], dtype=np.uint8),
        "floats": np.array([-1.0, 2.0, 3.0]),
        "booleans": np.array([False, True]),
        "two strings": np.array(["close", "open"]),
        "a pandas Series": np.array(["fist", "open hand", "rest"], dtype=object),
    }
    for what, labels in label_sets.items():
        n_classes = len(labels)
        target = labels[codes % n_classes]
        given = pd.Series(target, name="gesture") if "Series" in what else target
        try:
            model = fitted(estimator, X, given)
            seen = outputs(model, X)
        except Exception as error:
            raise AssertionError(
                f"{name} on {what} as labels raises {type(error).__name__}: {error}"
            ) from error
        require(
            np.array_equal(model.classes_, labels)
            and model.classes_.dtype.kind in {labels.dtype.kind, "O", "U"},
            f"{name}: classes_ is {model.classes_!r} for the labels {labels!r}.",
        )
        expected = dict(reference[n_classes])
        expected["predict"] = labels[expected["predict"]]
        require_same(expected, seen, f"{name} on {what} as labels")


@windows_check(is_classifier, example="TinyMyoClassifier")
def check_windows_classifier_outputs(name, estimator):
    """Check that probabilities, decisions, labels and score belong together.

    Probabilities sum to one, a column a class; the largest one is the label
    predicted; `decision_function` gives one column for two classes and else
    one a class; `score` is the accuracy.
    """
    for n_classes in (2, 3):
        X, y = make_windows(n_classes=n_classes)
        model = fitted(estimator, X, y)
        what = f"{name} with {n_classes} classes"
        labels = model.predict(X)
        require(labels.shape == y.shape, f"{what}: predict gives {labels.shape}.")
        if hasattr(model, "predict_proba"):
            probabilities = model.predict_proba(X)
            require(
                probabilities.shape == (len(X), n_classes)
                and np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
                and probabilities.min() >= 0,
                f"{what}: predict_proba must give {n_classes} columns that sum to 1.",
            )
            require(
                np.array_equal(model.classes_[probabilities.argmax(axis=1)], labels),
                f"{what}: predict is not the class of the largest probability.",
            )
        if hasattr(model, "decision_function"):
            decision = model.decision_function(X)
            shape = (len(X),) if n_classes == 2 else (len(X), n_classes)
            require(
                decision.shape == shape,
                f"{what}: decision_function gives {decision.shape}, expected {shape}.",
            )
            best = decision > 0 if n_classes == 2 else decision.argmax(axis=1)
            require(
                np.array_equal(model.classes_[np.asarray(best, dtype=int)], labels),
                f"{what}: predict does not follow decision_function.",
            )
        require(
            np.isclose(model.score(X, y), np.mean(labels == y)),
            f"{what}: score is not the accuracy.",
        )


@windows_check(is_regressor, example="TinyMyoRegressor")
def check_windows_regressor_targets(name, estimator):
    """Check that predictions have the shape of the targets, and NaN is refused.

    One target as a vector; several, as a matrix, where the tags say that the
    estimator takes them. Targets far from zero and of a large scale, such as
    newtons or degrees, come back on that scale.
    """
    X, y = data_for(estimator)
    targets = {"a vector": y, "a vector far from zero": 20_000.0 + 200.0 * y}
    if get_tags(estimator).target_tags.multi_output:
        targets["two columns"] = np.stack([y, -3e-3 * y], axis=1)
        targets["one column"] = y[:, None]
    for what, target in targets.items():
        predicted = fitted(estimator, X, target).predict(X)
        require(
            predicted.shape == target.shape,
            f"{name} on {what}: predict gives {predicted.shape} for targets of shape "
            f"{target.shape}.",
        )
        # Loose on purpose: a network of few steps must not be asked for accuracy,
        # but one that does not scale its target would answer near zero.
        margin = 5 * np.ptp(target, axis=0)
        require(
            np.all(np.abs(predicted - target.mean(axis=0)) < margin),
            f"{name} on {what}: targets between {target.min(axis=0)} and "
            f"{target.max(axis=0)} give predictions between {predicted.min(axis=0)} "
            f"and {predicted.max(axis=0)}.",
        )
    for value in (np.nan, np.inf):
        bad = y.copy()
        bad[3] = value
        refused(lambda bad=bad: fitted(estimator, X, bad), f"{name}.fit: {value} in y")
