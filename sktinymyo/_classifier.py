"""TinyMyo as a scikit-learn classifier."""

import warnings

import numpy as np
from scipy.special import log_softmax, softmax
from sklearn.base import ClassifierMixin, TransformerMixin
from sklearn.utils import column_or_1d
from sklearn.utils.validation import (
    _check_feature_names_in,
    check_is_fitted,
)

from ._embedder import embedding_names
from ._tuned import RANDOM_START, TinyMyoTunedEstimator, TuningDefaults
from ._validation import (
    check_choice,
    check_groups,
    check_labels,
    check_number,
    check_weights,
    refuse_missing,
)

__all__ = ["TinyMyoClassifier"]

# Chosen by tests/benchmarks/recipes.py on people who appear in no other benchmark.
_TRAINED_START = TuningDefaults(
    lr=5e-4, layer_decay=0.7, windows_to_see=15_000, epochs=(3, 20)
)


class TinyMyoClassifier(ClassifierMixin, TransformerMixin, TinyMyoTunedEstimator):
    """Classify EMG windows with a TinyMyo encoder tuned to the task.

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
        with statistics learned in `fit` (the recipe of the paper); "window" does
        it for every window by itself; None leaves the values alone.
    tune : {"all", "head"} or int, default="all"
        What is trained: everything, only the linear head, or the last so many
        blocks with the head.
    head_start : {"auto", "logistic", "random"}, default="auto"
        What the head is before training begins. "logistic" solves a logistic
        regression (L2 penalty, C = 3 / windows, on standardised embeddings of at
        most 10,000 of the training windows) and so begins where a frozen encoder
        ends: tuning everything from a random head first bends good features after a
        useless head [2]_. "random" draws it. "auto" is "logistic" for trained
        weights and "random" for random ones, whose features are to be learned
        anyway.
    max_epochs : int or "auto", default="auto"
        Passes over the windows. "auto" shows random weights about 30,000 windows in
        all, within 5 to 100 passes: twenty windows are repeated often enough to be
        learned, 200,000 do not take the 50 passes of the paper. Trained weights see
        about 15,000 within 3 to 20 passes, a head alone 30,000 within 20 to 100.
    lr : float or "auto", default="auto"
        Rate of the head after the warm-up; it falls along a cosine to 2 % of
        this value. "auto" is 5e-4, that of the paper; what other values cost on
        unseen people is shown by ``tests/benchmarks/recipes.py``.
    layer_decay : float or "auto", default="auto"
        Factor on the rate from each layer to the one below. "auto" is 0.7 for
        trained weights, whose lower layers need to change least, and 1.0 for random
        weights, which have all to learn.
    weight_decay : float, default=0.01
        Of AdamW, for matrices. The value of the paper.
    batch_size : int or "auto", default="auto"
        Windows of one optimiser step. "auto" is an eighth of the training
        windows, within 4 and 32 (the paper's) or, with ``tune="head"``, 8 and
        256: few windows still make several steps an epoch. Memory does not
        depend on it: batches are computed in parts.
    label_smoothing : float, default=0.1
        Probability mass spread over the other classes in the loss (the paper's).
    dropout : float, default=0.1
        Of attention, projections, MLP and whole residual branches in training.
    warmup : float, default=0.1
        Share of the steps in which the rate rises (5 of 50 epochs in the paper).
    validation_fraction : float or None, default=None
        Share of the windows held back for early stopping; whole groups where
        `fit` is given `groups`, else stratified. None trains on all windows.
    patience : int or None, default=7
        Epochs without a better validation loss before training ends and the
        best weights are restored; without effect if nothing is held back.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn; EMG recordings often
        hold far more rest than gestures. With few windows in a batch a rare class
        of large weight comes seldom: `batch_size` of 32 and more serves it better.
    augment : {"amplitude", "noise", "channel-drop", "rotation", "time-jitter", \
            "published", "armband"} or None, default=None
        Random changes of the training windows, see
        :func:`sktinymyo.nn.augment_windows`.
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
        With ``tune="head"``: where to keep the embeddings, so that a search over
        head parameters encodes every window once and not once for each fold and
        candidate (with ``scale="channel"``: once for each fold).
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
    classes_ : ndarray of shape (n_classes,)
        Labels seen in `fit`.
    module_ : torch.nn.Module
        Encoder and head.
    config_ : TinyMyoConfig
        Architecture of the encoder.
    history_ : list of dict
        One row an epoch: ``epoch``, ``train_loss``, ``valid_loss`` (if windows
        were held back), ``lr``, ``duration`` in seconds.
    weights_card_ : WeightsCard
        Where the starting weights come from, their licence and input, in one line.
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
    TinyMyoEmbedder : The frozen encoder as a transformer.
    TinyMyoRegressor : Joint angles and forces.

    Notes
    -----
    Interrupting the training (Ctrl-C) keeps the model as it is, with a
    :class:`~sktinymyo.exceptions.TrainingInterruptedWarning`.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.
    .. [2] A. Kumar et al., "Fine-Tuning can Distort Pretrained Features and
       Underperform Out-of-Distribution", ICLR 2022.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import TinyMyoClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["rest", "fist"], 20)
    >>> X = rng.normal(size=(40, 4, 100)) * np.where(y == "fist", 3, 1)[:, None, None]
    >>> model = TinyMyoClassifier(
    ...     weights="random", size="nano", max_epochs=10, random_state=0
    ... )
    >>> model.fit(X, y).score(X, y)
    1.0

    From open weights, told that the windows were recorded at 200 Hz:

    >>> model = TinyMyoClassifier(
    ...     "tinymyo-open-small", sfreq=200, tune="head", max_epochs=5, random_state=0
    ... )
    >>> model.fit(X, y).weights_card_
    tinymyo-open-small: positions per-channel, ...
    """

    def __init__(
        self,
        weights="default",
        *,
        size="tinymyo",
        scale="channel",
        tune="all",
        head_start="auto",
        max_epochs="auto",
        lr="auto",
        layer_decay="auto",
        weight_decay=0.01,
        batch_size="auto",
        label_smoothing=0.1,
        dropout=0.1,
        warmup=0.1,
        validation_fraction=None,
        patience=7,
        class_weight=None,
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
        self.head_start = head_start
        self.max_epochs = max_epochs
        self.lr = lr
        self.layer_decay = layer_decay
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.warmup = warmup
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
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
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def fit(self, X, y, sample_weight=None, groups=None):
        """Tune the model on windows and their labels.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of any real type and unit.
        y : array-like of shape (n_windows,)
            Labels of any type.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows in the loss and in the scaling; a weight of
            zero leaves the window out.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by `validation_fraction`.

        Returns
        -------
        self : TinyMyoClassifier

        Raises
        ------
        ValueError
            If a parameter, X or y is not as documented, or training diverges.
        WeightsNotFoundError
            If the weights cannot be found.
        """
        self._check_training_parameters()
        continues = self.warm_start and self.__sklearn_is_fitted__()
        windows = self._validate(X, reset=not continues)
        y = check_labels(self, windows, y)
        classes, codes = np.unique(y, return_inverse=True)
        if continues and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y holds the classes {classes.tolist()}, but warm_start=True "
                f"continues a model of {self.classes_.tolist()}; pass the same "
                "classes or warm_start=False."
            )
        sample_weight, weights = self._check_weights(windows, y, sample_weight)
        groups = check_groups(windows, groups)
        if len(classes) == 1:
            warnings.warn(
                f"y holds one class only, {classes.tolist()}: every prediction will be "
                "this class. Check how the labels were made.",
                UserWarning,
                stacklevel=2,
            )
        if not continues:
            self.classes_ = classes
            self._start(windows, sample_weight)
        self._continue(windows, codes, weights, groups, "cross-entropy", codes)
        return self

    def _fit_to_teacher(self, X, y, lesson, sample_weight=None, groups=None):
        """Fit to labels and to a teacher's answers; the labels `y` hold every class.

        Labels of windows that are not labelled stratify the validation, no more.
        """
        self._check_training_parameters()
        windows = self._validate(X, reset=True)
        self.classes_, codes = np.unique(y, return_inverse=True)
        sample_weight, weights = check_weights(
            windows, y, sample_weight, self.class_weight, lesson.labelled
        )
        self._start(windows, sample_weight)
        loss = "cross-entropy"
        self._continue(windows, codes, weights, groups, loss, codes, lesson)
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        """Continue training on new windows, for example of a new person.

        The first call begins as `fit` does; later calls keep the scaling of the
        first and train on from the present weights for `max_epochs`.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows.
        y : array-like of shape (n_windows,)
            Labels, all of them among the classes.
        classes : array-like of shape (n_classes,) or None, default=None
            All labels there will ever be; needed in the first call.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by `validation_fraction`.

        Returns
        -------
        self : TinyMyoClassifier

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or differs later, or y
            holds another label.
        """
        self._check_training_parameters()
        first = not self.__sklearn_is_fitted__()
        if first and classes is None:
            raise ValueError(
                "classes must be passed in the first call of partial_fit: all labels "
                "that will ever occur, for example classes=np.unique(y)."
            )
        if classes is not None:
            classes = column_or_1d(classes)
            refuse_missing("classes", classes)
            classes = np.unique(classes)
            if not first and not np.array_equal(classes, self.classes_):
                raise ValueError(
                    f"classes={classes.tolist()} differs from the classes of the "
                    f"first call, {self.classes_.tolist()}; a new set of classes "
                    "needs a new fit."
                )
        windows = self._validate(X, reset=first)
        y = check_labels(self, windows, y)
        known = classes if first else self.classes_
        unknown = np.setdiff1d(y, known)
        if len(unknown):
            raise ValueError(
                f"y holds labels that are not among the classes: {unknown.tolist()}; "
                f"known are {known.tolist()}."
            )
        sample_weight, weights = self._check_weights(windows, y, sample_weight)
        codes = np.searchsorted(known, y)
        if first:
            self.classes_ = known
            self._start(windows, sample_weight)
        groups = check_groups(windows, groups)
        self._continue(windows, codes, weights, groups, "cross-entropy", codes)
        return self

    def decision_function(self, X):
        """Return the logits of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        logits : ndarray of float32, shape (n_windows, n_classes) or (n_windows,)
            With two classes, the difference between the second and the first.
        """
        logits = self._outputs(self._validate(X, reset=False))
        return logits[:, 1] - logits[:, 0] if len(self.classes_) == 2 else logits

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        return softmax(self._outputs(self._validate(X, reset=False)), axis=1)

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        log_probabilities : ndarray of float32, shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        return log_softmax(self._outputs(self._validate(X, reset=False)), axis=1)

    def predict(self, X):
        """Return the most probable label of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_windows,)
        """
        logits = self._outputs(self._validate(X, reset=False))
        return self.classes_[logits.argmax(axis=1)]

    def transform(self, X):
        """Return the embeddings after tuning, what the linear head sees.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times) or \
                (n_windows, n_channels * n_times)
            Windows of the shape seen in `fit`.

        Returns
        -------
        embeddings : ndarray of float32, shape (n_windows, n_channels * embed_dim)
        """
        return self._embed(self._validate(X, reset=False), "channel")

    def get_feature_names_out(self, input_features=None):
        """Return the names of the columns of `transform`.

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
            "tinymyoclassifier", self.n_channels_in_, self.config_.embed_dim
        )

    def _tuning_defaults(self):
        known = super()._tuning_defaults()
        return known if known is RANDOM_START else _TRAINED_START

    def _new_head(self, generator):
        from .nn import ClassificationHead

        return ClassificationHead(
            self.config_.embed_dim,
            self.n_channels_in_,
            len(self.classes_),
            generator=generator,
        )

    def _check_training_parameters(self):
        super()._check_training_parameters()
        check_choice("head_start", self.head_start, ("auto", "logistic", "random"))
        check_number(
            "label_smoothing",
            self.label_smoothing,
            minimum=0,
            maximum=1,
            include_maximum=False,
        )

    def _check_weights(self, windows, y, sample_weight):
        """Return the weights of the windows, and those times the class weights."""
        return check_weights(windows, y, sample_weight, self.class_weight)
