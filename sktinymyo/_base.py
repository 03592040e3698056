"""What the TinyMyo estimators share: weights, training, batches, pickling."""

import copy
import inspect
import math
import numbers
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.model_selection import (
    GroupShuffleSplit,
    ShuffleSplit,
    StratifiedShuffleSplit,
)
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ._embedding_cache import EmbeddingCache
from ._torch import (
    ModuleRunner,
    WindowScaler,
    arrays_of_module,
    enough_threads,
    load_arrays,
    make_generator,
    pool_tokens,
    resolve_device,
    resolve_precision,
    windows_per_call,
)
from ._validation import check_choice, check_number, validate_windows
from .exceptions import (
    WeightsContractWarning,
    WeightsError,
    WeightsNotFoundError,
)
from .nn import AUGMENTATIONS, SIZES, TinyMyo, config_of_size
from .weights import WeightsCard, load_weights

__all__ = ["TinyMyoEstimator", "TinyMyoTunedEstimator"]

# Types that are scaled batch by batch, without a float32 copy of all windows.
WINDOW_TYPES = [
    np.float64,
    np.float32,
    np.float16,
    np.int8,
    np.int16,
    np.int32,
    np.uint8,
    np.uint16,
]

SCALES = ("channel", "window", None)

# One lock for all: an estimator must stay free of locks to be pickled, and is
# rebuilt at most once.
_REBUILDING = threading.Lock()

# Windows that "auto" shows to the model in all epochs together, where the
# number of epochs stays within the limits. See docs/user_guide.
_WINDOWS_TO_SEE = 30_000
_EPOCHS_OF_MODULE = (5, 100)
_EPOCHS_OF_HEAD = (20, 100)
_BATCH_OF_MODULE = (4, 32)
_BATCH_OF_HEAD = (8, 256)

# Of the channel vectors of random weights; a token of scaled signal spreads 0.4.
_CHANNEL_SPREAD = 0.2

# Above this, the inputs of a head are computed anew in every epoch.
_MOST_FEATURE_BYTES = 2**31


def _lasting_name(weights):
    """Return a name of the weights that stays right in another folder."""
    path = Path(weights)
    return str(path.resolve()) if path.exists() else str(weights)


def _level_of_caller():
    """Return the `stacklevel` at which a warning of the caller blames the user's line.

    The estimators reach the place of a warning through one method more or less.
    """
    package, level = f"{Path(__file__).parent}{os.sep}", 1
    frame = inspect.currentframe().f_back
    while frame is not None and frame.f_code.co_filename.startswith(package):
        frame, level = frame.f_back, level + 1
    return level


class TinyMyoEstimator(BaseEstimator):
    """Base of the estimators that hold a TinyMyo encoder."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        return tags

    # -- state -----------------------------------------------------------------

    def __sklearn_is_fitted__(self):
        return "_runner" in vars(self) or "_stored_arrays" in vars(self)

    def __getstate__(self):
        state = dict(super().__getstate__())
        runner = state.pop("_runner", None)
        if runner is not None:
            arrays = arrays_of_module(runner.module)
            if self._encoder_source is not None:
                arrays = {
                    k: v for k, v in arrays.items() if k.startswith("model_head.")
                }
            state["_stored_arrays"] = arrays
        return state

    def _get_runner(self):
        """Return the runner; after unpickling it is made from the stored arrays."""
        if "_runner" in vars(self):
            return self._runner
        with _REBUILDING, torch.inference_mode(False):
            if "_runner" in vars(self):
                return self._runner
            generator = make_generator(0)
            module = TinyMyo(
                self.config_, self._new_head(generator), generator=generator
            ).float()
            arrays = dict(self._stored_arrays)
            if self._encoder_source is not None:
                arrays.update(_encoder_arrays(self._find_encoder().state))
            load_arrays(module, arrays)
            self._runner = ModuleRunner(module, self._scaler())
            vars(self).pop("_stored_arrays")
            return self._runner

    def _find_encoder(self):
        """Load the frozen encoder again, which is stored by name and checksum."""
        name, sha256 = self._encoder_source["weights"], self._encoder_source["sha256"]
        try:
            return load_weights(name, sha256=sha256)
        except (WeightsError, WeightsNotFoundError) as error:
            if _lasting_name(self.weights) != name:
                return load_weights(self.weights, sha256=sha256)
            raise type(error)(
                f"this {type(self).__name__} needs the encoder with the sha256 "
                f"{sha256}, which was at {name!r} when it was fitted. Put the file "
                "back, or name its new place with set_params(weights='/new/path'). "
                f"What went wrong: {error}"
            ) from error

    @property
    def module_(self):
        """The fitted torch module, in evaluation mode."""
        check_is_fitted(self)
        return self._get_runner().module

    def _new_head(self, generator):
        """Return a new head of the right shape, or None."""
        return None

    def _scaler(self):
        return WindowScaler(self._scale, self.scale_mean_, self.scale_std_)

    # -- fitting ---------------------------------------------------------------

    def _check_common_parameters(self):
        if not (isinstance(self.weights, str) or hasattr(self.weights, "__fspath__")):
            raise TypeError(
                "weights must be 'default', 'random', a path or a hub name; got "
                f"{self.weights!r} of type {type(self.weights).__name__}."
            )
        check_choice("size", self.size, tuple(SIZES))
        check_choice("scale", self.scale, SCALES)
        check_choice("precision", self.precision, ("auto", "float32", "bf16"))
        if self.n_channels is not None:
            check_number("n_channels", self.n_channels, minimum=1, integer=True)
        check_number(
            "sfreq", self.sfreq, minimum=0, include_minimum=False, none_allowed=True
        )
        if self.batch_size != "auto":
            check_number("batch_size", self.batch_size, minimum=1, integer=True)
        resolve_device(self.device)

    def _load_encoder(self, seed, dropout=0.0):
        """Return a TinyMyo without a head, and what is known of its weights."""
        rates = {
            "dropout": dropout,
            "attention_dropout": dropout,
            "drop_path": dropout,
        }
        if isinstance(self.weights, str) and self.weights == "random":
            config = config_of_size(self.size, **rates)
            module = TinyMyo(config, generator=make_generator(seed))
            _spread_channel_vectors(module, make_generator(seed + 2))
            card = WeightsCard(
                name=f"random ({self.size})",
                source="random",
                generation=config.position,
                description="Not trained: drawn at random when the model was fitted.",
            )
            return module, card, None
        loaded = load_weights(self.weights)
        self._check_contract(loaded.card)
        config = replace(loaded.config, **rates)
        module = TinyMyo(config, generator=make_generator(seed)).float()
        load_arrays(module, _encoder_arrays(loaded.state))
        source = {"weights": _lasting_name(self.weights), "sha256": loaded.sha256}
        return module, loaded.card, source

    def _check_contract(self, card):
        """Warn if the windows are not of the kind that the weights learned from."""
        if self.sfreq is None:
            return
        mismatches = card.find_mismatches(
            sfreq=self.sfreq, n_channels=self.n_channels_in_
        )
        if mismatches:
            warnings.warn(
                f"X is not what the weights {card.name[:80]!r} learned from. "
                f"{'; '.join(mismatches)}. Otherwise pretraining may be of little use "
                "(sfreq=None compares nothing).",
                WeightsContractWarning,
                stacklevel=_level_of_caller(),
            )

    def _forget(self):
        """Drop an earlier fit, so that a failure leaves an estimator not fitted."""
        for name in ("_runner", "_stored_arrays"):
            vars(self).pop(name, None)

    def _set_encoder(self, X, module, card, source, sample_weight=None):
        """Store the encoder and the statistics of the training windows."""
        scaler = WindowScaler(self.scale).fit(X, sample_weight)
        self._scale = self.scale
        self.scale_mean_, self.scale_std_ = scaler.mean, scaler.std
        self.config_ = module.config
        self.weights_card_ = card
        self._encoder_source = source

    # -- prediction ------------------------------------------------------------

    def _run(self, X, method="head", finish=None):
        """Run the module over validated windows."""
        device = resolve_device(self.device)
        return self._get_runner().run(
            X,
            device=device,
            precision=resolve_precision(self.precision, device, training=False),
            batch_size=len(X) if self.batch_size == "auto" else self.batch_size,
            method=method,
            finish=finish,
        )

    def _n_complete(self):
        return max(self.n_times_in_ // self.config_.patch_size, 1)

    def _embed(self, X, pooling):
        """Return pooled tokens (or tokens, pooling=None) through the cache."""
        n_complete = self._n_complete()

        def finish(tokens):
            if pooling is None:
                return tokens[:, :, :n_complete]
            return pool_tokens(tokens, pooling, n_complete)

        def compute(windows):
            return self._run(windows, "encode", finish)

        if self.memory is None:
            return compute(X)
        return EmbeddingCache(self.memory, self._cache_context(pooling)).compute(
            X, compute
        )

    def _cache_context(self, pooling):
        """Return all that an embedding depends on beside the window."""
        if self._encoder_source is None:
            encoder = self._get_runner().digest()
        else:
            encoder = self._encoder_source["sha256"]
        parts = {
            "encoder": encoder,
            "config": self.config_.to_dict(),
            "scale": self._scale,
            "pooling": pooling,
            "precision": self.precision,
            "device": resolve_device(self.device).type,
        }
        context = repr(sorted(parts.items())).encode()
        if self._scale == "channel":
            context += self.scale_mean_.tobytes() + self.scale_std_.tobytes()
        return context


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
        self.history_ = []

    def _continue(self, X, targets, sample_weight, groups, loss, stratify=None):
        """Train a copy of the present module on windows, then take it over."""
        try:
            with torch.inference_mode(False):
                module, history = self._train(
                    X, targets, sample_weight, groups, loss, stratify
                )
        except BaseException:
            if not self.history_:
                self._forget()
            raise
        if self.tune != "head":
            self._encoder_source = None
        self._runner = ModuleRunner(module, self._scaler())
        offset = len(self.history_)
        for row in history:
            row["epoch"] += offset
        self.history_ = [*self.history_, *history]

    def _train(self, X, targets, sample_weight, groups, loss, stratify):
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
        plan = self._plan(loss, len(training), device, on_features, int(seeds[1]))
        data = TrainingData(
            windows=None,
            targets=targets,
            weights=(sample_weight / sample_weight.max()).astype(np.float32),
            training=training,
            validation=validation,
        )
        if on_features:
            with enough_threads(1, self.config_, device):
                return module, self._train_head(X, module, data, plan)
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

    def _plan(self, loss, n_training, device, on_features, seed):
        """Return the recipe for a number of windows; see the class for reasons."""
        from ._training import TrainingPlan

        max_epochs, batch_size = self.max_epochs, self.batch_size
        if max_epochs == "auto":
            limits = _EPOCHS_OF_HEAD if on_features else _EPOCHS_OF_MODULE
            max_epochs = int(np.clip(_WINDOWS_TO_SEE // n_training, *limits))
        if batch_size == "auto":
            limits = _BATCH_OF_HEAD if on_features else _BATCH_OF_MODULE
            batch_size = int(np.clip(n_training // 8, *limits))
        layer_decay = self.layer_decay
        if layer_decay == "auto":
            layer_decay = 1.0 if self.weights_card_.source == "random" else 0.9
        per_call = windows_per_call(
            self.n_channels_in_, self.n_times_in_, self.config_, device, batch_size
        )
        return TrainingPlan(
            loss=loss,
            max_epochs=max_epochs,
            batch_size=batch_size,
            micro_batch_size=batch_size if on_features else per_call,
            lr=self.lr,
            weight_decay=self.weight_decay,
            layer_decay=layer_decay,
            warmup=self.warmup,
            label_smoothing=getattr(self, "label_smoothing", 0.0),
            patience=self.patience if self.validation_fraction is not None else None,
            augment=None if on_features else self.augment,
            device=device,
            precision=resolve_precision(self.precision, device, training=True),
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

    def _train_head(self, X, module, data, plan):
        """Train the head on embeddings computed once."""
        from ._training import train

        head = module.model_head
        if plan.loss != "cross-entropy":
            features = self._embed(X, None)
            data.windows = lambda rows: torch.from_numpy(features[rows])
            head.requires_grad_(True)
            return train(head, data, plan)
        features = self._embed(X, "channel")
        mean, std = _moments(features, data.training, data.weights)
        data.windows = lambda rows: torch.from_numpy((features[rows] - mean) / std)
        # Train on standardised embeddings, then fold the scaling into the head.
        linear = head.classifier.requires_grad_(True)
        shift = torch.from_numpy(mean).to(plan.device)
        spread = torch.from_numpy(std).to(plan.device)
        with torch.no_grad():
            linear.bias += linear.weight @ shift
            linear.weight *= spread
        history = train(linear, data, plan)
        with torch.no_grad():
            linear.weight /= spread
            linear.bias -= linear.weight @ shift
        return history

    def _split(self, keep, stratify, groups, seed):
        """Return the windows to train on and those to validate with, or None."""
        fraction = self.validation_fraction
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

    def _check_groups(self, X, groups):
        if groups is None:
            return None
        groups = np.asarray(groups)
        check_consistent_length(X, groups)
        return groups

    def _validate(self, X, *, reset):
        windows, _ = validate_windows(
            self, X, reset=reset, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )
        return windows


def _spread_channel_vectors(module, generator):
    """Draw larger channel vectors than the published 0.02, for learning alone.

    LayerNorm takes the strength of a token away unless something constant
    stands beside the signal. Pretraining grows that by itself; a few hundred
    windows do not.
    """
    with torch.no_grad():
        module.channel_embed.normal_(0.0, _CHANNEL_SPREAD, generator=generator)


def _moments(features, rows, weights):
    """Return weighted mean and standard deviation of columns, in bounded memory."""
    chunks = [rows[at : at + 4096] for at in range(0, len(rows), 4096)]
    total = weights[rows].sum(dtype=np.float64)
    mean = sum(weights[chunk] @ features[chunk].astype(np.float64) for chunk in chunks)
    mean /= total
    variance = sum(
        weights[chunk] @ np.square(features[chunk] - mean) for chunk in chunks
    )
    std = np.sqrt(variance / total)
    std[std <= 1e-6] = 1.0
    return mean.astype(np.float32), std.astype(np.float32)


def _encoder_arrays(state):
    """Return the tensors of the encoder alone, as arrays."""
    return {
        name: np.asarray(value)
        for name, value in state.items()
        if not name.startswith("model_head.")
    }
