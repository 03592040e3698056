"""What the user means by `weights`: a name, a file, a folder or the hub."""

import os
import warnings
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ..exceptions import UnsafeFileError, WeightsError, WeightsNotFoundError
from . import _hub, _registry
from ._safetensors import PICKLE_SUFFIXES, check_suffix, read_json_file
from .cards import WeightsCard

__all__ = ["Location", "locate", "parse_source"]


@dataclass(frozen=True)
class Location:
    """A file of weights and what is known about it besides its content.

    Attributes
    ----------
    file : Path
        The file.
    source : str
        Origin for the card; never a full local path, which would travel along
        when the weights are saved and passed on.
    config_file, card_file : Path or None
        JSON files that belong to the weights.
    card : WeightsCard or None
        Card from the registry.
    sha256 : str or None
        Checksum the file must have.
    """

    file: Path
    source: str
    config_file: Path | None = None
    card_file: Path | None = None
    card: WeightsCard | None = None
    sha256: str | None = None


def parse_source(source):
    """Decide what `source` means without touching the network.

    Parameters
    ----------
    source : str or path
        As :func:`sktinymyo.weights.load_weights` accepts it.

    Returns
    -------
    meaning : RegisteredWeights, Path or HubFile
        Weights inside the package, a local path, or a file on the hub.

    Raises
    ------
    TypeError, ValueError
        If `source` is nothing that can name weights.
    WeightsNotFoundError
        If nothing has that name.
    """
    if isinstance(source, os.PathLike):
        return Path(source).expanduser()
    accepted = (
        "the path of a .safetensors file or of a folder with one, or a hub name such "
        'as "PulpBio/TinyMyo", "owner/name@revision" or "owner/name:path.safetensors"'
    )
    if not isinstance(source, str):
        raise TypeError(
            f"weights={source!r} has the type {type(source).__name__}; pass {accepted}."
        )
    if source == "random":
        raise ValueError(
            'weights="random" names no file: it is an option of the estimators. '
            f"Here, pass {accepted}."
        )
    if source == "default":
        entry = _registry.default_weights()
        if entry is None:
            raise WeightsNotFoundError(
                'weights="default": open weights are not part of this release. Pass '
                'weights="random" to an estimator to train from scratch, or '
                f"{accepted}."
            )
        return entry
    entry = _registry.REGISTRY.get(source)
    if entry is not None and entry.packaged:
        return entry
    path = Path(source).expanduser()
    if source and _is_there(path):
        return path
    hub_file = _hub.parse_hub_name(source)
    if hub_file is not None:
        return hub_file
    raise WeightsNotFoundError(
        f"weights={source!r} is neither a file nor a folder here (looked in "
        f"{Path.cwd()}), nor does it have the form of a hub name. Pass {accepted}. "
        f"{_known_names(source)}"
    )


def _known_names(source):
    """Say which names need no file, and which of them may have been meant."""
    packaged = [name for name, entry in _registry.REGISTRY.items() if entry.packaged]
    names = ["default", *packaged, "random"]
    text = f"Known names: {', '.join(map(repr, names))} (the last for estimators)."
    meant = get_close_matches(source.lower(), names, n=1)
    return f"{text} Did you mean {meant[0]!r}?" if meant else text


def locate(source, cache_folder=None, offline=None):
    """Find the file of weights that `source` names, downloading it if need be.

    Parameters
    ----------
    source : str or path
        As :func:`sktinymyo.weights.load_weights` accepts it.
    cache_folder, offline : object
        As in :func:`sktinymyo.weights.load_weights`.

    Returns
    -------
    location : Location

    Warns
    -----
    UserWarning
        If weights of the package are meant, but a file or folder here has that name.
    """
    meaning = parse_source(source)
    if isinstance(meaning, _registry.RegisteredWeights):
        if _is_there(Path(source)):
            warnings.warn(
                f"weights={source!r} are those inside the package, not {source!r} in "
                f"{Path.cwd()}; for these, pass {f'./{source}'!r}.",
                UserWarning,
                stacklevel=3,
            )
        return Location(
            meaning.file,
            f"sktinymyo package, {meaning.file.name}",
            card=meaning.card,
            sha256=meaning.card.sha256,
        )
    if isinstance(meaning, _hub.HubFile):
        return _locate_on_hub(meaning, cache_folder, offline)
    return _locate_locally(meaning)


def _locate_on_hub(hub_file, cache_folder, offline):
    file, config_file = _hub.fetch(hub_file, cache_folder, offline)
    card, sha256 = _registry.find_on_hub(
        hub_file.repository, hub_file.path, hub_file.revision
    )
    if sha256 is None:
        sha256 = _hub.stored_checksum(file)
    source = f"Hugging Face hub, {hub_file}"
    return Location(file, source, config_file, card=card, sha256=sha256)


def _locate_locally(path):
    try:
        is_folder = path.is_dir()
    except (OSError, ValueError) as error:
        raise WeightsError(f"{str(path)!r} cannot be read: {error}.") from error
    if not is_folder:
        check_suffix(path)
    file = _only_file(path) if is_folder else path
    companions = {}
    # Beside several files it is not known which one a config.json describes.
    if is_folder or _is_alone(file):
        for name in ("config", "card"):
            companion = file.with_name(f"{name}.json")
            if _is_there(companion):
                companions[f"{name}_file"] = companion
    return Location(file, f"local file {file.name}", **companions)


def _only_file(folder):
    files = _files(folder, (".safetensors",))
    if len(files) == 1:
        return files[0]
    if files:
        listed = "\n".join(f"  {file}" for file in files)
        raise WeightsError(
            f"The folder {folder} holds {len(files)} files of weights; pass one of "
            f"them:\n{listed}"
        )
    pickles = _files(folder, PICKLE_SUFFIXES)
    if pickles:
        try:
            check_suffix(pickles[0])
        except UnsafeFileError as error:
            raise UnsafeFileError(
                f"The folder {folder} holds no .safetensors file. {error}"
            ) from error
    raise WeightsNotFoundError(
        f"The folder {folder} holds no .safetensors file; pass a file or a folder "
        "with one."
    )


def _files(folder, suffixes):
    try:
        return sorted(
            path for path in folder.iterdir() if path.suffix.lower() in suffixes
        )
    except OSError as error:
        raise WeightsError(f"{folder} cannot be read: {error}.") from error


def _is_alone(file):
    try:
        return _files(file.parent, (".safetensors",)) == [file]
    except WeightsError:  # a folder may let files be read but not listed
        return False


def _is_there(path):
    """Whether something has this name, even a link that leads nowhere."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def read_companions(location):
    """Parse the JSON files beside weights.

    Parameters
    ----------
    location : Location
        Where the weights are.

    Returns
    -------
    fields : dict
        Content of config.json; empty without one.
    card : WeightsCard or None
        Content of card.json.
    """
    fields, card = {}, None
    if location.config_file is not None:
        fields = read_json_file(location.config_file)
    if location.card_file is not None:
        try:
            card = WeightsCard.from_dict(read_json_file(location.card_file))
        except WeightsError as error:
            raise WeightsError(f"{location.card_file}: {error}") from error
    return fields, card
