"""What the manifest says about input, labels and weights, and back from it."""

import json

import numpy as np

from .._integer.program import IntegerProgram, Preprocess, expected_arrays
from .._integer.shapes import shape_from_dict
from ._manifest import BundleError

__all__ = [
    "describe_classes",
    "describe_input",
    "describe_scales",
    "describe_weights",
    "read_classes",
    "read_preprocess",
    "read_program",
    "read_shape",
]

_LABEL_KINDS = "biufUO"
# Far beyond any encoder: a damaged manifest shall not fill the memory.
_MOST_LAYERS, _MOST_SIZE = 10_000, 10**7


def describe_input(program, X, card, given_shape=None):
    """Describe the windows that the program takes.

    Parameters
    ----------
    program : IntegerProgram
    X : ndarray of shape (n_windows, n_channels_in, n_times)
        Windows of the calibration.
    card : WeightsCard or None
        Gives the sampling rate if no step knows it.
    given_shape : tuple of (int, int) or None, default=None
        Shape in which the pipeline takes a window, if it is not that of the program.

    Returns
    -------
    contract : dict
    """
    before, shape = program.preprocess, program.shape
    sfreq = before.sfreq or (None if card is None else card.sfreq)
    strongest = np.abs(X).max(axis=(0, 2))
    return {
        "layout": "float32, channel by channel: (n_channels, n_times)",
        "given_shape": None if given_shape is None else list(given_shape),
        "sfreq_hz": sfreq,
        "n_channels": before.n_channels_in,
        "n_times": shape.n_times,
        "seconds": None if sfreq is None else shape.n_times / sfreq,
        "units": "those of the calibration windows; the scaling was learned from them",
        "calibration": {
            "n_windows": len(X),
            "largest_by_channel": [float(value) for value in strongest],
        },
        "mapper": _plain(before.mapper),
        "filter": None
        if before.sos is None
        else {
            "phase": before.phase,
            "sos": _plain(before.sos),
            "initial_state": _plain(before.initial_state),
            "pad_length": int(before.pad_length),
        },
        "quantisation": {
            "rule": "clamp8(rint(x * scale + offset)), in float32, rounded twice",
            "scale": _plain(program.arrays["input.scale"]),
            "offset": _plain(program.arrays["input.offset"]),
            "zero": int(program.arrays["input.zero"]),
        },
    }


def describe_scales(program):
    """Return step and zero point of every tensor as plain numbers."""
    return {
        name: {"step": _plain(scale), "zero": int(program.zeros.get(name, 0))}
        for name, scale in program.scales.items()
    }


def describe_classes(classes, probabilities=None):
    """Return labels in the order of the logits, so that they can be made again.

    Parameters
    ----------
    classes : array-like
        Texts, whole or real numbers, or truth values.
    probabilities : str or None, default=None
        How probabilities are made of logits.

    Returns
    -------
    described : dict
    """
    classes = np.asarray(classes)
    values = classes.tolist()
    if classes.dtype.kind not in _LABEL_KINDS or not all(map(_is_plain, values)):
        raise BundleError(
            f"labels of type {classes.dtype} cannot be written to the manifest; fit "
            "the pipeline with texts that are Unicode, or finite numbers, as labels."
        )
    return {
        "dtype": "object" if classes.dtype == object else classes.dtype.str,
        "values": values,
        "probabilities": probabilities,
    }


def _is_plain(value):
    """Whether a label can be written to a JSON file."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return False
    return isinstance(value, str | int | float)


def read_classes(described):
    """Make labels of what :func:`describe_classes` returned."""
    try:
        dtype = np.dtype(described["dtype"])
        if dtype.kind not in _LABEL_KINDS:
            raise ValueError(f"a type {dtype}")
        return np.array(described["values"], dtype=dtype)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"the labels in the manifest are damaged ({error})."
        ) from error


def describe_weights(card):
    """Say where the weights are from and what their licence asks for.

    Parameters
    ----------
    card : WeightsCard or None

    Returns
    -------
    weights : dict
        Fields of the card, and a "notice" in words.
    """
    names = ("name", "source", "sha256", "licence", "sharing", "sharing_terms")
    names += ("citation", "data", "limits")
    fields = {name: getattr(card, name, None) for name in names}
    licence = fields["licence"] or "not stated"
    words = {
        True: "Changed weights may be passed on under its conditions.",
        False: "The licence does not allow changed weights to be passed on, and this "
        "bundle contains changed (trained further, quantised) weights: keep it to "
        "yourself.",
        None: "Whether changed weights may be passed on is not stated, and this bundle "
        "contains changed (trained further, quantised) weights: find out before you "
        "pass it on.",
    }[fields["sharing"]]
    if fields["source"] == "random":
        words = "They were trained from the beginning, on data of the user."
    terms = f" {fields['sharing_terms']}" if fields["sharing_terms"] else ""
    cite = f" Cite: {fields['citation']}" if fields["citation"] else ""
    notice = f"Weights: {fields['name']}. Licence: {licence}. {words}{terms}{cite}"
    return fields | {"notice": notice}


def read_shape(manifest):
    """Make a ProgramShape or ImageShape of the manifest's "shape".

    Raises
    ------
    BundleError
        If it is none, or larger than any encoder.
    """
    try:
        if any(not 0 <= size <= _MOST_SIZE for size in _numbers(manifest["shape"])):
            raise ValueError("a size is negative or too large")
        shape = shape_from_dict(manifest["shape"])
        if len(shape.trace_names()) > _MOST_LAYERS:
            raise ValueError("it has too many layers")
    except (TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"the shape in the manifest is damaged: {error}.") from error
    return shape


def _numbers(fields):
    """Yield the whole numbers of a dict, and of those in lists within."""
    for value in fields.values():
        if isinstance(value, int):
            yield value
        elif isinstance(value, list):
            for entry in value[: _MOST_LAYERS + 1]:
                yield from _numbers(entry)


def read_program(manifest, plan, packed):
    """Make the integer program of a bundle again.

    Parameters
    ----------
    manifest : dict
    plan : MemoryPlan
        Its `weights` say where the constants lie.
    packed : bytes
        Contents of ``weights.bin``.

    Returns
    -------
    program : IntegerProgram

    Raises
    ------
    BundleError
        If the parts contradict one another.
    """
    shape = read_shape(manifest)
    try:
        arrays = {}
        for name, (dtype, size) in expected_arrays(shape).items():
            dtype = np.dtype(dtype).newbyteorder("<")
            offset, n_bytes = plan.weights[name]
            n_values = int(np.prod(size, dtype=np.int64))
            if offset < 0 or n_bytes != n_values * dtype.itemsize:
                raise ValueError(f"the place of {name!r} does not fit its size")
            values = np.frombuffer(packed, dtype, n_values, offset).reshape(size)
            arrays[name] = values.astype(dtype.newbyteorder("="))
            _check_constant(name, values, shape)
        scales = manifest["scales"]
        return IntegerProgram(
            shape=shape,
            arrays=arrays,
            preprocess=_preprocess(manifest["input"], shape),
            scales={name: np.asarray(s["step"]) for name, s in scales.items()},
            zeros={name: s["zero"] for name, s in scales.items()},
            classes=manifest["classes"]["values"],
            metadata={"probabilities": manifest["classes"].get("probabilities")},
        )
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(
            f"manifest, plan and weights of the bundle do not fit together: {error}."
        ) from error


def _check_constant(name, values, shape):
    """Refuse values with which the C program would leave its tables or divide by 0."""
    if name.endswith("shift") and not (1 <= values.min() and values.max() <= 62):
        raise ValueError(f"{name!r} is not between 1 and 62")
    if name.endswith("multiplier") and values.min() < 0:
        raise ValueError(f"{name!r} is negative")
    if name == "exp_table" and values[0] == 0:
        raise ValueError(f"{name!r} starts with 0")
    if name == "cells" and not (-1 <= values.min() <= values.max() < shape.n_channels):
        raise ValueError(f"{name!r} names channels that do not exist")


def read_preprocess(contract, shape):
    """Make a Preprocess of the manifest's "input".

    Raises
    ------
    BundleError
        If it is damaged.
    """
    try:
        return _preprocess(contract, shape)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BundleError(f"the input in the manifest is damaged: {error}.") from error


def _preprocess(contract, shape):
    filtering = contract["filter"] or {}
    if not 0 <= filtering.get("pad_length", 0) < shape.n_times:
        raise ValueError("the padding of the filter is not within the window")

    def array(values):
        return None if values is None else np.array(values, dtype=np.float32)

    before = Preprocess(
        n_channels_in=contract["n_channels"],
        sfreq=contract["sfreq_hz"],
        mapper=array(contract["mapper"]),
        sos=array(filtering.get("sos")),
        initial_state=array(filtering.get("initial_state")),
        phase=filtering.get("phase", "causal"),
        pad_length=filtering.get("pad_length", 0),
    )
    sizes = {"mapper": (shape.n_channels, before.n_channels_in)}
    if before.sos is not None:
        sizes |= {"sos": (len(before.sos), 6), "initial_state": (len(before.sos), 2)}
    for name, size in sizes.items():
        values = getattr(before, name)
        if name == "mapper" and values is None:
            continue
        if values is None or values.shape != size or not np.isfinite(values).all():
            raise ValueError(f"{name!r} of the preprocessing is damaged")
    return before


def _plain(values):
    """Return an array as lists of Python's numbers, and None as it is."""
    return None if values is None else np.asarray(values).tolist()
