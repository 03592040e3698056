"""A bundle on disk: what it says, what it draws, what it predicts."""

import json
import shutil
import tempfile
import weakref
from functools import cached_property
from pathlib import Path

import numpy as np

from ..._validation import as_windows, check_choice, check_truth
from ...exceptions import WindowsError
from ._checks import run_checks
from ._codegen import generate_sources
from ._contract import read_classes, read_preprocess, read_program, read_shape
from ._cost import COEFFICIENTS, OPERATING_POINTS, estimate
from ._manifest import BundleError, check_files, read_manifest
from ._memory import MemoryPlan
from ._plan import plan_program
from ._report import plot_cost, plot_memory, render_report
from ._writing import check_target, write_bundle

__all__ = ["GAP9Bundle", "check_target", "write_bundle"]

# Linked into the program for the chip; more would take its memory.
N_LINKED = 2
_FOREIGN = (
    "is not what this version of sktinymyo generates, and running it could do "
    "anything. Export again, or pass trust_sources=True if you know where the bundle "
    "is from."
)


class GAP9Bundle:
    """A folder that :func:`export_gap9` wrote.

    Parameters
    ----------
    path : str or path
        The folder.
    trust_sources : bool, default=False
        Compile C sources that differ from those that this version of the package
        generates, such as those of another version or your own. They run with your
        rights: only for bundles that you trust.

    Attributes
    ----------
    path : Path
        The folder.
    manifest : dict
        Contents of ``manifest.json``.

    Raises
    ------
    BundleError
        If the folder is no bundle, or its manifest is damaged or names files outside
        of it.

    Notes
    -----
    Checksums tell of damage, not of malice: whoever changes a bundle can change them
    too. Therefore nothing is compiled but what this version of the package generates
    from the weights and the shape, and nothing is unpickled.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoClassifier
    >>> from sktinymyo.export.gap9 import GAP9Bundle, export_gap9
    >>> y = np.arange(40) % 2
    >>> X = np.random.default_rng(0).normal(size=(40, 2, 60)) * (1 + y)[:, None, None]
    >>> classifier = TinyMyoClassifier("random", size="nano", tune="head")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "two"
    ...     _ = export_gap9(classifier.fit(X, y), path, X, verify=False)
    ...     bundle = GAP9Bundle(path)
    ...     print(bundle.report())
    Bundle for a GAP9
    ...
    2 channels x 60 samples, 6 tokens, width 48, 3 heads, 2 blocks, 2 classes: 0, 1
    ...
    """

    def __init__(self, path, *, trust_sources=False):
        check_truth("trust_sources", trust_sources)
        self.path = Path(path).expanduser().resolve()
        self.trust_sources = trust_sources
        self.manifest = read_manifest(self.path)
        self._built = None

    def __repr__(self):
        """Say what is in it."""
        shape = self.manifest["shape"]
        return (
            f"GAP9Bundle({str(self.path)!r}: {shape['n_channels']} channels x "
            f"{shape['n_times']} samples, {shape['n_classes']} classes)"
        )

    @cached_property
    def plan(self):
        """Memory plan, as a MemoryPlan."""
        try:
            plan = MemoryPlan.from_dict(json.loads(self._read("plan.json")))
            if plan.shape != read_shape(self.manifest):
                raise ValueError("it is for another network than the manifest")
            return plan
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BundleError(
                f"plan.json of {self.path} is damaged ({error})."
            ) from error

    @cached_property
    def program(self):
        """Integer network, as an IntegerProgram, from ``weights.bin``."""
        return read_program(self.manifest, self.plan, self._read("weights.bin"))

    @cached_property
    def classes_(self):
        """Labels in the order of the logits."""
        return read_classes(self.manifest["classes"])

    @cached_property
    def reference(self):
        """Arrays of ``ref/`` by name, and the checksums of every layer as "crc"."""
        names = ("windows", "input", "logits", "scores")
        arrays = {}
        for name in names:
            with (self.path / "ref" / f"{name}.npy").open("rb") as file:
                arrays[name] = np.load(file, allow_pickle=False)
        return arrays | {"crc": json.loads(self._read("ref/crc.json"))}

    def estimates(self):
        """Return the estimates of both sets of coefficients.

        Returns
        -------
        estimates : list of CostEstimate
        """
        shape = self.plan.shape
        before = read_preprocess(self.manifest["input"], shape)
        return [estimate(shape, name, self.plan, before) for name in COEFFICIENTS]

    def report(self):
        """Return a report as text: network, memory, time, checks, licence.

        Returns
        -------
        text : str
        """
        point = self.manifest["estimates"].get("operating_point")
        point = point if point in OPERATING_POINTS else "370MHz"
        return render_report(self.manifest, self.plan, self.estimates(), point)

    def plot_memory(self, axes=None):
        """Draw what lies in L2 and L1 over the steps of the network.

        Parameters
        ----------
        axes : sequence of 2 matplotlib Axes or None, default=None
            For L2 and L1; None makes a figure.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        return plot_memory(self.plan, axes)

    def plot_cost(self, profile=None, axes=None):
        """Draw the estimated time of the layers as bars.

        Parameters
        ----------
        profile : {"370MHz", "240MHz", "150MHz"} or None, default=None
            Operating point; None is that of the export.
        axes : sequence of 2 matplotlib Axes or None, default=None
            One for each set of coefficients; None makes a figure.

        Returns
        -------
        figure : matplotlib.figure.Figure
        """
        if profile is None:
            profile = self.manifest["estimates"].get("operating_point", "370MHz")
        check_choice("profile", profile, OPERATING_POINTS)
        return plot_cost(self.estimates(), profile, axes)

    def verify(self, *, strict=True):
        """Check everything that this machine allows.

        Files against the manifest, the memory plan, the reference in numpy, the C
        program on this machine (plain and with sanitizers) and for RV32IMC under
        qemu, all bit for bit with every layer's checksum, and the float32 graph.

        Parameters
        ----------
        strict : bool, default=True
            Raise if a check fails.

        Returns
        -------
        checks : list of Check
            With ``name``, ``status`` ("passed", "failed" or "skipped") and
            ``detail``: why it was skipped, or which file or layer it was.

        Raises
        ------
        BundleError
            If a check fails and `strict` is True; the message names it.
        """
        check_truth("strict", strict)
        checks = run_checks(self)
        failed = [check for check in checks if check.status == "failed"]
        if failed and strict:
            listed = "\n".join(f"  * {c.name}: {c.detail}" for c in failed)
            raise BundleError(
                f"the bundle {str(self.path)!r} is not what it says:\n{listed}"
            )
        return checks

    def decision_logits(self, X, *, engine="host"):
        """Return the integer logits of windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Raw windows, as the pipeline took them.
        engine : {"host", "numpy"}, default="host"
            The C program, compiled for this machine, or the reference in numpy, which
            needs no compiler. Both give the same bits.

        Returns
        -------
        logits : ndarray of int32, shape (n_windows, n_classes)
            In units of 2**-16; of a network for images the scores of the vote, in
            units of 2**-30.

        Raises
        ------
        WindowsError
            If X has another shape or holds NaN.
        BundleError
            If a file of the bundle was changed.
        BuildError
            If there is no compiler.
        """
        from .._integer.preprocess import preprocess_windows, quantise_input
        from .._integer.reference import run_program as run_reference
        from ._host import run_program

        check_choice("engine", engine, ("host", "numpy"))
        X = self._check_windows(X)
        if engine == "numpy":
            self._check_files()
            q_input = quantise_input(self.program, preprocess_windows(self.program, X))
            return run_reference(self.program, q_input)
        if not len(X):
            return np.empty((0, len(self.classes_)), dtype=np.int32)
        program, weights = self._build()
        return run_program(program, weights, X, mode="float32").values

    def predict(self, X, *, engine="host"):
        """Return the labels of windows, computed by the C program.

        It is compiled once, outside of the bundle.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Raw windows, as the pipeline took them.
        engine : {"host", "numpy"}, default="host"
            The C program, or the reference in numpy, which needs no compiler.

        Returns
        -------
        labels : ndarray of shape (n_windows,)
        """
        logits = self.decision_logits(X, engine=engine)
        return self.classes_[logits.argmax(axis=1)]

    def predict_proba(self, X, *, engine="host"):
        """Return the probabilities of the classes, computed from the integer logits.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Raw windows, as the pipeline took them.
        engine : {"host", "numpy"}, default="host"
            The C program, or the reference in numpy, which needs no compiler.

        Returns
        -------
        probabilities : ndarray of float64, shape (n_windows, n_classes)

        Raises
        ------
        AttributeError
            If the classifier of the pipeline has none, such as LinearSVC.
        """
        kind = self.manifest["classes"]["probabilities"]
        if kind is None:
            raise AttributeError(
                "the classifier of this bundle has no probabilities; use predict or "
                "decision_logits."
            )
        from ..quantize import probabilities_of

        return probabilities_of(self.decision_logits(X, engine=engine), kind)

    def check_sources(self):
        """Compare plan and C sources with those that this version generates.

        Raises
        ------
        BundleError
            If a file differs; it is named.
        """
        plan = self.plan
        if plan != plan_program(plan.shape, plan.l1_bytes, plan.l2_bytes):
            raise BundleError(f"plan.json {_FOREIGN}")
        for name, content in self._generated().items():
            if self._read(name) != content:
                raise BundleError(f"{name} {_FOREIGN}")

    def checked_sources(self, folder):
        """Copy the C sources to a folder, after they were compared.

        Parameters
        ----------
        folder : path
            An existing folder outside of the bundle.

        Returns
        -------
        sources : Path
            A new folder in it.

        Raises
        ------
        BundleError
            If a file differs and `trust_sources` is False.
        """
        if not self.trust_sources:
            self.check_sources()
        sources = Path(folder) / "src"
        sources.mkdir()
        for name in self._generated():
            if name.startswith("src/"):
                (sources / Path(name).name).write_bytes(self._read(name))
        return sources

    def _generated(self):
        ref = self.reference
        vectors = ref["input"][:N_LINKED], ref["logits"][:N_LINKED]
        return generate_sources(self.program, self.plan, vectors=vectors)

    def _build(self):
        """Compile the program for this machine, once."""
        from ._host import build_program

        if self._built is None:
            self._check_files()
            folder = Path(tempfile.mkdtemp(prefix="sktinymyo-"))
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            sources = self.checked_sources(folder)
            weights = folder / "weights.bin"
            weights.write_bytes(self._read("weights.bin"))
            # One part a tile instead of those of 8 cores: the same bits, faster here.
            program = build_program(sources, folder / "net", cores=1)
            self._built = program, weights
        return self._built

    def _check_files(self):
        problems = check_files(self.path, self.manifest)
        if problems:
            raise BundleError(
                f"the bundle {str(self.path)!r} is not what it was: "
                f"{'; '.join(problems)}. Export again."
            )

    def _check_windows(self, X):
        contract = self.manifest["input"]
        size = contract["n_channels"], contract["n_times"]
        X = np.asarray(as_windows(X))
        given = tuple(contract.get("given_shape") or size)
        is_flat = X.ndim == 2 and X.shape[1] == size[0] * size[1]
        if is_flat or (X.shape[1:] == given and np.prod(given) == np.prod(size)):
            X = X.reshape(len(X), *size)
        if X.ndim != 3 or X.shape[1:] != size or X.dtype.kind not in "fiub":
            raise WindowsError(
                f"X has shape {X.shape} and type {X.dtype}; the bundle takes windows "
                f"of real numbers (n_windows, {size[0]}, {size[1]})."
            )
        X = X.astype(np.float32)
        if not np.isfinite(X).all():
            raise WindowsError(
                "X holds NaN, infinity or values beyond float32; leave such windows "
                "out."
            )
        return X

    def _read(self, name):
        path = self.path / name
        # A link could lead to a file outside of the bundle.
        if not path.resolve().is_relative_to(self.path):
            raise BundleError(f"{name} leads out of the bundle.")
        try:
            return path.read_bytes()
        except OSError as error:
            raise BundleError(f"{name} cannot be read ({error}).") from error
