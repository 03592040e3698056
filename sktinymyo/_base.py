"""What the TinyMyo estimators share: weights, training, batches, pickling."""

import inspect
import os
import threading
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ._contract import describe_breach
from ._embedding_cache import EmbeddingCache
from ._torch import (
    ModuleRunner,
    WindowScaler,
    arrays_of_module,
    load_arrays,
    make_generator,
    pool_tokens,
    resolve_device,
    resolve_precision,
)
from ._validation import check_choice, check_number
from .engines._activations import ActivationRanges, sample_rows
from .engines._engine import Engine, check_engine, simulated_windows
from .exceptions import (
    SktinymyoError,
    WeightsContractWarning,
    WeightsError,
    WeightsNotFoundError,
)
from .nn import SIZES, TinyMyo, config_of_size
from .weights import WeightsCard, load_weights
from .weights._source import parse_source

__all__ = ["TinyMyoEstimator"]

SCALES = ("channel", "window", None)
PRECISIONS = ("auto", "float32", "bf16", "int8")

# One lock for all: an estimator must stay free of locks to be pickled, and is
# rebuilt at most once.
_REBUILDING = threading.Lock()
_BUILDING = threading.Lock()

# Of the channel vectors of random weights; a token of scaled signal spreads 0.4.
_CHANNEL_SPREAD = 0.2


def _lasting_name(weights):
    """Return a name of the weights that stays right in another folder."""
    if isinstance(weights, str) and weights == "random":
        return weights
    meaning = parse_source(weights)
    return str(meaning.resolve()) if isinstance(meaning, Path) else str(weights)


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

    def __repr__(self, N_CHAR_MAX=700):
        text = super().__repr__(N_CHAR_MAX)
        card = vars(self).get("weights_card_")
        return text if card is None else f"{text}  # {card!r}"

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
        # The second place is where the user says that the file lies now.
        for place in dict.fromkeys((name, os.fspath(self.weights))):
            try:
                return load_weights(place, sha256=sha256)
            except (ValueError, WeightsNotFoundError) as error:
                problem = error
        kind = type(problem) if isinstance(problem, SktinymyoError) else WeightsError
        raise kind(
            f"this {type(self).__name__} needs the encoder with the sha256 {sha256}, "
            f"which was at {name!r} when it was fitted. Name its new place with "
            "set_params(weights='/new/path'), or put the file back. What went wrong: "
            f"{problem}"
        ) from problem

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
        check_choice("precision", self.precision, PRECISIONS)
        if self.n_channels is not None:
            check_number("n_channels", self.n_channels, minimum=1, integer=True)
        check_number(
            "sfreq", self.sfreq, minimum=0, include_minimum=False, none_allowed=True
        )
        self._check_batch_size()
        resolve_device(self.device)
        check_engine(self.engine, self.precision, self.device)

    def _check_batch_size(self):
        if self.batch_size != "auto":
            check_number("batch_size", self.batch_size, minimum=1, integer=True)

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
        if self.size != "tinymyo":
            warnings.warn(
                f"size={self.size!r} has no effect: weights={self.weights!r} have "
                "their own. Pass weights='random' for a network of this size.",
                UserWarning,
                stacklevel=_level_of_caller(),
            )
        loaded = load_weights(self.weights)
        self._check_contract(loaded.card, loaded.config.patch_size)
        config = replace(loaded.config, **rates)
        module = TinyMyo(config, generator=make_generator(seed)).float()
        load_arrays(module, _encoder_arrays(loaded.state))
        source = {"weights": _lasting_name(self.weights), "sha256": loaded.sha256}
        return module, loaded.card, source

    def _check_contract(self, card, patch_size):
        """Warn if the windows are not of the kind that the weights learned from."""
        if self.sfreq is None:
            return
        message = describe_breach(
            card,
            sfreq=self.sfreq,
            n_channels=self.n_channels_in_,
            n_times=self.n_times_in_,
            patch_size=patch_size,
        )
        if message is not None:
            warnings.warn(
                message, WeightsContractWarning, stacklevel=_level_of_caller()
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

    def _learn_int8(self, runner, X, earlier=None):
        """Return what int8 has to know of the windows, or None if it is not asked for.

        Parameters
        ----------
        runner : ModuleRunner
            The network as it will predict.
        X : ndarray of shape (n_windows, n_channels, n_times)
            Windows of the fit, of which a few are looked at and none is kept.
        earlier : dict or None, default=None
            What an earlier call returned, whose windows are still to be answered.

        Returns
        -------
        known : dict of ndarray or None
            Ranges of the activations; mean and deviation of the channels.
        """
        if self.precision != "int8":
            return None
        X = X[sample_rows(len(X), self.n_channels_in_ * self._n_complete())]
        windows = runner.scaler.to_tensor(X)
        ranges = ActivationRanges.learn(runner.module, windows)
        if earlier is not None:
            ranges = ranges.joined(ActivationRanges(earlier["ranges"]))
        strength = WindowScaler("channel").fit(X)
        return {"ranges": ranges.values, "mean": strength.mean, "std": strength.std}

    # -- prediction ------------------------------------------------------------

    @property
    def engine_difference_(self):
        """How far the engine is from torch in float32; None with ``engine="torch"``."""
        check_is_fitted(self)
        return None if self.engine == "torch" else self._get_engine().difference

    def _get_engine(self):
        """Return the engine, which is built and compared at the first prediction."""
        precision = "float32" if self.precision == "auto" else self.precision
        check_engine(self.engine, precision, self.device)
        known = self._int8 if precision == "int8" else None
        if precision == "int8" and known is None:
            raise ValueError(
                "precision='int8' learns the ranges of the activations in fit, but "
                f"this {type(self).__name__} was fitted with another precision; fit it "
                "again, or set precision='float32'."
            )
        runner = self._get_runner()
        key = (self.engine, precision, self.batch_size, torch.get_num_threads())
        with _BUILDING:
            # Kept beside the module: another fit brings another runner.
            if key not in runner.kept:
                runner.kept[key] = self._build_engine(runner, precision, known)
            return runner.kept[key]

    def _build_engine(self, runner, precision, known):
        mean, std = self.scale_mean_, self.scale_std_
        if known is not None:
            mean, std = known["mean"], known["std"]
        elif mean is None:
            mean, std = np.zeros(self.n_channels_in_), np.ones(self.n_channels_in_)
        with torch.inference_mode(False):
            return Engine(
                self.engine,
                precision,
                runner.module,
                runner.scaler,
                simulated_windows((self.n_channels_in_, self.n_times_in_), mean, std),
                None if known is None else ActivationRanges(known["ranges"]),
                None if self.batch_size == "auto" else self.batch_size,
            )

    def _run(self, X, method="head", finish=None, with_torch=False):
        """Run the module over validated windows, with the engine unless told."""
        self._check_batch_size()  # set_params may have changed it since fit
        if not (with_torch or self.engine == "torch"):
            kind = "tokens" if method == "encode" else method
            return self._get_engine().run(X, kind, finish)
        if not with_torch:
            check_engine(self.engine, self.precision, self.device)
        device = resolve_device(self.device)
        return self._get_runner().run(
            X,
            device=device,
            precision=resolve_precision(
                self._torch_precision(), device, training=False
            ),
            batch_size=len(X) if self.batch_size == "auto" else self.batch_size,
            method=method,
            finish=finish,
        )

    def _torch_precision(self):
        """Return the precision of all that torch computes; int8 is for engines."""
        return "auto" if self.precision == "int8" else self.precision

    def _n_complete(self):
        return max(self.n_times_in_ // self.config_.patch_size, 1)

    def _embed(self, X, pooling, with_torch=False):
        """Return pooled tokens (or tokens, pooling=None) through the cache."""
        n_complete = self._n_complete()

        def finish(tokens):
            if pooling is None:
                return tokens[:, :, :n_complete]
            return pool_tokens(tokens, pooling, n_complete)

        def compute(windows):
            return self._run(windows, "encode", finish, with_torch)

        if self.memory is None:
            return compute(X)
        context = self._cache_context(pooling, with_torch)
        return EmbeddingCache(self.memory, context).compute(X, compute)

    def _cache_context(self, pooling, with_torch):
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
            "precision": self._torch_precision(),
            "device": resolve_device(self.device).type,
        }
        by_engine = not (with_torch or self.engine == "torch")
        if by_engine:
            parts |= {"engine": self.engine, "precision": self.precision}
        context = repr(sorted(parts.items())).encode()
        if by_engine and self._int8 is not None:
            context += self._int8["ranges"].tobytes()
        if self._scale == "channel":
            context += self.scale_mean_.tobytes() + self.scale_std_.tobytes()
        return context


def _spread_channel_vectors(module, generator):
    """Draw larger channel vectors than the published 0.02, for learning alone.

    LayerNorm takes the strength of a token away unless something constant
    stands beside the signal. Pretraining grows that by itself; a few hundred
    windows do not.
    """
    with torch.no_grad():
        module.channel_embed.normal_(0.0, _CHANNEL_SPREAD, generator=generator)


def _encoder_arrays(state):
    """Return the tensors of the encoder alone, as arrays."""
    return {
        name: np.asarray(value)
        for name, value in state.items()
        if not name.startswith("model_head.")
    }
