"""What can be checked of a bundle without a chip, and what is said if it cannot."""

import contextlib
import tempfile
import zlib
from pathlib import Path

import numpy as np

from .._integer.preprocess import preprocess_windows, quantise_input
from .._integer.program import trace_names
from .._integer.reference import run_program as run_reference
from ._host import BuildError, build_program, missing_tools, run_program
from ._manifest import BundleError, Check, check_files
from ._memory import PlanError

__all__ = ["check_plan", "checksums", "run_checks"]

# The checks take seconds, also for a large network: the tests of the package run many
# more windows than these.
_WINDOWS_SANITISED = 1
_WINDOWS_EMULATED = 2
_ONNX_TOLERANCE = 1e-4
# The last results of an arena may happen to be the pattern that it was filled with.
_TAIL = 16
_NEVER = (
    "on a chip",
    "skipped",
    "never run: the SDK of GAP9 is not public; times and energies are estimates",
)


class _Skip(Exception):
    """A check that cannot be made here; the message says why."""


def checksums(program, q_input):
    """Return the CRC-32 of every layer, computed by the reference in numpy.

    Parameters
    ----------
    program : IntegerProgram
    q_input : ndarray of int8, shape (n_windows, n_channels, n_times)

    Returns
    -------
    logits : ndarray of int32, shape (n_windows, n_classes)
    crc : list of dict of str to int
        One dict a window.
    """
    logits, layers = run_reference(program, q_input, trace=True)
    crc = [
        {
            name: zlib.crc32(np.ascontiguousarray(layers[name][window]))
            for name in trace_names(program.shape)
        }
        for window in range(len(q_input))
    ]
    return logits, crc


def check_plan(plan):
    """Check that a plan keeps its promises.

    Parameters
    ----------
    plan : MemoryPlan

    Raises
    ------
    PlanError
        If live buffers overlap, leave the arena, or are not aligned.
    """
    for buffer in plan.buffers:
        if buffer.offset % 16 or buffer.offset < 0:
            raise PlanError(f"the buffer {buffer.name!r} is not aligned.")
        if buffer.offset + buffer.size > plan.l2_bytes:
            raise PlanError(f"the buffer {buffer.name!r} leaves the arena of L2.")
    for step in plan.steps:
        alive = sorted(plan.alive(step.index), key=lambda buffer: buffer.offset)
        for before, behind in zip(alive, alive[1:], strict=False):
            if before.offset + before.size > behind.offset:
                raise PlanError(
                    f"in step {step.index} the buffers {before.name!r} and "
                    f"{behind.name!r} overlap."
                )
        if step.l1_bytes > plan.l1_bytes:
            raise PlanError(f"step {step.index} leaves the arena of L1.")
        for name in step.buffers.values():
            if not plan.buffer(name).alive(step.index):
                raise PlanError(f"step {step.index} uses {name!r} when it is gone.")


def run_checks(bundle):
    """Make all checks that this machine allows.

    Parameters
    ----------
    bundle : GAP9Bundle

    Returns
    -------
    checks : list of Check
        None is left out: what could not be checked is "skipped", with the reason.
    """
    try:
        problems = check_files(bundle.path, bundle.manifest)
    except (BundleError, OSError) as error:
        problems = [str(error)]
    if problems:
        failed = Check("files", "failed", "; ".join(problems))
        reason = "the files are not those of the manifest"
        return [failed, *(Check(name, "skipped", reason) for name in _CHECKS)]
    n_files = len(bundle.manifest["files"])
    checks = [Check("files", "passed", f"sha256 of {n_files} files")]
    checks += [_make(name, check, bundle) for name, check in _CHECKS.items()]
    return [*checks, Check(*_NEVER)]


def _make(name, check, bundle):
    try:
        return Check(name, "passed", check(bundle))
    except _Skip as reason:
        return Check(name, "skipped", str(reason))
    # Whatever a damaged bundle makes fail is a failed check, not the end of the rest.
    except Exception as error:
        return Check(name, "failed", f"{type(error).__name__}: {error}")


def _plan(bundle):
    plan = bundle.plan
    check_plan(plan)
    return (
        f"{len(plan.buffers)} buffers, none overlap; L1 {plan.peak['L1']}, "
        f"L2 {plan.peak['L2']} bytes"
    )


def _reference(bundle):
    program, ref = bundle.program, bundle.reference
    q_input = quantise_input(program, preprocess_windows(program, ref["windows"]))
    _compare("the quantised windows", q_input, ref["input"])
    logits, crc = checksums(program, q_input)
    _compare("the logits", logits, ref["logits"])
    _compare_crc(crc, ref["crc"])
    return f"{len(logits)} windows, {len(crc[0])} layers each, bit for bit"


def _sources(bundle):
    bundle.check_sources()
    return "equal to those that this version generates"


def _host(bundle):
    ref = bundle.reference
    run = _build_and_run(bundle, ref["input"], trace=True)
    _compare("the logits", run.values, ref["logits"])
    _compare_crc(run.crc, ref["crc"])
    peak = {level: bundle.plan.peak[level] for level in ("L1", "L2")}
    if any(not size - _TAIL < run.peaks[name] <= size for name, size in peak.items()):
        raise BundleError(f"bytes in use: {run.peaks}, but planned were {peak}.")
    layers = f"{len(run.values)} windows, {len(run.crc[0])} layers each"
    return f"{layers}, bit for bit; memory in use as planned"


def _preprocessing(bundle):
    ref = bundle.reference
    run = _build_and_run(bundle, ref["windows"], mode="float32")
    _compare("the logits", run.values, ref["logits"])
    return f"{len(run.values)} raw windows: the same logits as from quantised ones"


def _sanitised(bundle):
    ref, few = bundle.reference, slice(_WINDOWS_SANITISED)
    try:
        run = _build_and_run(bundle, ref["input"][few], sanitize="address,undefined")
    except BuildError as error:
        if "cannot find" in str(error) and "san" in str(error):
            raise _Skip("the compiler has no sanitizers") from error
        raise
    _compare("the logits", run.values, ref["logits"][few])
    return f"{len(run.values)} windows with AddressSanitizer and UBSan"


def _emulated(bundle):
    ref, few = bundle.reference, slice(_WINDOWS_EMULATED)
    run = _build_and_run(bundle, ref["input"][few], machine="rv32", trace=True)
    _compare("the logits", run.values, ref["logits"][few])
    _compare_crc(run.crc, ref["crc"][few])
    return f"{len(run.values)} windows under qemu-riscv32, bit for bit"


def _onnx(bundle):
    try:
        from .._onnx_session import make_session, run_graph

        session = make_session((bundle.path / "model_fp32.onnx").read_bytes())
    except ImportError as error:
        raise _Skip(str(error)) from error
    ref = bundle.reference
    windows = ref["windows"]
    if len(session.get_inputs()[0].shape) == 2:
        windows = windows.reshape(len(windows), -1)
    elif given := bundle.manifest["input"].get("given_shape"):
        # Images are kept as windows of one sample.
        windows = windows.reshape(len(windows), *given)
    scores = np.asarray(run_graph(session, windows)[1])
    difference = float(np.abs(scores - ref["scores"]).max())
    if not difference <= _ONNX_TOLERANCE * max(1.0, np.abs(ref["scores"]).max()):
        raise BundleError(f"scores differ by {difference:.2g} from those stored.")
    return f"{len(scores)} windows, largest difference {difference:.1e}"


_CHECKS = {
    "memory plan": _plan,
    "reference in numpy": _reference,
    "C sources": _sources,
    "C on this machine": _host,
    "C preprocessing": _preprocessing,
    "C with sanitizers": _sanitised,
    "C for RV32IMC": _emulated,
    "model_fp32.onnx": _onnx,
}


def _build_and_run(bundle, windows, *, mode="int8", machine="host", **options):
    """Compile the sources of a bundle elsewhere, run them once, and tidy up."""
    reason = missing_tools(machine)
    if reason is not None:
        raise _Skip(reason)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sources = bundle.checked_sources(folder)
        program = build_program(sources, folder / "net", machine=machine, **options)
        weights = bundle.path / "weights.bin"
        return run_program(program, weights, windows, mode=mode, machine=machine)


def _compare(what, values, expected):
    if values.shape != expected.shape or not np.array_equal(values, expected):
        raise BundleError(f"{what} differ from those stored in ref/.")


def _compare_crc(crc, expected):
    for window, (ours, theirs) in enumerate(zip(crc, expected, strict=True)):
        for name in theirs:
            if ours.get(name) != theirs[name]:
                raise BundleError(f"window {window}: the layer {name!r} differs.")
