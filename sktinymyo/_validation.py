"""Validation of windows: two or three dimensions, shapes, finite values."""

import numbers
from inspect import Parameter, signature

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils import assert_all_finite, check_array, column_or_1d
from sklearn.utils._missing import is_pandas_na, is_scalar_nan
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from .exceptions import WindowsError

__all__ = [
    "WINDOW_TYPES",
    "as_windows",
    "check_choice",
    "check_groups",
    "check_labels",
    "check_number",
    "check_recording",
    "check_truth",
    "check_weights",
    "refuse_missing",
    "takes_weights",
    "validate_windows",
]

# Types of windows that are kept as they come and scaled batch by batch, in float64: a
# float32 copy of all windows would lose a small signal on a large offset. The first is
# what all other types become.
WINDOW_TYPES = [
    np.float64,
    np.float32,
    np.float16,
    np.int8,
    np.int16,
    np.int32,
    np.uint8,
    np.uint16,
]


def check_choice(name, value, choices):
    """Raise a ValueError unless `value` is one of `choices`."""
    if value not in choices or isinstance(value, bool):
        accepted = ", ".join(repr(choice) for choice in choices)
        raise ValueError(f"{name}={value!r} is not accepted; pass one of: {accepted}.")
    return value


def check_truth(name, value):
    """Raise a TypeError unless `value` is True or False."""
    # The text "no" would count as true.
    if not isinstance(value, (bool, np.bool_)):
        raise TypeError(
            f"{name} must be True or False; got {value!r} of type "
            f"{type(value).__name__}."
        )
    return value


def check_number(
    name,
    value,
    *,
    minimum=None,
    maximum=None,
    include_minimum=True,
    include_maximum=True,
    integer=False,
    none_allowed=False,
):
    """Raise a ValueError or TypeError unless `value` is a number in a range.

    Parameters
    ----------
    name : str
        Name of the parameter, for the message.
    value : object
        The value seen.
    minimum, maximum : float or None, default=None
        Accepted range; None leaves the side open.
    include_minimum, include_maximum : bool, default=True
        Whether the limits themselves are accepted.
    integer : bool, default=False
        Accept whole numbers only.
    none_allowed : bool, default=False
        Accept None.

    Returns
    -------
    value : object
        The value, unchanged.
    """
    kind = "a whole number" if integer else "a finite number"
    limits = []
    if minimum is not None:
        limits.append(f"{'>=' if include_minimum else '>'} {minimum}")
    if maximum is not None:
        limits.append(f"{'<=' if include_maximum else '<'} {maximum}")
    accepted = " and ".join([kind, *limits]) + (" or None" if none_allowed else "")
    if value is None and none_allowed:
        return value
    expected = numbers.Integral if integer else numbers.Real
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, expected):
        raise TypeError(
            f"{name} must be {accepted}; got {value!r} of type {type(value).__name__}."
        )
    too_small = minimum is not None and (
        value < minimum or (value == minimum and not include_minimum)
    )
    too_large = maximum is not None and (
        value > maximum or (value == maximum and not include_maximum)
    )
    if too_small or too_large or not np.isfinite(value):
        raise ValueError(f"{name} must be {accepted}; got {value!r}.")
    return value


def check_recording(recording, *, name="recording", dtype=None, minimum_times=1):
    """Validate a continuous recording.

    Parameters
    ----------
    recording : array-like of shape (n_channels, n_times)
        Samples of one recording.
    name : str, default="recording"
        Name of the parameter, for messages.
    dtype : dtype or None, default=None
        Target type; None keeps float32 and float64 and makes float64 of the rest.
    minimum_times : int, default=1
        Fewest samples accepted.

    Returns
    -------
    recording : ndarray of shape (n_channels, n_times)

    Raises
    ------
    WindowsError
        If the recording is not two-dimensional, too short, or not finite.
    """
    array = np.asarray(recording)
    if array.ndim != 2:
        raise WindowsError(
            f"{name} must have the shape (n_channels, n_times); got an array with "
            f"{array.ndim} dimension(s) and shape {array.shape}."
        )
    if not (np.issubdtype(array.dtype, np.number) or array.dtype == bool) or (
        np.iscomplexobj(array)
    ):
        raise WindowsError(
            f"{name} must hold real numbers; got an array of type {array.dtype}."
        )
    if array.shape[0] < 1 or array.shape[1] < minimum_times:
        raise WindowsError(
            f"{name} must have at least one channel and {minimum_times} sample(s); "
            f"got shape {array.shape}. The expected order is (n_channels, n_times)."
        )
    if dtype is None:
        dtype = array.dtype if array.dtype in (np.float32, np.float64) else np.float64
    array = array.astype(dtype, copy=False)
    if not np.isfinite(array).all():
        bad = np.flatnonzero(~np.isfinite(array).all(axis=1))
        raise WindowsError(
            f"{name} contains NaN or infinity in channel(s) {bad[:10].tolist()}; "
            "remove or interpolate these samples first."
        )
    return array


def as_windows(X):
    """Return X as an array; refuse what holds recordings instead of windows.

    Parameters
    ----------
    X : array-like
        Arrays, data frames and sparse matrices are returned as they are.

    Returns
    -------
    X : array-like with the attributes `ndim` and `shape`

    Raises
    ------
    WindowsError
        If X makes no array of numbers, such as recordings of several lengths.
    """
    if hasattr(X, "ndim") and hasattr(X, "shape"):
        return X
    try:
        array = np.asarray(X)
    except ValueError:
        # Items of different shapes.
        array = np.empty(0, dtype=object)
    if array.ndim < 2 and array.dtype.kind in "OU":
        raise WindowsError(
            f"X must hold windows, as an array (n_windows, n_channels, n_times); got "
            f"{type(X).__name__}, which makes no such array. Cut recordings into "
            "windows with sliding_windows."
        )
    return array


def validate_windows(
    estimator, X, *, reset, n_channels=None, dtype=np.float32, minimum_windows=1
):
    """Validate windows and remember (or compare) their shape.

    Three-dimensional input is ``(n_windows, n_channels, n_times)``.
    Two-dimensional input is the same data flattened, one row a window, split
    by `n_channels` (None means one channel). In `fit` (``reset=True``) the
    attributes ``n_channels_in_``, ``n_times_in_``, ``n_features_in_`` and, for
    data frames, ``feature_names_in_`` are stored; every later call checks
    them, and that flat windows stay flat.

    Parameters
    ----------
    estimator : estimator
        The estimator whose attributes are set or compared.
    X : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Windows. Not copied when the type already fits.
    reset : bool
        True in `fit`, False later.
    n_channels : int or None, default=None
        Number of channels of flattened windows; for windows with three
        dimensions it is compared with their second axis.
    dtype : dtype or list of dtype, default=numpy.float32
        As in :func:`sklearn.utils.check_array`.
    minimum_windows : int, default=1
        Fewest windows accepted.

    Returns
    -------
    windows : ndarray of shape (n_windows, n_channels, n_times)
        A view of X where possible.
    flat : bool
        True if X had two dimensions.

    Raises
    ------
    WindowsError
        If the number of dimensions, channels or samples is not as in `fit`.
    ValueError
        If X holds NaN or infinity, is empty, or is not numeric.
    """
    if not reset:
        check_is_fitted(estimator)
    name = type(estimator).__name__
    X = as_windows(X)
    if not reset and X.ndim == 2 and estimator.input_ndim_ == 3:
        raise WindowsError(
            f"X has 2 dimensions and shape {X.shape}, but {name} was fitted on "
            f"3-dimensional windows ({estimator.n_channels_in_} channels x "
            f"{estimator.n_times_in_} samples); pass (n_windows, n_channels, n_times), "
            "for a single window X[np.newaxis]."
        )
    if X.ndim == 3:
        windows = check_array(
            X,
            dtype=dtype,
            ensure_all_finite=False,
            allow_nd=True,
            ensure_min_samples=minimum_windows,
            estimator=estimator,
            input_name="X",
        )
        flat = False
        if windows.shape[1] < 1 or windows.shape[2] < 1:
            raise WindowsError(
                f"X has shape {windows.shape}: {name} needs at least one channel and "
                "one sample in (n_windows, n_channels, n_times)."
            )
        if n_channels is not None and windows.shape[1] != n_channels:
            raise WindowsError(
                f"X has {windows.shape[1]} channels in shape {windows.shape}, but "
                f"{name} was given n_channels={n_channels}. Pass the number of "
                "channels of the data, or None for windows with three dimensions."
            )
        if reset:
            estimator.n_features_in_ = windows.shape[1] * windows.shape[2]
            if hasattr(estimator, "feature_names_in_"):
                del estimator.feature_names_in_
    else:
        rows = validate_data(
            estimator,
            X,
            reset=reset,
            dtype=dtype,
            ensure_all_finite=False,
            ensure_min_samples=minimum_windows,
            allow_nd=True,
        )
        if rows.ndim != 2:
            raise WindowsError(
                f"X has {rows.ndim} dimensions and shape {rows.shape}; {name} accepts "
                "(n_windows, n_channels, n_times) or, flattened, "
                "(n_windows, n_channels * n_times)."
            )
        flat = True
        channels = 1 if n_channels is None else n_channels
        if rows.shape[1] % channels:
            raise WindowsError(
                f"X has {rows.shape[1]} columns, which n_channels={channels} does not "
                "divide: flattened windows need n_channels * n_times columns."
            )
        windows = rows.reshape(len(rows), channels, rows.shape[1] // channels)

    _check_finite(windows)
    if reset:
        estimator.n_channels_in_ = windows.shape[1]
        estimator.n_times_in_ = windows.shape[2]
        estimator.input_ndim_ = 2 if flat else 3
        return windows, flat

    if flat != (estimator.input_ndim_ == 2):
        raise WindowsError(
            f"X has {2 if flat else 3} dimensions, but {name} was fitted on "
            f"{estimator.input_ndim_}-dimensional windows "
            f"({estimator.n_channels_in_} channels x {estimator.n_times_in_} samples); "
            "pass the same form."
        )
    if windows.shape[1:] != (estimator.n_channels_in_, estimator.n_times_in_):
        raise WindowsError(
            f"X has {windows.shape[1]} channels x {windows.shape[2]} samples, but "
            f"{name} was fitted on {estimator.n_channels_in_} channels x "
            f"{estimator.n_times_in_} samples. Use ChannelMapper for other channels "
            "and EMGResampler or another window length for other samples."
        )
    return windows, flat


def refuse_missing(name, values):
    """Raise a ValueError if labels or groups hold NaN, None or pandas.NA."""
    if values.dtype.kind != "O":
        assert_all_finite(values, input_name=name)
        return
    missing = [
        row
        for row, value in enumerate(values)
        if value is None or is_pandas_na(value) or is_scalar_nan(value)
    ]
    if missing:
        raise ValueError(
            f"{name} is {values[missing[0]]!r} for {len(missing)} of {len(values)} "
            f"windows, first for window {missing[0]}; leave these windows out."
        )


def check_labels(estimator, windows, y):
    """Return one label of any type for every window, as an array.

    Parameters
    ----------
    estimator : object
        Named in the error about missing labels.
    windows : ndarray of shape (n_windows, ...)
        What the labels belong to.
    y : array-like of shape (n_windows,)
        Labels.

    Returns
    -------
    y : ndarray of shape (n_windows,)

    Raises
    ------
    ValueError
        If labels are missing, of another number, or no classes.
    """
    if y is None:
        raise ValueError(
            f"{type(estimator).__name__} requires y to be passed, but the target y is "
            "None."
        )
    y = column_or_1d(y, warn=True)
    check_consistent_length(windows, y)
    refuse_missing("y", y)
    check_classification_targets(y)
    return y


def check_groups(windows, groups):
    """Return one group for every window as an array, or None.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, ...)
        What the groups belong to.
    groups : array-like of shape (n_windows,) or None
        Names of any type.

    Returns
    -------
    groups : ndarray of shape (n_windows,) or None

    Raises
    ------
    ValueError
        If there are more or fewer groups than windows, or one is missing.
    """
    if groups is None:
        return None
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(
            f"groups must hold one entry for each window; got shape {groups.shape}. "
            "Where person and session are two columns, join them to one."
        )
    check_consistent_length(windows, groups)
    refuse_missing("groups", groups)
    return groups


def check_weights(windows, y, sample_weight, class_weight, labelled=None):
    """Return the weights of windows in a loss over classes.

    Parameters
    ----------
    windows : ndarray of shape (n_windows, ...)
        What the weights belong to.
    y : ndarray of shape (n_windows,)
        Labels.
    sample_weight : array-like of shape (n_windows,) or None
        Weights of the windows; None is one for each.
    class_weight : dict, "balanced" or None
        As in scikit-learn.
    labelled : ndarray of bool, shape (n_windows,), or None, default=None
        Windows without a label have no class whose weight they could take; None: all
        have one.

    Returns
    -------
    sample_weight : ndarray of float64, shape (n_windows,)
        Weights of the windows alone.
    weights : ndarray of float64, shape (n_windows,)
        Times the weights of their classes.

    Raises
    ------
    ValueError
        If a weight is negative, or none is above zero.
    """
    sample_weight = _check_sample_weight(
        sample_weight, windows, dtype=np.float64, ensure_non_negative=True
    )
    weights = sample_weight
    if class_weight is not None:
        known = slice(None) if labelled is None else labelled
        weights = weights.copy()
        weights[known] *= compute_sample_weight(class_weight, y[known])
    if weights.min() < 0:
        raise ValueError(
            f"class_weight={class_weight!r} holds a negative weight; pass "
            "weights of zero or above."
        )
    if not weights.any():
        raise ValueError(
            "sample_weight (with class_weight) is zero for every window; at "
            "least one window needs a weight above zero."
        )
    return sample_weight, weights


def takes_weights(estimator):
    """Tell whether `fit` takes weights, by name or among other parameters."""
    parameters = signature(estimator.fit).parameters
    # A Pipeline takes parameters of its steps, but not this one.
    takes_others = not isinstance(estimator, Pipeline) and any(
        parameter.kind is Parameter.VAR_KEYWORD for parameter in parameters.values()
    )
    return "sample_weight" in parameters or takes_others


def _check_finite(windows):
    """Raise an error that names windows and channels with NaN or infinity."""
    if not np.issubdtype(windows.dtype, np.floating):
        return
    # One sum tells without an array of truth values as large as the windows.
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(windows.sum(dtype=np.float64)):
            return
    broken = [
        (row, np.flatnonzero(~np.isfinite(window).all(axis=1)))
        for row, window in enumerate(windows)
        if not np.isfinite(window).all()
    ]
    if broken:
        row, channels = broken[0]
        raise WindowsError(
            f"Input X contains NaN or infinity in {len(broken)} of {len(windows)} "
            f"windows, first in window {row}, channel(s) {channels[:10].tolist()}. "
            "Leave these windows out, or repair the recording (interpolate the gaps, "
            "drop the broken channels) before cutting windows."
        )
