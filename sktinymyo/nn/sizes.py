"""Named sizes of the TinyMyo encoder."""

from .tinymyo import TinyMyoConfig

__all__ = ["SIZES", "config_of_size"]

# Layers x width; heads keep 64 dimensions where the width allows it, as published.
SIZES = {
    "nano": {"depth": 2, "embed_dim": 48, "n_heads": 3},
    "tiny": {"depth": 3, "embed_dim": 96, "n_heads": 3},
    "small": {"depth": 4, "embed_dim": 128, "n_heads": 2},
    "tinymyo": {"depth": 8, "embed_dim": 192, "n_heads": 3},
    "large": {"depth": 8, "embed_dim": 1024, "n_heads": 16},
}


def config_of_size(size, **changes):
    """Return the configuration of a named size.

    Parameters
    ----------
    size : {"nano", "tiny", "small", "tinymyo", "large"}
        Name of the size: 2 x 48, 3 x 96, 4 x 128, 8 x 192 (the published
        architecture [1]_, 3.6 million parameters) and 8 x 1024
        (layers x width).
    **changes
        Fields of :class:`~sktinymyo.nn.TinyMyoConfig` to set differently.

    Returns
    -------
    config : TinyMyoConfig

    Raises
    ------
    ValueError
        If the name is not in the table.

    References
    ----------
    .. [1] "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing
       at the Edge", arXiv:2512.15729.

    Examples
    --------
    >>> from sktinymyo.nn import config_of_size
    >>> config_of_size("tinymyo").depth
    8
    """
    if not isinstance(size, str) or size not in SIZES:
        accepted = ", ".join(repr(name) for name in SIZES)
        raise ValueError(f"size={size!r} is not known; pass one of: {accepted}.")
    return TinyMyoConfig(**{**SIZES[size], **changes})
