"""The loop of pretraining: steps, checkpoints, several processes.

Every random number of a step is drawn from a generator that is seeded with the
number of the step, for the whole batch. What a step does therefore depends on
nothing but its number and the parameters before it: a run that was killed goes on
from its last checkpoint as if nothing had happened, and several processes, each
with its share of the rows, take the step that one process would have taken.
"""

import csv
import math
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import pad
from tqdm.auto import tqdm

from .._files import replaced_file
from .._torch import make_generator
from ..nn import draw_mask, fast_matmul, set_generator
from ._checkpoint import load_checkpoint, save_checkpoint

__all__ = ["PretrainingPlan", "pretrain"]

_LOWEST_RATE = 0.02
_BETAS = (0.9, 0.98)
# Steps whose mean is a row of the log.
_STEPS_PER_ROW = 20


@dataclass(frozen=True)
class PretrainingPlan:
    """All that :func:`pretrain` needs to know beside the model and the windows.

    Parameters
    ----------
    max_steps : int
        Steps of the optimiser in the whole run.
    batch_size : int
        Windows of a step, over all processes.
    tokens_per_call : int
        Most tokens of a forward pass in one process (one window has at least its
        own); gradients of several passes are added up.
    lengths : tuple of int
        Lengths of windows in samples, each a multiple of the patch; every batch
        is cut to one of them, drawn at random.
    mask_ratio, mask_form
        See :func:`sktinymyo.nn.draw_mask`.
    label_weight : float
        Weight of the loss of labels beside the reconstruction.
    gain : float
        Standard deviation of the logarithm of a random gain of every channel.
    jitter : int
        Largest random shift of a window's start, in samples.
    lr, weight_decay, warmup, clip : float
        Of AdamW; share of steps with a rising rate; largest norm of a gradient.
    schedule : {"cosine", "constant"}
        What the rate does after the warm-up.
    precision : {"float32", "bf16"}
        Of the matrix products.
    seed : int
        Of everything random.
    """

    max_steps: int
    batch_size: int
    tokens_per_call: int
    lengths: tuple
    mask_ratio: float = 0.5
    mask_form: str = "cell"
    label_weight: float = 1.0
    gain: float = 0.0
    jitter: int = 0
    lr: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.1
    clip: float = 3.0
    schedule: str = "cosine"
    precision: str = "float32"
    seed: int = 0

    def rate_factor(self, step):
        """Return the factor on the rate in a step."""
        n_warmup = round(self.warmup * self.max_steps)
        if step < n_warmup:
            return _LOWEST_RATE + (1 - _LOWEST_RATE) * (step + 1) / n_warmup
        if self.schedule == "constant":
            return 1.0
        passed = (step - n_warmup) / max(self.max_steps - n_warmup, 1)
        return _LOWEST_RATE + (1 - _LOWEST_RATE) * 0.5 * (
            1 + math.cos(math.pi * min(passed, 1.0))
        )


class _Batches:
    """The batches of the whole run by number; holds the order of one epoch."""

    def __init__(self, source, plan):
        self.source, self.plan = source, plan
        self.n_channels = source.n_channels
        self.epoch, self.order = None, None
        self.per_epoch = len(self._order_of(0))

    def _order_of(self, epoch):
        if self.epoch != epoch:
            order = self.source.order(self.plan.seed, epoch, self.plan.batch_size)
            self.epoch, self.order = epoch, order
        return self.order

    def __getitem__(self, step):
        """Return the windows of a step."""
        return self._order_of(step // self.per_epoch)[step % self.per_epoch]


def optimizer_of(model, plan):
    """Return AdamW in which vectors and embeddings do not decay."""
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            vector = sum(length > 1 for length in parameter.shape) <= 1
            embedding = name.endswith(("channel_embed", "decoder_channels"))
            groups[not (vector or embedding)].append(parameter)
    return torch.optim.AdamW(
        [
            {"params": groups[True], "weight_decay": plan.weight_decay},
            {"params": groups[False], "weight_decay": 0.0},
        ],
        lr=plan.lr,
        betas=_BETAS,
        fused=True,
    )


def _draw(plan, step, n_windows, n_channels, channel_padding, patch_size):
    """Draw what is random in a step, for all rows of the batch."""
    seed = np.random.SeedSequence((plan.seed, step)).generate_state(1)[0]
    generator = make_generator(seed)
    which = int(torch.randint(len(plan.lengths), (1,), generator=generator))
    length = plan.lengths[which]
    room = max(plan.lengths) - length
    offsets = torch.randint(room + 1, (n_windows,), generator=generator)
    shape = (n_windows, n_channels, 1)
    gains = torch.randn(shape, generator=generator, dtype=torch.float32)
    mask = draw_mask(
        (n_windows, n_channels, length // patch_size),
        plan.mask_ratio,
        plan.mask_form,
        generator=generator,
        channel_padding=channel_padding,
    )
    return length, offsets, (plan.gain * gains).exp(), mask, int(seed)


def _shifts(plan, step, n_windows):
    """Draw the shifts of the windows' starts, before anything is read."""
    if not plan.jitter:
        return None
    rng = np.random.default_rng((plan.seed, step, 1))
    return rng.integers(-plan.jitter, plan.jitter + 1, n_windows)


def _share(indices, rank, n_processes):
    """Return the positions of a process in a batch; all processes get one."""
    if len(indices) < n_processes:
        return np.array([rank]) if rank < len(indices) else np.array([], dtype=int)
    return np.arange(rank, len(indices), n_processes)


def _step(model, inner, batches, step, batch, accelerator, device):
    """Add up the gradients of one step; return the mean losses of this process."""
    source, plan = batches.source, batches.plan
    rank, n_processes = 0, 1
    if accelerator is not None:
        rank, n_processes = accelerator.process_index, accelerator.num_processes
    rows = _share(batch, rank, n_processes)
    shifts = _shifts(plan, step, len(batch))
    weight = n_processes / len(batch)
    if len(rows) == 0:  # still has to take part in the exchange of gradients
        rows, weight = np.array([0]), 0.0
    shift = None if shifts is None else shifts[rows]
    windows, _, labels = source.read(batch[rows], shift=shift)
    windows, labels = torch.from_numpy(windows), torch.from_numpy(labels)
    # Of the whole batch: the rows of one process may all have fewer channels, and
    # what is drawn must not depend on that.
    counts = batches.n_channels[batch]
    n_channels = int(counts.max())
    windows = pad(windows, (0, 0, 0, n_channels - windows.shape[1]))
    all_padding = padding = None
    if counts.min() < n_channels:
        all_padding = torch.from_numpy(np.arange(n_channels) >= counts[:, None])
        padding = all_padding[rows]
    length, offsets, gains, mask, seed = _draw(
        plan,
        step,
        len(batch),
        n_channels,
        all_padding,
        inner.encoder.config.patch_size,
    )
    columns = offsets[rows, None] + torch.arange(length)
    windows = windows.gather(2, columns[:, None].expand(-1, n_channels, -1))
    windows = windows * gains[rows]
    mask = mask[rows]
    generator = make_generator(seed + 1 + rank, device)
    set_generator(model, generator)
    totals = {}
    size = max(plan.tokens_per_call // (n_channels * mask.shape[2]), 1)
    parts = [slice(at, at + size) for at in range(0, len(rows), size)]
    cast = plan.precision == "bf16"
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        alone = accelerator is None or last
        with nullcontext() if alone else accelerator.no_sync(model):
            with torch.autocast(device.type, torch.bfloat16, enabled=cast):
                losses = model(
                    windows[part].to(device),
                    mask[part].to(device),
                    None if padding is None else padding[part].to(device),
                    labels[part].to(device),
                )
            loss = 0.0
            for name, values in losses.items():
                total = values.sum() * weight
                totals[name] = totals.get(name, 0.0) + total.detach()
                loss = loss + total * (plan.label_weight if name == "labels" else 1.0)
            if accelerator is None:
                loss.backward()
            else:
                accelerator.backward(loss)
    return totals


class _Losses(torch.nn.Module):
    """Losses as the forward pass, which is what processes exchange gradients of."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, windows, mask, padding, labels):
        return self.model.losses(windows, mask, padding, labels)


class _Log:
    """A CSV file, one row for some steps.

    It is written anew from the history: what lies there may go on behind the
    checkpoint, or be torn by what ended the run.
    """

    def __init__(self, path, columns, history):
        self.path, self.columns = path, columns
        if path is None:
            return
        with (
            replaced_file(path, path.with_name(path.name + ".part")) as draft,
            draft.open("w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(history)

    def add(self, row):
        if self.path is not None:
            with self.path.open("a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns).writerow(row)


def _identify(plan, model, source):
    """Return what two runs must share for one to go on where the other ended."""
    weights = [value.detach().cpu().double() for value in model.parameters()]
    squares = sum(float(value.square().sum()) for value in weights)
    return {
        **asdict(plan),
        **model.encoder.config.to_dict(),
        "targets": model.targets,
        "visible_only": model.visible_only,
        "decoder_depth": len(model.decoder_blocks) if model.visible_only else None,
        # Not to the last bit, in which random numbers differ between processors.
        "start": f"{squares:.6g}",
        "data": source.fingerprint(),
    }


def _refuse_different_starts(accelerator, start, path):
    """Refuse processes that would begin at different steps.

    Only the first one writes checkpoints; another machine may not see them.
    """
    own = torch.tensor([start], device=accelerator.device)
    starts = accelerator.gather(own).tolist()
    if len(set(starts)) > 1:
        raise ValueError(
            f"the processes would begin behind the steps {starts}: not all of them "
            f"see the same checkpoint {str(path)!r}. Name a folder that all machines "
            "share, or copy the checkpoint to each of them."
        )


def pretrain(
    model,
    source,
    plan,
    *,
    folder=None,
    resume=False,
    checkpoint_seconds=300.0,
    accelerator=None,
    device=None,
    checkpointing=False,
    verbose=0,
    on_step=None,
):
    """Train a :class:`~sktinymyo.nn.MaskedAutoencoder` in place.

    Parameters
    ----------
    model : MaskedAutoencoder
        On the device of the run.
    source : WindowSource
        Where the windows come from.
    plan : PretrainingPlan
        The recipe.
    folder : path-like or None, default=None
        For the checkpoint and the log; None writes neither.
    resume : bool, default=False
        Go on from the checkpoint in `folder`, if there is one. Without it, such a
        checkpoint is refused rather than overwritten.
    checkpoint_seconds : float, default=300.0
        Time between two checkpoints; one more is written at the end.
    accelerator : accelerate.Accelerator or None, default=None
        For several processes.
    device : torch.device or None, default=None
        None is the device of the model.
    checkpointing : bool, default=False
        See :class:`~sktinymyo.nn.TinyMyo`. It is no part of the recipe: gradients are
        the same, so that a run may go on with another value.
    verbose : int, default=0
        Above 0 shows a progress bar with loss and windows per second.
    on_step : callable or None, default=None
        Called with the number of steps done, after each.

    Returns
    -------
    history : list of dict
        One row for 20 steps (and one for the rest): ``step``, ``epoch``, ``lr``,
        ``loss``, the loss of every target, ``windows_per_second``.

    Raises
    ------
    ValueError
        If the loss is no longer finite; if there is a checkpoint without `resume`,
        or one that is damaged, belongs to other data or another recipe, or is not
        seen by all processes.
    """
    device = next(model.parameters()).device if device is None else device
    folder = None if folder is None else Path(folder)
    main = accelerator is None or accelerator.is_main_process
    identity = _identify(plan, model, source)
    optimizer = optimizer_of(model, plan)
    columns = ["step", "epoch", "lr", "loss", *model.targets]
    columns += ["labels"] if model.classifier is not None else []
    columns += ["windows_per_second"]
    start, history = 0, []
    path = None if folder is None else folder / "checkpoint.safetensors"
    if path is not None:
        folder.mkdir(parents=True, exist_ok=True)
        if path.exists() and not resume:
            raise ValueError(
                f"{str(path)!r} is the checkpoint of an earlier run, which this one "
                "would overwrite. Pass resume=True (--resume on the command line) to "
                "go on from it, or name another folder, or delete it."
            )
        if path.exists():
            start, history = load_checkpoint(path, model, optimizer, identity, columns)
    batches = _Batches(source, plan)
    wrapped = _Losses(model)
    if accelerator is not None:
        _refuse_different_starts(accelerator, start, path)
        wrapped, optimizer = accelerator.prepare(wrapped, optimizer)
    log = _Log(
        None if path is None or not main else folder / "log.csv", columns, history
    )
    bar = tqdm(
        total=plan.max_steps,
        initial=start,
        unit="step",
        desc="pretraining",
        disable=not (verbose and main),
    )
    row = _Row(start, plan, batches)
    saved = time.monotonic()
    model.train()
    model.encoder.checkpointing = checkpointing
    fast = fast_matmul() if device.type == "cpu" else nullcontext()
    try:
        with torch.inference_mode(False), torch.enable_grad(), fast:
            for step in range(start, plan.max_steps):
                rate = plan.lr * plan.rate_factor(step)
                for group in optimizer.param_groups:
                    group["lr"] = rate
                batch = np.asarray(batches[step])
                optimizer.zero_grad(set_to_none=True)
                losses = _step(
                    wrapped, model, batches, step, batch, accelerator, device
                )
                if accelerator is not None:
                    names_of_losses = sorted(losses)
                    stacked = torch.stack([losses[n] for n in names_of_losses])
                    stacked = accelerator.reduce(stacked, "mean")
                    losses = dict(zip(names_of_losses, stacked, strict=True))
                losses = {name: float(value) for name, value in losses.items()}
                if not all(math.isfinite(value) for value in losses.values()):
                    raise ValueError(
                        f"pretraining diverged: the losses became {losses} in step "
                        f"{step + 1} with lr={plan.lr!r}. Pass a lower lr, or "
                        "scale='group' if the recordings are not scaled."
                    )
                torch.nn.utils.clip_grad_norm_(model.parameters(), plan.clip)
                optimizer.step()
                done = step + 1
                bar.update()
                row.add(losses, len(batch))
                if done % _STEPS_PER_ROW == 0 or done == plan.max_steps:
                    values = row.finish(done, rate)
                    history.append(values)
                    if main:
                        log.add(values)
                    bar.set_postfix(
                        loss=values["loss"], windows_s=values["windows_per_second"]
                    )
                    row = _Row(done, plan, batches)
                if main and path is not None:
                    late = time.monotonic() - saved >= checkpoint_seconds
                    whole_row = done % _STEPS_PER_ROW == 0
                    if done == plan.max_steps or (late and whole_row):
                        save_checkpoint(path, model, optimizer, identity, done, history)
                        saved = time.monotonic()
                if on_step is not None:
                    on_step(done)
    finally:
        bar.close()
        set_generator(model, None)
        model.encoder.checkpointing = False
        model.zero_grad(set_to_none=True)
        model.eval()
    return history


class _Row:
    """Means over some steps."""

    def __init__(self, step, plan, batches):
        self.plan, self.batches = plan, batches
        self.sums, self.n_steps, self.n_windows = {}, 0, 0
        self.started = time.perf_counter()

    def add(self, losses, n_windows):
        """Add the losses of a step."""
        for name, value in losses.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.n_steps += 1
        self.n_windows += n_windows

    def finish(self, step, rate):
        """Return the row."""
        means = {name: value / self.n_steps for name, value in self.sums.items()}
        loss = sum(
            value * (self.plan.label_weight if name == "labels" else 1.0)
            for name, value in means.items()
        )
        seconds = time.perf_counter() - self.started
        return {
            "step": step,
            "epoch": round(step / self.batches.per_epoch, 3),
            "lr": rate,
            "loss": loss,
            **means,
            "windows_per_second": round(self.n_windows / seconds, 1),
        }
