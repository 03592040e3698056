"""Regression of one value a window with the published head."""

from .tinymyo import RegressionHead

__all__ = ["MeanRegressionHead"]


class MeanRegressionHead(RegressionHead):
    """The regression head averaged over the patches of a window.

    Parameters
    ----------
    embed_dim : int
        Length of a token.
    n_channels : int
        Channels of a window.
    n_outputs : int
        Values for each window.
    n_hidden : int, default=256
        Width of the convolutions (the paper's).
    dropout : float, default=0.1
        Dropout after the first convolution.
    generator : torch.Generator or None, default=None
        Source of the initial values; None is torch's global generator.

    References
    ----------
    arXiv 2512.15729, for the convolutions; the mean takes the
    place of the interpolation where a window has a single target.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import MeanRegressionHead
    >>> head = MeanRegressionHead(192, n_channels=8, n_outputs=3)
    >>> head(torch.zeros(2, 8, 10, 192)).shape
    torch.Size([2, 1, 3])
    """

    def __init__(
        self,
        embed_dim,
        n_channels,
        n_outputs,
        n_hidden=256,
        dropout=0.1,
        *,
        generator=None,
    ):
        super().__init__(
            embed_dim, n_channels, n_outputs, n_hidden, dropout, generator=generator
        )

    def forward(self, tokens):
        """Map tokens (B, C, P, D) to values (B, 1, n_outputs)."""
        return super().forward(tokens).mean(dim=1, keepdim=True)
