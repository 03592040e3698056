"""Tuned networks on their way to a chip: accuracy, bytes, estimates and speed.

    python tests/benchmarks/deployment.py --models /folder/for/tuned/networks
    python tests/benchmarks/deployment.py --only timing --again --models ...
    python tests/benchmarks/deployment.py --quick

Pipelines of a causal filter and a TinyMyoClassifier, all of it tuned from the open
weights, in the shapes 8 x 200, 8 x 1000 and 16 x 1000 (channels x samples, 1 s each;
see CASES in ``deployment_data.py``). Each is exported with ``export_gap9``, calibrated
on 250 windows of its training side.

accuracy  test windows in float (torch), as ONNX in float32 and int8 (onnxruntime) and
          as integers (the C program of the bundle; 16 windows are compared bit for bit
          with the reference in numpy). LDA on time-domain features stands beside
memory    sizes of the files, what the plan takes of L1, L2 and L3, estimated latency
          and energy
timing    windows per second on one thread: the C program (``make host`` of the bundle)
          beside onnxruntime and torch. The contenders take turns, round after round;
          medians over the rounds, and of the ratios within rounds. onnxruntime gets
          the number of windows a call that is best for it. The C program reads its
          windows from a pipe, and its start counts. Measure on a quiet machine
ablation  the choices of ``quantize_onnx`` and ``quantize``, one changed at a time

Speed, size and estimate do not depend on the fold: they are those of the first.
Recordings come from the folder in the environment variable SKTINYMYO_DATA (or
``--data``). ``--quick`` runs everything on a tiny network and the simulator, to see
that it works; its figures mean nothing.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from _common import RESULTS, Results, limit_threads
from deployment_data import CASES, LARGE, QUICK, tasks_of
from deployment_run import (
    Deployed,
    ablation_graphs,
    ablation_integers,
    accuracy,
    memory,
    timing,
)

PARTS = ("accuracy", "memory", "timing", "ablation")
ABLATED = (("8x200", LARGE), ("8x1000", LARGE), ("2x100", "random"))
# What is changed of quantize_onnx.
GRAPHS = {
    "as it is": {},
    "calibration: entropy": {"calibration": "entropy"},
    "calibration: mse": {"calibration": "mse"},
    "smooth: 0": {"smooth": 0.0},
    "smooth: 0.75": {"smooth": 0.75},
    "reduce_range: False": {"reduce_range": False},
    "attention: True": {"attention": True},
    "attention: True, smooth: 0": {"attention": True, "smooth": 0.0},
}
# What is changed of quantize.
INTEGERS = {
    "as it is": {},
    "percentile: 99.9": {"percentile": 99.9},
    "percentile: 99.99": {"percentile": 99.99},
    "percentile: 100": {"percentile": 100},
    "percentile: None": {"percentile": None},
}
LEAST_SECONDS = 1.0


def run_part(part, deployed, results, again):
    """Compute what is asked for and not stored, and print it."""
    key = deployed.task.key
    jobs = {(): {"accuracy": accuracy, "memory": memory, "timing": timing}.get(part)}
    if part == "ablation":
        jobs = {
            (("quantiser", kind), ("changed", name)): lambda d, s=s, f=function: f(d, s)
            for kind, function, choices in (
                ("quantize_onnx", ablation_graphs, GRAPHS),
                ("quantize", ablation_integers, INTEGERS),
            )
            for name, s in choices.items()
        }
    for extra, function in jobs.items():
        whole = key | dict(extra)
        if again or results.find(whole) is None:
            results.add(whole, function(deployed))
        show(part, whole, results.find(whole))


def show(part, key, values):
    """Print a record in some lines."""
    print(f"{part}: {key['case']}, {key['weights']}, fold {key['fold']}", flush=True)
    if part == "accuracy":
        for name in ("torch", "onnx-float32", "onnx-int8", "integers", "lda"):
            mine = values[name]
            print(
                f"  {name:>13} {mine['accuracy']:.4f} balanced "
                f"{mine['balanced_accuracy']:.4f}, {mine['changed']} of "
                f"{values['n_test']} changed",
                flush=True,
            )
    elif part == "timing":
        for name, mine in values.items():
            if isinstance(mine, dict) and "ratio" in mine:
                rate, ratio = mine["windows_per_second"], mine["ratio"]
                print(f"  {name:>20} {rate:8.1f} w/s x {ratio:.2f}", flush=True)
        print(f"  {values['windows_a_call']}, start {values['start_seconds']:.4f} s")
    elif part == "memory":
        print(f"  {values['bytes']} {values['peak_bytes']}", flush=True)
    else:
        print(
            f"  {key['quantiser']}, {key['changed']}: accuracy "
            f"{values['accuracy']:.4f} (float {values['accuracy_float']:.4f}), "
            f"agreement {values['agreement']:.4f}, {values['decibels']:.1f} dB",
            flush=True,
        )


def parse():
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART")
    add("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    add("--again", action="store_true", help="compute anew what is stored")
    add("--models", help="folder that keeps the tuned networks for another run")
    add("--rounds", type=int, default=7, help="of the timing (default 7)")
    add("--data", help="folder with the packed sets")
    add("--out", type=Path, default=RESULTS, help="folder for the results")
    add("--threads", type=int, default=1, help="threads of every library (default 1)")
    add("--quick", action="store_true", help="see that it works")
    parser.set_defaults(least_seconds=LEAST_SECONDS)
    return parser.parse_args()


def main():
    """Run what is asked for."""
    options = parse()
    limit_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    cases = {name: CASES[name] for name in options.cases}
    if options.quick:
        cases, options.rounds, options.least_seconds = QUICK, 1, 0.0
        options.out = Path(tempfile.mkdtemp())
    results = {
        part: Results(options.out / f"deployment-{part}.json", f"deployment-{part}")
        for part in options.only
    }
    first = tasks_of(cases, first=True)
    for task in tasks_of(cases):
        with tempfile.TemporaryDirectory() as folder:
            deployed = Deployed(task, options, folder)
            for part in options.only:
                if part != "accuracy" and task not in first:
                    continue
                if part == "ablation" and (task.name, task.weights) not in ABLATED:
                    continue
                run_part(part, deployed, results[part], options.again)


if __name__ == "__main__":
    sys.exit(main())
