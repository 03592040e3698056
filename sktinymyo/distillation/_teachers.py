"""Teachers: whether they are fitted, what they make of windows, what may be kept."""

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

__all__ = [
    "check_features",
    "features_of",
    "is_fitted",
    "standardised",
    "without_values",
]


def is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def without_values(teacher):
    """Return a teacher that is not fitted, nor is anything frozen inside it."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    teacher = clone(teacher)
    # A clone keeps what is frozen as it is, and the windows of a chain of students.
    inside = teacher.get_params(deep=True)
    frozen = [name for name in inside if isinstance(inside[name], FrozenEstimator)]
    for name in sorted(frozen, key=len):
        if not any(name.startswith(f"{outer}__") for outer in frozen):
            teacher.set_params(**{name: without_values(inside[name])})
    inside = {"": teacher, **teacher.get_params(deep=True)}
    for name, estimator in inside.items():
        if hasattr(estimator, "unlabeled"):
            teacher.set_params(**{f"{name}__unlabeled".removeprefix("__"): None})
    return teacher


def features_of(teacher, X):
    """Return what the teacher makes of windows before it answers."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    if not hasattr(teacher, "transform"):
        teacher = teacher[:-1]
    return np.asarray(teacher.transform(X))


def check_features(teacher, given):
    """Refuse a teacher without features."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    if hasattr(teacher, "transform"):
        return
    if isinstance(teacher, Pipeline) and len(teacher) > 1:
        return
    raise ValueError(
        f"feature_weight is not 0, but teacher={given!r} has no transform; pass a "
        "TinyMyoClassifier, or a Pipeline whose last step classifies features, or "
        "feature_weight=0."
    )


def standardised(features):
    """Return features as float32 of mean 0 and deviation 1, one row a window."""
    features = features.reshape(len(features), -1)
    mean = features.mean(axis=0, dtype=np.float64)
    std = features.std(axis=0, dtype=np.float64)
    std[std <= 1e-6] = 1.0
    return ((features - mean) / std).astype(np.float32)
