"""Dropout that is cheap on a processor and draws from a generator of its own."""

import math

import torch
from torch import nn

__all__ = ["DropPath", "Dropout", "generator_of", "set_generator"]


def random_bytes(shape, device, generator=None):
    """Draw independent uniform bytes, eight with every 64 random bits."""
    if torch.device(device).type != "cpu":  # others draw bytes fast by themselves
        return torch.randint(
            256, shape, dtype=torch.uint8, device=device, generator=generator
        )
    n_bytes = math.prod(shape)
    words = torch.empty((n_bytes + 7) // 8, dtype=torch.int64, device=device)
    # The lower limit makes torch fill all 64 bits; its default leaves the sign 0.
    words.random_(-(2**63), None, generator=generator)
    return words.view(torch.uint8)[:n_bytes].view(shape)


class _Random(nn.Module):
    """Base of the modules that draw random numbers while training.

    A generator belongs to a run of training, not to the model: copies and
    pickles leave it out.
    """

    def __init__(self, p):
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be >= 0 and < 1; got {p!r}.")
        self.p = p
        self.generator = None

    def __getstate__(self):
        return {**self.__dict__, "generator": None}

    def extra_repr(self):
        """Return the probability, for ``print(model)``."""
        return f"p={self.p}"


class Dropout(_Random):
    """Set elements to zero at random, one random byte an element.

    The probability is rounded to a multiple of 1/256, and what is left is
    rescaled by the rounded probability, so that the expectation is exact.

    Parameters
    ----------
    p : float
        Probability of an element to become zero, in [0, 1).

    Attributes
    ----------
    generator : torch.Generator or None
        Source of randomness; None is torch's global one.

    References
    ----------
    Srivastava et al. (2014), Dropout: a simple way to prevent neural networks
    from overfitting, JMLR 15.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import Dropout
    >>> dropout = Dropout(0.5)
    >>> dropout.generator = torch.Generator().manual_seed(0)
    >>> sorted(set(dropout(torch.ones(64)).tolist()))
    [0.0, 2.0]
    >>> dropout.eval()(torch.ones(2))
    tensor([1., 1.])
    """

    @property
    def n_dropped(self):
        """How many of the 256 values of a byte drop an element."""
        return min(round(self.p * 256), 255)

    @property
    def rescale(self):
        """Factor of the elements that are left."""
        return 256 / (256 - self.n_dropped)

    def forward(self, x):
        """Return `x`, in training with elements dropped."""
        if not self.training or self.n_dropped == 0:
            return x
        noise = random_bytes(x.shape, x.device, self.generator)
        # Compared straight into floats: multiplying by booleans is 6 times slower.
        multiplier = torch.empty(x.shape, dtype=x.dtype, device=x.device)
        torch.ge(noise, self.n_dropped, out=multiplier)
        return x * multiplier.mul_(self.rescale)


class DropPath(_Random):
    """Leave out a residual branch for whole windows at random.

    Parameters
    ----------
    p : float
        Probability of a window to skip the branch, in [0, 1).

    References
    ----------
    Huang et al. (2016), Deep networks with stochastic depth, ECCV.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import DropPath
    >>> DropPath(0.1).eval()(torch.ones(1, 2))
    tensor([[1., 1.]])
    """

    def forward(self, x):
        """Return `x` (n_windows, ...), in training with windows set to zero."""
        if not self.training or self.p == 0:
            return x
        shape = (len(x),) + (1,) * (x.ndim - 1)
        keep = torch.empty(shape, dtype=x.dtype, device=x.device)
        keep.bernoulli_(1 - self.p, generator=self.generator)
        return x * keep.div_(1 - self.p)


def set_generator(module, generator):
    """Let every dropout inside `module` draw from `generator`.

    Parameters
    ----------
    module : torch.nn.Module
        A model built from the layers of this package.
    generator : torch.Generator or None
        Generator on the device of the model; None is torch's global one.

    Examples
    --------
    >>> import torch
    >>> from sktinymyo.nn import Dropout, set_generator
    >>> layer = Dropout(0.5)
    >>> set_generator(layer, torch.Generator().manual_seed(1))
    >>> first = layer(torch.ones(8))
    >>> set_generator(layer, torch.Generator().manual_seed(1))
    >>> torch.equal(first, layer(torch.ones(8)))
    True
    """
    for child in module.modules():
        if isinstance(child, _Random):
            child.generator = generator


def generator_of(module):
    """Return the generator that `set_generator` gave to a module, or None."""
    children = (child for child in module.modules() if isinstance(child, _Random))
    return getattr(next(children, None), "generator", None)
