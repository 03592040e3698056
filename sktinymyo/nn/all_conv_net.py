"""All-ConvNet: a network of convolutions alone for images of an electrode grid.

One sample in time of a grid of electrodes is an image. Letters in shape comments: B
images, R rows, C columns, W the width of the network.
"""

import copy
from dataclasses import asdict, dataclass, fields
from operator import index

import torch
from torch import nn

from ._dropout import Dropout
from ._layers import skip_init

__all__ = ["AllConvNet", "AllConvNetConfig"]

# Shorter axes would be left with one cell, which says nothing about place.
_LEAST_TO_REDUCE = 4


@dataclass(frozen=True)
class AllConvNetConfig:
    """Shape and regularisation of an All-ConvNet.

    The defaults are a grid of 16 x 8 electrodes and 8 classes.

    Parameters
    ----------
    rows, columns : int, default=16, 8
        Size of the grid.
    n_classes : int, default=8
        Number of outputs.
    width : int, default=32
        Filters of the first two convolutions; later ones have two and four times as
        many. The default makes 452,264 parameters on 16 x 8, within the number
        published.
    dropout : float, default=0.2
        Share of values set to zero behind each group of convolutions in training; as
        usual for networks of convolutions alone [1]_.

    Raises
    ------
    ValueError
        If a field has a value that no network can be made of; the message names it.

    References
    ----------
    .. [1] J. T. Springenberg, A. Dosovitskiy, T. Brox, M. Riedmiller, "Striving for
       Simplicity: The All Convolutional Net", ICLR workshop 2015.

    Examples
    --------
    >>> from sktinymyo.nn import AllConvNetConfig
    >>> AllConvNetConfig(rows=24, columns=7, n_classes=27).width
    32
    """

    rows: int = 16
    columns: int = 8
    n_classes: int = 8
    width: int = 32
    dropout: float = 0.2

    def __post_init__(self):
        """Refuse values of which no network can be made."""
        for name in ("rows", "columns", "n_classes", "width"):
            self._require(name, lambda value: index(value) >= 1)
        self._require("dropout", lambda value: 0 <= value < 1, ">= 0 and < 1")

    def _require(self, name, accepted, words="a whole number >= 1"):
        value = getattr(self, name)
        try:
            fine = not isinstance(value, bool) and bool(accepted(value))
        except (TypeError, ValueError, OverflowError):
            fine = False
        if not fine:
            raise ValueError(f"{name}={value!r} is not accepted; it must be {words}.")

    def to_dict(self):
        """Return the fields as a dictionary of plain numbers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Make a configuration from a dictionary; unknown fields are refused."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(
                f"unknown fields {unknown} of AllConvNetConfig; pass only "
                f"{sorted(known)}."
            )
        return cls(**values)


class _BatchNorm(nn.BatchNorm2d):
    """Batch normalisation that survives a batch of a single value.

    The last batch of a pass may hold one image, whose maps may be one cell large: there
    is no spread to learn from, so that the running statistics serve.
    """

    def forward(self, x):
        """Normalise the maps x (B, n, R, C)."""
        if self.training and x.numel() == x.shape[1]:
            return nn.functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                False,
                0.0,
                self.eps,
            )
        return super().forward(x)


class _Convolution(nn.Sequential):
    """A convolution without bias, BatchNorm and ReLU; keeps the size of its maps."""

    def __init__(self, n_in, n_out, kernel, stride=(1, 1)):
        padding = tuple(length // 2 for length in kernel)
        super().__init__(
            skip_init(
                nn.Conv2d,
                n_in,
                n_out,
                kernel,
                stride=stride,
                padding=padding,
                bias=False,
            ),
            _BatchNorm(n_out, dtype=torch.float32),
            nn.ReLU(),
        )


class AllConvNet(nn.Module):
    """Classify images of an electrode grid with convolutions alone.

    The layers on 16 x 8 with 8 classes; every convolution but the last is followed by
    BatchNorm (counted with it) and ReLU:

    ===== ============================ ====== ============= ==============
    layer convolution                  stride output        parameters
    ===== ============================ ====== ============= ==============
    0     3 x 3, 1 to 32               1      32 x 16 x 8   352
    1     3 x 3, 32 to 32              1      32 x 16 x 8   9,280
    2     3 x 3, 32 to 64              2      64 x 8 x 4    18,560
    3     3 x 3, 64 to 64              1      64 x 8 x 4    36,992
    4     3 x 3, 64 to 128             2      128 x 4 x 2   73,984
    5     3 x 3, 128 to 128            1      128 x 4 x 2   147,712
    6     3 x 3, 128 to 128            1      128 x 4 x 2   147,712
    7     1 x 1, 128 to 128            1      128 x 4 x 2   16,640
    8     1 x 1, 128 to 8, with bias   1      8 x 4 x 2     1,032
    mean  over the cells of a map             8             452,264 in all
    ===== ============================ ====== ============= ==============

    Images are padded with zeros so that only strides reduce. Along an axis of fewer
    than four cells the stride is 1, and along an axis of a single cell the kernels have
    the length 1: 16 x 4 becomes 8 x 2 and 4 x 2, 4 x 4 becomes 2 x 2, a row of 8
    electrodes 1 x 4 and 1 x 2. Dropout stands behind layers 1, 3 and 6.

    The published description [1]_ gives the kind of layers (convolutions alone, strided
    instead of pooled, a 1 x 1 convolution and the mean over the cells instead of fully
    connected layers) and the number of parameters, about 460,000. The table above is
    our own: that of the authors was not at hand.

    Parameters
    ----------
    config : AllConvNetConfig
        Shape of the network.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    Attributes
    ----------
    features : torch.nn.Sequential
        Layers 0 to 7 with the dropout: maps to maps.
    classes : torch.nn.Conv2d
        Layer 8.

    Notes
    -----
    The mean over the cells and layer 8 are both linear: taking the mean first gives the
    same outputs.

    References
    ----------
    .. [1] M. R. Islam, D. Massicotte, W.-P. Zhu, "All-ConvNet: a lightweight all CNN
       for neuromuscular activity recognition using instantaneous high-density surface
       EMG images", IEEE I2MTC 2020.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import AllConvNet, AllConvNetConfig
    >>> model = AllConvNet(AllConvNetConfig()).eval()
    >>> model(torch.zeros(5, 16, 8)).shape
    torch.Size([5, 8])
    >>> sum(parameter.numel() for parameter in model.parameters())
    452264
    """

    def __init__(self, config, *, generator=None):
        super().__init__()
        self.config = config
        size = (config.rows, config.columns)
        kernel = tuple(1 if length == 1 else 3 for length in size)
        width = config.width
        layers = [
            _Convolution(1, width, kernel),
            _Convolution(width, width, kernel),
            Dropout(config.dropout),
        ]
        for n_in, n_out, n_more in (
            (width, 2 * width, 1),
            (2 * width, 4 * width, 2),
        ):
            stride = tuple(2 if length >= _LEAST_TO_REDUCE else 1 for length in size)
            size = tuple(-(-n // step) for n, step in zip(size, stride, strict=True))
            layers.append(_Convolution(n_in, n_out, kernel, stride))
            layers.extend(_Convolution(n_out, n_out, kernel) for _ in range(n_more))
            layers.append(Dropout(config.dropout))
        layers.append(_Convolution(4 * width, 4 * width, (1, 1)))
        self.features = nn.Sequential(*layers)
        self.classes = skip_init(nn.Conv2d, 4 * width, config.n_classes, 1)
        self.reset_parameters(generator)

    @property
    def n_features(self):
        """Length of the output of :meth:`encode`."""
        return self.classes.in_channels

    def reset_parameters(self, generator=None):
        """Draw all values anew: He's rule, and small values for the classes.

        Parameters
        ----------
        generator : torch.Generator or None, default=None
            Source of the values; None is torch's global generator.
        """
        for module in self.features.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, nonlinearity="relu", generator=generator
                )
            elif isinstance(module, nn.BatchNorm2d):
                module.reset_parameters()
        nn.init.xavier_uniform_(self.classes.weight, generator=generator)
        nn.init.zeros_(self.classes.bias)

    @property
    def n_products(self):
        """Multiplications of the widest layer for one image."""
        config = self.config
        kernel = self.features[1][0].weight[0, 0].numel()
        return config.rows * config.columns * kernel * config.width**2

    def fold(self):
        """Return a copy for prediction: every BatchNorm folded into its convolution.

        Returns
        -------
        folded : AllConvNet
            In evaluation mode; its convolutions have a bias, and in the place of each
            BatchNorm stands an identity.
        """
        folded = copy.deepcopy(self).eval()
        for layer in folded.features:
            if isinstance(layer, _Convolution):
                layer[0] = nn.utils.fuse_conv_bn_eval(layer[0], layer[1])
                layer[1] = nn.Identity()
        return folded.requires_grad_(False)

    def encode(self, images):
        """Map images (B, R, C) to the means of the last maps (B, 4 * width)."""
        return self.features(images.unsqueeze(1)).mean(dim=(2, 3))

    def forward(self, images):
        """Map images (B, R, C) to the logits of the classes (B, n_classes)."""
        return self.classes(self.features(images.unsqueeze(1))).mean(dim=(2, 3))
