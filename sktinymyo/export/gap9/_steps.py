"""A network as a list of steps, with the buffers and transfers that they ask for."""

from .._integer.program import expected_arrays
from ._linear import LinearLayer
from ._memory import Step, Transfer
from ._placement import Request
from ._tiles import lay_out, row_tiles

__all__ = ["StepList", "offsets_of_weights"]

_ITEM_BYTES = {
    "int8": 1,
    "uint8": 1,
    "int16": 2,
    "uint16": 2,
    "int32": 4,
    "float32": 4,
    "int64": 8,
    "uint64": 8,
}


def offsets_of_weights(shape):
    """Return offset and size of every constant in ``weights.bin``.

    Parameters
    ----------
    shape : ProgramShape

    Returns
    -------
    weights : dict of str to (int, int)
        In the order of use; offsets are multiples of 16 bytes.
    """
    sizes = {}
    for name, (dtype, dimensions) in expected_arrays(shape).items():
        sizes[name] = _ITEM_BYTES[dtype]
        for length in dimensions:
            sizes[name] *= length
    return lay_out(sizes)[0]


class StepList:
    """Steps, transfers and the lifetimes of buffers; what kinds of networks share.

    Parameters
    ----------
    shape : ProgramShape or ImageShape
        Sizes of the network.
    l1_bytes : int
        Size of L1.
    slab_bytes : int
        Most bytes of a slab, except where the smallest tile is larger.
    """

    # Constants that stay in L2, in buffers of their names.
    resident = ()

    def __init__(self, shape, l1_bytes, slab_bytes):
        self.shape, self.l1_bytes, self.slab_bytes = shape, l1_bytes, slab_bytes
        self.weights = offsets_of_weights(shape)
        self.steps, self.transfers = [], []
        self._sizes, self._lifetimes, self._tiles = {}, {}, {}
        self._largest_slab = 0

    def requests(self):
        """List the buffers with their lifetimes, those that stay first."""
        last = len(self.steps) - 1
        stay = {}
        if self.transfers:
            stay = {"slab0": self._largest_slab, "slab1": self._largest_slab}
        stay |= {name: self.weights[name][1] for name in self.resident}
        return [
            *(Request(name, size, 0, last) for name, size in stay.items()),
            *(
                Request(name, self._sizes[name], *steps)
                for name, steps in self._lifetimes.items()
            ),
        ]

    def cost(self):
        """Return the cycles that moving bytes takes: one a byte from L3, 1/8 in L2."""
        moved = [step.moved for step in self.steps]
        return sum(m["L3-L2"] + (m["L2-L1"] + m["L1-L2"]) / 8 for m in moved)

    def _step(self, kind, layer, parameters, buffers, l1, *, fetched, stored):
        index = len(self.steps)
        for name in buffers.values():
            if name in self._sizes:
                first, _ = self._lifetimes.get(name, (index, index))
                self._lifetimes[name] = (first, index)
        streamed = sum(t.size for t in self.transfers if t.step == index)
        moved = {"L3-L2": streamed, "L2-L1": fetched, "L1-L2": stored}
        self.steps.append(Step(index, kind, layer, parameters, buffers, l1, moved))

    def _transfer(self, pieces):
        index, step = len(self.transfers), len(self.steps)
        self.transfers.append(Transfer(index, step, pieces))
        end = max(piece.target + piece.size for piece in pieces)
        self._largest_slab = max(self._largest_slab, end)

    def _linear(self, kind, linear, buffers, more=None, fetched=0):
        """Add a linear layer; tiles are the same for layers of the same sizes."""
        key = (kind, linear.layer.rpartition(".")[2], linear.token_count)
        stays = f"{linear.layer}.weight" in self.resident
        if key not in self._tiles:
            # What stays comes in no slabs, however large it is.
            most = sum(self.weights[name][1] for name in self.weights)
            self._tiles[key] = linear.tiles(
                self.l1_bytes, most if stays else self.slab_bytes
            )
        row_tile, out_tile, slab = self._tiles[key]
        slabs = [] if stays else linear.slabs(slab, self.weights)
        places = {} if stays else lay_out(linear.constants(slab))[0]
        parameters = {
            "token_start": linear.token_start,
            "token_count": linear.token_count,
            "n_in": linear.n_in,
            "n_out": linear.n_out,
            "row_tile": row_tile,
            "out_tile": out_tile,
            "slab": slab,
            **{f"slab_{name}": offset for name, (offset, _) in places.items()},
            **({"stays": 1} if stays else {}),
            "first_transfer": len(self.transfers),
            "n_transfers": len(slabs),
            **(more(row_tile) if more else {}),
        }
        for pieces in slabs:
            self._transfer(pieces)
        self._step(
            kind,
            linear.layer,
            parameters,
            buffers,
            lay_out(linear.tile(row_tile, out_tile))[0],
            fetched=fetched + linear.fetched(slab, out_tile, row_tile),
            stored=linear.stored,
        )

    def _pool(self, source, n_rows, groups, width):
        """Add the mean over the rows of every group."""
        rows = n_rows // groups

        def sizes(n):
            return {"sums": width * 4, "input": n * width, "output": width * 2}

        row_tile = row_tiles("pool", rows, sizes, self.l1_bytes)
        parameters = {
            "groups": groups,
            "group_rows": rows,
            "width": width,
            "row_tile": row_tile,
        }
        self._step(
            "pool",
            "pool",
            parameters,
            {"input": source, "output": "pooled"},
            lay_out(sizes(row_tile))[0],
            fetched=n_rows * width,
            stored=groups * width * 2,
        )

    def _head(self):
        shape = self.shape
        linear = LinearLayer(
            "head",
            shape.n_pooled,
            shape.n_classes,
            0,
            1,
            in_bytes=2,
            out_bytes=4,
            bias_bytes=8,
            channel_step=1,
        )
        self._linear("head", linear, {"input": "pooled", "output": "logits"})
