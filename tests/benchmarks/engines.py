"""Windows per second of every engine and precision, and how far each is from torch.

    python tests/benchmarks/engines.py --authors path/to/BioFoundation

The estimators' own way: ``TinyMyoClassifier(engine=, precision=).decision_function``
on the open weights (8 layers of 192), six classes. Beside them the authors' code, and
torch in float32, from which differences are taken: the largest of the embeddings of 64
windows, as a share of the largest value. The contenders take turns within one process,
round after round; figures are medians over the rounds, and a ratio is the median of the
ratios within rounds. One thread unless ``--threads`` says otherwise.

Where the processor has no instructions for bf16, OpenVINO computes in float32 and torch
in bf16 is left out (``speed.py`` shows what it costs to imitate them).

Measure on a quiet machine. ``--quick`` runs everything once on the smallest shape, to
see that it works; its figures mean nothing.
"""

import sys
import tempfile
from pathlib import Path

from _common import Results, limit_threads, parser_of
from contenders import N_CLASSES
from speed import make_windows, parse_shape, summary, take_turns

SHAPES = ["8x200", "8x1000", "16x1000"]
BATCHES = [8, 64]
CONTENDERS = [
    ("torch", "float32"),
    ("torch", "bf16"),
    ("onnxruntime", "float32"),
    ("onnxruntime", "int8"),
    ("openvino", "float32"),
    ("openvino", "bf16"),
    ("openvino", "int8"),
]
N_FITTED = 64


def name_of(engine, precision):
    """Return the name of a contender in the results."""
    return f"{engine} {precision}"


def fitted_models(shape, weights):
    """Return a model for each engine and precision, all with the same weights."""
    import torch

    from sktinymyo import TinyMyoClassifier
    from sktinymyo.nn import bf16_is_fast

    fast = bf16_is_fast(torch.device("cpu"))
    X, y = make_windows(N_FITTED, shape)
    return {
        name_of(engine, precision): TinyMyoClassifier(
            weights,
            size="nano",
            tune="head",
            max_epochs=1,
            device="cpu",
            engine=engine,
            precision=precision,
            random_state=0,
        ).fit(X, y)
        for engine, precision in CONTENDERS
        if fast or (engine, precision) != ("torch", "bf16")
    }


def differences(models, shape):
    """Return the largest difference of each model's embeddings to those of torch."""
    import numpy as np

    X, _ = make_windows(N_FITTED, shape, seed=1)
    exact = models[name_of("torch", "float32")].transform(X)
    largest = np.abs(exact).max()
    return {
        name: float(np.abs(model.transform(X) - exact).max() / largest)
        for name, model in models.items()
    }


def main():
    """Measure every shape and batch that is not stored yet."""
    parser = parser_of(__doc__, "engines")
    parser.add_argument("--shapes", nargs="+", default=SHAPES)
    parser.add_argument("--batches", nargs="+", type=int, default=BATCHES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    parser.add_argument("--authors", help="checkout of pulp-bio/BioFoundation")
    parser.add_argument("--quick", action="store_true", help="see that it works")
    options = parser.parse_args()
    limit_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    weights = "default"
    if options.quick:
        options.shapes, options.batches, options.rounds = ["2x40"], [1, 4], 1
        options.seconds, weights = 0.0, "random"
        options.out = Path(tempfile.mkdtemp()) / "quick.json"
    results = Results(options.out, "engines")
    for shape_name in options.shapes:
        measure(shape_name, weights, options, results)


def measure(shape_name, weights, options, results):
    """Measure one shape."""
    from contenders import inference_call

    shape = parse_shape(shape_name)
    reference = "authors" if options.authors else name_of("torch", "float32")
    keys = {
        batch: {
            "kind": "engines",
            "shape": shape_name,
            "batch": batch,
            "threads": options.threads,
            "reference": reference,
        }
        for batch in options.batches
    }
    wanted = [batch for batch in options.batches if not results.find(keys[batch])]
    if not wanted:
        return
    models = fitted_models(shape, weights)
    far = differences(models, shape)
    calls = {name: model.decision_function for name, model in models.items()}
    if options.authors:
        calls["authors"] = inference_call("authors", shape, 0, authors=options.authors)
    for batch in wanted:
        X, _ = make_windows(max(batch, N_CLASSES), shape)
        X = X[:batch]
        turns = {name: lambda f=f, X=X: f(X) for name, f in calls.items()}
        rates = take_turns(turns, options.rounds, batch, options.seconds)
        values = summary(rates, reference)
        for name, difference in far.items():
            values[name]["difference"] = difference
        results.add(keys[batch], values)
        print(f"{shape_name} batch {batch}")
        for name, row in values.items():
            print(
                f"{name:>20} {row['windows_per_second']:8.1f} w/s"
                f"  x {row['ratio']:5.2f}"
                f"  difference {row.get('difference', float('nan')):.1e}",
                flush=True,
            )


if __name__ == "__main__":
    sys.exit(main())
