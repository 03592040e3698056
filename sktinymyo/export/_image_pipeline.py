"""A fitted pipeline around an AllConvNetClassifier, in parts that a device can run."""

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from ..weights import WeightsCard
from ._integer.program import Preprocess

__all__ = ["ExportedImages", "assemble_images", "check_images"]

_CARD = WeightsCard(
    name="All-ConvNet",
    source="random",
    description="Trained from random weights on windows of the user.",
)


@dataclass(frozen=True)
class ExportedImages:
    """The parts of a fitted pipeline for images of an electrode grid.

    A window is mapped and filtered (`preprocess`) and scaled as
    ``(x - center) / scale``; each of its last `n_voting` samples is laid out on the
    grid and classified, and they vote.

    Parameters
    ----------
    network : AllConvNet
        In evaluation mode, its BatchNorms folded into the convolutions.
    cells : ndarray of int, shape (n_rows, n_columns)
        Channel of every cell, -1 for none.
    n_times, n_voting : int
        Samples of a window, and how many vote.
    given_shape : tuple of (int, int)
        Shape of what a user passes: channels and samples, or rows and columns.
    preprocess : Preprocess
        Map of the channels and filter.
    center, scale : ndarray of float64, shape (n_channels,)
        Scaling of the channels after the preprocessing.
    classes : ndarray of shape (n_classes,)
        Labels.
    steps : list of str
        What the pipeline consisted of, for reports.
    """

    network: object
    cells: np.ndarray
    n_times: int
    n_voting: int
    given_shape: tuple
    preprocess: Preprocess
    center: np.ndarray
    scale: np.ndarray
    classes: np.ndarray
    steps: list = field(default_factory=list)

    kind: ClassVar[str] = "images"
    probabilities: ClassVar[str] = "vote"
    card: ClassVar[WeightsCard] = _CARD

    @property
    def n_channels(self):
        """Channels that the network sees."""
        return self.preprocess.n_channels

    @property
    def is_scaled(self):
        """Whether something of `fit` scales the windows."""
        return bool((self.scale != 1).any())

    @property
    def head_weight(self):
        """Map from the means of the last maps to the logits, (n_classes, n_pooled)."""
        weight = self.network.classes.weight.detach().cpu().numpy()
        return weight[:, :, 0, 0].astype(np.float64)

    @property
    def head_bias(self):
        """Its offsets, (n_classes,)."""
        return self.network.classes.bias.detach().cpu().numpy().astype(np.float64)


def check_images(name, step, before, after, problems):
    """Add what keeps an AllConvNetClassifier from the device to the problems."""
    kind = type(step).__name__
    problems.extend(
        f"{other!r} ({type(later).__name__}): no integer form behind {kind}; classify "
        "with its own outputs"
        for other, later in after
    )
    if isinstance(step.grid, str):
        problems.extend(
            f"{other!r} ({type(earlier).__name__}): a step for windows before images; "
            f"fit {kind} with the grid of its channels in place of grid='image'"
            for other, earlier in before
        )


def assemble_images(steps, chain, step):
    """Put the parts together.

    Parameters
    ----------
    steps : list of (str, estimator)
        All steps, for reports.
    chain : object
        Steps before the network, as ``_pipeline.py`` reads them.
    step : AllConvNetClassifier
        Fitted.

    Returns
    -------
    model : ExportedImages
    """
    given_shape = step.n_channels_in_, step.n_times_in_
    n_channels, n_times = given_shape
    if isinstance(step.grid, str):
        n_channels, n_times = n_channels * n_times, 1
    chain.begin(n_channels)
    if step.scale_mean_ is not None:
        chain.affine(step.scale_mean_, step.scale_std_)
    return ExportedImages(
        network=step.module_.fold().cpu(),
        cells=step.cells_,
        n_times=n_times,
        n_voting=n_times if step.vote == "window" else int(step.vote),
        given_shape=given_shape,
        preprocess=chain.preprocess(None),
        center=np.asarray(chain.center, dtype=np.float64),
        scale=np.asarray(chain.scale, dtype=np.float64),
        classes=np.asarray(step.classes_),
        steps=[f"{name}: {type(one).__name__}" for name, one in steps],
    )
