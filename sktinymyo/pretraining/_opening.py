"""From what a user passes as X to windows to train on."""

from dataclasses import dataclass

import numpy as np

from ._collect import holds_windows, warn_of_lone_files
from ._parameters import lengths_of
from ._sources import WindowSource, open_source

__all__ = ["Opened", "open_training"]

# The published window, 0.5 s at 2 kHz.
_PUBLISHED_N_TIMES = 1000


@dataclass(frozen=True)
class Opened:
    """Windows to train on.

    Parameters
    ----------
    source : WindowSource
        Where they come from; to be closed.
    lengths : tuple of int
        Their lengths in whole patches, sorted.
    windows : ndarray or None
        X, if it held windows; None for recordings.
    """

    source: WindowSource
    lengths: tuple
    windows: np.ndarray | None


def open_training(parameters, X, y, groups, *, patch_size, validate, classes):
    """Open what X holds.

    Parameters
    ----------
    parameters : dict
        Of the estimator.
    X, y, groups : object
        As in :meth:`TinyMyoPretrainer.fit`.
    patch_size : int
        Samples of a patch.
    validate : callable
        Returns windows, checked, as an array with three dimensions.
    classes : ndarray or None
        Labels that the model has learned, None before the first fit.

    Returns
    -------
    opened : Opened

    Raises
    ------
    ValueError
        If the windows are shorter than ``n_times``, or X, y or groups are not as
        documented.
    """
    y = np.asarray(y) if hasattr(y, "__array__") else y
    lengths, windows = lengths_of(parameters["n_times"]), None
    options = {
        name: parameters[name] for name in ("scale", "orientation", "cache_folder")
    }
    if holds_windows(X):
        X = windows = validate(X)
        given = windows.shape[2]
        lengths = (given,) if lengths is None else lengths
        if max(lengths) > given:
            raise ValueError(
                f"n_times={parameters['n_times']!r} is longer than the windows given, "
                f"which have {given} samples; pass at most that, or None."
            )
        lengths = _whole_patches(lengths, patch_size)
        step = lengths[-1]
        # Windows shorter than a patch are completed with zeros.
        options |= {"n_times": min(step, given), "padded_to": step}
    else:
        lengths = _whole_patches(lengths or (_PUBLISHED_N_TIMES,), patch_size)
        step = max(lengths[-1] // 2, 1)
        options["n_times"] = lengths[-1]
    step = parameters["step"] or step
    source = open_source(X, y, groups, step=step, classes=classes, **options)
    if options["scale"] == "group" and groups is None:
        warn_of_lone_files(source.recordings, stacklevel=3)
    return Opened(source, lengths, windows)


def _whole_patches(lengths, patch_size):
    return tuple(sorted(max(n // patch_size, 1) * patch_size for n in lengths))
