"""What TinyMyoRegressor promises beyond scikit-learn's own checks."""

import numpy as np
import pytest

from sktinymyo import TinyMyoRegressor


def make_windows(n_windows=60, n_times=80, seed=0):
    """Windows whose strength follows a slow force, and the force at every sample."""
    rng = np.random.default_rng(seed)
    start, end = rng.uniform(0.2, 2, size=(2, n_windows, 1))
    force = start + (end - start) * np.linspace(0, 1, n_times)
    X = rng.normal(size=(n_windows, 3, n_times)) * force[:, None]
    return X, force


def make_model(**parameters):
    defaults = {
        "weights": "random",
        "size": "nano",
        "max_epochs": 30,
        "lr": 2e-3,
        "random_state": 0,
    }
    return TinyMyoRegressor(**{**defaults, **parameters})


@pytest.mark.parametrize("tune", ["all", "head", 1])
@pytest.mark.parametrize("form", ["one", "several", "sequence"])
def test_every_form_of_target_is_learned(tune, form):
    X, force = make_windows(120)
    y = {
        "one": force.mean(1) * 1000,
        "several": np.stack([force.mean(1), 50 - force.mean(1)], axis=1),
        "sequence": np.stack([force, -force], axis=2)[:, ::4],
    }[form]
    model = make_model(tune=tune).fit(X[:80], y[:80])
    assert model.predict(X[80:]).shape == y[80:].shape
    assert model.target_shape_ == y.shape[1:]
    assert model.score(X[80:], y[80:]) > (0.3 if tune == "head" else 0.6)


def test_predictions_follow_the_unit_of_the_target():
    X, force = make_windows()
    y = force.mean(1)
    newton = make_model(max_epochs=5).fit(X, y)
    scaled = make_model(max_epochs=5).fit(X, 1e4 * y - 3e5)
    np.testing.assert_allclose(
        scaled.predict(X), 1e4 * newton.predict(X) - 3e5, rtol=1e-4
    )


def test_a_constant_output_is_predicted():
    X, force = make_windows(20)
    y = np.stack([force.mean(1), np.full(20, 7.0)], axis=1)
    predicted = make_model(max_epochs=60).fit(X, y).predict(X)
    np.testing.assert_allclose(predicted[:, 1], 7, atol=0.3)


def test_score_counts_every_time_of_a_sequence():
    from sklearn.metrics import r2_score

    X, force = make_windows()
    y = force[..., None]
    model = make_model(max_epochs=3).fit(X, y)
    weight = np.arange(1.0, 61)
    expected = r2_score(
        y.ravel(), model.predict(X).ravel(), sample_weight=np.repeat(weight, 80)
    )
    assert model.score(X, y, sample_weight=weight) == pytest.approx(expected)


def test_partial_fit_keeps_the_scaling_of_the_targets():
    X, force = make_windows()
    model = make_model(max_epochs=2).partial_fit(X, force.mean(1))
    mean = model.target_mean_.copy()
    model.partial_fit(X, 5 * force.mean(1))
    np.testing.assert_array_equal(model.target_mean_, mean)
    assert len(model.history_) == 4
    with pytest.raises(ValueError, match="continues a model of targets"):
        model.partial_fit(X, force)


def test_a_head_on_kept_tokens_predicts_as_the_module_does(tmp_path):
    X, force = make_windows()
    plain = make_model(tune="head", max_epochs=3).fit(X, force[..., None])
    cached = make_model(tune="head", max_epochs=3, memory=tmp_path)
    cached.fit(X, force[..., None])
    np.testing.assert_allclose(
        cached.predict(X), plain.predict(X), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (np.full(60, np.nan), "y contains NaN"),
        (np.zeros((60, 2, 2, 2)), "y must have the shape"),
        (np.zeros((60, 0)), "y must have the shape"),
        (np.zeros(59), "inconsistent numbers of samples"),
        (None, "requires y"),
    ],
)
def test_impossible_targets_are_named(y, message):
    X, _ = make_windows()
    with pytest.raises(ValueError, match=message):
        make_model().fit(X, y)


def test_shifting_in_time_is_refused_for_targets_in_time():
    X, force = make_windows()
    with pytest.raises(ValueError, match="augment='armband' shifts windows in time"):
        make_model(augment="armband").fit(X, force[..., None])
    make_model(augment="armband", max_epochs=1).fit(X, force.mean(1))
