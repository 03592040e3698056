"""Graphs against the estimators that they were made from."""

import json
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.discriminant_analysis import (
    LinearDiscriminantAnalysis,
    QuadraticDiscriminantAnalysis,
)
from sklearn.ensemble import (
    RandomForestClassifier,
    RandomForestRegressor,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import (
    LogisticRegression,
    Ridge,
    RidgeClassifier,
    SGDClassifier,
)
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputRegressor
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline, make_union
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC, SVR, LinearSVC

import sktinymyo
from sktinymyo import (
    ArmbandAlignedClassifier,
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    EMGResampler,
    TimeDomainFeatures,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoRegressor,
)
from sktinymyo.exceptions import (
    OptionalDependencyError,
    UnsupportedStepError,
    WindowsError,
)

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
skl2onnx = pytest.importorskip("skl2onnx")

from sktinymyo.export._onnx_session import make_session, run_graph  # noqa: E402
from sktinymyo.export.onnx import (  # noqa: E402
    ExportError,
    quantize_onnx,
    read_contract,
    read_report,
    register_converters,
    to_onnx,
    verify_onnx,
)

FORMS = pytest.mark.parametrize("flat", [False, True], ids=["3d", "2d"])
OPSETS = pytest.mark.parametrize("opset", [18, 20, 22])
NANO = {"weights": "random", "size": "nano", "random_state": 0}


@pytest.fixture(scope="module")
def X():
    """Windows (48, 3, 90): a large offset, and strengths that differ by class."""
    rng = np.random.default_rng(0)
    windows = rng.normal(size=(48, 3, 90)) * (1 + np.arange(48) % 3)[:, None, None]
    return (windows + np.array([0.0, 5.0, 200.0])[:, None]).astype(np.float32)


@pytest.fixture(scope="module")
def y():
    return np.arange(48) % 3


def in_form(X, flat):
    return X.reshape(len(X), -1) if flat else X


def outputs(model, X):
    return run_graph(make_session(model), X)


# -- transformers of windows ---------------------------------------------------------

TRANSFORMERS = {
    "zero-phase": lambda n: EMGFilter(sfreq=200, h_freq=90, n_channels=n),
    "causal": lambda n: EMGFilter(sfreq=200, h_freq=90, phase="causal", n_channels=n),
    "low-pass": lambda n: EMGFilter(
        sfreq=200, l_freq=None, h_freq=60, notch=None, n_channels=n
    ),
    "standard": lambda n: ChannelScaler(n_channels=n),
    "robust": lambda n: ChannelScaler("robust", n_channels=n),
    "standard-window": lambda n: ChannelScaler(per="window", n_channels=n),
    "minmax-window": lambda n: ChannelScaler("minmax", per="window", n_channels=n),
    "robust-window": lambda n: ChannelScaler("robust", per="window", n_channels=n),
    "mapper": lambda n: ChannelMapper([2, 0, 7], missing="zero", n_channels_in=n),
    "same-order": lambda n: ChannelMapper(n_channels_in=n),
    "up": lambda n: EMGResampler(200, 500, n_channels=n),
    "down": lambda n: EMGResampler(200, 90, n_channels=n),
    "same-rate": lambda n: EMGResampler(200, 200, n_channels=n),
}


@FORMS
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_transformers_of_windows(name, flat, X):
    step = TRANSFORMERS[name](3 if flat else None)
    expected = step.fit_transform(in_form(X, flat))
    # Per window the step itself computes in float32 and rounds the large offset.
    tolerance = 1e-4 if name.endswith("window") else 2e-6
    model = to_onnx(step, in_form(X, flat), tolerance=tolerance)
    (result,) = outputs(model, in_form(X, flat))
    assert result.shape == expected.shape
    assert result.dtype == np.float32


@pytest.mark.parametrize("method", ["standard", "minmax", "robust"])
def test_constant_channel_of_a_window(method):
    X = np.random.default_rng(0).normal(size=(4, 2, 30)).astype(np.float32)
    X[1, 1] = 3.3
    step = ChannelScaler(method, per="window").fit(X)
    (result,) = outputs(to_onnx(step, X), X)
    assert np.abs(result[1, 1]).max() < 1e-5


def test_dead_channel_of_a_filter(X):
    X = X.copy()
    X[:, 1] = 5.0
    to_onnx(EMGFilter(sfreq=200, h_freq=90).fit(X), X)


ALL_FEATURES = ["htd", "hjorth", "ls9", "tdpsd", "log_var"]


@FORMS
@pytest.mark.parametrize("threshold", [0.0, 1.5])
def test_every_feature(flat, threshold, X):
    step = TimeDomainFeatures(
        ALL_FEATURES,
        threshold=threshold,
        willison_threshold=1.0,
        n_channels=3 if flat else None,
    ).fit(in_form(X, flat))
    report = read_report(to_onnx(step, in_form(X, flat), tolerance=1e-4))
    assert report.n_above == 0


@pytest.mark.parametrize("n_times", [1, 2, 3])
def test_features_of_very_short_windows(n_times):
    X = np.random.default_rng(0).normal(size=(40, 2, n_times)).astype(np.float32)
    step = TimeDomainFeatures(ALL_FEATURES).fit(X)
    (result,) = outputs(to_onnx(step, X, verify=False), X)
    np.testing.assert_allclose(result, step.transform(X), rtol=1e-3, atol=1e-3)


def test_unknown_feature_is_named(X, monkeypatch):
    from sktinymyo.export import _onnx_features

    monkeypatch.delitem(_onnx_features.WRITERS, "ssc")
    step = TimeDomainFeatures().fit(X)
    with pytest.raises(UnsupportedStepError, match="ssc"):
        to_onnx(step, X)


# -- pipelines -----------------------------------------------------------------------


def classical():
    return make_pipeline(
        EMGFilter(sfreq=200, h_freq=90),
        ChannelScaler(),
        TimeDomainFeatures(),
        LinearDiscriminantAnalysis(),
    )


def embedded(last=None):
    last = LogisticRegression() if last is None else last
    return make_pipeline(TinyMyoEmbedder(**NANO), StandardScaler(), last)


@OPSETS
@pytest.mark.parametrize("make", [classical, embedded])
def test_pipelines_with_and_without_our_function(make, opset, X, y):
    pipeline = make().fit(X, y)
    model = to_onnx(pipeline, X[:1], target_opset=opset)
    report = read_report(model)
    assert report.output == "predict_proba"
    assert report.max_difference < 1e-5
    assert model.ir_version <= 10
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 0
    assert {d.version for d in model.opset_import if d.domain == ""} == {opset}
    onnx.checker.check_model(model, full_check=True)

    register_converters()
    plain = skl2onnx.to_onnx(
        pipeline, X[:1], target_opset=opset, options={id(pipeline): {"zipmap": False}}
    )
    labels, probabilities = outputs(plain, X)
    np.testing.assert_allclose(probabilities, pipeline.predict_proba(X), atol=1e-5)
    assert labels.tolist() == pipeline.predict(X).tolist()


def test_any_number_of_windows(X, y):
    model = to_onnx(embedded().fit(X, y), X[:1])
    session = make_session(model)
    for n_windows in (1, 7):
        labels, _ = session.run(None, {"X": X[:n_windows]})
        assert labels.shape == (n_windows,)


@pytest.mark.parametrize("last", [LinearSVC(), RidgeClassifier()])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_classifiers_without_probabilities(last, n_classes, X, y):
    model = to_onnx(embedded(last).fit(X, y % n_classes), X)
    assert read_report(model).output == "decision_function"


@pytest.mark.parametrize("names", [[5, -3, 9], ["rest", "fist", "öffnen"]])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "last",
    [LinearDiscriminantAnalysis(), QuadraticDiscriminantAnalysis(reg_param=0.1)],
)
def test_discriminants(last, n_classes, names, X, y):
    labels = np.array(names)[y % n_classes]
    pipeline = make_pipeline(TimeDomainFeatures(["rms"]), last).fit(X, labels)
    for options in ({"zipmap": True}, {"zipmap": "columns"}, {}):
        report = read_report(to_onnx(pipeline, X, **options))
        assert report.label_agreement == 1.0
    raw = to_onnx(pipeline, X, options={"raw_scores": True, "nocl": True})
    assert read_report(raw).output == "decision_function"
    assert outputs(raw, X)[0].dtype == np.int64
    # Other converters take its scores, each in the form that it knows.
    inner = CalibratedClassifierCV(last, cv=2) if n_classes == 2 else last
    vote = VotingClassifier([("a", inner), ("b", GaussianNB())], voting="soft")
    pipeline = make_pipeline(TimeDomainFeatures(["rms"]), vote).fit(X, labels)
    assert read_report(to_onnx(pipeline, X)).label_agreement == 1.0


LAST = [
    LogisticRegression(),
    LinearSVC(),
    SGDClassifier(),
    RidgeClassifier(),
    RandomForestClassifier(5, random_state=0),
    KNeighborsClassifier(),
    GaussianNB(),
    MLPClassifier((8,), max_iter=50),
    CalibratedClassifierCV(SVC(), cv=2),
    StackingClassifier([("one", LinearDiscriminantAnalysis())], cv=2),
]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("last", LAST, ids=lambda last: type(last).__name__)
def test_last_steps_of_the_guide(last, n_classes, X, y):
    for names in (np.array([5, -3, 9]), np.array(["rest", "fist", "öffnen"])):
        steps = TimeDomainFeatures(["rms"]), StandardScaler(), last
        pipeline = make_pipeline(*steps).fit(X, names[y % n_classes])
        assert read_report(to_onnx(pipeline, X)).label_agreement == 1.0


@pytest.mark.parametrize(
    "last",
    [Ridge(), RandomForestRegressor(5, random_state=0), MultiOutputRegressor(SVR())],
)
def test_regressors_of_several_targets(last, X):
    targets = np.stack([X.std(axis=(1, 2)), 1000 * X[:, 0].std(axis=1)], axis=1)
    pipeline = make_pipeline(TimeDomainFeatures(["rms"]), StandardScaler(), last)
    (result,) = outputs(to_onnx(pipeline.fit(X, targets), X), X)
    np.testing.assert_allclose(result, pipeline.predict(X), rtol=1e-4)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_labels_that_do_not_follow_the_probabilities(X, y):
    last = SGDClassifier(loss="modified_huber", random_state=0)
    pipeline = make_pipeline(TimeDomainFeatures(["rms", "wl"]), last).fit(X, y)
    pattern = "other labels than predict.*raw_scores"
    with pytest.raises(ExportError, match=pattern):
        to_onnx(pipeline, X)
    model = to_onnx(pipeline, X, options={"raw_scores": True})
    assert read_report(model).label_agreement == 1.0


def test_contract(X, y, tmp_path):
    steps = EMGFilter(sfreq=200, h_freq=90), EMGResampler(200, 100), embedded()
    pipeline = make_pipeline(*steps).fit(X, np.array(["a", "b", "c"])[y])
    to_onnx(pipeline, X, path=tmp_path / "model.onnx")
    contract = read_contract(tmp_path / "model.onnx")
    assert (contract.shape, contract.n_channels, contract.n_times) == ((3, 90), 3, 90)
    assert contract.sfreq == 200
    assert contract.unit == "as in fit"
    assert contract.classes == ["a", "b", "c"]
    assert (contract.weights, contract.version) == (
        "random (nano)",
        sktinymyo.__version__,
    )
    assert "at 200 Hz, unit as in fit; gives predict_proba" in str(contract)
    flat = X.reshape(48, -1)
    scaler = to_onnx(ChannelScaler(n_channels=3).fit(flat), flat)
    contract = read_contract(scaler)
    assert (contract.shape, contract.n_channels, contract.sfreq) == ((270,), 3, None)
    assert contract.weights is None
    # Columns for one electrode say nothing of the others.
    first = ChannelScaler(n_channels=1)
    column = ColumnTransformer([("one", first, list(range(90)))]).fit(flat)
    assert read_contract(to_onnx(column, flat)).n_channels is None
    vote = VotingClassifier([("one", pipeline)], voting="soft").fit(X, y)
    contract = read_contract(to_onnx(vote, X))
    assert (contract.sfreq, contract.weights) == (200, "random (nano)")
    register_converters()
    assert read_contract(skl2onnx.to_onnx(pipeline[:1], X[:1])) is None


def test_union_search_and_nested_pipeline(X, y):
    union = make_union(TinyMyoEmbedder(**NANO), TimeDomainFeatures(["rms", "wl"]))
    inner = make_pipeline(ChannelScaler(), union)
    pipeline = make_pipeline(inner, StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipeline, {"logisticregression__C": [0.1, 1.0]}, cv=2)
    model = to_onnx(search.fit(X, y), X)
    assert read_report(model).max_difference < 1e-5
    search = clone(search).set_params(refit=False).fit(X, y)
    with pytest.raises(UnsupportedStepError, match="refit=False.*best_params_"):
        to_onnx(search, X)


def test_steps_that_do_nothing(X, y):
    union = FeatureUnion([("all", TinyMyoEmbedder(**NANO)), ("none", "drop")])
    steps = [("idle", None), ("union", union), ("same", "passthrough")]
    model = to_onnx(Pipeline(steps).fit(X), X)
    assert read_report(model).output == "transform"
    last = ("last", LogisticRegression(max_iter=1000))
    pipeline = Pipeline([*steps, last]).fit(X, y)
    assert verify_onnx(to_onnx(pipeline, X), pipeline, X).label_agreement == 1.0


@pytest.mark.parametrize("dtype", [np.float64, np.int64, np.int8])
def test_other_types_through_plain_skl2onnx(dtype, y):
    X = np.random.default_rng(0).integers(-100, 100, size=(48, 3, 40)).astype(dtype)
    register_converters()
    embedder = TinyMyoEmbedder(**NANO).fit(X)
    session = make_session(skl2onnx.to_onnx(embedder, X[:1]))
    (result,) = session.run(None, {"X": X})
    np.testing.assert_allclose(result, embedder.transform(X), atol=1e-5)


# -- labels and options --------------------------------------------------------------

LABELS = {
    "int": np.array([-3, 7, 1000]),
    "str": np.array(["fist", "rest", "öffnen"]),
    "object": np.array(["fist", "open", "rest"], dtype=object),
    "bool": np.array([False, True]),
    "uint8": np.array([3, 5, 250], dtype=np.uint8),
    "float": np.array([1.0, 2.0, 3.0]),
}


@pytest.fixture(scope="module")
def classifiers(X):
    codes = np.arange(48)
    return {
        kind: TinyMyoClassifier(**NANO, max_epochs=1).fit(X, names[codes % len(names)])
        for kind, names in LABELS.items()
    }


@pytest.mark.parametrize("kind", LABELS)
@pytest.mark.parametrize("zipmap", [False, True, "columns"])
def test_label_types(kind, zipmap, classifiers, X):
    classifier = classifiers[kind]
    model = to_onnx(classifier, X, zipmap=zipmap)
    report = read_report(model)
    assert report.label_agreement == 1.0
    assert report.max_difference < 1e-5
    labels, *scores = outputs(model, X)
    assert labels.tolist() == classifier.predict(X).tolist()
    assert len(scores) == (len(LABELS[kind]) if zipmap == "columns" else 1)
    if zipmap is True:
        assert list(scores[0][0]) == LABELS[kind].tolist()
    stored = {p.key: p.value for p in model.metadata_props}
    assert json.loads(stored["sktinymyo.classes"]) == LABELS[kind].tolist()


@pytest.mark.parametrize("kind", ["str", "bool"])
def test_options_of_the_classifier(kind, classifiers, X):
    classifier = classifiers[kind]
    model = to_onnx(classifier, X, options={"raw_scores": True})
    assert read_report(model).output == "decision_function"
    model = to_onnx(classifier, X, options={"nocl": True})
    labels, _ = outputs(model, X)
    assert (classifier.classes_[labels] == classifier.predict(X)).all()
    with pytest.raises(ValueError, match=r"options=\['speed'\].*raw_scores"):
        to_onnx(classifier, X, options={"speed": 1})


@pytest.mark.parametrize("shape", [(), (1,), (3,), (11, 2), (4, 1)])
def test_regressors(shape, X):
    y = 100 + 30 * np.random.default_rng(1).normal(size=(48, *shape))
    regressor = TinyMyoRegressor(**NANO, max_epochs=1).fit(X, y)
    model = to_onnx(regressor, X, tolerance=1e-5)
    (result,) = outputs(model, X)
    assert result.shape == (48, *(shape or (1,)))


# -- what is refused -----------------------------------------------------------------


class Unknown(TransformerMixin, BaseEstimator):
    """A step that no graph knows."""

    def fit(self, X, y=None):
        self.fitted_ = True
        return self

    def transform(self, X):
        return X


def test_all_unsupported_steps_are_listed(X, y):
    aligned = ArmbandAlignedClassifier(classical(), align_training=False)
    pipeline = make_pipeline(Unknown(), aligned).fit(X, y)
    with pytest.raises(UnsupportedStepError, match="2 step.*\n.*'unknown'") as caught:
        to_onnx(pipeline, X)
    assert "Unknown" in str(caught.value)
    assert "ChannelMapper" in str(caught.value)
    register_converters()
    with pytest.raises(UnsupportedStepError, match="ArmbandAligned"):
        skl2onnx.to_onnx(aligned.fit(X, y), X[:1])


def test_what_skl2onnx_itself_refuses_is_named(X, y):
    hidden = make_pipeline(FunctionTransformer(np.abs), LogisticRegression())
    last = ("vote", VotingClassifier([("one", hidden)]))
    inner = make_pipeline(TimeDomainFeatures(["rms"]), StandardScaler())
    pipeline = Pipeline([("inner", inner), last]).fit(X, y)
    with pytest.raises(UnsupportedStepError, match=r"skl2onnx .* 'vote' \(Voting"):
        to_onnx(pipeline, X)


def test_what_has_no_form_in_a_graph(X, y):
    several = np.stack([y > 0, y > 1], axis=1)
    pipeline = make_pipeline(TimeDomainFeatures(["rms"]), RidgeClassifier())
    with pytest.raises(UnsupportedStepError, match="several labels a window"):
        to_onnx(pipeline.fit(X, several), X)
    table = pd.DataFrame(X.reshape(48, -1)).add_prefix("t")
    named = ColumnTransformer([("scaler", StandardScaler(), ["t0", "t1"])])
    with pytest.raises(UnsupportedStepError, match="columns by name.*by number"):
        to_onnx(named.fit(table), table)
    last = LinearSVC().fit(X.reshape(48, -1), y)
    model = to_onnx(embedded().fit(X, y), X)
    with pytest.raises(ExportError, match="predict_proba, which LinearSVC"):
        verify_onnx(model, last, X.reshape(48, -1))


def test_graphs_that_are_none(tmp_path, X, y):
    pipeline = embedded().fit(X, y)
    path = tmp_path / "model.onnx"
    model = to_onnx(pipeline, X, path=path)
    path.write_bytes(path.read_bytes()[:1000])
    (tmp_path / "empty.onnx").touch()
    with pytest.raises(ValueError, match="not an ONNX file, or a damaged one"):
        quantize_onnx(path, X)
    with pytest.raises(ValueError, match="holds no graph"):
        read_contract(tmp_path / "empty.onnx")
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_report(tmp_path / "nothing.onnx")
    with pytest.raises(TypeError, match="what to_onnx returned.*Pipeline"):
        quantize_onnx(pipeline, X)
    with pytest.raises(ValueError, match="int8 graph already"):
        quantize_onnx(quantize_onnx(model, X), X)
    entry = next(p for p in model.metadata_props if p.key.endswith("verification"))
    entry.value = "{"
    with pytest.raises(ValueError, match="damaged, or of another version"):
        read_report(model)


def test_functions_in_a_pipeline(X):
    steps = [
        ("own", make_pipeline(FunctionTransformer(np.abs))),
        ("s", ChannelScaler()),
    ]
    with pytest.raises(UnsupportedStepError, match="'own__functiontransf.*absolute"):
        to_onnx(Pipeline(steps).fit(X), X)


def test_classifier_in_the_middle(X, y):
    classifier = TinyMyoClassifier(**NANO, max_epochs=1)
    last = LogisticRegression(max_iter=1000)
    pipeline = make_pipeline(classifier, last).fit(X, y)
    with pytest.raises(UnsupportedStepError, match="TinyMyoEmbedder"):
        to_onnx(pipeline, X)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"target_opset": 17}, ValueError, "target_opset.*got 17"),
        ({"target_opset": 23}, ValueError, "target_opset.*got 23"),
        ({"tolerance": -1}, ValueError, "tolerance"),
        ({"zipmap": "rows"}, TypeError, "zipmap"),
        ({"verify": "no"}, TypeError, "verify"),
        ({"path": "model.pb"}, ValueError, r"\.onnx"),
        ({"path": "/nowhere/model.onnx"}, ValueError, "no folder"),
        ({"tolerance": 0.0}, ExportError, "tolerance"),
    ],
)
def test_wrong_arguments(arguments, error, match, X, y):
    pipeline = embedded().fit(X, y)
    with pytest.raises(error, match=match):
        to_onnx(pipeline, X, **arguments)


def test_wrong_windows(X, y):
    pipeline = embedded().fit(X, y)
    for wrong in (X.reshape(48, -1), X[:, :2]):
        with pytest.raises(
            WindowsError, match=r"tinymyoembedder.*\(n_windows, 3, 90\)"
        ):
            to_onnx(pipeline, wrong)
    register_converters()
    with pytest.raises(WindowsError, match=r"would get \(n_windows, 2, 90\)"):
        skl2onnx.to_onnx(pipeline, X[:1, :2])
    with pytest.raises(WindowsError, match="X_verify"):
        to_onnx(pipeline, X, X_verify=X[:, :2])
    with pytest.raises(WindowsError, match="NaN"):
        to_onnx(pipeline, np.full_like(X, np.nan))


def test_not_fitted_and_half_precision(X):
    with pytest.raises(NotFittedError):
        to_onnx(embedded(), X)
    for engine, precision in (("torch", "bf16"), ("onnxruntime", "int8")):
        embedder = TinyMyoEmbedder(**NANO, engine=engine, precision=precision).fit(X)
        with pytest.raises(ExportError, match=r"set_params\(precision='float32'\)"):
            to_onnx(embedder, X)
        piped = Pipeline([("scaler", ChannelScaler()), ("net", embedder)])
        with pytest.raises(ExportError, match=r"\(net__precision='float32'\)"):
            to_onnx(piped.fit(X), X)
        assert to_onnx(embedder.set_params(precision="float32"), X)


def test_tables(X, y):
    table = pd.DataFrame(X.reshape(48, -1)).add_prefix("t")
    step = make_pipeline(ChannelScaler(n_channels=3), GaussianNB()).fit(table, y)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        to_onnx(step, table)


def test_long_windows_of_a_filter(monkeypatch, X):
    from sktinymyo.export import _onnx_preprocessing

    monkeypatch.setattr(_onnx_preprocessing, "_LONGEST_WINDOW", 50)
    with pytest.raises(UnsupportedStepError, match="before windows are cut"):
        to_onnx(EMGFilter(sfreq=200, h_freq=90).fit(X), X)


def test_a_graph_that_is_wrong(X, y):
    pipeline = embedded().fit(X, y)
    model = to_onnx(pipeline, X)
    other = embedded().fit(X[::-1], (y + 1) % 3)
    assert verify_onnx(model, pipeline, X).n_above == 0
    pattern = "differs from predict_proba.*most likely LogisticRegression"
    with pytest.raises(ExportError, match=pattern):
        verify_onnx(model, other, X)


def test_a_difference_in_a_bundle_advises_what_its_caller_has(
    tmp_path, X, y, monkeypatch
):
    from sktinymyo.export import gap9, onnx

    def refuse(*arguments, **options):
        raise ExportError("the graph differs.", "Pass a larger tolerance=.")

    monkeypatch.setattr(onnx, "to_onnx", refuse)
    classifier = TinyMyoClassifier(**NANO, tune="head").fit(X, y)
    with pytest.raises(gap9.BundleError, match="graph differs. A bundle") as caught:
        gap9.export_gap9(classifier, tmp_path / "bundle", X, verify=False)
    assert "larger tolerance" not in str(caught.value)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["skl2onnx", "onnxruntime"])
def test_missing_packages(package, X, y, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(OptionalDependencyError, match=r"sktinymyo\[export\]"):
        to_onnx(classical().fit(X, y), X)


# -- files ---------------------------------------------------------------------------


def test_file_is_whole_or_not_there(tmp_path, X, y, monkeypatch):
    path = tmp_path / "model.onnx"
    pipeline = embedded().fit(X, y)
    to_onnx(pipeline, X, path=path)
    assert read_report(path) == read_report(str(path))
    assert verify_onnx(path, pipeline, X).n_above == 0
    before = path.read_bytes()
    with pytest.raises(ExportError):
        to_onnx(pipeline, X, path=path, tolerance=0.0)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        to_onnx(pipeline, X, path=path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.onnx"]


def test_not_verified_has_no_report(X):
    assert read_report(to_onnx(ChannelScaler().fit(X), X, verify=False)) is None
