"""ArmbandAlignedClassifier: turned armbands, routing, and what it refuses."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import LinearSVC

from sktinymyo import ArmbandAlignedClassifier, TimeDomainFeatures


def lda():
    return make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())


def logistic():
    return make_pipeline(
        TimeDomainFeatures(), LogisticRegression(C=1e-3, max_iter=1000)
    )


class Witness(ClassifierMixin, BaseEstimator):
    """LDA that remembers what it was given; its classes are in falling order."""

    def __init__(self, tolerance=1e-4):
        self.tolerance = tolerance

    def fit(self, X, y, groups=None):
        self.seen_ = {"X": X, "groups": groups}
        self.lda_ = make_pipeline(
            TimeDomainFeatures(), LinearDiscriminantAnalysis(tol=self.tolerance)
        ).fit(X, y)
        self.classes_ = self.lda_.classes_[::-1]
        return self

    def predict(self, X):
        return self.lda_.predict(X)

    def predict_proba(self, X):
        return self.lda_.predict_proba(X)[:, ::-1]


@pytest.fixture(scope="module")
def turned():
    """Windows of six persons, each with the armband turned by another amount."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((6 * 80, 8, 40)) * 0.3
    y, person = np.arange(len(X)) % 4, np.repeat(np.arange(6), 80)
    turns = np.array([0, 3, 6, 1, 4, 7])
    for i, (label, who) in enumerate(zip(y, person, strict=True)):
        X[i, ([0, 1, 3, 6][label] + turns[who]) % 8] *= 5
    return X, y, person, turns


def test_turns_are_found_without_labels_and_windows_are_left_alone(turned):
    X, y, person, turns = turned
    before = X.copy()
    train = person < 4
    plain = lda().fit(X[train], y[train]).score(X[~train], y[~train])
    model = ArmbandAlignedClassifier(lda()).fit(X[train], y[train], person[train])
    assert model.score(X[~train], y[~train], groups=person[~train]) > plain + 0.2
    found = model.turns_ | model.find_turns(X[~train], person[~train])
    offsets = {(found[who] + turns[who]) % 8 for who in range(6)}
    assert len(offsets) == 1
    np.testing.assert_array_equal(X, before)


def test_a_cross_validation_without_routing_is_told_how_to_route(turned):
    X, y, person, _ = turned
    options = {"groups": person, "cv": GroupKFold(3), "error_score": "raise"}
    with pytest.warns(UserWarning, match="training people are not aligned") as caught:
        cross_val_score(ArmbandAlignedClassifier(lda()), X, y, **options)
    text = str(caught[0].message)
    for remedy in (
        "enable_metadata_routing=True",
        "set_fit_request(groups=True).set_score_request(groups=True)",
        "params={'groups': ...}",
        "align_training=False",
    ):
        assert remedy in text
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        one = ArmbandAlignedClassifier(lda(), align_training=False).fit(X, y)
        assert one.turns_ == {0: 0}
        # Nothing can be turned where there is one channel.
        ArmbandAlignedClassifier(lda()).fit(X[:, :1], y)


def test_groups_are_routed_in_cross_validation(turned):
    X, y, person, _ = turned
    with sklearn.config_context(enable_metadata_routing=True):
        model = ArmbandAlignedClassifier(lda(), turn_cost=0)
        model.set_fit_request(groups=True).set_score_request(groups=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            scores = cross_validate(
                model, X, y, cv=GroupKFold(3), params={"groups": person}
            )["test_score"]
    assert scores.min() > 0.9


def test_groups_reach_an_estimator_inside_and_through_one_outside(turned):
    X, y, person, _ = turned
    with sklearn.config_context(enable_metadata_routing=True):
        with pytest.raises(UnsetMetadataPassedError, match="groups"):
            ArmbandAlignedClassifier(Witness()).fit(X, y, groups=person)
        model = ArmbandAlignedClassifier(
            Witness().set_fit_request(groups=True), turn_cost=0
        )
        model.set_fit_request(groups=True).set_score_request(groups=True)
        chain = make_pipeline(FunctionTransformer(), model)
        options = {"cv": GroupKFold(3), "params": {"groups": person}}
        result = cross_validate(
            chain, X, y, **options, return_estimator=True, return_indices=True
        )
        np.testing.assert_array_equal(
            cross_val_score(chain, X, y, **options), result["test_score"]
        )
    assert result["test_score"].min() > 0.9
    for fitted, train in zip(
        result["estimator"], result["indices"]["train"], strict=True
    ):
        assert set(fitted[-1].turns_) == set(person[train])
        seen = fitted[-1].estimator_.seen_["groups"]
        np.testing.assert_array_equal(seen, person[train])


def test_sample_weight_is_routed_or_refused(turned):
    X, y, person, _ = turned
    weight = np.where(person == 1, 0.0, 1.0 + y)
    plain = ArmbandAlignedClassifier(logistic())
    with pytest.raises(ValueError, match="step>__sample_weight"):
        plain.fit(X, y, person, sample_weight=weight)
    with pytest.raises(ValueError, match="zero"):
        plain.fit(X, y, person, sample_weight=0 * weight)
    steps = {"logisticregression__sample_weight": weight}
    by_step = plain.set_params(align_training=False).fit(X, y, person, **steps)
    kept = weight > 0
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(
            TimeDomainFeatures(),
            LogisticRegression(C=1e-3, max_iter=1000).set_fit_request(
                sample_weight=True
            ),
        )
        unaligned = ArmbandAlignedClassifier(pipeline, align_training=False)
        routed = unaligned.fit(X, y, groups=person, sample_weight=weight)
        np.testing.assert_array_equal(
            routed.estimator_[-1].coef_, by_step.estimator_[-1].coef_
        )
        # Somebody without weight is as good as absent, in the alignment too.
        aligned = ArmbandAlignedClassifier(pipeline)
        all_given = clone(aligned).fit(X, y, groups=person, sample_weight=weight)
        absent = clone(aligned).fit(
            X[kept], y[kept], groups=person[kept], sample_weight=weight[kept]
        )
    assert all_given.turns_ == absent.turns_ | {1: 0}
    np.testing.assert_allclose(all_given._map, absent._map)


def test_order_and_repetition_have_no_influence(turned):
    X, y, person, _ = turned
    train = person < 4
    model = ArmbandAlignedClassifier(lda()).fit(X[train], y[train], person[train])
    X, person = X[~train], person[~train]
    expected = model.predict_proba(X, person)
    order = np.random.default_rng(1).permutation(len(X))
    shuffled = model.predict_proba(X[order], person[order])
    np.testing.assert_allclose(shuffled, expected[order], atol=1e-9)
    twice = model.predict_proba(np.concatenate([X, X]), np.tile(person, 2))
    np.testing.assert_allclose(twice, np.concatenate([expected] * 2), atol=1e-9)


def test_the_estimator_is_cloned_and_gets_the_windows_in_their_type(turned):
    X, y, person, _ = turned
    inner = Witness()
    model = ArmbandAlignedClassifier(inner).set_params(estimator__tolerance=1e-3)
    model.fit(X.astype(np.float32), y, person)
    assert model.estimator_.tolerance == 1e-3
    assert model.estimator_.seen_["X"].dtype == np.float32
    assert set(vars(inner)) == {"tolerance"}
    # Columns are those of the classifier inside, in whatever order.
    assert model.classes_.tolist() == [3, 2, 1, 0]
    rising = ArmbandAlignedClassifier(lda()).fit(X.astype(np.float32), y, person)
    np.testing.assert_allclose(
        model.predict_proba(X, person), rising.predict_proba(X, person)[:, ::-1]
    )


def test_without_groups_all_windows_are_one_wearing(turned):
    X, y, person, _ = turned
    one = person == 0
    options = {"align_training": False}
    model = ArmbandAlignedClassifier(lda(), **options).fit(X[one], y[one])
    assert model.score(np.roll(X[one], 2, axis=1), y[one]) == 1.0
    flat = ArmbandAlignedClassifier(
        make_pipeline(TimeDomainFeatures(n_channels=8), LinearDiscriminantAnalysis()),
        n_channels=8,
        **options,
    ).fit(X[one].reshape(80, -1), y[one])
    np.testing.assert_array_equal(
        flat.predict(X[one].reshape(80, -1)), model.predict(X[one])
    )
    told_once = ArmbandAlignedClassifier(lda(), n_channels=8, **options)
    told_once.fit(X[one].reshape(80, -1), y[one])
    np.testing.assert_array_equal(
        told_once.predict(X[one].reshape(80, -1)), model.predict(X[one])
    )


def test_a_text_is_no_truth_value(turned):
    X, y, person, _ = turned
    model = ArmbandAlignedClassifier(lda(), align_training="no")
    with pytest.raises(TypeError, match="align_training must be True or False.*'no'"):
        model.fit(X, y, person)


def test_a_classifier_without_probabilities_is_refused(turned):
    X, y, _, _ = turned
    with pytest.raises(TypeError, match="predict_proba"):
        ArmbandAlignedClassifier(LinearSVC()).fit(X, y)


@pytest.mark.parametrize(
    ("what", "value", "message"),
    [
        ("y", [np.nan] + 11 * [1.0], "y contains NaN"),
        ("y", np.array([None, *"abcabcabcab"], dtype=object), "y is None for 1 of 12"),
        ("y", np.linspace(0, 1, 12), "continuous"),
        ("y", np.eye(12, dtype=int), "1d array"),
        ("groups", [np.nan] + 11 * [1.0], "groups contains NaN"),
        ("groups", np.array([*"abcabcabcab", None], dtype=object), "groups is None"),
        ("groups", np.zeros((12, 2)), "join them to one"),
        ("groups", np.zeros(11), "inconsistent numbers"),
        ("sample_weight", -np.ones(12), "[Nn]egative"),
    ],
)
def test_labels_groups_and_weights_that_are_refused(what, value, message):
    X = np.random.default_rng(0).standard_normal((12, 4, 20))
    arguments = {"y": np.arange(12) % 3, what: value}
    with pytest.raises(ValueError, match=message):
        ArmbandAlignedClassifier(logistic()).fit(X, **arguments)
    model = ArmbandAlignedClassifier(lda(), align_training=False)
    model.fit(X, np.arange(12) % 3)
    if what == "groups":
        with pytest.raises(ValueError, match=message):
            model.predict(X, groups=value)
    with pytest.raises(ValueError, match="inconsistent numbers"):
        model.score(X, np.zeros(1))  # which would spread over all windows


def test_a_single_class_is_what_is_answered(turned):
    X, _, person, _ = turned
    model = ArmbandAlignedClassifier(lda()).fit(X, np.full(len(X), "fist"), person)
    assert set(model.predict(X, person)) == {"fist"}


def test_turns_that_cost_more_than_they_bring_are_not_made(turned):
    X, y, person, _ = turned
    free = ArmbandAlignedClassifier(lda(), turn_cost=0).fit(X, y, groups=person)
    dear = ArmbandAlignedClassifier(lda(), turn_cost=9).fit(X, y, groups=person)
    assert any(free.turns_.values())
    assert any(free.find_turns(X, person).values())
    assert not any(dear.turns_.values())
    assert not any(dear.find_turns(X, person).values())
    with pytest.raises(ValueError, match="turn_cost must be"):
        ArmbandAlignedClassifier(lda(), turn_cost=-1).fit(X, y, groups=person)
