"""Students that classify."""

import numpy as np
from sklearn.base import (
    ClassifierMixin,
    TransformerMixin,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from .._validation import (
    check_labels,
    check_number,
)
from ._base import DistilledEstimator

__all__ = ["DistilledClassifier"]

# Below this a probability is rounding of float32; its logarithm must stay finite.
_SMALLEST_PROBABILITY = 1e-7


def _student_has_logits(model):
    # Scorers and calibration ask for it before they take probabilities.
    student = vars(model).get("student_", model.student)
    return hasattr(student, "decision_function")


class DistilledClassifier(ClassifierMixin, TransformerMixin, DistilledEstimator):
    """Train a small network on labels and on the answers of a large model.

    The teacher answers every window with probabilities; the student learns the labels
    and, softened, these answers, which tell more than a label: which gestures look
    alike, and how sure one can be [1]_. The answers cost no labels, so that windows
    without any can be learned from too. After `fit` the teacher is gone: what predicts
    is `student_`, a plain estimator, which the exports take (:func:`sktinymyo.to_onnx`
    and :func:`sktinymyo.export_gap9` also take this estimator for it).

    Parameters
    ----------
    teacher : classifier with ``predict_proba``
        Any classifier of scikit-learn or of this package, also a Pipeline; it gets the
        windows as they are given. One that is not fitted is cloned and fitted in `fit`,
        and so inside the fold of a cross-validation. A fitted one is used as it is:
        see the notes.
    student : TinyMyoClassifier or AllConvNetClassifier
        What to train, for example ``TinyMyoClassifier("random", size="nano")``; cloned.
    alpha : float, default=0.5
        Share of the teacher's answers in the loss, from 0 (labels alone) to 1 (the
        teacher alone). Windows without labels have this share only.
    temperature : float, default=2.0
        What both sides' logits are divided by before they are compared; above 1 the
        small probabilities count more.
    feature_weight : float, default=0.0
        Weight of the mean squared difference between the teacher's standardised
        features (its ``transform``; of a Pipeline without one, what its last step
        sees) and a linear projection of the student's, which is thrown away after
        `fit` [2]_. 0 leaves it out, and needs no features.
    augment : {"amplitude", "noise", "channel-drop", "rotation", "time-jitter", \
            "published", "armband"} or None, default=None
        Random changes of windows, see :func:`sktinymyo.nn.augment_windows`.
    views : int, default=0
        Changed copies of each window that the teacher answers too. 0 asks the teacher
        for the plain windows once and lets its answer stand for the new view that the
        student sees in each epoch: the cheap way, and right for changes that keep the
        answer. k draws k views beforehand, and the teacher answers each: memory
        and teacher cost 1 + k times as much.
    unlabeled : array-like of shape (n_unlabeled, n_channels, n_times) or None, \
            default=None
        Further windows, prepared like X, whose labels nobody knows. In a
        cross-validation they take part in every fold: no window of a test person may
        be among them unless that is what you want to measure.
    random_state : int, RandomState instance or None, default=None
        Seed of the views and, unless None, of student and teacher, whose own
        ``random_state`` it replaces.

    Attributes
    ----------
    student_ : estimator
        The fitted student.
    classes_ : ndarray of shape (n_classes,)
        Labels seen in `fit`.
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
    DistilledRegressor : The same for angles and forces.
    TinyMyoClassifier : The usual student.

    Notes
    -----
    ``cross_val_score`` clones what it is given, and a clone is not fitted: a teacher
    is then fitted anew on the training side of every fold, which keeps the scores
    honest. A teacher that must stay as it is (it took hours, or labels that are not at
    hand) goes into ``sklearn.frozen.FrozenEstimator``; then it must have been fitted
    without the people, or recordings, that the folds test on, or the student has heard
    of them.

    Weights of windows reach the student, and a teacher that is fitted here. `groups`
    keep recordings together where the student holds windows back
    (``validation_fraction``). With scikit-learn's metadata routing the teacher gets
    what it requests.

    A pickle holds the student, and of teacher and `unlabeled` nothing but the
    teacher's parameters: a loaded model predicts, but `fit` on it, or on its clone,
    would train a new teacher, also where the first one was frozen.

    References
    ----------
    .. [1] G. Hinton, O. Vinyals, J. Dean, "Distilling the Knowledge in a Neural
       Network", arXiv:1503.02531.
    .. [2] A. Romero et al., "FitNets: Hints for Thin Deep Nets", arXiv:1412.6550.
    .. [3] "Scaling and Distilling Transformer Models for sEMG", arXiv:2507.22094.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import (
    ...     DistilledClassifier, TimeDomainFeatures, TinyMyoClassifier
    ... )
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["rest", "fist"], 20)
    >>> X = rng.normal(size=(40, 4, 100)) * np.where(y == "fist", 3, 1)[:, None, None]
    >>> teacher = make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())
    >>> student = TinyMyoClassifier("random", size="nano", max_epochs=10)
    >>> model = DistilledClassifier(teacher, student, random_state=0).fit(X, y)
    >>> model.score(X, y)
    1.0
    """

    _ANSWER = "predict_proba"
    _INSTEAD = "for a linear SVM take CalibratedClassifierCV around it."
    _STUDENTS = "a TinyMyoClassifier of any size or an AllConvNetClassifier"

    def __init__(
        self,
        teacher,
        student,
        *,
        alpha=0.5,
        temperature=2.0,
        feature_weight=0.0,
        augment=None,
        views=0,
        unlabeled=None,
        random_state=None,
    ):
        self.teacher = teacher
        self.student = student
        self.alpha = alpha
        self.temperature = temperature
        self.feature_weight = feature_weight
        self.augment = augment
        self.views = views
        self.unlabeled = unlabeled
        self.random_state = random_state

    def __sklearn_tags__(self):
        """Tell that `transform` returns float32."""
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    @staticmethod
    def _kind_of_student(tags):
        return tags.estimator_type == "classifier"

    def fit(self, X, y, sample_weight=None, groups=None, **fit_params):
        """Fit the teacher, if it is not fitted, and then the student.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of any real type and unit.
        y : array-like of shape (n_windows,)
            Labels of any type.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows; a window of `unlabeled` has their mean.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by the student's
            ``validation_fraction``.
        **fit_params : dict
            Passed on to `fit` of a teacher that is not fitted; with metadata routing,
            what it requests.

        Returns
        -------
        self : DistilledClassifier

        Raises
        ------
        TypeError
            If the student cannot learn from a teacher, or the teacher has no
            ``predict_proba``.
        ValueError
            If a parameter, X, y or weights are not as documented; if a fitted teacher
            does not know a class of y; if the teacher has no features and
            `feature_weight` is not 0.
        """
        check_number("temperature", self.temperature, minimum=0, include_minimum=False)
        self._distil(X, y, groups, sample_weight, fit_params)
        self.classes_ = self.student_.classes_
        return self

    def _check_targets(self, windows, y):
        return check_labels(self, windows, y)

    def _ask(self, teacher, X, y):
        classes = np.unique(y)
        known = np.asarray(teacher.classes_)
        if missing := sorted(set(classes.tolist()) - set(known.tolist())):
            raise ValueError(
                f"teacher knows the classes {known.tolist()}, but y also holds "
                f"{missing}; pass a teacher that was fitted with all classes, or one "
                "that is not fitted."
            )
        order = {label: place for place, label in enumerate(known.tolist())}
        columns = [order[label] for label in classes.tolist()]
        probabilities = np.asarray(teacher.predict_proba(X))
        self._check_answers(probabilities, (len(X), len(known)))
        probabilities = probabilities[:, columns]
        outputs = np.log(np.maximum(probabilities, _SMALLEST_PROBABILITY))
        return outputs.astype(np.float32), classes[outputs.argmax(axis=1)]

    def predict(self, X):
        """Return the most probable label of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_windows,)
        """
        X = self._checked(X)
        return self.student_.predict(X)

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        X = self._checked(X)
        return self.student_.predict_proba(X)

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        log_probabilities : ndarray of float32, shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        X = self._checked(X)
        return self.student_.predict_log_proba(X)

    @available_if(_student_has_logits)
    def decision_function(self, X):
        """Return the logits of the classes; only if the student has this method.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        logits : ndarray of float32, shape (n_windows, n_classes) or (n_windows,)
            With two classes, the difference between the second and the first.
        """
        X = self._checked(X)
        return self.student_.decision_function(X)

    def transform(self, X):
        """Return the embeddings of the student.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_windows, n_features_out)
        """
        X = self._checked(X)
        return np.asarray(self.student_.transform(X))

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Compared with the columns seen in `fit`, as in scikit-learn.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return self.student_.get_feature_names_out()
