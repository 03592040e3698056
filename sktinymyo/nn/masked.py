"""Masked reconstruction: what a TinyMyo encoder is pretrained with.

Some (channel, patch) cells of a window are hidden, and the model says what was
there. Letters in shape comments as in ``tinymyo.py``; V visible tokens, K values
of a target patch.
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

from ._attention import rotary_table
from ._layers import layer_norm, linear, no_values, reset_linear
from .tinymyo import Block, TinyMyoConfig

__all__ = ["MASK_FORMS", "MaskedAutoencoder", "draw_mask", "patch_targets"]

MASK_FORMS = ("cell", "channel", "time")
TARGETS = ("raw", "spectrum")

# Least power of a frequency before the logarithm, as a share of the power of a
# channel of unit variance: silence must not dominate the spectral targets.
_LEAST_POWER = 1e-3
# Least range of a window that is scaled to [-1, 1], of the published recipe.
_LEAST_RANGE = 1e-8


def draw_mask(shape, ratio, form="cell", *, generator=None, channel_padding=None):
    """Choose the cells of windows that are hidden from the encoder.

    Parameters
    ----------
    shape : tuple of int
        (n_windows, n_channels, n_patches).
    ratio : float
        Share of the cells to hide, above 0 and below 1. Every window loses the
        same number of its cells, at least one, and keeps at least one.
    form : {"cell", "channel", "time"}, default="cell"
        What is drawn: single (channel, patch) cells as published [1]_, whole
        channels, or whole spans of time over all channels.
    generator : torch.Generator or None, default=None
        On the CPU; None is torch's global generator.
    channel_padding : bool tensor of shape (n_windows, n_channels) or None
        True marks channels without signal, which are neither hidden nor counted.

    Returns
    -------
    mask : bool tensor of shape (n_windows, n_channels, n_patches)
        True is hidden. A window with a single cell (or channel, or patch, by
        `form`) hides nothing.

    Raises
    ------
    ValueError
        If `ratio` or `form` is not one of the above.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import draw_mask
    >>> generator = torch.Generator().manual_seed(0)
    >>> draw_mask((2, 8, 10), 0.5, generator=generator).sum(dim=(1, 2))
    tensor([40, 40])
    """
    if not 0 < ratio < 1:
        raise ValueError(f"ratio={ratio!r} is not accepted; it must be > 0 and < 1.")
    if form not in MASK_FORMS:
        raise ValueError(f"form={form!r} is not known; pass one of {MASK_FORMS}.")
    n_windows, n_channels, n_patches = shape
    drawn = {
        "cell": (n_windows, n_channels * n_patches),
        "channel": (n_windows, n_channels),
        "time": (n_windows, n_patches),
    }[form]
    # The caller's default type must not change what is drawn.
    noise = torch.rand(drawn, generator=generator, dtype=torch.float32)
    n_real = torch.full((n_windows, 1), drawn[1])
    if channel_padding is not None and form != "time":
        padding = channel_padding.cpu()
        repeats = n_patches if form == "cell" else 1
        padding = padding.repeat_interleave(repeats, dim=1)
        noise = noise.masked_fill(padding, 2.0)  # never among the least
        n_real = (~padding).sum(dim=1, keepdim=True)
    n_hidden = (ratio * n_real).round().clamp(min=1).minimum(n_real - 1)
    rank = noise.argsort(dim=1).argsort(dim=1)
    mask = rank < n_hidden
    if form == "cell":
        return mask.unflatten(1, (n_channels, n_patches))
    if form == "channel":
        return mask[:, :, None].expand(shape).clone()
    mask = mask[:, None].expand(shape).clone()
    return mask if channel_padding is None else mask & ~channel_padding.cpu()[..., None]


def patch_targets(patches, target):
    """Return what is to be predicted of each patch.

    Parameters
    ----------
    patches : tensor of shape (B, C, P, patch_size)
        Samples of windows, channels scaled to about unit variance.
    target : {"raw", "spectrum"}
        ``"raw"`` is the samples, scaled to [-1, 1] per window and channel by
        minimum and maximum [1]_. ``"spectrum"`` is the logarithm of the power of
        each frequency of the patch (Hann window): the phase of EMG is noise
        that nothing predicts, its strength and spectrum are what gestures change.

    Returns
    -------
    values : tensor of shape (B, C, P, K)
        K is `patch_size` or ``patch_size // 2 + 1``.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import patch_targets
    >>> patch_targets(torch.zeros(2, 8, 10, 20), "spectrum").shape
    torch.Size([2, 8, 10, 11])
    """
    if target == "raw":
        low = patches.amin(dim=(2, 3), keepdim=True)
        high = patches.amax(dim=(2, 3), keepdim=True)
        return 2 * (patches - low) / (high - low + _LEAST_RANGE) - 1
    size = patches.shape[-1]
    taper = torch.hann_window(
        size, periodic=False, dtype=torch.float32, device=patches.device
    )
    taper = taper / taper.square().sum().sqrt()
    spectrum = torch.fft.rfft(patches.float() * taper)
    power = spectrum.real.square() + spectrum.imag.square()
    return 0.5 * (power + _LEAST_POWER).log()


class MaskedAutoencoder(nn.Module):
    """An encoder with what its pretraining needs: targets, decoder, losses.

    Parameters
    ----------
    encoder : TinyMyo
        Trained in place; its own head is not used.
    targets : tuple of {"raw", "spectrum"}, default=("raw",)
        What is predicted of hidden patches; losses of several targets are added.
    visible_only : bool, default=False
        False replaces hidden patches by the mask token and sends all through
        the encoder, with a linear map as decoder, as published. True sends the
        visible tokens alone through the encoder, which is faster, and a small
        Transformer fills in the rest.
    decoder_depth : int, default=1
        Blocks of that Transformer.
    decoder_dim : int, default=96
        Its width; a multiple of 32.
    visible_weight : float, default=0.1
        Weight of the loss of visible patches, beside 1 for hidden ones.
    n_classes : int, default=0
        Classes of known labels to be learned beside the reconstruction.
    generator : torch.Generator or None, default=None
        Source of the initial values.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import MaskedAutoencoder, TinyMyo, TinyMyoConfig, draw_mask
    >>> generator = torch.Generator().manual_seed(0)
    >>> encoder = TinyMyo(TinyMyoConfig(depth=1), generator=generator)
    >>> model = MaskedAutoencoder(encoder, visible_only=True, generator=generator)
    >>> windows = torch.randn(2, 8, 200, generator=generator)
    >>> mask = draw_mask((2, 8, 10), 0.5, generator=generator)
    >>> model(windows, mask)["raw"].shape
    torch.Size([2, 8, 10, 20])
    """

    def __init__(
        self,
        encoder,
        *,
        targets=("raw",),
        visible_only=False,
        decoder_depth=1,
        decoder_dim=96,
        visible_weight=0.1,
        n_classes=0,
        generator=None,
    ):
        super().__init__()
        if unknown := set(targets) - set(TARGETS) or not targets:
            raise ValueError(
                f"targets={targets!r} are not accepted ({unknown}); pass some of "
                f"{TARGETS}."
            )
        self.encoder = encoder
        self.targets = tuple(targets)
        self.visible_only = visible_only
        self.visible_weight = visible_weight
        config = encoder.config
        width = config.embed_dim
        if visible_only:
            # Never used here, and several processes wait for every gradient.
            encoder.mask_token.requires_grad_(False)
            width = decoder_dim
            self.decoder_config = TinyMyoConfig(
                embed_dim=decoder_dim,
                n_heads=max(decoder_dim // 32, 1),
                depth=decoder_depth,
                patch_size=config.patch_size,
                dropout=0.0,
                attention_dropout=0.0,
                drop_path=0.0,
            )
            self.decoder_map = linear(config.embed_dim, width)
            self.decoder_token = nn.Parameter(no_values(1, 1, width))
            shape = (1, config.n_channel_embeddings, 1, width)
            self.decoder_channels = nn.Parameter(no_values(*shape))
            self.decoder_blocks = nn.ModuleList(
                Block(self.decoder_config) for _ in range(decoder_depth)
            )
            self.decoder_norm = layer_norm(width)
        sizes = {"raw": config.patch_size, "spectrum": config.patch_size // 2 + 1}
        self.predictors = nn.ModuleDict(
            {name: linear(width, sizes[name]) for name in self.targets}
        )
        self.classifier = linear(config.embed_dim, n_classes) if n_classes else None
        self.reset_decoder(generator)

    def reset_decoder(self, generator=None):
        """Give everything but the encoder new initial values."""
        if self.visible_only:
            reset_linear(self.decoder_map, generator)
            nn.init.normal_(self.decoder_token, 0.0, 0.02, generator)
            nn.init.normal_(self.decoder_channels, 0.0, 0.02, generator)
            for layer, block in enumerate(self.decoder_blocks, start=1):
                attn, mlp = block.attn, block.mlp
                for part in (attn.qkv, attn.proj, mlp.fc1, mlp.fc2):
                    reset_linear(part, generator)
                with torch.no_grad():
                    attn.proj.weight.div_(math.sqrt(2 * layer))
                    mlp.fc2.weight.div_(math.sqrt(2 * layer))
        for predictor in self.predictors.values():
            reset_linear(predictor, generator)
        if self.classifier is not None:
            reset_linear(self.classifier, generator)

    def _encode_visible(self, x, mask, channel_padding):
        """Encode what is not hidden: tokens (B, V, D), their places, padding."""
        encoder = self.encoder
        tokens = encoder.add_channel_vectors(encoder.embed_patches(x))
        n_windows, n_channels, n_patches, _ = tokens.shape
        left_out = mask.flatten(1)
        if channel_padding is not None:
            left_out = left_out | channel_padding.repeat_interleave(n_patches, dim=1)
        n_visible = (~left_out).sum(dim=1)
        # A stable sort puts visible cells first and keeps their order.
        order = left_out.to(torch.int8).argsort(dim=1, stable=True)
        places = order[:, : int(n_visible.max())]
        tokens = tokens.flatten(1, 2)
        tokens = tokens.gather(1, places[..., None].expand(-1, -1, tokens.shape[-1]))
        rotation = encoder._rotation(n_channels, n_patches, n_patches, tokens)
        if rotation is not None:
            rotation = rotation[places][:, None]  # (B, 1, V, head_dim / 2, 2)
        absent = torch.arange(places.shape[1], device=x.device) >= n_visible[:, None]
        bias = None
        if bool(absent.any()):
            bias = torch.zeros(absent.shape, dtype=tokens.dtype, device=x.device)
            bias = bias.masked_fill_(absent, -math.inf)[:, None, None]
        tokens = encoder.norm(encoder.run_blocks(tokens, rotation, bias))
        return tokens, places, absent

    def _decode(self, tokens, places, absent, shape, channel_padding):
        """Fill the hidden cells in: (B, C, P, width of the decoder)."""
        n_windows, n_channels, n_patches = shape
        tokens = self.decoder_map(tokens).float()
        width = tokens.shape[-1]
        filled = self.decoder_token.expand(n_windows, n_channels * n_patches, width)
        # Absent places hold hidden or padded cells, which keep the token.
        tokens = torch.where(absent[..., None], self.decoder_token, tokens)
        filled = filled.scatter(1, places[..., None].expand(-1, -1, width), tokens)
        channels = torch.arange(n_channels, device=filled.device)
        channels = channels % self.decoder_channels.shape[1]
        filled = filled.unflatten(1, (n_channels, n_patches))
        filled = (filled + self.decoder_channels[:, channels]).flatten(1, 2)
        positions = torch.arange(n_patches).repeat(n_channels)
        config = self.decoder_config
        rotation = rotary_table(positions, config.head_dim, config.rotary_base)
        rotation = rotation.to(filled.device)
        bias = None
        if channel_padding is not None:
            left_out = channel_padding.repeat_interleave(n_patches, dim=1)
            bias = torch.zeros(left_out.shape, dtype=filled.dtype, device=filled.device)
            bias = bias.masked_fill_(left_out, -math.inf)[:, None, None]
        for block in self.decoder_blocks:
            filled = block(filled, rotation, bias)
        return self.decoder_norm(filled).unflatten(1, (n_channels, n_patches))

    def forward(self, x, mask, channel_padding=None):
        """Predict every patch of windows.

        Parameters
        ----------
        x : tensor of shape (B, C, T)
            T is a multiple of the patch size.
        mask : bool tensor of shape (B, C, P)
            True hides a cell from the encoder.
        channel_padding : bool tensor of shape (B, C) or None, default=None
            True marks channels without signal.

        Returns
        -------
        output : dict
            For each target its prediction (B, C, P, K); "logits" (B, n_classes)
            where labels are learned.
        """
        if self.visible_only:
            tokens, places, absent = self._encode_visible(x, mask, channel_padding)
            decoded = self._decode(tokens, places, absent, mask.shape, channel_padding)
            seen = (~absent)[..., None].to(tokens.dtype)
        else:
            decoded = self.encoder.encode(x, mask, channel_padding)
            tokens = decoded.flatten(1, 2)
            seen = torch.ones_like(tokens[..., :1])
            if channel_padding is not None:
                absent = channel_padding.repeat_interleave(mask.shape[-1], dim=1)
                seen = (~absent)[..., None].to(tokens.dtype)
        output = {name: part(decoded) for name, part in self.predictors.items()}
        if self.classifier is not None:
            mean = (tokens * seen).sum(dim=1) / seen.sum(dim=1)
            output["logits"] = self.classifier(mean)
        return output

    def losses(self, x, mask, channel_padding=None, labels=None):
        """Return the losses of every window.

        Parameters
        ----------
        x, mask, channel_padding
            As in :meth:`forward`.
        labels : int64 tensor of shape (B,) or None, default=None
            Classes; -1 where unknown.

        Returns
        -------
        losses : dict of tensors of shape (B,)
            For each target the smooth L1 loss of hidden patches plus
            `visible_weight` times that of visible ones; "labels" the
            cross-entropy, 0 where the label is unknown.
        """
        output = self(x, mask, channel_padding)
        patches = x.unflatten(-1, (mask.shape[-1], -1))
        hidden, visible = mask, ~mask
        if channel_padding is not None:
            hidden = hidden & ~channel_padding[..., None]
            visible = visible & ~channel_padding[..., None]
        losses = {}
        for name in self.targets:
            error = F.smooth_l1_loss(
                output[name].float(), patch_targets(patches, name), reduction="none"
            ).mean(dim=-1)
            losses[name] = _mean_where(error, hidden)
            if self.visible_weight:
                shown = _mean_where(error, visible)
                losses[name] = losses[name] + self.visible_weight * shown
        if self.classifier is not None and labels is not None:
            losses["labels"] = F.cross_entropy(
                output["logits"].float(), labels, ignore_index=-1, reduction="none"
            )
        return losses


def _mean_where(values, where):
    """Mean of values (B, C, P) over the chosen cells of each window; 0 if none."""
    chosen = where.to(values.dtype)
    total = chosen.sum(dim=(1, 2)).clamp(min=1)
    return (values * chosen).sum(dim=(1, 2)) / total
