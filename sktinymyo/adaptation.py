"""Adaptation to a new wearing of the electrodes, without labels of it."""

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)

from ._validation import check_number, validate_windows

__all__ = ["ArmbandAlignedClassifier"]

# Weight of the agreement of maps beside the information, both at most 1. It breaks
# the ties of classifiers that are sure of everything.
_WEIGHT_OF_MAP = 0.3
# Passes over all wearings; each moves one at a time, and few passes settle it.
_MOST_PASSES = 20


def _has_proba(self):
    fitted = getattr(self, "estimator_", self.estimator)
    return hasattr(fitted, "predict_proba")


class ArmbandAlignedClassifier(MetaEstimatorMixin, ClassifierMixin, BaseEstimator):
    """Undo the rotation of an armband before a classifier sees the windows.

    People put an armband on turned by any number of electrodes, and a classifier
    that was trained on others then looks at the wrong muscles. In `fit`, the
    wearings of the training people are turned so that the strength of each gesture
    lies on the same electrodes. In `predict`, the windows of each new wearing are
    classified once for every possible turn, and the turn is kept that the
    classifier understands best: its answers are sure for single windows and spread
    over the classes for all of them (mutual information between window and class),
    and the strength of each answer lies on the electrodes where training had it.
    No label of the new wearing is used, but its windows should come from several
    gestures: a minute of mixed movements will do, one gesture alone will not.

    Parameters
    ----------
    estimator : classifier with ``predict_proba``
        Cloned and fitted; a Pipeline, or a :class:`~sktinymyo.TinyMyoClassifier`.
    align_training : bool, default=True
        Turn the wearings of the training windows too. False leaves them as they
        are, for recordings made with the armband in one place.
    max_windows : int, default=400
        Windows of a wearing from which its turn is found, evenly spread; bounds the
        time, which is that of ``n_channels`` predictions for each of them.
    n_channels : int or None, default=None
        Channels of windows given in two dimensions.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray
        Its classes.
    turns_ : dict
        Group -> channels by which its training windows were turned.

    See Also
    --------
    sktinymyo.ChannelScaler : Scaling of each wearing; use it inside `estimator`, or
        before this.

    Notes
    -----
    Turning is cyclic: channel c of a window turned by k is channel ``(c - k) %
    n_channels`` of the given window. The electrodes must lie on one ring, in order.
    The training windows are aligned by their class means: for each wearing the
    turn is taken that brings its map of root mean squares (classes x channels)
    closest to the mean map of all other wearings, until nothing changes.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import ArmbandAlignedClassifier, TimeDomainFeatures
    >>> rng = np.random.default_rng(0)
    >>> X = rng.standard_normal((120, 8, 40)) * 0.1
    >>> y, person = np.arange(120) % 4, np.repeat([0, 1, 2], 40)
    >>> muscle = np.array([0, 1, 3, 6])[y]
    >>> for i in range(120):  # every person wears the armband turned differently
    ...     X[i, (muscle[i] + 3 * person[i]) % 8] *= 10
    >>> lda = make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())
    >>> aligned = ArmbandAlignedClassifier(lda)
    >>> aligned = aligned.fit(X[:80], y[:80], groups=person[:80])
    >>> aligned.score(X[80:], y[80:])
    1.0
    """

    def __init__(
        self, estimator, *, align_training=True, max_windows=400, n_channels=None
    ):
        self.estimator = estimator
        self.align_training = align_training
        self.max_windows = max_windows
        self.n_channels = n_channels

    def __sklearn_tags__(self):
        """Accept windows of two or three dimensions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.classifier_tags = get_tags(self.estimator).classifier_tags
        return tags

    def fit(self, X, y, groups=None, sample_weight=None):
        """Align the training wearings and fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows.
        y : array-like of shape (n_windows,)
            Classes.
        groups : array-like of shape (n_windows,) or None, default=None
            Wearing of each window (person, or person and session); None is one
            wearing for all.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Passed on to the classifier, if given.

        Returns
        -------
        self : ArmbandAlignedClassifier
        """
        check_number("max_windows", self.max_windows, minimum=1, integer=True)
        if not hasattr(self.estimator, "predict_proba"):
            raise TypeError(
                f"estimator={self.estimator!r} has no predict_proba, from which the "
                "turn of a new wearing is found; for a linear SVM take "
                "CalibratedClassifierCV around it."
            )
        windows, flat = validate_windows(
            self, X, reset=True, n_channels=self.n_channels, dtype=None
        )
        y = np.asarray(y)
        groups = _check_groups(windows, groups)
        check_consistent_length(windows, y)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, windows)
        self.turns_ = dict.fromkeys(np.unique(groups).tolist(), 0)
        if self.align_training and windows.shape[1] > 1 and len(self.turns_) > 1:
            self.turns_ = _align(windows, y, groups)
        turned = _turn_groups(windows, groups, self.turns_)
        weights = {} if sample_weight is None else {"sample_weight": sample_weight}
        self.estimator_ = clone(self.estimator).fit(_back(turned, flat), y, **weights)
        self.classes_ = self.estimator_.classes_
        strength = turned.std(axis=2, dtype=np.float64)
        codes = np.searchsorted(self.classes_, y)
        self._map = np.mean(
            [
                _map_of(strength[rows], codes[rows], len(self.classes_))
                for rows in (groups == group for group in self.turns_)
            ],
            axis=0,
        )
        return self

    def find_turns(self, X, groups=None):
        """Find the turn of every wearing from its windows, without labels.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows of one wearing or more, of several gestures each.
        groups : array-like of shape (n_windows,) or None, default=None
            Wearing of each window; None is one for all.

        Returns
        -------
        turns : dict
            Group -> number of channels.
        """
        check_is_fitted(self)
        windows, flat = validate_windows(
            self, X, reset=False, n_channels=self.n_channels, dtype=None
        )
        return self._find_turns(windows, flat, _check_groups(windows, groups))

    def _find_turns(self, windows, flat, groups):
        turns = {}
        for group in np.unique(groups).tolist():
            rows = np.flatnonzero(groups == group)
            rows = rows[:: -(-len(rows) // self.max_windows)]
            scores = [
                self._understanding(_turn(windows[rows], k), flat)
                for k in range(windows.shape[1])
            ]
            turns[group] = int(np.argmax(scores))
        return turns

    def _understanding(self, windows, flat):
        """Return how well the classifier copes with windows, without labels."""
        probabilities = self.estimator_.predict_proba(_back(windows, flat))
        information = _information(probabilities) / np.log(max(len(self.classes_), 2))
        strength = windows.std(axis=2, dtype=np.float64)
        answers = _map_of(strength, probabilities.argmax(axis=1), len(self.classes_))
        size = np.linalg.norm(answers) * np.linalg.norm(self._map)
        agreement = (answers * self._map).sum() / size if size else 0.0
        return information + _WEIGHT_OF_MAP * agreement

    def _predict(self, method, X, groups):
        check_is_fitted(self)
        windows, flat = validate_windows(
            self, X, reset=False, n_channels=self.n_channels, dtype=None
        )
        groups = _check_groups(windows, groups)
        turns = self._find_turns(windows, flat, groups)
        turned = _turn_groups(windows, groups, turns)
        return getattr(self.estimator_, method)(_back(turned, flat))

    def predict(self, X, groups=None):
        """Return the class of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows of one wearing or more, of several gestures each. The answer for
            a window depends on the other windows of its wearing.
        groups : array-like of shape (n_windows,) or None, default=None
            Wearing of each window; None is one for all.

        Returns
        -------
        y : ndarray of shape (n_windows,)
        """
        return self._predict("predict", X, groups)

    @available_if(_has_proba)
    def predict_proba(self, X, groups=None):
        """Return the probability of every class.

        Parameters
        ----------
        X, groups
            As in :meth:`predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_windows, n_classes)
        """
        return self._predict("predict_proba", X, groups)

    def score(self, X, y, sample_weight=None, groups=None):
        """Return the accuracy.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows, as in :meth:`predict`.
        y : array-like of shape (n_windows,)
            True classes.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows.
        groups : array-like of shape (n_windows,) or None, default=None
            Wearing of each window; None is one for all.

        Returns
        -------
        accuracy : float
        """
        hits = self.predict(X, groups) == np.asarray(y)
        return float(np.average(hits, weights=sample_weight))


def _check_groups(windows, groups):
    if groups is None:
        return np.zeros(len(windows), dtype=int)
    groups = np.asarray(groups)
    check_consistent_length(windows, groups)
    return groups


def _back(windows, flat):
    """Return windows in the number of dimensions in which they came."""
    return windows.reshape(len(windows), -1) if flat else windows


def _turn(windows, steps):
    return windows if steps == 0 else np.roll(windows, steps, axis=1)


def _turn_groups(windows, groups, turns):
    """Turn each group; X is copied only if something turns."""
    if not any(turns.values()):
        return windows
    turned = np.array(windows)
    for group, steps in turns.items():
        if steps:
            rows = groups == group
            turned[rows] = np.roll(windows[rows], steps, axis=1)
    return turned


def _information(probabilities):
    """Mutual information between windows and classes, in nats."""
    mean = probabilities.mean(axis=0)
    return _entropy(mean) - _entropy(probabilities).mean()


def _entropy(probabilities):
    floor = np.finfo(np.float64).tiny
    logarithm = np.log(np.maximum(probabilities, floor, dtype=np.float64))
    return -(probabilities * logarithm).sum(axis=-1)


def _map_of(strength, codes, n_classes):
    """Return the standardised mean strength of every class on every channel.

    Rows of classes that do not occur are zero.
    """
    present = np.bincount(codes, minlength=n_classes) > 0
    chosen = np.equal.outer(np.arange(n_classes), codes)[present]
    means = chosen @ strength / chosen.sum(axis=1, keepdims=True)
    spread = means.std()
    values = np.zeros((n_classes, strength.shape[1]))
    values[present] = (means - means.mean()) / (spread if spread else 1.0)
    return values


def _align(windows, y, groups):
    """Turn wearings until their maps of strength by class agree best.

    Maps are standardised, so that how strong somebody is does not matter; the
    wearing with the most windows stays as it is.
    """
    classes, codes = np.unique(y, return_inverse=True)
    names, members, counts = np.unique(groups, return_inverse=True, return_counts=True)
    strength = windows.std(axis=2, dtype=np.float64)
    maps = [
        _map_of(strength[members == name], codes[members == name], len(classes))
        for name in range(len(names))
    ]
    reference = int(np.argmax(counts))

    def best_turn(name, target):
        fits = [
            (np.roll(maps[name], k, axis=1) * target).sum()
            for k in range(windows.shape[1])
        ]
        return int(np.argmax(fits))

    # To one wearing first: the sum of unaligned maps would be a poor target.
    turns = np.array([best_turn(name, maps[reference]) for name in range(len(names))])
    turns[reference] = 0
    for _ in range(_MOST_PASSES):
        before = turns.copy()
        for name in range(len(names)):
            if name == reference:
                continue
            others = sum(
                np.roll(maps[other], turns[other], axis=1)
                for other in range(len(names))
                if other != name
            )
            turns[name] = best_turn(name, others)
        if np.array_equal(before, turns):
            break
    return dict(zip(names.tolist(), turns.tolist(), strict=True))
