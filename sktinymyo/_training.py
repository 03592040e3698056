"""Training of a module with skorch: the only place that knows skorch.

skorch runs inside :func:`train` and is then dropped: nothing of it stays in a
fitted estimator.
"""

import math
import warnings
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import sklearn
import torch
from skorch import NeuralNet
from skorch.callbacks import Callback, EarlyStopping, GradientNormClipping, LRScheduler
from skorch.dataset import Dataset
from skorch.helper import predefined_split
from torch.nn import functional
from tqdm.auto import tqdm

from ._lesson import Lesson, Tutor
from .exceptions import TrainingInterruptedWarning
from .nn import augment_windows, fast_matmul, set_generator

__all__ = ["TrainingPlan", "parameter_groups", "train"]

# The published recipe warms up from, and decays to, 1e-5 at a rate of 5e-4.
_LOWEST_RATE = 0.02
_BETAS = (0.9, 0.98)
# Of the pretraining recipe; a guard against single broken windows.
_LARGEST_GRADIENT = 3.0


_DIVERGED = (
    "training diverged: the loss became {loss} with lr={lr!r}. Pass a lower lr, or "
    "scale='channel' if the windows are not scaled."
)


@dataclass
class TrainingPlan:
    """Everything :func:`train` needs to know beside the module and the data.

    Parameters
    ----------
    loss : {"cross-entropy", "l1"}
        Loss of a window; batches take the weighted mean.
    max_epochs : int
        Passes over the training windows.
    batch_size : int
        Windows of one optimiser step.
    micro_batch_size : int
        Windows of one forward pass; gradients are summed over the passes.
    lr, weight_decay : float
        Of AdamW.
    layer_decay : float
        Factor on the rate from each layer to the one below.
    warmup : float
        Share of the steps in which the rate rises.
    label_smoothing : float
        Of the cross-entropy.
    patience : int or None
        Epochs without a better validation loss before training stops.
    augment : str or None
        Recipe of :func:`sktinymyo.nn.augment_windows`.
    device : torch.device
        Where to train.
    precision : {"float32", "bf16"}
        Type of the matrix products.
    seed : int
        Of shuffling, augmentation and dropout.
    verbose : bool or int
        Show a progress bar.
    """

    loss: str
    max_epochs: int
    batch_size: int
    micro_batch_size: int
    lr: float
    weight_decay: float
    layer_decay: float
    warmup: float
    label_smoothing: float
    patience: int | None
    augment: str | None
    device: torch.device
    precision: str
    seed: int
    verbose: int = 0


def parameter_groups(module, *, lr, weight_decay, layer_decay):
    """Group the trainable parameters by rate and weight decay.

    The rate falls by `layer_decay` from the head to the last block, and so on
    down to the patch map. Vectors (biases, norms, embeddings) do not decay.

    Parameters
    ----------
    module : torch.nn.Module
        A TinyMyo, or a head alone.
    lr, weight_decay, layer_decay : float
        Rate of the head, decay of the matrices, factor per layer.

    Returns
    -------
    groups : list of dict
        For an optimiser of torch.
    """
    depth = len(getattr(module, "blocks", ()))
    groups = {}
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("blocks."):
            layer = int(name.split(".")[1]) + 1
        elif name.startswith(("mask_token", "channel_embed", "patch_embedding.")):
            layer = 0
        elif name.startswith("norm."):
            layer = depth
        else:
            layer = depth + 1
        matrix = sum(length > 1 for length in parameter.shape) > 1
        decays = matrix and not name.startswith(("mask_token", "channel_embed"))
        groups.setdefault((layer, decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": lr * layer_decay ** (depth + 1 - layer),
            "weight_decay": weight_decay if decays else 0.0,
        }
        for (layer, decays), parameters in sorted(
            groups.items(), key=lambda item: item[0], reverse=True
        )
    ]


def _rate_factor(step, n_warmup, n_steps):
    """Return the factor on the rate: linear rise, then a cosine to the lowest."""
    if step < n_warmup:
        return _LOWEST_RATE + (1 - _LOWEST_RATE) * (step + 1) / n_warmup
    passed = min((step - n_warmup) / max(n_steps - n_warmup, 1), 1.0)
    return _LOWEST_RATE + (1 - _LOWEST_RATE) * 0.5 * (1 + math.cos(math.pi * passed))


def _loss_of_windows(plan, output, target):
    """Return the loss of every window (n_windows,)."""
    output = output.float()
    if plan.loss == "cross-entropy":
        return functional.cross_entropy(
            output, target, reduction="none", label_smoothing=plan.label_smoothing
        )
    return (output - target).abs().flatten(1).mean(dim=1)


class _Batches:
    """Indices of the batches of one pass, in a new order every time."""

    def __init__(self, indices, batch_size, rng=None):
        self.indices = np.asarray(indices)
        self.batch_size = batch_size
        self.rng = rng

    def __iter__(self):
        order = self.indices
        if self.rng is not None:
            order = self.rng.permutation(order)
        for start in range(0, len(order), self.batch_size):
            yield (order[start : start + self.batch_size],)


class _WindowsNet(NeuralNet):
    """skorch's loop over batches that are computed in parts."""

    def __init__(self, *args, plan, data, set_mode, tutor, **kwargs):
        super().__init__(*args, **kwargs)
        self.plan = plan
        self.data = data
        self.set_mode = set_mode
        self.tutor = tutor

    def seed(self, order, augment):
        """Seed the order of the windows and their random changes."""
        self.order_ = np.random.default_rng(order)
        self.augment_ = torch.Generator().manual_seed(int(augment))
        return self

    def initialize_optimizer(self, triggered_directly=None):
        """Give every layer its own rate, which skorch's patterns cannot express."""
        groups = parameter_groups(
            self.module_,
            lr=self.plan.lr,
            weight_decay=self.plan.weight_decay,
            layer_decay=self.plan.layer_decay,
        )
        if self.tutor is not None and self.tutor.matching is not None:
            groups += parameter_groups(
                self.tutor.matching,
                lr=self.plan.lr,
                weight_decay=self.plan.weight_decay,
                layer_decay=1.0,
            )
        self.optimizer_ = torch.optim.AdamW(groups, betas=_BETAS, fused=True)
        return self

    def get_iterator(self, dataset, training=False):
        """Return batches of indices, without a DataLoader.

        A DataLoader draws from torch's global generator even when it does not
        shuffle.
        """
        rng = self.order_ if training else None
        return _Batches(dataset.X, self.plan.batch_size, rng)

    def _set_training(self, training=True):
        self.set_mode(self.module_, training)

    def _parts(self, indices, training):
        """Yield the loss sum of every part of a batch."""
        plan, data = self.plan, self.data
        cast = plan.precision == "bf16"
        for start in range(0, len(indices), plan.micro_batch_size):
            part = indices[start : start + plan.micro_batch_size]
            windows = data.windows(part)
            if training and plan.augment is not None:
                windows = augment_windows(windows, plan.augment, self.augment_)
            target = torch.from_numpy(data.targets[part]).to(plan.device)
            weight = torch.from_numpy(data.weights[part]).to(plan.device)
            with torch.autocast(plan.device.type, torch.bfloat16, enabled=cast):
                output = self.module_(windows.to(plan.device))
            loss = _loss_of_windows(plan, output, target)
            if self.tutor is not None:
                loss = self.tutor.loss(part, output, loss)
            yield (loss * weight).sum()

    def train_step(self, batch, **fit_params):
        """Take one step of the optimiser on a batch computed in parts."""
        (indices,) = batch
        self._set_training(True)
        self.optimizer_.zero_grad(set_to_none=True)
        total_weight = len(indices) * self.data.mean_weight
        loss = torch.zeros((), dtype=torch.float32, device=self.plan.device)
        for part in self._parts(indices, training=True):
            part = part / total_weight
            part.backward()
            loss += part.detach()
        if not torch.isfinite(loss):
            raise ValueError(_DIVERGED.format(loss=loss.item(), lr=self.plan.lr))
        named_parameters = list(self.module_.named_parameters())
        if self.tutor is not None:
            named_parameters += self.tutor.named_parameters()
        self.notify(
            "on_grad_computed",
            named_parameters=named_parameters,
            batch=batch,
            training=True,
        )
        self.optimizer_.step()
        return {"loss": loss, "y_pred": None}

    def validation_step(self, batch, **fit_params):
        """Return the loss of a batch of validation windows."""
        (indices,) = batch
        self._set_training(False)
        with torch.no_grad():
            loss = sum(self._parts(indices, training=False))
        mean = float(self.data.weights[self.data.validation].mean(dtype=np.float64))
        return {"loss": loss / (len(indices) * mean), "y_pred": None}

    @property
    def stopped_early(self):
        """Whether the patience ran out, which skorch too tells by an interrupt."""
        stopping = dict(self.callbacks_).get("stopping")
        return stopping is not None and stopping.misses_ == stopping.patience

    def fit_loop(self, X, y=None, epochs=None, **fit_params):
        """Run the epochs; a keyboard interrupt ends them with a warning."""
        try:
            return super().fit_loop(X, y, epochs, **fit_params)
        except KeyboardInterrupt:
            if self.stopped_early:
                return self
            n_finished = sum("train_loss" in row for row in self.history)
            warnings.warn(
                f"Training was interrupted after {n_finished} of {self.max_epochs} "
                "epochs; the model is usable as it is.",
                TrainingInterruptedWarning,
                stacklevel=7,
            )
            return self


class _Progress(Callback):
    """A bar over the optimiser's steps, with the losses of the last epoch."""

    def __init__(self, n_steps):
        self.n_steps = n_steps

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Open the bar."""
        self.bar_ = tqdm(total=self.n_steps, unit="step", desc="training")

    def on_batch_end(self, net, batch=None, training=False, **kwargs):
        """Advance by one step."""
        if training:
            self.bar_.update()

    def on_epoch_end(self, net, dataset_train=None, dataset_valid=None, **kwargs):
        """Show the losses."""
        row = net.history[-1]
        names = ("train_loss", "valid_loss")
        self.bar_.set_postfix({name: row[name] for name in names if name in row})

    def on_train_end(self, net, X=None, y=None, **kwargs):
        """Close the bar."""
        self.bar_.close()


@dataclass
class TrainingData:
    """Windows, targets and weights, read by index.

    Parameters
    ----------
    windows : callable
        Takes an array of indices, returns the float32 tensor of these windows.
    targets : ndarray
        Integer classes (n_windows,) or float32 values (n_windows, ...).
    weights : ndarray of float32, shape (n_windows,)
        Weight of every window, above zero.
    training, validation : ndarray of int or None
        Indices of the windows to train on and to validate with.
    lesson : Lesson or None, default=None
        What a teacher says of the windows, beside the targets.
    feature_layer : torch.nn.Module or None, default=None
        With a lesson: layer of the module whose input is its features.
    """

    windows: object
    targets: np.ndarray
    weights: np.ndarray
    training: np.ndarray
    validation: np.ndarray | None = None
    lesson: Lesson | None = None
    feature_layer: torch.nn.Module | None = None

    @property
    def mean_weight(self):
        """Mean weight of the training windows.

        Dividing by the weight of each batch would cancel the weights of windows
        that make a batch of their own.
        """
        return float(self.weights[self.training].mean(dtype=np.float64))


def train(module, data, plan, set_mode=None):
    """Train a module in place and return its history.

    Parameters
    ----------
    module : torch.nn.Module
        Maps windows to outputs; parameters without ``requires_grad`` stay.
    data : TrainingData
        What to learn from.
    plan : TrainingPlan
        The recipe.
    set_mode : callable or None, default=None
        Called with the module and whether it trains; None is ``module.train``.

    Returns
    -------
    history : list of dict
        One row an epoch: ``epoch``, ``train_loss``, ``lr``, ``duration`` in
        seconds and, with validation windows, ``valid_loss``.

    Raises
    ------
    ValueError
        If the loss is no longer finite.
    """
    order, augment, dropout = np.random.SeedSequence(plan.seed).generate_state(3)
    device_generator = torch.Generator(device=plan.device).manual_seed(int(dropout))
    n_steps = plan.max_epochs * math.ceil(len(data.training) / plan.batch_size)
    n_warmup = round(plan.warmup * n_steps)
    callbacks = [
        (
            "schedule",
            LRScheduler(
                torch.optim.lr_scheduler.LambdaLR,
                lr_lambda=lambda step: _rate_factor(step, n_warmup, n_steps),
                step_every="batch",
            ),
        ),
        ("clipping", GradientNormClipping(_LARGEST_GRADIENT)),
    ]
    split = None
    if data.validation is not None:
        split = predefined_split(Dataset(data.validation))
        if plan.patience is not None:
            stopping = EarlyStopping(
                patience=plan.patience,
                load_best=True,
                sink=lambda message: None,
            )
            callbacks.append(("stopping", stopping))
    if plan.verbose:
        callbacks.append(("progress", _Progress(n_steps)))

    tutor = None
    if data.lesson is not None:
        projection = np.random.SeedSequence(plan.seed).generate_state(4)[3]
        tutor = Tutor(
            data.lesson,
            data.feature_layer,
            classifies=plan.loss == "cross-entropy",
            device=plan.device,
            generator=torch.Generator().manual_seed(int(projection)),
        )

    def default_mode(module, training):
        module.train(training)

    net = _WindowsNet(
        module,
        torch.nn.Identity,
        plan=plan,
        data=data,
        set_mode=default_mode if set_mode is None else set_mode,
        tutor=tutor,
        max_epochs=plan.max_epochs,
        device=plan.device,
        train_split=split,
        callbacks=callbacks,
        callbacks__print_log=None,
        verbose=0,
    ).seed(order, augment)
    set_generator(module, device_generator)
    try:
        # The routing of metadata is the caller's; skorch must not take part in it.
        with (
            sklearn.config_context(enable_metadata_routing=False),
            torch.inference_mode(False),
            torch.enable_grad(),
            fast_matmul() if plan.device.type == "cpu" else nullcontext(),
        ):
            net.fit(data.training, None)
        with torch.inference_mode():
            # The last step is followed by no loss that would tell.
            output = module.eval()(data.windows(data.training[:1]).to(plan.device))
        if not torch.isfinite(output).all():
            raise ValueError(_DIVERGED.format(loss="not finite", lr=plan.lr))
    finally:
        if tutor is not None:
            tutor.close()
        set_generator(module, None)
        module.zero_grad(set_to_none=True)
        module.eval()
    return [
        {
            "epoch": row["epoch"],
            **{
                name: float(row[name])
                for name in ("train_loss", "valid_loss")
                if name in row
            },
            "lr": [
                batch["event_lr"] for batch in row["batches"] if "event_lr" in batch
            ][-1],
            "duration": row["dur"],
        }
        for row in net.history
        if "train_loss" in row
    ]
