"""The network of a TinyMyoPretrainer once it is trained: use, state, saving."""

import copy
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import Bunch, check_random_state
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from .._torch import (
    ModuleRunner,
    WindowScaler,
    arrays_of_module,
    load_arrays,
    make_generator,
    pool_tokens,
    resolve_device,
    resolve_precision,
    windows_per_call,
)
from .._validation import validate_windows
from ..nn import MaskedAutoencoder, TinyMyo, draw_mask
from ..weights import save_weights
from ._software import describe_software

__all__ = ["PretrainedNetwork"]

# One lock for all: an estimator must stay free of locks to be pickled, and is
# rebuilt at most once.
_REBUILDING = threading.Lock()


class PretrainedNetwork(TransformerMixin, BaseEstimator):
    """Base of :class:`TinyMyoPretrainer`: all that needs no training."""

    # -- tags and state ----------------------------------------------------------

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self):
        return "_model" in vars(self) or "_stored_arrays" in vars(self)

    def __getstate__(self):
        state = dict(super().__getstate__())
        model = state.pop("_model", None)
        state.pop("_runner", None)
        if model is not None:
            state["_stored_arrays"] = arrays_of_module(model)
        return state

    def _get_model(self):
        """Return the network; after unpickling it is made from stored arrays."""
        if "_model" in vars(self):
            return self._model
        with _REBUILDING:
            if "_model" not in vars(self):
                model = self._new_model(self.config_, make_generator(0))
                self._model = load_arrays(model, self._stored_arrays).eval()
                del self._stored_arrays
        return self._model

    def _new_model(self, config, generator):
        with torch.inference_mode(False):
            return MaskedAutoencoder(
                TinyMyo(config, generator=generator),
                targets=self._targets,
                visible_only=self._visible_only,
                decoder_depth=self._decoder_depth,
                n_classes=self._n_classes,
                generator=generator,
            )

    @property
    def module_(self):
        """The encoder, in evaluation mode."""
        check_is_fitted(self)
        return self._get_model().encoder

    # -- use ---------------------------------------------------------------------

    def _windows(self, X):
        check_is_fitted(self)
        owner = self if "n_channels_in_" in vars(self) else BaseEstimator()
        windows, _ = validate_windows(
            owner, X, reset=owner is not self, n_channels=self.n_channels
        )
        return windows

    def _scaler_of(self, windows):
        """Statistics of `fit`; where fit saw recordings, those of the windows."""
        if self._scaler is not None:
            return self._scaler
        method = {None: None, "window": "window"}.get(self.scale, "channel")
        return WindowScaler(method).fit(windows)

    def _runner_with(self, scaler):
        """Return what runs the encoder; kept where the scaling is that of `fit`."""
        if self._scaler is None:
            return ModuleRunner(copy.deepcopy(self.module_), scaler)
        if "_runner" not in vars(self):
            self._runner = ModuleRunner(copy.deepcopy(self.module_), scaler)
        return self._runner

    def transform(self, X):
        """Return the embedding of every window, channels side by side.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows. If `fit` saw recordings in place of windows, they are scaled by
            their own statistics and may have any number of channels.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_windows, n_channels * embed_dim)
        """
        windows = self._windows(X)
        scaler = self._scaler_of(windows)
        n_complete = max(windows.shape[2] // self.config_.patch_size, 1)
        device = resolve_device(self.device)
        return self._runner_with(scaler).run(
            windows,
            device=device,
            precision=resolve_precision(self.precision, device, training=False),
            batch_size=len(windows),
            method="encode",
            finish=lambda tokens: pool_tokens(tokens, "channel", n_complete),
        )

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of :meth:`transform`.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Compared with the columns seen in `fit`.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self, "n_channels_in_")
        _check_feature_names_in(self, input_features, generate_names=False)
        return np.asarray(
            [
                f"tinymyopretrainer_ch{channel}_{k}"
                for channel in range(self.n_channels_in_)
                for k in range(self.config_.embed_dim)
            ],
            dtype=object,
        )

    def _batches(self, windows, mask):
        """Yield (rows, scaled windows, mask) in parts of bounded size."""
        patch = self.config_.patch_size
        scaler = self._scaler_of(windows)
        n_patches = max(windows.shape[2] // patch, 1)
        shape = (len(windows), windows.shape[1], n_patches)
        if mask is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            generator = make_generator(int(seed))
            mask = draw_mask(
                shape, self.mask_ratio, self.mask_form, generator=generator
            )
        else:
            mask = np.asarray(mask, dtype=bool)
            if mask.shape != shape:
                raise ValueError(
                    f"mask has the shape {mask.shape}; it must be (n_windows, "
                    f"n_channels, n_patches) = {shape}."
                )
            mask = torch.from_numpy(mask)
            if bool(mask.flatten(1).all(dim=1).any()):
                raise ValueError("mask hides all of a window; leave something visible.")
        size = windows_per_call(
            windows.shape[1], windows.shape[2], self.config_, torch.device("cpu"), 256
        )
        for at in range(0, len(windows), size):
            rows = slice(at, at + size)
            part = scaler.to_tensor(windows[rows])[..., : n_patches * patch]
            room = n_patches * patch - part.shape[-1]
            yield rows, torch.nn.functional.pad(part, (0, room)), mask[rows], scaler

    def score(self, X, y=None):
        """Return minus the mean loss of hidden patches, the same masks every time.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows.
        y : object, default=None
            Ignored.

        Returns
        -------
        score : float
            Higher is better; of the targets together, without that of labels.
        """
        windows = self._windows(X)
        model, total = self._get_model(), 0.0
        fixed = copy.copy(self).set_params(random_state=0)
        with torch.inference_mode():
            for _, part, mask, _ in fixed._batches(windows, None):
                losses = model.losses(part, mask)
                total += sum(float(values.sum()) for values in losses.values())
        return -total / len(windows)

    def reconstruct(self, X, mask=None):
        """Hide part of windows and say what was there.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times)
            Windows; an incomplete last patch is left out.
        mask : bool array-like of shape (n_windows, n_channels, n_patches) or None, \
                default=None
            True is hidden; None draws as in training, by `random_state`.

        Returns
        -------
        result : Bunch
            ``reconstruction`` and ``windows`` (n_windows, n_channels, n_times) in the
            units of X, ``mask``, and ``patch_size``.

        Raises
        ------
        ValueError
            If the samples are not among the targets.
        """
        check_is_fitted(self)
        if "raw" not in self._targets:
            raise ValueError(
                f"targets={self._targets!r}: this model predicts no samples; pretrain "
                "with targets=('raw', 'spectrum')."
            )
        windows = self._windows(X)
        patch = self.config_.patch_size
        n_times = max(windows.shape[2] // patch, 1) * patch
        shape = (len(windows), windows.shape[1], n_times)
        result = np.empty(shape, dtype=np.float32)
        masks = np.empty((*shape[:2], n_times // patch), dtype=bool)
        model = self._get_model()
        with torch.inference_mode():
            for rows, part, hidden, scaler in self._batches(windows, mask):
                values = model(part, hidden)["raw"].flatten(2).numpy()
                part = part.numpy()
                low = part.min(axis=2, keepdims=True)
                high = part.max(axis=2, keepdims=True)
                values = (values + 1) / 2 * (high - low) + low
                result[rows] = _unscale(values, windows[rows], scaler)
                masks[rows] = hidden.numpy()
        shown = windows[:, :, :n_times]
        return Bunch(
            windows=shown,
            reconstruction=result[:, :, : shown.shape[2]],
            mask=masks,
            patch_size=patch,
        )

    # -- saving ------------------------------------------------------------------

    def save_pretrained(self, folder, *, card=None, precision="float32", **facts):
        """Write the encoder for use as ``weights=folder``.

        Parameters
        ----------
        folder : path-like
            Created where it is missing; gets ``model.safetensors``, with
            configuration and card in its header. An older file is replaced as a
            whole or not at all.
        card : WeightsCard or None, default=None
            What users must know; None makes one of what is known here.
        precision : {"float32", "float16", "bfloat16"}, default="float32"
            Type of the tensors in the file.
        **facts
            Fields of the card to set, such as ``name``, ``licence``, ``sharing``,
            ``sfreq``, ``sfreqs``, ``channel_range``, ``data``. The range of channels
            is otherwise that of the recordings; rates are stated or not known.

        Returns
        -------
        card : WeightsCard
            With the checksum of the file.
        """
        check_is_fitted(self)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        card = self._card() if card is None else card
        if "sfreq" in facts:
            # A rate stated anew takes the place of all that the start had seen.
            facts.setdefault("sfreqs", ())
        if facts:
            card = card.replace(**facts)
        encoder = copy.deepcopy(self.module_)
        config = replace(
            encoder.config, dropout=0.1, attention_dropout=0.1, drop_path=0.1
        )
        return save_weights(
            folder / "model.safetensors",
            dict(encoder.state_dict()),
            config,
            card,
            precision=precision,
        )

    def _card(self):
        last = self.history_[-1]
        scaling = {
            "group": "z-score per channel over all recordings of one wearing",
            "recording": "z-score per channel and recording",
            "window": "z-score per channel and window",
            None: "none",
        }[self.scale]
        facts = self.data_
        channels = ", ".join(str(n) for n in facts["recordings_by_n_channels"])
        seen = (
            f"{facts['n_recordings']} recordings of {channels} channels, "
            f"{facts['n_samples']} samples in all, {facts['n_windows']} windows"
        )
        losses = ", ".join(
            f"{name} {last[name]:.4f}"
            for name in (*self._targets, "labels")
            if name in last
        )
        form = "visible tokens only" if self._visible_only else "mask tokens"
        labels = (
            f"; labels of {self._n_classes} classes beside, weight {self.label_weight}"
            if self._n_classes
            else ""
        )
        return self.weights_card_.replace(
            n_times=self._lengths[-1],
            channel_range=self._channels_seen(),
            normalisation=scaling,
            data=seen,
            recipe=(
                f"{self.mask_ratio:.0%} masked by {self.mask_form}, {form}; targets "
                f"{' and '.join(self._targets)}{labels}; windows of "
                f"{', '.join(map(str, self._lengths))} samples; AdamW, lr {self.lr}, "
                f"batch {self.batch_size}, {last['step']} steps, "
                f"{last['epoch']} epochs, {self._hours():.1f} hours; "
                f"last losses: {losses}"
            ),
            software=describe_software(),
        )

    def _hours(self):
        """Return how long the steps took."""
        steps = [row["step"] for row in self.history_]
        sizes = np.diff(steps, prepend=0) * self.batch_size
        rates = [row["windows_per_second"] for row in self.history_]
        return float(np.sum(sizes / np.maximum(rates, 1e-9))) / 3600

    def _channels_seen(self):
        """Return fewest and most channels, those of the start's card included."""
        seen = [int(number) for number in self.data_["recordings_by_n_channels"]]
        start = self.weights_card_
        seen.extend(start.channel_range or filter(None, [start.n_channels]))
        return min(seen), max(seen)


def _unscale(values, windows, scaler):
    """Return scaled values in the units of the windows they stand for."""
    if scaler.method is None:
        return values
    if scaler.method == "channel":
        mean, std = scaler.mean[:, None], scaler.std[:, None]
    else:
        mean = windows.mean(axis=2, keepdims=True)
        std = windows.std(axis=2, keepdims=True)
        std = np.where(std > 0, std, 1.0)
    return values * std + mean
