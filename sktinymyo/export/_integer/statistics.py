"""Samples and extremes of the layers of a network."""

from dataclasses import dataclass, field

import numpy as np

__all__ = ["Statistics"]


@dataclass
class Statistics:
    """Samples and extremes of the tensors of a network.

    Parameters
    ----------
    samples : dict of str to ndarray of float32, shape (n_tokens, width)
        Tokens drawn evenly from the calibration windows, by layer.
    lowest, highest : dict of str to float
        Extremes over all tokens.
    """

    samples: dict = field(default_factory=dict)
    lowest: dict = field(default_factory=dict)
    highest: dict = field(default_factory=dict)

    def largest(self, name):
        """Return the largest absolute value of a layer."""
        return max(abs(self.lowest[name]), abs(self.highest[name]))

    def add(self, name, values, kept):
        """Take the extremes of the values of a batch, and keep some rows of them.

        Raises
        ------
        ValueError
            If a value is not finite.
        """
        low, high = float(values.min()), float(values.max())
        if not np.isfinite([low, high]).all():
            raise ValueError(
                f"the layer {name!r} of the network gives NaN or infinity on the "
                "calibration windows; look for broken weights or samples of extreme "
                "size."
            )
        self.lowest[name] = min(low, self.lowest.get(name, low))
        self.highest[name] = max(high, self.highest.get(name, high))
        self.samples.setdefault(name, []).append(kept)

    def joined(self):
        """Return the same with the rows of all batches in one array."""
        samples = {name: np.concatenate(rows) for name, rows in self.samples.items()}
        return Statistics(samples, self.lowest, self.highest)
