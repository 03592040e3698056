"""Windows per second and peak memory of inference, training and long inputs.

    python tests/benchmarks/speed.py inference
    python tests/benchmarks/speed.py training
    python tests/benchmarks/speed.py growth
    python tests/benchmarks/speed.py inference --authors path/to/BioFoundation

One thread unless ``--threads`` says otherwise. The contenders take turns within one
process, round after round, so that a change of the machine's mood hits all of
them; the figures are medians over the rounds, and a ratio is the median of the
ratios within rounds. Peak memory is measured for each contender in a process of its
own (the largest resident set, less what was resident before the first call).

inference  8x200, 16x400, 8x1000 and 16x1000 (channels x samples), batches of 1, 8
           and 64: our plain path, packed float32 and bf16, TinyMyoClassifier.predict,
           torch.nn.TransformerEncoder, onnxruntime, and the authors' code if given
training   one optimiser step: ours (bf16 where the processor has it) with the recipe's
           regularisation and without, in float32, torch.nn.TransformerEncoder, authors;
           memory at a batch of 32
growth     TinyMyoEmbedder.transform on 100 to 100,000 windows: time and memory

Measure on a quiet machine. ``--quick`` runs everything once on the smallest shape, to
see that it works; its figures mean nothing.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from _common import RESULTS, Results, limit_threads, parser_of

SHAPES = ["8x200", "16x400", "8x1000", "16x1000"]
BATCHES = [1, 8, 64]
TRAINING_BATCHES = {"8x200": 32, "16x400": 16, "8x1000": 8, "16x1000": 4}
GROWTH = [100, 1_000, 10_000, 100_000]
MEMORY_BATCH = 32
LEAST_SECONDS = 0.3


def parse_shape(text):
    """Turn "8x200" into (8, 200)."""
    channels, times = text.split("x")
    return int(channels), int(times)


def make_windows(n_windows, shape, seed=0):
    """Return random windows and labels; speed does not depend on the values."""
    import numpy as np
    from contenders import N_CLASSES

    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n_windows, *shape), dtype=np.float32)
    return X, np.arange(n_windows) % N_CLASSES


def peak_mib():
    """Return the largest resident set of this process so far, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # On Linux ru_maxrss of a child starts at the size of its parent.
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def take_turns(calls, n_rounds, n_windows, least_seconds):
    """Return windows/s of every round of every contender, after a warm-up."""
    rates = {name: [] for name in calls}
    repeats = {}
    for name, call in calls.items():
        call()
        started = time.perf_counter()
        call()
        took = time.perf_counter() - started
        repeats[name] = max(1, round(least_seconds / took))
    for _ in range(n_rounds):
        for name, call in calls.items():
            started = time.perf_counter()
            for _ in range(repeats[name]):
                call()
            took = time.perf_counter() - started
            rates[name].append(repeats[name] * n_windows / took)
    return rates


def summary(rates, reference):
    """Return median rate and median ratio to `reference` of every contender."""
    values = {}
    for name, mine in rates.items():
        values[name] = {"windows_per_second": statistics.median(mine)}
        if reference in rates:
            ratios = [a / b for a, b in zip(mine, rates[reference], strict=True)]
            values[name]["ratio"] = statistics.median(ratios)
    return values


def in_child(options, task):
    """Run one task in a process of its own and return its figures."""
    command = [sys.executable, __file__, "child", "--threads", str(options.threads)]
    result = subprocess.run(
        [*command, "--task", json.dumps(task)], capture_output=True, text=True
    )
    if result.returncode:
        raise SystemExit(f"{task} failed:\n{result.stderr[-3000:]}")
    return json.loads(result.stdout.splitlines()[-1])


def run_child(task):
    """Do one task and print its figures as the last line."""
    from contenders import inference_call, training_call

    shape = parse_shape(task["shape"])
    if task["kind"] == "growth":
        print(json.dumps(grow(task["n_windows"], shape)))
        return
    X, y = make_windows(task["batch"], shape)
    if task["kind"] == "inference":
        call = inference_call(
            task["name"],
            shape,
            task["batch"],
            authors=task["authors"],
            onnx_file=task["onnx_file"],
        )
        before = peak_mib()
        call(X)
        call(X)
    else:
        call = training_call(
            task["name"], shape, task["batch"], authors=task["authors"]
        )
        before = peak_mib()
        call(X, y)
    peak = peak_mib()
    print(json.dumps({"peak_mib": peak, "growth_mib": peak - before}))


def grow(n_windows, shape):
    """Embed many windows; seconds and memory beyond input and output."""
    from sktinymyo import TinyMyoEmbedder

    X, _ = make_windows(n_windows, shape)
    embedder = TinyMyoEmbedder(weights="random", device="cpu", random_state=0)
    embedder.fit(X[:100])
    embedder.transform(X[:32])
    before = peak_mib()
    started = time.perf_counter()
    embeddings = embedder.transform(X)
    seconds = time.perf_counter() - started
    output = embeddings.nbytes / 2**20
    return {
        "seconds": seconds,
        "windows_per_second": n_windows / seconds,
        "input_mib": X.nbytes / 2**20,
        "output_mib": output,
        "peak_mib": peak_mib(),
        "beyond_output_mib": max(0.0, peak_mib() - before - output),
    }


def inference(options, results):
    """Measure inference for every shape and batch that is not stored yet."""
    from contenders import INFERENCE, export_onnx, inference_call

    names = [*INFERENCE, *(["authors"] if options.authors else [])]
    reference = "authors" if options.authors else "encoder"
    for shape_name in options.shapes:
        shape = parse_shape(shape_name)
        for batch in options.batches:
            key = {
                "kind": "inference",
                "shape": shape_name,
                "batch": batch,
                "threads": options.threads,
                "reference": reference,
            }
            if results.find(key):
                continue
            with tempfile.TemporaryDirectory() as folder:
                onnx_file = Path(folder) / "model.onnx"
                export_onnx(shape, batch, onnx_file)
                X, _ = make_windows(batch, shape)
                calls = {}
                for name in names:
                    call = inference_call(
                        name,
                        shape,
                        batch,
                        authors=options.authors,
                        onnx_file=onnx_file,
                    )
                    calls[name] = lambda call=call, X=X: call(X)
                rates = take_turns(calls, options.rounds, batch, options.least_seconds)
                values = summary(rates, reference)
                if batch == max(options.batches):
                    for name in names:
                        task = {
                            "kind": "inference",
                            "name": name,
                            "shape": shape_name,
                            "batch": batch,
                            "authors": options.authors,
                            "onnx_file": str(onnx_file),
                        }
                        values[name] |= in_child(options, task)
            results.add(key, values)
            print(f"{shape_name} batch {batch}")
            show(values)


def training(options, results):
    """Measure training steps for every shape that is not stored yet."""
    from contenders import TRAINING_LABELS, training_call

    names = [name for name in TRAINING_LABELS if options.authors or name != "authors"]
    reference = "authors" if options.authors else "encoder"
    for shape_name in options.shapes:
        shape = parse_shape(shape_name)
        batch = TRAINING_BATCHES.get(shape_name, 32)
        key = {
            "kind": "training",
            "shape": shape_name,
            "batch": batch,
            "threads": options.threads,
            "reference": reference,
        }
        if results.find(key):
            continue
        # Several steps a call, so that starting the loop does not count.
        X, y = make_windows(options.steps * batch, shape)
        calls = {}
        for name in names:
            call = training_call(name, shape, batch, authors=options.authors)
            calls[name] = lambda call=call, X=X, y=y: call(X, y)
        rates = take_turns(calls, options.rounds, len(X), 0.0)
        values = summary(rates, reference)
        for name in names:
            task = {
                "kind": "training",
                "name": name,
                "shape": shape_name,
                "batch": options.memory_batch,
                "authors": options.authors,
            }
            values[name] |= in_child(options, task)
        values["memory_batch"] = options.memory_batch
        results.add(key, values)
        print(f"training {shape_name} batch {batch}")
        show(values)


def growth(options, results):
    """Measure how time and memory grow with the number of windows."""
    for shape_name in options.shapes[:1]:
        for n_windows in options.windows:
            key = {
                "kind": "growth",
                "shape": shape_name,
                "n_windows": n_windows,
                "threads": options.threads,
            }
            task = {"kind": "growth", "shape": shape_name, "n_windows": n_windows}
            values = results.compute(key, lambda task=task: in_child(options, task))
            print(
                f"{n_windows:>7} windows: {values['seconds']:8.2f} s, "
                f"{values['windows_per_second']:6.0f} w/s, beyond input and output "
                f"{values['beyond_output_mib']:6.1f} MiB",
                flush=True,
            )


def show(values):
    """Print one table of contenders."""
    for name, row in values.items():
        if not isinstance(row, dict):
            continue
        print(
            f"{name:>16} {row['windows_per_second']:9.1f} w/s"
            f"  x {row.get('ratio', float('nan')):5.2f}"
            f"  peak {row.get('peak_mib', float('nan')):7.0f} MiB"
            f"  (+{row.get('growth_mib', float('nan')):.0f})",
            flush=True,
        )


def main():
    """Run one of the parts."""
    parser = parser_of(__doc__, "speed")
    parser.add_argument("part", choices=("inference", "training", "growth", "child"))
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--windows", nargs="+", type=int, default=GROWTH)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=2, help="training steps a call")
    parser.add_argument("--memory-batch", type=int, default=MEMORY_BATCH)
    parser.add_argument("--authors", help="checkout of pulp-bio/BioFoundation")
    parser.add_argument("--quick", action="store_true", help="see that it works")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    parser.set_defaults(out=None, least_seconds=LEAST_SECONDS)
    options = parser.parse_args()
    limit_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    if options.part == "child":
        run_child(json.loads(options.task))
        return
    if options.quick:
        options.shapes, options.batches, options.rounds = ["2x40"], [1, 4], 1
        options.windows, options.steps, options.least_seconds = [50, 100], 1, 0.0
        options.memory_batch = 4
        options.out = options.out or Path(tempfile.mkdtemp()) / "quick.json"
    out = options.out or RESULTS / f"speed-{options.part}.json"
    results = Results(out, "speed")
    {"inference": inference, "training": training, "growth": growth}[options.part](
        options, results
    )


if __name__ == "__main__":
    sys.exit(main())
