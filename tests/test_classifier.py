"""What TinyMyoClassifier promises beyond scikit-learn's own checks."""

import copy
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from sktinymyo import TinyMyoClassifier
from sktinymyo.exceptions import WeightsNotFoundError, WindowsError


def make_windows(n_repetitions=8, n_channels=4, n_times=60, seed=0):
    """Windows of three gestures, each with another channel active."""
    rng = np.random.default_rng(seed)
    y = np.repeat(["fist", "open", "rest"], n_repetitions)
    X = rng.normal(size=(len(y), n_channels, n_times))
    X[y == "fist", 0] *= 4
    X[y == "open", 1] *= 4
    return X, y


def make_model(**parameters):
    defaults = {
        "weights": "random",
        "size": "nano",
        "max_epochs": 15,
        "lr": 2e-3,
        "random_state": 0,
    }
    return TinyMyoClassifier(**{**defaults, **parameters})


@pytest.mark.parametrize("tune", ["all", "head", 1])
def test_it_learns_and_agrees_with_itself(tune):
    X, y = make_windows(32)
    model = make_model(tune=tune, max_epochs=20).fit(X, y)
    X_new, y_new = make_windows(32, seed=1)
    assert model.score(X_new, y_new) > 0.8
    probability = model.predict_proba(X_new)
    logits = model.decision_function(X_new)
    np.testing.assert_allclose(probability.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(
        model.classes_[logits.argmax(1)], model.predict(X_new)
    )
    np.testing.assert_array_equal(probability.argmax(1), logits.argmax(1))
    np.testing.assert_allclose(
        model.predict_log_proba(X_new), np.log(probability), rtol=1e-4, atol=1e-4
    )


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("tune", ["head", "all"])
def test_logistic_start_is_that_of_scikit_learn(tune, n_classes):
    X, y = make_windows(20)
    kept = np.isin(y, np.unique(y)[:n_classes])
    X, y = X[kept], y[kept]
    weight = np.where(np.arange(len(y)) % 3 == 0, 2.0, 1.0)
    model = make_model(
        tune=tune, head_start="logistic", max_epochs=1, lr=1e-12, dropout=0.0
    )
    model.fit(X, y, sample_weight=weight)
    embeddings = model.transform(X)
    scaler = StandardScaler().fit(embeddings, sample_weight=weight)
    reference = LogisticRegression(C=3 / weight.sum(), max_iter=500)
    reference.fit(scaler.transform(embeddings), y, sample_weight=weight)
    np.testing.assert_allclose(
        model.predict_proba(X),
        reference.predict_proba(scaler.transform(embeddings)),
        atol=2e-3,
    )


def test_random_weights_start_with_a_random_head():
    X, y = make_windows()
    auto = make_model().fit(X, y).predict_proba(X)
    drawn = make_model(head_start="random").fit(X, y).predict_proba(X)
    solved = make_model(head_start="logistic").fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(auto, drawn)
    assert not np.allclose(auto, solved, atol=1e-3)


def test_logistic_start_bears_classes_that_come_later():
    X, y = make_windows()
    for known in (y == "fist", y != "rest"):
        model = make_model(head_start="logistic")
        model.partial_fit(X[known], y[known], classes=np.unique(y))
        before = model.predict_proba(X)
        assert np.isin(model.predict(X[known]), y[known]).all()
        model.partial_fit(X, y)
        assert model.score(X, y) > 0.8
        assert not np.allclose(before, model.predict_proba(X))


def test_class_weights_leave_the_scaling_alone():
    X, y = make_windows()
    plain = make_model(max_epochs=1).fit(X, y)
    weighted = make_model(max_epochs=1, class_weight={"rest": 5}).fit(X, y)
    np.testing.assert_array_equal(weighted.scale_std_, plain.scale_std_)
    doubled = make_model(max_epochs=1).fit(X, y, sample_weight=1.0 + (y == "rest"))
    assert not np.allclose(doubled.scale_std_, plain.scale_std_)


def test_two_classes_have_one_decision_value():
    X, y = make_windows()
    two = y != "rest"
    model = make_model().fit(X[two], y[two])
    decision = model.decision_function(X[two])
    assert decision.shape == (two.sum(),)
    predicted = model.predict(X[two])
    np.testing.assert_array_equal(decision > 0, predicted == model.classes_[1])


@pytest.mark.parametrize(("tune", "n_frozen"), [("head", 2), (1, 1)])
def test_only_the_blocks_asked_for_change(tune, n_frozen):
    X, y = make_windows()
    tuned = make_model(tune=tune, max_epochs=2).fit(X, y).module_
    start = make_model(tune="head", max_epochs=1, lr=1e-12).fit(X, y).module_
    for index, (block, first) in enumerate(
        zip(tuned.blocks, start.blocks, strict=True)
    ):
        same = torch.equal(block.mlp.fc1.weight, first.mlp.fc1.weight)
        assert same == (index < n_frozen)


def test_a_head_on_kept_embeddings_predicts_as_the_module_does(tmp_path):
    X, y = make_windows()
    plain = make_model(tune="head").fit(X, y)
    cached = make_model(tune="head", memory=tmp_path).fit(X, y)
    np.testing.assert_allclose(
        cached.predict_proba(X), plain.predict_proba(X), rtol=1e-4, atol=1e-6
    )


def test_transform_gives_what_the_head_sees():
    X, y = make_windows()
    model = make_model().fit(X, y)
    embeddings = model.transform(X)
    assert embeddings.shape == (len(X), 4 * 48)
    assert len(model.get_feature_names_out()) == 4 * 48
    head = model.module_.model_head.classifier
    with torch.no_grad():
        logits = head(torch.from_numpy(embeddings)).numpy()
    np.testing.assert_allclose(logits, model.decision_function(X), rtol=1e-3, atol=1e-4)


def test_partial_fit_starts_as_fit_does_and_then_adapts():
    X, y = make_windows()
    first = make_model().partial_fit(X, y, classes=np.unique(y))
    np.testing.assert_allclose(
        first.predict_proba(X), make_model().fit(X, y).predict_proba(X)
    )

    # A new person wears the armband turned by one electrode.
    X_new, y_new = make_windows(seed=5)
    turned = np.roll(X_new, 1, axis=1)
    before = first.score(turned, y_new)
    scale = first.scale_mean_.copy()
    first.partial_fit(turned[::2], y_new[::2])
    np.testing.assert_array_equal(first.scale_mean_, scale)
    assert first.score(turned[1::2], y_new[1::2]) > before
    assert [row["epoch"] for row in first.history_] == list(range(1, 31))


def test_partial_fit_names_what_is_wrong_with_the_classes():
    X, y = make_windows()
    with pytest.raises(ValueError, match="classes must be passed in the first call"):
        make_model().partial_fit(X, y)
    with pytest.raises(ValueError, match=r"not among the classes: \['rest'\]"):
        make_model().partial_fit(X, y, classes=["fist", "open"])
    model = make_model(max_epochs=1).partial_fit(X, y, classes=np.unique(y))
    with pytest.raises(ValueError, match="differs from the classes of the first call"):
        model.partial_fit(X, y, classes=["fist", "open"])
    fist = y == "fist"
    model.partial_fit(X[fist], y[fist])
    assert len(model.classes_) == 3


def test_warm_start_continues_and_a_plain_fit_does_not():
    X, y = make_windows()
    model = make_model(warm_start=True, max_epochs=3).fit(X, y)
    model.fit(X, y)
    assert len(model.history_) == 6
    assert model.history_[3]["train_loss"] < model.history_[0]["train_loss"]
    with pytest.raises(ValueError, match="warm_start"):
        model.fit(X[y != "rest"], y[y != "rest"])
    model.set_params(warm_start=False).fit(X, y)
    assert len(model.history_) == 3


def test_validation_keeps_groups_together(monkeypatch):
    from sktinymyo import _training

    X, y = make_windows(12)
    groups = np.tile(np.arange(6), 6)
    seen = {}

    def record(module, data, plan, set_mode=None):
        seen["training"], seen["validation"] = data.training, data.validation
        return []

    monkeypatch.setattr(_training, "train", record)
    make_model(validation_fraction=0.3).fit(X, y, groups=groups)
    assert not set(groups[seen["training"]]) & set(groups[seen["validation"]])
    assert len(seen["training"]) + len(seen["validation"]) == len(X)
    make_model(validation_fraction=0.25).fit(X, y)
    assert set(y[seen["validation"]]) == set(y)
    make_model().fit(X, y)
    assert seen["validation"] is None
    assert len(seen["training"]) == len(X)


@pytest.mark.parametrize(("n_windows", "most"), [(20, 100), (3000, 10), (200_000, 5)])
def test_the_automatic_recipe_fits_the_number_of_windows(monkeypatch, n_windows, most):
    from sktinymyo import _training

    plans = []

    def record(module, data, plan, set_mode=None):
        plans.append(plan)
        return []

    monkeypatch.setattr(_training, "train", record)
    X = np.zeros((n_windows, 1, 2), np.float32)
    y = np.arange(n_windows) % 2
    make_model(max_epochs="auto").fit(X, y)
    (plan,) = plans
    assert plan.max_epochs == most
    n_steps = plan.max_epochs * -(-n_windows // plan.batch_size)
    assert n_steps >= 300
    assert plan.layer_decay == 1.0


def test_shapes_are_those_of_fit():
    X, y = make_windows()
    model = make_model(max_epochs=1).fit(X, y)
    with pytest.raises(WindowsError, match="3 channels x 60 samples.*4 channels x 60"):
        model.predict(X[:, :3])
    with pytest.raises(WindowsError, match="fitted on 3-dimensional"):
        model.predict(X.reshape(len(X), -1))
    flat = make_model(max_epochs=1, n_channels=4).fit(X.reshape(len(X), -1), y)
    np.testing.assert_array_equal(
        flat.predict_proba(X.reshape(len(X), -1)), model.predict_proba(X)
    )
    with pytest.raises(WindowsError, match="n_channels=7 does not divide"):
        make_model(n_channels=7).fit(X.reshape(len(X), -1), y)


def copies_of(model):
    """Copies through pickle, which stores less than the model holds."""
    return pickle.loads(pickle.dumps(model)), copy.deepcopy(model)


@pytest.mark.parametrize("route", ["partial_fit", "warm_start"])
def test_an_encoder_tuned_after_its_head_is_stored(checkpoint, route):
    X, y = make_windows()
    model = make_model(weights=checkpoint, tune="head", max_epochs=1).fit(X, y)
    model.set_params(tune="all", warm_start=True)
    model.partial_fit(X, y) if route == "partial_fit" else model.fit(X, y)
    for other in copies_of(model):
        np.testing.assert_array_equal(other.predict_proba(X), model.predict_proba(X))


@pytest.fixture
def checkpoint(tmp_path):
    from sktinymyo.nn import TinyMyo, config_of_size
    from sktinymyo.weights import WeightsCard, save_weights

    module = TinyMyo(config_of_size("nano"), generator=torch.Generator().manual_seed(3))
    path = tmp_path / "encoder.safetensors"
    save_weights(path, module, card=WeightsCard(name="nano"))
    return path


def test_a_frozen_encoder_that_moved_is_found_again(checkpoint):
    X, y = make_windows()
    model = make_model(weights=checkpoint, tune="head", max_epochs=1).fit(X, y)
    expected, stored = model.predict_proba(X), pickle.dumps(model)
    moved = checkpoint.rename(checkpoint.with_name("moved.safetensors"))
    with pytest.raises(WeightsNotFoundError, match=r"set_params\(weights="):
        pickle.loads(stored).predict(X)
    model = pickle.loads(stored).set_params(weights=moved)
    np.testing.assert_array_equal(model.predict_proba(X), expected)


def test_a_frozen_encoder_named_from_here_is_missed_elsewhere(checkpoint, monkeypatch):
    """The place of the fit is named, whatever the name means in another folder."""
    X, y = make_windows()
    monkeypatch.chdir(checkpoint.parent)
    model = make_model(weights=checkpoint.name, tune="head", max_epochs=1).fit(X, y)
    stored = pickle.dumps(model)
    checkpoint.unlink()
    with pytest.raises(WeightsNotFoundError) as caught:
        pickle.loads(stored).predict(X)
    assert "set_params(weights=" in str(caught.value)
    assert str(checkpoint) in str(caught.value)


def test_scaling_is_that_of_fit_whatever_the_parameter_says_later():
    X, y = make_windows()
    model = make_model(max_epochs=1).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(scale="window")
    for other in (model, *copies_of(model)):
        np.testing.assert_array_equal(other.predict_proba(X), expected)


def test_weights_count_even_if_every_batch_holds_one_window():
    X, y = make_windows()
    plain = make_model(max_epochs=2, batch_size=1).fit(X, y)
    weight = np.where(y == "rest", 1000.0, 1.0)
    weighted = make_model(max_epochs=2, batch_size=1).fit(X, y, sample_weight=weight)
    column = list(plain.classes_).index("rest")
    difference = weighted.predict_proba(X) - plain.predict_proba(X)
    assert difference[:, column].mean() > 0.05


@pytest.mark.parametrize("tune", ["all", "head"])
def test_a_failed_update_leaves_the_model_as_it_was(tune):
    X, y = make_windows()
    model = make_model(tune=tune, max_epochs=2).fit(X, y)
    expected = model.predict_proba(X)
    model.set_params(lr=1e30)
    with pytest.raises(ValueError, match="training diverged"):
        model.partial_fit(X, y)
    for other in (model, *copies_of(model)):
        np.testing.assert_array_equal(other.predict_proba(X), expected)


@pytest.mark.parametrize("tune", ["all", "head"])
def test_a_failed_first_fit_leaves_an_estimator_not_fitted(tune, monkeypatch):
    from sktinymyo._torch import ModuleRunner

    X, y = make_windows()
    with pytest.raises(WeightsNotFoundError):
        failed = make_model(weights="missing.safetensors")
        failed.fit(X, y)
    with pytest.raises(NotFittedError):
        failed.predict(X)
    failed.set_params(weights="random", max_epochs=1)
    failed.partial_fit(X, y, classes=np.unique(y)).predict(X)

    def interrupt(self, X, **arguments):
        raise KeyboardInterrupt

    model = make_model(tune=tune, lr=1e30)
    if tune == "head":
        monkeypatch.setattr(ModuleRunner, "run", interrupt)
    with pytest.raises((KeyboardInterrupt, ValueError)):
        model.fit(X, y)
    with pytest.raises(NotFittedError):
        model.predict(X)


def test_divergence_in_the_last_step_is_seen():
    X, y = make_windows()
    model = make_model(lr=1e30, max_epochs=1, warmup=0.0, batch_size=24)
    with pytest.raises(ValueError, match="training diverged"):
        model.fit(X, y)


def test_values_beyond_float32_are_refused():
    X, y = make_windows()
    model = make_model(max_epochs=1).fit(X, y)
    with pytest.raises(WindowsError, match="too large for float32"):
        model.predict(X * 1e60)


def test_it_works_inside_inference_mode():
    X, y = make_windows()
    with torch.inference_mode():
        model = make_model(max_epochs=1).fit(X, y)
        loaded = pickle.loads(pickle.dumps(model))
        loaded.predict(X)
    loaded.partial_fit(X, y)


def test_broken_windows_and_labels_are_named():
    X, y = make_windows()
    model = make_model(max_epochs=1).fit(X, y)
    with pytest.raises(WindowsError, match=r"for a single window X\[np.newaxis\]"):
        model.predict(X[0])
    broken = X.copy()
    broken[3, 2, 10], broken[7, :2, 0] = np.nan, np.inf
    message = (
        r"NaN or infinity in 2 of 24 windows, first in window 3, channel\(s\) \[2\]"
    )
    with pytest.raises(WindowsError, match=message):
        model.predict(broken)
    with pytest.raises(ValueError, match="Input y contains NaN"):
        model.fit(X, np.where(y == "rest", np.nan, 1.0))
    with pytest.warns(UserWarning, match=r"one class only, \['fist'\]"):
        make_model(max_epochs=1).fit(X[:8], y[:8])


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"tune": "body"}, "tune='body'"),
        ({"tune": 0}, "tune must be"),
        ({"tune": 9}, "more blocks than the encoder has"),
        ({"tune": True}, "tune=True"),
        ({"size": "huge"}, "size='huge'.*'tinymyo'"),
        ({"scale": "minmax"}, "scale='minmax'"),
        ({"max_epochs": 0}, "max_epochs must be"),
        ({"lr": 0}, "lr must be"),
        ({"lr": float("nan")}, "lr must be"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"layer_decay": 1.5}, "layer_decay must be"),
        ({"label_smoothing": 1}, "label_smoothing must be"),
        ({"dropout": 1}, "dropout must be"),
        ({"validation_fraction": 0}, "validation_fraction must be"),
        ({"augment": "mixup"}, "augment='mixup'"),
        ({"precision": "half"}, "precision='half'"),
        ({"device": "gpu"}, "device='gpu'"),
        ({"n_channels": 3}, "4 channels.*n_channels=3"),
        (
            {"class_weight": dict.fromkeys(["fist", "open", "rest"], 0)},
            "zero for every",
        ),
    ],
)
def test_impossible_parameters_are_named(parameters, message):
    X, y = make_windows()
    with pytest.raises(ValueError, match=message):
        make_model(**parameters).fit(X, y)


def test_the_default_weights_are_the_open_ones():
    X, y = make_windows()
    model = TinyMyoClassifier(tune="head", max_epochs=1).fit(X, y)
    assert model.weights_card_.name == "tinymyo-open"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros((24, 2)), r"groups must hold one entry.*\(24, 2\)"),
        ([None] * 24, "groups is None for 24 of 24 windows"),
        (np.zeros(3), "inconsistent numbers of samples"),
    ],
)
def test_groups_that_name_nothing_are_refused(groups, message):
    X, y = make_windows()
    with pytest.raises(ValueError, match=message):
        make_model().fit(X, y, groups=groups)


def test_missing_labels_are_refused():
    X, y = make_windows()
    y = y.astype(object)
    y[3] = pd.NA
    with pytest.raises(ValueError, match=r"y is <NA> for 1 of 24.*window 3"):
        make_model().fit(X, y)
    with pytest.raises(ValueError, match="classes contains NaN"):
        make_model().partial_fit(X, np.arange(24) % 3, classes=[0.0, 1.0, np.nan])


def test_fitted_estimators_tell_their_weights_in_one_line():
    X, y = make_windows()
    model = make_model()
    assert "#" not in repr(model)
    text = repr(model.fit(X, y))
    assert text.endswith(f"# {model.weights_card_!r}")
    assert "\n" not in text
    assert "random (nano)" in text
