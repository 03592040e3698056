"""TinyMyo: a Transformer encoder of surface EMG, and its three heads.

The architecture of "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal
Processing at the Edge" (arXiv 2512.15729), written from the published numbers.
Letters in shape comments: B windows, C channels, T samples, P patches of a
channel, N = C * P tokens, D embedding, H heads.
"""

import math
from dataclasses import asdict, dataclass, fields
from operator import index

import torch
from torch import nn
from torch.nn import functional as F

from ._attention import cached_attention, matmul_attention, rotary_table, rotate
from ._checkpoint import checkpointed
from ._dropout import Dropout, DropPath, set_generator
from ._layers import layer_norm, linear, no_values, reset_linear, skip_init

__all__ = [
    "ClassificationHead",
    "ReconstructionHead",
    "RegressionHead",
    "TinyMyo",
    "TinyMyoConfig",
]

POSITIONS = ("per-channel", "none", "flat")


@dataclass(frozen=True)
class TinyMyoConfig:
    """Shape and regularisation of a TinyMyo encoder.

    The defaults are those of the paper; they make a model of 3.6 million
    parameters.

    Parameters
    ----------
    embed_dim : int, default=192
        Length of a token.
    depth : int, default=8
        Number of Transformer blocks.
    n_heads : int, default=3
        Attention heads of a block; must divide `embed_dim` into heads of an
        even length.
    mlp_ratio : float, default=4.0
        Width of the hidden layer of the MLP, as a multiple of `embed_dim`.
    patch_size : int, default=20
        Samples of one channel that make one token.
    position : {"per-channel", "none", "flat"}, default="per-channel"
        How a token knows where it is. ``"per-channel"`` is a rotary embedding
        of the patch index, which restarts in every channel, and a learned
        vector for each channel (the current published weights). ``"flat"`` is a
        rotary embedding of the token index and ``"none"`` nothing at all: two
        older generations of weights, which give the right numbers only so.
    n_channel_embeddings : int, default=16
        Number of learned channel vectors (``"per-channel"`` only). Channel c
        uses vector ``c % n_channel_embeddings``.
    dropout : float, default=0.1
        Dropout after the attention output and inside the MLP.
    attention_dropout : float, default=0.1
        Dropout of the attention weights.
    drop_path : float, default=0.1
        Probability, for a window, to skip a residual branch; the same in all
        blocks.
    rotary_base : float, default=10000.0
        Base of the rotary angles.

    Raises
    ------
    ValueError
        If a field has a value that no model can be made of; the message names it.

    References
    ----------
    TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing at the
    Edge, arXiv 2512.15729.

    Examples
    --------
    >>> from sktinymyo.nn import TinyMyoConfig
    >>> TinyMyoConfig(depth=2).head_dim
    64
    """

    embed_dim: int = 192
    depth: int = 8
    n_heads: int = 3
    mlp_ratio: float = 4.0
    patch_size: int = 20
    position: str = "per-channel"
    n_channel_embeddings: int = 16
    dropout: float = 0.1
    attention_dropout: float = 0.1
    drop_path: float = 0.1
    rotary_base: float = 10000.0

    def __post_init__(self):
        """Refuse values of which no model can be made."""
        for name in ("embed_dim", "n_heads", "patch_size", "n_channel_embeddings"):
            self._require(name, lambda value: index(value) >= 1)
        self._require("depth", lambda value: index(value) >= 0, "a whole number >= 0")
        self._require("position", lambda value: value in POSITIONS, str(POSITIONS))
        for name in ("dropout", "attention_dropout", "drop_path"):
            self._require(name, lambda value: 0 <= value < 1, ">= 0 and < 1")
        self._require("mlp_ratio", lambda value: self.mlp_dim >= 1, "a number > 0")
        self._require("rotary_base", lambda value: value > 1, "a number > 1")
        if self.embed_dim % self.n_heads or self.head_dim % 2:
            raise ValueError(
                f"embed_dim={self.embed_dim} with n_heads={self.n_heads} does not "
                "give heads of an even whole length; pass, for example, "
                f"embed_dim={64 * self.n_heads}."
            )

    def _require(self, name, accepted, words="a whole number >= 1"):
        value = getattr(self, name)
        try:
            fine = not isinstance(value, bool) and bool(accepted(value))
        except (TypeError, ValueError, OverflowError):
            fine = False
        if not fine:
            raise ValueError(f"{name}={value!r} is not accepted; it must be {words}.")

    @property
    def head_dim(self):
        """Length of the queries, keys and values of one attention head."""
        return self.embed_dim // self.n_heads

    @property
    def mlp_dim(self):
        """Width of the hidden layer of the MLP."""
        return int(self.embed_dim * self.mlp_ratio)

    def to_dict(self):
        """Return the fields as a dictionary of plain numbers and strings."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values):
        """Make a configuration from a dictionary; unknown fields are refused."""
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise ValueError(
                f"unknown fields {unknown} of TinyMyoConfig; pass only {sorted(known)}."
            )
        return cls(**values)


class Attention(nn.Module):
    """Multi-head self-attention with rotary positions."""

    def __init__(self, config):
        super().__init__()
        self.n_heads = config.n_heads
        self.qkv = linear(config.embed_dim, 3 * config.embed_dim)
        self.proj = linear(config.embed_dim, config.embed_dim)
        self.attention_dropout = Dropout(config.attention_dropout)
        self.dropout = Dropout(config.dropout)

    def forward(self, x, rotation=None, key_bias=None):
        """Mix the tokens x (B, N, D)."""
        qkv = self.qkv(x).unflatten(-1, (3, self.n_heads, -1))
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each (B, H, N, head_dim)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        if self.training and q.device.type == "cpu" and q.dtype == torch.float32:
            mixed = cached_attention(q, k, v, key_bias, self.attention_dropout)
        elif self.training:
            mixed = matmul_attention(q, k, v, key_bias, self.attention_dropout)
        else:
            mixed = F.scaled_dot_product_attention(q, k, v, attn_mask=key_bias)
        mixed = mixed.transpose(1, 2).flatten(2)  # (B, H, N, head_dim) -> (B, N, D)
        return self.dropout(self.proj(mixed))


class MLP(nn.Module):
    """Two linear maps with an exact GELU between them."""

    def __init__(self, config):
        super().__init__()
        self.fc1 = linear(config.embed_dim, config.mlp_dim)
        self.fc2 = linear(config.mlp_dim, config.embed_dim)
        self.dropout = Dropout(config.dropout)

    def forward(self, x):
        """Transform every token x (B, N, D) by itself."""
        return self.dropout(self.fc2(self.dropout(F.gelu(self.fc1(x)))))


class Block(nn.Module):
    """A pre-normalised Transformer block."""

    def __init__(self, config):
        super().__init__()
        self.norm1 = layer_norm(config.embed_dim)
        self.attn = Attention(config)
        self.norm2 = layer_norm(config.embed_dim)
        self.mlp = MLP(config)
        self.drop_path = DropPath(config.drop_path)

    def forward(self, x, rotation=None, key_bias=None):
        """Add attention and MLP to the tokens x (B, N, D)."""
        x = x + self.drop_path(self.attn(self.norm1(x), rotation, key_bias))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class TinyMyo(nn.Module):
    """Encoder of EMG windows, with or without a head.

    Every patch of 20 samples of one channel becomes a token; all tokens of a
    window attend to each other. Any number of channels and any window length
    are accepted.

    A last patch that the window does not fill is completed with zeros. If there
    is a complete patch too, no other token attends to the incomplete one and no
    head sees it, so that every other result is that of the window cut to
    complete patches. A window shorter than one patch keeps its single token.

    Parameters
    ----------
    config : TinyMyoConfig or None, default=None
        Shape of the encoder; None is ``TinyMyoConfig()``.
    head : torch.nn.Module or None, default=None
        Maps tokens (B, C, P, D) to the output, for example
        :class:`ClassificationHead`; None returns the tokens.
    generator : torch.Generator or None, default=None
        Source of the initial values (of the encoder, not of `head`). None is
        torch's global generator; with a generator the global one is not touched.

    Attributes
    ----------
    checkpointing : bool, default=False
        Set to True, it makes training keep only what goes into each block and compute
        the rest again on the way back: less memory for a third more time, with the
        same gradients. For encoders such as "large".

    References
    ----------
    TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing at the
    Edge, arXiv 2512.15729.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig
    >>> generator = torch.Generator().manual_seed(0)
    >>> head = ClassificationHead(192, n_channels=8, n_classes=5, generator=generator)
    >>> model = TinyMyo(TinyMyoConfig(depth=2), head, generator=generator).eval()
    >>> windows = torch.randn(4, 8, 200, generator=generator)
    >>> model.encode(windows).shape
    torch.Size([4, 8, 10, 192])
    >>> model(windows).shape
    torch.Size([4, 5])
    """

    checkpointing = False

    def __init__(self, config=None, head=None, *, generator=None):
        super().__init__()
        self.config = config = TinyMyoConfig() if config is None else config
        self.mask_token = nn.Parameter(no_values(1, 1, config.embed_dim))
        if config.position == "per-channel":
            shape = (1, config.n_channel_embeddings, 1, config.embed_dim)
            self.channel_embed = nn.Parameter(no_values(*shape))
        # Stored as the convolution that published weights hold; see `encode`.
        kernel = (1, config.patch_size)
        patch_map = skip_init(nn.Conv2d, 1, config.embed_dim, kernel)
        patch_embed = nn.ModuleDict({"proj": patch_map})
        self.patch_embedding = nn.ModuleDict({"patch_embed": patch_embed})
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = layer_norm(config.embed_dim)
        self.model_head = head
        self.reset_parameters(generator)

    def reset_parameters(self, generator=None):
        """Give the encoder new initial values; the head is left alone.

        Parameters
        ----------
        generator : torch.Generator or None, default=None
            Source of the values; None is torch's global generator.
        """
        patch_map = self.patch_embedding["patch_embed"]["proj"]
        nn.init.xavier_uniform_(patch_map.weight, generator=generator)
        nn.init.zeros_(patch_map.bias)
        nn.init.trunc_normal_(self.mask_token, 0.0, 0.02, -0.02, 0.02, generator)
        if self.config.position == "per-channel":
            nn.init.trunc_normal_(self.channel_embed, 0.0, 0.02, -0.02, 0.02, generator)
        for layer, block in enumerate(self.blocks, start=1):
            block.norm1.reset_parameters()
            block.norm2.reset_parameters()
            attn, mlp = block.attn, block.mlp
            for part in (attn.qkv, attn.proj, mlp.fc1, mlp.fc2):
                reset_linear(part, generator)
            with torch.no_grad():  # keep the residual sum's variance bounded
                attn.proj.weight.div_(math.sqrt(2 * layer))
                mlp.fc2.weight.div_(math.sqrt(2 * layer))
        self.norm.reset_parameters()

    def set_generator(self, generator):
        """Let all dropout draw from `generator` (None: torch's global one).

        Parameters
        ----------
        generator : torch.Generator or None
            Must live on the device of the model. It is not part of copies and
            pickles of the model.
        """
        set_generator(self, generator)

    def n_patches(self, n_times):
        """Return the number of tokens of a channel of `n_times` samples."""
        return -(-n_times // self.config.patch_size)

    def _n_complete(self, n_times):
        """Patches that the window fills; at least 1, the single short one."""
        return max(n_times // self.config.patch_size, 1)

    def _rotation(self, n_channels, n_patches, n_complete, like):
        """Rotary table (N, head_dim / 2, 2) of all tokens, or None.

        Made afresh in every forward pass: less than 1 % of its time, and nothing
        to keep in step with copies, devices and threads.
        """
        if self.config.position == "none":
            return None
        positions = torch.arange(n_patches).expand(n_channels, n_patches)
        if self.config.position == "flat":
            # Counted without incomplete patches, which must not move the others.
            positions = positions + n_complete * torch.arange(n_channels)[:, None]
        positions = positions.reshape(-1)
        table = rotary_table(positions, self.config.head_dim, self.config.rotary_base)
        return table.to(like.device)

    def _key_bias(self, n_windows, shape, n_complete, channel_padding, like):
        """Minus infinity (B or 1, 1, 1, N) at keys to leave out, or None."""
        n_channels, n_patches = shape
        if n_complete == n_patches and channel_padding is None:
            return None
        incomplete = torch.arange(n_patches, device=like.device) >= n_complete
        left_out = incomplete.expand(1, n_channels, n_patches)
        if channel_padding is not None:
            if channel_padding.shape != (n_windows, n_channels):
                raise ValueError(
                    "channel_padding must have the shape (n_windows, n_channels) = "
                    f"{(n_windows, n_channels)}; got {tuple(channel_padding.shape)}."
                )
            if bool(channel_padding.all(dim=1).any()):
                raise ValueError("channel_padding=True for every channel of a window.")
            left_out = left_out | channel_padding.bool()[:, :, None]
        bias = torch.zeros(left_out.shape, dtype=like.dtype, device=like.device)
        return bias.masked_fill_(left_out, -math.inf).flatten(1)[:, None, None]

    def embed_patches(self, x):
        """Map every patch of windows (B, C, T) to a token (B, C, P, D).

        Channel vectors are not yet added; see :meth:`encode` for the rest.
        """
        if x.ndim != 3 or 0 in x.shape[1:]:
            raise ValueError(
                "x must have the shape (n_windows, n_channels, n_times) with at least "
                f"one channel and sample; got {tuple(x.shape)}."
            )
        n_times, patch_size = x.shape[-1], self.config.patch_size
        n_patches = self.n_patches(n_times)
        x = F.pad(x, (0, n_patches * patch_size - n_times)).to(self.mask_token.dtype)
        patches = x.unflatten(-1, (n_patches, patch_size))  # (B, C, P, patch_size)
        patch_map = self.patch_embedding["patch_embed"]["proj"]
        tokens = F.linear(patches, patch_map.weight.flatten(1), patch_map.bias)
        return tokens.to(self.mask_token.dtype)  # the residual stream stays float32

    def add_channel_vectors(self, tokens):
        """Add to tokens (B, C, P, D) what tells their channels apart."""
        if self.config.position != "per-channel":
            return tokens
        channels = torch.arange(tokens.shape[1], device=tokens.device)
        channels = channels % self.config.n_channel_embeddings
        return tokens + self.channel_embed[:, channels]  # (1, C, 1, D)

    def encode(self, x, mask=None, channel_padding=None):
        """Encode windows into tokens.

        Parameters
        ----------
        x : tensor of shape (B, C, T)
            Windows of EMG, scaled to about unit variance.
        mask : bool tensor of shape (B, C, P) or None, default=None
            True replaces the patch by the learned mask token.
        channel_padding : bool tensor of shape (B, C) or None, default=None
            True marks a channel that holds no signal: no token attends to it.

        Returns
        -------
        tokens : tensor of shape (B, C, P, D)
            With ``P = ceil(T / patch_size)``, after the final LayerNorm.

        Raises
        ------
        ValueError
            If a shape is not as above, or all channels of a window are padding.
        """
        tokens = self.embed_patches(x)
        n_windows, n_channels, n_patches, _ = tokens.shape
        n_complete = self._n_complete(x.shape[-1])
        if mask is not None:
            if mask.shape != tokens.shape[:3]:
                raise ValueError(
                    "mask must have the shape (n_windows, n_channels, n_patches) = "
                    f"{tuple(tokens.shape[:3])}; got {tuple(mask.shape)}."
                )
            tokens = torch.where(mask.bool()[..., None], self.mask_token, tokens)
        tokens = self.add_channel_vectors(tokens)

        rotation = self._rotation(n_channels, n_patches, n_complete, tokens)
        key_bias = self._key_bias(
            n_windows, (n_channels, n_patches), n_complete, channel_padding, tokens
        )
        tokens = tokens.flatten(1, 2)  # (B, C, P, D) -> (B, N, D), channel by channel
        tokens = self.run_blocks(tokens, rotation, key_bias)
        return self.norm(tokens).unflatten(1, (n_channels, n_patches))

    def run_blocks(self, tokens, rotation, key_bias):
        """Send tokens (B, N, D) through all blocks."""
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                tokens = checkpointed(block, tokens, rotation, key_bias)
            else:
                tokens = block(tokens, rotation, key_bias)
        return tokens

    def forward(self, x, mask=None, channel_padding=None):
        """Encode windows and apply the head.

        Parameters are those of :meth:`encode`. An incomplete last patch is cut
        off before a head sees it; without a head the tokens are returned.
        """
        if self.model_head is None:
            return self.encode(x, mask, channel_padding)
        n_complete = self._n_complete(x.shape[-1])
        x = x[..., : n_complete * self.config.patch_size]
        mask = None if mask is None else mask[..., :n_complete]
        return self.model_head(self.encode(x, mask, channel_padding))


class ReconstructionHead(nn.Module):
    """Linear map from every token to the samples of its patch.

    Parameters
    ----------
    embed_dim : int, default=192
        Length of a token.
    patch_size : int, default=20
        Samples of a patch.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    References
    ----------
    arXiv 2512.15729, decoder of the pretraining (3,860 parameters).

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import ReconstructionHead
    >>> ReconstructionHead()(torch.zeros(2, 8, 10, 192)).shape
    torch.Size([2, 8, 10, 20])
    """

    def __init__(self, embed_dim=192, patch_size=20, *, generator=None):
        super().__init__()
        self.decoder_pred = linear(embed_dim, patch_size)
        self.reset_parameters(generator)

    def reset_parameters(self, generator=None):
        """Give the head new initial values."""
        reset_linear(self.decoder_pred, generator)

    def forward(self, tokens):
        """Map tokens (B, C, P, D) to samples (B, C, P, patch_size)."""
        return self.decoder_pred(tokens)


class ClassificationHead(nn.Module):
    """Mean over the patches, channels side by side, one linear map.

    Parameters
    ----------
    embed_dim : int
        Length of a token.
    n_channels : int
        Channels of a window.
    n_classes : int
        Number of logits.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    References
    ----------
    arXiv 2512.15729, gesture classification (8 channels, 5 classes: 7,685
    parameters).

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import ClassificationHead
    >>> ClassificationHead(192, n_channels=8, n_classes=5)(torch.zeros(2, 8, 10, 192))
    tensor([[0., 0., 0., 0., 0.],
            [0., 0., 0., 0., 0.]], grad_fn=<AddmmBackward0>)
    """

    def __init__(self, embed_dim, n_channels, n_classes, *, generator=None):
        super().__init__()
        self.n_channels = n_channels
        self.classifier = linear(n_channels * embed_dim, n_classes)
        self.reset_parameters(generator)

    def reset_parameters(self, generator=None):
        """Give the head new initial values."""
        reset_linear(self.classifier, generator)

    @property
    def feature_layer(self):
        """The layer whose input is the features of a window (B, C * D)."""
        return self.classifier

    def forward(self, tokens):
        """Map tokens (B, C, P, D) to logits (B, n_classes)."""
        _check_channels(tokens, self.n_channels)
        return self.classifier(tokens.mean(dim=2).flatten(1))


class RegressionHead(nn.Module):
    """Convolutions over the patches, interpolated to the length of the target.

    Parameters
    ----------
    embed_dim : int
        Length of a token.
    n_channels : int
        Channels of a window.
    n_outputs : int
        Values for each time.
    n_hidden : int, default=256
        Width of the convolutions (the paper's).
    dropout : float, default=0.1
        Dropout after the first convolution.
    n_times_out : int or None, default=None
        Times of the output, spread evenly over the window; None is one for
        each patch.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    References
    ----------
    arXiv 2512.15729, hand kinematics (16 channels, 5 outputs: 788,997
    parameters).

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import RegressionHead
    >>> head = RegressionHead(192, n_channels=8, n_outputs=3, n_times_out=200)
    >>> head(torch.zeros(2, 8, 10, 192)).shape
    torch.Size([2, 200, 3])
    """

    def __init__(
        self,
        embed_dim,
        n_channels,
        n_outputs,
        n_hidden=256,
        dropout=0.1,
        n_times_out=None,
        *,
        generator=None,
    ):
        super().__init__()
        self.n_channels = n_channels
        self.n_times_out = n_times_out
        self.regressor = nn.Sequential(
            skip_init(nn.Conv1d, n_channels * embed_dim, n_hidden, 1),
            nn.SiLU(),
            Dropout(dropout),
            skip_init(nn.Conv1d, n_hidden, n_hidden, 3, padding=1, groups=n_hidden),
            nn.SiLU(),
            skip_init(nn.Conv1d, n_hidden, n_outputs, 1),
        )
        self.reset_parameters(generator)

    def reset_parameters(self, generator=None):
        """Give the head new initial values."""
        for layer in self.regressor:
            if isinstance(layer, nn.Conv1d):
                # Xavier's rule would count the outputs of all groups and shrink the
                # depth-wise layer to nothing.
                bound = layer.weight[0].numel() ** -0.5
                nn.init.uniform_(layer.weight, -bound, bound, generator)
                nn.init.zeros_(layer.bias)

    @property
    def feature_layer(self):
        """The layer whose input is the features of a window (B, C * D, P)."""
        return self.regressor[0]

    def forward(self, tokens):
        """Map tokens (B, C, P, D) to values (B, n_times_out, n_outputs)."""
        _check_channels(tokens, self.n_channels)
        sequence = tokens.transpose(2, 3).flatten(1, 2)  # (B, C * D, P)
        values = self.regressor(sequence)  # (B, n_outputs, P)
        if self.n_times_out is not None and self.n_times_out != values.shape[-1]:
            values = F.interpolate(values, self.n_times_out, mode="linear")
        return values.transpose(1, 2)


def _check_channels(tokens, n_channels):
    if tokens.shape[1] != n_channels:
        raise ValueError(
            f"the head was made for n_channels={n_channels}, but the windows have "
            f"{tokens.shape[1]} channels; give windows of {n_channels} channels or "
            "make a new head."
        )
