"""What the estimators share that train an encoder, or a head upon it."""

import copy
import math
import numbers
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_random_state

from ._base import TinyMyoEstimator
from ._linear_head import (
    moments,
    scale_inputs,
    set_linear,
    solve_head,
    unscale_inputs,
)
from ._torch import (
    ModuleRunner,
    enough_threads,
    make_generator,
    resolve_device,
    resolve_precision,
    windows_per_call,
)
from ._validation import WINDOW_TYPES, check_choice, check_number, validate_windows
from .nn import AUGMENTATIONS

__all__ = ["RANDOM_START", "TinyMyoTunedEstimator", "TuningDefaults", "hold_back"]

_EPOCHS_OF_HEAD = (20, 100)
_BATCH_OF_MODULE = (4, 32)
_BATCH_OF_HEAD = (8, 256)


@dataclass(frozen=True)
class TuningDefaults:
    """What "auto" means for the parameters of the training.

    Parameters
    ----------
    lr, layer_decay : float
        Rate of the head, and factor on it from each layer to the one below.
    windows_to_see : int
        Windows shown to the model in all epochs together.
    epochs : tuple of int
        Fewest and most epochs.
    """

    lr: float
    layer_decay: float
    windows_to_see: int = 30_000
    epochs: tuple = (5, 100)


# The rates of the paper; from random weights the lower layers have most to learn.
RANDOM_START = TuningDefaults(lr=5e-4, layer_decay=1.0)
TRAINED_START = TuningDefaults(lr=5e-4, layer_decay=0.9)

# Above this, the inputs of a head are computed anew in every epoch.
_MOST_FEATURE_BYTES = 2**31

# More windows would make the start of the head slower and hardly better.
_MOST_WINDOWS_OF_START = 10_000


class TinyMyoTunedEstimator(TinyMyoEstimator):
    """Base of the estimators that train an encoder, or a head upon it."""

    def _check_training_parameters(self):
        self._check_common_parameters()
        if isinstance(self.tune, numbers.Integral) and not isinstance(self.tune, bool):
            check_number("tune", self.tune, minimum=1, integer=True)
        elif self.tune not in ("all", "head"):
            raise ValueError(
                f"tune={self.tune!r} is not accepted; pass 'all', 'head' or the "
                "number of last blocks to train with the head."
            )
        if self.max_epochs != "auto":
            check_number("max_epochs", self.max_epochs, minimum=1, integer=True)
        if self.lr != "auto":
            check_number("lr", self.lr, minimum=0, include_minimum=False)
        check_number("weight_decay", self.weight_decay, minimum=0)
        if self.layer_decay != "auto":
            check_number(
                "layer_decay",
                self.layer_decay,
                minimum=0,
                include_minimum=False,
                maximum=1,
            )
        for name, value in (("dropout", self.dropout), ("warmup", self.warmup)):
            check_number(name, value, minimum=0, maximum=1, include_maximum=False)
        if self.validation_fraction is not None:
            check_number(
                "validation_fraction",
                self.validation_fraction,
                minimum=0,
                include_minimum=False,
                maximum=1,
                include_maximum=False,
            )
        check_number(
            "patience", self.patience, minimum=1, integer=True, none_allowed=True
        )
        if self.augment is not None:
            check_choice("augment", self.augment, tuple(AUGMENTATIONS))

    def _start(self, X, sample_weight):
        """Load the encoder, put a new head on it, and forget earlier fits."""
        self._forget()
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        with torch.inference_mode(False):
            module, card, source = self._load_encoder(seed, self.dropout)
            source = source if self.tune == "head" else None
            self._set_encoder(X, module, card, source, sample_weight)
            module.model_head = self._new_head(make_generator(seed + 1)).float()
        self._runner = ModuleRunner(module, self._scaler())
        self._int8 = None
        self._head_is_new = True
        self.history_ = []

    def _continue(
        self, X, targets, sample_weight, groups, loss, stratify=None, lesson=None
    ):
        """Train a copy of the present module on windows, then take it over."""
        try:
            with torch.inference_mode(False):
                module, history = self._train(
                    X, targets, sample_weight, groups, loss, stratify, lesson
                )
                runner = ModuleRunner(module, self._scaler())
                seen = X if sample_weight.all() else X[sample_weight > 0]
                int8 = self._learn_int8(runner, seen, self._int8)
        except BaseException:
            if self._head_is_new:
                self._forget()
            raise
        self._head_is_new = False
        if self.tune != "head":
            self._encoder_source = None
        self._runner, self._int8 = runner, int8
        offset = len(self.history_)
        for row in history:
            row["epoch"] += offset
        self.history_ = [*self.history_, *history]

    def _train(self, X, targets, sample_weight, groups, loss, stratify, lesson=None):
        """Return a trained copy of the module and the history of its training."""
        from ._training import TrainingData, train

        runner = self._get_runner()
        if isinstance(self.tune, numbers.Integral) and self.tune > self.config_.depth:
            raise ValueError(
                f"tune={self.tune!r} asks for more blocks than the encoder has "
                f"({self.config_.depth}); pass 'all' or at most that number."
            )
        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=3)
        # Another order and other dropout in every later call of partial_fit.
        seeds = (seeds + len(self.history_)) % np.iinfo(np.int32).max
        keep = np.flatnonzero(sample_weight > 0)
        training, validation = self._split(keep, stratify, groups, int(seeds[2]))
        device = resolve_device(self.device)
        module = copy.deepcopy(runner.module).to(device)
        on_features = self.tune == "head" and self._features_fit(len(X), loss)
        solves = self._head_is_new and self._solves_head(loss)
        plan = self._plan(loss, len(training), device, on_features, int(seeds[1]))
        data = TrainingData(
            windows=None,
            targets=targets,
            weights=(sample_weight / sample_weight.max()).astype(np.float32),
            training=training,
            validation=validation,
            lesson=lesson,
            feature_layer=module.model_head.feature_layer,
        )
        if on_features:
            with enough_threads(1, self.config_, device):
                known = sample_weight if solves else None
                return module, self._train_head(X, module, data, plan, known)
        if solves:
            self._start_head(X, module, data, sample_weight, rng)
        data.windows = lambda rows: runner.scaler.to_tensor(X[rows])
        trainable = self._trainable_parts(module)
        module.requires_grad_(False)
        for part in trainable:
            part.requires_grad_(True)

        def set_mode(module, training):
            module.eval()
            for part in trainable:
                part.train(training)

        n_tokens = plan.micro_batch_size * self.n_channels_in_ * self._n_complete()
        with enough_threads(n_tokens, self.config_, device):
            return module, train(module, data, plan, set_mode)

    def _solves_head(self, loss):
        """Whether a new head begins as a logistic regression."""
        start = getattr(self, "head_start", "random")
        if loss != "cross-entropy" or start != "auto":
            return start == "logistic"
        return self.weights_card_.source != "random"

    def _tuning_defaults(self):
        """Return what "auto" means for the weights that training began with."""
        random = self.weights_card_.source == "random"
        return RANDOM_START if random else TRAINED_START

    def _plan(self, loss, n_training, device, on_features, seed):
        """Return the recipe for a number of windows; see the class for reasons."""
        from ._training import TrainingPlan

        known = self._tuning_defaults()
        max_epochs, batch_size = self.max_epochs, self.batch_size
        if max_epochs == "auto":
            wanted, limits = known.windows_to_see, known.epochs
            if on_features:
                wanted, limits = RANDOM_START.windows_to_see, _EPOCHS_OF_HEAD
            max_epochs = int(np.clip(wanted // n_training, *limits))
        if batch_size == "auto":
            limits = _BATCH_OF_HEAD if on_features else _BATCH_OF_MODULE
            batch_size = int(np.clip(n_training // 8, *limits))
        lr = self.lr
        if lr == "auto":
            lr = RANDOM_START.lr if on_features else known.lr
        per_call = windows_per_call(
            self.n_channels_in_, self.n_times_in_, self.config_, device, batch_size
        )
        return TrainingPlan(
            loss=loss,
            max_epochs=max_epochs,
            batch_size=batch_size,
            micro_batch_size=batch_size if on_features else per_call,
            lr=lr,
            weight_decay=self.weight_decay,
            layer_decay=(
                known.layer_decay if self.layer_decay == "auto" else self.layer_decay
            ),
            warmup=self.warmup,
            label_smoothing=getattr(self, "label_smoothing", 0.0),
            patience=self.patience if self.validation_fraction is not None else None,
            augment=None if on_features else self.augment,
            device=device,
            precision=resolve_precision(self._torch_precision(), device, training=True),
            seed=seed,
            verbose=self.verbose,
        )

    def _trainable_parts(self, module):
        """Return the submodules that `tune` asks to train."""
        if self.tune == "all":
            return [module]
        if self.tune == "head":
            return [module.model_head]
        return [*module.blocks[-self.tune :], module.norm, module.model_head]

    def _features_fit(self, n_windows, loss):
        """Whether the inputs of the head are small enough to be kept."""
        values = self.n_channels_in_ * self.config_.embed_dim
        if loss != "cross-entropy":
            values *= self._n_complete()
        return 4 * n_windows * values <= _MOST_FEATURE_BYTES and self.augment is None

    def _start_head(self, X, module, data, sample_weight, rng):
        """Begin with the head that is best for the encoder as it is."""
        rows = data.training
        if len(rows) > _MOST_WINDOWS_OF_START:
            rows = np.sort(rng.choice(rows, _MOST_WINDOWS_OF_START, replace=False))
        features = self._embed(X[rows], "channel", with_torch=True)
        weights = sample_weight[rows]
        mean, std = moments(features, np.arange(len(rows)), weights)
        features -= mean
        features /= std
        linear = module.model_head.classifier
        set_linear(
            linear, *solve_head(features, data.targets[rows], weights, len(linear.bias))
        )
        unscale_inputs(linear, mean, std)

    def _train_head(self, X, module, data, plan, solve_with):
        """Train the head on embeddings computed once."""
        from ._training import train

        head = module.model_head
        if plan.loss != "cross-entropy":
            features = self._embed(X, None, with_torch=True)
            data.windows = lambda rows: torch.from_numpy(features[rows])
            head.requires_grad_(True)
            return train(head, data, plan)
        features = self._embed(X, "channel", with_torch=True)
        mean, std = moments(features, data.training, data.weights)
        features -= mean
        features /= std
        # Train on standardised embeddings, then fold the scaling into the head.
        linear = head.classifier.requires_grad_(True)
        if solve_with is None:
            scale_inputs(linear, mean, std)
        else:
            rows = data.training
            known = features if len(rows) == len(features) else features[rows]
            set_linear(
                linear,
                *solve_head(
                    known, data.targets[rows], solve_with[rows], len(linear.bias)
                ),
            )
        data.windows = lambda rows: torch.from_numpy(features[rows])
        history = train(linear, data, plan)
        unscale_inputs(linear, mean, std)
        return history

    def _split(self, keep, stratify, groups, seed):
        """Return the windows to train on and those to validate with, or None."""
        return hold_back(self.validation_fraction, keep, stratify, groups, seed)

    def _outputs(self, X):
        """Return the output of the head for validated windows."""
        classifies = hasattr(self._get_runner().module.model_head, "classifier")
        loss = "cross-entropy" if classifies else "l1"
        if (
            self.tune != "head"
            or self.memory is None
            or not self._features_fit(len(X), loss)
        ):
            return self._run(X)
        head = self._get_runner().module.model_head
        inputs = self._embed(X, "channel" if classifies else None)
        with torch.inference_mode():
            inputs = torch.from_numpy(inputs).to(next(head.parameters()).device)
            outputs = head.classifier(inputs) if classifies else head(inputs)
            return outputs.cpu().numpy()

    def _validate(self, X, *, reset):
        windows, _ = validate_windows(
            self, X, reset=reset, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )
        return windows


def hold_back(fraction, keep, stratify, groups, seed):
    """Split windows into those to train on and those to validate with.

    Parameters
    ----------
    fraction : float or None
        Share to hold back; None holds back nothing.
    keep : ndarray of int
        Indices of the windows to split.
    stratify : ndarray of shape (n_windows,) or None
        Classes of all windows, to be represented in both parts where they can be.
    groups : ndarray of shape (n_windows,) or None
        Recordings or people of all windows, which are not divided.
    seed : int
        Of the draw.

    Returns
    -------
    training : ndarray of int
    validation : ndarray of int or None

    Raises
    ------
    ValueError
        If groups are given but name one only.
    """
    if fraction is None:
        return keep, None
    if groups is not None:
        if len(np.unique(groups[keep])) < 2:
            raise ValueError(
                f"validation_fraction={fraction!r} holds back whole groups, but "
                "groups names one only; pass more groups, or no groups."
            )
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
        parts = next(splitter.split(keep, groups=groups[keep]))
    else:
        splitter, labels = ShuffleSplit, None
        if stratify is not None:
            labels = stratify[keep]
            counts = np.unique(labels, return_counts=True)[1]
            n_held_back = math.ceil(fraction * len(keep))
            fewest = min(n_held_back, len(keep) - n_held_back)
            if counts.min() >= 2 and fewest >= len(counts):
                splitter = StratifiedShuffleSplit
        splitter = splitter(1, test_size=fraction, random_state=seed)
        parts = next(splitter.split(keep, labels))
    return keep[parts[0]], keep[parts[1]]
