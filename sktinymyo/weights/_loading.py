"""Loading weights and making networks of them."""

from dataclasses import dataclass, field

import torch

from ..exceptions import WeightsError
from ..nn import tinymyo
from . import _registry
from ._architecture import read_settings, recognise
from ._card_fields import is_sha256
from ._hub import HubFile
from ._safetensors import TensorFile, parse_json_object
from ._source import locate, parse_source, read_companions
from .cards import WeightsCard

__all__ = ["LoadedWeights", "build_model", "list_weights", "load_weights", "read_card"]

# A single key: safetensors writes several in random order, and the same weights
# should make the same file.
HEADER_KEY = "sktinymyo"
FORMAT = 1

# Tables stored in a lower precision are rounded to 11 or 8 bits.
_TABLE_TOLERANCES = {"F32": 1e-5, "F16": 1e-3, "BF16": 1e-2}


@dataclass(frozen=True, eq=False)
class LoadedWeights:
    """Weights in memory, checked, with all that is needed to build their network.

    Made by :func:`load_weights`.

    Parameters
    ----------
    state : dict of str to torch.Tensor
        float32 tensors in main memory by name, without a prefix, in the order of
        the network.
    config : TinyMyoConfig
        Shape of the encoder.
    generation : {"per-channel", "none", "flat"}
        How the network tells positions apart; equals ``config.position``.
    head : {"reconstruction", "classification", "regression"} or None
        Kind of the head among the tensors.
    head_options : dict
        Its arguments beside `embed_dim` and `patch_size`: n_channels and n_classes,
        or n_channels, n_outputs, n_hidden and n_times_out.
    card : WeightsCard
        Origin, licence and form of the data.
    sha256 : str
        Checksum of the file.

    See Also
    --------
    build_model : Make a network of loaded weights.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig
    >>> from sktinymyo.weights import load_weights, save_weights
    >>> head = ClassificationHead(64, n_channels=8, n_classes=5)
    >>> model = TinyMyo(TinyMyoConfig(embed_dim=64, depth=1, n_heads=1), head)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = save_weights(Path(folder) / "small.safetensors", model)
    ...     weights = load_weights(folder)
    >>> weights.head, weights.head_options
    ('classification', {'n_channels': 8, 'n_classes': 5})
    """

    state: dict = field(repr=False)
    config: tinymyo.TinyMyoConfig
    generation: str
    head: str | None
    head_options: dict
    card: WeightsCard = field(repr=False)
    sha256: str


def load_weights(source, *, cache_folder=None, offline=None, sha256=None):
    """Load weights and check them to the last tensor.

    Weights of every generation in circulation are recognised by their tensors.
    Missing, unexpected and misshapen tensors are errors. Nothing in the file is
    executed; pickles (.pt, .ckpt, .bin and others) are refused.

    Parameters
    ----------
    source : str or path
        One of

        * the path of a .safetensors file. A config.json and a card.json beside it
          are read if no other .safetensors file is there;
        * the path of a folder with one .safetensors file;
        * a hub name ``"owner/name"``, ``"owner/name@revision"``,
          ``"owner/name:path/in/repository.safetensors"`` or both parts in this
          order. Without a path it is model.safetensors, or the registered file of a
          repository that :func:`list_weights` shows. A revision is a branch, tag or
          commit; a commit makes results repeatable;
        * ``"default"``, the open weights of this project, or one of the names of
          :func:`list_weights` that come with the package.

        A file or folder of that name here comes before the hub, but not before what
        comes with the package; ``"./name"`` is always here.
    cache_folder : str, path or None, default=None
        Folder for downloads; None is the cache of huggingface_hub.
    offline : bool or None, default=None
        True never uses the network. None downloads what is not in the cache if the
        hub answers within 0.75 s, so that a machine without network gets its error
        at once. False waits for slow connections.
    sha256 : str or None, default=None
        Checksum the file must have, as 64 hexadecimal digits.

    Returns
    -------
    weights : LoadedWeights

    Raises
    ------
    WeightsNotFoundError
        If there are no such weights, here or within reach.
    UnsafeFileError
        If the file is a pickle, by its name or content. The message says how to
        convert it.
    WeightsError
        If the file is damaged, fits no TinyMyo network, contains NaN or infinity,
        contradicts the config.json beside it, or has another checksum.

    Warns
    -----
    UserWarning
        If weights of the package are meant, but a file or folder here has that name.

    See Also
    --------
    build_model : Make a network of loaded weights.
    save_weights : Write weights to a file.

    Notes
    -----
    Tensors stored in half precision are converted to float32, in which everything
    is computed. The number of attention heads is no part of the tensors' shapes; it
    is read from the file's header or config.json and is ``embed_dim / 64`` without.

    References
    ----------
    TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing at the Edge,
    arXiv 2512.15729 (architecture).

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from sktinymyo.nn import TinyMyo, TinyMyoConfig
    >>> from sktinymyo.weights import load_weights, save_weights
    >>> model = TinyMyo(TinyMyoConfig(embed_dim=64, depth=1, n_heads=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = save_weights(Path(folder) / "small.safetensors", model)
    ...     weights = load_weights(folder)
    >>> weights.generation, weights.head, len(weights.state)
    ('per-channel', None, 18)
    """
    if sha256 is not None and not is_sha256(sha256):
        raise ValueError(
            f"sha256={sha256!r} is no checksum; pass 64 lower-case hexadecimal digits "
            "or None."
        )
    if offline not in (None, True, False):
        raise TypeError(f"offline={offline!r} must be True, False or None.")
    location = locate(source, cache_folder, offline)
    with TensorFile(location.file) as file:
        _refuse_checkpoint(file)
        own = _read_own_header(file)
        if own is None:
            fields, card = read_companions(location)
            origin = location.config_file
        else:
            fields, card, origin = *own, f"the header of {file.path}"
        settings = read_settings(fields, origin)
        layout = recognise(file.specs, settings, str(file.path))
        tensors, found = file.load()
    for wanted in (sha256, location.sha256):
        if wanted is not None and wanted != found:
            raise WeightsError(
                f"{file.path} has the SHA-256 {found}; {wanted} was expected. The file "
                "is damaged or another one: delete it and get it again."
            )
    check_rotary_tables(str(file.path), file.specs, layout, tensors)
    state = {
        ours: tensors[theirs].to(torch.float32).contiguous()
        for ours, theirs in layout.names.items()
    }
    check_finite(state, file.path)
    card = card or location.card or _registry.find_by_sha256(found)
    if card is None:
        card = WeightsCard(name=_registry.plain_name(location.file.stem))
    card = card.replace(
        source=card.source or location.source,
        sha256=found,
        generation=layout.config.position,
        config=layout.config.to_dict(),
    )
    return LoadedWeights(
        state,
        layout.config,
        layout.config.position,
        layout.head,
        layout.head_options,
        card,
        found,
    )


def build_model(weights, head="stored"):
    """Make a network that holds loaded weights.

    Parameters
    ----------
    weights : LoadedWeights
        As :func:`load_weights` returns them; left untouched. To change a
        regularisation, pass ``dataclasses.replace(weights, config=...)``.
    head : "stored", None or torch.nn.Module, default="stored"
        ``"stored"`` builds the head that the weights have, if any; None leaves it
        out; a module becomes the head as it is.

    Returns
    -------
    model : TinyMyo
        In evaluation mode, on the processor, in float32.

    Raises
    ------
    TypeError
        If `weights` or `head` is something else.

    Examples
    --------
    >>> import tempfile, torch
    >>> from pathlib import Path
    >>> from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig
    >>> from sktinymyo.weights import build_model, load_weights, save_weights
    >>> model = TinyMyo(TinyMyoConfig(embed_dim=64, depth=1, n_heads=1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = save_weights(Path(folder) / "small.safetensors", model)
    ...     weights = load_weights(folder)
    >>> model = build_model(weights, head=ClassificationHead(64, 8, 5))
    >>> model(torch.zeros(2, 8, 200)).shape
    torch.Size([2, 5])
    """
    if not isinstance(weights, LoadedWeights):
        raise TypeError(
            f"weights must be what load_weights returns; got {type(weights).__name__}."
        )
    state = weights.state
    if isinstance(head, str) and head == "stored":
        new_head = _build_stored_head(weights)
    elif head is None or isinstance(head, torch.nn.Module):
        new_head = None
        state = {
            name: tensor
            for name, tensor in state.items()
            if not name.startswith("model_head.")
        }
    else:
        raise TypeError(f'head={head!r} must be "stored", None or a torch module.')
    # The initial values are overwritten; drawn apart from the caller's generator.
    model = tinymyo.TinyMyo(weights.config, new_head, generator=torch.Generator())
    model.load_state_dict(state, strict=True)
    if isinstance(head, torch.nn.Module):
        model.model_head = head
    return model.eval()


def read_card(source, *, cache_folder=None, offline=None):
    """Tell where weights come from, what they expect and what is allowed with them.

    Nothing is downloaded for weights that the package knows by name.

    Parameters
    ----------
    source : str or path
        As in :func:`load_weights`.
    cache_folder, offline : object
        As in :func:`load_weights`.

    Returns
    -------
    card : WeightsCard

    Raises
    ------
    WeightsNotFoundError, WeightsError
        As in :func:`load_weights`.

    Examples
    --------
    >>> from sktinymyo.weights import read_card
    >>> print(read_card("PulpBio/TinyMyo").licence)
    CC BY-ND 4.0
    """
    meaning = parse_source(source)
    if isinstance(meaning, _registry.RegisteredWeights) and not meaning.packaged:
        return meaning.card
    if isinstance(meaning, HubFile):
        entry = _registry.find_repository(meaning.repository)
        if entry is not None and meaning.path == entry.path:
            return entry.card
    return load_weights(source, cache_folder=cache_folder, offline=offline).card


def list_weights():
    """List the weights that the package knows by name.

    Returns
    -------
    cards : list of WeightsCard
        Each `name` can be passed as `weights`; `describe` tells it all.

    Examples
    --------
    >>> from sktinymyo.weights import list_weights
    >>> for card in list_weights():
    ...     print(card.name, "-", card.licence)
    tinymyo-open - BSD-3-Clause
    tinymyo-open-small - BSD-3-Clause
    PulpBio/TinyMyo - CC BY-ND 4.0
    """
    return [read_card(name) for name in _registry.REGISTRY]


def _build_stored_head(weights):
    config, options = weights.config, weights.head_options
    generator = torch.Generator()
    if weights.head == "reconstruction":
        return tinymyo.ReconstructionHead(
            config.embed_dim, config.patch_size, generator=generator
        )
    if weights.head == "classification":
        return tinymyo.ClassificationHead(
            config.embed_dim, **options, generator=generator
        )
    if weights.head == "regression":
        return tinymyo.RegressionHead(config.embed_dim, **options, generator=generator)
    return None


def _refuse_checkpoint(file):
    """Refuse the state of a run of pretraining, which lies where it is looked for."""
    if not {"identity", "history", "step"} <= file.metadata.keys():
        return
    run = file.path.parent
    weights = run / "weights"
    remedy = (
        f"Its weights are in {weights}: pass weights={str(weights)!r}."
        if weights.is_dir()
        else "Once it is finished, write its weights with save_pretrained(folder), and "
        "pass weights=folder."
    )
    raise WeightsError(f"{run} holds the checkpoint of a pretraining run. {remedy}")


def _read_own_header(file):
    """Return settings and card from a header of our format, or None."""
    text = file.metadata.get(HEADER_KEY)
    if text is None:
        return None
    origin = f"the field {HEADER_KEY!r} in the header of {file.path}"
    header = parse_json_object(text, origin)
    version = header.get("format")
    if type(version) is not int or version < 1:
        raise WeightsError(f"{origin} has no valid format number: {version!r}.")
    if version > FORMAT:
        raise WeightsError(
            f"{file.path} has format {version}; this version of sktinymyo reads "
            f"formats up to {FORMAT}. Update it: pip install --upgrade sktinymyo"
        )
    config, card = header.get("config"), header.get("card")
    if not isinstance(config, dict) or not isinstance(card, dict):
        raise WeightsError(f"{origin} must have the objects 'config' and 'card'.")
    try:
        return config, WeightsCard.from_dict(card)
    except WeightsError as error:
        raise WeightsError(f"{origin}: {error}") from error


def check_rotary_tables(origin, specs, layout, tensors):
    """Refuse tables that our angles would not reproduce.

    The network computes its angles; with another table in the file its numbers
    would silently differ from those of the code that trained it.
    """
    config = layout.config
    exponents = torch.arange(0, config.head_dim, 2, dtype=torch.float64)
    wanted = config.rotary_base ** (-exponents / config.head_dim)
    differing = []
    for name in layout.rotary_tables:
        error = (tensors[name].double() / wanted - 1).abs().max()
        # Written so that NaN is refused too.
        if not error <= _TABLE_TOLERANCES[specs[name].dtype]:
            differing.append(f"{name} (relative error {float(error):.3g})")
    if differing:
        raise WeightsError(
            f"{origin} holds rotary tables of another base than "
            f"{config.rotary_base:g}: {', '.join(differing)}. If the weights were "
            "trained so, state rotary_base in a config.json beside the file."
        )


def check_finite(state, origin):
    bad = [
        f"{name} ({int((~tensor.isfinite()).sum())} of {tensor.numel()})"
        for name, tensor in state.items()
        if not tensor.isfinite().all()
    ]
    if bad:
        raise WeightsError(
            f"{origin} contains NaN or infinity in {', '.join(bad)}; training went "
            "wrong or the file is damaged."
        )
