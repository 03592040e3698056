"""Every public estimator passes scikit-learn's checks and ours."""

import inspect
import os
import subprocess
import sys
import warnings
from pathlib import Path
from unittest import SkipTest

import numpy as np
import pytest
from sklearn.base import BaseEstimator, clone, is_classifier, is_regressor
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.exceptions import SkipTestWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import estimator_checks as scikit_learn_checks
from sklearn.utils.estimator_checks import (
    check_estimator,
    parametrize_with_checks,
)

import sktinymyo
from sktinymyo import (
    AllConvNetClassifier,
    ArmbandAlignedClassifier,
    ChannelMapper,
    ChannelScaler,
    DistilledClassifier,
    DistilledRegressor,
    EMGFilter,
    EMGResampler,
    GridMedian,
    GridRepair,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoPretrainer,
    TinyMyoRegressor,
)
from sktinymyo.utils.estimator_checks import (
    check_windows_estimator,
    parametrize_with_windows_checks,
    windows_checks,
)

# Small and quick, yet able to learn the tables of scikit-learn's checks.
TINY = {"weights": "random", "size": "nano"}
QUICK = {**TINY, "max_epochs": 2, "batch_size": 8}
LEARNS = {
    **TINY,
    "max_epochs": 12,
    "lr": 1e-2,
    "batch_size": 32,
    "dropout": 0.0,
    "precision": "float32",
}
CONVOLUTIONS = {"width": 4, "max_epochs": 2, "frames_per_window": 20}
PRETRAINS = {"size": "nano", "max_epochs": 1, "batch_size": 16}

# One instance of every class for scikit-learn's checks, which are many.
INSTANCES = [
    AllConvNetClassifier(
        width=8, max_epochs=30, lr=1e-2, dropout=0.0, precision="float32"
    ),
    ArmbandAlignedClassifier(LogisticRegression()),
    ChannelMapper(),
    ChannelScaler(),
    DistilledClassifier(LogisticRegression(), TinyMyoClassifier(**LEARNS)),
    DistilledRegressor(Ridge(), TinyMyoRegressor(**LEARNS)),
    EMGFilter(),
    EMGResampler(2000, 1000),
    GridMedian(),
    GridRepair(),
    TimeDomainFeatures(),
    TinyMyoClassifier(**LEARNS),
    TinyMyoEmbedder(**TINY),
    TinyMyoPretrainer(**PRETRAINS),
    TinyMyoRegressor(**LEARNS),
]

# The same checks where another engine than torch predicts.
ENGINE_INSTANCES = [
    TinyMyoClassifier(**LEARNS, engine="onnxruntime"),
    TinyMyoEmbedder(**TINY, engine="openvino"),
    TinyMyoEmbedder(**TINY, engine="onnxruntime", precision="int8"),
    TinyMyoRegressor(**LEARNS, engine="onnxruntime"),
]

# Our checks, on other settings too: they take other paths through the code.
WINDOWS_INSTANCES = [
    AllConvNetClassifier(**CONVOLUTIONS),
    AllConvNetClassifier(**CONVOLUTIONS, vote=1, scale=None),
    AllConvNetClassifier("image", **CONVOLUTIONS),
    ArmbandAlignedClassifier(
        make_pipeline(TimeDomainFeatures(), LinearDiscriminantAnalysis()), turn_cost=0
    ),
    ArmbandAlignedClassifier(TinyMyoClassifier(**QUICK)),
    ChannelMapper(),
    ChannelMapper(n_channels=4, missing="repeat"),
    ChannelScaler(),
    ChannelScaler(method="minmax", per="window"),
    ChannelScaler(method="robust"),
    DistilledClassifier(
        TinyMyoClassifier(**QUICK),
        TinyMyoClassifier(**QUICK),
        feature_weight=1.0,
        augment="amplitude",
        views=1,
    ),
    DistilledRegressor(TinyMyoRegressor(**QUICK), TinyMyoRegressor(**QUICK)),
    EMGFilter(),
    EMGFilter(sfreq=200, l_freq=20, h_freq=None, notch=None, phase="causal"),
    EMGResampler(2000, 1000),
    GridMedian(),
    GridRepair(threshold=2),
    TimeDomainFeatures(),
    TinyMyoClassifier(**QUICK),
    TinyMyoClassifier(**QUICK, tune="head", scale="window"),
    TinyMyoClassifier(**QUICK, tune=1, scale=None, augment="published"),
    TinyMyoEmbedder(**TINY),
    TinyMyoEmbedder(**TINY, pooling="mean", scale="window"),
    TinyMyoPretrainer(**PRETRAINS),
    TinyMyoPretrainer(
        **PRETRAINS,
        visible_only=False,
        mask_form="channel",
        targets="raw",
        scale="window",
    ),
    TinyMyoRegressor(**QUICK),
    TinyMyoRegressor(**QUICK, tune="head"),
]


def expected_failures(estimator):
    """Name the checks of scikit-learn that an estimator fails, with the reason."""
    trained = (
        TinyMyoClassifier,
        TinyMyoRegressor,
        DistilledClassifier,
        DistilledRegressor,
    )
    if isinstance(estimator, trained):
        return {
            "check_sample_weight_equivalence_on_dense_data": (
                "a window of weight two and a window given twice are summed in "
                "another order, which shows in the last digits of float32; the "
                "check compares with rtol=1e-7 (see test_weights_are_repetitions)"
            )
        }
    if isinstance(estimator, AllConvNetClassifier):
        return {
            "check_sample_weight_equivalence_on_dense_data": (
                "BatchNorm takes the statistics of a batch, where an image of weight "
                "two stands once; the loss and the scaling do count it twice"
            )
        }
    return {}


def expected_windows_failures(estimator):
    """Name the checks of ours that an estimator fails, with the reason."""
    known = {}
    if isinstance(estimator, AllConvNetClassifier) and estimator.grid is None:
        known["check_windows_flat_equals_3d"] = (
            "a flattened window without a grid is one sample of many electrodes, not "
            "many samples of one (see test_flat_windows)"
        )
    if isinstance(estimator, ArmbandAlignedClassifier):
        known["check_windows_batch_invariance"] = (
            "the turn of an armband is found from all windows of a wearing, so that "
            "a window alone may be answered otherwise; order and repetition have no "
            "influence (see test_order_and_repetition_have_no_influence)"
        )
        if isinstance(estimator.estimator, Pipeline):
            known["check_windows_zero_weight_ignored"] = (
                "a Pipeline takes no sample_weight; the other instance passes"
            )
    return known


def public_estimators():
    """Find the estimator classes among the public names and in public modules."""
    found = {}
    spaces = [sktinymyo]
    spaces += [
        value
        for value in (getattr(sktinymyo, name) for name in sktinymyo.__all__)
        if inspect.ismodule(value)
    ]
    for space in spaces:
        for name in getattr(space, "__all__", ()):
            value = getattr(space, name)
            if inspect.isclass(value) and issubclass(value, BaseEstimator):
                found[name] = value
    return found


def scikit_learn_checks_of(estimator):
    """Give decorator and cases of one estimator; being skipped unseen is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", SkipTestWarning)
        decorator = parametrize_with_checks(
            [estimator], expected_failed_checks=expected_failures
        )
        return decorator, list(decorator.args[1])


def cases(estimators):
    """Join the cases of several estimators."""
    decorators, values = zip(*map(scikit_learn_checks_of, estimators), strict=True)
    first = decorators[0]
    values = [case for cases_of_one in values for case in cases_of_one]
    return pytest.mark.parametrize(first.args[0], values, **first.kwargs)


@cases(INSTANCES)
def test_scikit_learn(estimator, check):
    try:
        check(estimator)
    except SkipTest as reason:
        # A check that does not run must not look like one that passes.
        if "SCIPY_ARRAY_API" not in str(reason):
            pytest.fail(f"skipped: {reason}")
        pytest.skip("runs in test_arrays_under_dispatch")


@pytest.mark.slow
@cases(ENGINE_INSTANCES)
def test_scikit_learn_with_engines(estimator, check):
    pytest.importorskip(estimator.engine)
    test_scikit_learn(estimator, check)


def test_arrays_under_dispatch():
    """The checks left out above need a variable set before SciPy is imported."""
    command = [sys.executable, "-m", "pytest", __file__, "-q", "-k", "check_array_api"]
    result = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        env={**os.environ, "SCIPY_ARRAY_API": "1"},
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    nothing_to_run = 5  # older scikit-learn
    assert result.returncode in (0, nothing_to_run), result.stdout
    assert "skipped" not in result.stdout


@pytest.mark.parametrize(
    ("estimator", "batch_size"),
    [
        (TinyMyoClassifier(**LEARNS), "batch_size"),
        (TinyMyoRegressor(**LEARNS), "batch_size"),
        (
            DistilledClassifier(LogisticRegression(), TinyMyoClassifier(**LEARNS)),
            "student__batch_size",
        ),
        (
            DistilledRegressor(Ridge(), TinyMyoRegressor(**LEARNS)),
            "student__batch_size",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_weights_are_repetitions(estimator, batch_size):
    """The expected failure above is rounding and no more."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((15, 30))
    y = np.arange(15) % 3
    weight = rng.integers(0, 5, size=15)
    estimator = clone(estimator).set_params(random_state=0)
    weighted = clone(estimator).fit(X, y, sample_weight=weight)
    repeated = clone(estimator).set_params(**{batch_size: 64})
    repeated.fit(X.repeat(weight, axis=0), y.repeat(weight))
    method = "predict_proba" if is_classifier(estimator) else "predict"
    np.testing.assert_allclose(
        getattr(weighted, method)(X), getattr(repeated, method)(X), atol=1e-4
    )


@parametrize_with_windows_checks(
    WINDOWS_INSTANCES, expected_failed_checks=expected_windows_failures
)
def test_windows(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_windows_checks(
    ENGINE_INSTANCES, expected_failed_checks=expected_windows_failures
)
def test_windows_with_engines(estimator, check):
    pytest.importorskip(estimator.engine)
    check(estimator)


@pytest.mark.parametrize("instances", [INSTANCES, WINDOWS_INSTANCES])
def test_no_public_estimator_is_forgotten(instances):
    tested = {type(estimator) for estimator in instances}
    assert tested == set(public_estimators().values())
    assert set(public_estimators()) <= set(sktinymyo.__all__)


@pytest.mark.parametrize("estimator", INSTANCES, ids=lambda e: type(e).__name__)
def test_number_of_checks(estimator):
    """Tags that are wrong would switch checks off without a word."""
    generated = len(scikit_learn_checks_of(estimator)[1])
    own = len(windows_checks(estimator))
    print(f"{type(estimator).__name__}: {generated} of scikit-learn, {own} of ours")
    supervised = is_classifier(estimator) or is_regressor(estimator)
    assert generated >= (53 if supervised else 42)
    assert own >= (21 if supervised else 17)


# Not among those that parametrize_with_checks runs, but worth passing: names of
# columns and data frames.
TRANSFORMER_CHECKS = [
    "check_dataframe_column_names_consistency",
    "check_get_feature_names_out_error",
    "check_global_output_transform_pandas",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
]


@pytest.mark.filterwarnings("ignore:X .* feature names:UserWarning")
@pytest.mark.parametrize("check", TRANSFORMER_CHECKS)
@pytest.mark.parametrize(
    "estimator",
    [estimator for estimator in INSTANCES if hasattr(estimator, "transform")],
    ids=lambda e: type(e).__name__,
)
def test_scikit_learn_transformers(estimator, check):
    getattr(scikit_learn_checks, check)(type(estimator).__name__, estimator)


# --------------------------------------------------------------------------
# Canaries: an estimator with a fault must not get through.
# --------------------------------------------------------------------------


class NoisyFeatures(TimeDomainFeatures):
    """Features with noise from NumPy's global generator."""

    def transform(self, X):
        features = super().transform(X)
        # The fault itself: the legacy generator belongs to the caller.
        return features + np.random.normal(size=features.shape)  # noqa: NPY002


class TablesOnly(TimeDomainFeatures):
    """Says that it takes no tables, which switches scikit-learn's checks off."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        return tags


def test_canary_of_scikit_learn():
    results = check_estimator(NoisyFeatures(), on_fail=None, on_skip=None)
    failed = {item["check_name"] for item in results if item["status"] == "failed"}
    assert {"check_methods_subset_invariance", "check_fit_idempotent"} <= failed


def test_canary_of_windows():
    results = check_windows_estimator(NoisyFeatures(), on_fail="return")
    failed = {item["check_name"] for item in results if item["status"] == "failed"}
    assert {"check_windows_global_generators", "check_windows_batch_invariance"} <= (
        failed
    )


def test_canary_of_skipping():
    with pytest.raises(SkipTestWarning, match="Can't test estimator"):
        scikit_learn_checks_of(TablesOnly())
    with pytest.raises(AssertionError, match="two_d_array"):
        check_windows_estimator(TablesOnly())
