"""Students whose windows pass a stem before they are cut into tokens.

They exist to be compared by ``sizes.py --question forms``; the package has none of
them, and nothing exports them.
"""

import torch

from sktinymyo import TinyMyoClassifier
from sktinymyo.nn import ClassificationHead, TinyMyo

__all__ = ["STEMS", "MixedClassifier", "StridedClassifier"]

KERNEL, STRIDE, WIDTH = 11, 5, 12
N_MIXED = 4


class _Strided(TinyMyo):
    """Every channel passes a convolution with stride before its patches are cut."""

    def __init__(self, config, n_channels, generator):
        super().__init__(config, generator=generator)
        self.stem = torch.nn.Conv1d(1, WIDTH, KERNEL, STRIDE, padding=KERNEL // 2)
        n_inputs = config.patch_size // STRIDE * WIDTH
        self.tokens = torch.nn.Linear(n_inputs, config.embed_dim)
        del self.patch_embedding
        reset(self.stem, generator)
        reset(self.tokens, generator)

    def embed_patches(self, x):
        """Map windows (B, C, T) of whole patches to tokens (B, C, P, D)."""
        steps = self.stem(x.reshape(-1, 1, x.shape[-1]))
        steps = torch.nn.functional.gelu(steps).unflatten(0, x.shape[:2])
        n_steps = self.config.patch_size // STRIDE
        patches = steps.unflatten(-1, (-1, n_steps)).transpose(2, 3).flatten(3)
        return self.tokens(patches)


class _Mixed(TinyMyo):
    """Fewer channels, each a weighted sum of all, are what is cut into patches."""

    def __init__(self, config, n_channels, generator):
        super().__init__(config, generator=generator)
        self.stem = torch.nn.Linear(n_channels, N_MIXED, bias=False)
        reset(self.stem, generator)

    def embed_patches(self, x):
        """Map windows (B, C, T) to tokens (B, N_MIXED, P, D)."""
        return super().embed_patches(self.stem(x.transpose(1, 2)).transpose(1, 2))


def reset(layer, generator):
    """Draw the values of a layer as torch does, from a generator."""
    with torch.no_grad():
        bound = layer.weight[0].numel() ** -0.5
        for parameter in layer.parameters():
            parameter.uniform_(-bound, bound, generator=generator)


class _StemClassifier(TinyMyoClassifier):
    encoder = None

    def _load_encoder(self, seed, dropout=0.0):
        plain, card, source = super()._load_encoder(seed, dropout)
        generator = torch.Generator().manual_seed(seed)
        module = self.encoder(plain.config, self.n_channels_in_, generator)
        with torch.no_grad():
            module.channel_embed.copy_(plain.channel_embed)
        return module, card, source

    def _outputs(self, X):
        # The fast path of the package knows no stems.
        runner = self._get_runner()
        with torch.inference_mode():
            return runner.module(runner.scaler.to_tensor(X)).numpy()


class StridedClassifier(_StemClassifier):
    """Student with a convolution of stride 5 over every channel."""

    encoder = _Strided


class MixedClassifier(_StemClassifier):
    """Student that sees four weighted sums of its channels."""

    encoder = _Mixed

    def _new_head(self, generator):
        n_classes, width = len(self.classes_), self.config_.embed_dim
        return ClassificationHead(width, N_MIXED, n_classes, generator=generator)


STEMS = {"strided": StridedClassifier, "mixed": MixedClassifier}
