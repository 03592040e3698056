"""The named sizes, and what forms of a small student are worth.

    python tests/benchmarks/sizes.py --question table
    python tests/benchmarks/sizes.py --question forms
    python tests/benchmarks/sizes.py --question scaling large

Questions
    table   parameters (with a head of 8 classes for 8 channels), multiplications, and
            the estimated latency and energy of one window on a GAP9 at 370 MHz, for
            windows of 8 channels x 40, x 200 and x 1000 samples
    forms   students of at most 72,000 parameters: length of the patches, width and
            depth, tokens of one channel each or of all channels together ("joint"), a
            convolution or four weighted sums of the channels before the tokens; all
            distilled as in ``distillation.py``, on the persons by which recipes are
            chosen, three folds of unseen people
    scaling short pretraining of every size that can be trained on a processor (256
            windows of 8 x 40 a step, samples hidden and told, without labels, on
            ``aljazfrancic_myo``): the error on hidden samples of other people, and LDA
            on frozen embeddings for unseen people, both on part 1 of
            ``cote_allard_myo``
    large   peak memory and time of a training step of "large", in a process of its own
            for each way: plainly, with checkpoints, with checkpoints in bf16

A joint token is the linear map of one patch of all channels. It is computed here as the
token of a single channel that holds the samples of all channels in turn (time by time),
with patches that are as many times longer.
"""

import functools
import itertools
import resource
import subprocess
import sys
import time

from _common import Results, limit_threads, parser_of

TIMES = (40, 200, 1000)
N_CHANNELS, N_CLASSES = 8, 8
# Layers, width, heads, samples of a patch, whether a token sees all channels; or what
# of stems.py comes before the tokens.
FORMS = {
    "nano: 2 x 48, patch 20": (2, 48, 3, 20, False),
    "2 x 48, patch 10": (2, 48, 3, 10, False),
    "2 x 48, patch 40": (2, 48, 3, 40, False),
    "1 x 64, patch 20": (1, 64, 2, 20, False),
    "3 x 40, patch 20": (3, 40, 2, 20, False),
    "joint, 2 x 48, patch 20": (2, 48, 3, 20, True),
    "joint, 2 x 48, patch 10": (2, 48, 3, 10, True),
    "joint, 2 x 48, patch 5": (2, 48, 3, 5, True),
    "joint, 3 x 40, patch 5": (3, 40, 2, 5, True),
    "joint, 1 x 64, patch 10": (1, 64, 2, 10, True),
    "joint, 1 x 72, patch 5": (1, 72, 3, 5, True),
    "convolution (11, stride 5), 2 x 48, patch 20": (2, 48, 3, 20, "strided"),
    "4 mixed channels, 2 x 48, patch 20": (2, 48, 3, 20, "mixed"),
    "4 mixed channels, 2 x 48, patch 10": (2, 48, 3, 10, "mixed"),
}
SCALED = ("nano", "tiny", "small", "tinymyo")
# Of the short pretraining, if none are named.
STEPS = 150
WAYS = ("float32", "checkpoints", "checkpoints, bf16")


def estimate_of(n_times, depth, width, heads, patch, joint=False):
    """Return multiplications, milliseconds and millijoules of a window.

    What does not fit the memory of the chip has an estimate all the same. The products
    of a stem count as those of a linear map with as many inputs; what it takes to lay
    them out does not count.
    """
    from sktinymyo import estimate_gap9
    from sktinymyo.export._integer.program import ProgramShape
    from sktinymyo.export.gap9._cost import COEFFICIENTS, estimate
    from sktinymyo.export.gap9._memory import PlanError

    n_channels, wider, products, n_in = _sizes_of(joint, n_times)
    shape = ProgramShape(
        n_channels=n_channels,
        n_times=round(n_times * wider),
        patch_size=round(patch * wider),
        n_patches=n_times // patch,
        embed_dim=width,
        n_heads=heads,
        head_dim=width // heads,
        mlp_dim=4 * width,
        depth=depth,
        n_classes=N_CLASSES,
        table_length=n_times // patch,
    )
    try:
        found, fits = estimate_gap9(shape).estimates["published"], True
    except PlanError:
        found, fits = estimate(shape), False
    seconds, millijoules = (f("370MHz")[0] for f in (found.seconds, found.millijoules))
    extra = products / COEFFICIENTS["published"].linear_speed(n_in) / 370e6
    return {
        "fits": fits,
        "macs": found.macs + products,
        "ms": 1000 * (seconds + extra),
        "mj": millijoules * (1 + extra / seconds),
    }


def _sizes_of(form, n_times):
    """Return channels and relative length of patches behind a stem, and its products.

    The products come as their number, and how many inputs each sum of them has.
    """
    if form == "strided":
        from stems import KERNEL, STRIDE, WIDTH

        products = N_CHANNELS * n_times // STRIDE * WIDTH * KERNEL
        return N_CHANNELS, WIDTH / STRIDE, products, KERNEL
    if form == "mixed":
        from stems import N_MIXED

        return N_MIXED, 1, N_MIXED * N_CHANNELS * n_times, N_CHANNELS
    return (1, N_CHANNELS, 0, 1) if form else (N_CHANNELS, 1, 0, 1)


def parameters_of(depth, width, heads, patch, joint=False):
    """Count the parameters of encoder and head."""
    from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig

    config = TinyMyoConfig(
        depth=depth,
        embed_dim=width,
        n_heads=heads,
        patch_size=patch * (N_CHANNELS if joint is True else 1),
    )
    n_channels = _sizes_of(joint, patch)[0]
    head = ClassificationHead(width, n_channels, N_CLASSES)
    if isinstance(joint, str):
        from stems import STEMS

        model = STEMS[joint].encoder(config, N_CHANNELS, None)
        return sum(p.numel() for each in (model, head) for p in each.parameters())
    model = TinyMyo(config, head)
    return sum(parameter.numel() for parameter in model.parameters())


def of_table(options):
    """Yield key and function for every named size."""
    from sktinymyo.nn import SIZES, config_of_size

    for size in SIZES:

        def compute(size=size):
            config = config_of_size(size)
            shape = (config.depth, config.embed_dim, config.n_heads, config.patch_size)
            return {
                "shape": shape,
                "parameters": parameters_of(*shape),
                **{str(n): estimate_of(n, *shape) for n in TIMES},
            }

        yield {"question": "table", "size": size}, compute


def of_forms(options):
    """Yield key and function for every form and fold."""
    from distillation import LESSON, SEEN, STUDENT, development

    cases = development(options)
    for name in options.forms or FORMS:
        for case in cases:
            key = {
                "question": "forms",
                "form": name,
                "shape": FORMS[name],
                "unit": case.unit,
                "student": STUDENT,
                "seen": SEEN,
                "lesson": LESSON,
            }

            def compute(name=name, case=case):
                return _distil_form(name, case, options)

            yield key, compute


def _distil_form(name, case, options):
    """Return sizes and the accuracy of a distilled student of this form."""
    from dataclasses import replace

    from distillation import distilled_of, run
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer

    from sktinymyo.nn import SIZES

    depth, width, heads, patch, joint = FORMS[name]
    n_channels = case.X.shape[1]
    SIZES[name] = {
        "depth": depth,
        "embed_dim": width,
        "n_heads": heads,
        "patch_size": patch * (n_channels if joint is True else 1),
    }
    model = distilled_of(case, options, size=name)
    if isinstance(joint, str):
        from stems import STEMS

        model.student = STEMS[joint](**model.student.get_params())
    elif joint:
        apart = FunctionTransformer(_apart, kw_args={"n_channels": n_channels})
        model.set_params(
            teacher=make_pipeline(apart, *model.teacher.named_steps.values())
        )
        case = replace(case, X=_joined(case.X), X_test=_joined(case.X_test))
    values = run(model, case)
    found = {
        "parameters": parameters_of(*FORMS[name]),
        "200": estimate_of(200, *FORMS[name]),
    }
    return values | found


def _joined(X):
    """Return windows of one channel that holds all channels, time by time."""
    return X.transpose(0, 2, 1).reshape(len(X), 1, -1)


def _apart(X, n_channels):
    """Return what `_joined` was made from."""
    return X.reshape(len(X), -1, n_channels).transpose(0, 2, 1)


def of_scaling(options):
    """Yield key and function for every number of steps and size."""
    for steps, size in itertools.product(options.steps, options.sizes):
        key = {"question": "scaling", "size": size, "steps": steps, "seed": 0}
        yield key, functools.partial(_pretrain, size, steps, options)


def _pretrain(size, steps, options):
    """Return parameters, error of reconstruction and accuracies of the folds."""
    from ablation import BATCH, DEVELOPMENT, development_sets, person_scaled, scores_of
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    from sktinymyo import TinyMyoPretrainer
    from sktinymyo.datasets import load_packed

    bunch = load_packed("aljazfrancic_myo", options.data)
    model = TinyMyoPretrainer(
        size,
        scale=None,
        n_times=40,
        step=20,
        batch_size=BATCH,
        lr=2e-3,
        warmup=0.05,
        max_steps=steps,
        targets="raw",
        random_state=0,
    )
    started = time.perf_counter()
    model.fit(person_scaled(bunch.recordings, bunch.meta))
    seconds = time.perf_counter() - started
    name = next(iter(DEVELOPMENT))
    sets = {name: development_sets(options.data)[name]}
    lda = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto")
    return {
        "parameters": sum(p.numel() for p in model.module_.parameters()),
        "error": -float(model.score(sets[name][0][::5])),
        "accuracy": scores_of(model.transform, sets, lda)[name],
        "fit_time": seconds,
    }


def of_large(options):
    """Yield key and function for every way to train a step of "large"."""
    for n_times in TIMES[1:]:
        for way in WAYS:

            def compute(n_times=n_times, way=way):
                command = [sys.executable, __file__, "--step", way, str(n_times)]
                found = subprocess.run(
                    command, check=True, capture_output=True, text=True
                )
                seconds, gib = map(float, found.stdout.split())
                return {"seconds": seconds, "peak_gib": gib}

            yield {"question": "large", "way": way, "n_times": n_times}, compute


def take_step(way, n_times):
    """Take one step of "large" on four windows, and print time and peak."""
    import torch

    from sktinymyo.nn import ClassificationHead, TinyMyo, config_of_size

    generator = torch.Generator().manual_seed(0)
    config = config_of_size("large")
    head = ClassificationHead(
        config.embed_dim, N_CHANNELS, N_CLASSES, generator=generator
    )
    model = TinyMyo(config, head, generator=generator)
    model.checkpointing = way.startswith("checkpoints")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    windows = torch.randn(4, N_CHANNELS, n_times, generator=generator)
    labels = torch.arange(4)
    started = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=way.endswith("bf16")):
        loss = torch.nn.functional.cross_entropy(model(windows).float(), labels)
    loss.backward()
    optimizer.step()
    seconds = time.perf_counter() - started
    # In KiB on Linux.
    gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{seconds} {gib}")


def main():
    """Run what is asked for and not yet stored."""
    questions = {
        "table": of_table,
        "forms": of_forms,
        "scaling": of_scaling,
        "large": of_large,
    }
    parser = parser_of(__doc__, "sizes")
    add = parser.add_argument
    add("--question", nargs="+", choices=questions, metavar="QUESTION", default=[])
    add("--forms", nargs="+", choices=list(FORMS), metavar="FORM")
    add("--sizes", nargs="+", choices=SCALED, default=SCALED, help="of scaling")
    add("--steps", nargs="+", type=int, default=[STEPS], help="of scaling")
    add("--step", nargs=2, metavar=("WAY", "TIMES"), help="of --question large")
    add("--memory", help="folder for the teacher's embeddings, each computed once")
    add("--data", help="folder with the packed sets")
    options = parser.parse_args()
    limit_threads(options.threads)
    if options.step:
        take_step(options.step[0], int(options.step[1]))
        return
    results = Results(options.out, "sizes")
    for question in options.question:
        for key, compute in questions[question](options):
            values = results.compute(key, compute)
            shown = [
                key.get(name) for name in ("size", "steps", "form", "way", "n_times")
            ]
            shown += [key.get("unit"), values]
            print(question, *(x for x in shown if x is not None), flush=True)


if __name__ == "__main__":
    sys.exit(main())
