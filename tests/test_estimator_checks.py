"""The checks pass sound estimators, and each check catches its own fault."""

import doctest
import os
import random
import warnings
from functools import partial

import numpy as np
import pytest
from sklearn.base import (
    BaseEstimator,
    ClassifierMixin,
    RegressorMixin,
    TransformerMixin,
    clone,
)
from sklearn.linear_model import Ridge
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    column_or_1d,
)

from sktinymyo._validation import validate_windows
from sktinymyo.utils import estimator_checks
from sktinymyo.utils.estimator_checks import (
    check_windows_estimator,
    parametrize_with_windows_checks,
    windows_checks,
)

# --------------------------------------------------------------------------
# Sound estimators, small and without a network
# --------------------------------------------------------------------------


class WindowsMixin:
    """Tags and log-variance features that the estimators below share."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        tags.input_tags.two_d_array = True
        return tags

    def _windows(self, X, reset):
        windows, self._flat = validate_windows(
            self, X, reset=reset, n_channels=self.n_channels
        )
        return windows

    def _features(self, windows):
        power = np.mean(np.square(windows, dtype=np.float64), axis=2)
        return np.log(power + 1e-9)


class WindowsClassifier(WindowsMixin, ClassifierMixin, BaseEstimator):
    """Nearest mean log-variance, from a random start, by a few steps."""

    def __init__(
        self,
        n_channels=None,
        start=None,
        n_steps=5,
        batch_size=32,
        device="cpu",
        warm_start=False,
        random_state=None,
    ):
        self.n_channels = n_channels
        self.start = start
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.device = device
        self.warm_start = warm_start
        self.random_state = random_state

    def _check_device(self):
        if self.device != "cpu":
            raise ValueError(f"device={self.device!r} is not here; pass 'cpu'.")

    def _start(self):
        """Give random centres, or copies of those given."""
        rng = check_random_state(self.random_state)
        size = (len(self.classes_), self.n_channels_in_)
        self.centres_ = rng.normal(size=size)
        self.counts_ = np.zeros(len(self.classes_))

    def _learn(self, windows, codes, weight):
        features = self._features(windows)
        for _ in range(self.n_steps):
            for code in range(len(self.classes_)):
                members = weight * (codes == code)
                step = members @ (features - self.centres_[code])
                self.centres_[code] += 0.3 * step / max(members.sum(), 1e-9)
        self.counts_ += np.bincount(codes, weight, len(self.classes_))

    def _target(self, windows, y, sample_weight):
        if y is None:
            raise ValueError("requires y to be passed, but the target y is None")
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if len(y) != len(windows):
            raise ValueError(f"{len(windows)} windows, but {len(y)} labels.")
        weight = _check_sample_weight(sample_weight, windows, dtype=np.float64)
        if not weight.any():
            raise ValueError("all sample weights are zero.")
        return y, weight

    def fit(self, X, y, sample_weight=None):
        self._check_device()
        windows = self._windows(X, reset=True)
        y, weight = self._target(windows, y, sample_weight)
        self.classes_, codes = np.unique(y, return_inverse=True)
        self._start()
        self._learn(windows, codes, weight)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        first = not hasattr(self, "classes_")
        if first and classes is None:
            raise ValueError("classes must be passed on the first call.")
        windows = self._windows(X, reset=first)
        y, weight = self._target(windows, y, sample_weight)
        if first:
            self.classes_ = np.unique(classes)
            self._start()
        if not np.isin(y, self.classes_).all():
            raise ValueError("y has labels that are not in classes.")
        self._learn(windows, np.searchsorted(self.classes_, y), weight)
        return self

    def _distances(self, X):
        check_is_fitted(self, "centres_")
        features = self._features(self._windows(X, reset=False))
        difference = features[:, np.newaxis] - self.centres_
        return np.square(difference).sum(axis=2)

    def predict_proba(self, X):
        nearness = -self._distances(X)
        odds = np.exp(nearness - nearness.max(axis=1, keepdims=True))
        return odds / odds.sum(axis=1, keepdims=True)

    def decision_function(self, X):
        nearness = -self._distances(X)
        if len(self.classes_) == 2:
            return nearness[:, 1] - nearness[:, 0]
        return nearness

    def predict(self, X):
        check_is_fitted(self, "centres_")
        return self.classes_[self._distances(X).argmin(axis=1)]


class WindowsRegressor(WindowsMixin, RegressorMixin, BaseEstimator):
    """Ridge on log-variance; the ridge is a parameter and is cloned."""

    def __init__(self, n_channels=None, ridge=None):
        self.n_channels = n_channels
        self.ridge = ridge

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y, sample_weight=None):
        windows = self._windows(X, reset=True)
        ridge = Ridge() if self.ridge is None else clone(self.ridge)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(sample_weight, windows)
            if not weight.any():
                raise ValueError("all sample weights are zero.")
        self.ridge_ = ridge.fit(self._features(windows), y, sample_weight=weight)
        self.n_outputs_ = np.shape(y)[1:]
        return self

    def predict(self, X):
        check_is_fitted(self)
        features = self._features(self._windows(X, reset=False))
        return self.ridge_.predict(features).reshape(-1, *self.n_outputs_)


class WindowsFeatures(WindowsMixin, TransformerMixin, BaseEstimator):
    """Log-variance of every channel: windows in, a table out."""

    def __init__(self, n_channels=None):
        self.n_channels = n_channels

    def fit(self, X, y=None):
        self._windows(X, reset=True)
        return self

    def transform(self, X):
        check_is_fitted(self)
        return self._features(self._windows(X, reset=False))

    def get_feature_names_out(self, input_features=None):
        return np.array([f"logvar{k}" for k in range(self.n_channels_in_)], object)


# Without the keyword, scikit-learn's global setting would reach 3-D output.
class WindowsCentring(WindowsFeatures, auto_wrap_output_keys=None):
    """Remove every window's mean: windows in, windows out."""

    def transform(self, X):
        check_is_fitted(self)
        windows = self._windows(X, reset=False)
        centred = windows - windows.mean(axis=2, keepdims=True)
        return centred.reshape(len(windows), -1) if self._flat else centred

    def set_output(self, *, transform=None):
        return self

    def get_feature_names_out(self, input_features=None):
        return np.array([f"sample{k}" for k in range(self.n_features_in_)], object)


SOUND = {
    "classifier": WindowsClassifier(),
    "regressor": WindowsRegressor(),
    "features": WindowsFeatures(),
    "centring": WindowsCentring(),
}


@parametrize_with_windows_checks(SOUND.values())
def test_sound_estimators_pass(estimator, check):
    check(estimator)


# --------------------------------------------------------------------------
# One fault each
# --------------------------------------------------------------------------


class ForgetsShape(WindowsClassifier):
    """Does what scikit-learn asks for: compares the number of features only."""

    def _distances(self, X):
        X = np.asarray(X)
        if X[0].size != self.n_features_in_:
            raise ValueError(f"{X[0].size} features, expected {self.n_features_in_}.")
        difference = self._features(X)[:, np.newaxis] - self.centres_[:, : X.shape[1]]
        return np.square(difference).sum(axis=2)


class SilentShape(WindowsClassifier):
    """Refuses, but does not say what it saw."""

    def _windows(self, X, reset):
        try:
            return super()._windows(X, reset)
        except ValueError:
            raise ValueError("Wrong shape.") from None


class TakesFlatAfter3d(WindowsFeatures):
    def transform(self, X):
        X = np.asarray(X)
        shape = (len(X), self.n_channels_in_, self.n_times_in_)
        return self._features(X.reshape(shape))


class SplitsFlatWrongly(WindowsFeatures):
    """Takes flat windows for interleaved samples."""

    def _windows(self, X, reset):
        windows = super()._windows(X, reset)
        if not self._flat:
            return windows
        n_windows, n_channels, n_times = windows.shape
        return windows.reshape(n_windows, n_times, n_channels).swapaxes(1, 2)


class OnlyTables(WindowsFeatures):
    def _windows(self, X, reset):
        if np.ndim(X) == 3:
            raise ValueError("Found array with dim 3.")
        return super()._windows(X, reset)


class ForgetsChannels(WindowsFeatures):
    def fit(self, X, y=None):
        super().fit(X, y)
        del self.n_times_in_
        return self

    def transform(self, X):
        return self._features(np.asarray(X))


class DrawsFromTorch(WindowsClassifier):
    def predict_proba(self, X):
        import torch

        torch.rand(1)
        return super().predict_proba(X)


class SeedsTorch(WindowsClassifier):
    """Sets the caller's generator, which also hides that it is drawn from."""

    def fit(self, X, y, sample_weight=None):
        import torch

        torch.manual_seed(0)
        return super().fit(X, y, sample_weight)


class DrawsFromPython(WindowsRegressor):
    def fit(self, X, y, sample_weight=None):
        random.random()
        return super().fit(X, y, sample_weight)


class IgnoresSeed(WindowsClassifier):
    def _start(self):
        super()._start()
        self.centres_ += np.random.default_rng().normal(size=self.centres_.shape)


class SharedGenerator(WindowsClassifier):
    """Seeds a generator that all threads share, and draws from it later."""

    generator = np.random.RandomState()

    def _start(self):
        import time

        super()._start()
        self.generator.seed(self.random_state)
        for code in range(len(self.classes_)):
            time.sleep(0.02)
            self.centres_[code] = self.generator.normal(size=self.n_channels_in_)


class StateInPrediction(WindowsFeatures):
    """Keeps the windows on the estimator between two steps of a prediction."""

    def transform(self, X):
        import time

        self.now_ = self._windows(X, reset=False)
        time.sleep(0.02)
        return self._features(self.now_)


class DependsOnProcess(WindowsClassifier):
    def _start(self):
        super()._start()
        self.centres_ += os.getpid() % 1000


class ScalesByBatch(WindowsFeatures):
    def transform(self, X):
        features = super().transform(X)
        return features - features.mean(axis=0)


class BatchSizeMatters(WindowsClassifier):
    """Leaves out the end that fills no batch."""

    def _distances(self, X):
        distances = super()._distances(X)
        whole = len(distances) // self.batch_size * self.batch_size
        if len(distances) > self.batch_size:
            distances[whole:] = 0
        return distances


class CentresInPlace(WindowsFeatures):
    def fit(self, X, y=None):
        X -= np.mean(X, axis=2, keepdims=True)
        return super().fit(X, y)


class WritesToWindows(WindowsFeatures):
    """Fails on read-only windows alone."""

    def fit(self, X, y=None):
        if isinstance(X, np.ndarray):
            X[0, 0] = X[0, 0]
        return super().fit(X, y)


class OverflowsInIntegers(WindowsFeatures):
    def _features(self, windows):
        return np.log(np.mean(windows * windows, axis=2) + 1e-3)

    def _windows(self, X, reset):
        super()._windows(X, reset)
        return np.asarray(X)


class KeepsWindows(WindowsClassifier):
    def _learn(self, windows, codes, weight):
        super()._learn(windows, codes, weight)
        self.seen_ = windows


class LosesStateInPickle(WindowsClassifier):
    def __getstate__(self):
        state = super().__getstate__()
        return {key: value for key, value in state.items() if key != "n_times_in_"}


class PrivateAttribute(WindowsFeatures):
    def __init__(self, n_channels=None):
        super().__init__(n_channels)
        self._flat = None


class ConvertsParameter(WindowsRegressor):
    def __init__(self, n_channels=None, ridge=None):
        super().__init__(n_channels, Ridge() if ridge is None else ridge)


class TrainsModuleInPlace(WindowsFeatures):
    def __init__(self, module=None, n_channels=None):
        super().__init__(n_channels)
        self.module = module

    def fit(self, X, y=None):
        import torch

        with torch.no_grad():
            self.module.weight += 1.0
        return super().fit(X, y)


class FitsRidgeInPlace(WindowsRegressor):
    def fit(self, X, y, sample_weight=None):
        super().fit(X, y, sample_weight)
        self.ridge_ = self.ridge.fit(self._features(self._windows(X, True)), y)
        return self


class GoesOnFromBefore(WindowsClassifier):
    """Starts from the centres of the previous fit where they are there."""

    def _start(self):
        before = getattr(self, "centres_", None)
        super()._start()
        if before is not None and before.shape == self.centres_.shape:
            self.centres_ = before


class AcceptsNaN(WindowsFeatures):
    def fit(self, X, y=None):
        return super().fit(np.nan_to_num(X), y)


class AcceptsNaNLater(WindowsFeatures):
    def transform(self, X):
        return super().transform(np.nan_to_num(X))


class AcceptsNothing(WindowsFeatures):
    """Takes an empty set of windows."""

    def _windows(self, X, reset):
        X = np.asarray(X)
        if len(X) == 0:
            X = np.zeros((1, 3, 40))
        return super()._windows(X, reset)


class NeedsLongWindows(WindowsFeatures):
    def fit(self, X, y=None):
        super().fit(X, y)
        if self.n_times_in_ < 20:
            raise ValueError("The window is shorter than a patch.")
        return self


class LimitedChannels(WindowsFeatures):
    def _features(self, windows):
        features = super()._features(windows)
        features[:, 16:] = np.nan
        return features


class QuietAboutDevice(WindowsClassifier):
    """Falls back to the processor without a word."""

    def _check_device(self):
        pass


class TorchSpeaksAboutDevice(WindowsClassifier):
    """Leaves the message to torch, which knows no parameter `device`."""

    def _check_device(self):
        if self.device != "cpu":
            raise AssertionError("Torch not compiled with CUDA enabled")


class FramesOfWindows(WindowsFeatures):
    """Gives 3-D windows, with the set_output of scikit-learn."""

    transform = WindowsCentring.transform
    get_feature_names_out = WindowsCentring.get_feature_names_out


class TooManyNames(WindowsFeatures):
    def get_feature_names_out(self, input_features=None):
        return np.array([f"sample{k}" for k in range(self.n_features_in_)], object)


class IntegerLabels(WindowsClassifier):
    def predict(self, X):
        return self._distances(X).argmin(axis=1)


class ProbabilityOfAnother(WindowsClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X)[:, ::-1]


class FlattensTargets(WindowsRegressor):
    def predict(self, X):
        return super().predict(X).reshape(len(X), -1)


class LosesTargetScale(WindowsRegressor):
    def fit(self, X, y, sample_weight=None):
        y = np.asarray(y, dtype=np.float64)
        return super().fit(X, (y - y.mean()) / y.std(), sample_weight)


class AcceptsAnyWeight(WindowsRegressor):
    def fit(self, X, y, sample_weight=None):
        return super().fit(X, y)


class UsesZeroWeights(WindowsClassifier):
    """Adds something to every weight, so that none is zero."""

    def _learn(self, windows, codes, weight):
        super()._learn(windows, codes, weight + 0.5)


class IgnoresWeights(WindowsClassifier):
    def _learn(self, windows, codes, weight):
        super()._learn(windows, codes, np.ones_like(weight))


class HoldsBack(WindowsClassifier):
    """Keeps a fifth of the windows for a validation nobody asked for."""

    def _learn(self, windows, codes, weight):
        kept = np.ones(len(windows), dtype=bool)
        kept[::5] = len(windows) == 1
        super()._learn(windows[kept], codes[kept], weight[kept])


class DropsLastBatch(WindowsRegressor):
    def fit(self, X, y, sample_weight=None):
        whole = len(X) // 4 * 4
        return super().fit(X[:whole], y[:whole], sample_weight)


class ChangesThreads(WindowsFeatures):
    def transform(self, X):
        import torch

        torch.set_num_threads(1)
        return super().transform(X)


class ChangesPrecision(WindowsFeatures):
    def fit(self, X, y=None):
        import torch

        torch.set_float32_matmul_precision("medium")
        return super().fit(X, y)


class SwitchesGradientsOn(WindowsFeatures):
    def fit(self, X, y=None):
        import torch

        torch.set_grad_enabled(True)
        return super().fit(X, y)


class HushesWarnings(WindowsFeatures):
    def fit(self, X, y=None):
        warnings.filterwarnings("ignore", message=f"of {os.urandom(4).hex()}")
        return super().fit(X, y)


class ForgetsPartially(WindowsClassifier):
    """Learns the classes anew at every call."""

    def partial_fit(self, X, y, classes=None, sample_weight=None):
        return self.fit(X, y, sample_weight)


def torch_module():
    from torch import nn

    return nn.Linear(2, 2)


# Estimators (or functions that make them) and the check that must catch them.
FAULTY = [
    (OnlyTables, "check_windows_accepted"),
    (ForgetsChannels, "check_windows_accepted"),
    (ForgetsShape, "check_windows_shape_changed"),
    (SilentShape, "check_windows_shape_changed"),
    (TakesFlatAfter3d, "check_windows_flat_is_not_3d"),
    (SplitsFlatWrongly, "check_windows_flat_equals_3d"),
    (DrawsFromTorch, "check_windows_global_generators"),
    (SeedsTorch, "check_windows_global_generators"),
    (DrawsFromPython, "check_windows_global_generators"),
    (IgnoresSeed, "check_windows_same_seed"),
    (SharedGenerator, "check_windows_same_seed_in_threads"),
    (StateInPrediction, "check_windows_same_seed_in_threads"),
    (DependsOnProcess, "check_windows_same_seed_in_processes"),
    (ScalesByBatch, "check_windows_batch_invariance"),
    (BatchSizeMatters, "check_windows_batch_invariance"),
    (CentresInPlace, "check_windows_input_not_modified"),
    (WritesToWindows, "check_windows_input_not_modified"),
    (OverflowsInIntegers, "check_windows_dtypes"),
    (KeepsWindows, "check_windows_pickle"),
    (LosesStateInPickle, "check_windows_pickle"),
    (PrivateAttribute, "check_windows_init_only_parameters"),
    (ConvertsParameter, "check_windows_init_only_parameters"),
    (
        lambda: TrainsModuleInPlace(torch_module()),
        "check_windows_parameters_untouched",
    ),
    (lambda: FitsRidgeInPlace(ridge=Ridge()), "check_windows_parameters_untouched"),
    (GoesOnFromBefore, "check_windows_refit"),
    (AcceptsNaN, "check_windows_nonfinite_refused"),
    (AcceptsNaNLater, "check_windows_nonfinite_refused"),
    (AcceptsNothing, "check_windows_wrong_input_refused"),
    (NeedsLongWindows, "check_windows_odd_shapes"),
    (LimitedChannels, "check_windows_odd_shapes"),
    (QuietAboutDevice, "check_windows_device_refused"),
    (TorchSpeaksAboutDevice, "check_windows_device_refused"),
    (FramesOfWindows, "check_windows_set_output"),
    (TooManyNames, "check_windows_feature_names_out"),
    (IntegerLabels, "check_windows_classifier_labels"),
    (ProbabilityOfAnother, "check_windows_classifier_outputs"),
    (FlattensTargets, "check_windows_regressor_targets"),
    (LosesTargetScale, "check_windows_regressor_targets"),
    (AcceptsAnyWeight, "check_windows_sample_weight_refused"),
    (UsesZeroWeights, "check_windows_zero_weight_ignored"),
    (IgnoresWeights, "check_windows_zero_weight_ignored"),
    (HoldsBack, "check_windows_all_used"),
    (DropsLastBatch, "check_windows_all_used"),
    (ChangesThreads, "check_windows_process_settings"),
    (ChangesPrecision, "check_windows_process_settings"),
    (SwitchesGradientsOn, "check_windows_process_settings"),
    (HushesWarnings, "check_windows_process_settings"),
    (ForgetsPartially, "check_windows_partial_fit"),
]


@pytest.fixture
def state_of_process():
    """Put back what the faulty estimators change."""
    import torch

    from sktinymyo.utils import _check_tools, _seed_checks

    settings = _check_tools.process_settings()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        yield
    _seed_checks._restore(settings)


@pytest.mark.parametrize("make, caught_by", FAULTY, ids=[check for _, check in FAULTY])
def test_every_fault_is_caught(make, caught_by, state_of_process):
    estimator = make()
    check = getattr(estimator_checks, caught_by)
    assert check in windows_checks(estimator)
    with pytest.raises(AssertionError, match=type(estimator).__name__):
        check(type(estimator).__name__, estimator)


def test_every_check_is_shown_to_fail():
    caught = {caught_by for _, caught_by in FAULTY}
    assert caught == set(estimator_checks._CHECK_NAMES)
    assert caught < set(estimator_checks.__all__)


def test_checks_that_apply():
    names = {
        kind: {check.__name__ for check in windows_checks(estimator)}
        for kind, estimator in SOUND.items()
    }
    assert set.union(*names.values()) == set(estimator_checks._CHECK_NAMES)
    assert "check_windows_partial_fit" in names["classifier"]
    assert "check_windows_partial_fit" not in names["regressor"]
    assert "check_windows_device_refused" not in names["features"]
    assert "check_windows_set_output" in names["centring"]


def test_runner_reports_and_raises():
    faulty = TooManyNames()
    name = "check_windows_feature_names_out"
    results = {
        result["check_name"]: result
        for result in check_windows_estimator(faulty, on_fail="return")
    }
    failed = [key for key, result in results.items() if result["status"] == "failed"]
    assert name in failed
    assert isinstance(results[name]["exception"], AssertionError)
    assert results["check_windows_dtypes"]["exception"] is None

    with pytest.raises(AssertionError, match="TooManyNames"):
        check_windows_estimator(faulty)
    known = dict.fromkeys(failed, "names every sample")
    results = check_windows_estimator(faulty, expected_failed_checks=known)
    assert {result["status"] for result in results} == {"passed", "xfail"}


def test_runner_refuses_stale_expectations():
    known = {"check_windows_dtypes": "does not fail at all"}
    with pytest.raises(AssertionError, match="expected to fail"):
        check_windows_estimator(WindowsFeatures(), expected_failed_checks=known)
    results = check_windows_estimator(
        WindowsFeatures(), expected_failed_checks=known, on_fail="return"
    )
    status = {result["check_name"]: result["status"] for result in results}
    assert status["check_windows_dtypes"] == "failed"
    with pytest.raises(ValueError, match="check_windows_partial_fit"):
        check_windows_estimator(
            WindowsFeatures(),
            expected_failed_checks={"check_windows_partial_fit": "a transformer"},
        )


def test_runner_refuses_wrong_arguments():
    with pytest.raises(TypeError, match="instance"):
        check_windows_estimator(WindowsFeatures)
    with pytest.raises(TypeError, match="instance"):
        parametrize_with_windows_checks([WindowsFeatures])
    with pytest.raises(ValueError, match="on_fail"):
        check_windows_estimator(WindowsFeatures(), on_fail="ignore")


def test_decorator_marks_expected_failures():
    known = {"check_windows_dtypes": "a reason"}
    mark = parametrize_with_windows_checks(
        [WindowsFeatures()], expected_failed_checks=lambda estimator: known
    ).mark
    names, parameters = mark.args
    assert names == "estimator, check"
    marked = [parameter for parameter in parameters if parameter.marks]
    assert [parameter.id for parameter in marked] == [
        "WindowsFeatures-check_windows_dtypes"
    ]
    assert marked[0].marks[0].kwargs == {"reason": "a reason", "strict": True}
    assert all(isinstance(parameter.values[1], partial) for parameter in parameters)


@pytest.mark.parametrize("name", estimator_checks._CHECK_NAMES)
def test_example_of_every_check(name):
    check = getattr(estimator_checks, name)
    (example,) = doctest.DocTestFinder(recurse=False).find(check, name, globs={})
    assert len(example.examples) == 4
    report = []
    doctest.DocTestRunner().run(example, out=report.append)
    assert not report, "".join(report)


def test_import_loads_no_torch():
    import subprocess
    import sys

    code = (
        "import sys, sktinymyo.utils.estimator_checks; "
        "assert not {'torch', 'pytest', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
