"""Students that predict values."""

import numpy as np
from sklearn.base import (
    RegressorMixin,
)
from sklearn.utils import check_array
from sklearn.utils.validation import (
    check_consistent_length,
)

from ._base import DistilledEstimator

__all__ = ["DistilledRegressor"]


class DistilledRegressor(RegressorMixin, DistilledEstimator):
    """Train a small network on targets and on the predictions of a large model.

    Parameters
    ----------
    teacher : regressor
        Any regressor of scikit-learn or of this package, also a Pipeline, whose
        predictions have the shape of y. One that is not fitted is cloned and fitted in
        `fit`; a fitted one is used as it is (see :class:`DistilledClassifier` for what
        that means in a cross-validation).
    student : TinyMyoRegressor
        What to train; cloned.
    alpha : float, default=0.5
        Share of the teacher's predictions in the loss, from 0 (targets alone) to 1
        (the teacher alone). Windows without targets have this share only.
    feature_weight : float, default=0.0
        Weight of the mean squared difference between the teacher's standardised
        features (its ``transform``; of a Pipeline without one, what its last step
        sees) and a linear projection of the student's features, averaged over time.
    augment : {"amplitude", "noise", "channel-drop", "rotation", "time-jitter", \
            "published", "armband"} or None, default=None
        Random changes of windows, see :func:`sktinymyo.nn.augment_windows`.
    views : int, default=0
        Changed copies of each window that the teacher answers too; 0 lets its answer
        for the plain window stand for the view that the student sees in each epoch.
    unlabeled : array-like of shape (n_unlabeled, n_channels, n_times) or None, \
            default=None
        Further windows, prepared like X, without targets.
    random_state : int, RandomState instance or None, default=None
        Seed of the views and, unless None, of student and teacher.

    Attributes
    ----------
    student_ : TinyMyoRegressor
        The fitted student.
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
    DistilledClassifier : The same for gestures, with more to read.

    Notes
    -----
    The loss is the mean absolute error, to the targets and to the teacher's
    predictions alike, in units of the targets' standard deviation.

    References
    ----------
    "Scaling and Distilling Transformer Models for sEMG", arXiv:2507.22094.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import DistilledRegressor, TimeDomainFeatures, TinyMyoRegressor
    >>> rng = np.random.default_rng(0)
    >>> force = rng.uniform(0.2, 1, size=60)
    >>> X = rng.normal(size=(60, 4, 100)) * force[:, None, None]
    >>> teacher = make_pipeline(TimeDomainFeatures(["rms"]), Ridge(1e-3))
    >>> student = TinyMyoRegressor("random", size="nano", max_epochs=20)
    >>> model = DistilledRegressor(teacher, student, random_state=0)
    >>> bool(model.fit(X, force).score(X, force) > 0.5)
    True
    """

    _ANSWER = "predict"
    _INSTEAD = "pass a regressor."
    _STUDENTS = "a TinyMyoRegressor of any size"

    def __init__(
        self,
        teacher,
        student,
        *,
        alpha=0.5,
        feature_weight=0.0,
        augment=None,
        views=0,
        unlabeled=None,
        random_state=None,
    ):
        self.teacher = teacher
        self.student = student
        self.alpha = alpha
        self.feature_weight = feature_weight
        self.augment = augment
        self.views = views
        self.unlabeled = unlabeled
        self.random_state = random_state

    @staticmethod
    def _kind_of_student(tags):
        return tags.estimator_type == "regressor"

    def fit(self, X, y, sample_weight=None, groups=None, **fit_params):
        """Fit the teacher, if it is not fitted, and then the student.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of any real type and unit.
        y : array-like of shape (n_windows,), (n_windows, n_outputs) or \
                (n_windows, n_times_out, n_outputs)
            Targets in any unit.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows; a window of `unlabeled` has their mean.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by the student's
            ``validation_fraction``.
        **fit_params : dict
            Passed on to `fit` of a teacher that is not fitted.

        Returns
        -------
        self : DistilledRegressor

        Raises
        ------
        TypeError
            If the student cannot learn from a teacher, or the teacher cannot predict.
        ValueError
            If a parameter, X, y or weights are not as documented, or the teacher's
            predictions have another shape than y.
        """
        return self._distil(X, y, groups, sample_weight, fit_params)

    def _check_targets(self, windows, y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_features=0,
            input_name="y",
        )
        check_consistent_length(windows, y)
        return y

    def _ask(self, teacher, X, y):
        outputs = np.asarray(teacher.predict(X), dtype=np.float64)
        if outputs.ndim == 1 and y.shape[1:] == (1,):
            # Some regressors return a single column without its axis.
            outputs = outputs[:, np.newaxis]
        if outputs.shape[1:] != y.shape[1:]:
            raise ValueError(
                f"teacher predicts the shape {outputs.shape[1:]} for a window, but y "
                f"has {y.shape[1:]}; pass a teacher of the same targets."
            )
        self._check_answers(outputs, (len(X), *y.shape[1:]))
        return outputs, outputs

    def predict(self, X):
        """Return the predicted targets.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        y : ndarray of float64
            In the form and unit of the targets in `fit`.
        """
        X = self._checked(X)
        return self.student_.predict(X)

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination, the mean over the outputs.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : array-like
            True targets, of the form seen in `fit`.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows.

        Returns
        -------
        score : float
            R2 of the predictions.
        """
        X = self._checked(X)
        return self.student_.score(X, y, sample_weight=sample_weight)
