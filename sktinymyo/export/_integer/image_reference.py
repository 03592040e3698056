"""The integer network of images in numpy: the specification of the C program.

Conventions are those of ``reference.py``. Every voting sample of a window is an image;
maps are stored (cells, channels), cells row by row. Steps, named as in a trace:

input
    int8 samples as in ``reference.py``, laid out on the grid by ``cells``; a cell
    without an electrode holds the zero point of the input, which stands for 0.0.
layers.k
    Convolution as a linear map of what each output cell looks at, in the order (kernel
    row, kernel column, channel); cells beyond the border hold the zero point of the
    input of the layer: ``clamp8(rq(acc[o], m[o], s[o]) + zero)`` with the zero point of
    the output, whose lowest value -128 is the 0 of the ReLU.
pool
    ``clamp16(rq(sum (y - zero of the last layer), m, s))``, the sum over all cells.
head
    As in ``reference.py``: the 1 x 1 convolution to the classes, behind the mean.
vote
    As in ``votes.py``: the scores of the window.
"""

import numpy as np

from .arithmetic import clamp
from .convolution import gather
from .linear import LinearRun
from .votes import count_votes

__all__ = ["ImageRun"]

# Images computed at a time: what their cells look at stays in the caches.
_IMAGES_PER_CHUNK = 8


class ImageRun(LinearRun):
    """One pass of the network over a few windows."""

    def network(self, windows):
        """Return the scores of int8 windows (B, C, T)."""
        shape = self.shape
        images = self.images(windows)
        n_images = len(windows) * shape.n_voting
        flat = images.reshape(n_images, shape.n_cells, 1)
        logits = np.empty((n_images, shape.n_classes), dtype=np.int32)
        parts = {name: [] for name in shape.trace_names()[1:-1]}
        for start in range(0, n_images, _IMAGES_PER_CHUNK):
            chunk = slice(start, start + _IMAGES_PER_CHUNK)
            layers = self.logits_of(flat[chunk])
            logits[chunk] = layers["head"]
            if self.kept is not None:
                for name, values in layers.items():
                    parts[name].append(values)
        if self.kept is not None:
            for name, values in parts.items():
                values = np.concatenate(values)
                self.keep(name, self.by_window(values, len(windows)))
        votes = self.by_window(logits, len(windows))
        return self.keep("vote", count_votes(votes, self.arrays["exp_table"]))

    def by_window(self, values, n_windows):
        """Reshape (n_images, ...) to (n_windows, n_voting, ...)."""
        return values.reshape(n_windows, self.shape.n_voting, *values.shape[1:])

    def images(self, windows):
        """Return the images of the voting samples, (B, n_voting, cells)."""
        shape = self.shape
        voting = windows[:, :, shape.n_times - shape.n_voting :].swapaxes(1, 2)
        missing = self.arrays["input.zero"].astype(np.int8)
        border = np.full((*voting.shape[:2], 1), missing)
        # The last column is what the number -1 of a missing electrode finds.
        values = np.concatenate([voting, border], axis=2)
        return self.keep("input", values[:, :, self.arrays["cells"].reshape(-1)])

    def logits_of(self, maps):
        """Return the results of all layers for int8 images (F, cells, 1)."""
        zero, layers = self.arrays["input.zero"], {}
        for layer in self.shape.convolutions:
            rows = gather(maps, layer, zero.astype(np.int8))
            zero = self.arrays[f"{layer.layer}.zero"]
            maps = clamp(self.linear(layer.layer, rows) + zero, 8)
            layers[layer.layer] = maps
        total = (maps.astype(np.int64) - zero).sum(axis=1)
        layers["pool"], layers["head"] = self.head(total)
        return layers
