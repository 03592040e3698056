"""Constants that all integer networks have: scales, linear maps, the head."""

import numpy as np

from .arithmetic import multiplier_of
from .program import IntegerProgram
from .ranges import asymmetric_range, symmetric_scale, weight_scales

__all__ = ["Constants"]

# The stream and the pooled values have 16 bits: room for windows that are stronger than
# those of the calibration costs no accuracy.
_HEADROOM_16_BITS = 2.0
_MOST_BIAS = 2.0**29
_MOST_HEAD_BIAS = 2.0**38
_LOGIT = 2.0**-16


class Constants:
    """The constants of one program, layer after layer.

    Parameters
    ----------
    model : ExportedModel or ExportedImages
        The network, with what stands before and behind it.
    statistics : Statistics
        Values of its layers on real windows.
    percentile : float or None
        Share of the values of an int8 tensor that its range holds, in percent; None
        takes the range of the least squared error.

    Attributes
    ----------
    arrays : dict of str to ndarray
        Constants so far.
    scales, zeros : dict of str to float, dict of str to int
        Steps and zero points of tensors so far.
    """

    def __init__(self, model, statistics, percentile):
        self.model, self.statistics = model, statistics
        self.percentile = percentile
        self.arrays, self.scales, self.zeros = {}, {}, {}

    def finish(self, shape):
        """Return the program of what was stored."""
        return IntegerProgram(
            shape=shape,
            arrays={name: np.asarray(array) for name, array in self.arrays.items()},
            preprocess=self.model.preprocess,
            scales=self.scales,
            zeros=self.zeros,
            classes=self.model.classes.tolist(),
            metadata=self.metadata(),
        )

    def metadata(self):
        """Say where the program comes from."""
        card = self.model.card
        return {
            "steps": list(self.model.steps),
            "probabilities": self.model.probabilities,
            "weights": None if card is None else card.name,
            "licence": None if card is None else card.licence,
        }

    def symmetric(self, name):
        """Set the step of an int8 tensor with the zero point 0, and return it."""
        step = symmetric_scale(
            self.statistics.samples[name],
            self.statistics.largest(name),
            percentile=self.percentile,
        )
        self.scales[name], self.zeros[name] = step, 0
        return step

    def asymmetric(self, name, floor=-np.inf):
        """Set step and zero point of an int8 tensor, and return them.

        Values below `floor` may be clipped without harm.
        """
        step, zero = asymmetric_range(
            np.maximum(self.statistics.samples[name], np.float32(floor)),
            max(self.statistics.lowest[name], floor),
            max(self.statistics.highest[name], floor),
            percentile=self.percentile,
        )
        self.scales[name], self.zeros[name] = step, zero
        return step, zero

    def wide(self, name):
        """Set the step of a 16-bit tensor."""
        largest = self.statistics.largest(name) * _HEADROOM_16_BITS
        self.scales[name] = largest / 32767 if largest > 1e-30 else 1.0

    def factor(self, name, value):
        """Store a requantisation."""
        self.arrays[f"{name}multiplier"], self.arrays[f"{name}shift"] = multiplier_of(
            value
        )

    def input(self, step):
        """Quantise the samples; the scaling of the channels is part of it."""
        self.scales["input"], self.zeros["input"] = step, 0
        scale = 1 / (self.model.scale * step)
        self.arrays["input.scale"] = scale.astype(np.float32)
        self.arrays["input.offset"] = (-self.model.center * scale).astype(np.float32)
        self.arrays["input.zero"] = np.int32(0)

    def linear(self, name, weight, bias, source, step_out, inputs=None):
        """Store a linear map from the int8 tensor `source`.

        `inputs` names the samples of what is multiplied, if that is not `source` row
        by row.
        """
        step_in, zero = self.scales[source], self.zeros[source]
        inputs = self.statistics.samples[inputs or source] / step_in
        # The offsets must fit int32, and the requantisation its multiplier.
        least = np.maximum(np.abs(bias) / _MOST_BIAS, step_out * 2.0**-30)
        rows, offsets, steps = _rounded(weight * step_in, bias, inputs, least)
        offsets -= zero * rows.sum(axis=1)
        self.arrays[f"{name}.weight"] = rows.astype(np.int8)
        self.arrays[f"{name}.bias"] = offsets.astype(np.int32)
        self.factor(f"{name}.", steps / step_out)

    def pool_and_head(self, source, n_summed):
        """Store the mean of a layer over so many rows, and the map to the logits."""
        model = self.model
        self.wide("pool")
        step = self.scales["pool"]
        self.factor("pool.", self.scales[source] / (n_summed * step))
        pooled = self.statistics.samples["pool"] / step
        weight, bias = model.head_weight * step, model.head_bias
        least = np.abs(bias) / _MOST_HEAD_BIAS
        rows, offsets, steps = _rounded(weight, bias, pooled, least)
        self.arrays["head.weight"] = rows.astype(np.int8)
        self.arrays["head.bias"] = offsets.astype(np.int64)
        multiplier, shift = multiplier_of(steps / _LOGIT, bits=20)
        self.arrays["head.multiplier"], self.arrays["head.shift"] = multiplier, shift
        self.scales["head"] = _LOGIT


def _rounded(weight, bias, inputs, least):
    """Return rows of int8 weights, their offsets, and the step of every row's sums.

    What rounding the weights adds on average is taken out of the offsets, so that
    only the variance of the inputs counts for the choice of the steps.
    """
    inputs = inputs.astype(np.float64)
    steps = weight_scales(weight, inputs.var(axis=0), least)
    exact = weight / steps[:, np.newaxis]
    rows = np.clip(np.rint(exact), -127, 127)
    offsets = np.rint(bias / steps + (exact - rows) @ inputs.mean(axis=0))
    return rows, offsets, steps
