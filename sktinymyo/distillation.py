"""Small networks that learn from the answers of large models."""

from abc import abstractmethod

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    MetaEstimatorMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils._set_output import _get_adapter_from_container
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_consistent_length,
    check_is_fitted,
)

from ._lesson import Lesson
from ._validation import (
    WINDOW_TYPES,
    check_choice,
    check_groups,
    check_labels,
    check_number,
    takes_weights,
    validate_windows,
)
from .nn import AUGMENTATIONS, augment_windows

__all__ = ["DistilledClassifier", "DistilledRegressor"]

# Below this a probability is rounding of float32; its logarithm must stay finite.
_SMALLEST_PROBABILITY = 1e-7


class _Distilled(MetaEstimatorMixin, BaseEstimator):
    """What classifier and regressor share: views, unlabelled windows, the pickle."""

    def __sklearn_tags__(self):
        """Accept windows of two or three dimensions, and what the student accepts."""
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        inner = get_tags(self.student)
        tags.target_tags.multi_output = inner.target_tags.multi_output
        tags.target_tags.single_output = inner.target_tags.single_output
        return tags

    def __sklearn_is_fitted__(self):
        return "student_" in vars(self)

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "student_" in state:
            # What only `fit` needs: the values of a large model, and recordings.
            state["teacher"] = _without_values(self.teacher)
            state["unlabeled"] = None
        return state

    def get_metadata_routing(self):
        """Return what is requested here and by the teacher.

        Returns
        -------
        routing : MetadataRouter
            See scikit-learn's user guide on metadata routing.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(teacher=self.teacher, method_mapping=mapping)

    @abstractmethod
    def _check_targets(self, windows, y):
        """Return validated labels or targets."""

    @abstractmethod
    def _ask(self, teacher, X, y):
        """Return the teacher's answers for windows, and targets made of them."""

    def _check_parameters(self):
        if not hasattr(self.student, "_fit_to_teacher") or not (
            self._kind_of_student(get_tags(self.student))
        ):
            raise TypeError(
                f"student={self.student!r} cannot learn from a teacher; pass "
                f"{self._STUDENTS}."
            )
        if not hasattr(self.teacher, self._ANSWER):
            raise TypeError(
                f"teacher={self.teacher!r} has no {self._ANSWER}, which the student "
                f"learns from; {self._INSTEAD}"
            )
        check_number("alpha", self.alpha, minimum=0, maximum=1)
        check_number("feature_weight", self.feature_weight, minimum=0)
        check_number("views", self.views, minimum=0, integer=True)
        if self.augment is not None:
            check_choice("augment", self.augment, tuple(AUGMENTATIONS))
        if self.views and self.augment is None:
            raise ValueError(
                f"views={self.views!r} asks for changed windows, but augment=None "
                "changes nothing; pass augment='armband' or another recipe, or views=0."
            )

    def _distil(self, X, y, groups, sample_weight, fit_params):
        """Fit teacher (if it is not fitted) and student."""
        self._check_parameters()
        windows, flat = validate_windows(
            self,
            X,
            reset=True,
            n_channels=getattr(self.student, "n_channels", None),
            dtype=WINDOW_TYPES,
        )
        y = self._check_targets(windows, y)
        groups = check_groups(windows, groups)
        weight = _check_weight(windows, sample_weight)
        more = self._check_unlabeled(windows, flat)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=3)
        student = clone(self.student)
        if self.random_state is not None:
            _seed(student, int(seeds[0]))
        if self.augment is not None and not self.views:
            _let_augment(student, self.augment)
        teacher = self._fitted_teacher(
            self._as_given(windows, flat, X),
            y,
            groups,
            weight,
            fit_params,
            int(seeds[1]),
        )
        if self.feature_weight:
            _check_features(teacher, self.teacher)
        n_labelled = len(windows)
        if more is not None:
            windows = np.concatenate([windows, more.astype(windows.dtype, copy=False)])
        windows = self._with_views(windows, int(seeds[2]))
        asked = self._as_given(windows, flat, X)
        outputs, answered = self._ask(teacher, asked, y)
        features = None
        if self.feature_weight:
            features = _standardised(_features_of(teacher, asked))
        del teacher, asked
        # Of the windows as they came, then of each round of views.
        n_rounds = 1 + self.views
        n_plain = len(windows) // n_rounds
        labelled = np.tile(np.arange(n_plain) < n_labelled, n_rounds)
        targets = np.array(answered)
        targets[labelled] = np.concatenate([y] * n_rounds)
        lesson = Lesson(
            outputs=outputs,
            features=features,
            labelled=labelled,
            alpha=float(self.alpha),
            temperature=float(getattr(self, "temperature", 1.0)),
            feature_weight=float(self.feature_weight),
        )
        self.student_ = student._fit_to_teacher(
            _back(windows, flat),
            targets,
            lesson,
            sample_weight=_spread(weight, n_plain, n_rounds),
            groups=self._groups_of_views(groups, n_plain, n_rounds),
        )
        return self

    def _check_unlabeled(self, windows, flat):
        """Return the windows without labels, or None."""
        if self.unlabeled is None:
            return None
        shape = windows.shape[1:]
        more = check_array(
            self.unlabeled,
            dtype=WINDOW_TYPES,
            allow_nd=True,
            ensure_min_samples=0,
            input_name="unlabeled",
        )
        expected = (shape[0] * shape[1],) if flat else shape
        if more.shape[1:] != expected:
            raise ValueError(
                f"unlabeled has the shape {more.shape}, but X needs windows of the "
                f"shape {('n_windows', *expected)}; cut and scale both alike."
            )
        return more.reshape(-1, *shape) if len(more) else None

    def _with_views(self, windows, seed):
        """Return the windows and, after them, `views` rounds of changed ones."""
        if not self.views:
            return windows
        generator = torch.Generator().manual_seed(seed)
        plain = torch.from_numpy(np.array(windows, dtype=np.float32, order="C"))
        rounds = [
            augment_windows(plain, self.augment, generator).numpy()
            for _ in range(self.views)
        ]
        return np.concatenate([plain.numpy(), *rounds])

    def _groups_of_views(self, groups, n_plain, n_rounds):
        """Keep a window's views on one side of the student's validation."""
        if groups is None and n_rounds == 1:
            return None
        places = np.arange(n_plain)
        if groups is not None:
            codes = np.unique(groups, return_inverse=True)[1]
            # A window without a label is a group of its own.
            places = places + codes.max() + 1
            places[: len(codes)] = codes
        return np.tile(places, n_rounds)

    def _fitted_teacher(self, X, y, groups, weight, fit_params, seed):
        """Return the teacher, fitted here unless it came fitted."""
        if _is_fitted(self.teacher):
            if fit_params:
                raise ValueError(
                    f"fit got {sorted(fit_params)} for the teacher, but "
                    f"teacher={self.teacher!r} is fitted already and stays as it is; "
                    "leave them out, or pass a teacher that is not fitted."
                )
            return self.teacher
        teacher = clone(self.teacher)
        if self.random_state is not None:
            _seed(teacher, seed)
        if get_config()["enable_metadata_routing"]:
            routed = process_routing(
                self, "fit", groups=groups, sample_weight=weight, **fit_params
            )
            return teacher.fit(X, y, **routed.teacher.fit)
        if weight is not None and takes_weights(teacher):
            fit_params = {**fit_params, "sample_weight": weight}
        elif weight is not None and not any(
            name.endswith("__sample_weight") for name in fit_params
        ):
            raise ValueError(
                f"sample_weight was given, but fit of {self.teacher!r} takes none. "
                "For a Pipeline, pass <step>__sample_weight as well, enable "
                "scikit-learn's metadata routing, or pass a fitted teacher."
            )
        return teacher.fit(X, y, **fit_params)

    def _check_answers(self, answers, shape):
        """Refuse answers that no student can learn."""
        if answers.shape != shape:
            raise ValueError(
                f"{self._ANSWER} of teacher={self.teacher!r} gave the shape "
                f"{answers.shape}, where {shape} was expected; pass another teacher."
            )
        if not np.isfinite(answers).all():
            finite = np.isfinite(answers).reshape(len(answers), -1).all(axis=1)
            rows = np.flatnonzero(~finite)
            raise ValueError(
                f"{self._ANSWER} of teacher={self.teacher!r} gave NaN or infinity for "
                f"{len(rows)} of {len(answers)} windows, first for window {rows[0]}; "
                "pass another teacher, or leave these windows out."
            )

    def _as_given(self, windows, flat, X):
        """Return windows in the form of X, also as a data frame with its columns."""
        given = _back(windows, flat)
        if not hasattr(self, "feature_names_in_"):
            return given
        adapter = _get_adapter_from_container(X)
        return adapter.create_container(given, None, columns=self.feature_names_in_)

    def _checked(self, X):
        """Return windows in the form in which the student was fitted."""
        check_is_fitted(self)
        windows, flat = validate_windows(
            self,
            X,
            reset=False,
            n_channels=getattr(self.student_, "n_channels", None),
            dtype=WINDOW_TYPES,
        )
        return _back(windows, flat)


def _student_has_logits(model):
    # Scorers and calibration ask for it before they take probabilities.
    student = vars(model).get("student_", model.student)
    return hasattr(student, "decision_function")


class DistilledClassifier(ClassifierMixin, TransformerMixin, _Distilled):
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
    teacher's parameters.

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


class DistilledRegressor(RegressorMixin, _Distilled):
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


def _back(windows, flat):
    """Return windows in the form in which they came."""
    return windows.reshape(len(windows), -1) if flat else windows


def _check_weight(windows, sample_weight):
    if sample_weight is None:
        return None
    weight = _check_sample_weight(
        sample_weight, windows, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight is zero for every window; at least one needs a weight "
            "above zero."
        )
    return weight


def _spread(weight, n_plain, n_rounds):
    """Return the weights of all windows and views, or None."""
    if weight is None:
        return None
    spread = np.full(n_plain, weight.mean())
    spread[: len(weight)] = weight
    return np.tile(spread, n_rounds)


def _seed(estimator, seed):
    """Set every random_state of an estimator and of what is in it."""
    rng = np.random.RandomState(seed)
    names = sorted(estimator.get_params(deep=True))
    wanted = [n for n in names if n == "random_state" or n.endswith("__random_state")]
    estimator.set_params(**{name: int(rng.randint(2**31 - 1)) for name in wanted})


def _let_augment(student, recipe):
    if "augment" not in student.get_params(deep=False):
        raise ValueError(
            f"student={student!r} draws no views by itself, which augment={recipe!r} "
            "with views=0 asks for; pass views=1 or more, or augment=None."
        )
    student.set_params(augment=recipe)


def _is_fitted(estimator):
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    return True


def _without_values(teacher):
    """Return a teacher that is not fitted, nor is anything frozen inside it."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    teacher = clone(teacher)
    # A clone keeps what is frozen as it is, and the windows of a chain of students.
    inside = teacher.get_params(deep=True)
    frozen = [name for name in inside if isinstance(inside[name], FrozenEstimator)]
    for name in sorted(frozen, key=len):
        if not any(name.startswith(f"{outer}__") for outer in frozen):
            teacher.set_params(**{name: _without_values(inside[name])})
    inside = {"": teacher, **teacher.get_params(deep=True)}
    for name, estimator in inside.items():
        if isinstance(estimator, _Distilled):
            teacher.set_params(**{f"{name}__unlabeled".removeprefix("__"): None})
    return teacher


def _features_of(teacher, X):
    """Return what the teacher makes of windows before it answers."""
    while isinstance(teacher, FrozenEstimator):
        teacher = teacher.estimator
    if not hasattr(teacher, "transform"):
        teacher = teacher[:-1]
    return np.asarray(teacher.transform(X))


def _check_features(teacher, given):
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


def _standardised(features):
    """Return features as float32 of mean 0 and deviation 1, one row a window."""
    features = features.reshape(len(features), -1)
    mean = features.mean(axis=0, dtype=np.float64)
    std = features.std(axis=0, dtype=np.float64)
    std[std <= 1e-6] = 1.0
    return ((features - mean) / std).astype(np.float32)
