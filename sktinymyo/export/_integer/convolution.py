"""Convolutions as products of matrices: which cells each output looks at."""

from dataclasses import dataclass

import numpy as np

__all__ = ["Convolution", "gather", "neighbours"]


@dataclass(frozen=True)
class Convolution:
    """Sizes of a convolution that is padded so that only its strides reduce.

    Cells of a map are counted row by row; a map is stored (cells, channels).

    Parameters
    ----------
    layer : str
        Name of its constants in the program.
    n_in, n_out : int
        Channels of the maps.
    kernel, stride : tuple of (int, int)
        Rows and columns.
    grid_in, grid_out : tuple of (int, int)
        Rows and columns of the maps.
    """

    layer: str
    n_in: int
    n_out: int
    kernel: tuple
    stride: tuple
    grid_in: tuple
    grid_out: tuple

    @property
    def padding(self):
        """Rows and columns of padding at every side."""
        return tuple(length // 2 for length in self.kernel)

    @property
    def cells_in(self):
        """Cells of the input."""
        return self.grid_in[0] * self.grid_in[1]

    @property
    def cells_out(self):
        """Cells of the output."""
        return self.grid_out[0] * self.grid_out[1]

    @property
    def depth(self):
        """Products that an output adds up: (kernel rows, kernel columns, channels)."""
        return self.kernel[0] * self.kernel[1] * self.n_in


def neighbours(convolution):
    """Return the input cells that each output cell looks at.

    Parameters
    ----------
    convolution : Convolution

    Returns
    -------
    cells : ndarray of int, shape (cells_out, kernel rows * kernel columns)
        In the order of the kernel, row by row; `cells_in` stands for padding.

    Examples
    --------
    >>> from sktinymyo.export._integer.convolution import Convolution, neighbours
    >>> neighbours(Convolution("row", 1, 1, (1, 3), (1, 2), (1, 4), (1, 2)))
    array([[4, 0, 1],
           [1, 2, 3]])
    """
    ways = []
    for axis in range(2):
        start = np.arange(convolution.grid_out[axis]) * convolution.stride[axis]
        offsets = np.arange(convolution.kernel[axis]) - convolution.padding[axis]
        ways.append(start[:, np.newaxis] + offsets)
    rows = ways[0][:, np.newaxis, :, np.newaxis]
    columns = ways[1][np.newaxis, :, np.newaxis, :]
    n_rows, n_columns = convolution.grid_in
    inside = (rows >= 0) & (rows < n_rows) & (columns >= 0) & (columns < n_columns)
    cells = np.where(inside, rows * n_columns + columns, convolution.cells_in)
    return cells.reshape(convolution.cells_out, -1)


def gather(maps, convolution, padding):
    """Lay out what each output cell looks at.

    Parameters
    ----------
    maps : ndarray of shape (n_images, cells_in, n_in)
        Inputs.
    convolution : Convolution
    padding : int or float
        Value of the cells beyond the border.

    Returns
    -------
    rows : ndarray of shape (n_images, cells_out, depth)
    """
    border = np.full((len(maps), 1, maps.shape[2]), padding, dtype=maps.dtype)
    extended = np.concatenate([maps, border], axis=1)
    rows = extended[:, neighbours(convolution)]
    return rows.reshape(len(maps), convolution.cells_out, convolution.depth)
