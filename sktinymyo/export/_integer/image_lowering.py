"""From a float network for images to the constants of its program."""

import numpy as np

from .constants import Constants
from .image_program import ConvolutionSize, ImageShape
from .ranges import symmetric_scale
from .votes import SCORE_UNIT, vote_table

__all__ = ["ImageLowering", "image_shape_of"]


def _convolutions(model):
    """List the convolutions of a network whose BatchNorms are folded."""
    from torch import nn

    layers = model.network.features.modules()
    return [layer for layer in layers if isinstance(layer, nn.Conv2d)]


def image_shape_of(model):
    """Return the sizes of the program of a network for images.

    Parameters
    ----------
    model : ExportedImages

    Returns
    -------
    shape : ImageShape
    """
    rows, columns = model.cells.shape
    return ImageShape(
        n_channels=model.n_channels,
        n_times=model.n_times,
        n_voting=model.n_voting,
        rows=rows,
        columns=columns,
        n_classes=len(model.head_weight),
        layers=tuple(
            ConvolutionSize(layer.out_channels, *layer.kernel_size, *layer.stride)
            for layer in _convolutions(model)
        ),
    )


class ImageLowering(Constants):
    """The constants of the program of a network for images.

    Behind a ReLU nothing is negative, so that the zero point is -128 and the clamp to
    int8 is the ReLU.
    """

    def program(self):
        """Return the program."""
        shape = image_shape_of(self.model)
        self.input(self.input_step())
        self.arrays["cells"] = self.model.cells.astype(np.int16)
        self.arrays["exp_table"] = vote_table()
        source = "input"
        for size, layer in zip(
            shape.convolutions, _convolutions(self.model), strict=True
        ):
            step, zero = self.asymmetric(size.layer)
            weight = layer.weight.detach().cpu().numpy().astype(np.float64)
            # To (kernel row, kernel column, channel).
            weight = weight.transpose(0, 2, 3, 1).reshape(size.n_out, size.depth)
            bias = layer.bias.detach().cpu().numpy().astype(np.float64)
            inputs = f"{size.layer}.inputs"
            self.linear(size.layer, weight, bias, source, step, inputs)
            self.arrays[f"{size.layer}.zero"] = np.int32(zero)
            source = size.layer
        self.pool_and_head(source, size.cells_out)
        self.scales["vote"] = SCORE_UNIT
        return self.finish(shape)

    def input_step(self):
        """Return the step of the samples."""
        statistics = self.statistics
        return symmetric_scale(
            statistics.samples["input"].ravel(),
            statistics.largest("input"),
            percentile=self.percentile,
        )
