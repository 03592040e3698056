"""The sets of weights that the package knows by name.

Shipping weights takes two steps: put ``data/<name>.safetensors`` into this
package and add an entry with ``packaged=True`` and its ``sha256`` here. The
entry with ``default=True`` is what ``weights="default"`` stands for.
"""

from dataclasses import dataclass
from pathlib import Path

from .cards import WeightsCard

__all__ = ["REGISTRY", "RegisteredWeights", "default_weights", "find_by_sha256"]

_DATA_FOLDER = Path(__file__).parent / "data"

_TINYMYO_PAPER = (
    "M. Fasulo, G. Spacone, T. M. Ingolfsson, Y. Li, L. Benini, A. Cossettini: "
    "TinyMyo: a Tiny Foundation Model for Flexible EMG Signal Processing at the "
    "Edge. arXiv:2512.15729, 2025."
)


@dataclass(frozen=True)
class RegisteredWeights:
    """Weights known by name.

    Attributes
    ----------
    card : WeightsCard
        What is known about the weights; its `name` is the key in the registry
        and its `sha256`, where known, is checked against the file. The other
        fields of packaged weights stand in the file itself.
    repository, path, revision : str or None
        Where the file lies on the hub; revision None is the newest.
    packaged : bool
        Whether the file ``data/<name>.safetensors`` ships inside the package.
    default : bool
        Whether ``weights="default"`` means these weights.
    """

    card: WeightsCard
    repository: str | None = None
    path: str | None = None
    revision: str | None = None
    packaged: bool = False
    default: bool = False

    @property
    def file(self):
        """The file inside the package."""
        return _DATA_FOLDER / f"{self.card.name}.safetensors"


def _by_name(*entries):
    return {entry.card.name: entry for entry in entries}


REGISTRY = _by_name(
    RegisteredWeights(
        card=WeightsCard(
            name="tinymyo-open",
            sha256="b7056f266f7fa7836c3bff124f1d39e1cbfbd82f43a5b24f8dfdb02fac6537c6",
        ),
        packaged=True,
        default=True,
    ),
    RegisteredWeights(
        card=WeightsCard(
            name="tinymyo-open-small",
            sha256=("745fe0e48a4b328c3a82b05dd343c59c29bcf3e4ea8193f68124aa0cdf348293"),
        ),
        packaged=True,
    ),
    RegisteredWeights(
        repository="PulpBio/TinyMyo",
        path="pretraining/TinyMyo/TinyMyo.safetensors",
        card=WeightsCard(
            name="PulpBio/TinyMyo",
            source="Hugging Face hub, PulpBio/TinyMyo, "
            "pretraining/TinyMyo/TinyMyo.safetensors",
            licence="CC BY-ND 4.0",
            sharing=False,
            sharing_terms=(
                "The authors forbid sharing modified weights: fine-tuned, adapted, "
                "quantised or pruned. Unmodified weights may be shared with "
                "attribution."
            ),
            sfreq=2000.0,
            n_channels=16,
            n_times=1000,
            sfreqs=(2000.0,),
            channel_range=(12, 16),
            times_range=(1000, 1000),
            normalisation=(
                "Band-pass 20-450 Hz (Butterworth, order 4) and 50 Hz notch (Q 30), "
                "both zero phase, then z-score per recording and channel"
            ),
            generation="per-channel",
            description=(
                "Encoder of 8 layers of width 192, pretrained to restore masked "
                "patches of surface EMG"
            ),
            citation=_TINYMYO_PAPER,
            data=(
                "NinaPro DB6 (10 people, 14 channels), NinaPro DB7 (22 people, 12 "
                "channels), emg2pose (192 people, 16 channels); all at 2 kHz"
            ),
            recipe=(
                "Half of the (channel, patch) cells masked; smooth L1 on masked plus "
                "0.1 times smooth L1 on visible patches; AdamW, 30 epochs"
            ),
        ),
    ),
)


def default_weights():
    """Return the entry that ``weights="default"`` stands for, or None."""
    for entry in REGISTRY.values():
        if entry.default:
            return entry
    return None


def find_by_sha256(sha256):
    """Return the entry whose file has this checksum, or None."""
    for entry in REGISTRY.values():
        if entry.card.sha256 == sha256:
            return entry
    return None


def find_repository(repository):
    """Return the first entry of a repository on the hub, or None."""
    for entry in REGISTRY.values():
        if entry.repository == repository:
            return entry
    return None


def find_on_hub(repository, path, revision):
    """Find what is known about a file on the hub.

    Parameters
    ----------
    repository, path : str
        The file.
    revision : str or None
        The revision asked for.

    Returns
    -------
    card : WeightsCard or None
        None for repositories that are not registered. For an unregistered file of
        a registered repository it holds the licence: that is the licence of the
        whole repository, and to lose it could make a user break it.
    sha256 : str or None
        Checksum, where the registry knows it for this very revision.
    """
    entry = find_repository(repository)
    if entry is None:
        return None, None
    if entry.path == path:
        known = revision == entry.revision
        return entry.card, entry.card.sha256 if known else None
    card = WeightsCard(
        name=f"{repository}:{path}",
        licence=entry.card.licence,
        sharing=entry.card.sharing,
        sharing_terms=entry.card.sharing_terms,
        citation=entry.card.citation,
    )
    return card, None


def plain_name(stem):
    """Make a card's name of a file's: without characters that a card refuses."""
    return "".join(letter for letter in stem if letter.isprintable()) or "weights"
