"""What both meta-estimators of students share."""

from abc import abstractmethod

import numpy as np
import torch
from sklearn import get_config
from sklearn.base import (
    BaseEstimator,
    MetaEstimatorMixin,
    clone,
)
from sklearn.utils import check_array, check_random_state, get_tags
from sklearn.utils._set_output import _get_adapter_from_container
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
)

from .._lesson import Lesson
from .._validation import (
    WINDOW_TYPES,
    check_choice,
    check_groups,
    check_number,
    takes_weights,
    validate_windows,
)
from ..nn import AUGMENTATIONS, augment_windows
from ._teachers import (
    check_features,
    features_of,
    is_fitted,
    standardised,
    without_values,
)

__all__ = ["DistilledEstimator"]

# Recipes that move channels to their neighbours along a ring.
_OF_RINGS = ("rotation", "armband")


class DistilledEstimator(MetaEstimatorMixin, BaseEstimator):
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
            state["teacher"] = without_values(self.teacher)
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
        if self.augment in _OF_RINGS and hasattr(self.student, "grid"):
            raise ValueError(
                f"augment={self.augment!r} turns a ring of electrodes, but the student "
                "sees a grid; pass augment='published' or another recipe."
            )
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
            check_features(teacher, self.teacher)
        n_labelled = len(windows)
        if more is not None:
            windows = np.concatenate([windows, more.astype(windows.dtype, copy=False)])
        windows = self._with_views(windows, int(seeds[2]))
        asked = self._as_given(windows, flat, X)
        outputs, answered = self._ask(teacher, asked, y)
        features = None
        if self.feature_weight:
            features = standardised(features_of(teacher, asked))
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
        if is_fitted(self.teacher):
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
