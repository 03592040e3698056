"""An encoder as a list of steps."""

from ._linear import GELU_BYTES, LinearLayer
from ._memory import Piece
from ._steps import StepList
from ._tiles import N_CORES, attention_tiles, lay_out, pieces_of, row_tiles

__all__ = ["Schedule"]

# Small constants that many tiles need: they stay in L2.
_RESIDENT = ("channel_vectors", "rotation", "exp_table")
_PARTS = ("query", "key", "value")


class Schedule(StepList):
    """Steps, transfers and the lifetimes of buffers of a network.

    Parameters
    ----------
    shape : ProgramShape
        Sizes of the network.
    l1_bytes : int
        Size of L1.
    slab_bytes : int
        Most bytes of a slab, except where the smallest tile is larger.
    token_parts : int
        Parts of the tokens over which the MLP runs one after the other.

    Raises
    ------
    PlanError
        If a layer does not fit L1.
    """

    resident = _RESIDENT

    def __init__(self, shape, l1_bytes, slab_bytes, token_parts):
        super().__init__(shape, l1_bytes, slab_bytes)
        self.token_parts = token_parts
        self._build()

    def _build(self):
        shape = self.shape
        n_tokens, width = shape.n_tokens, shape.embed_dim
        self._sizes = {
            "input": n_tokens * shape.patch_size,
            "stream": n_tokens * width * 2,
            "normed": n_tokens * width,
            "pooled": shape.n_pooled * 2,
            "logits": shape.n_classes * 4,
        }
        self._patch()
        for number in range(shape.depth):
            self._attention(f"blocks.{number}")
            self._mlp(f"blocks.{number}")
        self._layer_norm("norm", "normed")
        groups = shape.n_channels if shape.pooling == "channel" else 1
        self._pool("normed", n_tokens, groups, width)
        self._head()

    def _patch(self):
        shape = self.shape
        vector_bytes = shape.n_channels * 2
        linear = LinearLayer(
            "patch",
            shape.patch_size,
            shape.embed_dim,
            0,
            shape.n_tokens,
            out_bytes=2,
            extra=lambda rows, outs: {"vectors": vector_bytes * outs},
        )
        buffers = {"input": "input", "output": "stream", "vectors": "channel_vectors"}
        more = {"n_channels": shape.n_channels, "n_patches": shape.n_patches}
        self._linear(
            "patch",
            linear,
            buffers,
            more=lambda rows: more,
            fetched=vector_bytes * shape.embed_dim,
        )

    def _attention(self, block):
        shape = self.shape
        n_tokens, width = shape.n_tokens, shape.embed_dim
        normed, attended = f"{block}.normed1", f"{block}.attended"
        self._sizes |= dict.fromkeys((normed, attended), n_tokens * width)
        self._layer_norm(f"{block}.norm1", normed)
        for head in range(shape.n_heads):
            names = {part: f"{block}.head.{head}.{part}" for part in _PARTS}
            self._sizes |= dict.fromkeys(names.values(), n_tokens * shape.head_dim)
            for part, name in names.items():
                self._attention_input(f"{block}.{part}", head, normed, name)
            self._attend(f"{block}.attention", head, names, attended)
        linear = LinearLayer(
            f"{block}.projection", width, width, 0, n_tokens, out_bytes=2
        )
        buffers = {"input": attended, "skip": "stream", "output": "stream"}
        self._linear("projection", linear, buffers, fetched=n_tokens * width * 2)

    def _attention_input(self, layer, head, normed, output):
        shape = self.shape
        part = layer.rpartition(".")[2]
        turned = part != "value"
        row_bytes = shape.head_dim * 2

        def rotation_rows(rows):
            # The whole table if it is short, else the rows of the tile's tokens.
            return min(shape.table_length, rows) if turned else 0

        def extra(rows, outs):
            sizes = {"rotation": rotation_rows(rows) * row_bytes}
            return sizes | {"scratch": N_CORES * outs * 2}

        linear = LinearLayer(
            layer,
            shape.embed_dim,
            shape.head_dim,
            0,
            shape.n_tokens,
            first_out=head * shape.head_dim,
            channel_step=2 if shape.head_dim % 4 else 4,
            whole_slab=True,
            extra=extra if turned else None,
        )

        def more(rows):
            return {
                "head": head,
                "part": _PARTS.index(part),
                "table_length": shape.table_length,
                "rotation_rows": rotation_rows(rows),
            }

        buffers = {"input": normed, "output": output}
        buffers |= {"rotation": "rotation"} if turned else {}
        rows_read = max(shape.table_length, shape.n_tokens) if turned else 0
        self._linear("attention_inputs", linear, buffers, more, rows_read * row_bytes)

    def _attend(self, layer, head, names, attended):
        shape = self.shape
        n_tokens, head_dim = shape.n_tokens, shape.head_dim
        if "attention" not in self._tiles:
            self._tiles["attention"] = attention_tiles(
                layer, n_tokens, head_dim, self.l1_bytes
            )
        rows, keys, places = self._tiles["attention"]
        n_passes = 1 if keys == n_tokens else len(pieces_of(n_tokens, rows))
        parameters = {
            "head": head,
            "head_dim": head_dim,
            "width": shape.embed_dim,
            "output_start": head * head_dim,
            "token_count": n_tokens,
            "query_rows": rows,
            "key_block": keys,
        }
        self._step(
            "attention",
            layer,
            parameters,
            names | {"output": attended, "exp_table": "exp_table"},
            places,
            fetched=n_tokens * head_dim * (1 + 2 * n_passes) + 1024,
            stored=n_tokens * head_dim,
        )

    def _mlp(self, block):
        shape = self.shape
        n_tokens, width, hidden = shape.n_tokens, shape.embed_dim, shape.mlp_dim
        normed = f"{block}.normed2"
        self._sizes[normed] = n_tokens * width
        self._layer_norm(f"{block}.norm2", normed)
        parts = pieces_of(n_tokens, -(-n_tokens // self.token_parts))
        for number, (start, count) in enumerate(parts):
            between = f"{block}.hidden.{number}"
            self._sizes[between] = count * hidden
            linear = LinearLayer(
                f"{block}.hidden", width, hidden, start, count, table=f"{block}.gelu"
            )
            buffers = {"input": normed, "output": between}
            self._linear("hidden", linear, buffers, fetched=GELU_BYTES)
            linear = LinearLayer(
                f"{block}.output", hidden, width, start, count, out_bytes=2
            )
            buffers = {"input": between, "skip": "stream", "output": "stream"}
            self._linear("output", linear, buffers, fetched=count * width * 2)

    def _layer_norm(self, layer, output):
        shape = self.shape
        n_tokens, width = shape.n_tokens, shape.embed_dim
        constants = {"gain": width * 4, "offset": width * 8}

        def sizes(rows):
            return constants | {"input": rows * width * 2, "output": rows * width}

        row_tile = row_tiles(layer, n_tokens, sizes, self.l1_bytes)
        places, _ = lay_out(constants)
        parameters = {
            "token_start": 0,
            "token_count": n_tokens,
            "width": width,
            "row_tile": row_tile,
            **{f"slab_{name}": offset for name, (offset, _) in places.items()},
            "first_transfer": len(self.transfers),
            "n_transfers": 1,
        }
        pieces = []
        for name, (offset, size) in places.items():
            source, _ = self.weights[f"{layer}.{name}"]
            pieces.append(Piece(f"{layer}.{name}", source, size, offset))
        self._transfer(pieces)
        self._step(
            "layer_norm",
            layer,
            parameters,
            {"input": "stream", "output": output},
            lay_out(sizes(row_tile))[0],
            fetched=n_tokens * width * 2 + sum(constants.values()),
            stored=n_tokens * width,
        )
