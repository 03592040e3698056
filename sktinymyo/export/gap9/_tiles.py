"""How a step is cut so that what it works on fits L1."""

from ._memory import PlanError

__all__ = [
    "ALIGNMENT",
    "N_CORES",
    "align",
    "attention_tiles",
    "largest",
    "lay_out",
    "linear_tiles",
    "pieces_of",
    "row_tiles",
]

# 16 bytes suit vector loads of weights and the 64-bit constants of the LayerNorm.
ALIGNMENT = 16
N_CORES = 8

# Tokens of a tile below which the cores wait for one another more than they compute,
# and tokens or keys beyond which a larger tile brings nothing.
_FEWEST_ROWS = 32
_MOST_QUERIES = 64


def align(size, to=ALIGNMENT):
    """Return the next multiple of `to` that is not below `size`."""
    return -(-size // to) * to


def pieces_of(total, size):
    """List the start and the length of every tile of `size` in `total`."""
    return [(at, min(size, total - at)) for at in range(0, total, size)]


def lay_out(sizes):
    """Place arrays one behind the other.

    Parameters
    ----------
    sizes : dict of str to int
        Bytes of each.

    Returns
    -------
    places : dict of str to (int, int)
        Offset and size of each.
    total : int
        Bytes of all, with the gaps of the alignment.
    """
    places, offset = {}, 0
    for name, size in sizes.items():
        places[name] = (offset, size)
        offset = align(offset + size)
    last, size = list(places.values())[-1]
    return places, last + size


def largest(most, fits, step=1):
    """Return the largest count that fits: `most`, or a multiple of `step` if there is.

    0 if not even 1 fits. A larger count never fits where a smaller one does not.
    """
    if fits(most):
        return most
    low, high = 0, most
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low - low % step if low >= step else low


def _balanced(total, size, step):
    """Return the smallest multiple of `step` that needs no more tiles than `size`."""
    n_tiles = -(-total // size)
    return min(size, align(-(-total // n_tiles), step))


def row_tiles(layer, n_rows, sizes, l1_bytes):
    """Choose how many rows a step without weights takes at a time.

    Parameters
    ----------
    layer : str
        Name, for the error.
    n_rows : int
        Rows in all.
    sizes : callable
        Rows of a tile to the dict of what L1 holds.
    l1_bytes : int
        Size of L1.

    Returns
    -------
    row_tile : int
        As many as fit, in equal tiles, a multiple of the cores where possible.
    """
    rows = largest(n_rows, lambda n: lay_out(sizes(n))[1] <= l1_bytes, N_CORES)
    if not rows:
        raise _too_large(layer, sizes(1), l1_bytes)
    return _balanced(n_rows, rows, N_CORES if rows >= N_CORES else 1)


def linear_tiles(layer, n_rows, n_out, sizes, l1_bytes, *, most_out=None, step=4):
    """Choose the tokens and the output channels of a tile of a linear layer.

    Weights are fetched once and tokens once for every tile of output channels, so the
    fewest tiles of output channels move the fewest bytes.

    Parameters
    ----------
    layer : str
        Name, for the error.
    n_rows, n_out : int
        Tokens and output channels in all.
    sizes : callable
        Tokens and output channels of a tile to the dict of what L1 holds.
    l1_bytes : int
        Size of L1.
    most_out : int or None, default=None
        Most output channels of a tile; None: all.
    step : int, default=4
        The output channels of a tile are a multiple of it, or all of them.

    Returns
    -------
    row_tile, out_tile : int

    Raises
    ------
    PlanError
        If one token and one step of output channels do not fit.
    """
    most_out = n_out if most_out is None else min(most_out, n_out)
    for fewest in (_FEWEST_ROWS, N_CORES, 1):
        fewest = min(fewest, n_rows)
        out_tile = largest(
            most_out,
            lambda n, rows=fewest: lay_out(sizes(rows, n))[1] <= l1_bytes,
            step,
        )
        if out_tile >= min(step, n_out):
            out_tile = _balanced(n_out, out_tile, step)
            row_tile = row_tiles(
                layer, n_rows, lambda n, out=out_tile: sizes(n, out), l1_bytes
            )
            return row_tile, out_tile
    raise _too_large(layer, sizes(1, min(step, n_out)), l1_bytes)


def attention_tiles(layer, n_tokens, head_dim, l1_bytes):
    """Choose the queries and keys that a head takes at a time.

    Keys and values of the head stay in L1 if a row of queries for every core fits
    beside them. Otherwise they come in blocks, first all keys, then all values, for
    every tile of queries: the more queries a tile has, the fewer bytes move.

    Parameters
    ----------
    layer : str
        Name, for the error.
    n_tokens, head_dim : int
        Tokens, and width of the head.
    l1_bytes : int
        Size of L1.

    Returns
    -------
    query_rows, key_block : int
        `key_block` is `n_tokens` where keys and values stay.
    places : dict of str to (int, int)
        Layout of L1.
    """

    def fits(rows, block):
        return _attention_layout(n_tokens, head_dim, rows, block)[1] <= l1_bytes

    most = min(_MOST_QUERIES, n_tokens)
    rows = largest(most, lambda n: fits(n, n_tokens), N_CORES)
    block = n_tokens
    if rows < min(N_CORES, n_tokens):
        fewest = min(_FEWEST_ROWS, n_tokens - 1)
        rows = fewest and largest(most, lambda n: fits(n, fewest), N_CORES)
        if not rows:
            sizes = _attention_sizes(n_tokens, head_dim, 1, 1)
            raise _too_large(layer, sizes, l1_bytes)
        block = largest(n_tokens - 1, lambda n: fits(rows, n), 4)
        block = _balanced(n_tokens, block, 4 if block >= 4 else 1)
    rows = _balanced(n_tokens, rows, N_CORES if rows >= N_CORES else 1)
    places, _ = _attention_layout(n_tokens, head_dim, rows, block)
    return rows, block, places


def _attention_sizes(n_tokens, head_dim, rows, block):
    return {
        "key": block * head_dim,
        "value": block * head_dim,
        "query": rows * head_dim,
        "scores": rows * n_tokens * 4,
        "accumulators": rows * head_dim * 4,
        "sums": rows * 4,
        "output": rows * head_dim,
        "exp_table": 1024,
    }


def _attention_layout(n_tokens, head_dim, rows, block):
    sizes = _attention_sizes(n_tokens, head_dim, rows, block)
    if block == n_tokens:
        return lay_out(sizes)
    del sizes["value"]
    places, total = lay_out(sizes)
    return {"key": places["key"], "value": places["key"]} | places, total


def _too_large(layer, sizes, l1_bytes):
    largest = sorted(sizes.items(), key=lambda item: -item[1])[:3]
    names = ", ".join(f"{name} {size} bytes" for name, size in largest)
    return PlanError(
        f"the layer {layer!r} does not fit L1: its smallest tile takes "
        f"{lay_out(sizes)[1]} bytes of {l1_bytes} (largest: {names}). Use shorter "
        "windows, fewer channels or a narrower network, or pass a larger l1_kb if the "
        "device has it."
    )
