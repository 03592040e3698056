"""TinyMyo as a scikit-learn regressor."""

from dataclasses import replace

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import check_array
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from ._tuned import TinyMyoTunedEstimator
from ._validation import check_groups

__all__ = ["TinyMyoRegressor"]


class TinyMyoRegressor(RegressorMixin, TinyMyoTunedEstimator):
    """Predict joint angles, forces or other quantities from EMG windows.

    Parameters
    ----------
    weights : str or path, default="default"
        What to start from: "default" (the open weights inside the package),
        "random" (an untrained encoder), a local file or folder, or a name on the
        hub such as "PulpBio/TinyMyo". Only a hub name ever downloads.
    size : {"nano", "tiny", "small", "tinymyo", "large"}, default="tinymyo"
        Size of the encoder with ``weights="random"``; the default is the
        published architecture [1]_.
    scale : {"channel", "window"} or None, default="channel"
        "channel" brings every channel to zero mean and unit standard deviation
        with statistics learned in `fit`; "window" does it for every window by
        itself and so loses the strength of the contraction; None leaves the
        values alone.
    tune : {"all", "head"} or int, default="all"
        What is trained: everything, only the convolutional head, or the last so
        many blocks with the head.
    max_epochs : int or "auto", default="auto"
        Passes over the windows. "auto" shows the model about 30,000 windows in
        all, within 5 to 100 passes (20 to 100 with ``tune="head"``).
    lr : float, default=5e-4
        Rate of the head after the warm-up; it falls along a cosine to 2 % of
        this value. The value of the paper.
    layer_decay : float or "auto", default="auto"
        Factor on the rate from each layer to the one below; "auto" is 0.9 (the
        paper) for trained weights and 1.0 for random ones.
    weight_decay : float, default=0.01
        Of AdamW, for matrices. The value of the paper.
    batch_size : int or "auto", default="auto"
        Windows of one optimiser step; "auto" is an eighth of the training
        windows, within 4 and 32 (8 and 256 with ``tune="head"``). Memory does
        not depend on it: batches are computed in parts.
    dropout : float, default=0.1
        Of attention, projections, MLP, head and residual branches in training.
    warmup : float, default=0.1
        Share of the steps in which the rate rises.
    validation_fraction : float or None, default=None
        Share of the windows held back for early stopping; whole groups where
        `fit` is given `groups`, of which there must be two or more. None trains on
        all windows.
    patience : int or None, default=7
        Epochs without a better validation loss before training ends and the
        best weights are restored; without effect if nothing is held back.
    augment : {"amplitude", "noise", "channel-drop", "rotation", "time-jitter", \
            "published", "armband"} or None, default=None
        Random changes of the training windows, see
        :func:`sktinymyo.nn.augment_windows`. The recipes that shift time are
        refused for targets with a time axis.
    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute.
    engine : {"torch", "onnxruntime", "openvino"}, default="torch"
        What computes predictions, on the processor. The others are faster (see the
        :doc:`user guide </user_guide/speed>`) and come with the extras of their names;
        training always takes torch. At the first
        prediction the network is written as a graph and compared with torch
        (``engine_difference_``). Saved models hold no graph: it is written again.
    precision : {"auto", "float32", "bf16", "int8"}, default="auto"
        Type of the matrix products. "auto" trains in bf16 where the hardware
        computes with it, and predicts in float32. "bf16" is computed by torch and
        by OpenVINO, which predicts in float32 where the processor has no bf16.
        "int8", of onnxruntime and OpenVINO, trains as "auto" does; at its
        end `fit` learns the ranges of the activations from up to 256 windows, evenly
        spread (fewer where they have more than 20,480 tokens together), and keeps the
        ranges alone. `partial_fit` and a warm `fit` widen them.
    memory : None, str, path or joblib.Memory, default=None
        With ``tune="head"``: where to keep the tokens of the windows, so that a
        search over head parameters encodes every window once. The head needs
        all tokens: 768 bytes for each with the published architecture.
    n_channels : int or None, default=None
        Channels of flattened windows; None means one channel.
    sfreq : float or None, default=None
        Sampling rate of the windows in Hz. If it is stated, `fit` compares it and the
        number of channels with the card of the weights it loads, and gives a
        :class:`~sktinymyo.exceptions.WeightsContractWarning` that names the remedy
        where they differ (rates by more than 1 %), and where the rate itself is in
        doubt: a window that would be shorter than 50 ms, or is shorter than one patch
        (20 samples), or a number that seems to be meant in kHz. It changes no result.
        None compares nothing, nor do random weights, which expect nothing.
    warm_start : bool, default=False
        Continue from the last `fit` instead of starting afresh; its `weights`,
        `size`, `scale` and `dropout` stay.
    random_state : int, RandomState instance or None, default=None
        Seed of initial values, order, dropout and augmentation.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    module_ : torch.nn.Module
        Encoder and head; its output is in units of the targets' standard
        deviation.
    config_ : TinyMyoConfig
        Architecture of the encoder.
    history_ : list of dict
        One row an epoch: ``epoch``, ``train_loss``, ``valid_loss`` (if windows
        were held back), ``lr``, ``duration`` in seconds.
    weights_card_ : WeightsCard
        Where the starting weights come from, their licence and input, in one line.
    target_mean_, target_std_ : ndarray of shape (n_outputs,)
        Scaling of the targets during training.
    target_shape_ : tuple
        Shape of the target of one window: (), (k,) or (n_times_out, k).
    engine_difference_ : float or None
        Largest difference between the engine and torch in float32, on noise of the
        strength of the windows in `fit`, as a share of the largest value; None with
        ``engine="torch"``.
    scale_mean_, scale_std_ : ndarray of shape (n_channels,) or None
        Statistics of ``scale="channel"``.
    n_channels_in_, n_times_in_ : int
        Shape of the windows in `fit`.
    n_features_in_ : int
        Their product.
    input_ndim_ : int
        Number of dimensions of the windows in `fit`, 2 or 3.
    feature_names_in_ : ndarray of str
        Column names, if `fit` saw a data frame.

    See Also
    --------
    TinyMyoClassifier : For gestures.

    Notes
    -----
    The head convolves over the patches of the window [1]_. For targets with a
    time axis its output is interpolated to their length; for one value a window
    it is averaged over time. The loss is the mean absolute error.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoRegressor
    >>> rng = np.random.default_rng(0)
    >>> force = rng.uniform(0.2, 1, size=60)
    >>> X = rng.normal(size=(60, 4, 100)) * force[:, None, None]
    >>> model = TinyMyoRegressor(
    ...     weights="random", size="nano", max_epochs=20, random_state=0
    ... )
    >>> bool(model.fit(X, force).score(X, force) > 0.5)
    True

    From open weights, told that the windows were recorded at 200 Hz:

    >>> model = TinyMyoRegressor(
    ...     "tinymyo-open-small", sfreq=200, tune="head", max_epochs=1, random_state=0
    ... )
    >>> model.fit(X, force).weights_card_
    tinymyo-open-small: positions per-channel, ...
    """

    def __init__(
        self,
        weights="default",
        *,
        size="tinymyo",
        scale="channel",
        tune="all",
        max_epochs="auto",
        lr=5e-4,
        layer_decay="auto",
        weight_decay=0.01,
        batch_size="auto",
        dropout=0.1,
        warmup=0.1,
        validation_fraction=None,
        patience=7,
        augment=None,
        device="auto",
        engine="torch",
        precision="auto",
        memory=None,
        n_channels=None,
        sfreq=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.weights = weights
        self.size = size
        self.scale = scale
        self.tune = tune
        self.max_epochs = max_epochs
        self.lr = lr
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.dropout = dropout
        self.warmup = warmup
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.augment = augment
        self.device = device
        self.engine = engine
        self.precision = precision
        self.memory = memory
        self.n_channels = n_channels
        self.sfreq = sfreq
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.single_output = True
        return tags

    def fit(self, X, y, sample_weight=None, groups=None):
        """Tune the model on windows and their targets.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of any real type and unit.
        y : array-like of shape (n_windows,), (n_windows, n_outputs) or \
                (n_windows, n_times_out, n_outputs)
            Targets in any unit; the times of the last form are spread evenly
            over the window.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows in the loss and in the scaling; a weight of
            zero leaves the window out.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by `validation_fraction`.

        Returns
        -------
        self : TinyMyoRegressor

        Raises
        ------
        ValueError
            If a parameter, X or y is not as documented, or training diverges.
        WeightsNotFoundError
            If the weights cannot be found.
        """
        self._check_training_parameters()
        continues = self.warm_start and self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, groups, continues)

    def partial_fit(self, X, y, sample_weight=None, groups=None):
        """Continue training on new windows, for example of a new person.

        The first call begins as `fit` does; later calls keep the scaling of the
        first and train on from the present weights for `max_epochs`.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : array-like
            Targets of the form seen in the first call.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by `validation_fraction`.

        Returns
        -------
        self : TinyMyoRegressor
        """
        self._check_training_parameters()
        continues = self.__sklearn_is_fitted__()
        return self._fit(X, y, sample_weight, groups, continues)

    def _fit_to_teacher(self, X, y, lesson, sample_weight=None, groups=None):
        """Fit to targets and to a teacher's predictions, given in the same unit."""
        self._check_training_parameters()
        return self._fit(X, y, sample_weight, groups, False, lesson)

    def _fit(self, X, y, sample_weight, groups, continues, lesson=None):
        windows = self._validate(X, reset=not continues)
        y = self._check_targets(windows, y)
        if continues and y.shape[1:] != self.target_shape_:
            raise ValueError(
                f"y has the shape {y.shape}, but this {type(self).__name__} "
                f"continues a model of targets {self.target_shape_} a window."
            )
        weights = _check_sample_weight(
            sample_weight, windows, dtype=np.float64, ensure_non_negative=True
        )
        if not weights.any():
            raise ValueError(
                "sample_weight is zero for every window; at least one window needs "
                "a weight above zero."
            )
        if self.augment in ("time-jitter", "armband") and y.ndim == 3:
            raise ValueError(
                f"augment={self.augment!r} shifts windows in time, which the targets "
                "with a time axis would not follow; pass 'published' or None."
            )
        groups = check_groups(windows, groups)
        if not continues:
            self.target_shape_ = y.shape[1:]
            values = y.reshape(len(y), -1, y.shape[-1] if y.ndim > 1 else 1)
            share = weights / weights.sum() / values.shape[1]
            mean = np.einsum("n,ntk->k", share, values)
            std = np.sqrt(np.einsum("n,ntk->k", share, np.square(values - mean)))
            std[std <= 1e-12 * np.abs(mean)] = 1.0
            self.target_mean_, self.target_std_ = mean, np.where(std > 0, std, 1.0)
            self._start(windows, weights)
        if lesson is not None:
            lesson = replace(lesson, outputs=self._scale_targets(lesson.outputs))
        scaled = self._scale_targets(y)
        self._continue(windows, scaled, weights, groups, "l1", lesson=lesson)
        return self

    def _scale_targets(self, y):
        """Return targets as the head is to answer them."""
        scaled = (y - self._target(self.target_mean_)) / self._target(self.target_std_)
        scaled = scaled.astype(np.float32)
        return scaled if y.ndim == 3 else scaled.reshape(len(y), 1, -1)

    def predict(self, X):
        """Return the predicted targets.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        y : ndarray of float64, shape (n_windows,), (n_windows, n_outputs) or \
                (n_windows, n_times_out, n_outputs)
            In the form and unit of the targets in `fit`.
        """
        outputs = self._outputs(self._validate(X, reset=False))
        outputs = outputs.reshape(len(outputs), *self.target_shape_)
        values = outputs * self._target(self.target_std_)
        return values + self._target(self.target_mean_)

    def score(self, X, y, sample_weight=None):
        """Return the coefficient of determination, the mean over the outputs.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : array-like
            True targets, of the form seen in `fit`; every time of a target with
            a time axis counts as one value.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows.

        Returns
        -------
        score : float
            R2 of the predictions.
        """
        predicted = self.predict(X)
        y = np.asarray(y)
        if y.ndim == 3 and y.shape == predicted.shape:
            if sample_weight is not None:
                sample_weight = np.repeat(sample_weight, y.shape[1])
            y = y.reshape(-1, y.shape[-1])
            predicted = predicted.reshape(-1, predicted.shape[-1])
        return r2_score(y, predicted, sample_weight=sample_weight)

    def _target(self, values):
        """Return per-output values in a form that fits the targets."""
        return values if self.target_shape_ else values[0]

    def _new_head(self, generator):
        from .nn import MeanRegressionHead, RegressionHead

        shape = self.target_shape_
        arguments = {
            "embed_dim": self.config_.embed_dim,
            "n_channels": self.n_channels_in_,
            "n_outputs": shape[-1] if shape else 1,
            "dropout": self.dropout,
            "generator": generator,
        }
        if len(shape) == 2:
            return RegressionHead(**arguments, n_times_out=shape[0])
        return MeanRegressionHead(**arguments)

    def _check_targets(self, windows, y):
        if y is None:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is "
                "None."
            )
        y = check_array(
            y,
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            ensure_min_features=0,
            input_name="y",
        )
        if y.ndim > 3 or y.ndim < 1 or 0 in y.shape[1:]:
            raise ValueError(
                "y must have the shape (n_windows,), (n_windows, n_outputs) or "
                f"(n_windows, n_times_out, n_outputs); got {y.shape}."
            )
        check_consistent_length(windows, y)
        return y
