"""Bundles of networks for images."""

import json

import numpy as np
import pytest
from sklearn.pipeline import make_pipeline

from sktinymyo import AllConvNetClassifier, EMGFilter
from sktinymyo.export.gap9 import BundleError, GAP9Bundle, export_gap9
from sktinymyo.export.gap9._contract import read_program
from sktinymyo.export.gap9._host import missing_tools

needs_compiler = pytest.mark.skipif(
    missing_tools("host") is not None, reason=str(missing_tools("host"))
)


def make_windows(n=48):
    rng = np.random.default_rng(0)
    y = np.array(["rest", "fist"])[np.arange(n) % 2]
    X = rng.normal(size=(n, 11, 24)).astype(np.float32)
    X[y == "fist", :5] *= 5
    return X, y


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    X, y = make_windows()
    table = np.append(np.arange(11), -1).reshape(4, 3)
    network = AllConvNetClassifier(
        table, vote=10, width=4, max_epochs=3, random_state=0
    )
    pipeline = make_pipeline(EMGFilter(1000, phase="causal"), network).fit(X, y)
    path = tmp_path_factory.mktemp("bundles") / "images"
    return export_gap9(pipeline, path, X, y_calib=y, verify=False), pipeline


@needs_compiler
def test_bundle_passes_every_check_and_predicts(original):
    bundle, pipeline = original
    X, _ = make_windows()
    checks = {check.name: check.status for check in bundle.verify()}
    assert set(checks.values()) <= {"passed", "skipped"}
    assert checks["C on this machine"] == checks["C preprocessing"] == "passed"
    assert (bundle.predict(X) == pipeline.predict(X)).mean() > 0.9
    np.testing.assert_array_equal(
        bundle.decision_logits(X), bundle.decision_logits(X, engine="numpy")
    )


def test_bundle_says_what_it_is(original):
    bundle, _ = original
    report = bundle.report()
    assert "8 convolutions on 4 x 3 cells, 10 images vote, 2 classes" in report
    assert "All weights stay in L2" in report
    assert "Each of the 10 images of a window:" in report
    assert bundle.manifest["plan"]["layers_from_l3_for_every_image"] == []
    image = bundle.manifest["estimates"]["published"]["of_one_image"]
    assert 0 < image["cycles"] < bundle.manifest["estimates"]["published"]["cycles"]
    assert "score of\nthe vote" in (bundle.path / "README.md").read_text()
    axes = bundle.plot_cost().axes[0]
    names = [text.get_text() for text in axes.get_yticklabels()]
    assert names[:3] == ["preprocess", "layers.0", "layers.1"]
    assert "weights that stay" in [
        text.get_text()
        for text in bundle.plot_memory().axes[0].get_legend().get_texts()
    ]


def test_cells_beyond_the_channels_are_refused(original):
    bundle, _ = original
    packed = bytearray((bundle.path / "weights.bin").read_bytes())
    offset, _ = bundle.plan.weights["cells"]
    packed[offset] = 11
    with pytest.raises(BundleError, match="channels that do not exist"):
        read_program(bundle.manifest, bundle.plan, bytes(packed))


@pytest.mark.parametrize(
    "change", [{"n_voting": 30}, {"rows": -1}, {"layers": [3]}, {"layers": "x"}]
)
def test_damaged_shapes_are_refused(original, change, tmp_path):
    bundle, _ = original
    manifest = json.loads((bundle.path / "manifest.json").read_text())
    manifest["shape"] |= change
    with pytest.raises(BundleError, match="shape in the manifest is damaged"):
        read_program(manifest, bundle.plan, b"")


def test_images_themselves_are_taken(tmp_path):
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    X = rng.normal(size=(40, 3, 4)) * (1 + 2 * y)[:, None, None]
    model = AllConvNetClassifier("image", width=2, max_epochs=2, random_state=0)
    bundle = export_gap9(model.fit(X, y), tmp_path / "b", X, verify=False)
    same = bundle.predict(X, engine="numpy") == model.predict(X)
    assert same.mean() > 0.9
    checks = {check.name: check.status for check in bundle.verify()}
    assert checks["model_fp32.onnx"] in ("passed", "skipped")
    assert isinstance(GAP9Bundle(bundle.path), GAP9Bundle)
