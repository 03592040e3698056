"""The card of a set of weights: origin, licence, and the data they expect."""

import dataclasses
import math
import numbers
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..exceptions import WeightsError

__all__ = ["WeightsCard"]

_TEXTS = (
    "name",
    "source",
    "sha256",
    "licence",
    "sharing_terms",
    "normalisation",
    "generation",
    "description",
    "citation",
    "data",
    "recipe",
)
_WHOLE_NUMBERS = ("n_channels", "n_times")


@dataclass(frozen=True)
class WeightsCard:
    """What a user must know about a set of weights.

    Every field but `name` may be None (or empty): not stated by whoever made
    the file. Nothing is guessed.

    Parameters
    ----------
    name : str
        Short name of the weights.
    source : str or None, default=None
        Where they came from: a file, or a hub name.
    sha256 : str or None, default=None
        Checksum of the file as 64 hexadecimal digits. A file cannot hold its own
        checksum, so :func:`load_weights` fills it in.
    licence : str or None, default=None
        Licence under which the weights may be used.
    sharing : bool or None, default=None
        Whether changed weights (fine-tuned, quantised, pruned) may be passed on:
        True, False, or None when not stated. Exporters read this field.
    sharing_terms : str or None, default=None
        The conditions of sharing in words.
    sfreq : float or None, default=None
        Sampling rate of the training windows, in Hz.
    n_channels : int or None, default=None
        Number of channels of the training windows.
    n_times : int or None, default=None
        Length of the training windows, in samples.
    normalisation : str or None, default=None
        What was done to the signal before the network saw it.
    generation : {"per-channel", "none", "flat"} or None, default=None
        How the network tells positions apart.
    config : dict, default={}
        Architecture, as :meth:`TinyMyoConfig.to_dict` gives it.
    description, citation, data, recipe : str or None, default=None
        What the weights are, whom to cite, the recordings they were trained on,
        and how.

    Raises
    ------
    WeightsError
        If a field has the wrong type, or a number is not positive and finite.

    Examples
    --------
    >>> from sktinymyo.weights import WeightsCard
    >>> card = WeightsCard(name="mine", licence="CC0-1.0", sharing=True,
    ...                    sfreq=200.0, n_channels=8, n_times=40)
    >>> card.window
    0.2
    >>> print(card.summary())
    mine: 8 channels, 0.2 s at 200 Hz; licence CC0-1.0
    >>> WeightsCard.from_dict(card.to_dict()) == card
    True
    """

    name: str
    source: str | None = None
    sha256: str | None = None
    licence: str | None = None
    sharing: bool | None = None
    sharing_terms: str | None = None
    sfreq: float | None = None
    n_channels: int | None = None
    n_times: int | None = None
    normalisation: str | None = None
    generation: str | None = None
    config: dict = field(default_factory=dict)
    description: str | None = None
    citation: str | None = None
    data: str | None = None
    recipe: str | None = None

    def __post_init__(self):
        """Refuse fields of the wrong type: cards also come out of strangers' files."""
        for name in _TEXTS:
            _check_text(name, getattr(self, name), required=name == "name")
        if not (self.sharing is None or isinstance(self.sharing, bool)):
            raise WeightsError(
                f"card field sharing={self.sharing!r} must be True, False or None."
            )
        for name in _WHOLE_NUMBERS:
            _check_positive(name, getattr(self, name), numbers.Integral)
        _check_positive("sfreq", self.sfreq, numbers.Real)
        if not isinstance(self.config, Mapping):
            raise WeightsError(
                f"card field config={self.config!r} must be a dictionary."
            )
        if self.sha256 is not None and not is_sha256(self.sha256):
            raise WeightsError(
                f"card field sha256={self.sha256!r} must be 64 hexadecimal digits."
            )

    @property
    def window(self):
        """Length of the training windows in seconds, or None when not stated."""
        if self.n_times is None or self.sfreq is None:
            return None
        return self.n_times / self.sfreq

    def to_dict(self):
        """Return the fields as a plain dictionary that JSON can hold.

        Returns
        -------
        fields : dict
            Every field, those not stated as None.
        """
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields):
        """Make a card from a dictionary.

        Parameters
        ----------
        fields : dict
            As :meth:`to_dict` returns it; fields left out are "not stated".

        Returns
        -------
        card : WeightsCard

        Raises
        ------
        WeightsError
            If `fields` is no dictionary, has no name, or has unknown fields: a
            misspelt licence must not pass for a missing one.
        """
        if not isinstance(fields, Mapping):
            raise WeightsError(
                f"a card must be a dictionary; got {type(fields).__name__}."
            )
        known = [item.name for item in dataclasses.fields(cls)]
        unknown = sorted(str(key) for key in fields if key not in known)
        if unknown:
            raise WeightsError(
                f"a card has unknown fields: {', '.join(unknown)}. "
                f"Accepted: {', '.join(known)}."
            )
        if "name" not in fields:
            raise WeightsError("a card needs the field 'name'.")
        return cls(**fields)

    def replace(self, **fields):
        """Return a copy with some fields changed.

        Parameters
        ----------
        **fields : object
            New values by field name.

        Returns
        -------
        card : WeightsCard
        """
        return dataclasses.replace(self, **fields)

    def summary(self):
        """Describe the weights in one line.

        Returns
        -------
        line : str
            Name, generation, data form and licence.
        """
        parts = []
        if self.generation is not None:
            parts.append(f"positions {self.generation}")
        if self.n_channels is not None:
            parts.append(f"{self.n_channels} channels")
        if self.window is not None:
            parts.append(f"{self.window:g} s at {self.sfreq:g} Hz")
        elif self.sfreq is not None:
            parts.append(f"{self.sfreq:g} Hz")
        form = ", ".join(parts) or "form of the data not stated"
        licence = self.licence or "not stated"
        restriction = "" if self.sharing is not False else " (no changed copies)"
        return f"{self.name}: {form}; licence {licence}{restriction}"

    def __str__(self):
        """Return every stated field, one a line."""
        values = self.to_dict()
        values["sharing"] = {
            True: "changed weights may be passed on",
            False: "changed weights may NOT be passed on",
            None: None,
        }[self.sharing]
        if self.sfreq is not None:
            values["sfreq"] = f"{self.sfreq:g} Hz"
        if self.n_times is not None:
            seconds = "" if self.window is None else f" ({self.window:g} s)"
            values["n_times"] = f"{self.n_times} samples{seconds}"
        values["config"] = ", ".join(f"{k}={v}" for k, v in self.config.items())
        lines = [f"Weights {values.pop('name')}"]
        for key, value in values.items():
            shown = "not stated" if value is None or value == "" else str(value)
            lines.append(
                textwrap.fill(
                    shown,
                    width=88,
                    initial_indent=f"  {key.replace('_', ' '):<14}",
                    subsequent_indent=" " * 16,
                    break_long_words=False,
                )
            )
        return "\n".join(lines)


def is_sha256(value):
    """Tell whether `value` is a SHA-256 checksum in lower-case hexadecimal."""
    return (
        isinstance(value, str)
        and len(value) == 64
        and all(digit in "0123456789abcdef" for digit in value)
    )


def _check_text(name, value, *, required):
    if value is None and not required:
        return
    if not isinstance(value, str) or (required and not value):
        raise WeightsError(
            f"card field {name}={value!r} must be "
            f"{'a non-empty text' if required else 'a text or None'}."
        )
    # A card is printed on terminals; escape sequences in it could rewrite them.
    if any(not (letter.isprintable() or letter in "\n\t") for letter in value):
        raise WeightsError(f"card field {name}={value!r} has control characters.")


def _check_positive(name, value, kind):
    if value is None:
        return
    if (
        isinstance(value, bool)
        or not isinstance(value, kind)
        or not math.isfinite(value)
        or value <= 0
    ):
        raise WeightsError(
            f"card field {name}={value!r} must be a positive number or None."
        )
