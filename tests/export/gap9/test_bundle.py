"""Bundles: whole or not at all, true to their manifest, and not to be fooled."""

import errno
import json
import re
import resource
import shutil

import matplotlib
import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktinymyo import EMGFilter, TinyMyoClassifier, TinyMyoEmbedder
from sktinymyo.exceptions import UnsupportedStepError, WindowsError
from sktinymyo.export.gap9 import (
    BundleError,
    GAP9Bundle,
    PlanError,
    estimate_gap9,
    export_gap9,
)
from sktinymyo.export.gap9 import _export as export_module
from sktinymyo.export.gap9._contract import describe_classes, describe_weights
from sktinymyo.export.gap9._host import missing_tools
from sktinymyo.export.gap9._manifest import Check, check_files, digest, hash_files
from sktinymyo.export.gap9._writing import write_bundle
from sktinymyo.weights import WeightsCard

needs_compiler = pytest.mark.skipif(
    missing_tools("host") is not None, reason=str(missing_tools("host"))
)


def make_windows(n=48):
    rng = np.random.default_rng(0)
    y = np.array(["rest", "fist", "open"])[np.arange(n) % 3]
    strength = 1.0 + np.arange(n) % 3
    return rng.normal(size=(n, 3, 70)) * strength[:, None, None], y


@pytest.fixture(scope="module")
def pipeline():
    X, y = make_windows()
    network = TinyMyoClassifier("random", size="nano", tune="head", random_state=0)
    return make_pipeline(EMGFilter(sfreq=1000, phase="causal"), network).fit(X, y)


@pytest.fixture(scope="module")
def original(pipeline, tmp_path_factory):
    X, y = make_windows()
    path = tmp_path_factory.mktemp("bundles") / "original"
    return export_gap9(pipeline, path, X, y_calib=y, verify=False)


@pytest.fixture
def bundle(original, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(original.path, tmp_path / "bundle")
    return GAP9Bundle(tmp_path / "bundle")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def edit_manifest(bundle, change):
    path = bundle.path / "manifest.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    manifest["sha256"] = digest(manifest)
    path.write_text(json.dumps(manifest))


def status_of(checks):
    return {check.name: check.status for check in checks}


# -- what is in it -----------------------------------------------------------


def test_contents(original):
    files = set(original.manifest["files"])
    assert files >= {
        "model_fp32.onnx",
        "model_int8.onnx",
        "deeploy/network.onnx",
        "deeploy/inputs.npz",
        "deeploy/outputs.npz",
        "src/net.c",
        "src/net.h",
        "src/kernels.c",
        "src/hal_gap9.c",
        "weights.bin",
        "plan.json",
        "ref/crc.json",
        "Makefile",
        "README.md",
    }
    assert original.manifest["files"] == hash_files(original.path)
    contract = original.manifest["input"]
    assert (contract["sfreq_hz"], contract["n_channels"], contract["n_times"]) == (
        1000,
        3,
        70,
    )
    assert contract["filter"]["phase"] == "causal"
    assert original.manifest["classes"]["values"] == ["fist", "open", "rest"]
    assert original.manifest["plan"]["peak_bytes"] == original.plan.peak
    estimates = original.manifest["estimates"]
    assert estimates["published"]["operating_points"]["150MHz"]["energy_mj"]["low"] > 0
    assert "Licence" in original.manifest["weights"]["notice"]
    assert original.manifest["checks"][-1]["status"] == "skipped"
    assert "Licence" in (original.path / "README.md").read_text()


def test_report_and_figures(original):
    matplotlib.use("Agg")
    report = original.report()
    in_use = re.search(r"^L2 +([\d.]+) KB", report, re.MULTILINE)[1]
    readme = (original.path / "README.md").read_text(encoding="utf-8")
    n_bytes = int(re.search(r"L2 (\d+) bytes", readme)[1])
    assert f"{n_bytes / 1024:.1f}" == in_use
    for words in (
        "2 blocks",
        "never measured on a chip",
        "of tables",
        "Licence",
        "fist",
        "no estimate for others",
    ):
        assert words in report
    assert len(original.plot_memory().axes) == 2
    figure = original.plot_cost()
    assert "370MHz" in figure.axes[0].get_xlabel()
    assert " ms (" in figure.axes[0].get_title()
    figure.draw_without_rendering()
    legend = figure.axes[1].get_legend().get_window_extent()
    assert all(not legend.overlaps(axis.get_window_extent()) for axis in figure.axes)
    assert "150MHz" in original.plot_cost("150MHz").axes[0].get_xlabel()
    matplotlib.pyplot.close("all")


def test_estimate_of_the_pipeline_is_that_of_the_bundle(original, pipeline):
    result = estimate_gap9(pipeline)
    assert result.plan == original.plan
    stored = original.manifest["estimates"]["optimised"]["cycles"]
    assert result.to_dict()["optimised"]["cycles"] == stored


def test_numpy_engine_predicts_as_the_quantised_pipeline(original, pipeline):
    X, y = make_windows()
    labels = original.predict(X, engine="numpy")
    assert labels.dtype.kind == "U"
    assert np.mean(labels == pipeline.predict(X)) >= 0.95
    flat = original.predict(X.reshape(len(X), -1), engine="numpy")
    assert np.array_equal(flat, labels)


@needs_compiler
def test_c_program_predicts_the_same_bits(original):
    X, _ = make_windows()
    logits = original.decision_logits(X)
    assert logits.dtype == np.int32
    assert np.array_equal(logits, original.decision_logits(X, engine="numpy"))
    assert len(original.predict(X[:0])) == 0


@pytest.mark.slow
@needs_compiler
def test_verify_checks_all_that_it_can(original):
    checks = original.verify()
    status = status_of(checks)
    assert status.pop("on a chip") == "skipped"
    assert status["C on this machine"] == status["C with sanitizers"] == "passed"
    if missing_tools("rv32") is None:
        assert status["C for RV32IMC"] == "passed"
    assert set(status.values()) <= {"passed", "skipped"}
    assert all(check.detail for check in checks)


def test_missing_compilers_are_said(original, monkeypatch):
    monkeypatch.setenv("PATH", "")
    checks = {check.name: check for check in original.verify()}
    assert checks["C on this machine"].status == "skipped"
    assert "gcc" in checks["C on this machine"].detail
    assert checks["reference in numpy"].status == "passed"


def test_deeploy_graph(original, pipeline):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    folder = original.path / "deeploy"
    graph = onnx.load(folder / "network.onnx")
    kinds = {node.op_type for node in graph.graph.node}
    assert "ReduceMean" not in kinds and "QuantizeLinear" not in kinds
    assert all(n.attribute for n in graph.graph.node if n.op_type == "Gelu")
    windows = np.load(folder / "inputs.npz")["input"]
    logits = np.load(folder / "outputs.npz")["output"]
    session = runtime.InferenceSession(graph.SerializeToString())
    np.testing.assert_allclose(session.run(None, {"input": windows})[0], logits)
    exact = pipeline.predict_proba(original.reference["windows"][:1])
    ours = np.exp(logits) / np.exp(logits).sum()
    # GELU in the tanh form is another function, though a close one.
    assert np.abs(ours - exact).max() < 5e-3


@pytest.mark.parametrize(
    "labels, head",
    [
        (str, [StandardScaler(), LinearDiscriminantAnalysis()]),
        (bool, [LinearSVC()]),
        (float, [RidgeClassifier()]),
    ],
    ids=["lda", "svc", "ridge"],
)
def test_embeddings_with_a_classifier_of_scikit_learn(labels, head, tmp_path):
    X, names = make_windows()
    y = names if labels is str else (names == "rest").astype(labels)
    embedder = TinyMyoEmbedder("random", size="nano", random_state=0)
    pipe = make_pipeline(embedder, *head).fit(X, y)
    bundle = export_gap9(pipe, tmp_path / "new", X, verify=False)
    predicted = GAP9Bundle(bundle.path).predict(X, engine="numpy")
    assert predicted.dtype == y.dtype
    assert np.mean(predicted == pipe.predict(X)) >= 0.95
    status = {check["name"]: check["status"] for check in bundle.manifest["checks"]}
    assert status["model_fp32.onnx beside the pipeline"] == "passed"


def test_licence_is_passed_on():
    card = WeightsCard(name="w", licence="CC-BY-ND-4.0", sharing=False)
    notice = describe_weights(card)["notice"]
    assert "CC-BY-ND-4.0" in notice and "keep it to yourself" in notice
    notice = describe_weights(WeightsCard(name="w", sharing=True))["notice"]
    assert "not stated" in notice and "may be passed on" in notice


def hostile_pipeline(labels):
    X, _ = make_windows()
    network = TinyMyoEmbedder("random", size="nano", random_state=0)
    y = np.array(labels, dtype=object)[np.arange(len(X)) % len(labels)]
    return make_pipeline(network, RidgeClassifier()).fit(X, y), X


def test_labels_of_any_text(tmp_path):
    labels = ['"quote"\\', "new\nline*/", "ünï漢字\u202e", "??/ {0} $(rm) `x`"]
    pipe, X = hostile_pipeline(labels)
    bundle = export_gap9(pipe, tmp_path / "a b 'c\" $d", X, verify=False)
    assert sorted(GAP9Bundle(bundle.path).classes_) == sorted(labels)
    readme = (bundle.path / "README.md").read_text(encoding="utf-8")
    assert '`"new\\nline*/"`' in readme and "`` ??/ {0} $(rm) `x` ``" in readme
    assert "new\nline" not in bundle.report()


def test_labels_that_no_file_can_hold(tmp_path):
    pipe, X = hostile_pipeline(["a", "b\udc80"])
    with pytest.raises(BundleError, match="cannot be written to the manifest"):
        export_gap9(pipe, tmp_path / "new", X)
    assert names_in(tmp_path) == []
    with pytest.raises(BundleError, match="finite numbers"):
        describe_classes([0.0, np.nan])


def test_simulated_windows_in_place_of_recordings(pipeline, original, tmp_path):
    X, _ = make_windows()
    bundle = export_gap9(
        pipeline, tmp_path / "new", X, reference="simulated", verify=False
    )
    stored = bundle.reference["windows"]
    assert stored.shape == (8, 3, 70) and np.ptp(stored) > 0
    assert np.isin(stored, X.astype(np.float32)).mean() < 0.01
    for name in ("deeploy/inputs.npz", "src/vectors.c"):
        assert bundle.manifest["files"][name] != original.manifest["files"][name]
    assert (
        "8 simulated windows, no recordings" in (bundle.path / "README.md").read_text()
    )
    logits = bundle.decision_logits(stored, engine="numpy")
    assert np.array_equal(logits, bundle.reference["logits"])


# -- damage and malice -------------------------------------------------------


@pytest.mark.parametrize("name", ["weights.bin", "src/kernels.c", "model_int8.onnx"])
def test_changed_file_is_named(bundle, name):
    content = bytearray((bundle.path / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle.path / name).write_bytes(content)
    with pytest.raises(BundleError, match=f"{name} was changed"):
        bundle.verify()
    with pytest.raises(BundleError, match=f"{name} was changed"):
        bundle.predict(make_windows()[0])
    status = status_of(bundle.verify(strict=False))
    assert status.pop("files") == "failed" and set(status.values()) == {"skipped"}


def test_every_file_is_guarded(original, bundle):
    for name in original.manifest["files"]:
        path = bundle.path / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert check_files(bundle.path, bundle.manifest) == [f"{name} was changed"]
        path.write_bytes(content)
    path = bundle.path / "manifest.json"
    path.write_text(path.read_text().replace('"fist"', '"rest"', 1))
    with pytest.raises(BundleError, match=r"manifest\.json was changed"):
        GAP9Bundle(bundle.path).predict(make_windows()[0], engine="numpy")


def test_missing_and_additional_files_are_named(bundle):
    (bundle.path / "plan.json").unlink()
    (bundle.path / "src" / "more.c").write_text("int more;")
    with pytest.raises(BundleError, match=r"plan.json is missing; src/more.c is not"):
        bundle.verify()


def test_links_are_refused(bundle):
    (bundle.path / "weights.bin").unlink()
    (bundle.path / "weights.bin").symlink_to("/etc/hostname")
    with pytest.raises(BundleError, match="is a link"):
        bundle.verify()


@pytest.mark.parametrize("name", ["src/main.c", "plan.json"])
def test_foreign_program_is_not_run(bundle, name):
    path = bundle.path / name
    text = path.read_text()
    if name == "plan.json":
        text = text.replace('"kind": "head"', '"kind": "pool"')
    path.write_text(text + "\n ")
    if name == "plan.json":
        path.write_text(text)
    edit_manifest(bundle, lambda m: m.update(files=hash_files(bundle.path)))
    again = GAP9Bundle(bundle.path)
    with pytest.raises(BundleError, match=f"{name} is not what this version"):
        again.predict(make_windows()[0])
    assert status_of(again.verify(strict=False))["C sources"] == "failed"


@needs_compiler
def test_own_sources_run_if_they_are_trusted(bundle):
    with (bundle.path / "src" / "main.c").open("a") as file:
        file.write("/* mine */\n")
    edit_manifest(bundle, lambda m: m.update(files=hash_files(bundle.path)))
    again = GAP9Bundle(bundle.path, trust_sources=True)
    assert len(again.predict(make_windows()[0][:2])) == 2


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/passwd", "src/../../evil", "C:\\evil", "a\\b", "", "./a"]
)
def test_paths_that_escape_are_refused(bundle, name):
    edit_manifest(bundle, lambda m: m["files"].update({name: {"sha256": "0" * 64}}))
    with pytest.raises(BundleError, match="not a plain path inside"):
        GAP9Bundle(bundle.path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda m: m.update(format="other"), "not the manifest of a bundle"),
        (lambda m: m.update(schema_version=99), "schema_version=99"),
        (lambda m: m.pop("classes"), "lacks the section 'classes'"),
        (lambda m: m["files"].update({"plan.json": {}}), "no sha256 of 'plan.json'"),
    ],
)
def test_damaged_manifest(bundle, change, message):
    edit_manifest(bundle, change)
    with pytest.raises(BundleError, match=message):
        GAP9Bundle(bundle.path)


@pytest.mark.parametrize(
    "change",
    [
        lambda m: m["shape"].update(depth=10**9),
        lambda m: m["shape"].update(n_classes=-1),
        lambda m: m["input"]["filter"].update(pad_length=10**9),
        lambda m: m["input"].update(mapper=[[1.0]]),
        lambda m: m["classes"].update(dtype="O8,O8"),
    ],
)
def test_contradicting_manifest(bundle, change):
    edit_manifest(bundle, change)
    with pytest.raises(BundleError):
        GAP9Bundle(bundle.path).predict(make_windows()[0], engine="numpy")


def test_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="no file manifest.json"):
        GAP9Bundle(tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(BundleError, match="not a JSON file"):
        GAP9Bundle(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda X: X[:, :2], r"X has shape \(4, 2, 70\)"),
        (lambda X: X * np.nan, "holds NaN"),
        (lambda X: X * 1e300, "beyond float32"),
        (lambda X: X.astype(str), "real numbers"),
    ],
)
def test_wrong_windows(original, change, message):
    X, _ = make_windows()
    with np.errstate(all="ignore"), pytest.raises(WindowsError, match=message):
        original.predict(change(X[:4]), engine="numpy")


# -- writing -----------------------------------------------------------------


def nothing_written(folder):
    return names_in(folder) == []


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        ({"l2_kb": 8}, PlanError, "does not fit L2"),
        ({"l1_kb": 1}, PlanError, "does not fit L1"),
        ({"profile": "fast"}, ValueError, "profile='fast'"),
        ({"reference": "mine"}, ValueError, "reference='mine'"),
        ({"X": lambda X: X * [np.nan]}, WindowsError, "NaN"),
        ({"X": lambda X: X[:2]}, WindowsError, "too few"),
        ({"X": lambda X: X * 1e-3}, WindowsError, "times as strong"),
        ({"y_calib": ["a"]}, ValueError, "y_calib"),
        ({"y_calib": np.repeat("a", 48)}, ValueError, "no label in y_calib"),
        ({"y_test": ["a"]}, ValueError, "without X_test"),
        ({"X_test": make_windows()[0][:, :1]}, WindowsError, "X_test has shape"),
        ({"X_test": make_windows()[0][:0]}, WindowsError, "X_test holds no windows"),
        ({"X_test": make_windows()[0], "y_test": ["a"]}, ValueError, "y_test has"),
    ],
)
def test_refused_before_anything_is_written(
    pipeline, tmp_path, arguments, error, message
):
    change = arguments.pop("X", lambda X: X)
    with pytest.raises(error, match=message):
        export_gap9(pipeline, tmp_path / "new", change(make_windows()[0]), **arguments)
    assert nothing_written(tmp_path)


def test_a_fitted_search_is_told_to_pass_its_best(tmp_path):
    X, y = make_windows()
    pipe = make_pipeline(TinyMyoEmbedder("random", size="nano"), RidgeClassifier())
    search = GridSearchCV(pipe, {"ridgeclassifier__alpha": [1.0]}, cv=2).fit(X, y)
    with pytest.raises(UnsupportedStepError, match="export its best_estimator_"):
        export_gap9(search, tmp_path / "new", X)
    export_gap9(search.best_estimator_, tmp_path / "new", X, verify=False)


def test_steps_without_integer_form_are_named(tmp_path):
    X, y = make_windows()
    pipe = make_pipeline(EMGFilter(sfreq=1000), LinearDiscriminantAnalysis())
    with pytest.raises(UnsupportedStepError, match="no step is a TinyMyo network"):
        export_gap9(pipe, tmp_path / "new", X)
    assert nothing_written(tmp_path)


def test_calibration_with_one_class_is_noted(pipeline, tmp_path):
    X, y = make_windows()
    rest = y == "rest"
    bundle = export_gap9(
        pipeline, tmp_path / "new", X[rest], y_calib=y[rest], verify=False
    )
    assert "2 classes are not among them" in bundle.manifest["checks"][0]["detail"]


def test_integers_are_compared_on_test_windows(pipeline, tmp_path):
    X, y = make_windows()
    # Labels that are all wrong tell which windows were taken.
    wrong = np.roll(np.unique(y), 1)[np.searchsorted(np.unique(y), pipeline.predict(X))]
    bundle = export_gap9(
        pipeline,
        tmp_path / "new",
        X[::2],
        X_test=X[1::2],
        y_test=wrong[1::2],
        verify=False,
    )
    details = {check["name"]: check["detail"] for check in bundle.manifest["checks"]}
    integers = details["integers beside float"]
    assert f"of {len(X[1::2])} labels" in integers
    assert "calibration did not see, 0.000 in float" in integers
    assert "accuracy 0.000 ->" in details["model_int8.onnx beside float"]
    assert "no estimate" not in " ".join(details.values())


def test_integers_of_an_engine_are_compared_with_float(tmp_path):
    X, y = make_windows()
    network = TinyMyoClassifier(
        "random", size="nano", tune="head", engine="onnxruntime", precision="int8"
    )
    pipe = make_pipeline(EMGFilter(sfreq=1000, phase="causal"), network).fit(X, y)
    bundle = export_gap9(pipe, tmp_path / "new", X, verify=False)
    assert "0.0e+00" not in bundle.report()
    assert pipe[-1].engine == "onnxruntime"
    probabilities = bundle.predict_proba(X, engine="numpy")
    np.testing.assert_allclose(probabilities, pipe.predict_proba(X), atol=0.1)


def test_integers_that_disagree_are_not_written(pipeline, tmp_path, monkeypatch):
    monkeypatch.setattr(export_module, "_LEAST_AGREEMENT", 1.1)
    with pytest.raises(BundleError, match="label of the floats on only"):
        export_gap9(pipeline, tmp_path / "new", make_windows()[0], verify=False)
    assert nothing_written(tmp_path)


def test_failed_check_writes_nothing(pipeline, tmp_path, monkeypatch):
    def fail(bundle, strict):
        return [Check("arithmetic", "failed", "2 + 2")]

    monkeypatch.setattr(export_module.GAP9Bundle, "verify", fail)
    with pytest.raises(BundleError, match=r"arithmetic: 2 \+ 2"):
        export_gap9(pipeline, tmp_path / "new", make_windows()[0])
    assert nothing_written(tmp_path)


@pytest.fixture
def small_disk():
    """No file may become larger than 20 KB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_full_disk_leaves_nothing(pipeline, tmp_path, small_disk):
    with pytest.raises(OSError) as caught:
        export_gap9(pipeline, tmp_path / "new", make_windows()[0], verify=False)
    assert caught.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert nothing_written(tmp_path)


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "full"), KeyboardInterrupt()])
def test_failure_keeps_the_older_bundle(bundle, error):
    before = hash_files(bundle.path)

    def fill(folder):
        (folder / "half").write_text("half")
        raise error

    with pytest.raises(type(error)):
        write_bundle(bundle.path, fill, overwrite=True)
    assert hash_files(bundle.path) == before
    assert names_in(bundle.path.parent) == ["bundle"]


def test_failed_rename_keeps_the_older_bundle(bundle, monkeypatch):
    before, rename = hash_files(bundle.path), type(bundle.path).rename

    def rename_only_old(path, target):
        if path.name.startswith(".bundle."):
            raise OSError(errno.EIO, "broken")
        return rename(path, target)

    monkeypatch.setattr(type(bundle.path), "rename", rename_only_old)
    with pytest.raises(OSError, match="broken"):
        write_bundle(bundle.path, lambda folder: {}, overwrite=True)
    assert hash_files(bundle.path) == before
    assert names_in(bundle.path.parent) == ["bundle"]


def test_existing_folders_are_kept(pipeline, bundle, tmp_path):
    X, _ = make_windows()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years")
    (tmp_path / "file").write_text("text")
    for overwrite in (False, True):
        with pytest.raises(BundleError, match="exists"):
            export_gap9(pipeline, tmp_path / "mine", X, overwrite=overwrite)
        with pytest.raises(BundleError, match="is a file"):
            export_gap9(pipeline, tmp_path / "file", X, overwrite=overwrite)
    with pytest.raises(BundleError, match="overwrite=True"):
        export_gap9(pipeline, bundle.path, X)
    with pytest.raises(BundleError, match="create it first"):
        export_gap9(pipeline, tmp_path / "no" / "where", X)
    (bundle.path / "notes.txt").write_text("mine")
    with pytest.raises(BundleError, match=r"not of it: notes\.txt"):
        export_gap9(pipeline, bundle.path, X, overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years"


def test_bundle_is_replaced(bundle):
    (bundle.path / "build").mkdir()
    (bundle.path / "build" / "net").write_text("built by make")

    def fill(folder):
        (folder / "new.txt").write_text("new")
        return {k: v for k, v in bundle.manifest.items() if k != "files"}

    manifest = write_bundle(bundle.path, fill, overwrite=True)
    assert list(manifest["files"]) == ["new.txt"]
    assert names_in(bundle.path.parent) == ["bundle"]
    assert names_in(bundle.path) == ["manifest.json", "new.txt"]
