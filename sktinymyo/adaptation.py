"""Adaptation to a new wearing of the electrodes, without labels of it."""

import warnings
from dataclasses import replace

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import accuracy_score
from sklearn.utils import get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)

from ._validation import (
    WINDOW_TYPES,
    check_groups,
    check_labels,
    check_number,
    check_truth,
    takes_weights,
    validate_windows,
)
from .signal import align_maps, strength_map
from .signal.armband import turn_lengths

__all__ = ["ArmbandAlignedClassifier"]

# Weight of the agreement of maps beside the information, both at most 1. It breaks
# the ties of classifiers that are sure of everything.
_WEIGHT_OF_MAP = 0.3
# Of `turn_cost`: labels tell more about a turn than answers do.
_COST_IN_TRAINING = 0.4
_NO_GROUPS = (
    "fit got no groups, so all windows count as one wearing and training people are "
    "not aligned. In cross_val_score, groups reach only the splitter: call "
    "sklearn.set_config(enable_metadata_routing=True), then "
    "set_fit_request(groups=True).set_score_request(groups=True) on this classifier, "
    "and pass params={'groups': ...} in place of groups=. If all windows are of one "
    "wearing, pass align_training=False."
)


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
        It gets the windows in their own type.
    turn_cost : float, default=0.05
        How much better a turn by one more electrode has to be understood. People put
        an armband on in much the same way, and where the evidence is thin a wrong
        turn costs more than a turn that is missed. Chosen by
        ``tests/benchmarks/turn_cost.py``: without a cost, accuracy fell from 0.61 to
        0.44 on a set whose few gestures leave the turn open, with this cost to 0.59.
        0 is for armbands that may sit in any position.
    align_training : bool, default=True
        Turn the wearings of the training windows too. False leaves them as they
        are, for recordings of a single wearing or with the armband in one place.
    max_windows : int, default=400
        Windows of a wearing from which its turn is found, evenly spread; bounds the
        time, which is that of ``n_channels`` predictions for each of them.
    n_channels : int or None, default=None
        Channels of windows given in two dimensions, which `estimator` then gets in
        three. None is one channel, and leaves them as they are.

    Attributes
    ----------
    estimator_ : classifier
        The fitted classifier.
    classes_ : ndarray
        Its classes.
    turns_ : dict
        Group -> channels by which its training windows were turned.
    n_channels_in_, n_times_in_ : int
        Shape of the windows in `fit`.
    n_features_in_ : int
        Their product.
    input_ndim_ : int
        Number of dimensions of the windows in `fit`, 2 or 3.
    feature_names_in_ : ndarray of str
        Column names, if `fit` saw a data frame.

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

    ``groups`` of ``cross_val_score`` reach the splitter and not `fit`. With
    scikit-learn's metadata routing, ``set_fit_request(groups=True)`` and
    ``set_score_request(groups=True)`` bring the wearings here, and
    ``params={"groups": ...}`` takes the place of ``groups``; `fit` also passes on what
    `estimator` requests.

    Where all wear the armband alike there is nothing to gain, and a turn that is found
    can be wrong: compare with the classifier alone on people left out.

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
        self,
        estimator,
        *,
        turn_cost=0.05,
        align_training=True,
        max_windows=400,
        n_channels=None,
    ):
        self.estimator = estimator
        self.turn_cost = turn_cost
        self.align_training = align_training
        self.max_windows = max_windows
        self.n_channels = n_channels

    def __sklearn_tags__(self):
        """Accept windows of two or three dimensions."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        inner = get_tags(self.estimator)
        if inner.classifier_tags is not None:
            # A window has one gesture, whatever else the classifier can do.
            tags.classifier_tags = replace(inner.classifier_tags, multi_label=False)
        tags.non_deterministic = inner.non_deterministic
        return tags

    def get_metadata_routing(self):
        """Return what is requested here and by the classifier.

        Returns
        -------
        routing : MetadataRouter
            See scikit-learn's user guide on metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def fit(self, X, y, groups=None, sample_weight=None, **fit_params):
        """Align the training wearings and fit the classifier.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows.
        y : array-like of shape (n_windows,)
            Classes.
        groups : array-like of shape (n_windows,) or None, default=None
            Wearing of each window (person, or person and session); None is one
            wearing for all, with a warning if they were to be aligned.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows in the alignment, and in the classifier, which
            must take them.
        **fit_params : dict
            Passed on to `fit` of the classifier, such as ``step__sample_weight``
            of a Pipeline; with metadata routing, to those who request them.

        Returns
        -------
        self : ArmbandAlignedClassifier

        Raises
        ------
        TypeError
            If the classifier has no ``predict_proba``.
        ValueError
            If X, y, groups or weights are not as documented, or the classifier
            takes no weights and is given some.
        """
        check_truth("align_training", self.align_training)
        check_number("turn_cost", self.turn_cost, minimum=0)
        check_number("max_windows", self.max_windows, minimum=1, integer=True)
        check_number(
            "n_channels", self.n_channels, minimum=1, integer=True, none_allowed=True
        )
        if not hasattr(self.estimator, "predict_proba"):
            raise TypeError(
                f"estimator={self.estimator!r} has no predict_proba, from which the "
                "turn of a new wearing is found; for a linear SVM take "
                "CalibratedClassifierCV around it."
            )
        windows, flat = validate_windows(
            self, X, reset=True, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )
        self._flat = flat and self.n_channels is None
        y = check_labels(self, windows, y)
        wearings = _wearings(windows, groups)
        weight = _check_weight(windows, sample_weight)
        passed_on = self._passed_on(groups, weight, fit_params)
        if groups is None and self.align_training and windows.shape[1] > 1:
            warnings.warn(_NO_GROUPS, UserWarning, stacklevel=2)
        estimator = clone(self.estimator)
        self.turns_ = dict.fromkeys(wearings, 0)
        if self.align_training and windows.shape[1] > 1 and len(wearings) > 1:
            cost = _COST_IN_TRAINING * self.turn_cost
            self.turns_ = _align(windows, y, wearings, weight, cost)
        turned = _turn_groups(windows, wearings, self.turns_)
        self.estimator_ = estimator.fit(self._back(turned), y, **passed_on)
        self.classes_ = self.estimator_.classes_
        # Of whatever order the classifier keeps its classes in.
        order = np.argsort(self.classes_)
        codes = order[np.searchsorted(self.classes_, y, sorter=order)]
        maps = _maps(turned, codes, len(self.classes_), wearings, weight)
        self._map = np.mean(list(maps.values()), axis=0)
        return self

    def _passed_on(self, groups, weight, fit_params):
        """Return what `fit` of the classifier gets beside windows and labels."""
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(
                self, "fit", groups=groups, sample_weight=weight, **fit_params
            )
            return routed.estimator.fit
        if weight is None:
            return fit_params
        if not takes_weights(self.estimator):
            raise ValueError(
                f"sample_weight was given, but fit of {self.estimator!r} takes none. "
                "For a Pipeline, pass <step>__sample_weight, or enable scikit-learn's "
                "metadata routing and let the step request sample_weight."
            )
        return {**fit_params, "sample_weight": weight}

    def _back(self, windows):
        """Return windows in the form in which the classifier was fitted."""
        return windows.reshape(len(windows), -1) if self._flat else windows

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
        windows, wearings = self._check_later(X, groups)
        return self._find_turns(windows, wearings)

    def _check_later(self, X, groups):
        check_is_fitted(self)
        windows, _ = validate_windows(
            self, X, reset=False, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )
        return windows, _wearings(windows, groups)

    def _find_turns(self, windows, wearings):
        turns = dict.fromkeys(wearings, 0)
        if windows.shape[1] == 1:
            return turns
        for group, rows in wearings.items():
            rows = rows[:: -(-len(rows) // self.max_windows)]
            scores = [
                self._understanding(_turn(windows[rows], k)) - self.turn_cost * length
                for k, length in enumerate(turn_lengths(windows.shape[1]))
            ]
            turns[group] = int(np.argmax(scores))
        return turns

    def _understanding(self, windows):
        """Return how well the classifier copes with windows, without labels."""
        n_classes = len(self.classes_)
        if n_classes > 1:
            probabilities = self.estimator_.predict_proba(self._back(windows))
        else:  # some classifiers, LDA for one, fail here
            probabilities = np.ones((len(windows), 1))
        information = _information(probabilities) / np.log(max(n_classes, 2))
        strength = windows.std(axis=2, dtype=np.float64)
        answers = strength_map(strength, probabilities.argmax(axis=1), n_classes)
        size = np.linalg.norm(answers) * np.linalg.norm(self._map)
        agreement = (answers * self._map).sum() / size if size else 0.0
        return information + _WEIGHT_OF_MAP * agreement

    def _predict(self, method, X, groups):
        windows, wearings = self._check_later(X, groups)
        turns = self._find_turns(windows, wearings)
        turned = _turn_groups(windows, wearings, turns)
        return getattr(self.estimator_, method)(self._back(turned))

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
        y = check_labels(self, X, y)
        check_consistent_length(X, y, sample_weight)
        labels = self.predict(X, groups)
        return float(accuracy_score(y, labels, sample_weight=sample_weight))


def _wearings(windows, groups):
    """Return the rows of every wearing, by its name."""
    groups = check_groups(windows, groups)
    if groups is None:
        return {0: np.arange(len(windows))}
    names, members = np.unique(groups, return_inverse=True)
    return {
        name: np.flatnonzero(members == code)
        for code, name in enumerate(names.tolist())
    }


def _check_weight(windows, sample_weight):
    if sample_weight is None:
        return None
    weight = _check_sample_weight(sample_weight, windows, ensure_non_negative=True)
    if not weight.any():
        raise ValueError(
            "sample_weight is zero for every window; at least one needs a weight "
            "above zero."
        )
    return weight


def _turn(windows, steps):
    return windows if steps == 0 else np.roll(windows, steps, axis=1)


def _turn_groups(windows, wearings, turns):
    """Turn each group; X is copied only if something turns."""
    if not any(turns.values()):
        return windows
    turned = np.array(windows)
    for group, steps in turns.items():
        if steps:
            rows = wearings[group]
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


def _maps(windows, codes, n_classes, wearings, weight):
    """Return the maps of the wearings that have any weight, by name."""
    strength = windows.std(axis=2, dtype=np.float64)
    maps = {}
    for name, rows in wearings.items():
        weights = None if weight is None else weight[rows]
        if weights is None or weights.any():
            maps[name] = strength_map(strength[rows], codes[rows], n_classes, weights)
    return maps


def _align(windows, y, wearings, weight, turn_cost):
    """Turn wearings until their maps of strength by class agree best.

    Maps are standardised, so that how strong somebody is does not matter. Wearings
    without weight stay as they are, and so does, if turns cost nothing, the one with
    the most windows.
    """
    classes, codes = np.unique(y, return_inverse=True)
    weighed = _maps(windows, codes, len(classes), wearings, weight)
    names, maps = list(weighed), list(weighed.values())
    counts = [
        len(wearings[name]) if weight is None else weight[wearings[name]].sum()
        for name in names
    ]
    turns = align_maps(maps, int(np.argmax(counts)), turn_cost)
    return dict.fromkeys(wearings, 0) | dict(zip(names, turns, strict=True))
