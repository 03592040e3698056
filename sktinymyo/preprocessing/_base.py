"""What the transformers of windows share: containers, names of columns, tags."""

from functools import wraps

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin

from .._validation import validate_windows

__all__ = [
    "WindowTransformer",
    "WindowsToWindows",
    "is_three_dimensional",
    "window_names",
]

# First in the list: what integers are converted to.
FLOATS = (np.float32, np.float64)


def is_three_dimensional(X):
    """Tell windows with three dimensions from flattened ones."""
    return (X.ndim if hasattr(X, "ndim") else np.asarray(X).ndim) == 3


class _ThreeDimensionalOutput:
    """Let windows with three dimensions pass by ``set_output``.

    A table cannot hold three dimensions, and a step that outputs them must not
    break a pipeline of which somebody asked for tables at its end. Flattened
    windows follow ``set_output`` as everywhere in scikit-learn.
    """

    def __init_subclass__(cls, **kwargs):
        # scikit-learn wraps the method here and keeps the original beside it.
        super().__init_subclass__(**kwargs)
        wrapped = cls.__dict__.get("transform")
        plain = getattr(wrapped, "__wrapped__", None)
        if plain is None:
            return

        @wraps(plain)
        def transform(self, X):
            return plain(self, X) if is_three_dimensional(X) else wrapped(self, X)

        cls.transform = transform

    def fit_transform(self, X, y=None, **fit_params):
        """Fit to X and return it transformed.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : array-like or None, default=None
            Passed to ``fit``.
        **fit_params : dict
            Passed to ``fit``.

        Returns
        -------
        X_new : ndarray, or DataFrame where ``set_output`` asks for one
            Transformed windows; always an array for windows with three dimensions.
        """
        if is_three_dimensional(X):
            return self.fit(X, y, **fit_params).transform(X)
        return super().fit_transform(X, y, **fit_params)


class WindowTransformer(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):
    """Base of the transformers that take windows of two or three dimensions."""

    def _validate(self, X, *, reset, n_channels):
        """Return the windows with three dimensions, and whether they came flattened."""
        if not hasattr(X, "ndim"):
            X = np.asarray(X)
        return validate_windows(
            self, X, reset=reset, n_channels=n_channels, dtype=list(FLOATS)
        )

    def __sklearn_tags__(self):
        """Return scikit-learn's tags: two and three dimensions, floats kept."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags

    def _check_input_names(self, input_features):
        """Refuse names that are not those of `fit`, and an estimator not fitted."""
        OneToOneFeatureMixin.get_feature_names_out(self, input_features)


class WindowsToWindows(_ThreeDimensionalOutput, WindowTransformer):
    """Base of the transformers that return windows in the form of the input."""

    @staticmethod
    def _as_given(windows, flat):
        """Return windows with three dimensions in the form of the input."""
        return windows.reshape(len(windows), -1) if flat else windows


def window_names(n_channels, n_times):
    """Return names of the columns of flattened windows, ``ch0_t0, ch0_t1, ...``."""
    names = [f"ch{c}_t{t}" for c in range(n_channels) for t in range(n_times)]
    return np.asarray(names, dtype=object)
