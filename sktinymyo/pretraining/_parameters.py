"""Checks of the parameters of TinyMyoPretrainer, before any work starts."""

import numbers
import os
import warnings

from .._torch import resolve_device
from .._validation import check_choice, check_number, check_truth
from ..nn import MASK_FORMS, SIZES
from ..weights._source import parse_source
from ._entries import ORIENTATIONS
from ._sources import SCALES

__all__ = ["check_parameters", "lengths_of", "targets_of", "warn_of_empty_masks"]

_TARGETS = ("raw", "spectrum")


def check_parameters(estimator):
    """Raise a ValueError or TypeError that names the first wrong parameter."""
    own = estimator.get_params(deep=False)
    if not (isinstance(own["weights"], str) or hasattr(own["weights"], "__fspath__")):
        raise TypeError(
            "weights must be 'random', a path or a name; got "
            f"{own['weights']!r} of type {type(own['weights']).__name__}."
        )
    _check_size(own["size"])
    check_choice("mask_form", own["mask_form"], MASK_FORMS)
    check_choice("scale", own["scale"], SCALES)
    check_choice("orientation", own["orientation"], ORIENTATIONS)
    check_choice("precision", own["precision"], ("auto", "float32", "bf16"))
    for name in ("visible_only", "checkpointing", "resume", "accelerate"):
        check_truth(name, own[name])
    for name in ("cache_folder", "checkpoint_folder"):
        _check_folder(name, own[name])
    if own["resume"] and own["checkpoint_folder"] is None:
        raise ValueError(
            "resume=True needs checkpoint_folder=, the folder of the run to go on "
            "with; got None."
        )
    for name in ("max_epochs", "batch_size"):
        check_number(name, own[name], minimum=1, integer=True)
    for name in ("max_steps", "step", "n_channels"):
        check_number(name, own[name], minimum=1, integer=True, none_allowed=True)
    for name in ("decoder_depth", "jitter"):
        check_number(name, own[name], minimum=0, integer=True)
    for name in ("gain", "weight_decay", "label_weight", "checkpoint_seconds"):
        check_number(name, own[name], minimum=0)
    check_number("lr", own["lr"], minimum=0, include_minimum=False)
    for name in ("warmup", "dropout"):
        check_number(name, own[name], minimum=0, maximum=1, include_maximum=False)
    check_number(
        "mask_ratio",
        own["mask_ratio"],
        minimum=0,
        maximum=1,
        include_minimum=False,
        include_maximum=False,
    )
    lengths_of(own["n_times"])
    targets_of(own["targets"])
    resolve_device(own["device"])


def lengths_of(n_times):
    """Return the lengths that `n_times` names as a tuple, or None."""
    if n_times is None:
        return None
    lengths = _several("n_times", n_times, numbers.Integral, "a number of samples")
    for length in lengths:
        check_number("n_times", length, minimum=1, integer=True)
    return lengths


def targets_of(targets):
    """Return what `targets` names as a tuple."""
    found = _several("targets", targets, str, "'raw', 'spectrum'")
    for target in found:
        check_choice("targets", target, _TARGETS)
    return found


def warn_of_empty_masks(form, channels, lengths, patch_size, stacklevel):
    """Warn of windows of which the masks hide nothing, so that nothing is learned.

    Parameters
    ----------
    form : {"cell", "channel", "time"}
        What is hidden.
    channels : iterable of int
        Numbers of channels of the recordings.
    lengths : tuple of int
        Lengths of the windows.
    patch_size : int
        Samples of a patch.
    stacklevel : int
        Of the line to blame, as seen from the caller.
    """
    parts = {
        "cell": lambda n_channels, n_patches: n_channels * n_patches,
        "channel": lambda n_channels, n_patches: n_channels,
        "time": lambda n_channels, n_patches: n_patches,
    }[form]
    shapes = [(number, length) for number in channels for length in lengths]
    alone = [pair for pair in shapes if parts(pair[0], pair[1] // patch_size) < 2]
    if alone:
        warnings.warn(
            f"mask_form={form!r} hides nothing in windows of {alone[0][0]} channel(s) "
            f"and {alone[0][1]} samples: a part of the window must stay visible, and "
            f"patches have {patch_size} samples. Pass longer windows, more channels or "
            "another mask_form.",
            UserWarning,
            stacklevel=stacklevel + 1,
        )


def _several(name, value, kind, accepted):
    """Return one value, or several in a sequence, as a tuple that is not empty."""
    if isinstance(value, kind):
        return (value,)
    try:
        values = tuple(value)
    except TypeError:
        raise TypeError(
            f"{name}={value!r} is not accepted; pass {accepted}, or a tuple of them."
        ) from None
    if not values:
        raise ValueError(f"{name} is empty; pass {accepted}, or a tuple of them.")
    return values


def _check_size(size):
    try:
        check_choice("size", size, tuple(SIZES))
    except ValueError as error:
        if not _names_weights(size):
            raise
        # The other estimators take weights in this place.
        raise ValueError(
            f"{error} If these are the weights to start from, pass "
            f"weights={os.fspath(size)!r}."
        ) from None


def _names_weights(size):
    try:
        parse_source(size)
    except (TypeError, ValueError, OSError):
        return False
    return True


def _check_folder(name, value):
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise TypeError(
            f"{name} must be a path or None; got {value!r} of type "
            f"{type(value).__name__}."
        )
