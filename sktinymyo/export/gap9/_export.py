"""From a fitted pipeline to a bundle."""

import json
from dataclasses import asdict

import numpy as np

from ..._validation import check_choice, check_truth
from ...exceptions import BundleError, WindowsError
from .._onnx_int8 import share_windows
from ._bundle import N_LINKED, GAP9Bundle, check_target, write_bundle
from ._checks import checksums
from ._contract import (
    describe_classes,
    describe_input,
    describe_scales,
    describe_weights,
)
from ._cost import OPERATING_POINTS
from ._estimate import check_memory, plan_pipeline
from ._manifest import Check
from ._readme import render_readme
from ._tables import constant_bytes

__all__ = ["export_gap9"]

_N_REFERENCE = 8
# Of test windows, which are an estimate the better the more they are.
_MOST_TESTED = 1000
# Both graphs and the integers are compared on so many of the calibration windows.
_MOST_COMPARED = 200
# Long windows of images are many runs each; fewer of them say as much.
_MOST_IMAGES, _FEWEST_COMPARED = 20_000, 16
# Less is a fault of the calibration, not rounding, which costs a few of a hundred.
_LEAST_AGREEMENT = 0.7
_REFERENCES = ("calibration", "simulated")


def export_gap9(
    pipeline,
    path,
    X_calib,
    *,
    y_calib=None,
    X_test=None,
    y_test=None,
    reference="calibration",
    profile="370MHz",
    l1_kb=100,
    l2_kb=1400,
    overwrite=False,
    verify=True,
):
    """Write a bundle for a GAP9: the network in integers, as C, with proof.

    The folder appears whole or not at all. What cannot be exported, or does not fit
    the memory, is refused before anything is written.

    Parameters
    ----------
    pipeline : TinyMyoClassifier, AllConvNetClassifier or sklearn.pipeline.Pipeline
        Fitted; of what :func:`sktinymyo.export.quantize.quantize` takes.
    path : str or path
        Folder to write, in a folder that exists.
    X_calib : array-like of shape (n_windows, n_channels, n_times) or \
            (n_windows, n_channels * n_times)
        Raw windows, as `pipeline` takes them: at least 8, better some hundred of all
        gestures. Eight of them go into the bundle, unless `reference` says otherwise.
    y_calib : array-like of shape (n_windows,) or None, default=None
        Their labels, for the accuracies in the manifest if there is no `X_test`. These
        say whether the integers keep the answers of the floats; they are no estimate
        for other windows, the less so if the pipeline was trained on these.
    X_test : array-like of the form of X_calib, or None, default=None
        Windows of recordings that neither training nor calibration saw, on which the
        integers and the int8 graph are compared with floats; at most 1,000 of them,
        spread evenly. None compares on windows of the calibration.
    y_test : array-like of shape (n_windows,) or None, default=None
        Labels of `X_test`, for the accuracies in the manifest.
    reference : {"calibration", "simulated"}, default="calibration"
        Which eight windows the bundle holds to be checked with. "calibration" takes
        those that are most like what the device will see. They are recordings of a
        person: whoever gets the bundle gets them. "simulated" takes noise with the
        mean and the spread of every channel, and no recording leaves your machine.
    profile : {"370MHz", "240MHz", "150MHz"}, default="370MHz"
        Operating point of the report. The manifest has the estimates of all.
    l1_kb, l2_kb : int, default=100, 1400
        Memory that the program may take, in units of 1024 bytes: what 128 KB and
        1.5 MB leave beside stacks, code and the SDK.
    overwrite : bool, default=False
        Replace a bundle that is there. Any other folder is refused.
    verify : bool, default=True
        Make all checks that this machine allows before the bundle gets its name, and
        write nothing if one fails.

    Returns
    -------
    bundle : GAP9Bundle

    Raises
    ------
    UnsupportedStepError
        If steps have no integer form; all are named, with what can take their place.
    PlanError
        If the network does not fit the memory; the largest tensors are named.
    BundleError
        If something stands at `path` that must stay, or a check failed. One of them:
        at least seven of ten windows have the same label in integers as in float.
    WindowsError
        If the windows hold NaN, are constant, too few, of another shape, or 30 times
        stronger or weaker than those of `fit`.
    OptionalDependencyError
        If onnx, onnxruntime or skl2onnx is not installed.

    See Also
    --------
    estimate_gap9 : Memory, time and energy alone.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoClassifier
    >>> from sktinymyo.export.gap9 import export_gap9
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["rest", "fist"], 20)
    >>> X = rng.normal(size=(40, 2, 60)) * np.where(y == "fist", 3, 1)[:, None, None]
    >>> classifier = TinyMyoClassifier("random", size="nano", tune="head")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     bundle = export_gap9(
    ...         classifier.fit(X, y), Path(folder) / "fist", X, verify=False)
    ...     bundle.predict(X[:3], engine="numpy").shape
    (3,)
    """
    check_choice("profile", profile, OPERATING_POINTS)
    check_truth("overwrite", overwrite)
    check_truth("verify", verify)
    check_choice("reference", reference, _REFERENCES)
    check_memory(l1_kb, l2_kb)
    if y_test is not None and X_test is None:
        raise ValueError(
            "y_test was given without X_test, the windows that it labels; pass both, "
            "or y_calib for the labels of X_calib."
        )
    _require_packages()
    path = check_target(path, overwrite=overwrite)

    from .._pipeline import in_float, read_pipeline
    from ..quantize import as_labels, as_raw_windows, quantize

    # An engine of the pipeline rounds in its own way; the floats are torch's.
    pipeline = in_float(pipeline)
    # Whether it fits does not depend on the windows, and is known at once;
    # so is whether the labels can be written.
    model = read_pipeline(pipeline)
    describe_classes(model.classes)
    estimate = plan_pipeline(model, l1_kb, l2_kb, profile)
    if X_test is not None:
        X_test = as_raw_windows("X_test", X_test, model)
        y_test = as_labels("y_test", y_test, len(X_test), model.classes)
        if not len(X_test):
            raise WindowsError(
                "X_test holds no windows; pass some, or leave it out to compare on "
                "windows of X_calib."
            )
    quantized = quantize(pipeline, X_calib, y_calib=y_calib)
    export = _Export(pipeline, quantized, estimate, reference, verify)
    export.set_windows(X_calib, y_calib, X_test, y_test)
    write_bundle(path, export.fill, overwrite=overwrite)
    return GAP9Bundle(path)


def _require_packages():
    from ..._optional import import_optional

    for package in ("onnx", "onnxruntime", "skl2onnx"):
        import_optional(package, extra="export", purpose="export_gap9")


class _Export:
    """Everything that goes into a bundle."""

    def __init__(self, pipeline, quantized, estimate, reference, verify):
        self.pipeline, self.quantized = pipeline, quantized
        self.estimate, self.plan = estimate, estimate.plan
        self.model, self.program = quantized.model, quantized.program
        self.checks = []
        self.source, self.verify = reference, verify

    def set_windows(self, X_calib, y_calib, X_test, y_test):
        """Take the windows of the calibration, and choose those that are compared."""
        self.given = np.asarray(X_calib)
        size = self.program.preprocess.n_channels_in, self.program.shape.n_times
        self.windows = self.given.reshape(len(self.given), *size)
        if self.source == "simulated":
            windows = _simulated(self.windows, _N_REFERENCE)
        else:
            good = np.delete(self.windows, self.quantized.artefacts_, axis=0)
            windows = good[_spread(len(good), _N_REFERENCE)]
        self.reference = np.ascontiguousarray(windows, dtype=np.float32)

        n_images = self.program.shape.n_runs
        most = max(_MOST_IMAGES // n_images, _FEWEST_COMPARED)
        self.calibration = self.given[
            _spread(len(self.given), min(_MOST_COMPARED, most))
        ]
        if X_test is None:
            X_test, y_test, most = self.given, y_calib, min(_MOST_COMPARED, most)
        else:
            X_test = X_test.reshape(-1, *self.given.shape[1:])
            most = min(_MOST_TESTED, most)
        some = _spread(len(X_test), most)
        self.tested_on = X_test[some]
        self.tested_labels = None if y_test is None else np.asarray(y_test)[some]
        self.held_out = not share_windows(
            self.given.astype(np.float32), X_test.astype(np.float32)
        )

    def fill(self, folder):
        """Write all files but the manifest, and return the manifest's content."""
        self._compare_integers()
        classes = describe_classes(
            self.program_classes(), self.program.metadata.get("probabilities")
        )
        content = {
            "created_by": _created_by(),
            "steps": list(self.model.steps),
            "shape": asdict(self.program.shape),
            "input": describe_input(
                self.program, self.windows, self.model.card, self.model.given_shape
            ),
            "classes": classes,
            "scales": describe_scales(self.program),
            "plan": _summary(self.plan),
            "estimates": {"operating_point": self.estimate.profile}
            | self.estimate.to_dict(),
            "weights": describe_weights(self.model.card),
            "reference": {"n_windows": len(self.reference), "source": self.source},
        }
        self._write_reference(folder)
        self._write_graphs(folder)
        self._write_deeploy(folder)
        self._write_sources(folder)
        plan = json.dumps(self.plan.to_dict(), indent=1)
        (folder / "plan.json").write_text(plan + "\n", encoding="utf-8")
        readme = render_readme(content, self.plan)
        (folder / "README.md").write_text(readme, encoding="utf-8")
        content["checks"] = [asdict(check) for check in self._check(folder, content)]
        return content

    def program_classes(self):
        """Labels in the order of the logits."""
        return self.quantized.classes_

    def _note(self, name, detail, status="passed"):
        self.checks.append(Check(name, status, detail))

    def _compare_integers(self):
        """Note how far the integers are from the float pipeline."""
        labels = self.tested_labels
        report = self.quantized.report(self.tested_on, labels)
        if report.agreement < _LEAST_AGREEMENT and report.n_windows >= _N_REFERENCE:
            raise BundleError(
                "nothing was written, for a check failed: the integers have the label "
                f"of the floats on only {report.agreement:.0%} of {report.n_windows} "
                "windows. Pass more windows of all gestures as X_calib; windows much "
                "stronger than those of X_calib are cut off."
            )
        words = f"{report.agreement:.1%} of {report.n_windows} labels as in float"
        if labels is not None:
            which = (
                "these windows, which the calibration did not see,"
                if self.held_out
                else "these calibration windows (no estimate for others)"
            )
            words += (
                f"; accuracy on {which} {report.accuracy_float:.3f} in float, "
                f"{report.accuracy_integer:.3f} in integers"
            )
            n_missing = len(set(self.program_classes()) - set(labels.tolist()))
            if n_missing:
                words += f"; {n_missing} classes are not among them"
        if len(self.quantized.artefacts_):
            words += (
                f"; {len(self.quantized.artefacts_)} windows of the calibration were "
                "left out as artefacts"
            )
        self._note("integers beside float", words)

    def _write_reference(self, folder):
        """Write windows, results and checksums."""
        windows = self.reference
        q_input = self.quantized.quantize_windows(windows)
        logits, crc = checksums(self.program, q_input)
        (folder / "ref").mkdir()
        arrays = {"windows": windows, "input": q_input, "logits": logits}
        for name, array in arrays.items():
            np.save(folder / "ref" / f"{name}.npy", array, allow_pickle=False)
        self.vectors = q_input[:N_LINKED], logits[:N_LINKED]
        text = json.dumps(crc, indent=1)
        (folder / "ref" / "crc.json").write_text(text + "\n", encoding="utf-8")

    def _write_graphs(self, folder):
        """Write both graphs of onnxruntime, and what the first answers."""
        from .._onnx_session import make_session, run_graph
        from ..onnx import (
            ExportError,
            quantize_onnx,
            read_quantization,
            read_report,
            to_onnx,
        )

        try:
            graph = to_onnx(
                self.pipeline, self.calibration, path=folder / "model_fp32.onnx"
            )
        except ExportError as error:
            raise BundleError(
                f"nothing was written, for a check failed: {error.finding} A bundle "
                "holds only graphs that agree. Leave out windows of X_calib that are "
                "far stronger than the others, or write the graph alone with "
                "to_onnx(..., tolerance=...)."
            ) from error
        report = read_report(graph)
        self._note(
            "model_fp32.onnx beside the pipeline",
            f"{report.n_windows} windows, largest difference "
            f"{report.max_difference:.1e}",
        )
        windows = self.reference.reshape(-1, *self.given.shape[1:])
        scores = run_graph(make_session(graph), windows)[1]
        scores = np.asarray(scores, dtype=np.float32)
        np.save(folder / "ref" / "scores.npy", scores, allow_pickle=False)
        small = quantize_onnx(
            graph,
            self.calibration,
            X_test=self.tested_on,
            y_test=self.tested_labels,
            path=folder / "model_int8.onnx",
        )
        words = str(read_quantization(small))
        self._note("model_int8.onnx beside float", words)

    def _write_deeploy(self, folder):
        from .._integer.comparison import scaled_windows
        from .._integer.image_calibration import images_of
        from .._integer.preprocess import preprocess_windows
        from .._onnx_session import make_session, run_graph
        from ._deeploy import deeploy_graph

        (folder / "deeploy").mkdir()
        graph = deeploy_graph(self.model)
        (folder / "deeploy" / "network.onnx").write_bytes(graph.SerializeToString())
        raw = self.reference[:1]
        windows = scaled_windows(self.model, preprocess_windows(self.program, raw))
        if self.model.kind == "images":
            windows = images_of(self.model, windows[:, :, -1:])
        logits = run_graph(make_session(graph), windows)[0]
        np.savez(folder / "deeploy" / "inputs.npz", input=windows)
        np.savez(folder / "deeploy" / "outputs.npz", output=logits)

    def _write_sources(self, folder):
        from ._codegen import generate_sources

        files = generate_sources(self.program, self.plan, vectors=self.vectors)
        for name, content in files.items():
            target = folder / name
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(content)

    def _check(self, folder, content):
        """Verify the bundle before it gets its name."""
        if not self.verify:
            self._note("verify", "left out: verify=False", "skipped")
            return self.checks
        # Only to be read again here; the last one is written with these checks.
        from ._manifest import write_manifest

        write_manifest(folder, content | {"checks": []})
        checks = GAP9Bundle(folder).verify(strict=False)
        failed = [f"  * {c.name}: {c.detail}" for c in checks if c.status == "failed"]
        if failed:
            raise BundleError(
                "nothing was written, for these checks failed:\n" + "\n".join(failed)
            )
        return self.checks + checks


def _spread(n, most):
    """Return at most so many of n indices, spread evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).astype(int))


def _simulated(windows, n):
    """Return noise with the mean and the spread of every channel, weak to strong."""
    rng = np.random.default_rng(0)
    center = windows.mean(axis=(0, 2))[:, np.newaxis]
    spread = windows.std(axis=(0, 2))[:, np.newaxis]
    strength = np.geomspace(0.3, 3.0, n)[:, np.newaxis, np.newaxis]
    return center + spread * strength * rng.normal(size=(n, *windows.shape[1:]))


def _created_by():
    from ... import __version__

    return {"package": "sktinymyo", "version": __version__}


def _summary(plan):
    summary = {
        "peak_bytes": plan.peak,
        "constant_bytes": constant_bytes(plan, N_LINKED),
        "arena_bytes": {"L1": plan.l1_bytes, "L2": plan.l2_bytes},
        "lower_bound_bytes": plan.lower_bound,
        "gap_bytes": plan.gap,
        "moved_bytes_per_window": plan.moved(),
        "steps": len(plan.steps),
        "slabs": len(plan.transfers),
    }
    attention = [s.parameters for s in plan.steps if s.kind == "attention"]
    if not attention:
        return summary | {"layers_from_l3_for_every_image": plan.streamed_layers()}
    resident = all(p["key_block"] == p["token_count"] for p in attention)
    return summary | {"keys_and_values_stay_in_l1": resident}
