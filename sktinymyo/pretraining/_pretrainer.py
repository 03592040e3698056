"""TinyMyoPretrainer: self-supervised pretraining as an estimator."""

import copy
import numbers
from dataclasses import replace

import numpy as np
import torch
from sklearn.utils import Bunch, check_random_state

from .._optional import import_optional
from .._torch import (
    WindowScaler,
    enough_threads,
    make_generator,
    resolve_device,
    resolve_precision,
)
from .._validation import check_choice, check_number, validate_windows
from ..nn import MASK_FORMS, SIZES, config_of_size
from ..weights import WeightsCard, load_weights
from ._loop import PretrainingPlan, pretrain
from ._network import PretrainedNetwork
from ._sources import open_source

__all__ = ["TinyMyoPretrainer"]

# The published window, 0.5 s at 2 kHz.
_PUBLISHED_N_TIMES = 1000
# Tokens, hidden ones included, of one forward pass: enough rows for fast matrix
# products, few enough to bound the memory of the backward pass.
_TOKENS_PER_CALL = 4096
_TOKENS_ACCELERATOR = 2**17
# Of the channel vectors: LayerNorm takes the strength of a token away unless
# something constant stands beside the signal.
_CHANNEL_SPREAD = 0.2
_ORIENTATIONS = ("channels-first", "times-first")
_SCALES = ("group", "recording", "window", None)


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
        whole patches. None is the length of given windows, or 1000 (published
        [1]_) for recordings.
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
        log-spectrum. The phase of EMG is noise; spectra gave better features in
        our comparison (see the benchmarks), and samples make :meth:`reconstruct`
        possible.
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
        Where compressed npz archives are unpacked, and what was measured of files
        is kept.
    scale : {"group", "recording", "window"} or None, default="group"
        Scaling of each channel: by the statistics of all recordings of one group
        (the same electrodes on the same person), of each recording, of each
        window, or none.
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
    checkpoint_folder : path-like or None, default=None
        Folder for ``checkpoint.safetensors`` and ``log.csv``.
    checkpoint_seconds : float, default=300.0
        Time between two checkpoints.
    resume : bool, default=False
        Go on from the checkpoint in the folder, if there is one. A run that was
        killed and resumed ends with the weights of an unbroken run.
    accelerate : bool, default=False
        Train in all processes that ``accelerate launch`` started; `batch_size` is
        that of all processes together.
    device : str or torch.device, default="auto"
        As in the other estimators.
    precision : {"auto", "float32", "bf16"}, default="auto"
        "auto" is bf16 where the hardware has it.
    n_channels : int or None, default=None
        Channels of windows given in two dimensions.
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
        Steps, losses, windows per second.
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

    def _check_parameters(self):
        if not (isinstance(self.weights, str) or hasattr(self.weights, "__fspath__")):
            raise TypeError(
                "weights must be 'random', a path or a name; got "
                f"{self.weights!r} of type {type(self.weights).__name__}."
            )
        check_choice("size", self.size, tuple(SIZES))
        check_choice("mask_form", self.mask_form, MASK_FORMS)
        check_choice("scale", self.scale, _SCALES)
        check_choice("orientation", self.orientation, _ORIENTATIONS)
        check_choice("precision", self.precision, ("auto", "float32", "bf16"))
        for name in ("max_epochs", "batch_size"):
            check_number(name, getattr(self, name), minimum=1, integer=True)
        for name in ("max_steps", "step", "n_channels"):
            value = getattr(self, name)
            check_number(name, value, minimum=1, integer=True, none_allowed=True)
        for length in self._lengths_given() or ():
            check_number("n_times", length, minimum=1, integer=True)
        for name in ("decoder_depth", "jitter"):
            check_number(name, getattr(self, name), minimum=0, integer=True)
        for name in ("gain", "weight_decay", "label_weight"):
            check_number(name, getattr(self, name), minimum=0)
        check_number("lr", self.lr, minimum=0, include_minimum=False)
        check_number("checkpoint_seconds", self.checkpoint_seconds, minimum=0)
        for name in ("warmup", "dropout"):
            value = getattr(self, name)
            check_number(name, value, minimum=0, maximum=1, include_maximum=False)
        check_number(
            "mask_ratio",
            self.mask_ratio,
            minimum=0,
            maximum=1,
            include_minimum=False,
            include_maximum=False,
        )
        for target in self._targets_given():
            check_choice("targets", target, ("raw", "spectrum"))
        if not self._targets_given():
            raise ValueError("targets is empty; pass 'raw', 'spectrum' or both.")
        resolve_device(self.device)

    def _targets_given(self):
        return (self.targets,) if isinstance(self.targets, str) else tuple(self.targets)

    def _lengths_given(self):
        if self.n_times is None or isinstance(self.n_times, numbers.Integral):
            return None if self.n_times is None else (self.n_times,)
        try:
            return tuple(self.n_times)
        except TypeError as error:
            raise TypeError(
                f"n_times={self.n_times!r} is not accepted; pass a number of samples, "
                "several of them, or None."
            ) from error

    def _is_windows(self, X):
        """Tell an array of windows from recordings, Bunches and folders."""
        if isinstance(X, str) or hasattr(X, "__fspath__") or isinstance(X, Bunch):
            return False
        if isinstance(X, (list, tuple)) and X:
            first = X[0]
            if isinstance(first, (str, Bunch)) or hasattr(first, "__fspath__"):
                return False
            if isinstance(first, (list, tuple)):
                # Plain numbers in lists are windows if they make one array, as
                # everywhere in scikit-learn; recordings of one length are arrays.
                return len({np.shape(item) for item in X}) == 1
            return np.ndim(first) != 2
        return True

    def fit(self, X, y=None, groups=None):
        """Pretrain from the start.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), list of array-like \
                of shape (n_channels, n_times), Bunch, list of Bunch, or path
            Windows; recordings of any lengths and channel counts (the sampling
            rates may differ: the network sees samples; nested lists that make one
            array of three dimensions are windows); what the loaders of
            :mod:`sktinymyo.datasets` return; or a folder of HDF5, npy or npz files,
            which may be larger than memory.
        y : array-like of length n_windows or n_recordings, or None, default=None
            Labels to be learned beside the reconstruction; None or -1 where
            unknown. ``y=None`` takes the gestures of Bunches and the labels in
            files, if there are any (``label_weight=0`` leaves them out).
        groups : array-like of the same length or None, default=None
            Recordings of one group are scaled together; see `scale`.

        Returns
        -------
        self : TinyMyoPretrainer

        Raises
        ------
        ValueError
            If a parameter or X is not as documented, or the loss diverges.
        """
        self._check_parameters()
        for name in ("_model", "_runner", "_stored_arrays", "n_features_in_"):
            vars(self).pop(name, None)
        source = self._open(X, y, groups, reset=True)
        rng = check_random_state(self.random_state)
        seed, self._seed = (int(s) for s in rng.randint(2**31 - 1, size=2))
        self._targets = self._targets_given()
        self._visible_only = bool(self.visible_only)
        self._decoder_depth = self.decoder_depth
        classes = source.classes_ if self.label_weight else None
        self._n_classes = 0 if classes is None else len(classes)
        if classes is not None:
            self.classes_ = classes
        else:
            vars(self).pop("classes_", None)
        model = self._start(make_generator(seed), make_generator(seed + 1))
        self._train(model, source, self._max_steps(source), "cosine")
        return self

    def partial_fit(self, X, y=None, groups=None):
        """Go on for one pass over the windows, at a constant rate.

        Parameters
        ----------
        X, y, groups
            As in :meth:`fit`; labels must be among those of the first call.

        Returns
        -------
        self : TinyMyoPretrainer
        """
        if not self.__sklearn_is_fitted__():
            once = copy.copy(self).set_params(max_epochs=1, max_steps=None)
            once.fit(X, y, groups)
            kept = self.get_params(deep=False)
            vars(self).update(vars(once))
            self.set_params(**kept)
            return self
        self._check_parameters()
        if y is not None and not self._n_classes:
            raise ValueError(
                "y was given to partial_fit, but the first fit had no labels; pass y "
                "to fit, or none here."
            )
        source = self._open(X, y, groups, reset=False)
        if y is not None and not np.array_equal(source.classes_, self.classes_):
            raise ValueError(
                f"y holds the labels {list(source.classes_)}, but fit saw "
                f"{list(self.classes_)}; pass windows with the same labels."
            )
        self._seed = (self._seed + 1) % (2**31 - 1)
        model = copy.deepcopy(self._get_model())
        n_steps = len(source.order(self._seed, 0, self.batch_size))
        self._train(model, source, n_steps, "constant")
        return self

    def _open(self, X, y, groups, *, reset):
        """Return the source of windows and remember (or compare) their shape."""
        y = np.asarray(y) if hasattr(y, "__array__") else y
        self._window_input = self._is_windows(X)
        lengths = self._lengths_given()
        options = {
            "scale": self.scale,
            "orientation": self.orientation,
            "cache_folder": self.cache_folder,
        }
        if self._window_input:
            windows, _ = validate_windows(
                self,
                X,
                reset=reset,
                n_channels=self.n_channels,
                dtype=[np.float64, np.float32, np.float16, np.int8, np.int16, np.int32],
            )
            lengths = (windows.shape[2],) if lengths is None else lengths
            n_times = self._set_lengths(lengths, windows.shape[2])
            if reset:
                method = None if self.scale is None else "channel"
                method = "window" if self.scale == "window" else method
                scaler = WindowScaler(method).fit(windows)
                self._scaler = scaler
            if windows.shape[2] < n_times:
                room = n_times - windows.shape[2]
                windows = np.pad(windows, ((0, 0), (0, 0), (0, room)))
            X, options["step"] = windows, n_times
        else:
            if reset:
                vars(self).pop("n_channels_in_", None)
                vars(self).pop("n_times_in_", None)
                self._scaler = None
            n_times = self._set_lengths(lengths or (_PUBLISHED_N_TIMES,), None)
            options["step"] = self.step or max(n_times // 2, 1)
        if self.step is not None:
            options["step"] = self.step
        source = open_source(X, y, groups, n_times=n_times, **options)
        self.data_ = source.describe()
        return source

    def _set_lengths(self, lengths, most):
        patch = self._config_to_start().patch_size
        if most is not None:
            if max(lengths) > most:
                raise ValueError(
                    f"n_times={self.n_times!r} is longer than the windows given, which "
                    f"have {most} samples; pass at most that, or None."
                )
        self._lengths = tuple(sorted(max(n // patch, 1) * patch for n in lengths))
        return self._lengths[-1]

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
            self.weights_card_ = WeightsCard(
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
        self.weights_card_ = loaded.card
        return model

    def _max_steps(self, source):
        if self.max_steps is not None:
            return self.max_steps
        return self.max_epochs * len(source.order(self._seed, 0, self.batch_size))

    def _train(self, model, source, max_steps, schedule):
        accelerator, device = None, resolve_device(self.device)
        if self.accelerate:
            accelerate = import_optional(
                "accelerate", extra="pretraining", purpose="accelerate=True"
            )
            accelerator = accelerate.Accelerator(cpu=device.type == "cpu")
            device = accelerator.device
        config = model.encoder.config
        on_cpu = device.type == "cpu"
        plan = PretrainingPlan(
            max_steps=max_steps,
            batch_size=self.batch_size,
            tokens_per_call=_TOKENS_PER_CALL if on_cpu else _TOKENS_ACCELERATOR,
            lengths=self._lengths,
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
            seed=self._seed,
        )
        model.to(device)
        with enough_threads(_TOKENS_PER_CALL, config, device):
            history = pretrain(
                model,
                source,
                plan,
                folder=self.checkpoint_folder if schedule == "cosine" else None,
                resume=self.resume,
                checkpoint_seconds=self.checkpoint_seconds,
                accelerator=accelerator,
                device=device,
                verbose=self.verbose,
            )
        earlier = getattr(self, "history_", []) if schedule == "constant" else []
        offset = earlier[-1]["step"] if earlier else 0
        self.history_ = [
            *earlier,
            *({**row, "step": row["step"] + offset} for row in history),
        ]
        self.config_ = config
        self._model = model.to("cpu").eval()
        vars(self).pop("_runner", None)
        if self._scaler is not None:
            self._runner_with(self._scaler)
