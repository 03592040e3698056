"""Frozen TinyMyo encoder as a scikit-learn transformer."""

import numpy as np
import torch
from sklearn.base import TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from ._base import TinyMyoEstimator
from ._torch import ModuleRunner
from ._validation import WINDOW_TYPES, check_choice, validate_windows

__all__ = ["TinyMyoEmbedder"]


class TinyMyoEmbedder(TransformerMixin, TinyMyoEstimator):
    """Turn EMG windows into embeddings of a frozen TinyMyo encoder.

    Nothing of the encoder is trained: `fit` loads the weights and learns the
    scaling of the channels. Put any scikit-learn estimator behind it.

    Parameters
    ----------
    weights : str or path, default="default"
        "default" (the open weights inside the package), "random" (an untrained
        encoder, a baseline), a local file or folder, or a name on the hub such
        as "PulpBio/TinyMyo". Only a hub name ever downloads.
    size : {"nano", "tiny", "small", "tinymyo", "large"}, default="tinymyo"
        Size of the encoder with ``weights="random"``; loaded weights have their
        own. The default is the published architecture [1]_.
    scale : {"channel", "window"} or None, default="channel"
        "channel" brings every channel to zero mean and unit standard deviation
        with the statistics of the windows in `fit`, which keeps differences of
        strength between windows and channels; "window" scales every channel of
        every window by itself; None leaves the values alone.
    pooling : {"channel", "mean"}, default="channel"
        "channel" averages the tokens of each channel and puts the channels side
        by side, so that the place of activity on the arm is kept; "mean" averages
        over the channels too.
    batch_size : int or "auto", default="auto"
        Most windows in one forward pass. Fewer are taken where that is faster,
        with the same result.
    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute.
    engine : {"torch", "onnxruntime", "openvino"}, default="torch"
        What computes predictions, on the processor. The others are faster (see the
        :doc:`user guide </user_guide/speed>`) and come with the extras of their names;
        `encode` always takes torch. At the first
        prediction the network is written as a graph and compared with torch
        (``engine_difference_``). Saved models hold no graph: it is written again.
    precision : {"auto", "float32", "bf16", "int8"}, default="auto"
        Type of the matrix products; "auto" is float32. "bf16" is computed by torch and
        by OpenVINO, which takes float32 where the processor has no bf16. "int8" is
        computed by onnxruntime and OpenVINO: `fit` learns the ranges of the
        activations from up to 256 windows, evenly spread (fewer where they have more
        than 20,480 tokens together), and keeps the ranges alone.
    memory : None, str, path or joblib.Memory, default=None
        Where to keep pooled embeddings. Every window is encoded once, also across
        folds and candidates of a search whenever its scaling is the same
        (always with ``scale="window"`` or None).
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
    random_state : int, RandomState instance or None, default=None
        Seed of ``weights="random"``.

    Attributes
    ----------
    module_ : torch.nn.Module
        The encoder.
    config_ : TinyMyoConfig
        Its architecture.
    weights_card_ : WeightsCard
        Where the weights come from, their licence and input, in one line.
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
    TinyMyoClassifier : Tunes the encoder for a set of gestures.
    TimeDomainFeatures : The classical features.

    Notes
    -----
    The last samples of a window that do not fill a patch (20 samples) are left
    out; a window shorter than one patch is completed with zeros.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoEmbedder
    >>> X = np.random.default_rng(0).normal(size=(6, 8, 200))
    >>> embedder = TinyMyoEmbedder(weights="random", size="nano", random_state=0)
    >>> embedder.fit_transform(X).shape
    (6, 384)
    >>> embedder.encode(X).shape
    (6, 8, 10, 48)

    Trained weights, told the rate of the windows, check that they know it. These
    windows last a second at 1500 Hz, which the weights never saw:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sktinymyo import EMGResampler
    >>> X = np.random.default_rng(0).normal(size=(6, 8, 1500))
    >>> model = make_pipeline(
    ...     EMGResampler(1500, 200), TinyMyoEmbedder("tinymyo-open-small", sfreq=200)
    ... )
    >>> model.fit_transform(X).shape
    (6, 1024)
    >>> model[-1].weights_card_
    tinymyo-open-small: positions per-channel, ...
    """

    def __init__(
        self,
        weights="default",
        *,
        size="tinymyo",
        scale="channel",
        pooling="channel",
        batch_size="auto",
        device="auto",
        engine="torch",
        precision="auto",
        memory=None,
        n_channels=None,
        sfreq=None,
        random_state=None,
    ):
        self.weights = weights
        self.size = size
        self.scale = scale
        self.pooling = pooling
        self.batch_size = batch_size
        self.device = device
        self.engine = engine
        self.precision = precision
        self.memory = memory
        self.n_channels = n_channels
        self.sfreq = sfreq
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X, y=None):
        """Load the weights and learn the scaling of the channels.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of any real type and unit.
        y : object, default=None
            Ignored.

        Returns
        -------
        self : TinyMyoEmbedder

        Raises
        ------
        ValueError
            If a parameter or X is not as documented.
        WeightsNotFoundError
            If the weights cannot be found.
        """
        self._check_common_parameters()
        check_choice("pooling", self.pooling, ("channel", "mean"))
        windows, _ = self._windows(X, reset=True)
        self._forget()
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        with torch.inference_mode(False):
            module, card, source = self._load_encoder(int(seed))
        self._set_encoder(windows, module, card, source)
        runner = ModuleRunner(module, self._scaler())
        self._int8 = self._learn_int8(runner, windows)
        self._runner = runner
        return self

    def transform(self, X):
        """Return the pooled embedding of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_windows, n_embeddings)
            ``n_channels * embed_dim`` columns with ``pooling="channel"``,
            ``embed_dim`` with "mean".
        """
        windows, _ = self._windows(X, reset=False)
        return self._embed(windows, self.pooling)

    def encode(self, X):
        """Return the tokens of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        tokens : ndarray of float32, shape (n_windows, n_channels, n_patches, \
                embed_dim)
            One token for every 20 samples of every channel; the last is that of
            an incomplete patch if the window does not end with a full one.
        """
        windows, _ = self._windows(X, reset=False)
        return self._run(windows, "encode", with_torch=True)

    def get_feature_names_out(self, input_features=None):
        """Return the names of the embedding's columns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Compared with the columns seen in `fit`, as in scikit-learn.

        Returns
        -------
        names : ndarray of str objects
        """
        check_is_fitted(self, "n_channels_in_")
        _check_feature_names_in(self, input_features, generate_names=False)
        return embedding_names(
            "tinymyoembedder",
            self.n_channels_in_ if self.pooling == "channel" else None,
            self.config_.embed_dim,
        )

    def _windows(self, X, *, reset):
        return validate_windows(
            self, X, reset=reset, n_channels=self.n_channels, dtype=WINDOW_TYPES
        )


def embedding_names(prefix, n_channels, embed_dim):
    """Return names such as ``tinymyoembedder_ch0_12`` for pooled tokens."""
    parts = [""] if n_channels is None else [f"_ch{c}" for c in range(n_channels)]
    return np.asarray(
        [f"{prefix}{part}_{k}" for part in parts for k in range(embed_dim)],
        dtype=object,
    )
