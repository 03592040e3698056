"""Sizes of a network of convolutions for images of an electrode grid."""

from dataclasses import dataclass

from .convolution import Convolution

__all__ = ["ConvolutionSize", "ImageShape"]

# Scores have units of 2**-30: with more votes their sums would leave 64 bits.
_MOST_VOTES = 50_000
_MOST_CELLS = 32_767


@dataclass(frozen=True)
class ConvolutionSize:
    """A convolution of the stack, followed by a ReLU.

    Parameters
    ----------
    n_out : int
        Filters.
    rows, columns : int
        Odd lengths of the kernel.
    row_stride, column_stride : int, default=1
        Steps between the cells that it looks at.
    """

    n_out: int
    rows: int
    columns: int
    row_stride: int = 1
    column_stride: int = 1

    def __post_init__(self):
        """Refuse what is no convolution."""
        for name, value in vars(self).items():
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{name}={value!r} of a convolution is not accepted; it must be a "
                    "whole number >= 1."
                )
        if self.rows % 2 == 0 or self.columns % 2 == 0:
            raise ValueError(
                f"a kernel of {self.rows} x {self.columns} has no centre; both "
                "lengths must be odd."
            )


@dataclass(frozen=True)
class ImageShape:
    """Sizes of a program that classifies the samples of a grid, and has them vote.

    Parameters
    ----------
    n_channels : int
        Channels of the network, after a change of channels by the preprocessing.
    n_times : int
        Samples of a window; each is an image.
    n_voting : int
        How many of them vote: the last ones. The others are not looked at.
    rows, columns : int
        Size of the grid.
    n_classes : int
        Rows of the head.
    layers : tuple of ConvolutionSize
        Convolutions from the image to the maps whose means the head sees.

    Examples
    --------
    >>> from sktinymyo.export._integer.image_program import ConvolutionSize, ImageShape
    >>> layers = (ConvolutionSize(8, 3, 3), ConvolutionSize(16, 3, 3, 2, 2))
    >>> shape = ImageShape(16, 40, 40, 4, 4, 3, layers)
    >>> shape.convolutions[1].grid_out, shape.n_pooled
    ((2, 2), 16)
    """

    n_channels: int
    n_times: int
    n_voting: int
    rows: int
    columns: int
    n_classes: int
    layers: tuple

    def __post_init__(self):
        """Refuse sizes that contradict one another."""
        if not 1 <= self.n_voting <= min(self.n_times, _MOST_VOTES):
            raise ValueError(
                f"n_voting={self.n_voting} is not accepted; it must be from 1 to "
                f"n_times={self.n_times}, and at most {_MOST_VOTES}."
            )
        if not 1 <= self.n_channels <= self.n_cells <= _MOST_CELLS:
            raise ValueError(
                f"n_channels={self.n_channels} on a grid of {self.rows} x "
                f"{self.columns} cells: every channel needs a cell of its own, and "
                f"there may be at most {_MOST_CELLS} cells."
            )
        if not self.layers:
            raise ValueError("layers is empty; a network has at least a convolution.")

    @property
    def n_cells(self):
        """Cells of the grid."""
        return self.rows * self.columns

    @property
    def n_rows(self):
        """Rows of its largest matrix of activations, for a window."""
        return self.n_voting * self.n_cells

    @property
    def n_pooled(self):
        """Values that the head sees."""
        return self.layers[-1].n_out

    @property
    def pooled_layer(self):
        """Layer whose mean the head sees."""
        return f"layers.{len(self.layers) - 1}"

    @property
    def n_runs(self):
        """Runs of the steps for one window."""
        return self.n_voting

    @property
    def convolutions(self):
        """The layers as Convolution, with the sizes of their maps."""
        found, n_in, grid = [], 1, (self.rows, self.columns)
        for number, size in enumerate(self.layers):
            stride = size.row_stride, size.column_stride
            reduced = tuple(-(-n // step) for n, step in zip(grid, stride, strict=True))
            found.append(
                Convolution(
                    f"layers.{number}",
                    n_in,
                    size.n_out,
                    (size.rows, size.columns),
                    stride,
                    grid,
                    reduced,
                )
            )
            n_in, grid = size.n_out, reduced
        return found

    @property
    def words(self):
        """The network in a few words."""
        grid = f"{self.rows} x {self.columns}"
        return f"{len(self.layers)} convolutions on {grid} cells"

    def expected_arrays(self):
        """List type and shape of every constant, in order of use."""
        n_channels, n_classes = self.n_channels, self.n_classes
        arrays = {
            "input.scale": ("float32", (n_channels,)),
            "input.offset": ("float32", (n_channels,)),
            "input.zero": ("int32", ()),
            "cells": ("int16", (self.rows, self.columns)),
            "exp_table": ("uint16", (1024,)),
        }
        for layer in self.convolutions:
            arrays[f"{layer.layer}.weight"] = ("int8", (layer.n_out, layer.depth))
            for name in ("bias", "multiplier", "shift"):
                arrays[f"{layer.layer}.{name}"] = ("int32", (layer.n_out,))
            arrays[f"{layer.layer}.zero"] = ("int32", ())
        arrays["pool.multiplier"] = arrays["pool.shift"] = ("int32", ())
        arrays["head.weight"] = ("int8", (n_classes, self.n_pooled))
        arrays["head.bias"] = ("int64", (n_classes,))
        arrays["head.multiplier"] = arrays["head.shift"] = ("int32", (n_classes,))
        return arrays

    def trace_names(self):
        """List the layers of a trace, in order."""
        layers = [layer.layer for layer in self.convolutions]
        return ["input", *layers, "pool", "head", "vote"]
