"""What the deployment benchmark computes of a tuned network."""

import shutil
import subprocess
import time
from functools import cached_property
from pathlib import Path

from _common import machine
from deployment_data import pipelines, sides_of, tuned

ABLATION_WINDOWS = 300
# At most, of which the signal-to-noise of a graph is measured.
NOISE_WINDOWS = 32
COMPARED_BITS = 16
CALLS = (1, 2, 4, 8, 16, 32)
REFERENCE = "onnxruntime-int8"


class Deployed:
    """A task with what is made for it, each when it is first needed."""

    def __init__(self, task, options, folder):
        self.task, self.options, self.folder = task, options, Path(folder)

    @cached_property
    def sides(self):
        """Windows on both sides."""
        return sides_of(self.task, self.options.data)

    @cached_property
    def tuned(self):
        """The fitted pipeline, and seconds."""
        return tuned(self.task, self.sides, self.options)

    @cached_property
    def pipeline(self):
        """The fitted pipeline."""
        return self.tuned[0]

    @cached_property
    def bundle(self):
        """The exported bundle."""
        from sktinymyo import export_gap9

        return export_gap9(
            self.pipeline,
            self.folder / "bundle",
            self.sides.X_calib,
            y_calib=self.sides.y_calib,
            verify=False,
        )

    @cached_property
    def graph(self):
        """The graph in float32."""
        from sktinymyo import to_onnx

        return to_onnx(self.pipeline, self.sides.X_calib[:8])

    @cached_property
    def ablation_windows(self):
        """Fewer test windows, of all recordings, and their labels."""
        step = -(-len(self.sides.y_test) // ABLATION_WINDOWS)
        return self.sides.X_test[::step], self.sides.y_test[::step]

    @cached_property
    def ablation_labels(self):
        """What the pipeline says of them."""
        return self.pipeline.predict(self.ablation_windows[0])

    def session(self, name):
        """Return onnxruntime with a graph of the bundle, on one thread."""
        from sktinymyo.export._onnx_session import make_session

        path = self.bundle.path / f"model_{name}.onnx"
        return make_session(path.read_bytes(), n_threads=1)

    def program(self, *options):
        """Build the C program as its Makefile does, and return the call of it."""
        copy = self.folder / "-".join(["build", *options])
        shutil.copytree(self.bundle.path, copy)
        command = ["make", "-C", copy, "host", f"OPTIONS={' '.join(options)}"]
        subprocess.run(command, check=True, capture_output=True)
        return [copy / "build" / "net", "float32", copy / "weights.bin"]


def accuracy(deployed):
    """Return the scores of all forms of the network, and of LDA."""
    import numpy as np
    from transfer_run import metrics

    from sktinymyo.export._onnx_session import run_graph

    sides, bundle = deployed.sides, deployed.bundle
    _, features = pipelines(deployed.task, deployed.options.data)
    features.fit(sides.X, sides.y)
    labels = {
        "torch": deployed.pipeline.predict(sides.X_test),
        "onnx-float32": run_graph(deployed.session("fp32"), sides.X_test)[0],
        "onnx-int8": run_graph(deployed.session("int8"), sides.X_test)[0],
        "integers": bundle.predict(sides.X_test),
        "lda": features.predict(sides.X_test),
    }
    some = sides.X_test[:: -(-len(sides.X_test) // COMPARED_BITS)]
    logits = [bundle.decision_logits(some, engine=name) for name in ("host", "numpy")]
    if not np.array_equal(*logits):
        raise SystemExit(f"{deployed.task}: C and numpy give different logits.")
    values = {
        "n_train": len(sides.y),
        "n_test": len(sides.y_test),
        "n_calibration": len(sides.y_calib),
        "n_same_bits": len(some),
        "fit_time": deployed.tuned[1],
    }
    for name, mine in labels.items():
        values[name] = metrics(sides.y_test, mine)
        values[name]["changed"] = int(np.sum(mine != labels["torch"]))
    return values


def memory(deployed):
    """Return sizes of files, the plan's peaks and the estimates."""
    from sktinymyo import estimate_gap9

    bundle = deployed.bundle
    plan, estimates = bundle.plan, estimate_gap9(deployed.pipeline).to_dict()
    files = ("model_fp32.onnx", "model_int8.onnx", "weights.bin")
    return {
        "bytes": {name: (bundle.path / name).stat().st_size for name in files},
        "peak_bytes": plan.peak,
        "lower_bound_bytes": plan.lower_bound,
        "moved_bytes": plan.moved(),
        "macs": estimates["published"]["macs"],
        "operating_points": {
            name: one["operating_points"] for name, one in estimates.items()
        },
    }


def timing(deployed):
    """Return windows per second of all contenders, taken in turns."""
    import numpy as np
    from speed import summary, take_turns

    rounds, least = deployed.options.rounds, deployed.options.least_seconds
    programs = {"c": deployed.program()}
    if "avx512_vnni" in machine()["instructions"]:
        # What other processors get: products of int16 that the compiler vectorises.
        programs["c-no-vnni"] = deployed.program("-mno-avx512vnni")
    X = np.ascontiguousarray(deployed.sides.X_test[: max(CALLS)], dtype=np.float32)
    n_copies = max(1, round(least / _seconds(lambda: _run(programs["c"], X))))
    X = np.concatenate([X] * n_copies)
    sessions = {
        "onnxruntime-int8": deployed.session("int8"),
        "onnxruntime-float32": deployed.session("fp32"),
    }
    steps = {
        name: _best_step(session, X[: max(CALLS)], deployed.options)
        for name, session in sessions.items()
    }
    calls = {name: lambda p=p: _run(p, X) for name, p in programs.items()}
    calls |= {
        name: lambda s=session, step=steps[name]: _run_session(s, X, step)
        for name, session in sessions.items()
    }
    calls["torch"] = lambda: deployed.pipeline.predict(X)
    rates = take_turns(calls, rounds, len(X), least)
    compiler = subprocess.run(["cc", "--version"], capture_output=True, text=True)
    return summary(rates, REFERENCE) | {
        "rounds": rates,
        "n_windows": len(X),
        "windows_a_call": steps,
        "start_seconds": _seconds(lambda: _run(programs["c"], X[:0])),
        "compiler": compiler.stdout.partition("\n")[0],
    }


def _run(program, X):
    """Pass windows through a C program."""
    subprocess.run(program, input=X.tobytes(), check=True, capture_output=True)


def _run_session(session, X, step):
    """Pass windows through a graph, `step` of them a call."""
    name = session.get_inputs()[0].name
    for at in range(0, len(X), step):
        session.run(None, {name: X[at : at + step]})


def _seconds(call):
    """Return the shortest time of three calls."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return min(times)


def _best_step(session, X, options):
    """Return the windows a call with which a graph is fastest, by turns."""
    from speed import take_turns

    calls = {step: lambda s=step: _run_session(session, X, s) for step in CALLS}
    rates = take_turns(calls, options.rounds, len(X), 0.0)
    return max(CALLS, key=lambda step: sorted(rates[step])[len(rates[step]) // 2])


def ablation_graphs(deployed, settings):
    """Return what an int8 graph with these settings gives."""
    import numpy as np
    from transfer_run import metrics

    from sktinymyo.export._onnx_session import make_session, run_graph
    from sktinymyo.export.onnx import quantize_onnx, read_quantization

    X, y = deployed.ablation_windows
    calib = deployed.sides.X_calib[::2]
    some = X[:: -(-len(X) // NOISE_WINDOWS)]
    small = quantize_onnx(deployed.graph, calib, X_test=some, **settings)
    labels = run_graph(make_session(small, n_threads=1), X)[0]
    return metrics(y, labels) | {
        "accuracy_float": float(np.mean(deployed.ablation_labels == y)),
        "agreement": float(np.mean(deployed.ablation_labels == labels)),
        "decibels": read_quantization(small).signal_to_noise["output"],
        "n_test": len(y),
        "n_calibration": len(calib),
    }


def ablation_integers(deployed, settings):
    """Return what integers with these settings give."""
    from sktinymyo.export.quantize import quantize

    X, y = deployed.ablation_windows
    calib = deployed.sides.X_calib[::2]
    report = quantize(deployed.pipeline, calib, **settings).report(X, y)
    return {
        "accuracy": report.accuracy_integer,
        "accuracy_float": report.accuracy_float,
        "agreement": report.agreement,
        "decibels": float(report.layers["head"]),
        "n_test": len(y),
        "n_calibration": len(calib),
    }
