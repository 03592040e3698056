"""Recognising a TinyMyo network from the names and shapes of its tensors.

Three generations of checkpoints are in circulation that differ in how tokens
know their position, and so in their numbers; only the tensors tell which one a
file belongs to.
"""

import math
import re
from collections import Counter
from dataclasses import dataclass, field

from ..exceptions import WeightsError
from ..nn.tinymyo import TinyMyoConfig
from ._safetensors import shown

__all__ = ["Layout", "expected_shapes", "read_settings", "recognise"]

DTYPES = ("F32", "F16", "BF16")
POSITIONS = ("per-channel", "none", "flat")
HEADS = {
    "decoder_pred": "reconstruction",
    "classifier": "classification",
    "regressor": "regression",
}
_PREFIX = "model."
_BLOCK = re.compile(r"blocks\.(\d{1,4})\.")
_PATCH_MAP = "patch_embedding.patch_embed.proj"
_CLASSIFIER = "model_head.classifier"
_REGRESSOR = "model_head.regressor"
# An encoder has some hundred tensors; longer lists are a different network.
_MAX_LISTED = 400

# Our names of settings, and those that config.json files of other code use.
_ALIASES = {
    "embed_dim": ("embed_dim",),
    "depth": ("depth", "n_layer"),
    "n_heads": ("n_heads", "n_head", "num_heads"),
    "mlp_ratio": ("mlp_ratio",),
    "patch_size": ("patch_size",),
    "position": ("position",),
    "n_channel_embeddings": ("n_channel_embeddings",),
    "dropout": ("dropout",),
    "attention_dropout": ("attention_dropout",),
    "drop_path": ("drop_path",),
    "rotary_base": ("rotary_base",),
    "n_channels": ("n_channels", "in_chans"),
    "n_outputs": ("n_outputs", "n_classes", "num_classes"),
    "n_times_out": ("n_times_out", "reg_target_len"),
}
_REAL = ("mlp_ratio", "dropout", "attention_dropout", "drop_path", "rotary_base")
_LARGEST_REAL = 1e12


@dataclass(frozen=True)
class Layout:
    """What a file holds.

    Attributes
    ----------
    config : TinyMyoConfig
        Shape of the encoder.
    head : {"reconstruction", "classification", "regression"} or None
        Kind of the head.
    head_options : dict
        Arguments of the head beside `embed_dim` and `patch_size`.
    names : dict of str to str
        Name in the file by our name, for every tensor to load.
    rotary_tables : list of str
        Names in the file of the tables to check and drop.
    """

    config: TinyMyoConfig
    head: str | None
    head_options: dict
    names: dict
    rotary_tables: list = field(default_factory=list)


def expected_shapes(config, head=None, head_options=None):
    """Name and shape of every tensor of a network.

    Parameters
    ----------
    config : TinyMyoConfig
        Shape of the encoder.
    head : str or None, default=None
        Kind of the head.
    head_options : dict or None, default=None
        As in :class:`Layout`.

    Returns
    -------
    shapes : dict of str to tuple
        In the order of the network.
    """
    width, hidden = config.embed_dim, config.mlp_dim
    shapes = {"mask_token": (1, 1, width)}
    if config.position == "per-channel":
        shapes["channel_embed"] = (1, config.n_channel_embeddings, 1, width)

    def add(name, *weight, bias=None):
        shapes[f"{name}.weight"] = weight
        shapes[f"{name}.bias"] = (weight[0] if bias is None else bias,)

    add(_PATCH_MAP, width, 1, 1, config.patch_size)
    for index in range(config.depth):
        block = f"blocks.{index}"
        add(f"{block}.norm1", width)
        add(f"{block}.attn.qkv", 3 * width, width)
        add(f"{block}.attn.proj", width, width)
        add(f"{block}.norm2", width)
        add(f"{block}.mlp.fc1", hidden, width)
        add(f"{block}.mlp.fc2", width, hidden)
    add("norm", width)
    if head == "reconstruction":
        add("model_head.decoder_pred", config.patch_size, width)
    elif head == "classification":
        n_inputs = head_options["n_channels"] * width
        add(_CLASSIFIER, head_options["n_classes"], n_inputs)
    elif head == "regression":
        n_inputs = head_options["n_channels"] * width
        n_hidden = head_options["n_hidden"]
        add(f"{_REGRESSOR}.0", n_hidden, n_inputs, 1)
        add(f"{_REGRESSOR}.3", n_hidden, 1, 3)
        add(f"{_REGRESSOR}.5", head_options["n_outputs"], n_hidden, 1)
    return shapes


def read_settings(fields, origin):
    """Pick the settings out of a config.json or of a header.

    Parameters
    ----------
    fields : dict
        As parsed; fields that say nothing about the network are passed over.
    origin : str
        Where they are from, for messages.

    Returns
    -------
    settings : dict
        By our names, of the right types.

    Raises
    ------
    WeightsError
        If a setting has the wrong type or range.
    """
    settings = {}
    for name, aliases in _ALIASES.items():
        for alias in aliases:
            value = fields.get(alias)
            if value is None:
                continue
            if name == "position":
                fine = value in POSITIONS if isinstance(value, str) else False
            elif name in _REAL:
                # Whole numbers may be too long for a float; NaN compares as false.
                fine = type(value) in (int, float) and abs(value) <= _LARGEST_REAL
            else:
                fine = type(value) is int and 0 <= value <= 10**6
            if not fine:
                raise WeightsError(f"{origin}: {alias}={value!r} is not acceptable.")
            settings[name] = float(value) if name in _REAL else value
            break
    return settings


def recognise(specs, settings, origin):
    """Work out the network that a set of tensors belongs to.

    Parameters
    ----------
    specs : dict of str to TensorSpec
        Type and shape of every tensor.
    settings : dict
        What is stated beside the tensors, from :func:`read_settings`; it fills in
        what shapes cannot say and must not contradict them.
    origin : str
        Name of the file, for messages.

    Returns
    -------
    layout : Layout

    Raises
    ------
    WeightsError
        Listing every missing, unexpected and misshapen tensor, and every
        contradiction between the settings and the tensors.
    """
    prefix = _PREFIX if any(name.startswith(_PREFIX) for name in specs) else ""
    names = {name[len(prefix) :]: name for name in specs if name.startswith(prefix)}
    strangers = [name for name in specs if not name.startswith(prefix)]
    shapes = {ours: specs[theirs].shape for ours, theirs in names.items()}
    if not _looks_familiar(shapes):
        raise WeightsError(_unfamiliar(specs, origin))

    problems = _Problems(origin)
    for name, spec in specs.items():
        if spec.dtype not in DTYPES:
            problems.add(
                "of a type other than F32, F16, BF16",
                f"{shown(name)}: {shown(spec.dtype)}",
            )
    tables = sorted(name for name in shapes if _is_rotary_table(name))
    config = _make_config(shapes, settings, tables, problems)
    head, head_options = _find_head(shapes, settings, config, problems)

    expected = expected_shapes(config, head, head_options)
    if tables:
        for index in range(config.depth):
            expected[_rotary_table(index)] = (config.head_dim // 2,)
    for name, shape in expected.items():
        if name not in shapes:
            problems.add("missing", f"{prefix}{name}: expected {shape}")
        elif shapes[name] != shape:
            problems.add(
                "misshapen", f"{prefix}{name}: expected {shape}, found {shapes[name]}"
            )
    for name in sorted([names[name] for name in shapes if name not in expected]):
        problems.add("unexpected", f"{shown(name)}: found {specs[name].shape}")
    for name in sorted(strangers):
        problems.add(
            "unexpected", f"{shown(name)}: found {specs[name].shape}, not below model."
        )
    problems.raise_if_any(config)
    return Layout(
        config,
        head,
        head_options,
        {name: names[name] for name in expected if name not in tables},
        [names[name] for name in tables],
    )


class _Problems:
    """Everything that is wrong with a set of tensors, by kind."""

    def __init__(self, origin):
        self.origin = origin
        self.by_kind = {}

    def add(self, kind, text):
        self.by_kind.setdefault(kind, []).append(text)

    def raise_if_any(self, config):
        if self.by_kind:
            raise self.error(config.to_dict())

    def error(self, fields):
        lines = [
            f"{self.origin} does not fit TinyMyo ({fields['depth']} blocks of width "
            f"{fields['embed_dim']}, position={fields['position']!r}):"
        ]
        for kind, texts in self.by_kind.items():
            lines.append(f"  {kind} ({len(texts)}):")
            lines += [f"    {text}" for text in texts[:_MAX_LISTED]]
            if len(texts) > _MAX_LISTED:
                lines.append(f"    and {len(texts) - _MAX_LISTED} more")
        return WeightsError("\n".join(lines))


def _looks_familiar(shapes):
    marks = ("mask_token", "channel_embed", f"{_PATCH_MAP}.weight")
    return any(name in shapes for name in marks) or any(map(_BLOCK.match, shapes))


def _unfamiliar(specs, origin):
    """Explain a file without any name of TinyMyo, usually a foreign prefix."""
    first = ", ".join(map(shown, sorted(specs)[:10])) or "no tensors"
    hint = ""
    for name in specs:
        if name.endswith(f"{_PATCH_MAP}.weight"):
            prefix = name.removesuffix(f"{_PATCH_MAP}.weight")
            hint = (
                f" The prefix '{shown(prefix)}' is not accepted, only 'model.' or "
                "none: save the tensors again without it."
            )
    return (
        f"{origin} holds no TinyMyo network: none of mask_token, channel_embed, "
        f"{_PATCH_MAP} and blocks.* is in it. It holds {first}"
        f"{', ...' if len(specs) > 10 else ''}.{hint}"
    )


def _rotary_table(index):
    return f"blocks.{index}.attn.rotary_emb.freqs"


def _is_rotary_table(name):
    match = _BLOCK.match(name)
    return match is not None and name == _rotary_table(match[1])


def _most_common(values, default):
    """Return the value that most tensors agree on: a damaged one has no say."""
    counts = Counter(value for value in values if value >= 1)
    return counts.most_common(1)[0][0] if counts else default


def _lengths(shapes, ending, axis, n_axes):
    return [
        shape[axis]
        for name, shape in shapes.items()
        if name.endswith(ending) and len(shape) == n_axes
    ]


def _make_config(shapes, settings, tables, problems):
    default = TinyMyoConfig()
    width = _most_common(
        [
            *_lengths(shapes, "norm.weight", 0, 1),
            *_lengths(shapes, "norm1.weight", 0, 1),
            *_lengths(shapes, "attn.proj.weight", 0, 2),
            *_lengths(shapes, "mask_token", 2, 3),
        ],
        settings.get("embed_dim", default.embed_dim),
    )
    stated_ratio = settings.get("mlp_ratio", default.mlp_ratio)
    hidden = _most_common(
        _lengths(shapes, "mlp.fc1.weight", 0, 2), max(1, int(width * stated_ratio))
    )
    found = {
        "embed_dim": width,
        "depth": _depth(shapes),
        "patch_size": _most_common(
            _lengths(shapes, f"{_PATCH_MAP}.weight", 3, 4), default.patch_size
        ),
        "mlp_ratio": _ratio(hidden, width, stated_ratio),
        "position": _position(shapes, settings, tables, problems),
    }
    if found["position"] == "per-channel":
        found["n_channel_embeddings"] = _most_common(
            _lengths(shapes, "channel_embed", 1, 4), default.n_channel_embeddings
        )
    for name, value in found.items():
        stated = settings.get(name, value)
        if stated != value:
            problems.add(
                "contradicted by the settings stated with it",
                f"{name}: stated {stated!r}, the tensors say {value!r}",
            )
    fields = {
        name: value for name, value in settings.items() if hasattr(default, name)
    } | found
    fields["n_heads"] = _n_heads(width, shapes, settings, tables, problems)
    try:
        return TinyMyoConfig(**fields)
    except ValueError as error:
        problems.add("settings no network can have", str(error))
    # Some configuration is needed to list what is wrong with the tensors, too.
    try:
        return TinyMyoConfig(**found | {"n_heads": 1})
    except ValueError:
        raise problems.error(found) from None


def _depth(shapes):
    indices = {int(match[1]) for match in map(_BLOCK.match, shapes) if match}
    # Counting up to a far-away index would list thousands of missing blocks.
    if indices and max(indices) < 2 * len(indices) + 8:
        return max(indices) + 1
    return len(indices)


def _ratio(hidden, width, stated):
    # The network truncates width * ratio. So several ratios give one width, and
    # rounding must not lose a unit.
    if int(width * stated) == hidden:
        return stated
    ratio = hidden / width
    return ratio if int(width * ratio) == hidden else math.nextafter(ratio, math.inf)


def _position(shapes, settings, tables, problems):
    marks = {
        "per-channel": "channel_embed" in shapes,
        "flat": bool(tables),
    }
    if all(marks.values()):
        problems.add(
            "contradicting each other",
            "channel_embed (position='per-channel') and blocks.*.attn.rotary_emb.freqs "
            "(position='flat')",
        )
    if marks["per-channel"]:
        return "per-channel"
    # Our own files say "flat" in the header and hold no tables.
    if marks["flat"] or settings.get("position") == "flat":
        return "flat"
    return "none"


def _n_heads(width, shapes, settings, tables, problems):
    stated = settings.get("n_heads")
    if stated:
        return stated
    halves = [shapes[name][0] for name in tables if len(shapes[name]) == 1]
    half = _most_common(halves, 32)
    if width % (2 * half):
        problems.add(
            "not stated",
            f"n_heads: the number of attention heads cannot be told from tensors of "
            f"width {width}; put a config.json with n_heads beside the file",
        )
        return 1
    return width // (2 * half)


def _find_head(shapes, settings, config, problems):
    kinds = {
        kind
        for part, kind in HEADS.items()
        if any(name.startswith(f"model_head.{part}.") for name in shapes)
    }
    if not kinds:
        return None, {}
    if len(kinds) > 1:
        problems.add("contradicting each other", f"heads: {', '.join(sorted(kinds))}")
    kind = sorted(kinds)[0]
    if kind == "reconstruction":
        return kind, {}
    first = _CLASSIFIER if kind == "classification" else f"{_REGRESSOR}.0"
    last = _CLASSIFIER if kind == "classification" else f"{_REGRESSOR}.5"
    n_inputs = _second(shapes.get(f"{first}.weight"))
    if n_inputs:
        n_channels = max(1, round(n_inputs / config.embed_dim))
    else:
        n_channels = settings.get("n_channels") or 1
    outputs = shapes.get(f"{last}.bias", ()) + shapes.get(f"{last}.weight", ())
    options = {"n_channels": n_channels}
    n_outputs = _most_common(outputs[:1], settings.get("n_outputs") or 1)
    for name, value in (("n_channels", n_channels), ("n_outputs", n_outputs)):
        if (settings.get(name) or value) != value:
            problems.add(
                "contradicted by the settings stated with it",
                f"{name}: stated {settings[name]!r}, the tensors say {value!r}",
            )
    if kind == "classification":
        return kind, options | {"n_classes": n_outputs}
    hidden = [
        shapes[f"{_REGRESSOR}.{layer}.bias"][0]
        for layer in (0, 3)
        if len(shapes.get(f"{_REGRESSOR}.{layer}.bias", ())) == 1
    ]
    return kind, options | {
        "n_outputs": n_outputs,
        "n_hidden": _most_common(hidden, 256),
        "n_times_out": settings.get("n_times_out") or None,
    }


def _second(shape):
    return shape[1] if shape is not None and len(shape) >= 2 else 0
