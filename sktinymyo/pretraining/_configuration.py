"""Configuration files of pretraining: which recordings, which recipe, which card."""

import inspect
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np

from ..datasets import load_packed, make_gestures, make_hdsemg, make_kinematics
from ..exceptions import WeightsError
from ..signal import align_wearings
from ..weights import WeightsCard
from ._pretrainer import TinyMyoPretrainer

__all__ = ["Configuration", "gather_recordings", "read_configuration"]

_PACKAGED = Path(__file__).parent / "configs"
_SIMULATORS = {
    "gestures": make_gestures,
    "hdsemg": make_hdsemg,
    "kinematics": make_kinematics,
}
# What the command line sets itself.
_OF_THE_COMMAND = {"checkpoint_folder", "resume", "accelerate", "verbose", "device"}
# What load_packed does not take.
_OURS = {"name", "labels", "align"}
_PACKED_OPTIONS = {*_OURS, "part", "subjects", "sessions"}


@dataclass(frozen=True)
class Configuration:
    """A configuration that has been checked.

    Parameters
    ----------
    pretrainer : dict
        Arguments of :class:`TinyMyoPretrainer`.
    packed : list of dict
        Arguments of :func:`sktinymyo.datasets.load_packed`, and ``labels``:
        whether the gestures are learned beside; ``align``: whether the armbands of
        all people are turned so that the gestures lie on the same electrodes
        (:func:`sktinymyo.signal.align_wearings`).
    simulated : list of dict
        ``simulator`` ("gestures", "hdsemg" or "kinematics") and its arguments.
    files : dict
        ``folder`` below the folder of data: HDF5, npy or npz files.
    card : dict
        Fields of :class:`~sktinymyo.weights.WeightsCard`, such as ``sfreqs`` and
        ``channel_range``, which users' recordings are compared with.
    precision : str
        Type of the tensors in the file that is written.
    """

    pretrainer: dict = field(default_factory=dict)
    packed: list = field(default_factory=list)
    simulated: list = field(default_factory=list)
    files: dict = field(default_factory=dict)
    card: dict = field(default_factory=dict)
    precision: str = "float32"


def read_configuration(path):
    """Read and check a TOML file.

    Parameters
    ----------
    path : path-like
        A file; a name such as ``configs/open.toml`` that is no file here is looked
        up among those that come with the package.

    Returns
    -------
    configuration : Configuration

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no TOML, or an entry is not known.
    """
    path = Path(path)
    if not path.exists() and (_PACKAGED / path.name).exists():
        path = _PACKAGED / path.name
    if not path.exists():
        known = sorted(file.name for file in _PACKAGED.glob("*.toml"))
        raise FileNotFoundError(
            f"there is no configuration {str(path)!r}; pass a file, or one of those "
            f"that come with the package: {known}."
        )
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error
    _refuse_unknown(path, "the file", content, {f.name for f in fields(Configuration)})
    for name, kind in Configuration.__annotations__.items():
        if name in content and not isinstance(content[name], kind):
            raise ValueError(f"{path}: {name} must be a {kind.__name__}.")
    configuration = Configuration(**content)
    arguments = set(TinyMyoPretrainer._get_param_names()) - _OF_THE_COMMAND
    _refuse_unknown(path, "[pretrainer]", configuration.pretrainer, arguments)
    _refuse_unknown(path, "[files]", configuration.files, {"folder"})
    card_fields = {f.name for f in fields(WeightsCard)} - {"sha256", "config"}
    _refuse_unknown(path, "[card]", configuration.card, card_fields)
    try:
        # Hours before it is written.
        WeightsCard.from_dict({"name": "unnamed"} | configuration.card)
    except WeightsError as error:
        raise ValueError(f"{path}: [card]: {error}") from error
    for entry in configuration.packed:
        _refuse_unknown(path, "[[packed]]", entry, _PACKED_OPTIONS)
    for entry in configuration.simulated:
        simulator = _SIMULATORS.get(entry.get("simulator"))
        if simulator is None:
            raise ValueError(
                f"{path}: [[simulated]] simulator={entry.get('simulator')!r} is not "
                f"known; pass one of {sorted(_SIMULATORS)}."
            )
        options = {*inspect.signature(simulator).parameters, "simulator"}
        _refuse_unknown(path, "[[simulated]]", entry, options)
    if configuration.files and (configuration.packed or configuration.simulated):
        raise ValueError(
            f"{path}: [files] stands alone; take out [[packed]] and [[simulated]]."
        )
    if not (configuration.files or configuration.packed or configuration.simulated):
        raise ValueError(
            f"{path} names no recordings; add [[packed]], [[simulated]] or [files]."
        )
    return configuration


def _refuse_unknown(path, place, entries, known):
    if unknown := sorted(set(entries) - known):
        raise ValueError(
            f"{path}: {place} has the unknown entries {unknown}; accepted are "
            f"{sorted(known)}."
        )


def gather_recordings(configuration, folder):
    """Load and simulate what a configuration names.

    Parameters
    ----------
    configuration : Configuration
        What to gather.
    folder : path-like
        Where packed sets and files lie.

    Returns
    -------
    X : list of ndarray of shape (n_channels, n_times), or Path
        The recordings; a folder is left to the pretrainer.
    y : ndarray of object or None
        Names of gestures; None where they are not to be learned.
    groups : ndarray of str or None
        One group for each person and session of each set.
    """
    if configuration.files:
        return Path(folder) / configuration.files["folder"], None, None
    recordings, labels, groups = [], [], []

    def add(place, bunch, labelled, align):
        meta = bunch.meta
        wearing = meta["subject"].astype(str) + " " + meta["session"].astype(str)
        wearing = (place + " " + wearing).to_numpy(dtype=str)
        turned = _aligned(bunch, wearing) if align else bunch.recordings
        recordings.extend(turned)
        labels.extend(meta["gesture"] if labelled else [None] * len(meta))
        groups.extend(wearing)

    for number, entry in enumerate(configuration.packed):
        options = {k: v for k, v in entry.items() if k not in _OURS}
        bunch = load_packed(entry["name"], folder, **options)
        add(
            f"packed {number}",
            bunch,
            entry.get("labels", False),
            entry.get("align", False),
        )
    for number, entry in enumerate(configuration.simulated):
        options = {k: v for k, v in entry.items() if k != "simulator"}
        if "grid" in options:
            options["grid"] = tuple(options["grid"])
        bunch = _SIMULATORS[entry["simulator"]](**options)
        add(f"simulated {number}", bunch, labelled=False, align=False)
    known = any(label is not None for label in labels)
    y = np.array(labels, dtype=object) if known else None
    return recordings, y, np.array(groups, dtype=str)


def _aligned(bunch, wearing):
    """Turn the armbands of a set by the strength of each gesture.

    Strength is relative to that of the electrode in the whole wearing, as the network
    sees it.
    """
    strength = np.array([recording.std(axis=1) for recording in bunch.recordings])
    for name in np.unique(wearing):
        strength[wearing == name] /= strength[wearing == name].mean(axis=0)
    turns = align_wearings(strength, bunch.meta["gesture"].to_numpy(), wearing)
    return [
        np.roll(recording, turns[name], axis=0)
        for recording, name in zip(bunch.recordings, wearing, strict=True)
    ]
