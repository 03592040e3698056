"""What the activations of a network reach, which int8 products have to know."""

import numpy as np
import torch

from .._torch import enough_threads

__all__ = ["ActivationRanges", "sample_rows"]

# Tensors of a block whose range is learned: inputs of the linear maps, and queries and
# keys, which are symmetric.
TITLES = ("qkv", "projection", "hidden", "mlp", "query", "key")
_MOST_WINDOWS = 256
# Of all windows of the sample together: two seconds of one slow core with the
# published size.
_MOST_TOKENS = 20_480
_TOKENS_PER_CALL = 640


def sample_rows(n_windows, n_tokens):
    """Return the rows of the windows to learn from, evenly spread, the same always.

    Parameters
    ----------
    n_windows : int
        Windows there are.
    n_tokens : int
        Tokens of one window.

    Returns
    -------
    rows : ndarray of int
        At most 256, and at most so many that they have 20,480 tokens.
    """
    n_taken = min(n_windows, _MOST_WINDOWS, max(1, _MOST_TOKENS // n_tokens))
    return np.linspace(0, n_windows - 1, n_taken).round().astype(np.int64)


class ActivationRanges:
    """Lowest and highest value of the tensors that become int8.

    Zero lies in every range, so that it has a level of its own. Nothing is cut off:
    all that is observed follows from a LayerNorm, which bounds it, so that single
    broken samples do not stretch a range.

    Parameters
    ----------
    values : ndarray of float32, shape (depth, 6, 2)
        Ranges of each block.
    """

    def __init__(self, values):
        self.values = values

    def limits(self, layer, title):
        """Return the range (low, high) of one tensor."""
        low, high = self.values[layer, TITLES.index(title)]
        return (float(low), float(high)) if high > low else (0.0, 1.0)

    def joined(self, other):
        """Return the ranges that hold both; other may be None."""
        if other is None:
            return self
        low = np.minimum(self.values[..., 0], other.values[..., 0])
        high = np.maximum(self.values[..., 1], other.values[..., 1])
        return ActivationRanges(np.stack([low, high], axis=-1))

    @classmethod
    def learn(cls, module, windows):
        """Observe a network at work.

        Parameters
        ----------
        module : TinyMyo
            The network, in evaluation mode.
        windows : float32 tensor of shape (n_windows, n_channels, n_times)
            Scaled windows.

        Returns
        -------
        ranges : ActivationRanges
        """
        config = module.config
        values = np.zeros((config.depth, len(TITLES), 2), np.float32)

        def see(layer, title, tensor):
            range_ = values[layer, TITLES.index(title)]
            range_[0] = min(range_[0], float(tensor.min()))
            range_[1] = max(range_[1], float(tensor.max()))

        def watch_input(layer, title):
            return lambda module, inputs: see(layer, title, inputs[0])

        def watch_attention(layer):
            def hook(module, inputs, output):
                # Pairs of values turn by any angle; their length stays.
                pairs = output[..., : 2 * config.embed_dim].unflatten(-1, (2, -1, 2))
                query, key = pairs.norm(dim=-1).unbind(-2)
                see(layer, "query", query * config.head_dim**-0.5)
                see(layer, "key", key)

            return hook

        hooks = []
        for layer, block in enumerate(module.blocks):
            maps = (block.attn.qkv, block.attn.proj, block.mlp.fc1, block.mlp.fc2)
            for title, linear in zip(TITLES, maps, strict=False):
                hooks.append(
                    linear.register_forward_pre_hook(watch_input(layer, title))
                )
            hooks.append(block.attn.qkv.register_forward_hook(watch_attention(layer)))
        n_patches = max(windows.shape[2] // config.patch_size, 1)
        step = max(1, _TOKENS_PER_CALL // (windows.shape[1] * n_patches))
        device = next(module.parameters()).device
        if n_patches * config.patch_size < windows.shape[2]:
            windows = windows[..., : n_patches * config.patch_size]
        n_tokens = step * windows.shape[1] * n_patches
        try:
            with torch.inference_mode(), enough_threads(n_tokens, config, device):
                for part in windows.split(step):
                    module.encode(part.to(device))
        finally:
            for hook in hooks:
                hook.remove()
        return cls(values)
