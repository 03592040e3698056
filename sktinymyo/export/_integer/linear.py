"""What all integer networks have in common when they run in numpy."""

from .arithmetic import clamp, exact_matmul, requantise

__all__ = ["LinearRun"]


class LinearRun:
    """Linear maps and the head of a program, over a few windows.

    Parameters
    ----------
    program : IntegerProgram
        Its constants.
    kept : dict of str to list or None
        Takes the results of all layers for a trace.
    """

    def __init__(self, program, kept):
        self.shape, self.arrays, self.kept = program.shape, program.arrays, kept

    def keep(self, name, values):
        """Remember a result for the trace and return it."""
        if self.kept is not None:
            self.kept[name].append(values)
        return values

    def accumulate(self, name, x):
        """Return the int32 sums of a linear map of int8 values, as int64."""
        weight = self.arrays[f"{name}.weight"]
        flat = exact_matmul(x.reshape(-1, x.shape[-1]), weight.T, 128 * 127)
        flat += self.arrays[f"{name}.bias"]
        return flat.reshape(*x.shape[:-1], len(weight))

    def linear(self, name, x):
        """Return the requantised sums of a linear map, not yet clamped."""
        multiplier = self.arrays[f"{name}.multiplier"]
        return requantise(
            self.accumulate(name, x), multiplier, self.arrays[f"{name}.shift"]
        )

    def head(self, total):
        """Return pooled values (B, n) and logits (B, K) of sums (B, n)."""
        pooled = requantise(
            total, self.arrays["pool.multiplier"], self.arrays["pool.shift"]
        )
        pooled = clamp(pooled, 16)
        logits = exact_matmul(pooled, self.arrays["head.weight"].T, 2**15 * 127)
        logits += self.arrays["head.bias"]
        logits = requantise(
            logits, self.arrays["head.multiplier"], self.arrays["head.shift"]
        )
        return pooled, clamp(logits, 32)
