"""The integer encoder in numpy: the specification of the C program, bit for bit.

Letters: C channels, P complete patches of a channel, ``N = C * P`` tokens (channel by
channel), D width, H heads of length h, M width of the MLP, L blocks, K classes.

Conventions
-----------
* A shift to the right of a negative number is arithmetic (towards minus infinity).
* ``rq(a, m, s) = (int64(a) * m + (1 << (s - 1))) >> s``, ``0 <= m < 2**31``,
  ``1 <= s <= 62``. The result is int64: what is added to it is added in int64, and it
  is clamped from there.
* clamp8 limits to [-128, 127], clamp16 to [-32768, 32767], clamp32 likewise.
* A linear map is ``acc[o] = bias[o] + sum_k x[k] * weight[o][k]`` in int32; the zero
  point of x is part of the bias.
* Quotients of positive whole numbers are floors.

Steps, named as in a trace
--------------------------
input
    Float32 samples x of channel c, after the preprocessing:
    ``clamp8(rint(x * scale[c] + offset[c]))`` with two float32 roundings and rint to
    the even neighbour. Samples after the last complete patch are cut off.
patch
    Linear map of every patch, D values a token:
    ``clamp16(rq(acc[o], m[o], s[o]) + channel_vectors[c][o])``.
blocks.l.norm1, blocks.l.norm2, norm
    ``S = sum x``; ``d_i = D * x_i - S`` (int32); ``V = sum d_i**2`` (uint64);
    ``R = max(1, isqrt(V / D + epsilon))``; ``inv = 2**46 / R``;
    ``n_i = (d_i * inv + 2**33) >> 34``;
    ``y_i = clamp8(((n_i * gain_i + offset_i + (1 << (shift - 1))) >> shift) + zero)``,
    all of it in int64.
blocks.l.query, blocks.l.key
    ``clamp16(rq(acc, m, s))``, 64 times finer than the result, then turned by pairs:
    with a, b the elements 2i and 2i + 1 of a head and (c, s) the entry of the table
    for the token, ``a' = clamp8((a * c - b * s + 2**19) >> 20)``,
    ``b' = clamp8((b * c + a * s + 2**19) >> 20)`` in int32. Without rotary positions
    the table holds (16384, 0).
blocks.l.value
    ``clamp8(rq(acc, m, s))``.
blocks.l.attention
    For every head and query: ``S_j = sum q k_j`` (int32), ``t_j = max S - S_j``,
    ``e_j = exp_table[min(rq(t_j, m_exp, s_exp), 1023)]``, ``Z = sum e_j`` (int32),
    ``acc_d = sum_j e_j * v_jd`` (int32), ``inv = 2**31 / Z``,
    ``n = (int64(acc) * inv + 2**22) >> 23``, ``o = clamp8(rq(n, m_out, s_out))``.
blocks.l.projection
    Stream x: ``clamp16(rq(x, m_skip, s_skip) + rq(acc[o], m[o], s[o]))``.
blocks.l.hidden
    ``gelu[clamp8(rq(acc, m, s) + zero) + 128]``.
blocks.l.output
    As the projection, from the hidden layer.
pool
    ``clamp16(rq(sum (y - zero of norm), m, s))``, the sum in int32 over the patches of
    a channel, or over all tokens.
head
    ``acc = bias + sum_k pool[k] * weight[k]`` in int64 and
    ``clamp32(rq(acc, m, s))`` with ``m < 2**20``; logits in units of 2**-16. The class
    is the first of the largest logits.
"""

import numpy as np

from .arithmetic import clamp, exact_matmul, integer_sqrt, requantise
from .image_program import ImageShape
from .image_reference import ImageRun
from .linear import LinearRun
from .program import trace_names

__all__ = ["run_program"]

# Tokens and images computed at a time: their temporaries stay in the caches.
_TOKENS_PER_CHUNK = 1024
_IMAGES_PER_CHUNK = 64


def run_program(program, q_input, *, trace=False):
    """Run an integer program over windows.

    Parameters
    ----------
    program : IntegerProgram
        What to run.
    q_input : ndarray of int8, shape (n_windows, n_channels, n_times)
        Quantised windows.
    trace : bool, default=False
        Also return the result of every layer.

    Returns
    -------
    logits : ndarray of int32, shape (n_windows, n_classes)
        In units of 2**-16; of a program for images, the scores of the vote in units
        of 2**-30.
    layers : dict of str to ndarray
        Only with `trace`: results by name, in the order of the network, windows
        first; tokens are (n_windows, n_tokens, width), maps (n_windows, n_voting,
        cells, channels).

    Raises
    ------
    ValueError
        If the windows have another type or shape.
    """
    shape = program.shape
    q_input = np.asarray(q_input)
    expected = (shape.n_channels, shape.n_times)
    if q_input.dtype != np.int8 or q_input.ndim != 3 or q_input.shape[1:] != expected:
        raise ValueError(
            f"q_input is {q_input.dtype} of shape {q_input.shape}; it must be int8 of "
            f"shape (n_windows, {expected[0]}, {expected[1]}). Use quantise_input."
        )
    if isinstance(shape, ImageShape):
        kind, step = ImageRun, max(1, _IMAGES_PER_CHUNK // shape.n_voting)
    else:
        kind, step = _TokenRun, max(1, _TOKENS_PER_CHUNK // shape.n_tokens)
    chunks = [q_input[at : at + step] for at in range(0, len(q_input), step)]
    logits = np.empty((len(q_input), shape.n_classes), dtype=np.int32)
    kept = {name: [] for name in trace_names(shape)} if trace else None
    for number, chunk in enumerate(chunks):
        run = kind(program, kept)
        logits[number * step : number * step + len(chunk)] = run.network(chunk)
    if not trace:
        return logits
    return logits, {name: np.concatenate(parts) for name, parts in kept.items()}


class _TokenRun(LinearRun):
    """One pass of an encoder over a few windows."""

    def network(self, windows):
        """Return the logits of int8 windows (B, C, T)."""
        shape = self.shape
        n_used = shape.n_patches * shape.patch_size
        patches = windows[:, :, :n_used].reshape(
            len(windows), shape.n_tokens, shape.patch_size
        )
        x = self.patch_map(self.keep("input", patches))
        for number in range(shape.depth):
            x = self.attention(f"blocks.{number}", x)
            x = self.mlp(f"blocks.{number}", x)
        return self.pooled_head(self.layer_norm("norm", x))

    def patch_map(self, patches):
        """Map int8 patches (B, N, 20) to the int16 stream (B, N, D)."""
        vectors = self.arrays["channel_vectors"].astype(np.int64)
        x = self.linear("patch", patches)
        x += np.repeat(vectors, self.shape.n_patches, axis=0)
        return self.keep("patch", clamp(x, 16))

    def layer_norm(self, name, x):
        """Normalise int16 tokens to int8."""
        gain, offset = self.arrays[f"{name}.gain"], self.arrays[f"{name}.offset"]
        shift = self.arrays[f"{name}.shift"].astype(np.int64)
        width = x.shape[-1]
        d = x.astype(np.int64)
        total = d.sum(axis=-1, keepdims=True)
        d *= width
        d -= total
        mean_square = (d * d).sum(axis=-1, keepdims=True) // width
        epsilon = np.int64(self.arrays[f"{name}.epsilon"])
        root = np.maximum(integer_sqrt(mean_square + epsilon), 1)
        d *= (1 << 46) // root
        d += 1 << 33
        d >>= 34
        d *= gain
        d += offset + (np.int64(1) << (shift - 1))
        d >>= shift
        d += self.arrays[f"{name}.zero"]
        return self.keep(name, clamp(d, 8))

    def heads(self, x):
        """Split (B, N, D) into (B, H, N, h)."""
        shape = self.shape
        return x.reshape(*x.shape[:2], shape.n_heads, shape.head_dim).swapaxes(1, 2)

    def rotated(self, name, x):
        """Return int8 queries or keys (B, N, D), turned by their positions."""
        shape = self.shape
        fine = clamp(self.linear(name, x), 16).astype(np.int32)
        pairs = fine.reshape(*fine.shape[:2], shape.n_heads, -1, 2)
        rows = np.arange(shape.n_tokens) % shape.table_length
        table = self.arrays["rotation"][rows].astype(np.int32)[:, np.newaxis]
        a, b, c, s = pairs[..., 0], pairs[..., 1], table[..., 0], table[..., 1]
        turned = np.stack([a * c - b * s, b * c + a * s], axis=-1)
        turned += 1 << 19
        turned >>= 20
        return self.keep(name, clamp(turned, 8).reshape(fine.shape))

    def attention(self, block, x):
        """Add the attention of a block to the stream."""
        y = self.layer_norm(f"{block}.norm1", x)
        q = self.heads(self.rotated(f"{block}.query", y))
        k = self.heads(self.rotated(f"{block}.key", y))
        value = clamp(self.linear(f"{block}.value", y), 8)
        v = self.heads(self.keep(f"{block}.value", value))
        name = f"{block}.attention"
        scores = exact_matmul(q, k.swapaxes(2, 3), 128 * 128)
        distance = scores.max(axis=-1, keepdims=True) - scores
        index = requantise(
            distance,
            self.arrays[f"{name}.exp_multiplier"],
            self.arrays[f"{name}.exp_shift"],
        )
        weights = self.arrays["exp_table"][np.minimum(index, 1023)]
        total = weights.sum(axis=-1, keepdims=True, dtype=np.int64)
        mixed = exact_matmul(weights, v, 255 * 128)
        mixed *= (1 << 31) // total
        mixed += 1 << 22
        mixed >>= 23
        mixed = requantise(
            mixed,
            self.arrays[f"{name}.out_multiplier"],
            self.arrays[f"{name}.out_shift"],
        )
        mixed = clamp(mixed, 8).swapaxes(1, 2).reshape(x.shape)
        return self.add(f"{block}.projection", x, self.keep(name, mixed))

    def add(self, name, x, branch):
        """Add a linear map of a branch to the int16 stream."""
        old = requantise(
            x,
            self.arrays[f"{name}.skip_multiplier"],
            self.arrays[f"{name}.skip_shift"],
        )
        return self.keep(name, clamp(old + self.linear(name, branch), 16))

    def mlp(self, block, x):
        """Add the two linear maps and the GELU of a block to the stream."""
        y = self.layer_norm(f"{block}.norm2", x)
        name = f"{block}.hidden"
        hidden = clamp(self.linear(name, y) + self.arrays[f"{name}.zero"], 8)
        table = self.arrays[f"{block}.gelu"]
        hidden = table[hidden.astype(np.int64) + 128]
        return self.add(f"{block}.output", x, self.keep(name, hidden))

    def pooled_head(self, y):
        """Pool int8 tokens (B, N, D) and return the logits (B, K)."""
        shape = self.shape
        y = y.astype(np.int64) - self.arrays["norm.zero"]
        if shape.pooling == "channel":
            y = y.reshape(len(y), shape.n_channels, shape.n_patches, -1)
            total = y.sum(axis=2).reshape(len(y), -1)
        else:
            total = y.sum(axis=1)
        pooled, logits = self.head(total)
        self.keep("pool", pooled)
        return self.keep("head", logits)
