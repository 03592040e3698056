"""TinyMyoPretrainer: self-supervised pretraining as an estimator."""

import copy
from contextlib import closing
from dataclasses import replace

import torch
from sklearn.utils import check_random_state

from .._optional import import_optional
from .._torch import (
    WindowScaler,
    enough_threads,
    make_generator,
    resolve_device,
    resolve_precision,
)
from .._validation import WINDOW_TYPES, validate_windows
from ..nn import config_of_size
from ..weights import WeightsCard, load_weights
from ._card import add_facts, continued_card, describe_recipe
from ._collect import warn_of_recording
from ._loop import PretrainingPlan, pretrain
from ._network import PretrainedNetwork
from ._opening import open_training
from ._parameters import check_parameters, lengths_of, targets_of, warn_of_empty_masks

__all__ = ["TinyMyoPretrainer"]

# Tokens, hidden ones included, of one forward pass: enough rows for fast matrix
# products, few enough to bound the memory of the backward pass.
_TOKENS_PER_CALL = 4096
_TOKENS_ACCELERATOR = 2**17
# Of the channel vectors: LayerNorm takes the strength of a token away unless
# something constant stands beside the signal.
_CHANNEL_SPREAD = 0.2
# What scales windows later as `fit` scaled those it was given: each of them is a
# recording.
_SCALING_OF_WINDOWS = {
    "group": "channel",
    "recording": "window",
    "window": "window",
    None: None,
}
# What one fit leaves behind, and the next must not find.
_LEARNED = (
    "_facts",
    "_model",
    "_runner",
    "_stored_arrays",
    "classes_",
    "feature_names_in_",
    "input_ndim_",
    "n_channels_in_",
    "n_features_in_",
    "n_times_in_",
)


class TinyMyoPretrainer(PretrainedNetwork):
    """Pretrain a TinyMyo encoder on recordings without labels.

    Part of every window is hidden, and the network learns to say what was there.
    The result serves every other estimator of the package: save it with
    :meth:`save_pretrained` and pass the folder as ``weights``.

    Parameters
    ----------
    size : {"nano", "tiny", "small", "tinymyo", "large"}, default="tinymyo"
        Layers x width of the encoder; see :func:`sktinymyo.nn.config_of_size`.
    weights : str or path, default="random"
        Where to start: from nothing, or from a file, a folder or a name, as in the
        other estimators (`size` is then ignored).
    n_times : int, tuple of int or None, default=None
        Length of the windows in samples; of several, every batch takes one at
        random (a length named twice is taken twice as often). Rounded down to
        whole patches of 20 samples, of which there is at least one. None is the
        length of given windows, or 1000 (published [1]_) for recordings.
    step : int or None, default=None
        Samples between the starts of windows of a recording; None is half of the
        largest length (published).
    mask_ratio : float, default=0.5
        Share of each window that is hidden (published).
    mask_form : {"cell", "channel", "time"}, default="cell"
        Hide single (channel, patch) cells as published, whole channels or whole
        spans of time.
    targets : {"raw", "spectrum"} or tuple of them, default=("raw", "spectrum")
        What is predicted of each patch: its samples (published) or its
        log-spectrum. The phase of EMG is noise, its spectrum is not: spectra, alone
        or beside samples, gave better features for unseen people of one of the two
        sets of our comparison and equal ones for the other (see the benchmarks), and
        samples make :meth:`reconstruct` possible.
    visible_only : bool, default=True
        Send only what is not hidden through the encoder and let a light decoder
        fill in the rest: faster by the share that is hidden. False is the published
        form, with mask tokens inside the encoder and a linear decoder.
    decoder_depth : int, default=1
        Blocks of the light decoder.
    label_weight : float, default=1.0
        Weight of the loss of labels, where there are any; 0 leaves them out.
    orientation : {"channels-first", "times-first"}, default="channels-first"
        Axes of the arrays in files that do not say so themselves.
    cache_folder : path-like or None, default=None
        Where compressed npz archives are unpacked (they are refused without it),
        and what was measured of files is kept.
    scale : {"group", "recording", "window"} or None, default="group"
        Scaling of each channel: by the statistics of all recordings of one group
        (the same electrodes on the same person), of each recording, of each
        window, or none. Of windows given as an array, each is a recording.
    gain : float, default=0.0
        Standard deviation of the logarithm of a random gain of every channel.
    jitter : int, default=0
        Largest random shift of a window in its recording, in samples.
    max_epochs : int, default=30
        Passes over all windows (published).
    max_steps : int or None, default=None
        Steps of the optimiser, instead of `max_epochs`.
    batch_size : int, default=512
        Windows of a step (published).
    lr : float, default=5e-4
        Largest learning rate of AdamW (published).
    weight_decay : float, default=0.01
        Of the matrices (published).
    warmup : float, default=0.1
        Share of the steps with a rising rate (published: 3 of 30 epochs).
    dropout : float, default=0.0
        Dropout and drop-path in the encoder. Published 0.1; hiding half of the
        window is noise enough for a network of this size.
    checkpointing : bool, default=False
        Keep only what goes into each block of the encoder and compute the rest again
        on the way back: less memory for a third more time, with the same gradients.
        For sizes such as "large"; a run may be resumed with another value.
    checkpoint_folder : path-like or None, default=None
        Folder for ``checkpoint.safetensors`` and ``log.csv``. One with a checkpoint
        in it is refused without `resume`, also in the copies of a cross-validation.
    checkpoint_seconds : float, default=300.0
        Time between two checkpoints.
    resume : bool, default=False
        Go on from the checkpoint in `checkpoint_folder`, if there is one. A run that
        was killed and resumed ends with the weights of an unbroken run.
    accelerate : bool, default=False
        Train in all processes that ``accelerate launch`` started; `batch_size` is
        that of all processes together.
    device : str or torch.device, default="auto"
        As in the other estimators.
    precision : {"auto", "float32", "bf16"}, default="auto"
        "auto" is bf16 where the hardware has it.
    n_channels : int or None, default=None
        Channels of windows given in two dimensions; None means one.
    random_state : int, RandomState instance or None, default=None
        Of everything random.
    verbose : int, default=0
        Show a progress bar with the loss and windows per second.

    Attributes
    ----------
    module_ : TinyMyo
        The encoder, in evaluation mode.
    config_ : TinyMyoConfig
        Its shape.
    history_ : list of dict
        Steps, losses, windows per second: a row for every 20 steps, one for the rest.
    weights_card_ : WeightsCard
        What is known of the weights so far.
    classes_ : ndarray
        Labels that were learned beside, if `y` was given.
    data_ : dict
        Facts of the recordings seen last: windows, recordings, hours of samples.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing at
       the Edge", arXiv:2512.15729.
    .. [2] "Masked Autoencoders Are Scalable Vision Learners", arXiv:2111.06377
       (encoding of visible tokens alone).

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo.pretraining import TinyMyoPretrainer
    >>> rng = np.random.default_rng(0)
    >>> recordings = [rng.standard_normal((n, 600)) for n in (4, 8)]
    >>> pretrainer = TinyMyoPretrainer(
    ...     size="nano", n_times=200, max_epochs=1, batch_size=8, random_state=0
    ... ).fit(recordings)
    >>> pretrainer.transform(rng.standard_normal((3, 8, 200))).shape
    (3, 384)
    """

    def __init__(
        self,
        size="tinymyo",
        *,
        weights="random",
        n_times=None,
        step=None,
        mask_ratio=0.5,
        mask_form="cell",
        targets=("raw", "spectrum"),
        visible_only=True,
        decoder_depth=1,
        label_weight=1.0,
        orientation="channels-first",
        cache_folder=None,
        scale="group",
        gain=0.0,
        jitter=0,
        max_epochs=30,
        max_steps=None,
        batch_size=512,
        lr=5e-4,
        weight_decay=0.01,
        warmup=0.1,
        dropout=0.0,
        checkpointing=False,
        checkpoint_folder=None,
        checkpoint_seconds=300.0,
        resume=False,
        accelerate=False,
        device="auto",
        precision="auto",
        n_channels=None,
        random_state=None,
        verbose=0,
    ):
        self.size = size
        self.weights = weights
        self.n_times = n_times
        self.step = step
        self.mask_ratio = mask_ratio
        self.mask_form = mask_form
        self.targets = targets
        self.visible_only = visible_only
        self.decoder_depth = decoder_depth
        self.label_weight = label_weight
        self.orientation = orientation
        self.cache_folder = cache_folder
        self.scale = scale
        self.gain = gain
        self.jitter = jitter
        self.max_epochs = max_epochs
        self.max_steps = max_steps
        self.batch_size = batch_size
        self.lr = lr
        self.weight_decay = weight_decay
        self.warmup = warmup
        self.dropout = dropout
        self.checkpointing = checkpointing
        self.checkpoint_folder = checkpoint_folder
        self.checkpoint_seconds = checkpoint_seconds
        self.resume = resume
        self.accelerate = accelerate
        self.device = device
        self.precision = precision
        self.n_channels = n_channels
        self.random_state = random_state
        self.verbose = verbose

    # -- fitting -----------------------------------------------------------------

    def fit(self, X, y=None, groups=None):
        """Pretrain from the start.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), sequence of \
                array-like of shape (n_channels, n_times), Bunch, list of Bunch, or path
            Windows; recordings of any lengths and channel counts, in a list or any
            other sequence (the sampling rates may differ: the network sees samples;
            nested lists that make one array are windows); what the loaders of
            :mod:`sktinymyo.datasets` return; or a folder of HDF5, npy or npz files, or
            a list of such files, which may be larger than memory.
        y : array-like of length n_windows or n_recordings, or None, default=None
            Labels to be learned beside the reconstruction; None or -1 where
            unknown. ``y=None`` takes the gestures of Bunches and the labels in
            files, if there are any (``label_weight=0`` leaves them out).
        groups : array-like of the same length or None, default=None
            Recordings of one group are scaled together; see `scale`. None takes what
            Bunches and files say; a recording is else a group of its own. Those of a
            folder are in the order of the files' names. With windows `groups` serves
            training alone: :meth:`transform` is not told of them and scales by the
            statistics over all windows.

        Returns
        -------
        self : TinyMyoPretrainer

        Raises
        ------
        ValueError
            If a parameter or X is not as documented, or the loss diverges.

        Warns
        -----
        UserWarning
            If X looks like one recording instead of windows, has windows of which no
            part can be hidden, or names files that state no group.
        """
        check_parameters(self)
        for name in _LEARNED:
            vars(self).pop(name, None)
        opened = open_training(
            self.get_params(deep=False),
            X,
            y,
            groups,
            patch_size=self._config_to_start().patch_size,
            validate=self._first_windows,
            classes=None,
        )
        with closing(opened.source) as source:
            self._scale, self._scaler = self.scale, None
            if opened.windows is not None:
                scaling = _SCALING_OF_WINDOWS[self.scale]
                self._scaler = WindowScaler(scaling).fit(opened.windows)
            rng = check_random_state(self.random_state)
            seed, self._seed = (int(s) for s in rng.randint(2**31 - 1, size=2))
            self._targets = targets_of(self.targets)
            self._visible_only = bool(self.visible_only)
            self._decoder_depth = self.decoder_depth
            classes = source.classes_ if self.label_weight else None
            self._n_classes = 0 if classes is None else len(classes)
            if classes is not None:
                self.classes_ = classes
            model = self._start(make_generator(seed), make_generator(seed + 1))
            self._train(model, opened, self._seed, self._max_steps(source), "cosine")
        return self

    def partial_fit(self, X, y=None, groups=None):
        """Go on for one pass over the windows, at a constant rate.

        Parameters
        ----------
        X, y, groups
            As in :meth:`fit`; labels must be among those of the first call, also
            those that Bunches and files bring along. `scale` stays that of the first
            call.

        Returns
        -------
        self : TinyMyoPretrainer

        Raises
        ------
        ValueError
            As in :meth:`fit`, and if a label was not learned. The model is then as
            it was before.
        """
        if not self.__sklearn_is_fitted__():
            once = copy.copy(self).set_params(max_epochs=1, max_steps=None)
            once.fit(X, y, groups)
            kept = self.get_params(deep=False)
            vars(self).update(vars(once))
            self.set_params(**kept)
            return self
        check_parameters(self)
        opened = open_training(
            self.get_params(deep=False) | {"scale": self._scale},
            X,
            y,
            groups,
            patch_size=self.config_.patch_size,
            validate=self._windows,
            classes=getattr(self, "classes_", None),
        )
        with closing(opened.source) as source:
            known = y is not None and source.classes_ is not None
            if known and self.label_weight and not self._n_classes:
                raise ValueError(
                    "y was given to partial_fit, but the first fit had no labels; "
                    "pass y to fit, or none here."
                )
            seed = (self._seed + 1) % (2**31 - 1)
            model = copy.deepcopy(self._get_model())
            n_steps = len(source.order(seed, 0, self.batch_size))
            self._train(model, opened, seed, n_steps, "constant")
        return self

    def _first_windows(self, X):
        windows, flat = validate_windows(
            self, X, reset=True, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )
        if flat and self.n_channels is None:
            n_times = None if self.n_times is None else max(lengths_of(self.n_times))
            warn_of_recording((len(windows), windows.shape[2]), n_times, stacklevel=4)
        return windows

    def _config_to_start(self):
        if self.weights == "random":
            return config_of_size(
                self.size,
                dropout=self.dropout,
                attention_dropout=self.dropout,
                drop_path=self.dropout,
            )
        return load_weights(self.weights).config

    def _start(self, generator, spread):
        """Return the network with its initial values."""
        config = self._config_to_start()
        if self.weights == "random":
            model = self._new_model(config, generator)
            with torch.no_grad():
                model.encoder.channel_embed.normal_(
                    0.0, _CHANNEL_SPREAD, generator=spread
                )
            self._start_card = WeightsCard(
                name=f"pretrained ({self.size})",
                source="TinyMyoPretrainer",
                generation=config.position,
            )
            return model
        rates = dict.fromkeys(("dropout", "attention_dropout", "drop_path"))
        config = replace(config, **dict.fromkeys(rates, self.dropout))
        loaded = load_weights(self.weights)
        model = self._new_model(config, generator)
        state = {
            name: value
            for name, value in loaded.state.items()
            if not name.startswith("model_head.")
        }
        model.encoder.load_state_dict(state)
        self._start_card = continued_card(loaded.card)
        return model

    def _max_steps(self, source):
        if self.max_steps is not None:
            return self.max_steps
        return self.max_epochs * len(source.order(self._seed, 0, self.batch_size))

    def _train(self, model, opened, seed, max_steps, schedule):
        """Train a network and take it over; a failure changes nothing."""
        data, config = opened.source.describe(), model.encoder.config
        warn_of_empty_masks(
            self.mask_form,
            data["recordings_by_n_channels"],
            opened.lengths,
            config.patch_size,
            stacklevel=3,
        )
        accelerator, device = None, resolve_device(self.device)
        if self.accelerate:
            accelerate = import_optional(
                "accelerate", extra="pretraining", purpose="accelerate=True"
            )
            accelerator = accelerate.Accelerator(cpu=device.type == "cpu")
            device = accelerator.device
        on_cpu = device.type == "cpu"
        plan = PretrainingPlan(
            max_steps=max_steps,
            batch_size=self.batch_size,
            tokens_per_call=_TOKENS_PER_CALL if on_cpu else _TOKENS_ACCELERATOR,
            lengths=opened.lengths,
            mask_ratio=self.mask_ratio,
            mask_form=self.mask_form,
            label_weight=self.label_weight,
            gain=self.gain,
            jitter=self.jitter,
            lr=self.lr,
            weight_decay=self.weight_decay,
            warmup=self.warmup if schedule == "cosine" else 0.0,
            schedule=schedule,
            precision=resolve_precision(self.precision, device, training=True),
            seed=seed,
        )
        model.to(device)
        with enough_threads(_TOKENS_PER_CALL, config, device):
            history = pretrain(
                model,
                opened.source,
                plan,
                folder=self.checkpoint_folder if schedule == "cosine" else None,
                resume=self.resume,
                checkpoint_seconds=self.checkpoint_seconds,
                accelerator=accelerator,
                device=device,
                checkpointing=self.checkpointing,
                verbose=self.verbose,
            )
        first = schedule == "cosine"
        earlier = [] if first else self.history_
        offset = earlier[-1]["step"] if earlier else 0
        self.history_ = [
            *earlier,
            *({**row, "step": row["step"] + offset} for row in history),
        ]
        used = self.get_params(deep=False) | {
            "n_classes": self._n_classes,
            "targets": self._targets,
            "visible_only": self._visible_only,
        }
        self._facts = add_facts(
            None if first else self._facts,
            data=data,
            scale=self._scale,
            recipe=describe_recipe(used, schedule, opened.lengths),
            lengths=opened.lengths,
            history=history,
            batch_size=self.batch_size,
        )
        self.data_, self.config_, self._seed = data, config, seed
        self._model = model.to("cpu").eval()
        vars(self).pop("_runner", None)
        if self._scaler is not None:
            self._runner_with(self._scaler)
