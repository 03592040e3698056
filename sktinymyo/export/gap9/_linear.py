"""A linear layer as the planner sees it: what a tile and a slab of it hold."""

from collections.abc import Callable
from dataclasses import dataclass

from ._memory import Piece
from ._tiles import largest, lay_out, linear_tiles, pieces_of

__all__ = ["GELU_BYTES", "LinearLayer"]

GELU_BYTES = 256


@dataclass(frozen=True)
class LinearLayer:
    """Sizes of a linear layer.

    Parameters
    ----------
    layer : str
        Name of its constants in the program.
    n_in, n_out : int
        Input and output channels.
    token_start, token_count : int
        Tokens that it is applied to.
    in_bytes, out_bytes, bias_bytes : int, default=1, 1, 4
        Bytes of an element.
    first_out : int, default=0
        First row of the constants; the layer may be one head of a larger one.
    table : str or None, default=None
        Constant of 256 bytes that comes with every slab.
    channel_step : int, default=4
        Output channels of a tile are a multiple of it.
    whole_slab : bool, default=False
        Have all output channels in one slab.
    extra : callable or None, default=None
        Tokens and output channels of a tile to what else L1 holds.
    """

    layer: str
    n_in: int
    n_out: int
    token_start: int
    token_count: int
    in_bytes: int = 1
    out_bytes: int = 1
    bias_bytes: int = 4
    first_out: int = 0
    table: str | None = None
    channel_step: int = 4
    whole_slab: bool = False
    extra: Callable | None = None

    @property
    def channel_bytes(self):
        """Bytes of the constants of one output channel, by name."""
        sizes = {"weight": self.n_in, "bias": self.bias_bytes}
        return sizes | {"multiplier": 4, "shift": 4}

    def constants(self, n_out):
        """Return the bytes of everything that a slab of `n_out` channels holds."""
        sizes = {name: n_out * size for name, size in self.channel_bytes.items()}
        return sizes | ({"table": GELU_BYTES} if self.table else {})

    def tile(self, n_rows, n_out):
        """Return the bytes of everything that L1 holds for a tile."""
        return {
            **self.constants(n_out),
            **(self.extra(n_rows, n_out) if self.extra else {}),
            "input": n_rows * self.n_in * self.in_bytes,
            "output": n_rows * n_out * self.out_bytes,
        }

    def tiles(self, l1_bytes, slab_bytes):
        """Choose tokens and channels of a tile, and channels of a slab.

        Parameters
        ----------
        l1_bytes : int
            Size of L1.
        slab_bytes : int
            Most bytes of a slab, if it holds more than the smallest tile.

        Returns
        -------
        row_tile, out_tile, slab : int
            `slab` is a multiple of `out_tile`.
        """
        most = self.n_out
        if not self.whole_slab:
            step = self.channel_step
            most = largest(
                most, lambda n: lay_out(self.constants(n))[1] <= slab_bytes, step
            )
            most = max(most, min(step, self.n_out))
        row_tile, out_tile = linear_tiles(
            self.layer,
            self.token_count,
            self.n_out,
            self.tile,
            l1_bytes,
            most_out=most,
            step=self.channel_step,
        )
        n_tiles = most // out_tile if most < self.n_out else -(-self.n_out // out_tile)
        return row_tile, out_tile, n_tiles * out_tile

    def slabs(self, slab, weights):
        """List the pieces of every slab.

        Parameters
        ----------
        slab : int
            Output channels of a slab.
        weights : dict of str to (int, int)
            Places of the constants in ``weights.bin``.

        Returns
        -------
        slabs : list of list of Piece
        """
        places, _ = lay_out(self.constants(slab))
        slabs = []
        for start, count in pieces_of(self.n_out, slab):
            pieces = []
            for name, size in self.channel_bytes.items():
                array = f"{self.layer}.{name}"
                source = weights[array][0] + (self.first_out + start) * size
                pieces.append(Piece(array, source, count * size, places[name][0]))
            if self.table:
                source = weights[self.table][0]
                target = places["table"][0]
                pieces.append(Piece(self.table, source, GELU_BYTES, target))
            slabs.append(pieces)
        return slabs

    def fetched(self, slab, out_tile, row_tile):
        """Return the bytes of inputs and constants that go from L2 to L1."""
        n_tiles = sum(
            len(pieces_of(count, out_tile)) for _, count in pieces_of(self.n_out, slab)
        )
        inputs = self.input_bytes(row_tile) * n_tiles
        return inputs + self.n_out * sum(self.channel_bytes.values())

    def input_bytes(self, row_tile):
        """Return the bytes of inputs that one pass over all tokens brings to L1."""
        return self.token_count * self.n_in * self.in_bytes

    @property
    def stored(self):
        """Bytes of the results, which go from L1 to L2."""
        return self.token_count * self.n_out * self.out_bytes
