"""TinyMyo for inference on a processor: the same numbers, sooner.

What is saved beside the plain path: LayerNorm's weights and the attention scale
live inside the next linear map, the rotary embedding turns queries and keys in
place, residual sums are done in place, wide intermediate arrays are reused from
block to block, and nothing is recorded for gradients. On processors where it is
faster, the linear maps are oneDNN's, with packed weights and GELU built in.
"""

import copy
from dataclasses import replace
from functools import lru_cache

import torch
from torch.nn import functional as F

from ._processor import prefers_onednn
from .tinymyo import TinyMyo

__all__ = ["PackedTinyMyo", "pack"]

DTYPES = {"float32": torch.float32, "bf16": torch.bfloat16}
# Above this number of tokens the scores of one head no longer fit any cache.
LONGEST_MATMUL_ATTENTION = 4096
# oneDNN lays packed weights out for a number of rows; any other number works.
TYPICAL_ROWS = 1024


def pack(model, precision="float32"):
    """Prepare a model for fast inference on a processor.

    Takes a few milliseconds for the published size. The result holds its own
    copy of the weights: later changes of `model` do not reach it.

    Parameters
    ----------
    model : TinyMyo
        Model on the CPU, with or without a head.
    precision : {"float32", "bf16"}, default="float32"
        ``"float32"`` agrees with the plain path to about 1e-6. ``"bf16"``
        multiplies in bfloat16 (errors of 5e-3 to 1e-2) and is faster only where
        :func:`bf16_is_fast` says so. Tokens and head outputs are float32 always.

    Returns
    -------
    PackedTinyMyo

    Raises
    ------
    TypeError
        If `model` is not a TinyMyo.
    ValueError
        If `precision` is unknown or the model is not float32 on the CPU.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import TinyMyo, TinyMyoConfig, pack
    >>> model = TinyMyo(TinyMyoConfig(depth=2)).eval()
    >>> windows = torch.randn(4, 8, 200)
    >>> fast = pack(model).encode(windows)
    >>> torch.allclose(fast, model.encode(windows), atol=1e-5)
    True
    """
    return PackedTinyMyo(model, precision)


class PackedTinyMyo:
    """Inference-only twin of a :class:`TinyMyo`, made by :func:`pack`.

    Parameters
    ----------
    model : TinyMyo
        Model on the CPU.
    precision : {"float32", "bf16"}, default="float32"
        See :func:`pack`.
    onednn : bool or None, default=None
        Whether to use the packed linear maps of oneDNN, which torch offers
        through a private interface. None uses them where they are faster;
        wherever they are missing or disagree with
        :func:`torch.nn.functional.linear`, the latter is used.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig, pack
    >>> model = TinyMyo(TinyMyoConfig(depth=2), ClassificationHead(192, 8, 5))
    >>> pack(model)(torch.randn(4, 8, 200)).shape
    torch.Size([4, 5])
    """

    def __init__(self, model, precision="float32", *, onednn=None):
        if not isinstance(model, TinyMyo):
            raise TypeError(
                f"model must be a TinyMyo; got {type(model).__name__}. Other networks "
                "are used as they are."
            )
        if precision not in DTYPES:
            raise ValueError(
                f"precision={precision!r} is not accepted; pass one of: "
                f"{', '.join(map(repr, DTYPES))}."
            )
        wrong = {(p.device.type, p.dtype) for p in model.parameters()}
        wrong -= {("cpu", torch.float32)}
        if wrong:
            raise ValueError(
                f"model holds parameters on or of {sorted(map(str, wrong))}; pack a "
                "float32 model on the CPU: model.to('cpu', torch.float32)."
            )
        self.config = model.config
        self.precision = precision
        dtype = DTYPES[precision]
        if onednn is None:
            onednn = dtype == torch.bfloat16 or prefers_onednn()
        with torch.no_grad():
            self._model = _PackedModel(model, dtype, onednn and onednn_works(dtype))

    def encode(self, x, channel_padding=None):
        """Encode windows into tokens; see :meth:`TinyMyo.encode`.

        Parameters
        ----------
        x : tensor of shape (B, C, T)
            Windows.
        channel_padding : bool tensor of shape (B, C) or None, default=None
            True marks a channel without a signal.

        Returns
        -------
        tokens : float32 tensor of shape (B, C, P, D)
        """
        with torch.no_grad():
            return self._model.encode(x, channel_padding=channel_padding)

    def __call__(self, x, channel_padding=None):
        """Encode windows and apply the head; see :meth:`TinyMyo.forward`."""
        with torch.no_grad():
            return self._model(x, channel_padding=channel_padding)


class _PackedModel(TinyMyo):
    """TinyMyo whose blocks are packed; everything around them is inherited."""

    def __init__(self, model, dtype, onednn):
        # The seed is of no consequence: every value is replaced.
        super().__init__(replace(model.config, depth=0), generator=torch.Generator())
        state = model.state_dict()
        self.load_state_dict({name: state[name].clone() for name in self.state_dict()})
        self.model_head = copy.deepcopy(model.model_head)
        self.eval().requires_grad_(False)
        self.packed = [_PackedBlock(block, dtype, onednn) for block in model.blocks]

    def run_blocks(self, tokens, rotation, key_bias):
        """Send tokens (B, N, D) through the blocks."""
        rows = tokens.flatten(0, 1)  # (B * N, D), changed in place from here on
        if rotation is not None:
            # (N, 1, head_dim / 2): the same for all heads
            rotation = torch.view_as_complex(rotation)[:, None]
        # One wide array serves all blocks: fresh memory costs as much as a product.
        n_values = len(rows) * max(3 * tokens.shape[-1], self.config.mlp_dim)
        work = torch.empty(n_values, dtype=rows.dtype)
        for block in self.packed:
            block(rows, tokens.shape[:2], rotation, key_bias, work)
        return rows.view_as(tokens)


class _PackedBlock:
    """Weights of one block, and what is done with them."""

    def __init__(self, block, dtype, onednn):
        self.dtype, self.eps = dtype, block.norm1.eps
        self.n_heads = block.attn.n_heads
        weight, bias = _fold_norm(block.norm1, block.attn.qkv)
        embed_dim = weight.shape[1]
        scale = (embed_dim // self.n_heads) ** -0.5
        weight[:embed_dim] *= scale  # queries
        bias[:embed_dim] *= scale
        fc1 = _fold_norm(block.norm2, block.mlp.fc1)
        proj, fc2 = block.attn.proj, block.mlp.fc2
        self.qkv = _PackedLinear(weight, bias, dtype, onednn)
        self.proj = _PackedLinear(proj.weight, proj.bias, dtype, onednn)
        self.fc1 = _PackedLinear(*fc1, dtype, onednn)
        self.fc2 = _PackedLinear(fc2.weight, fc2.bias, dtype, onednn)

    def __call__(self, rows, shape, rotation, key_bias, work):
        """Add attention and MLP to rows (B * N, D), in place."""
        mixed = self.attention(self.norm(rows), shape, rotation, key_bias, work)
        rows += self.proj(mixed).float()
        rows += self.fc2(self.fc1(self.norm(rows), work, gelu=True)).float()

    def norm(self, rows):
        return F.layer_norm(rows, rows.shape[1:], eps=self.eps).to(self.dtype)

    def attention(self, rows, shape, rotation, key_bias, work):
        qkv = self.qkv(rows, work).view(*shape, 3, self.n_heads, -1)
        if rotation is not None:
            queries_keys = qkv[:, :, :2].flatten(2, 3)  # (B, N, 2 H, head_dim), a view
            turned = queries_keys.float()  # itself, if it is float32
            pairs = torch.view_as_complex(turned.unflatten(-1, (-1, 2)))
            pairs.mul_(rotation)
            if turned is not queries_keys:
                queries_keys.copy_(turned)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, head_dim)
        if key_bias is not None:
            key_bias = key_bias.to(self.dtype)
        if self.dtype == torch.float32 or shape[1] > LONGEST_MATMUL_ATTENTION:
            mixed = F.scaled_dot_product_attention(q, k, v, key_bias, scale=1.0)
        else:  # torch's fused kernel gains nothing from bfloat16
            scores = q @ k.transpose(-2, -1)
            mixed = (scores if key_bias is None else scores + key_bias).softmax(-1) @ v
        return mixed.transpose(1, 2).reshape(len(rows), -1)


class _PackedLinear:
    """A linear map, in oneDNN's layout or in that of plain matrix products."""

    def __init__(self, weight, bias, dtype, onednn):
        weight, self.bias = weight.detach().to(dtype), bias.detach().to(dtype).clone()
        self.n_out, self.onednn = len(weight), onednn
        if onednn:
            pack_weight = torch.ops.mkldnn._reorder_linear_weight
            self.weight = pack_weight(weight.contiguous(), TYPICAL_ROWS)
        else:
            self.weight = weight.t().contiguous()

    def __call__(self, x, work=None, gelu=False):
        """Map x (rows, n_in) to (rows, n_out), written into `work` where possible."""
        if self.onednn:
            activation = ("gelu", [], "none") if gelu else ("none", [], "")
            return torch.ops.mkldnn._linear_pointwise(
                x, self.weight, self.bias, *activation
            )
        out = None
        if work is not None and work.dtype == x.dtype:
            out = work[: len(x) * self.n_out].view(len(x), self.n_out)
        out = torch.addmm(self.bias, x, self.weight, out=out)
        return torch.ops.aten.gelu_(out) if gelu else out


def _fold_norm(norm, linear):
    """Weight and bias of a linear map that includes its LayerNorm's."""
    bias = linear.bias + linear.weight @ norm.bias
    return linear.weight * norm.weight, bias


@lru_cache(maxsize=2)
def onednn_works(dtype):
    """Whether torch has oneDNN's packed linear maps and they give the right numbers."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 32, generator=generator).to(dtype)
    weight = torch.randn(48, 32, generator=generator).to(dtype)
    bias = torch.randn(48, generator=generator).to(dtype)
    tolerance = 1e-5 if dtype == torch.float32 else 0.05
    expected = F.linear(x.double(), weight.double(), bias.double())
    try:
        packed = _PackedLinear(weight, bias, dtype, onednn=True)
        found = [packed(x).double(), packed(x, gelu=True).double()]
    except (AttributeError, NotImplementedError, RuntimeError):
        return False
    return all(
        torch.allclose(a, b, rtol=tolerance, atol=tolerance)
        for a, b in zip(found, [expected, F.gelu(expected)], strict=True)
    )
