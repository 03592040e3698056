"""Weights to the Hugging Face hub: checked, described, then uploaded."""

import hashlib
import re
import shutil
import tempfile
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from .._optional import import_optional
from ..exceptions import WeightsError, WeightsNotFoundError
from . import _hub
from ._loading import HEADER_KEY, load_weights
from ._model_card import write_model_card
from ._safetensors import TensorFile
from ._source import locate

__all__ = ["PushedWeights", "push_weights"]

# An upload is asked for on purpose: slow lines get more time than lookups do.
ANSWER_SECONDS = 5.0

_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?"
_REPOSITORY = re.compile(rf"{_PART}/{_PART}")
_LONGEST_NAME = 96

_PRECISIONS = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}


@dataclass(frozen=True)
class PushedWeights:
    """What :func:`push_weights` uploaded, or would upload.

    Parameters
    ----------
    repository : str
        ``"owner/name"`` on the hub.
    files : dict of str to dict
        For each path in the repository its ``n_bytes`` and ``sha256``.
    model_card : str
        Text of the page of the repository, its README.md.
    private : bool
        Whether a private repository was asked for.
    url, commit : str or None, default=None
        Address of the repository and hash of the commit; None when nothing was
        uploaded.

    Examples
    --------
    >>> from sktinymyo.weights import PushedWeights
    >>> pushed = PushedWeights("me/armband", {}, "", private=False, commit="1f0c")
    >>> pushed.source
    'me/armband@1f0c'
    """

    repository: str
    files: dict
    model_card: str = field(repr=False)
    private: bool
    url: str | None = None
    commit: str | None = None

    @property
    def source(self):
        """The name to pass as ``weights``, with the commit where there is one."""
        return self.repository + ("" if self.commit is None else f"@{self.commit}")


def push_weights(folder, repository, *, private=False, dry_run=False, token=None):
    """Publish weights on the Hugging Face hub, with a page that describes them.

    The weights are loaded and checked before anything else happens. Uploaded are the
    file of weights, byte for byte, and a README.md written from their card. A file of
    the same name in the repository is replaced there by a new commit; other files in it
    stay.

    Parameters
    ----------
    folder : str or path
        A folder or a file written by
        :meth:`sktinymyo.TinyMyoPretrainer.save_pretrained` or :func:`save_weights`.
    repository : str
        ``"owner/name"``, where the owner is you or an organisation of yours. Created if
        it is not there; the same name loads the weights again.
    private : bool, default=False
        Whether only the owner shall see them. An existing public repository is then
        refused.
    dry_run : bool, default=False
        True checks and describes the weights and uploads nothing; neither a network nor
        huggingface_hub is needed.
    token : str or None, default=None
        Access token of the hub with the right to write; None takes that of ``hf auth
        login`` or of the environment variable HF_TOKEN.

    Returns
    -------
    pushed : PushedWeights
        Paths, sizes, checksums and the page; with address and commit when uploaded.

    Raises
    ------
    ValueError, TypeError
        If a parameter is not as described.
    WeightsNotFoundError
        If there are no weights in `folder`.
    WeightsError
        If the weights are damaged, were not written by this package, or must not be
        passed on (``sharing`` is False on their card; this holds for private
        repositories too); if the hub cannot be reached or refuses the upload.
    OptionalDependencyError
        If huggingface_hub is missing (not with `dry_run`).

    Warns
    -----
    UserWarning
        If the card states no licence: without one nobody may use the weights.

    See Also
    --------
    load_weights : The way back.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sktinymyo.nn import TinyMyo, TinyMyoConfig
    >>> from sktinymyo.weights import WeightsCard, push_weights, save_weights
    >>> model = TinyMyo(TinyMyoConfig(embed_dim=64, depth=1, n_heads=1))
    >>> card = WeightsCard(name="armband", licence="CC0-1.0", sharing=True)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     card = save_weights(Path(folder) / "model.safetensors", model, card=card)
    ...     pushed = push_weights(folder, "me/armband", dry_run=True)
    >>> sorted(pushed.files), pushed.url
    (['README.md', 'model.safetensors'], None)
    """
    target = _check_repository(repository)
    for name, value in (("private", private), ("dry_run", dry_run)):
        if not isinstance(value, bool):
            raise TypeError(f"{name}={value!r} must be True or False.")
    if token is not None and (not isinstance(token, str) or not token):
        # The value is not shown: it may be a secret.
        raise TypeError(
            f"token must be a non-empty text or None; got {type(token).__name__}."
        )
    file, precision = _find(folder)
    weights = load_weights(file)
    _check_card(weights.card, file)
    with tempfile.TemporaryDirectory(prefix="sktinymyo-push-") as staging:
        staged = Path(staging) / target.path
        staged.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, staged)
        facts = _facts_of(staged)
        if facts["sha256"] != weights.sha256:
            raise WeightsError(f"{file} changed while it was read; push it again.")
        model_card = write_model_card(weights, target, facts["n_bytes"], precision)
        readme = Path(staging) / "README.md"
        readme.write_text(model_card, encoding="utf-8", newline="\n")
        files = {
            target.path: facts,
            "README.md": _facts_of(readme),
        }
        url = commit = None
        if not dry_run:
            message = f"Weights {' '.join(weights.card.name.split())}"
            url, commit = _upload(staging, repository, private, token, message)
    return PushedWeights(repository, files, model_card, private, url, commit)


def _check_repository(repository):
    """Return where the loader looks in a repository of this name."""
    accepted = (
        'pass "owner/name" of letters, digits, "-", "_" and ".", for example '
        '"your-name/our-armband"'
    )
    if not isinstance(repository, str):
        raise TypeError(
            f"repository={repository!r} has the type {type(repository).__name__}; "
            f"{accepted}."
        )
    good = (
        _REPOSITORY.fullmatch(repository) is not None
        and len(repository) <= _LONGEST_NAME
        and not any(part in repository for part in ("--", ".."))
        and not repository.endswith((".git", ".safetensors"))
    )
    if not good:
        raise ValueError(
            f"repository={repository!r} is not a name that the hub accepts; {accepted}."
        )
    return _hub.parse_hub_name(repository)


def _find(folder):
    """Return the file and its precision; refuse what this package did not write."""
    path = Path(folder).expanduser()
    if not path.exists():
        raise WeightsNotFoundError(
            f"folder={str(path)!r}: there is no such folder or file (looked in "
            f"{Path.cwd()}); pass what save_pretrained or save_weights wrote."
        )
    file = locate(path).file
    with TensorFile(file) as content:
        if HEADER_KEY not in content.metadata:
            raise WeightsError(
                f"{file} was not written by this package, and has no card that would "
                "go with it. Write it anew, with a card that states its origin and "
                "licence: save_weights(path, load_weights(source), card=WeightsCard"
                "(...)), and push that."
            )
        stored = {_PRECISIONS.get(s.dtype, s.dtype) for s in content.specs.values()}
    return file, ", ".join(sorted(stored))


def _check_card(card, file):
    if card.sharing is False:
        terms = f" Its terms: {card.sharing_terms}" if card.sharing_terms else ""
        raise WeightsError(
            f"{file}: the card of the weights {card.name!r} forbids passing them on "
            f"(licence {card.licence or 'not stated'}), so they are not uploaded, not "
            f"to a private repository either.{terms} Weights that you train from "
            'random numbers (weights="random") are yours to share.'
        )
    if not (card.licence or "").strip():
        warnings.warn(
            f"The card of the weights {card.name!r} states no licence, and without one "
            "nobody may use them. State it when you save them: save_pretrained(folder, "
            'licence="CC-BY-4.0", sharing=True).',
            UserWarning,
            stacklevel=3,
        )


def _facts_of(path):
    content = path.read_bytes()
    return {"n_bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


def _upload(staging, repository, private, token, message):
    """Upload a folder; return the repository's address and the commit."""
    for module in ("huggingface_hub.constants", "huggingface_hub.utils"):
        import_optional(module, extra="hub", purpose="push_weights")
    hub = import_optional("huggingface_hub", extra="hub", purpose="push_weights")
    advice = "Nothing was uploaded; push_weights(..., dry_run=True) needs no network."
    if _hub._told_to_stay_offline(hub):
        raise WeightsError(
            f"{repository} cannot be written: the environment variable HF_HUB_OFFLINE "
            f"forbids the network; unset it. {advice}"
        )
    token = hub.get_token() if token is None else token
    if not token:
        raise WeightsError(
            f"{repository} cannot be written without an access token of the hub: make "
            "one with the right to write on https://huggingface.co/settings/tokens and "
            "run `hf auth login`, set the environment variable HF_TOKEN, or pass "
            f"token=. {advice}"
        )
    problem = _hub._probe(hub.constants.ENDPOINT, ANSWER_SECONDS)
    if problem is not None:
        raise WeightsError(
            f"{repository} cannot be written: {problem.partition(' (load_weights')[0]}."
            f" Check the network and the proxy. {advice}"
        )
    # A parameter of HfApi itself: it then goes with every request.
    api = hub.HfApi(token=token, library_name="sktinymyo")
    doing = "create"
    try:
        url = api.create_repo(
            repository, repo_type="model", private=private, exist_ok=True
        )
        doing = "look at"
        # Creating what is there already leaves it as open as it was.
        hidden_enough = not private or api.model_info(repository).private
        if hidden_enough:
            doing = "upload to"
            commit = api.upload_folder(
                repo_id=repository,
                repo_type="model",
                folder_path=staging,
                commit_message=message,
            )
    # Versions of huggingface_hub build on different HTTP libraries, whose errors
    # have no base class in common.
    except Exception as error:
        raise WeightsError(_refusal(error, doing, repository)) from error
    if not hidden_enough:
        raise WeightsError(
            f"repository={repository!r} exists and is public, but private=True was "
            "asked for. Make it private in its settings, or take another name. Nothing "
            "was uploaded."
        )
    return str(url), commit.oid


def _refusal(error, doing, repository):
    """Explain an error of the hub."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    owner = repository.partition("/")[0]
    if status == 401:
        reason = (
            "the token is not valid (expired, revoked or mistyped); make a new one on "
            "https://huggingface.co/settings/tokens"
        )
    elif status == 403:
        reason = (
            f"the token has no right to write to what {owner!r} owns; use one of type "
            "write, of this owner or of a member of this organisation"
        )
    else:
        reason = "the hub said"
    left = " The repository exists now, perhaps without files." * (doing != "create")
    return (
        f"Could not {doing} the hub repository {repository}: {reason} "
        f"({_hub._in_one_line(error)}).{left} Call push_weights again to try once more."
    )
