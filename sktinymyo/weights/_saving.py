"""Writing weights in the format of the package."""

import json
from collections.abc import Mapping

import numpy as np
import torch

from .._files import check_target_file
from ..exceptions import WeightsError
from ..nn.tinymyo import TinyMyo, TinyMyoConfig
from ._architecture import read_settings, recognise
from ._loading import (
    FORMAT,
    HEADER_KEY,
    LoadedWeights,
    check_finite,
    check_rotary_tables,
)
from ._registry import plain_name
from ._safetensors import TensorSpec, write_file
from .cards import WeightsCard

__all__ = ["save_weights"]

PRECISIONS = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
_DTYPE_NAMES = {
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float64: "F64",
}


def save_weights(
    path, model, config=None, card=None, *, n_times_out=None, precision="float32"
):
    """Write weights, their configuration and their card to one file.

    The file is written beside its target and then renamed: when anything fails, an
    older file of that name is still whole. The same weights and card always make
    the same bytes.

    Parameters
    ----------
    path : str or path
        Target, ending in .safetensors, in a folder that exists.
    model : TinyMyo, LoadedWeights or dict of str to tensor
        The weights; a dictionary is checked as strictly as a file is.
    config : TinyMyoConfig or None, default=None
        Shape of the encoder; None takes it from `model`, or from the shapes of a
        dictionary.
    card : WeightsCard or None, default=None
        Origin and licence; None takes it from LoadedWeights, and is otherwise a card
        that states nothing but a name. Weights derived from others need the card of
        those: their licence goes on to hold.
    n_times_out : int or None, default=None
        Length of a regression head's output; None takes it from `model`.
    precision : {"float32", "float16", "bfloat16"}, default="float32"
        Type of the tensors in the file; loading makes them float32 again. Half the
        size keeps 11 significant bits of 24 with float16 and 8 with bfloat16.

    Returns
    -------
    card : WeightsCard
        The card as :func:`load_weights` will return it, with the checksum.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as described.
    WeightsError
        If the tensors do not make a whole network or are not finite (which values
        above 65504 are not in float16).

    See Also
    --------
    load_weights : The way back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.nn import TinyMyo, TinyMyoConfig
    >>> from sktinymyo.weights import WeightsCard, save_weights
    >>> model = TinyMyo(TinyMyoConfig(embed_dim=64, depth=1, n_heads=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = save_weights(
    ...         Path(folder) / "small.safetensors", model,
    ...         card=WeightsCard(name="small", licence="CC0-1.0", sharing=True),
    ...     )
    >>> print(card.summary())
    small: positions per-channel; licence CC0-1.0; sha256 ...
    """
    path = check_target_file(path, ".safetensors")
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision={precision!r} is not accepted; pass one of: "
            f"{', '.join(map(repr, PRECISIONS))}."
        )
    tensors, config, card, n_times_out = _take_apart(model, config, card, n_times_out)
    if card is None:
        card = WeightsCard(name=plain_name(path.stem))
    settings = read_settings(_plain({"n_times_out": n_times_out}), "save_weights")
    if config is not None:
        settings |= read_settings(_plain(config.to_dict()), "config")
    specs = {name: _specify(tensor) for name, tensor in tensors.items()}
    layout = recognise(specs, settings, "model")
    check_rotary_tables("model", specs, layout, tensors)
    state = {
        ours: tensors[theirs].detach().to("cpu", PRECISIONS[precision]).contiguous()
        for ours, theirs in layout.names.items()
    }
    check_finite(state, f"model (in {precision})")
    stored = dict.fromkeys(("sha256", "generation")) | {"config": {}}
    header = {
        "format": FORMAT,
        "config": layout.config.to_dict()
        | {"n_times_out": layout.head_options.get("n_times_out")},
        "card": card.replace(**stored).to_dict(),
    }
    # Tensors that share memory cannot be stored, and views would keep all of it.
    state = {name: tensor.clone() for name, tensor in state.items()}
    sha256 = write_file(path, state, {HEADER_KEY: json.dumps(header, sort_keys=True)})
    return card.replace(
        source=card.source or f"local file {path.name}",
        sha256=sha256,
        generation=layout.config.position,
        config=layout.config.to_dict(),
    )


def _take_apart(model, config, card, n_times_out):
    """Return tensors, configuration, card and output length of whatever it is."""
    for name, value, kind in (
        ("config", config, TinyMyoConfig),
        ("card", card, WeightsCard),
    ):
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{name} must be a {kind.__name__} or None; got {type(value).__name__}."
            )
    if isinstance(model, LoadedWeights):
        card = model.card if card is None else card
        config = model.config if config is None else config
        if n_times_out is None:
            n_times_out = model.head_options.get("n_times_out")
        return model.state, config, card, n_times_out
    if isinstance(model, TinyMyo):
        config = model.config if config is None else config
        if n_times_out is None:
            n_times_out = getattr(model.model_head, "n_times_out", None)
        return model.state_dict(), config, card, n_times_out
    if isinstance(model, Mapping):
        try:
            tensors = {name: torch.as_tensor(value) for name, value in model.items()}
        except (TypeError, ValueError, RuntimeError) as error:
            raise WeightsError(f"model holds something else: {error}.") from error
        if not all(isinstance(name, str) for name in tensors):
            raise WeightsError("model must name its tensors with texts.")
        return tensors, config, card, n_times_out
    raise TypeError(
        "model must be a TinyMyo, what load_weights returns, or a dictionary of "
        f"tensors; got {type(model).__name__}."
    )


def _plain(fields):
    """Make plain numbers of numpy's, which JSON cannot hold."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in fields.items()
    }


def _specify(tensor):
    dtype = _DTYPE_NAMES.get(tensor.dtype, str(tensor.dtype))
    return TensorSpec(dtype, tuple(tensor.shape))
