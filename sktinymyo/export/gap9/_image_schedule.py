"""A network for images as a list of steps; its weights stay in L2 where they fit."""

from dataclasses import dataclass

from .._integer.convolution import Convolution
from ._linear import LinearLayer
from ._steps import StepList
from ._tiles import pieces_of

__all__ = ["ImageSchedule", "image_schedules"]

_CONSTANTS = ("weight", "bias", "multiplier", "shift")


@dataclass(frozen=True, kw_only=True)
class _ConvolutionLayer(LinearLayer):
    """A convolution as the planner sees it: its rows are laid out in L1.

    Parameters
    ----------
    convolution : Convolution
        Its sizes.
    """

    convolution: Convolution

    @property
    def row_bytes(self):
        """Bytes of a row of the map that it reads."""
        return self.convolution.grid_in[1] * self.convolution.n_in

    def tile(self, n_rows, n_out):
        """Return the bytes of everything that L1 holds for a tile."""
        size = self.convolution
        columns = size.grid_out[1]
        # A tile may begin within a row.
        rows = min(size.grid_out[0], (n_rows - 2) // columns + 2 if n_rows > 1 else 1)
        needed = min(size.grid_in[0], (rows - 1) * size.stride[0] + size.kernel[0])
        return {"map": needed * self.row_bytes} | super().tile(n_rows, n_out)

    def input_bytes(self, row_tile):
        """Return the bytes of inputs that one pass over all cells brings to L1."""
        size = self.convolution
        total, columns, above = 0, size.grid_out[1], size.padding[0]
        for start, count in pieces_of(size.cells_out, row_tile):
            first = start // columns * size.stride[0] - above
            last = (start + count - 1) // columns * size.stride[0] - above
            last = min(last + size.kernel[0], size.grid_in[0])
            total += (last - max(first, 0)) * self.row_bytes
        return total


class ImageSchedule(StepList):
    """Steps, transfers and the lifetimes of buffers of a network for images.

    The steps are those of one image.

    Parameters
    ----------
    shape : ImageShape
        Sizes of the network.
    l1_bytes : int
        Size of L1.
    slab_bytes : int
        Most bytes of a slab, except where the smallest tile is larger.
    streamed : frozenset of str
        Layers whose constants come from L3 for every image; those of the others stay
        in L2.

    Raises
    ------
    PlanError
        If a layer does not fit L1.
    """

    def __init__(self, shape, l1_bytes, slab_bytes, streamed):
        super().__init__(shape, l1_bytes, slab_bytes)
        layers = [*(layer.layer for layer in shape.convolutions), "head"]
        stay = [layer for layer in layers if layer not in streamed]
        constants = [f"{layer}.{name}" for layer in stay for name in _CONSTANTS]
        self.resident = ("exp_table", *constants)
        self._build()

    def _build(self):
        shape = self.shape
        self._sizes = {
            "input": shape.n_cells,
            "pooled": shape.n_pooled * 2,
            "logits": shape.n_classes * 4,
        }
        source = "input"
        for number, size in enumerate(shape.convolutions):
            target = f"maps.{number}"
            self._sizes[target] = size.cells_out * size.n_out
            self._convolution(size, {"input": source, "output": target})
            source = target
        self._pool(source, size.cells_out, 1, size.n_out)
        self._head()

    def _convolution(self, size, buffers):
        layer = _ConvolutionLayer(
            size.layer, size.depth, size.n_out, 0, size.cells_out, convolution=size
        )
        more = {
            "channels": size.n_in,
            "map_rows": size.grid_in[0],
            "map_columns": size.grid_in[1],
            "out_columns": size.grid_out[1],
            "kernel_rows": size.kernel[0],
            "kernel_columns": size.kernel[1],
            "row_stride": size.stride[0],
            "column_stride": size.stride[1],
        }
        self._linear("convolution", layer, buffers, more=lambda rows: more)


def image_schedules(shape, l1_bytes, slabs):
    """List schedules, from all constants in L2 to all of them streamed.

    Parameters
    ----------
    shape : ImageShape
    l1_bytes : int
        Size of L1.
    slabs : sequence of int
        Sizes of slabs to try, in bytes.

    Returns
    -------
    schedules : list of ImageSchedule
        The layers with the most weights are streamed first.
    """
    everything = ImageSchedule(shape, l1_bytes, max(slabs), frozenset())
    sizes = {
        name.removesuffix(".weight"): everything.weights[name][1]
        for name in everything.resident
        if name.endswith(".weight")
    }
    largest = sorted(sizes, key=lambda layer: -sizes[layer])
    return [
        everything,
        *(
            ImageSchedule(shape, l1_bytes, slab, frozenset(largest[:count]))
            for count in range(1, len(largest) + 1)
            for slab in slabs
        ),
    ]
