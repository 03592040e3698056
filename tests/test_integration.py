"""The estimators inside the machinery of scikit-learn, joblib and dask."""

import warnings

import numpy as np
import pandas as pd
import pytest
from joblib import parallel_config
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
    learning_curve,
    permutation_test_score,
)
from sklearn.pipeline import FeatureUnion, make_pipeline, make_union
from sklearn.preprocessing import StandardScaler

from sktinymyo import (
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoRegressor,
    sliding_windows,
)
from sktinymyo._torch import ModuleRunner
from sktinymyo.exceptions import TrainingInterruptedWarning

NANO = {"weights": "random", "size": "nano", "random_state": 0}
N_WINDOWS, N_CHANNELS, N_TIMES = 60, 3, 60


def classifier(**changes):
    options = {
        **NANO,
        "max_epochs": 10,
        "lr": 5e-3,
        "batch_size": 16,
        "precision": "float32",
    }
    return TinyMyoClassifier(**{**options, **changes})


@pytest.fixture(scope="module")
def gestures():
    """Windows of three gestures by six people: each gesture has a loud channel."""
    rng = np.random.default_rng(0)
    y = np.array(["fist", "open", "rest"])[np.arange(N_WINDOWS) % 3]
    groups = np.arange(N_WINDOWS) // 10
    X = rng.standard_normal((N_WINDOWS, N_CHANNELS, N_TIMES))
    X[np.arange(N_WINDOWS), np.arange(N_WINDOWS) % 3] *= 5
    X *= rng.uniform(0.8, 1.2, size=6)[groups, None, None]
    return X.astype(np.float32), y, groups


class TestSearches:
    def test_pipeline(self, gestures):
        X, y, _ = gestures
        model = make_pipeline(EMGFilter(), classifier()).fit(X[:45], y[:45])
        assert model.score(X[45:], y[45:]) > 0.8
        np.testing.assert_array_equal(model.classes_, ["fist", "open", "rest"])

    def test_steps_that_change_the_length(self, gestures):
        X, y, _ = gestures
        steps = EMGResampler(2000, 1000), ChannelScaler(), classifier(max_epochs=1)
        model = make_pipeline(*steps).fit(X, y)
        assert model[-1].n_times_in_ == N_TIMES // 2
        with pytest.raises(ValueError, match="4 channels"):
            model.predict(np.zeros((2, 4, N_TIMES), dtype=np.float32))

    def test_groups(self, gestures):
        X, y, groups = gestures
        model = make_pipeline(EMGFilter(), classifier())
        scores = cross_val_score(model, X, y, groups=groups, cv=GroupKFold(3))
        assert scores.shape == (3,)
        assert scores.mean() > 0.8
        # The folds are fits of their own: the same numbers come out by hand.
        train, test = next(GroupKFold(3).split(X, y, groups))
        by_hand = clone(model).fit(X[train], y[train]).score(X[test], y[test])
        assert scores[0] == by_hand

    def test_grid_search_in_processes(self, gestures):
        X, y, groups = gestures
        grid = {
            "emgfilter__h_freq": [300.0, 450.0],
            "tinymyoclassifier__lr": [1e-6, 5e-3],
        }
        model = make_pipeline(EMGFilter(), classifier(max_epochs=5))
        options = {"cv": GroupKFold(2), "scoring": "neg_log_loss"}
        search = GridSearchCV(model, grid, n_jobs=2, **options)
        with parallel_config(backend="loky"):
            search.fit(X, y, groups=groups)
        assert search.best_params_["tinymyoclassifier__lr"] == 5e-3
        here = GridSearchCV(model, grid, **options).fit(X, y, groups=groups)
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            here.cv_results_["mean_test_score"],
            rtol=1e-3,
        )
        assert search.predict(X).dtype.kind == "U"

    def test_voting_and_stacking(self, gestures):
        X, y, _ = gestures
        table = make_pipeline(TimeDomainFeatures(), StandardScaler(), classifier_lr())
        members = [("network", classifier(max_epochs=3)), ("features", table)]
        voting = VotingClassifier(members, voting="soft").fit(X, y)
        parts = [member.predict_proba(X) for member in voting.estimators_]
        np.testing.assert_allclose(voting.predict_proba(X), np.mean(parts, axis=0))
        stacking = StackingClassifier(members, cv=2).fit(X, y)
        assert stacking.score(X, y) > 0.8

    def test_calibration(self, gestures):
        X, y, _ = gestures
        model = CalibratedClassifierCV(classifier(max_epochs=5), cv=2)
        probabilities = model.fit(X, y).predict_proba(X)
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
        assert np.mean(model.classes_[probabilities.argmax(axis=1)] == y) > 0.8

    def test_permutation_test(self, gestures):
        X, y, groups = gestures
        model = classifier(tune="head", max_epochs=10, lr=1e-2)
        score, permuted, p_value = permutation_test_score(
            model, X, y, groups=groups, cv=GroupKFold(2), n_permutations=5
        )
        assert score > permuted.max()
        assert p_value == pytest.approx(1 / 6)

    def test_cross_val_predict(self, gestures):
        X, y, _ = gestures
        folds = StratifiedKFold(3)
        for method, shape in (
            ("predict_proba", (N_WINDOWS, 3)),
            ("decision_function", (N_WINDOWS, 3)),
        ):
            values = cross_val_predict(
                classifier(max_epochs=2), X, y, cv=folds, method=method
            )
            assert values.shape == shape
            assert np.isfinite(values).all()

    def test_learning_curve(self, gestures):
        X, y, _ = gestures
        sizes, train, test = learning_curve(
            classifier(),
            X,
            y,
            cv=KFold(2, shuffle=True, random_state=0),
            train_sizes=[6, 30],
        )
        assert sizes.tolist() == [6, 30]
        assert test[1].mean() > 0.7
        assert np.isfinite(train).all()

    def test_incremental_learning_curve(self, gestures):
        X, y, _ = gestures
        _, _, test = learning_curve(
            classifier(),
            X,
            y,
            cv=KFold(2, shuffle=True, random_state=0),
            train_sizes=[15, 30],
            exploit_incremental_learning=True,
        )
        assert test[1].mean() > 0.7

    def test_dask(self, gestures):
        pytest.importorskip("dask")
        distributed = pytest.importorskip("distributed")
        X, y, groups = gestures
        model = make_pipeline(EMGFilter(), classifier(max_epochs=2))
        here = cross_val_score(
            model, X, y, groups=groups, cv=GroupKFold(2), scoring="neg_log_loss"
        )
        with (
            distributed.LocalCluster(
                n_workers=2,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
            ) as cluster,
            distributed.Client(cluster),
            parallel_config(backend="dask"),
        ):
            there = cross_val_score(
                model,
                X,
                y,
                groups=groups,
                cv=GroupKFold(2),
                scoring="neg_log_loss",
                n_jobs=2,
            )
        np.testing.assert_allclose(there, here, rtol=1e-3)


def classifier_lr():
    return LogisticRegression(max_iter=1000)


class TestColumns:
    def test_union_of_embeddings_and_features(self, gestures):
        X, y, _ = gestures
        union = make_union(TinyMyoEmbedder(**NANO), TimeDomainFeatures())
        model = make_pipeline(union, StandardScaler(), classifier_lr())
        assert cross_val_score(model, X, y, cv=3).mean() > 0.9
        values = union.fit_transform(X)
        names = union.get_feature_names_out()
        assert values.shape == (N_WINDOWS, len(names))
        assert len(set(names)) == len(names)

    @pytest.mark.parametrize("globally", [False, True])
    def test_pandas_output(self, gestures, globally):
        """Steps with 3-D output stand before one that gives the data frame."""
        X, _, _ = gestures
        model = make_pipeline(
            EMGFilter(),
            ChannelScaler(),
            FeatureUnion(
                [("tinymyo", TinyMyoEmbedder(**NANO)), ("td", TimeDomainFeatures())]
            ),
        )
        plain = clone(model).fit_transform(X)
        if globally:
            with config_context(transform_output="pandas"):
                frame = model.fit_transform(X)
                later = model.transform(X[:4])
        else:
            model.set_output(transform="pandas")
            frame = model.fit_transform(X)
            later = model.transform(X[:4])
        assert isinstance(frame, pd.DataFrame)
        assert isinstance(later, pd.DataFrame)
        assert list(frame.columns) == list(model.get_feature_names_out())
        np.testing.assert_allclose(frame, plain, rtol=1e-5, atol=1e-6)

    def test_embeddings_of_a_tuned_model(self, gestures):
        X, y, _ = gestures
        model = classifier(max_epochs=2).set_output(transform="pandas").fit(X, y)
        frame = model.transform(X)
        assert list(frame.columns) == list(model.get_feature_names_out())

    def test_windows_and_groups_from_recordings(self):
        """The way from recordings to scores that the user guide shows."""
        rng = np.random.default_rng(0)
        labels = np.tile(["rest", "fist"], 6)
        recordings = [
            rng.standard_normal((4, 400)) * (3 if label == "fist" else 1)
            for label in labels
        ]
        meta = pd.DataFrame({"subject": np.arange(12) // 4})
        X, y, meta = sliding_windows(
            recordings, 200, 0.5, 0.25, labels=labels, meta=meta
        )
        scores = cross_val_score(
            make_pipeline(
                EMGFilter(200, 20, 90),
                classifier(scale="channel", tune="head", lr=1e-2, max_epochs=20),
            ),
            X,
            y,
            groups=meta["subject"],
            cv=GroupKFold(3),
        )
        assert scores.mean() > 0.8


class TestRouting:
    """Weights and groups reach `fit` through pipelines and searches."""

    def test_sample_weight(self, gestures):
        X, y, _ = gestures
        # Windows of weight zero have wrong labels, and so have no influence.
        weight = np.where(np.arange(N_WINDOWS) < 45, 1.0, 0.0)
        wrong = np.where(weight > 0, y, "fist")
        with config_context(enable_metadata_routing=True):
            network = classifier(max_epochs=3).set_fit_request(sample_weight=True)
            routed = make_pipeline(EMGFilter(), network)
            routed.fit(X, wrong, sample_weight=weight)
        kept = make_pipeline(EMGFilter(), classifier(max_epochs=3))
        kept.fit(X[:45], y[:45])
        np.testing.assert_allclose(
            routed.predict_proba(X), kept.predict_proba(X), rtol=1e-4, atol=1e-5
        )

    def test_groups_in_cross_validation(self, gestures, monkeypatch):
        """Asked for, groups go to the splitter and to early stopping."""
        X, y, groups = gestures
        seen = []
        original = TinyMyoClassifier.fit

        def fit(self, X, y, sample_weight=None, groups=None):
            seen.append((sample_weight, groups))
            return original(self, X, y, sample_weight=sample_weight, groups=groups)

        with config_context(enable_metadata_routing=True):
            network = classifier(max_epochs=2, validation_fraction=0.4)
            network.set_fit_request(groups=True, sample_weight=True)
            network.set_score_request(sample_weight=True)
            model = make_pipeline(EMGFilter(), network)
            monkeypatch.setattr(TinyMyoClassifier, "fit", fit)
            weight = np.linspace(1, 2, N_WINDOWS)
            results = cross_validate(
                model,
                X,
                y,
                cv=GroupKFold(3),
                params={"groups": groups, "sample_weight": weight},
                return_indices=True,
                error_score="raise",
            )
        assert len(seen) == 3
        for train, (fit_weight, fit_groups) in zip(
            results["indices"]["train"], seen, strict=True
        ):
            np.testing.assert_array_equal(fit_weight, weight[train])
            np.testing.assert_array_equal(fit_groups, groups[train])

    def test_search(self, gestures):
        X, y, groups = gestures
        with config_context(enable_metadata_routing=True):
            network = classifier(max_epochs=1)
            network.set_fit_request(sample_weight=True, groups=False)
            network.set_score_request(sample_weight=True)
            search = GridSearchCV(network, {"lr": [1e-3, 1e-2]}, cv=GroupKFold(2))
            search.fit(X, y, groups=groups, sample_weight=np.ones(N_WINDOWS))
        assert search.best_estimator_.n_channels_in_ == N_CHANNELS

    def test_without_routing(self, gestures):
        X, y, _ = gestures
        model = make_pipeline(EMGFilter(), classifier(max_epochs=1))
        model.fit(X, y, tinymyoclassifier__sample_weight=np.ones(N_WINDOWS))

    def test_groups_are_kept_together_by_early_stopping(self, gestures, monkeypatch):
        from sktinymyo import _training

        X, y, groups = gestures
        original, seen = _training.train, []

        def train(module, data, plan, *args):
            seen.append((data.training, data.validation))
            return original(module, data, plan, *args)

        monkeypatch.setattr(_training, "train", train)
        model = classifier(max_epochs=2, validation_fraction=0.3)
        model.fit(X, y, groups=groups)
        ((training, validation),) = seen
        assert not set(groups[training]) & set(groups[validation])
        assert len(training) + len(validation) == N_WINDOWS
        assert "valid_loss" in model.history_[0]


class TestPartialFit:
    def test_a_new_person(self, gestures):
        """Windows of a person with swapped channels are learned on top."""
        X, y, _ = gestures
        swapped = X[:, [1, 2, 0]]
        model = classifier()
        model.partial_fit(X[:30], y[:30], classes=["fist", "open", "rest"])
        assert model.score(X, y) > 0.8
        before = model.score(swapped[30:], y[30:])
        model.partial_fit(swapped[:30], y[:30])
        assert model.score(swapped[30:], y[30:]) > max(before, 0.7)
        assert [row["epoch"] for row in model.history_] == list(range(1, 21))

    def test_scaling_of_the_first_call_stays(self, gestures):
        X, y, _ = gestures
        model = classifier(max_epochs=1)
        model.partial_fit(X, y, classes=np.unique(y))
        first = model.scale_std_.copy()
        model.partial_fit(1000 * X, y)
        np.testing.assert_array_equal(model.scale_std_, first)


class CountingRunner:
    """Counts the windows that reach the encoder."""

    def __init__(self, monkeypatch):
        self.n_windows = 0
        original = ModuleRunner.run

        def run(runner, X, *args, **kwargs):
            self.n_windows += len(X)
            return original(runner, X, *args, **kwargs)

        monkeypatch.setattr(ModuleRunner, "run", run)


class TestMemory:
    """With ``tune="head"`` and `memory`, the encoder runs once per window set."""

    def search(self, X, y, folds=3, **options):
        model = classifier(tune="head", max_epochs=2, **options)
        grid = {"lr": [1e-4, 1e-3, 1e-2], "random_state": [0]}
        return GridSearchCV(model, grid, cv=StratifiedKFold(folds)).fit(X, y)

    @pytest.mark.parametrize(
        ("scale", "n_encoded"),
        [
            # Every window once, in training and at the test, for all folds.
            ("window", N_WINDOWS),
            (None, N_WINDOWS),
            # The statistics of every fold, and of the last fit, are others.
            ("channel", (3 + 1) * N_WINDOWS),
        ],
    )
    def test_encoder_calls_in_a_search(
        self, gestures, tmp_path, monkeypatch, scale, n_encoded
    ):
        X, y, _ = gestures
        plain = self.search(X, y, scale=scale)
        counter = CountingRunner(monkeypatch)
        search = self.search(X, y, scale=scale, memory=tmp_path)
        assert counter.n_windows == n_encoded
        probabilities = search.predict_proba(X)
        assert counter.n_windows == n_encoded
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            plain.cv_results_["mean_test_score"],
        )
        np.testing.assert_allclose(
            probabilities, plain.predict_proba(X), rtol=1e-4, atol=1e-5
        )

    def test_without_memory_every_candidate_encodes(self, gestures, monkeypatch):
        X, y, _ = gestures
        counter = CountingRunner(monkeypatch)
        self.search(X, y, scale="window")
        assert counter.n_windows == (3 * 3 + 1) * N_WINDOWS

    def test_another_encoder_is_not_confused(self, gestures, tmp_path):
        X, y, _ = gestures
        for options in (
            {"random_state": 0},
            {"random_state": 1},
            {"random_state": 1, "scale": "window"},
            {"random_state": 1, "size": "tiny"},
        ):
            model = classifier(tune="head", max_epochs=2, **options)
            cached = clone(model).set_params(memory=tmp_path).fit(X, y)
            np.testing.assert_allclose(
                cached.predict_proba(X),
                model.fit(X, y).predict_proba(X),
                rtol=1e-4,
                atol=1e-5,
            )

    def test_embedder(self, gestures, tmp_path, monkeypatch):
        X, y, _ = gestures
        counter = CountingRunner(monkeypatch)
        embedder = TinyMyoEmbedder(**NANO, scale="window", memory=tmp_path)
        model = make_pipeline(embedder, classifier_lr())
        GridSearchCV(model, {"logisticregression__C": [0.1, 1, 10]}, cv=3).fit(X, y)
        assert counter.n_windows == N_WINDOWS

    def test_regressor(self, gestures, tmp_path, monkeypatch):
        X, _, _ = gestures
        y = np.log(X.var(axis=2))
        options = {**NANO, "tune": "head", "max_epochs": 2, "scale": "window"}
        plain = TinyMyoRegressor(**options).fit(X, y).predict(X)
        counter = CountingRunner(monkeypatch)
        model = TinyMyoRegressor(**options, memory=tmp_path).fit(X, y)
        again = TinyMyoRegressor(**options, memory=tmp_path, lr=1e-3).fit(X, y)
        np.testing.assert_allclose(model.predict(X), plain, rtol=1e-4, atol=1e-4)
        again.predict(X)
        assert counter.n_windows == N_WINDOWS


class TestInterrupt:
    """Ctrl-C ends the training with a usable model and a warning."""

    @pytest.mark.parametrize("tune", ["all", "head", 1])
    @pytest.mark.parametrize("after", [1, 7])
    def test_classifier(self, gestures, monkeypatch, tune, after):
        X, y, _ = gestures
        model = classifier(tune=tune, max_epochs=50)
        interrupt(monkeypatch, after)
        with pytest.warns(TrainingInterruptedWarning, match="usable"):
            model.fit(X, y)
        probabilities = model.predict_proba(X)
        assert np.isfinite(probabilities).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert len(model.history_) < 50
        assert not model.module_.training
        # Nothing of the interrupted training is left: a new fit is as any other.
        monkeypatch.undo()
        fresh = classifier(tune=tune, max_epochs=2).fit(X, y)
        again = model.set_params(max_epochs=2).fit(X, y)
        np.testing.assert_array_equal(again.predict_proba(X), fresh.predict_proba(X))

    def test_what_was_learned_is_kept(self, gestures, monkeypatch):
        X, y, _ = gestures
        n_batches = int(np.ceil(N_WINDOWS / 16))
        interrupt(monkeypatch, 12 * n_batches)
        with pytest.warns(TrainingInterruptedWarning, match="12 of 13"):
            model = classifier(max_epochs=13).fit(X, y)
        assert model.score(X, y) > 0.8
        assert len(model.history_) == 12

    def test_regressor(self, gestures, monkeypatch):
        X, _, _ = gestures
        interrupt(monkeypatch, 2)
        with pytest.warns(TrainingInterruptedWarning):
            model = TinyMyoRegressor(**NANO, max_epochs=30).fit(X, X[:, 0].var(axis=1))
        assert np.isfinite(model.predict(X)).all()

    def test_uninterrupted_training_does_not_warn(self, gestures):
        X, y, _ = gestures
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            classifier(max_epochs=1).fit(X, y)


def interrupt(monkeypatch, after):
    """Press Ctrl-C in the optimiser's step after that many steps."""
    import torch

    original, count = torch.optim.AdamW.step, [0]

    def step(optimizer, *args, **kwargs):
        if count[0] >= after:
            raise KeyboardInterrupt
        count[0] += 1
        return original(optimizer, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", step)


class TestTargets:
    def test_shapes_of_targets(self, gestures):
        """One value, several, and a sequence: predictions have the same form."""
        X, _, _ = gestures
        level = np.log(X.var(axis=2))
        times = np.linspace(0, 1, 15)[None, :, None]
        targets = {
            "vector": level[:, 0],
            "columns": level,
            "sequence": level[:, None, :2] * (1 + times),
        }
        for name, y in targets.items():
            model = TinyMyoRegressor(**NANO, max_epochs=3).fit(X, y)
            assert model.predict(X).shape == y.shape, name
            assert np.isfinite(model.score(X, y)), name

    def test_search_over_a_sequence(self, gestures):
        X, _, groups = gestures
        y = np.abs(X[:, :2, ::4]).swapaxes(1, 2)
        model = make_pipeline(EMGFilter(), TinyMyoRegressor(**NANO, max_epochs=1))
        scores = cross_val_score(
            model, X, y, groups=groups, cv=GroupKFold(2), error_score="raise"
        )
        assert np.isfinite(scores).all()
        predicted = cross_val_predict(model, X, y, groups=groups, cv=GroupKFold(2))
        assert predicted.shape == y.shape
