"""Layers without values: made float32 and without drawing a random number."""

import torch
from torch import nn

__all__ = ["layer_norm", "linear", "no_values", "reset_linear", "skip_init"]


def skip_init(layer, *sizes, **options):
    """Make a layer that has no values yet and has drawn no random number.

    It is float32 whatever torch's default is, so that the same seed gives the
    same model in every process.
    """
    return nn.utils.skip_init(layer, *sizes, dtype=torch.float32, **options)


def linear(n_in, n_out):
    """Make a linear map with bias."""
    return skip_init(nn.Linear, n_in, n_out)


def layer_norm(length):
    """Make a LayerNorm, which starts as the identity of its scale."""
    return nn.LayerNorm(length, dtype=torch.float32)


def no_values(*shape):
    """Make a tensor of a parameter still to be drawn."""
    return torch.empty(shape, dtype=torch.float32)


def reset_linear(layer, generator):
    """Draw the weights by Xavier's rule and set the bias to zero."""
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    nn.init.zeros_(layer.bias)
