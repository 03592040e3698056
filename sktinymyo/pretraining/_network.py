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
from .._validation import WINDOW_TYPES, check_choice, validate_windows
from ..nn import MaskedAutoencoder, TinyMyo, draw_mask
from ..weights import save_weights
from ..weights._saving import PRECISIONS
from ._card import complete_card

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

    @property
    def weights_card_(self):
        """What is known of the weights so far."""
        check_is_fitted(self)
        return complete_card(self._start_card, self._facts)

    # -- use ---------------------------------------------------------------------

    def _windows(self, X):
        check_is_fitted(self)
        # Where fit saw recordings there is no shape to compare with.
        known = "n_channels_in_" in vars(self)
        windows, _ = validate_windows(
            self if known else type(self)(),
            X,
            reset=not known,
            n_channels=self.n_channels,
            dtype=WINDOW_TYPES,
        )
        return windows

    def _scaler_of(self, windows):
        """Statistics of `fit`; where fit saw recordings, those of the windows."""
        if self._scaler is not None:
            return self._scaler
        method = {None: None, "window": "window"}.get(self._scale, "channel")
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
            Windows. If `fit` saw windows, these are scaled by the statistics over all
            of them, whatever `groups` was. If it saw recordings, they are scaled by
            their own statistics, so pass those of one group in a call; they may have
            any number of channels.

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

        Raises
        ------
        AttributeError
            If `fit` saw recordings: :meth:`transform` takes any number of channels,
            so that there are no names in advance.
        """
        check_is_fitted(self)
        if "n_channels_in_" not in vars(self):
            # By these words scikit-learn knows to number the columns of data frames.
            raise AttributeError(
                "TinyMyoPretrainer does not provide get_feature_names_out after a fit "
                "on recordings, since the number of channels is open; fit it on "
                "windows, or save it and take TinyMyoEmbedder(weights=folder)."
            )
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
        result = np.empty(shape, dtype=np.result_type(windows.dtype, np.float32))
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
        shown = windows[:, :, :n_times].astype(result.dtype, copy=False)
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
            ``sfreq``, ``sfreqs``, ``channel_range``, ``data``. Channels and lengths of
            windows are otherwise those of the recordings, and rates too where all
            files or Bunches state them; arrays have no rate, so state `sfreq`. Rates
            stated here take the place of those known. Where training began with
            weights, what their card permits is not passed on: state `licence` and
            `sharing`.

        Returns
        -------
        card : WeightsCard
            With the checksum of the file.

        Raises
        ------
        WeightsError
            If a field of the card is not known, or its value is not accepted.
        """
        check_is_fitted(self)
        check_choice("precision", precision, tuple(PRECISIONS))
        card = self.weights_card_ if card is None else card
        if facts.keys() & {"sfreq", "sfreqs"}:
            facts = {"sfreq": None, "sfreqs": ()} | facts
        if facts:
            card = card.replace(**facts)
        # After all checks: a folder without weights in it would be of no use.
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
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


def _unscale(values, windows, scaler):
    """Return scaled values in the units of the windows they stand for."""
    mean, std = scaler.statistics_of(windows)
    return values if mean is None else values * std + mean
