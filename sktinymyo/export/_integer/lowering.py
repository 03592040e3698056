"""From the float network and its statistics to the constants of the program.

Every tensor has one scale, every row of weights its own. Scales per channel (of the
outputs of a LayerNorm, of queries and keys by pairs, of values), balanced against the
weights behind them, were tried on real recordings and gained nothing; what gained
is the choice of the input's scale (`input_step`), ranges that clip next to nothing
(the least squared error clips strong windows), and the correction of the offsets
(`constants.py`).
"""

import numpy as np

from .arithmetic import EXP_STEPS_PER_NAT, exp_table, gelu_table, rotation_table
from .constants import Constants
from .image_lowering import ImageLowering, image_shape_of
from .program import ProgramShape
from .ranges import clipping_scales

__all__ = ["lower", "shape_of"]

# Of every LayerNorm of the network.
_EPSILON = 1e-5
_GELU_IS_ZERO_BELOW = -4.0


def shape_of(model):
    """Return the sizes of the program of a model.

    Parameters
    ----------
    model : ExportedModel or ExportedImages

    Returns
    -------
    shape : ProgramShape or ImageShape
    """
    if model.kind == "images":
        return image_shape_of(model)
    config, n_patches = model.config, model.n_patches
    n_tokens = model.n_channels * n_patches
    lengths = {"per-channel": n_patches, "flat": n_tokens, "none": 1}
    return ProgramShape(
        n_channels=model.n_channels,
        n_times=model.n_times,
        patch_size=config.patch_size,
        n_patches=n_patches,
        embed_dim=config.embed_dim,
        n_heads=config.n_heads,
        head_dim=config.head_dim,
        mlp_dim=config.mlp_dim,
        depth=config.depth,
        n_classes=len(model.head_weight),
        pooling=model.pooling,
        position=config.position,
        table_length=lengths[config.position],
    )


def lower(model, statistics, *, percentile=99.995):
    """Compute the integer program of a model.

    Parameters
    ----------
    model : ExportedModel or ExportedImages
        The network, with what stands before and behind it.
    statistics : Statistics
        Values of its layers on real windows.
    percentile : float or None, default=99.995
        Share of the values of an int8 tensor that its range holds, in percent; None
        takes the range of the least squared error.

    Returns
    -------
    program : IntegerProgram
    """
    kind = ImageLowering if model.kind == "images" else _Lowering
    return kind(model, statistics, percentile).program()


class _Lowering(Constants):
    """The constants of the program of an encoder."""

    def __init__(self, model, statistics, percentile):
        super().__init__(model, statistics, percentile)
        # The tensor that the next layer adds to, or normalises.
        self.stream = "patch"
        self.shape = shape_of(model)
        self.state = {
            name: tensor.detach().cpu().numpy().astype(np.float64)
            for name, tensor in model.encoder.state_dict().items()
        }

    def program(self):
        """Return the program."""
        self.input(self.input_step())
        self.patch_map()
        self.tables()
        for number in range(self.shape.depth):
            self.attention(number)
            self.mlp(number)
        self.norm("norm")
        n_summed = self.shape.n_patches
        if self.shape.pooling == "mean":
            n_summed *= self.shape.n_channels
        self.pool_and_head("norm", n_summed)
        return self.finish(self.shape)

    # -- layers ----------------------------------------------------------------

    def input_step(self):
        """Return the step of the samples with the least error behind the LayerNorm.

        LayerNorm makes weak patches as large as strong ones, so that the error of the
        samples themselves would give a step too coarse for weak contractions.
        """
        statistics = self.statistics
        samples = statistics.samples["input"].astype(np.float64)
        tokens = statistics.samples["patch"].astype(np.float64)
        weight = self.patch_weight()
        target, best = _normalised(tokens), (np.inf, 1.0)
        for step in clipping_scales(statistics.largest("input")):
            rounded = np.clip(np.rint(samples / step), -128, 127) * step
            changed = tokens + (rounded - samples) @ weight.T
            error = float(np.square(_normalised(changed) - target).mean())
            best = min(best, (error, step))
        return best[1]

    def patch_weight(self):
        """Return the patch map (D, patch_size)."""
        weight = self.state["patch_embedding.patch_embed.proj.weight"]
        return weight.reshape(self.shape.embed_dim, self.shape.patch_size)

    def patch_map(self):
        """Map patches to the stream, and store the channel vectors in its steps."""
        shape, state = self.shape, self.state
        self.wide("patch")
        bias = state["patch_embedding.patch_embed.proj.bias"]
        step = self.scales["patch"]
        self.linear("patch", self.patch_weight(), bias, "input", step)
        vectors = np.zeros((shape.n_channels, shape.embed_dim))
        if shape.position == "per-channel":
            learned = state["channel_embed"][0, :, 0]
            vectors = learned[np.arange(shape.n_channels) % len(learned)]
        steps = np.rint(vectors / self.scales["patch"])
        self.arrays["channel_vectors"] = np.clip(steps, -32768, 32767).astype(np.int16)

    def tables(self):
        """Store what depends on no weights."""
        positions = np.arange(self.shape.table_length)
        if self.shape.position == "none":
            positions = np.zeros(1)
        self.arrays["rotation"] = rotation_table(
            positions, self.shape.head_dim, self.model.config.rotary_base
        )
        self.arrays["exp_table"] = exp_table()

    def norm(self, name):
        """Store a LayerNorm of the stream."""
        step, zero = self.asymmetric(name)
        gain, offset = self.state[f"{name}.weight"], self.state[f"{name}.bias"]
        factors = gain / (4096 * step)
        largest = np.abs(factors).max()
        shift = 30 - int(np.frexp(largest)[1]) if largest > 0 else 30
        # The sum of a product of 48 bits and the offset stays below 63 bits.
        shift = int(np.clip(shift, 1, 45))
        epsilon = _EPSILON * (self.shape.embed_dim / self.scales[self.stream]) ** 2
        self.arrays[f"{name}.gain"] = np.rint(factors * 2.0**shift).astype(np.int32)
        offsets = np.rint(offset / step * 2.0**shift)
        self.arrays[f"{name}.offset"] = offsets.astype(np.int64)
        self.arrays[f"{name}.shift"] = np.int32(shift)
        self.arrays[f"{name}.zero"] = np.int32(zero)
        self.arrays[f"{name}.epsilon"] = np.uint64(min(round(epsilon), 1 << 60))

    def add(self, name, module, source):
        """Store a linear map whose result is added to the stream."""
        self.wide(name)
        step = self.scales[name]
        weight, bias = self.state[f"{module}.weight"], self.state[f"{module}.bias"]
        self.linear(name, weight, bias, source, step)
        self.factor(f"{name}.skip_", self.scales[self.stream] / step)
        self.stream = name

    def attention(self, number):
        """Store the first half of a block."""
        block = f"blocks.{number}"
        source, mixed = f"{block}.norm1", f"{block}.attention"
        self.norm(source)
        weights = np.split(self.state[f"{block}.attn.qkv.weight"], 3)
        biases = np.split(self.state[f"{block}.attn.qkv.bias"], 3)
        steps = {}
        for part, weight, bias in zip(
            ("query", "key", "value"), weights, biases, strict=True
        ):
            steps[part] = self.symmetric(f"{block}.{part}")
            finer = 1 if part == "value" else 64
            self.linear(f"{block}.{part}", weight, bias, source, steps[part] / finer)
        score = steps["query"] * steps["key"] / np.sqrt(self.shape.head_dim)
        self.factor(f"{mixed}.exp_", score * EXP_STEPS_PER_NAT)
        step = self.symmetric(mixed)
        self.factor(f"{mixed}.out_", steps["value"] / (256 * step))
        self.add(f"{block}.projection", f"{block}.attn.proj", mixed)

    def mlp(self, number):
        """Store the second half of a block."""
        block = f"blocks.{number}"
        hidden = f"{block}.hidden"
        self.norm(f"{block}.norm2")
        step_in, zero_in = self.asymmetric(f"{block}.before", _GELU_IS_ZERO_BELOW)
        weight = self.state[f"{block}.mlp.fc1.weight"]
        bias = self.state[f"{block}.mlp.fc1.bias"]
        self.linear(hidden, weight, bias, f"{block}.norm2", step_in)
        self.arrays[f"{hidden}.zero"] = np.int32(zero_in)
        step, zero = self.asymmetric(hidden)
        self.arrays[f"{block}.gelu"] = gelu_table(step_in, zero_in, step, zero)
        self.add(f"{block}.output", f"{block}.mlp.fc2", hidden)


def _normalised(tokens):
    """Return tokens with zero mean and unit variance, as LayerNorm sees them."""
    tokens = tokens - tokens.mean(axis=1, keepdims=True)
    return tokens / np.sqrt(np.square(tokens).mean(axis=1, keepdims=True) + _EPSILON)
