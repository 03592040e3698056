"""Windows per second of one step of masked pretraining, on the processor.

    python tests/benchmarks/pretraining_speed.py
    python tests/benchmarks/pretraining_speed.py --authors path/to/BioFoundation

A step is all of it: mask, forward pass, losses, backward pass, clipping of the
gradient and AdamW, with an encoder of the size of TinyMyo (8 layers of 192, patches of
20). One thread unless ``--threads`` says otherwise; float32, or bf16 for ours where the
processor has it. The shapes are 8x1000 (channels x samples; published) and 8x40 (200 ms
at 200 Hz, most windows of the recipe that ships).

plain        written out below with plain modules: every token in the encoder, mask
             token, attention by an explicit softmax, dropout 0.1
authors      the authors' network in the step their task describes, if given
published    ours with mask tokens, targets and dropout as published, 50 % hidden
no-dropout   the same without dropout, our default
visible-50   ours, visible tokens only, samples and spectra as targets (the recipe of
             the weights that ship), 50 % hidden
visible-75   the same, 75 % hidden

Ours is the loop of the package itself, from the end of its first step to the end of
its last, reading of the windows included. Each contender runs with the batch that was
fastest for it in a trial at the beginning. Then they take turns within one process,
round after round; the figures are medians over the rounds, and a ratio is the median of
the ratios within rounds. Measure on a quiet machine. ``--quick`` runs everything once
on a small shape, to see that it works; its figures mean nothing.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

from _common import Results, limit_threads, parser_of
from speed import parse_shape

PATCH, WIDTH, DEPTH, N_HEADS = 20, 192, 8, 3
BATCHES = {"8x1000": [4, 8, 16, 32], "8x40": [32, 128, 256]}
# Fields of ours: targets, visible tokens only, dropout, share that is hidden.
OURS = {
    "published": (("raw",), False, 0.1, 0.5),
    "no-dropout": (("raw",), False, 0.0, 0.5),
    "visible-50": (("raw", "spectrum"), True, 0.0, 0.5),
    "visible-75": (("raw", "spectrum"), True, 0.0, 0.75),
}
LABELS = {
    "plain": "plain step, mask tokens, dropout 0.1",
    "authors": "authors' code",
    "published": "ours, as published",
    "no-dropout": "ours, as published without dropout",
    "visible-50": "ours, visible tokens only, 50 % hidden",
    "visible-75": "ours, visible tokens only, 75 % hidden",
}
# Times the authors' code at this shape, by the contender that ships; and windows/s of
# their code where that goal was set, on another processor.
GOAL, GOAL_SHAPE, GOAL_NAME, GOAL_BASE = 8.0, "8x1000", "visible-50", 4.8


def plain_model(shape):
    """Return a masked autoencoder as one writes it down the first time."""
    import torch
    from torch import nn

    n_channels, n_patches = shape[0], shape[1] // PATCH
    half = WIDTH // N_HEADS // 2
    frequencies = 10_000.0 ** (-torch.arange(half) / half)
    positions = torch.arange(n_patches).repeat(n_channels)
    angles = torch.outer(positions, frequencies)

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
            self.proj = nn.Linear(WIDTH, WIDTH)
            self.drop_weights, self.drop = nn.Dropout(0.1), nn.Dropout(0.1)
            self.register_buffer("cosines", angles.cos())
            self.register_buffer("sines", angles.sin())

        def rotate(self, x):
            a, b = x[..., :half], x[..., half:]
            turned = (
                a * self.cosines - b * self.sines,
                b * self.cosines + a * self.sines,
            )
            return torch.cat(turned, dim=-1)

        def forward(self, x):
            qkv = self.qkv(x).reshape(*x.shape[:2], 3, N_HEADS, -1)
            q, k, v = qkv.permute(2, 0, 3, 1, 4)
            q, k = self.rotate(q), self.rotate(k)
            scores = q @ k.transpose(2, 3) / (2 * half) ** 0.5
            mixed = self.drop_weights(scores.softmax(dim=-1)) @ v
            return self.drop(self.proj(mixed.transpose(1, 2).flatten(2)))

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
            self.attention = Attention()
            self.mlp = nn.Sequential(
                nn.Linear(WIDTH, 4 * WIDTH),
                nn.GELU(),
                nn.Dropout(0.1),
                nn.Linear(4 * WIDTH, WIDTH),
                nn.Dropout(0.1),
            )

        def forward(self, x):
            x = x + self.attention(self.norm1(x))
            return x + self.mlp(self.norm2(x))

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.patch = nn.Linear(PATCH, WIDTH)
            self.channels = nn.Parameter(0.02 * torch.randn(n_channels, 1, WIDTH))
            self.mask_token = nn.Parameter(torch.zeros(WIDTH))
            self.blocks = nn.Sequential(*(Block() for _ in range(DEPTH)))
            self.norm = nn.LayerNorm(WIDTH)
            self.predict = nn.Linear(WIDTH, PATCH)

        def forward(self, x, mask):
            tokens = self.patch(x.unflatten(2, (n_patches, PATCH)))
            tokens = torch.where(mask[..., None], self.mask_token, tokens)
            tokens = (tokens + self.channels).flatten(1, 2)
            return self.predict(self.norm(self.blocks(tokens)))

    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Plain()


def authors_model(shape, folder):
    """Return the authors' network for reconstruction, called with a mask of cells."""
    import contenders
    from torch import nn

    # Its class comes from the checkout; the instance has a head of classes.
    network = type(contenders.authors_model(shape, folder))
    model = network(img_size=shape[1], in_chans=shape[0], num_classes=0)

    class WithMask(nn.Module):
        def __init__(self):
            super().__init__()
            self.model = model

        def forward(self, x, mask):
            return self.model(x, mask=mask.repeat_interleave(PATCH, dim=2))[0]

    return WithMask()


def plain_call(name, windows, batch, authors=None):
    """Return the function that takes plain steps and returns their seconds."""
    import torch
    from torch.nn import functional as F

    shape = windows.shape[1:]
    model = plain_model(shape) if name == "plain" else authors_model(shape, authors)
    model.train()
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.01)
    n_channels, n_patches = shape[0], shape[1] // PATCH
    n_cells = n_channels * n_patches

    def step(windows):
        mask = torch.zeros(len(windows), n_cells, dtype=torch.bool)
        for row in range(len(windows)):
            mask[row, torch.randperm(n_cells)[: n_cells // 2]] = True
        mask = mask.unflatten(1, (n_channels, n_patches))
        low, high = windows.amin(2, keepdim=True), windows.amax(2, keepdim=True)
        windows = 2 * (windows - low) / (high - low + 1e-8) - 1
        predicted = model(windows, mask)
        wanted = windows.reshape(len(windows), n_cells, PATCH)
        mask = mask.flatten(1)
        loss = F.smooth_l1_loss(predicted[mask], wanted[mask])
        loss = loss + 0.1 * F.smooth_l1_loss(predicted[~mask], wanted[~mask])
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 3.0)
        optimiser.step()

    parts = torch.from_numpy(windows).split(batch)

    def call(n_steps):
        started = time.perf_counter()
        for number in range(n_steps):
            step(parts[number % len(parts)])
        return time.perf_counter() - started

    return call


def our_call(name, windows, batch):
    """Return the function that takes steps of the package's loop and times them."""
    import torch

    from sktinymyo._torch import resolve_precision
    from sktinymyo.nn import MaskedAutoencoder, TinyMyo, TinyMyoConfig
    from sktinymyo.pretraining._loop import PretrainingPlan, pretrain
    from sktinymyo.pretraining._pretrainer import _TOKENS_PER_CALL
    from sktinymyo.pretraining._sources import open_source

    shape = windows.shape[1:]
    targets, visible_only, dropout, ratio = OURS[name]
    config = TinyMyoConfig(
        embed_dim=WIDTH,
        depth=DEPTH,
        n_heads=N_HEADS,
        patch_size=PATCH,
        dropout=dropout,
        attention_dropout=dropout,
        drop_path=dropout,
    )
    generator = torch.Generator().manual_seed(0)
    model = MaskedAutoencoder(
        TinyMyo(config, generator=generator),
        targets=targets,
        visible_only=visible_only,
        generator=generator,
    )
    device = torch.device("cpu")
    source = open_source(windows, n_times=shape[1], step=shape[1], scale=None)

    def call(n_steps):
        plan = PretrainingPlan(
            max_steps=n_steps + 1,
            batch_size=batch,
            tokens_per_call=_TOKENS_PER_CALL,
            lengths=(shape[1],),
            mask_ratio=ratio,
            lr=1e-4,
            warmup=0.0,
            schedule="constant",
            precision=resolve_precision("auto", device, training=True),
        )
        ends = []
        pretrain(
            model,
            source,
            plan,
            device=device,
            on_step=lambda done: ends.append(time.perf_counter()),
        )
        return ends[-1] - ends[0]

    return call


def call_of(name, windows, batch, authors):
    """Return the contender's function of a number of steps."""
    windows = windows[: batch * (len(windows) // batch)]
    if name in OURS:
        return our_call(name, windows, batch)
    return plain_call(name, windows, batch, authors)


def choose_batch(name, windows, batches, authors):
    """Return the batch with the most windows per second, and all the rates."""
    rates = {}
    for batch in batches:
        call = call_of(name, windows, batch, authors)
        call(1)
        rates[batch] = batch / call(1)
    return max(rates, key=rates.get), rates


def measure(options, shape_name):
    """Return the figures of all contenders at one shape."""
    import numpy as np

    batches = options.batches or BATCHES.get(shape_name, [8, 32])
    names = [name for name in LABELS if options.authors or name != "authors"]
    rng = np.random.default_rng(0)
    windows = rng.standard_normal(
        (2 * max(batches), *parse_shape(shape_name)), dtype=np.float32
    )
    calls, values = {}, {}
    for name in names:
        batch, trial = choose_batch(name, windows, batches, options.authors)
        calls[name] = call_of(name, windows, batch, options.authors)
        values[name] = {"batch": batch, "trial": {str(b): r for b, r in trial.items()}}
        shown = ", ".join(f"{b}: {r:.1f}" for b, r in trial.items())
        print(f"{name:>12}: windows/s by batch {shown}", flush=True)
        calls[name](1)  # warm-up of the one that is measured
    rates = {name: [] for name in names}
    for _ in range(options.rounds):
        for name in names:
            n_windows = options.steps * values[name]["batch"]
            rates[name].append(n_windows / calls[name](options.steps))
    for name in names:
        values[name]["windows_per_second"] = statistics.median(rates[name])
        for reference in ("plain", "authors"):
            if reference in rates:
                pairs = zip(rates[name], rates[reference], strict=True)
                ratio = statistics.median(mine / base for mine, base in pairs)
                values[name][f"times_{reference}"] = ratio
    return values


def show(shape_name, values):
    """Print the figures, and the goal where it was set for this shape."""
    reference = "times_authors" if "authors" in values else "times_plain"
    for name, row in values.items():
        print(
            f"{shape_name:>8} {LABELS[name]:<42} batch {row['batch']:>3}"
            f" {row['windows_per_second']:9.1f} w/s  x {row[reference]:5.2f}",
            flush=True,
        )
    if shape_name != GOAL_SHAPE:
        return
    beside = "the authors' code" if "authors" in values else "the plain step"
    print(f"goal at {GOAL_SHAPE}: >= {GOAL:g} times {beside}, within one run")
    for name in (GOAL_NAME, "visible-75"):
        rate, ratio = values[name]["windows_per_second"], values[name][reference]
        verdict = "reached" if ratio >= GOAL else "missed"
        print(f"{name:>12}: {ratio:.2f} times, {verdict}; {rate:.1f} windows/s")
    print(
        f"where the goal was set, the authors' code made {GOAL_BASE} windows/s: "
        f"there it stood for {GOAL * GOAL_BASE:.0f}",
        flush=True,
    )


def main():
    """Measure every shape that is not stored yet."""
    parser = parser_of(__doc__, "pretraining-speed")
    parser.add_argument("--shapes", nargs="+", default=list(BATCHES))
    parser.add_argument(
        "--batches", nargs="+", type=int, help="batches to try, for all shapes"
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=3, help="steps a turn")
    parser.add_argument("--authors", help="checkout of pulp-bio/BioFoundation")
    parser.add_argument("--quick", action="store_true", help="see that it works")
    options = parser.parse_args()
    limit_threads(options.threads)
    import torch

    torch.set_num_threads(options.threads)
    if options.quick:
        options.shapes, options.batches = ["2x40"], [2, 4]
        options.rounds, options.steps = 1, 1
        if options.out == parser.get_default("out"):
            options.out = Path(tempfile.mkdtemp()) / "quick.json"
    results = Results(options.out, "pretraining-speed")
    for shape_name in options.shapes:
        key = {
            "shape": shape_name,
            "threads": options.threads,
            "authors": bool(options.authors),
        }
        values = results.compute(key, lambda name=shape_name: measure(options, name))
        show(shape_name, values)


if __name__ == "__main__":
    sys.exit(main())
