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
from ..weights._saving import PRECISIONS
from ._parameters import check_parameters
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
_OURS = {"labels", "align"}
_PACKED_OPTIONS = {*_OURS, "name", "part", "subjects", "sessions"}


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
        A file; ``open.toml`` or ``configs/open.toml``, with the name of any file that
        comes with the package, is looked up there if it is no file here.

    Returns
    -------
    configuration : Configuration

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is no TOML, or an entry is missing, not known or not accepted.
    """
    path = _find(path)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}.") from error
    _refuse_unknown(path, "the file", content, {f.name for f in fields(Configuration)})
    for name, kind in Configuration.__annotations__.items():
        if name in content and not isinstance(content[name], kind):
            raise ValueError(f"{path}: {name} must be a {kind.__name__}.")
    configuration = Configuration(**content)
    # What is used at the end, hours later, before all else.
    if configuration.precision not in PRECISIONS:
        raise ValueError(
            f"{path}: precision={configuration.precision!r} is not accepted; pass one "
            f"of {list(PRECISIONS)}."
        )
    card_fields = {f.name for f in fields(WeightsCard)} - {"sha256", "config"}
    _refuse_unknown(path, "[card]", configuration.card, card_fields)
    try:
        WeightsCard.from_dict({"name": "unnamed"} | configuration.card)
    except WeightsError as error:
        raise ValueError(f"{path}: [card]: {error}") from error
    arguments = set(TinyMyoPretrainer._get_param_names()) - _OF_THE_COMMAND
    _refuse_unknown(path, "[pretrainer]", configuration.pretrainer, arguments)
    _check_recordings(path, configuration)
    _require_seed(path, "[pretrainer]", configuration.pretrainer)
    try:
        check_parameters(TinyMyoPretrainer(**configuration.pretrainer))
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: [pretrainer]: {error}") from error
    return configuration


def _find(path):
    path = Path(path)
    if path.exists():
        return path
    packaged = _PACKAGED / path.name
    # A file somewhere else that happens to have the same name was meant as such.
    if path.parent in (Path(), Path(_PACKAGED.name)) and packaged.exists():
        return packaged
    known = sorted(file.name for file in _PACKAGED.glob("*.toml"))
    raise FileNotFoundError(
        f"there is no configuration {str(path)!r}; pass a file, or one of those that "
        f"come with the package: {known}."
    )


def _check_recordings(path, configuration):
    files, packed = configuration.files, configuration.packed
    simulated = configuration.simulated
    for place, entries in (("[[packed]]", packed), ("[[simulated]]", simulated)):
        if not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(
                f"{path}: {place} must be a table for each set of recordings; got the "
                f"list {entries!r}."
            )
    for entry in packed:
        _refuse_unknown(path, "[[packed]]", entry, _PACKED_OPTIONS)
        _require(
            path, "[[packed]]", entry, "name", _is_text, "the name of a packed set"
        )
        for name in {"labels", "align"} & entry.keys():
            _require(path, "[[packed]]", entry, name, _is_truth, "true or false")
    for entry in simulated:
        known = f"one of {sorted(_SIMULATORS)}"
        _require(path, "[[simulated]]", entry, "simulator", _is_text, known)
        simulator = _SIMULATORS.get(entry["simulator"])
        if simulator is None:
            raise ValueError(
                f"{path}: [[simulated]] simulator={entry['simulator']!r} is not known; "
                f"pass {known}."
            )
        options = {*inspect.signature(simulator).parameters, "simulator"}
        _refuse_unknown(path, "[[simulated]]", entry, options)
        _require_seed(path, "[[simulated]]", entry)
    if files:
        _refuse_unknown(path, "[files]", files, {"folder"})
        _require(path, "[files]", files, "folder", _is_text, "a folder below --data")
    if files and (packed or simulated):
        raise ValueError(
            f"{path}: [files] stands alone; take out [[packed]] and [[simulated]]."
        )
    if not (files or packed or simulated):
        raise ValueError(
            f"{path} names no recordings; add [[packed]], [[simulated]] or [files]."
        )


def _refuse_unknown(path, place, entries, known):
    if unknown := sorted(set(entries) - known):
        raise ValueError(
            f"{path}: {place} has the unknown entries {unknown}; accepted are "
            f"{sorted(known)}."
        )


def _require(path, place, entries, name, is_good, accepted):
    value = entries.get(name)
    if not is_good(value):
        raise ValueError(
            f"{path}: {place} needs {name}: {accepted}; got "
            f"{'nothing' if value is None else repr(value)}."
        )


def _require_seed(path, place, entries):
    accepted = "a whole number from 0 to 2**32 - 1, so that --resume finds the same run"
    _require(path, place, entries, "random_state", _is_seed, accepted)


def _is_text(value):
    return isinstance(value, str) and value != ""


def _is_truth(value):
    return isinstance(value, bool)


def _is_seed(value):
    return type(value) is int and 0 <= value < 2**32


def gather_recordings(configuration, folder):
    """Load and simulate what a configuration names.

    Parameters
    ----------
    configuration : Configuration
        What to gather.
    folder : path-like or None
        Where packed sets and files lie; None lets packed sets be looked for where
        :func:`~sktinymyo.datasets.load_packed` does.

    Returns
    -------
    X : list of ndarray of shape (n_channels, n_times), or Path
        The recordings; a folder is left to the pretrainer.
    y : ndarray of object or None
        Names of gestures; None where they are not to be learned.
    groups : ndarray of str or None
        One group for each person and session of each set.

    Raises
    ------
    ValueError
        If a loader or a simulator does not accept its arguments, or the folder is
        missing.
    """
    if configuration.files and folder is None:
        raise ValueError("[files] names a folder below --data; pass --data.")
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
        bunch = _call("[[packed]]", load_packed, folder=folder, **options)
        add(
            f"packed {number}",
            bunch,
            entry.get("labels", False),
            entry.get("align", False),
        )
    for number, entry in enumerate(configuration.simulated):
        options = {k: v for k, v in entry.items() if k != "simulator"}
        if isinstance(options.get("grid"), list):
            options["grid"] = tuple(options["grid"])
        bunch = _call("[[simulated]]", _SIMULATORS[entry["simulator"]], **options)
        add(f"simulated {number}", bunch, labelled=False, align=False)
    known = any(label is not None for label in labels)
    y = np.array(labels, dtype=object) if known else None
    return recordings, y, np.array(groups, dtype=str)


def _call(place, function, **options):
    """Call a loader or a simulator; what TOML cannot know are types of arguments."""
    try:
        return function(**options)
    except TypeError as error:
        raise ValueError(f"{place}: {error}") from error


def _aligned(bunch, wearing):
    """Turn the armbands of a set by the strength of each gesture.

    Strength is relative to that of the electrode in the whole wearing, as the network
    sees it. An electrode without signal is as strong in every gesture.
    """
    strength = np.array([recording.std(axis=1) for recording in bunch.recordings])
    for name in np.unique(wearing):
        rows = wearing == name
        mean = strength[rows].mean(axis=0)
        even = np.ones_like(strength[rows])
        strength[rows] = np.divide(strength[rows], mean, out=even, where=mean > 0)
    turns = align_wearings(strength, bunch.meta["gesture"].to_numpy(), wearing)
    return [
        np.roll(recording, turns[name], axis=0)
        for recording, name in zip(bunch.recordings, wearing, strict=True)
    ]
