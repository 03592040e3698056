"""ArmbandAlignedClassifier: turned armbands, routing, and what it refuses."""

import numpy as np
import pytest
import sklearn
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.model_selection import GroupKFold, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sktinymyo import ArmbandAlignedClassifier, TimeDomainFeatures


def lda():
    return make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis())


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


def test_groups_are_routed_in_cross_validation(turned):
    X, y, person, _ = turned
    with sklearn.config_context(enable_metadata_routing=True):
        model = ArmbandAlignedClassifier(lda())
        model.set_fit_request(groups=True).set_score_request(groups=True)
        scores = cross_validate(
            model, X, y, cv=GroupKFold(3), params={"groups": person}
        )["test_score"]
    assert scores.min() > 0.9


def test_without_groups_all_windows_are_one_wearing(turned):
    X, y, person, _ = turned
    one = person == 0
    model = ArmbandAlignedClassifier(lda()).fit(X[one], y[one])
    assert model.score(np.roll(X[one], 2, axis=1), y[one]) == 1.0
    flat = ArmbandAlignedClassifier(
        make_pipeline(TimeDomainFeatures(n_channels=8), LinearDiscriminantAnalysis()),
        n_channels=8,
    ).fit(X[one].reshape(80, -1), y[one])
    np.testing.assert_array_equal(
        flat.predict(X[one].reshape(80, -1)), model.predict(X[one])
    )


def test_a_classifier_without_probabilities_is_refused(turned):
    X, y, _, _ = turned
    with pytest.raises(TypeError, match="predict_proba"):
        ArmbandAlignedClassifier(LinearSVC()).fit(X, y)
