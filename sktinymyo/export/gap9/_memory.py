"""The parts of a memory plan: buffers, steps, transfers, and the plan that holds them.

How a program runs with a plan
------------------------------
Three levels of memory: L3 holds ``weights.bin`` and is only read; L2 is one arena with
the activations and the constants that stay; L1 is one arena that every step lays out
anew. All offsets are multiples of 16 bytes.

* Once, before the first window: every array of :attr:`MemoryPlan.resident` is copied
  from L3 to its buffer in L2.
* For every window (of images: for every voting image) the steps run in the order of
  their index. Before the first step transfer 0 is started; whoever starts to use
  transfer i first waits for it, then starts transfer i + 1 (into the other slab
  buffer), then computes. Transfer i always goes to the buffer ``slab{i % 2}``.
* Every matrix of activations is stored row by row, a row being a token, but for the
  values of a head: these are stored transposed, a row being one of the head's columns
  over all tokens, so that the sum over the keys reads neighbouring bytes.

A linear step (patch, attention_inputs, projection, hidden, output, head) is::

    for slab in range(n_transfers):               # slab output channels each, L3 -> L2
        for out in range(0, slab rows, out_tile):     # weights of out_tile to L1, once
            for row in range(0, token_count, row_tile):   # tokens to L1, result to L2

Ends are clipped: the last slab, the last tile of channels and the last tile of tokens
may be shorter. In a slab the rows of weights start at ``slab_weight``, the constants of
the output channels at ``slab_bias``, ``slab_multiplier`` and ``slab_shift`` (and the
table of GELU at ``slab_table``), all in bytes from the start of the slab buffer and the
same for every slab of the step. A step whose parameters have ``stays`` has no slabs:
its constants are in buffers of their names in L2, for good.

A convolution is a linear step whose rows are the cells of its output. L1 holds the rows
of the map that a tile needs ("map"), and what every cell of the tile looks at, laid out
from there ("input").
"""

from dataclasses import asdict, dataclass, field

from ...exceptions import PlanError
from .._integer.shapes import shape_from_dict

__all__ = ["Buffer", "MemoryPlan", "Piece", "PlanError", "Step", "Transfer"]


@dataclass(frozen=True)
class Buffer:
    """A place in the L2 arena.

    Parameters
    ----------
    name : str
        Unique name.
    level : {"L2"}
        Level of memory.
    offset, size : int
        Place in the arena, in bytes; the offset is a multiple of 16.
    first_step, last_step : int
        Indices of the first and the last step that need the buffer.
    """

    name: str
    level: str
    offset: int
    size: int
    first_step: int
    last_step: int

    def alive(self, step):
        """Say whether the buffer is needed in the step of this index."""
        return self.first_step <= step <= self.last_step


@dataclass(frozen=True)
class Piece:
    """A run of bytes of a transfer.

    Parameters
    ----------
    array : str
        Constant of the program from which it is.
    source : int
        Offset in ``weights.bin``, in bytes.
    size : int
        Bytes.
    target : int
        Offset in the slab buffer, in bytes.
    """

    array: str
    source: int
    size: int
    target: int


@dataclass(frozen=True)
class Transfer:
    """Constants that go from L3 into a slab buffer together.

    Parameters
    ----------
    index : int
        Place in the order of all transfers; it goes to ``slab{index % 2}``.
    step : int
        Index of the step that uses it.
    pieces : list of Piece
        What is copied.
    """

    index: int
    step: int
    pieces: list

    @property
    def size(self):
        """Bytes that are moved."""
        return sum(piece.size for piece in self.pieces)


@dataclass(frozen=True)
class Step:
    """A part of the network that runs with one layout of L1.

    Parameters
    ----------
    index : int
        Place in the order of all steps.
    kind : str
        "patch", "layer_norm", "attention_inputs", "attention", "projection",
        "hidden", "output", "convolution", "pool" or "head".
    layer : str
        Name of the layer in a trace, such as "blocks.0.query".
    parameters : dict of str to int
        Sizes, tiles and places. All linear steps have token_start, token_count, n_in,
        n_out, row_tile, out_tile, slab, first_transfer and n_transfers; besides
        slab_weight, slab_bias, slab_multiplier and slab_shift, or stays.
    buffers : dict of str to str
        Role ("input", "output", "skip", "query", ...) to the name of the buffer.
    l1 : dict of str to (int, int)
        Offset and size, in bytes, of everything that the step keeps in L1. Only "key"
        and "value" of an attention that streams them share a place.
    moved : dict of str to int
        Bytes between the levels: "L3-L2", "L2-L1" and "L1-L2".
    """

    index: int
    kind: str
    layer: str
    parameters: dict
    buffers: dict
    l1: dict
    moved: dict = field(default_factory=dict)

    @property
    def l1_bytes(self):
        """Highest byte of L1 in use."""
        return max(offset + size for offset, size in self.l1.values())


@dataclass(frozen=True)
class MemoryPlan:
    """Where everything lies, and when.

    Parameters
    ----------
    shape : ProgramShape or ImageShape
        Sizes of the network.
    l1_bytes, l2_bytes : int
        Memory that the program may take: the arenas, and in L2 its tables too.
    buffers : list of Buffer
        Places in L2.
    steps : list of Step
        The network in order.
    transfers : list of Transfer
        Slabs from L3 to L2, in order of use.
    weights : dict of str to (int, int)
        Offset and size, in bytes, of every constant in ``weights.bin``, in the order
        of :func:`expected_arrays`; offsets are multiples of 16.
    resident : dict of str to str
        Buffers in L2 that hold a constant for good, and the constant.
    lower_bound : int
        Largest sum of the sizes of buffers that are needed in one step: no placement
        of these buffers can take less of L2.
    """

    shape: object
    l1_bytes: int
    l2_bytes: int
    buffers: list
    steps: list
    transfers: list
    weights: dict
    resident: dict
    lower_bound: int

    @property
    def peak(self):
        """Bytes in use at most, by level: what the arenas must hold."""
        offset, size = list(self.weights.values())[-1]
        return {
            "L1": max(step.l1_bytes for step in self.steps),
            "L2": max(self.level(step.index) for step in self.steps),
            "L3": offset + size,
        }

    @property
    def gap(self):
        """Bytes by which the peak of L2 exceeds its lower bound."""
        return self.peak["L2"] - self.lower_bound

    def alive(self, step):
        """List the buffers that the step of this index needs in place."""
        return [buffer for buffer in self.buffers if buffer.alive(step)]

    def level(self, step):
        """Return the highest byte of L2 in use in the step of this index."""
        return max(buffer.offset + buffer.size for buffer in self.alive(step))

    def buffer(self, name):
        """Return the buffer of this name."""
        for buffer in self.buffers:
            if buffer.name == name:
                return buffer
        raise KeyError(name)

    def streamed_layers(self):
        """List the layers whose constants come from L3 in every run."""
        return list(dict.fromkeys(self.steps[t.step].layer for t in self.transfers))

    def moved(self):
        """Return the bytes moved between levels for one window, by all its runs."""
        names = ("L3-L2", "L2-L1", "L1-L2")
        once = {name: sum(step.moved[name] for step in self.steps) for name in names}
        return {name: size * self.shape.n_runs for name, size in once.items()}

    def to_dict(self):
        """Return the plan as plain lists, dicts and numbers, for a JSON file."""
        return {
            "shape": asdict(self.shape),
            "arena_bytes": {"L1": self.l1_bytes, "L2": self.l2_bytes},
            "peak_bytes": self.peak,
            "lower_bound_bytes": self.lower_bound,
            "gap_bytes": self.gap,
            "moved_bytes_per_window": self.moved(),
            "buffers": [asdict(buffer) for buffer in self.buffers],
            "resident": dict(self.resident),
            "weights": {name: list(place) for name, place in self.weights.items()},
            "steps": [asdict(step) for step in self.steps],
            "transfers": [asdict(transfer) for transfer in self.transfers],
        }

    @classmethod
    def from_dict(cls, fields):
        """Make a plan of what :meth:`to_dict` returned."""
        transfers = [
            Transfer(t["index"], t["step"], [Piece(**piece) for piece in t["pieces"]])
            for t in fields["transfers"]
        ]
        steps = [
            Step(**step | {"l1": {k: tuple(place) for k, place in step["l1"].items()}})
            for step in fields["steps"]
        ]
        return cls(
            shape=shape_from_dict(fields["shape"]),
            l1_bytes=fields["arena_bytes"]["L1"],
            l2_bytes=fields["arena_bytes"]["L2"],
            buffers=[Buffer(**buffer) for buffer in fields["buffers"]],
            steps=steps,
            transfers=transfers,
            weights={k: tuple(place) for k, place in fields["weights"].items()},
            resident=dict(fields["resident"]),
            lower_bound=fields["lower_bound_bytes"],
        )
