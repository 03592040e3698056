"""Activations that are computed again instead of kept."""

from torch.utils.checkpoint import checkpoint

from ._dropout import generator_of

__all__ = ["checkpointed"]


def checkpointed(module, *inputs):
    """Call a module so that its backward pass computes the activations again.

    torch brings back the state of its global generator for the second computation;
    that of a generator of our own is brought back here, or dropout would differ
    between the two.

    Parameters
    ----------
    module : torch.nn.Module
        What to call, with `inputs`.

    Returns
    -------
    output : tensor
        That of the module.
    """
    generator = generator_of(module)
    if generator is None:
        return checkpoint(module, *inputs, use_reentrant=False)
    before, calls = generator.get_state(), []

    def call(*inputs):
        calls.append(None)
        if len(calls) == 1:
            return module(*inputs)
        now = generator.get_state()
        generator.set_state(before)
        try:
            return module(*inputs)
        finally:
            generator.set_state(now)

    return checkpoint(call, *inputs, use_reentrant=False)
