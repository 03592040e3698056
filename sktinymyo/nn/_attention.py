"""Rotary positions, and softmax attention in two ways that agree."""

import torch
from torch.autograd.function import once_differentiable

from ._dropout import random_bytes

__all__ = ["cached_attention", "matmul_attention", "rotary_table", "rotate"]

# Scores computed at a time: 1 MB of float32, which leaves room in a second-level
# cache for the two other arrays of that size that the backward pass reads.
CACHED_SCORES = 2**18
# Windows with more tokens than this compute their attention weights twice: kept,
# those of one block would fill more than 50 MB a window.
LONGEST_KEPT = 2048


def rotary_table(positions, head_dim, base):
    """Cosines and sines of the rotary embedding.

    Pair i of a head, its elements 2i and 2i + 1, turns by
    ``position / base ** (2 i / head_dim)``. Computed in double precision, since
    the angle of a late token is large.

    Parameters
    ----------
    positions : tensor of shape (N,)
        Positions of the tokens.
    head_dim : int
        Width of a head, an even number.
    base : float
        Base of the angles.

    Returns
    -------
    table : float32 tensor of shape (N, head_dim / 2, 2)

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import rotary_table
    >>> rotary_table(torch.arange(3), head_dim=4, base=10000.0).shape
    torch.Size([3, 2, 2])
    """
    exponents = torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim
    angles = torch.outer(positions.double(), base**-exponents)
    return torch.stack((angles.cos(), angles.sin()), dim=-1).float()


def rotate(x, rotation):
    """Turn the neighbouring pairs of queries or keys.

    A complex product, one pass over memory where the real formula takes five.
    Compilers and exporters do not know complex numbers and get the formula.

    Parameters
    ----------
    x : tensor of shape (..., N, head_dim)
        Queries or keys.
    rotation : tensor of shape (N, head_dim / 2, 2)
        From :func:`rotary_table`.

    Returns
    -------
    turned : tensor of shape (..., N, head_dim)
        In the type of `x`.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import rotary_table, rotate
    >>> x = torch.ones(2, 3, 4)
    >>> turned = rotate(x, rotary_table(torch.arange(3), head_dim=4, base=100.0))
    >>> bool(torch.allclose(turned.norm(dim=-1), x.norm(dim=-1)))
    True
    """
    pairs = x.float().unflatten(-1, (-1, 2))  # (..., N, head_dim / 2, 2)
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        cos, sin = rotation.unbind(-1)
        a, b = pairs.unbind(-1)
        turned = torch.stack((a * cos - b * sin, b * cos + a * sin), dim=-1)
    else:
        product = torch.view_as_complex(pairs) * torch.view_as_complex(rotation)
        turned = torch.view_as_real(product)
    return turned.flatten(-2).to(x.dtype)


def matmul_attention(q, k, v, key_bias=None, dropout=None):
    """Softmax attention written with the operations of torch.

    Parameters
    ----------
    q, k, v : tensor of shape (B, H, N, head_dim)
        Queries, keys and values.
    key_bias : tensor of shape (B or 1, 1, 1, N) or None, default=None
        Added to the scores; minus infinity leaves a key out.
    dropout : callable or None, default=None
        Applied to the attention weights.

    Returns
    -------
    tensor of shape (B, H, N, head_dim)
    """
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-2, -1)  # (B, H, N, N)
    if key_bias is not None:
        scores = scores + key_bias
    weights = scores.softmax(dim=-1)
    return (weights if dropout is None else dropout(weights)) @ v


def cached_attention(q, k, v, key_bias=None, dropout=None):
    """Softmax attention for training on a processor, float32.

    The same numbers as :func:`matmul_attention`, sooner: both passes go through
    a few heads at a time, so that their scores stay in the cache. The backward
    pass needs 5 bytes a score in place of 12, and 1 byte (with dropout, else
    none) where a window has so many tokens that the weights are computed again.

    Parameters
    ----------
    q, k, v : tensor of shape (B, H, N, head_dim)
        Queries, keys and values.
    key_bias : tensor of shape (B or 1, 1, 1, N) or None, default=None
        Added to the scores; has no gradient.
    dropout : Dropout or None, default=None
        Applied to the attention weights.

    Returns
    -------
    tensor of shape (B, H, N, head_dim)
    """
    n_windows, n_heads, n_tokens, head_dim = q.shape
    if key_bias is not None:
        key_bias = key_bias.expand(n_windows, n_heads, 1, n_tokens).flatten(0, 1)
    noise, n_dropped, rescale = None, 0, 1.0
    if dropout is not None and dropout.training and dropout.n_dropped:
        n_dropped, rescale = dropout.n_dropped, dropout.rescale
        shape = (n_windows * n_heads, n_tokens, n_tokens)
        noise = random_bytes(shape, q.device, dropout.generator)
    q = q * head_dim**-0.5
    q, k, v = (x.flatten(0, 1).contiguous() for x in (q, k, v))  # (B * H, N, head_dim)
    mixed = _CachedAttention.apply(q, k, v, key_bias, noise, n_dropped, rescale)
    return mixed.unflatten(0, (n_windows, n_heads))


def _parts(n_heads, n_tokens):
    """Cut the heads into slices whose scores fit in the cache."""
    size = max(1, CACHED_SCORES // n_tokens**2)
    return [slice(i, min(i + size, n_heads)) for i in range(0, n_heads, size)]


def _weights(q, k, key_bias, part, out):
    """Attention weights of some heads, written into `out`."""
    torch.bmm(q[part], k[part].mT, out=out)
    if key_bias is not None:
        out += key_bias[part]
    return torch.softmax(out, -1, out=out)


class _CachedAttention(torch.autograd.Function):
    """Attention over (B * H, N, head_dim), a few heads at a time."""

    @staticmethod
    def forward(ctx, q, k, v, key_bias, noise, n_dropped, rescale):
        n_heads, n_tokens, _ = q.shape
        parts = _parts(n_heads, n_tokens)
        work = q.new_empty(2, parts[0].stop, n_tokens, n_tokens)
        weights = None
        if n_tokens <= LONGEST_KEPT:
            weights = q.new_empty(n_heads, n_tokens, n_tokens)
        mixed = torch.empty_like(v)
        for part in parts:
            size = part.stop - part.start
            out = work[0, :size] if weights is None else weights[part]
            used = _weights(q, k, key_bias, part, out)
            if noise is not None:
                multiplier = torch.ge(noise[part], n_dropped, out=work[1, :size])
                used = multiplier.mul_(used)
            torch.bmm(used, v[part], out=mixed[part])
        mixed.mul_(rescale)
        ctx.save_for_backward(q, k, v, key_bias, noise, weights, mixed)
        ctx.n_dropped, ctx.rescale = n_dropped, rescale
        return mixed

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient):
        q, k, v, key_bias, noise, weights, mixed = ctx.saved_tensors
        # The softmax needs the sum over keys of weight times its gradient, which
        # is the product of the output with the output's gradient.
        total = (gradient * mixed).sum(-1, keepdim=True)
        gradient = gradient * ctx.rescale
        of_q, of_k, of_v = (torch.empty_like(x) for x in (q, k, v))
        n_heads, n_tokens, _ = q.shape
        parts = _parts(n_heads, n_tokens)
        work = q.new_empty(3, parts[0].stop, n_tokens, n_tokens)
        for part in parts:
            of_scores, multiplier, again = work[:, : part.stop - part.start]
            if weights is None:
                kept = _weights(q, k, key_bias, part, again)
            else:
                kept = weights[part]
            torch.bmm(gradient[part], v[part].mT, out=of_scores)
            used = kept
            if noise is not None:
                torch.ge(noise[part], ctx.n_dropped, out=multiplier)
                of_scores.mul_(multiplier)
                used = multiplier.mul_(kept)
            torch.bmm(used.mT, gradient[part], out=of_v[part])
            of_scores.sub_(total[part]).mul_(kept)
            torch.bmm(of_scores, k[part], out=of_q[part])
            torch.bmm(of_scores.mT, q[part], out=of_k[part])
        return of_q, of_k, of_v, None, None, None, None
