"""Fitted estimators on disk: complete, small, and nothing that runs by itself."""

import copy
import io
import os
import pickle
import pickletools
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import joblib
import numpy as np
import pytest
from sklearn.base import clone, is_regressor
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from sktinymyo import (
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoRegressor,
)

NANO = {"weights": "random", "size": "nano", "random_state": 0}
QUICK = {**NANO, "max_epochs": 2, "lr": 1e-3}
CHANNELS, TIMES = 3, 50


@pytest.fixture(scope="module")
def windows():
    rng = np.random.default_rng(7)
    X = rng.standard_normal((30, CHANNELS, TIMES)).astype(np.float32)
    y = np.arange(30) % 3
    X[np.arange(30), y] *= 3
    return X, np.array(["fist", "open", "rest"])[y]


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    """Weights of a small encoder in a file of the package's format."""
    import torch

    from sktinymyo.nn import TinyMyo, config_of_size
    from sktinymyo.weights import save_weights

    path = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    generator = torch.Generator().manual_seed(5)
    save_weights(path, TinyMyo(config_of_size("nano"), generator=generator))
    return path


ESTIMATORS = {
    "filter": EMGFilter(),
    "resampler": EMGResampler(2000, 1000),
    "mapper": ChannelMapper(order=[2, 0, 1]),
    "scaler": ChannelScaler(),
    "features": TimeDomainFeatures(),
    "embedder": TinyMyoEmbedder(**NANO),
    "classifier": TinyMyoClassifier(**QUICK),
    "head": TinyMyoClassifier(**QUICK, tune="head", scale="window"),
    "regressor": TinyMyoRegressor(**QUICK),
    "pipeline": make_pipeline(EMGFilter(), ChannelScaler(), TinyMyoClassifier(**QUICK)),
    "probe": make_pipeline(TinyMyoEmbedder(**NANO), LogisticRegression()),
}
NETWORKS = ("embedder", "classifier", "head", "regressor")


def fit(estimator, X, y):
    """Fit a copy to a target that suits it."""
    target = np.log(X.var(axis=2)) if is_regressor(estimator) else y
    return clone(estimator).fit(X, target)


def outputs(model, X):
    """Outputs of every method."""
    names = ("predict", "predict_proba", "decision_function", "transform")
    return {name: getattr(model, name)(X) for name in names if hasattr(model, name)}


def assert_identical(first, second, X):
    first, second = outputs(first, X), outputs(second, X)
    assert first.keys() == second.keys()
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name], err_msg=name)


def through_pickle(model, folder):
    return pickle.loads(pickle.dumps(model))


def through_oldest_pickle(model, folder):
    return pickle.loads(pickle.dumps(model, protocol=2))


def through_joblib(model, folder):
    joblib.dump(model, folder / "model.joblib", compress=3)
    return joblib.load(folder / "model.joblib")


def through_memory_map(model, folder):
    # A file of its own: the arrays of an earlier one may still be mapped.
    path = folder / f"{len(list(folder.iterdir()))}.joblib"
    joblib.dump(model, path)
    return joblib.load(path, mmap_mode="r")


def through_deepcopy(model, folder):
    return copy.deepcopy(model)


def through_skops(model, folder):
    skops_io = pytest.importorskip("skops.io")
    skops_io.dump(model, folder / "model.skops")
    untrusted = skops_io.get_untrusted_types(file=folder / "model.skops")
    foreign = [name for name in untrusted if not name.startswith("sktinymyo.")]
    assert not foreign, f"beside our own classes, these must be trusted: {foreign}"
    return skops_io.load(folder / "model.skops", trusted=untrusted)


WAYS = [
    through_pickle,
    through_oldest_pickle,
    through_joblib,
    through_memory_map,
    through_deepcopy,
    through_skops,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", ESTIMATORS)
def test_round_trip(name, way, windows, tmp_path):
    X, y = windows
    model = fit(ESTIMATORS[name], X, y)
    copied = way(model, tmp_path)
    assert_identical(model, copied, X)
    # And once more, from a copy that was never used and from one that was.
    assert_identical(model, way(way(model, tmp_path), tmp_path), X)
    assert_identical(model, way(copied, tmp_path), X)
    assert repr(copied) == repr(model)


@pytest.mark.parametrize("name", NETWORKS)
def test_fitted_attributes_survive(name, windows, tmp_path):
    import torch

    X, y = windows
    model = fit(ESTIMATORS[name], X, y)
    copied = through_pickle(model, tmp_path)
    assert copied.config_ == model.config_
    assert copied.weights_card_ == model.weights_card_
    np.testing.assert_equal(
        getattr(copied, "history_", None), vars(model).get("history_")
    )
    assert isinstance(copied.module_, torch.nn.Module)
    assert not copied.module_.training
    state = model.module_.state_dict()
    assert state.keys() == copied.module_.state_dict().keys()
    for key, tensor in copied.module_.state_dict().items():
        assert torch.equal(tensor, state[key]), key


def names_in(content):
    """List the modules of all objects that a pickle refers to by name."""
    modules, strings = set(), []
    for opcode, argument, _ in pickletools.genops(content):
        if opcode.name == "GLOBAL":
            modules.add(argument.split()[0])
        elif opcode.name == "STACK_GLOBAL":
            modules.add(strings[-2])
        if isinstance(argument, str):
            strings.append(argument)
    return modules


@pytest.mark.parametrize("name", NETWORKS)
def test_pickle_holds_arrays_and_plain_objects_only(name, windows):
    """No tensors or modules of torch, no skorch, no device, no optimiser."""
    X, y = windows
    model = fit(ESTIMATORS[name], X, y)
    outputs(model, X)
    # Protocol 2 refers to every object by an opcode of its own.
    content = pickle.dumps(model, protocol=2)
    roots = {module.split(".")[0] for module in names_in(content)}
    assert roots <= {
        "sktinymyo",
        "numpy",
        "_codecs",
        "copy_reg",
        "copyreg",
        "__builtin__",
        "builtins",
        "collections",
    }
    for word in (b"cuda", b"optim", b"AdamW", b"skorch"):
        assert word not in content


@pytest.mark.parametrize("name", ["filter", "scaler", "features", *NETWORKS])
def test_pickle_holds_no_training_data(name, windows):
    X, y = windows
    model = fit(ESTIMATORS[name], X, y)
    before = len(pickle.dumps(model))
    outputs(model, X)
    content = pickle.dumps(model)
    assert X[3, 1].tobytes() not in content
    assert X.astype(np.float64)[3, 1].tobytes() not in content
    # What prediction prepares for itself is not stored.
    assert len(content) == before
    many = fit(ESTIMATORS[name], np.tile(X, (10, 1, 1)), np.tile(y, 10))
    assert len(pickle.dumps(many)) < before + 500


@pytest.mark.parametrize("name", NETWORKS)
def test_size_is_that_of_the_parameters(name, windows):
    X, y = windows
    model = fit(ESTIMATORS[name], X, y)
    n_parameters = sum(tensor.numel() for tensor in model.module_.state_dict().values())
    assert len(pickle.dumps(model)) < 4 * n_parameters + 20_000


class TestFrozenEncoder:
    """A frozen encoder from a file is stored by name and checksum."""

    @pytest.fixture(params=["classifier", "regressor", "embedder"])
    def frozen(self, request, weights_file):
        kinds = {
            "classifier": TinyMyoClassifier(weights_file, tune="head", max_epochs=2),
            "regressor": TinyMyoRegressor(weights_file, tune="head", max_epochs=2),
            "embedder": TinyMyoEmbedder(weights_file),
        }
        return kinds[request.param]

    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    def test_round_trip(self, frozen, way, windows, tmp_path):
        X, y = windows
        # A path would be another class to trust in a skops file.
        frozen = clone(frozen).set_params(weights=str(frozen.weights))
        model = fit(frozen, X, y)
        assert_identical(model, way(model, tmp_path), X)

    def test_small(self, weights_file, windows):
        X, y = windows
        model = fit(TinyMyoClassifier(weights_file, tune="head", max_epochs=2), X, y)
        content = pickle.dumps(model)
        n_head = sum(p.numel() for p in model.module_.model_head.parameters())
        assert len(content) < 4 * n_head + 10_000 < weights_file.stat().st_size / 10
        assert model.weights_card_.sha256.encode() in content
        assert weights_file.name.encode() in content

    def test_of_another_folder(self, weights_file, windows, tmp_path, monkeypatch):
        """A relative path stays right when the model is used elsewhere."""
        X, y = windows
        monkeypatch.chdir(weights_file.parent)
        model = TinyMyoClassifier(weights_file.name, tune="head", max_epochs=1)
        model.fit(X, y)
        content = pickle.dumps(model)
        expected = model.predict_proba(X)
        monkeypatch.chdir(tmp_path)
        np.testing.assert_array_equal(pickle.loads(content).predict_proba(X), expected)

    def test_folder_of_the_same_name(self, windows, tmp_path, monkeypatch):
        """A folder named like packaged weights does not stand in for them."""
        X, y = windows
        monkeypatch.chdir(tmp_path)
        (tmp_path / "tinymyo-open-small").mkdir()
        model = TinyMyoClassifier("tinymyo-open-small", tune="head", max_epochs=1)
        content = pickle.dumps(model.fit(X, y))
        np.testing.assert_array_equal(
            pickle.loads(content).predict(X), model.predict(X)
        )

    def test_file_is_gone(self, frozen, weights_file, windows, tmp_path):
        """Loading works; the error at prediction names the file."""
        X, y = windows
        path, elsewhere = tmp_path / "mine.safetensors", tmp_path / "other.safetensors"
        shutil.copy(weights_file, path)
        model = fit(clone(frozen).set_params(weights=str(path)), X, y)
        content = pickle.dumps(model)
        expected = outputs(model, X)
        path.rename(elsewhere)
        loaded = pickle.loads(content)
        with pytest.raises(FileNotFoundError, match=r"mine\.safetensors"):
            outputs(loaded, X)
        # Back again, the same object works.
        elsewhere.rename(path)
        for name, values in outputs(loaded, X).items():
            np.testing.assert_array_equal(values, expected[name])

    def test_file_is_another(self, frozen, weights_file, windows, tmp_path):
        """Other weights under the same name are refused, not used."""
        import torch

        from sktinymyo.nn import TinyMyo, config_of_size
        from sktinymyo.weights import save_weights

        X, y = windows
        path = tmp_path / "mine.safetensors"
        shutil.copy(weights_file, path)
        content = pickle.dumps(fit(clone(frozen).set_params(weights=str(path)), X, y))
        other = TinyMyo(
            config_of_size("nano"), generator=torch.Generator().manual_seed(6)
        )
        path.unlink()
        save_weights(path, other)
        loaded = pickle.loads(content)
        with pytest.raises(ValueError, match="(?i)sha-?256"):
            outputs(loaded, X)

    @pytest.mark.parametrize("tune", ["all", 1])
    def test_tuned_encoder_is_stored_by_value(
        self, tune, weights_file, windows, tmp_path
    ):
        X, y = windows
        path = tmp_path / "mine.safetensors"
        shutil.copy(weights_file, path)
        model = TinyMyoClassifier(str(path), tune=tune, max_epochs=2).fit(X, y)
        expected = model.predict_proba(X)
        content = pickle.dumps(model)
        assert len(content) > 0.9 * path.stat().st_size
        path.unlink()
        np.testing.assert_array_equal(pickle.loads(content).predict_proba(X), expected)

    def test_weights_file_is_never_written(self, frozen, weights_file, windows):
        X, y = windows
        before = weights_file.read_bytes()
        fit(frozen, X, y)
        assert weights_file.read_bytes() == before


FRESH = """
import sys
import joblib, numpy as np
X = np.load("windows.npy")
for name in sys.argv[1:]:
    model = joblib.load(f"{name}.joblib")
    method = "predict_proba" if hasattr(model, "predict_proba") else (
        "predict" if hasattr(model, "predict") else "transform")
    np.save(f"{name}.npy", getattr(model, method)(X))
assert "skorch" not in sys.modules, "prediction needs no training code"
"""


def test_fresh_process(windows, weights_file, tmp_path):
    """Models written here predict the same in an interpreter of their own."""
    X, y = windows
    np.save(tmp_path / "windows.npy", X)
    frozen = TinyMyoClassifier(str(weights_file), tune="head", max_epochs=1)
    expected = {}
    for name, estimator in {**ESTIMATORS, "frozen": frozen}.items():
        model = fit(estimator, X, y)
        joblib.dump(model, tmp_path / f"{name}.joblib")
        results = outputs(model, X)
        method = next(
            method
            for method in ("predict_proba", "predict", "transform")
            if method in results
        )
        expected[name] = results[method]
    subprocess.run(
        [sys.executable, "-c", FRESH, *expected],
        cwd=tmp_path,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    for name, values in expected.items():
        np.testing.assert_allclose(
            np.load(tmp_path / f"{name}.npy"), values, rtol=1e-5, atol=1e-6
        )


class TestAfterLoading:
    @pytest.mark.parametrize("name", NETWORKS)
    def test_clone_is_not_fitted(self, name, windows, tmp_path):
        X, y = windows
        model = through_pickle(fit(ESTIMATORS[name], X, y), tmp_path)
        fresh = clone(model)
        assert set(vars(fresh)) == set(fresh.get_params(deep=False))
        with pytest.raises(NotFittedError):
            outputs(fresh, X)
        assert_identical(model, fit(fresh, X, y), X)

    def test_partial_fit_goes_on(self, windows, tmp_path):
        """A model that was stored learns on as one that was not."""
        X, y = windows
        model = TinyMyoClassifier(**QUICK).fit(X[:15], y[:15])
        loaded = through_pickle(model, tmp_path)
        model.partial_fit(X[15:], y[15:])
        loaded.partial_fit(X[15:], y[15:])
        assert_identical(model, loaded, X)
        assert len(loaded.history_) == 4

    def test_copy_is_independent(self, windows):
        X, y = windows
        model = TinyMyoClassifier(**QUICK).fit(X, y)
        expected = outputs(model, X)
        copied = copy.deepcopy(model)
        copied.partial_fit(X[::-1], y)
        for name, values in outputs(model, X).items():
            np.testing.assert_array_equal(values, expected[name])
        assert len(model.history_) == 2

    def test_threads_share_a_loaded_model(self, windows, tmp_path):
        """The module is rebuilt at the first prediction, in whichever thread."""
        X, y = windows
        model = TinyMyoClassifier(**QUICK).fit(X, y)
        content = pickle.dumps(model)
        expected = model.predict_proba(X)
        for _ in range(5):
            loaded = pickle.loads(content)
            barrier = threading.Barrier(4)

            def predict(_, loaded=loaded, barrier=barrier):
                barrier.wait(timeout=60)
                return loaded.predict_proba(X)

            with ThreadPoolExecutor(4) as pool:
                for values in pool.map(predict, range(4)):
                    np.testing.assert_allclose(values, expected, rtol=1e-5)

    def test_pickling_in_a_thread_while_predicting(self, windows):
        """A server may store its model while it answers."""
        X, y = windows
        model = TinyMyoClassifier(**QUICK).fit(X, y)
        content = pickle.dumps(model)
        expected = model.predict_proba(X)
        loaded = pickle.loads(content)
        with ThreadPoolExecutor(4) as pool:
            stored = [pool.submit(pickle.dumps, loaded) for _ in range(4)]
            answers = [pool.submit(loaded.predict_proba, X) for _ in range(4)]
        for answer in answers:
            np.testing.assert_allclose(answer.result(), expected, rtol=1e-5)
        for future in stored:
            values = pickle.loads(future.result()).predict_proba(X)
            np.testing.assert_allclose(values, expected, rtol=1e-5)

    def test_module_can_be_saved_by_torch(self, windows):
        """The module is a plain one: torch writes and reads its tensors."""
        import torch

        X, y = windows
        model = TinyMyoClassifier(**QUICK).fit(X, y)
        buffer = io.BytesIO()
        torch.save(model.module_.state_dict(), buffer)
        buffer.seek(0)
        state = torch.load(buffer, weights_only=True)
        model.module_.load_state_dict(state)
