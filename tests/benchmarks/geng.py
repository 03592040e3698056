"""A network shaped like that of Geng et al. (2016), to compare with.

W. Geng et al., "Gesture recognition by instantaneous surface EMG images", Scientific
Reports 6:36571, 2016: two convolutions of 64 filters of 3 x 3, two locally connected
layers of 64 filters of 1 x 1, fully connected layers of 512, 512 and 128, BatchNorm at
the input and before every ReLU, dropout of a half behind the fourth to the sixth layer.
Written from that description; it is trained here with the recipe of
AllConvNetClassifier, not that of its authors.
"""

import copy

import torch
from torch import nn

from sktinymyo import AllConvNetClassifier
from sktinymyo.nn import Dropout


class LocallyConnected(nn.Module):
    """A 1 x 1 convolution with other weights in every cell."""

    def __init__(self, n_filters, rows, columns, generator):
        super().__init__()
        shape = (rows, columns, n_filters, n_filters)
        deviation = (2 / n_filters) ** 0.5
        self.weight = nn.Parameter(
            torch.empty(shape).normal_(0, deviation, generator=generator)
        )
        self.bias = nn.Parameter(torch.zeros(n_filters, rows, columns))

    def forward(self, maps):
        """Map (B, n, R, C) to (B, n, R, C)."""
        return torch.einsum("bnrc,rcnm->bmrc", maps, self.weight) + self.bias


class GengNet(nn.Module):
    """Input: images (B, R, C). Output: logits (B, n_classes)."""

    def __init__(self, config, generator):
        super().__init__()
        self.config = config
        rows, columns = config.rows, config.columns
        self.layers = nn.Sequential(
            nn.BatchNorm2d(1),
            nn.Conv2d(1, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            LocallyConnected(64, rows, columns, generator),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            LocallyConnected(64, rows, columns, generator),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            Dropout(0.5),
            nn.Flatten(),
            nn.Linear(64 * rows * columns, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            Dropout(0.5),
            nn.Linear(512, 512),
            nn.BatchNorm1d(512),
            nn.ReLU(),
            Dropout(0.5),
            nn.Linear(512, 128),
            nn.BatchNorm1d(128),
            nn.ReLU(),
            nn.Linear(128, config.n_classes),
        )
        for layer in self.layers:
            if isinstance(layer, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(
                    layer.weight, nonlinearity="relu", generator=generator
                )
                nn.init.zeros_(layer.bias)

    @property
    def n_products(self):
        """Multiplications of the widest layer for one image."""
        return self.config.rows * self.config.columns * 9 * 64 * 64

    def fold(self):
        """Return a copy for prediction."""
        return copy.deepcopy(self).eval()

    def forward(self, images):
        """Map images to logits."""
        return self.layers(images.unsqueeze(1))


class GengClassifier(AllConvNetClassifier):
    """AllConvNetClassifier with the other network."""

    def _new_module(self, generator):
        return GengNet(self.config_, generator)
