"""All-ConvNet as a scikit-learn classifier of single samples of electrode grids."""

import copy
import threading
import warnings
from dataclasses import replace

import numpy as np
import torch
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, TransformerMixin
from sklearn.utils import check_random_state, column_or_1d
from sklearn.utils.validation import _check_feature_names_in, check_is_fitted

from ._embedder import embedding_names
from ._frames import FrameRunner, draw_frames, read_images
from ._torch import (
    WindowScaler,
    arrays_of_module,
    limited_threads,
    load_arrays,
    make_generator,
    resolve_device,
    resolve_precision,
)
from ._tuned import hold_back
from ._validation import (
    WINDOW_TYPES,
    as_windows,
    check_choice,
    check_groups,
    check_labels,
    check_number,
    check_weights,
    refuse_missing,
    validate_windows,
)
from .nn import AllConvNet, AllConvNetConfig
from .signal.grid import grid_cells

__all__ = ["AllConvNetClassifier"]

_FRAMES_TO_DRAW = 30_000
_FRAMES_TO_SEE = 60_000
_EPOCHS = (2, 100)
_BATCH = (8, 128)

# An estimator must stay free of locks to be pickled, and is rebuilt at most once.
_REBUILDING = threading.Lock()


class AllConvNetClassifier(ClassifierMixin, TransformerMixin, BaseEstimator):
    """Classify single samples of an electrode grid with convolutions alone.

    Every sample in time of a window is an image of the grid; a network of convolutions
    names its class, and the samples of a window vote [1]_. Trained from random weights.

    Parameters
    ----------
    grid : tuple of 2 int, array-like of shape (n_rows, n_columns), "image" or None, \
            default=None
        Where the channels of a window lie. ``(rows, columns)`` is a grid numbered row
        by row; a table names the channel of every cell, with -1 for cells without an
        electrode. "image" says that X holds images, (n_frames, n_rows, n_columns), one
        row of X each, and no windows. None puts the channels in one row, which fits a
        line of electrodes.
    vote : "window" or int, default="window"
        Which samples of a window vote for its label: all, or the last so many, as a
        controller would decide that waits for no more. 1 is the decision of the last
        sample alone.
    width : int, default=32
        Filters of the first convolutions, see :class:`~sktinymyo.nn.AllConvNetConfig`.
        The default makes 452,264 parameters on 16 x 8 with 8 classes.
    scale : {"channel"} or None, default="channel"
        "channel" brings every electrode to zero mean and unit standard deviation with
        statistics learned in `fit`; None leaves the values alone.
    frames_per_window : int or "auto", default="auto"
        How many samples of every window the training sees, drawn once and spread
        evenly over the window. "auto" draws all, or as many as make about 30,000
        images in all: samples beside one another are nearly the same image.
    max_epochs : int or "auto", default="auto"
        Passes over the drawn images. "auto" shows about 60,000 images in all, within 2
        to 100 passes.
    lr : float, default=2e-3
        Highest rate of AdamW; it rises and falls along a cosine.
    weight_decay : float, default=0.01
        Of AdamW, for the kernels.
    batch_size : int or "auto", default="auto"
        Images of one optimiser step, over which BatchNorm takes its statistics. "auto"
        is an eighth of the drawn images, within 8 and 128.
    label_smoothing : float, default=0.1
        Probability mass spread over the other classes in the loss.
    dropout : float, default=0.2
        Share of values set to zero behind each group of convolutions in training.
    warmup : float, default=0.1
        Share of the steps in which the rate rises.
    validation_fraction : float or None, default=None
        Share of the windows held back for early stopping; whole groups where `fit` is
        given `groups`, else stratified. None trains on all windows. Windows that
        overlap share samples: without `groups` some of those held back have been seen.
    patience : int or None, default=7
        Epochs without a better validation loss before training ends and the best
        weights are restored; without effect if nothing is held back.
    class_weight : dict, "balanced" or None, default=None
        Weights of the classes in the loss, as in scikit-learn.
    device : {"auto", "cpu", "cuda", "mps"} or torch.device, default="auto"
        Where to compute.
    precision : {"auto", "float32", "bf16"}, default="auto"
        Type of the products. "auto" trains in bf16 where the hardware computes with
        it, and predicts in float32.
    n_channels : int or None, default=None
        Channels of flattened windows. None means those of `grid`; without a grid every
        row of X is then one sample, and every column an electrode. With
        ``grid="image"`` the rows of flattened images.
    warm_start : bool, default=False
        Continue from the last `fit`, on other sessions or people, instead of starting
        afresh; `grid`, `width`, `scale` and `dropout` stay. y may then hold a part of
        the classes: see `partial_fit`.
    random_state : int, RandomState instance or None, default=None
        Seed of initial values, drawn samples, order and dropout.
    verbose : int, default=0
        Show a progress bar.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        Labels seen in `fit`.
    cells_ : ndarray of int, shape (n_rows, n_columns)
        Channel of every cell of the grid, -1 for none.
    module_ : AllConvNet
        The network; input are images of the grid, scaled, with zeros in missing cells.
    config_ : AllConvNetConfig
        Its shape.
    history_ : list of dict
        One row an epoch: ``epoch``, ``train_loss``, ``valid_loss`` (if windows were
        held back), ``lr``, ``duration`` in seconds.
    scale_mean_, scale_std_ : ndarray of shape (n_channels,) or None
        Statistics of ``scale="channel"``.
    n_channels_in_, n_times_in_ : int
        Shape of the windows in `fit`; of images, rows and columns.
    n_features_in_ : int
        Their product.
    input_ndim_ : int
        Number of dimensions of X in `fit`, 2 or 3.
    feature_names_in_ : ndarray of str
        Column names, if `fit` saw a data frame.

    See Also
    --------
    sktinymyo.signal.majority_vote : Votes along a recording, without windows.
    GridRepair : Fill in bad electrodes.
    GridMedian : Spatial median.
    EMGFilter : The filters of the field: ``EMGFilter(sfreq, 20, 380, notch=50, \
notch_width=10)``.

    Notes
    -----
    Training reads the samples it needs from the windows as they are: no image is kept.
    Windows that overlap share samples, which then count as often as they occur;
    without overlap nothing is lost here, because a window serves to vote only.

    References
    ----------
    .. [1] M. R. Islam, D. Massicotte, W.-P. Zhu, "All-ConvNet: a lightweight all CNN
       for neuromuscular activity recognition using instantaneous high-density surface
       EMG images", IEEE I2MTC 2020.
    .. [2] W. Geng et al., "Gesture recognition by instantaneous surface EMG images",
       Scientific Reports 6:36571, 2016.

    Examples
    --------
    >>> import numpy as np
    >>> from sktinymyo import AllConvNetClassifier
    >>> rng = np.random.default_rng(0)
    >>> y = np.repeat(["left", "right"], 20)
    >>> X = rng.normal(size=(40, 16, 50))
    >>> X[:20, :8] *= 4  # the upper half of a grid of 4 x 4
    >>> model = AllConvNetClassifier((4, 4), width=4, max_epochs=4, random_state=0)
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> model.predict_frames(X).shape
    (40, 50)
    """

    def __init__(
        self,
        grid=None,
        *,
        vote="window",
        width=32,
        scale="channel",
        frames_per_window="auto",
        max_epochs="auto",
        lr=2e-3,
        weight_decay=0.01,
        batch_size="auto",
        label_smoothing=0.1,
        dropout=0.2,
        warmup=0.1,
        validation_fraction=None,
        patience=7,
        class_weight=None,
        device="auto",
        precision="auto",
        n_channels=None,
        warm_start=False,
        random_state=None,
        verbose=0,
    ):
        self.grid = grid
        self.vote = vote
        self.width = width
        self.scale = scale
        self.frames_per_window = frames_per_window
        self.max_epochs = max_epochs
        self.lr = lr
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.label_smoothing = label_smoothing
        self.dropout = dropout
        self.warmup = warmup
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.class_weight = class_weight
        self.device = device
        self.precision = precision
        self.n_channels = n_channels
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float32"]
        return tags

    def __sklearn_is_fitted__(self):
        return "_runner" in vars(self) or "_stored_arrays" in vars(self)

    def __getstate__(self):
        state = dict(super().__getstate__())
        runner = state.pop("_runner", None)
        if runner is not None:
            state["_stored_arrays"] = arrays_of_module(runner.module)
        return state

    @property
    def module_(self):
        """The fitted network, in evaluation mode."""
        check_is_fitted(self)
        return self._get_runner().module

    # -- fitting ---------------------------------------------------------------

    def fit(self, X, y, sample_weight=None, groups=None):
        """Train the network on the samples of windows.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of any real type and unit.
        y : array-like of shape (n_windows,)
            Labels of any type; each is that of all samples of its window.
        sample_weight : array-like of shape (n_windows,) or None, default=None
            Weights of the windows in the loss and in the scaling; a weight of zero
            leaves the window out.
        groups : array-like of shape (n_windows,) or None, default=None
            Recordings or people, kept together by `validation_fraction`.

        Returns
        -------
        self : AllConvNetClassifier

        Raises
        ------
        ValueError
            If a parameter, X or y is not as documented, or training diverges.
        """
        self._check_parameters()
        continues = self.warm_start and self.__sklearn_is_fitted__()
        windows = self._validate(X, reset=not continues)
        y = check_labels(self, windows, y)
        classes = self.classes_ if continues else np.unique(y)
        _check_known(y, classes)
        weights = check_weights(windows, y, sample_weight, self.class_weight)
        groups = check_groups(windows, groups)
        if len(classes) == 1:
            warnings.warn(
                f"y holds one class only, {classes.tolist()}: every prediction will be "
                "this class. Check how the labels were made.",
                UserWarning,
                stacklevel=2,
            )
        if not continues:
            self._start(windows, classes, weights[0])
        return self._continue(windows, y, weights[1], groups, is_new=not continues)

    def _fit_to_teacher(self, X, y, lesson, sample_weight=None, groups=None):
        """Fit to labels and to a teacher's answers; the labels `y` hold every class.

        All samples of a window take the answer for the window. Labels of windows that
        are not labelled stratify the validation, no more.
        """
        self._check_parameters()
        windows = self._validate(X, reset=True)
        sample_weight, weights = check_weights(
            windows, y, sample_weight, self.class_weight, lesson.labelled
        )
        self._start(windows, np.unique(y), sample_weight)
        return self._continue(windows, y, weights, groups, is_new=True, lesson=lesson)

    def partial_fit(self, X, y, classes=None, sample_weight=None, groups=None):
        """Continue training on new windows, of another session or a new person.

        The first call begins as `fit` does; later calls keep the scaling of the first
        and train on from the present weights for `max_epochs`. Where y then holds a
        part of the classes only, these are told apart from one another and the outputs
        of the others are left out of the loss, which would otherwise teach that they do
        not exist. The features below are shared all the same: pass a lower `lr` then,
        such as 5e-4.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images.
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
        self : AllConvNetClassifier

        Raises
        ------
        ValueError
            If `classes` is missing in the first call or differs later, or y holds
            another label.
        """
        self._check_parameters()
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
        _check_known(y, classes if first else self.classes_)
        weights = check_weights(windows, y, sample_weight, self.class_weight)
        groups = check_groups(windows, groups)
        if first:
            self._start(windows, classes, weights[0])
        return self._continue(windows, y, weights[1], groups, is_new=first)

    def _check_parameters(self):
        self._check_prediction()
        check_number("width", self.width, minimum=1, integer=True)
        check_choice("scale", self.scale, ("channel", None))
        for name in ("frames_per_window", "max_epochs"):
            if getattr(self, name) != "auto":
                check_number(name, getattr(self, name), minimum=1, integer=True)
        check_number("lr", self.lr, minimum=0, include_minimum=False)
        check_number("weight_decay", self.weight_decay, minimum=0)
        for name in ("label_smoothing", "dropout", "warmup"):
            check_number(
                name, getattr(self, name), minimum=0, maximum=1, include_maximum=False
            )
        check_number(
            "validation_fraction",
            self.validation_fraction,
            minimum=0,
            include_minimum=False,
            maximum=1,
            include_maximum=False,
            none_allowed=True,
        )
        check_number(
            "patience", self.patience, minimum=1, integer=True, none_allowed=True
        )
        check_number(
            "n_channels", self.n_channels, minimum=1, integer=True, none_allowed=True
        )
        check_choice("precision", self.precision, ("auto", "float32", "bf16"))
        resolve_device(self.device)
        self._parse_grid()

    def _check_prediction(self):
        """Check what may be changed after `fit`."""
        if self.vote != "window":
            check_number("vote", self.vote, minimum=1, integer=True)
        if self.batch_size != "auto":
            check_number("batch_size", self.batch_size, minimum=1, integer=True)

    def _parse_grid(self):
        """Return the cells of a grid that does not depend on the data, else None."""
        if self.grid is None or (isinstance(self.grid, str) and self.grid == "image"):
            return None
        if isinstance(self.grid, str):
            raise ValueError(
                f"grid={self.grid!r} is not accepted; pass (rows, columns), a table of "
                "channel numbers, 'image' or None."
            )
        return grid_cells(self.grid, self.n_channels)

    def _validate(self, X, *, reset):
        """Return X with three dimensions; the grid is worked out in `fit`."""
        if not reset:
            check_is_fitted(self)
            self._check_prediction()
        X = as_windows(X)
        if X.ndim == 3:
            windows, _ = validate_windows(self, X, reset=reset, dtype=WINDOW_TYPES)
        else:
            windows, _ = validate_windows(
                self,
                X,
                reset=reset,
                n_channels=self._channels_of_flat(X, reset),
                dtype=WINDOW_TYPES,
            )
        if reset:
            self._reset_grid(windows)
        n_voting = 1 if self._holds_images else windows.shape[2]
        if self.vote != "window" and self.vote > n_voting:
            raise ValueError(
                f"vote={self.vote!r} asks for more samples than the {n_voting} of a "
                "window; pass 'window' or at most that number."
            )
        # An image is a window of one sample.
        return windows.reshape(len(windows), -1, 1) if self._holds_images else windows

    def _channels_of_flat(self, X, reset):
        """Return how many channels flattened windows have."""
        if not reset:
            return self.n_channels_in_
        cells = self._parse_grid()
        if cells is not None:
            return int((cells >= 0).sum())
        if self.n_channels is not None or self.grid is not None or X.ndim != 2:
            return self.n_channels
        return max(X.shape[1], 1)

    def _reset_grid(self, windows):
        """Work out the cells for windows of this shape."""
        n_channels = windows.shape[1]
        self._holds_images = isinstance(self.grid, str)
        if self._holds_images:
            self.cells_ = grid_cells((n_channels, windows.shape[2]))
        elif self.grid is None:
            self.cells_ = grid_cells((1, n_channels))
        else:
            self.cells_ = grid_cells(self.grid, n_channels)

    def _start(self, windows, classes, sample_weight):
        """Make a new network, and forget earlier fits."""
        for name in ("_runner", "_stored_arrays"):
            vars(self).pop(name, None)
        rng = check_random_state(self.random_state)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        scaler = WindowScaler(self.scale).fit(windows, sample_weight)
        self._scale, self.scale_mean_, self.scale_std_ = (
            scaler.method,
            scaler.mean,
            scaler.std,
        )
        rows, columns = self.cells_.shape
        self.classes_ = classes
        self.config_ = AllConvNetConfig(
            rows=rows,
            columns=columns,
            n_classes=len(classes),
            width=int(self.width),
            dropout=float(self.dropout),
        )
        self._runner = self._new_runner(self._new_module(make_generator(seed)))
        self.history_ = []

    def _continue(self, windows, y, weights, groups, *, is_new, lesson=None):
        """Train a copy of the present network on windows, then take it over."""
        codes = np.searchsorted(self.classes_, y)
        try:
            with torch.inference_mode(False):
                module, history = self._train(
                    windows, codes, weights, groups, is_new, lesson
                )
        except BaseException:
            if is_new:
                vars(self).pop("_runner", None)
            raise
        self._runner = self._new_runner(module)
        vars(self).pop("_stored_arrays", None)
        offset = len(self.history_)
        for row in history:
            row["epoch"] += offset
        self.history_ = [*self.history_, *history]
        return self

    def _train(self, windows, codes, weights, groups, is_new, lesson):
        """Return a trained copy of the network and the history of its training."""
        from ._training import TrainingData, train

        rng = check_random_state(self.random_state)
        seeds = rng.randint(np.iinfo(np.int32).max, size=3)
        # Another order and other dropout in every later call of partial_fit.
        seeds = (seeds + len(self.history_)) % np.iinfo(np.int32).max
        keep = np.flatnonzero(weights > 0)
        training, validation = hold_back(
            self.validation_fraction, keep, codes, groups, int(seeds[0])
        )
        n_times = windows.shape[2]
        n_frames = self._frames_of_a_window(len(training), n_times)
        draw = np.random.RandomState(seeds[1])
        training = draw_frames(training, n_times, n_frames, draw)
        if validation is not None:
            validation = draw_frames(validation, n_times, n_frames, draw)
        targets = np.repeat(codes, n_times)
        runner = self._get_runner()
        device = resolve_device(self.device)
        module = copy.deepcopy(runner.module).requires_grad_(True).to(device)
        present = np.arange(len(self.classes_)) if is_new else np.unique(codes[keep])
        if len(present) < len(self.classes_):
            targets = np.searchsorted(present, targets).clip(max=len(present) - 1)
        data = TrainingData(
            windows=lambda frames: read_images(
                windows, frames, runner.scaler, self.cells_
            ),
            targets=targets,
            weights=np.repeat((weights / weights.max()).astype(np.float32), n_times),
            training=training,
            validation=validation,
            lesson=None if lesson is None else replace(lesson, repeats=n_times),
            feature_layer=module.classes,
        )
        plan = self._plan(len(training), device, int(seeds[2]))
        chosen = torch.from_numpy(present).to(device)
        hook = module.register_forward_hook(
            lambda module, images, logits: logits[:, chosen]
        )
        try:
            with limited_threads(plan.batch_size * module.n_products, device):
                history = train(module, data, plan)
        finally:
            hook.remove()
        return module.cpu(), history

    def _frames_of_a_window(self, n_windows, n_times):
        if self.frames_per_window == "auto":
            return int(np.clip(_FRAMES_TO_DRAW // n_windows, 1, n_times))
        return min(int(self.frames_per_window), n_times)

    def _plan(self, n_frames, device, seed):
        """Return the recipe for a number of images; see the class for reasons."""
        from ._training import TrainingPlan

        max_epochs, batch_size = self.max_epochs, self.batch_size
        if max_epochs == "auto":
            max_epochs = int(np.clip(_FRAMES_TO_SEE // n_frames, *_EPOCHS))
        if batch_size == "auto":
            batch_size = int(np.clip(n_frames // 8, *_BATCH))
        return TrainingPlan(
            loss="cross-entropy",
            max_epochs=max_epochs,
            batch_size=batch_size,
            # BatchNorm needs the whole batch at once.
            micro_batch_size=batch_size,
            lr=self.lr,
            weight_decay=self.weight_decay,
            layer_decay=1.0,
            warmup=self.warmup,
            label_smoothing=self.label_smoothing,
            patience=self.patience if self.validation_fraction is not None else None,
            augment=None,
            device=device,
            precision=resolve_precision(self.precision, device, training=True),
            seed=seed,
            verbose=self.verbose,
        )

    def _new_module(self, generator):
        return AllConvNet(self.config_, generator=generator)

    def _new_runner(self, module):
        scaler = WindowScaler(self._scale, self.scale_mean_, self.scale_std_)
        return FrameRunner(module, scaler, self.cells_)

    def _get_runner(self):
        """Return the runner; after unpickling it is made from the stored arrays."""
        if "_runner" in vars(self):
            return self._runner
        with _REBUILDING, torch.inference_mode(False):
            if "_runner" not in vars(self):
                module = self._new_module(make_generator(0))
                load_arrays(module, self._stored_arrays)
                self._runner = self._new_runner(module)
                vars(self).pop("_stored_arrays")
            return self._runner

    # -- prediction ------------------------------------------------------------

    def _run(self, windows, method="forward"):
        """Yield slices of the windows and the outputs of their samples."""
        device = resolve_device(self.device)
        auto = isinstance(self.batch_size, str)
        return self._get_runner().run(
            windows,
            device=device,
            precision=resolve_precision(self.precision, device, training=False),
            batch_size=windows.shape[0] * windows.shape[2] if auto else self.batch_size,
            method=method,
        )

    def _voting(self, X):
        """Return the samples that vote, (n_windows, n_channels, n_voting)."""
        windows = self._validate(X, reset=False)
        return windows if self.vote == "window" else windows[:, :, -self.vote :]

    def predict_proba(self, X):
        """Return the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of the shape seen in `fit`.

        Returns
        -------
        probabilities : ndarray of float32, shape (n_windows, n_classes)
            Of one voting sample, those of the network. Of n samples, the shares of the
            votes, where the mean of the network's probabilities counts as one vote
            more: ``(votes + mean) / (n + 1)``. It decides between equal numbers of
            votes and never against a majority. Columns in the order of ``classes_``.
        """
        windows = self._voting(X)
        n_voting = windows.shape[2]
        n_classes = len(self.classes_)
        probabilities = np.empty((len(windows), n_classes), dtype=np.float32)
        for block, logits in self._run(windows):
            means = softmax(logits.astype(np.float64), axis=2).mean(axis=1)
            if n_voting > 1:
                winners = logits.argmax(axis=2)
                votes = (winners[:, :, np.newaxis] == np.arange(n_classes)).sum(axis=1)
                means = (votes + means) / (n_voting + 1)
            probabilities[block] = means
        return probabilities

    def predict_log_proba(self, X):
        """Return the logarithms of the probabilities of the classes.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of the shape seen in `fit`.

        Returns
        -------
        log_probabilities : ndarray of float32, shape (n_windows, n_classes)
            Columns in the order of ``classes_``.
        """
        with np.errstate(divide="ignore"):
            return np.log(self.predict_proba(X))

    def predict(self, X):
        """Return the label with the most votes of the samples of every window.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of the shape seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_windows,)
        """
        winners = self.predict_proba(X).argmax(axis=1)
        return self.classes_[winners]

    def predict_frames(self, X):
        """Return the label of every sample by itself.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of the shape seen in `fit`.

        Returns
        -------
        labels : ndarray of shape (n_windows, n_times)
            For images of shape (n_frames, 1). To vote along a recording, cut it into
            windows without overlap and pass the labels, flattened, to
            :func:`sktinymyo.signal.majority_vote`.
        """
        windows = self._validate(X, reset=False)
        codes = np.empty((len(windows), windows.shape[2]), dtype=np.intp)
        for block, logits in self._run(windows):
            codes[block] = logits.argmax(axis=2)
        return self.classes_[codes]

    def transform(self, X):
        """Return what the last convolution sees, as the mean of the voting samples.

        Parameters
        ----------
        X : array-like of shape (n_windows, n_channels, n_times), \
                (n_windows, n_channels * n_times) or, with grid="image", \
                (n_frames, n_rows, n_columns)
            Windows or images of the shape seen in `fit`.

        Returns
        -------
        features : ndarray of float32, shape (n_windows, 4 * width)
        """
        windows = self._voting(X)
        n_features = self._get_runner().module.n_features
        means = np.empty((len(windows), n_features), dtype=np.float32)
        for block, features in self._run(windows, "encode"):
            means[block] = features.mean(axis=1, dtype=np.float64)
        return means

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
        check_is_fitted(self)
        _check_feature_names_in(self, input_features, generate_names=False)
        return embedding_names("allconvnetclassifier", None, 4 * self.config_.width)


def _check_known(y, classes):
    """Refuse labels that are not among the classes of a model."""
    unknown = np.setdiff1d(y, classes)
    if len(unknown):
        raise ValueError(
            f"y holds labels that are not among the classes: {unknown.tolist()}; "
            f"known are {classes.tolist()}."
        )
