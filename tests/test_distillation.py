"""Students learn what a teacher answers, and nothing of the teacher stays."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from torch.nn import functional

from sktinymyo import (
    AllConvNetClassifier,
    DistilledClassifier,
    DistilledRegressor,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoRegressor,
)
from sktinymyo.nn import softened_divergence

NANO = {"weights": "random", "size": "nano", "lr": 3e-3, "dropout": 0.0}


def student(**options):
    return TinyMyoClassifier(**{**NANO, "max_epochs": 15, **options})


def lda():
    return make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())


class Witness(ClassifierMixin, BaseEstimator):
    """Knows the gesture from the strength, says the next one, remembers all it sees.

    Its classes are in falling order.
    """

    asked, fitted_on = [], []

    def fit(self, X, y, sample_weight=None):
        self.fitted_on.append((X, sample_weight))
        self.classes_ = np.unique(y)[::-1]
        return self

    def predict_proba(self, X):
        self.asked.append(X)
        code = np.digitize(X.std(axis=(1, 2)), [1.7, 4.0])
        answer = (code + 1) % 3
        return np.eye(3)[2 - answer] * 0.94 + 0.02


@pytest.fixture(autouse=True)
def forget():
    Witness.asked.clear()
    Witness.fitted_on.clear()


@pytest.fixture(scope="module")
def gestures():
    """Windows of three strengths, so that the label is seen in the strength alone."""
    rng = np.random.default_rng(0)
    y = np.arange(90) % 3
    X = rng.standard_normal((90, 2, 60)) * np.array([1.0, 2.7, 6.0])[y, None, None]
    return X.astype(np.float32), y


def test_divergence_is_that_of_the_softened_probabilities():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(2, 5, 4, generator=generator)
    expected = functional.kl_div(
        functional.log_softmax(a / 3, -1),
        functional.softmax(b / 3, -1),
        reduction="none",
    ).sum(-1)
    torch.testing.assert_close(softened_divergence(a, b, 3.0), 9 * expected)
    torch.testing.assert_close(softened_divergence(a, b + 5, 3.0), 9 * expected)


@pytest.mark.parametrize(("alpha", "turn"), [(0.0, 0), (1.0, 1)])
def test_alpha_divides_between_labels_and_teacher(gestures, alpha, turn):
    X, y = gestures
    model = DistilledClassifier(
        Witness(), student(), alpha=alpha, temperature=1.0, random_state=0
    )
    predicted = model.fit(X, y).predict(X)
    assert np.mean(predicted == (y + turn) % 3) > 0.9


@pytest.mark.parametrize("features", [0.0, 1.0])
def test_single_samples_learn_the_answer_for_their_window(features):
    # Four electrodes, of which the label tells the strongest.
    rng = np.random.default_rng(0)
    y = np.arange(80) % 4
    X = rng.standard_normal((80, 4, 20)) * (1 + 5 * np.eye(4)[y])[:, :, None]
    images = AllConvNetClassifier((2, 2), width=4, max_epochs=30, dropout=0.0)
    teacher = FrozenEstimator(lda().fit(X, (y + 1) % 4))
    model = DistilledClassifier(
        teacher,
        images,
        alpha=1.0,
        feature_weight=features,
        unlabeled=X[40:60],
        random_state=0,
    )
    predicted = model.fit(X[:40], y[:40]).predict(X[60:])
    assert np.mean(predicted == (y[60:] + 1) % 4) > 0.9
    assert model.predict_proba(X[:2]).shape == (2, 4)
    # Votes have no logits; scorers must find that out before they call.
    assert not hasattr(model, "decision_function")
    assert hasattr(DistilledClassifier(teacher, student()), "decision_function")
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict(X), model.predict(X))


def test_a_grid_is_not_turned_like_a_ring(gestures):
    images = AllConvNetClassifier((1, 2), width=4)
    model = DistilledClassifier(Witness(), images, augment="armband", views=1)
    with pytest.raises(ValueError, match="turns a ring of electrodes"):
        model.fit(*gestures)


def test_windows_without_labels_teach(gestures):
    X, y = gestures
    teacher = FrozenEstimator(lda().fit(X, y))
    few = slice(0, 6)
    options = {"alpha": 0.9, "random_state": 0}
    alone = DistilledClassifier(teacher, student(max_epochs=60), **options)
    more = DistilledClassifier(teacher, student(), unlabeled=X[6:], **options)
    score = alone.fit(X[few], y[few]).score(X, y)
    assert more.fit(X[few], y[few]).score(X, y) > max(score, 0.9)
    assert pickle.loads(pickle.dumps(more)).unlabeled is None


def test_labels_nobody_knows_have_no_share(gestures):
    X, y = gestures
    model = DistilledClassifier(
        Witness(), student(), alpha=0.0, unlabeled=X[:45], random_state=0
    )
    # The teacher answered the unlabelled windows, and is wrong about all of them.
    assert model.fit(X[45:], y[45:]).score(X[:45], y[:45]) > 0.75


def test_teacher_answers_the_views_that_the_student_sees(gestures):
    X, y = gestures
    model = DistilledClassifier(
        Witness(), student(max_epochs=1), augment="amplitude", views=2, random_state=0
    )
    model.fit(X, y)
    (asked,) = Witness.asked
    assert len(asked) == 3 * len(X)
    np.testing.assert_array_equal(asked[: len(X)], X)
    ratio = asked[len(X) :].std(axis=2) / np.tile(X.std(axis=2), (2, 1))
    assert 0.85 < ratio.min() < 0.95
    assert 1.05 < ratio.max() < 1.15
    Witness.asked.clear()
    model.set_params(views=0).fit(X, y)
    np.testing.assert_array_equal(Witness.asked[0], X)
    assert model.student_.augment == "amplitude"


def test_features_are_learned_and_the_projection_is_gone(gestures):
    X, y = gestures
    teacher = lda().fit(X, y)
    features = teacher[:-1].transform(X)

    def explained(weight):
        model = DistilledClassifier(
            teacher, student(max_epochs=15), feature_weight=weight, random_state=0
        )
        Z = model.fit(X, y).transform(X)
        found = np.c_[Z, np.ones(len(Z))]
        # More columns than windows would explain everything.
        found = found[:, np.random.default_rng(0).permutation(97)[:20]]
        rest = features - found @ np.linalg.lstsq(found, features, rcond=None)[0]
        return model, 1 - (rest.var(axis=0) / features.var(axis=0)).mean()

    without, low = explained(0.0)
    model, high = explained(10.0)
    assert high > low
    known = without.student_.module_.state_dict()
    assert set(model.student_.module_.state_dict()) == set(known)
    assert not model.student_.module_.model_head.classifier._forward_pre_hooks


def test_cross_validation_fits_the_teacher_inside_the_fold(gestures):
    X, y = gestures
    person = np.arange(len(y)) // 30
    model = DistilledClassifier(Witness(), student(max_epochs=1), random_state=0)
    cross_val_score(model, X, y, groups=person, cv=GroupKFold(3))
    seen = [len(X) for X, _ in Witness.fitted_on]
    assert seen == [60, 60, 60]
    Witness.fitted_on.clear()
    fitted = Witness().fit(X, y)
    model.set_params(teacher=FrozenEstimator(fitted))
    cross_val_score(model, X, y, groups=person, cv=GroupKFold(3))
    assert len(Witness.fitted_on) == 1


def test_a_fitted_teacher_is_used_as_it_is(gestures):
    X, y = gestures
    teacher = Witness().fit(X, y)
    model = DistilledClassifier(teacher, student(max_epochs=1), random_state=0)
    model.fit(X, y)
    assert len(Witness.fitted_on) == 1
    assert model.teacher is teacher


@pytest.mark.parametrize("frozen", [False, True])
def test_a_pickle_holds_no_teacher(gestures, frozen):
    X, y = gestures
    teacher = TinyMyoClassifier("random", max_epochs=1, random_state=0).fit(X, y)
    size = len(pickle.dumps(teacher))
    given = FrozenEstimator(teacher) if frozen else teacher
    model = DistilledClassifier(given, student(max_epochs=1), random_state=0)
    # Workers of a cross-validation get it so.
    assert len(pickle.dumps(model)) > size
    data = pickle.dumps(model.fit(X, y))
    assert len(data) < size / 20
    again = pickle.loads(data)
    assert not again.teacher.__sklearn_is_fitted__()
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


def test_same_seed_same_student(gestures):
    X, y = gestures

    def fit(seed):
        model = DistilledClassifier(
            TinyMyoClassifier(**NANO, max_epochs=2),
            student(max_epochs=2),
            feature_weight=1.0,
            augment="noise",
            views=1,
            random_state=seed,
        )
        return model.fit(X, y).decision_function(X)

    np.testing.assert_array_equal(fit(0), fit(0))
    assert not np.array_equal(fit(0), fit(1))


def test_validation_keeps_views_of_a_window_together(gestures):
    X, y = gestures
    model = DistilledClassifier(
        Witness(),
        student(max_epochs=2, validation_fraction=0.3),
        augment="amplitude",
        views=1,
        unlabeled=X[:10],
        random_state=0,
    )
    person = np.arange(len(y)) // 9
    model.fit(X, y, groups=person)
    assert "valid_loss" in model.student_.history_[0]
    groups = model._groups_of_views(person, 100, 2)
    np.testing.assert_array_equal(groups[:100], groups[100:])
    assert len(np.unique(groups)) == 20


def test_weights_and_routing(gestures):
    X, y = gestures
    weight = np.where(y == 0, 0.0, 1.0)
    model = DistilledClassifier(Witness(), student(max_epochs=1), random_state=0)
    model.fit(X, y, sample_weight=weight)
    np.testing.assert_array_equal(Witness.fitted_on[-1][1], weight)
    with pytest.raises(ValueError, match="takes none"):
        model.set_params(teacher=lda()).fit(X, y, sample_weight=weight)
    with sklearn.config_context(enable_metadata_routing=True):
        teacher = Witness().set_fit_request(sample_weight=False)
        routed = DistilledClassifier(teacher, student(max_epochs=1), random_state=0)
        routed.set_fit_request(sample_weight=True, groups=True)
        routed.fit(X, y, sample_weight=weight, groups=y)
        assert Witness.fitted_on[-1][1] is None


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"student": lda()}, TypeError, "TinyMyoClassifier of any size"),
        ({"student": TinyMyoRegressor()}, TypeError, "TinyMyoClassifier of any size"),
        ({"teacher": LinearSVC()}, TypeError, "CalibratedClassifierCV"),
        ({"alpha": 1.5}, ValueError, "alpha must be"),
        ({"temperature": 0}, ValueError, "temperature must be"),
        ({"views": 1}, ValueError, "views=1 asks for changed windows"),
        ({"augment": "turn"}, ValueError, "augment='turn'"),
        ({"unlabeled": np.zeros((3, 2, 50))}, ValueError, "unlabeled has the shape"),
        (
            {"teacher": LogisticRegression(), "feature_weight": 1.0, "flat": True},
            ValueError,
            "has no transform",
        ),
    ],
)
def test_refused(gestures, options, error, message):
    X, y = gestures
    X = X.reshape(len(X), -1) if options.pop("flat", False) else X
    given = {"teacher": Witness(), "student": student(max_epochs=1), **options}
    model = DistilledClassifier(**given)
    with pytest.raises(error, match=message):
        model.fit(X, y)
    assert not hasattr(model, "student_")


def test_a_class_the_teacher_never_saw(gestures):
    X, y = gestures
    teacher = lda().fit(X[y < 2], y[y < 2])
    with pytest.raises(ValueError, match=r"also holds \[2\]"):
        DistilledClassifier(teacher, student()).fit(X, y)
    # One that knows more is fine: the others' share is left out.
    knows_more = lda().fit(X, y)
    rows = y < 2
    model = DistilledClassifier(knows_more, student(), random_state=0)
    assert model.fit(X[rows], y[rows]).predict_proba(X).shape == (90, 2)


class Offset(RegressorMixin, BaseEstimator):
    """Predicts the strength, and 3 more."""

    def fit(self, X, y):
        self.shape_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        strength = X.std(axis=(1, 2)) + 3
        return np.broadcast_to(
            strength.reshape(-1, *[1] * len(self.shape_)), (len(X), *self.shape_)
        )


@pytest.mark.parametrize("shape", [(), (2,), (3, 2)])
def test_regressor(gestures, shape):
    X, _ = gestures
    strength = X.std(axis=(1, 2)).reshape(-1, *[1] * len(shape))
    y = np.broadcast_to(strength, (len(X), *shape))
    pupil = TinyMyoRegressor(**NANO, max_epochs=25)
    model = DistilledRegressor(Offset(), pupil, alpha=1.0, random_state=0)
    model.fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y + 3) > 0.7
    assert model.score(X, y) < 0


def test_regressor_refuses_targets_of_another_shape(gestures):
    X, _ = gestures
    teacher = Offset().fit(X, np.zeros(len(X)))
    model = DistilledRegressor(teacher, TinyMyoRegressor(**NANO, max_epochs=1))
    with pytest.raises(ValueError, match="pass a teacher of the same targets"):
        model.fit(X, np.zeros((len(X), 2)))


@pytest.mark.parametrize("tune", ["head", 1])
def test_students_from_trained_weights(gestures, tune):
    X, y = gestures
    pupil = TinyMyoClassifier("tinymyo-open-small", tune=tune, max_epochs=2)
    model = DistilledClassifier(lda(), pupil, feature_weight=0.1, random_state=0)
    assert model.fit(X, y).score(X, y) > 0.8


def test_parameters_for_a_fitted_teacher_are_refused(gestures):
    X, y = gestures
    model = DistilledClassifier(FrozenEstimator(lda().fit(X, y)), student())
    with pytest.raises(ValueError, match="'smaple_weight'(?s:.*)fitted already"):
        model.fit(X, y, smaple_weight=np.ones(len(X)))


def test_a_pipeline_and_the_student_both_take_weights(gestures):
    X, y = gestures
    seen = {}

    class Heavy(LogisticRegression):
        def fit(self, X, y, sample_weight=None):
            seen["teacher"] = sample_weight
            return super().fit(X, y, sample_weight)

    teacher = make_pipeline(TimeDomainFeatures(), Heavy(max_iter=1000))
    # The first gesture has no weight on either side.
    weight = (y != y[0]).astype(float)
    model = DistilledClassifier(teacher, student(), alpha=0.0, random_state=0)
    model.fit(X, y, sample_weight=weight, heavy__sample_weight=weight)
    np.testing.assert_array_equal(seen["teacher"], weight)
    assert not np.any(model.predict(X) == y[0])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (lambda p: np.full_like(p, np.nan), "NaN or infinity .* first for window 0"),
        (lambda p: p[1:], r"gave the shape \(\d+, 3\), where"),
    ],
)
def test_answers_that_cannot_be_learned_are_refused(gestures, answer, message):
    X, y = gestures

    class Broken(LinearDiscriminantAnalysis):
        def predict_proba(self, X):
            return answer(super().predict_proba(X))

    teacher = make_pipeline(TimeDomainFeatures(), Broken())
    with pytest.raises(ValueError, match=message):
        DistilledClassifier(teacher, student()).fit(X, y)


def test_a_teacher_sees_the_names_of_columns(gestures):
    X, y = gestures
    n_channels = X.shape[1]
    table = pd.DataFrame(X.reshape(len(X), -1)).add_prefix("t")
    columns = ColumnTransformer([("some", StandardScaler(), ["t1", "t3"])])
    teacher = make_pipeline(columns, LinearDiscriminantAnalysis())
    pupil = student(n_channels=n_channels, max_epochs=1)
    model = DistilledClassifier(teacher, pupil, unlabeled=table[:9], feature_weight=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.fit(table, y).predict(table).shape == y.shape


def test_nothing_frozen_inside_a_teacher_stays_in_the_pickle(gestures):
    X, y = gestures
    frozen = FrozenEstimator(
        make_pipeline(TimeDomainFeatures(), KNeighborsClassifier()).fit(X, y)
    )
    inner = DistilledClassifier(
        CalibratedClassifierCV(frozen), student(max_epochs=1), unlabeled=X
    )
    chain = DistilledClassifier(inner, student(max_epochs=1)).fit(X, y)
    plain = DistilledClassifier(lda(), student(max_epochs=1)).fit(X, y)
    assert len(pickle.dumps(chain)) < len(pickle.dumps(plain)) + 10_000
    copied = pickle.loads(pickle.dumps(chain))
    assert copied.teacher.unlabeled is None
    assert isinstance(copied.teacher.teacher.estimator[-1], KNeighborsClassifier)
    np.testing.assert_array_equal(copied.predict(X), chain.predict(X))
