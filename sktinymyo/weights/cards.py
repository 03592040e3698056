"""The card of a set of weights: origin, licence, and the data they expect."""

import dataclasses
import numbers
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

from .._validation import check_number
from ..exceptions import WeightsError
from ._card_fields import (
    check_positive,
    check_text,
    in_one_line,
    is_close,
    is_sha256,
    read_range,
    read_rates,
    refuse_unknown,
    to_plain,
    write_either,
    write_number,
    write_range,
)

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
    "limits",
    "software",
)
_WHOLE_NUMBERS = ("n_channels", "n_times")
_RANGES = ("channel_range", "times_range")


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
        Sampling rate of the training windows, in Hz; where there were several, that
        of the real recordings, to which others are best brought.
    n_channels : int or None, default=None
        Number of channels of the training windows; where they differed, that of the
        main ones, and `channel_range` tells of all.
    n_times : int or None, default=None
        Length of the training windows, in samples; the largest, where they differed.
    normalisation : str or None, default=None
        What was done to the signal before the network saw it.
    generation : {"per-channel", "none", "flat"} or None, default=None
        How the network tells positions apart.
    config : dict, default={}
        Architecture, as :meth:`sktinymyo.nn.TinyMyoConfig.to_dict` gives it.
    description, citation, data, recipe : str or None, default=None
        What the weights are, whom to cite, the recordings they were trained on,
        and how.
    limits, software : str or None, default=None
        What the weights are known not to be good for, and the versions and the
        commit of the code that trained them.
    sfreqs : sequence of float, default=()
        All sampling rates seen in training, in Hz, at most 32; the first is the
        recommended one and equals `sfreq`, if both are stated. Empty: `sfreq` alone.
    channel_range : (int, int) or None, default=None
        Fewest and most channels seen in training. None: the fewest are not known,
        and `n_channels` is the most.
    times_range : (int, int) or None, default=None
        Shortest and longest windows of training, in samples. None: `n_times` alone.

    Raises
    ------
    WeightsError
        If a field has the wrong type, a number is not positive and finite, or
        `sfreq` and `sfreqs` contradict each other.

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

    Weights that saw several rates and numbers of channels, and what they say about
    a recording:

    >>> card = WeightsCard(name="ours", sfreqs=(200.0, 1000.0), channel_range=(4, 16))
    >>> card
    ours: 4 to 16 channels, 200 Hz (also 1000 Hz); licence not stated
    >>> card.find_mismatches(sfreq=1000, n_channels=8)
    []
    >>> for mismatch in card.find_mismatches(sfreq=2000, n_channels=32):
    ...     print(mismatch)
    sfreq=2000 Hz, but the weights learned at 200 or 1000 Hz: resample the windows \
with EMGResampler(2000, 200)
    X has 32 channels, but the weights learned from 4 to 16: leave channels out with \
ChannelMapper(n_channels=16)
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
    limits: str | None = None
    software: str | None = None
    sfreqs: tuple = ()
    channel_range: tuple | None = None
    times_range: tuple | None = None

    def __post_init__(self):
        """Refuse fields of the wrong type: cards also come out of strangers' files."""
        for name in _TEXTS:
            check_text(name, getattr(self, name), required=name == "name")
        sharing = to_plain(self.sharing)
        if not (sharing is None or isinstance(sharing, bool)):
            raise WeightsError(
                f"card field sharing={self.sharing!r} must be True, False or None."
            )
        for name in _WHOLE_NUMBERS:
            check_positive(name, getattr(self, name), numbers.Integral)
        check_positive("sfreq", self.sfreq, numbers.Real)
        # JSON and TOML know lists only, and plain numbers.
        values = {
            name: to_plain(getattr(self, name)) for name in (*_WHOLE_NUMBERS, "sfreq")
        }
        values |= {
            name: read_range(name, to_plain(getattr(self, name))) for name in _RANGES
        }
        values |= {
            "sharing": sharing,
            "sfreqs": read_rates(to_plain(self.sfreqs), self.sfreq),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
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
        if self.n_times is None or not self.rates:
            return None
        return self.n_times / self.rates[0]

    @property
    def rates(self):
        """All rates seen in training in Hz, the recommended first; () if not stated."""
        if self.sfreqs or self.sfreq is None:
            return self.sfreqs
        return (float(self.sfreq),)

    def find_mismatches(self, *, sfreq=None, n_channels=None):
        """Tell where windows differ from those that the weights learned from.

        What the card does not state is not compared.

        Parameters
        ----------
        sfreq : float or None, default=None
            Sampling rate of the windows in Hz. It fits if it is within 1 % of any
            rate of the card.
        n_channels : int or None, default=None
            Number of channels of the windows. It fits if it is within
            `channel_range`, or without one not above the `n_channels` of the card.

        Returns
        -------
        mismatches : list of str
            For each what was seen, what the card says, and the remedy.

        Raises
        ------
        TypeError, ValueError
            If `sfreq` is no positive number, or `n_channels` no positive whole number.
        """
        check_number(
            "sfreq", sfreq, minimum=0, include_minimum=False, none_allowed=True
        )
        check_number(
            "n_channels", n_channels, minimum=1, integer=True, none_allowed=True
        )
        found = []
        known = sfreq is None or any(is_close(sfreq, rate) for rate in self.rates)
        if self.rates and not known:
            found.append(
                f"sfreq={write_number(sfreq)} Hz, but the weights learned at "
                f"{write_either(self.rates)} Hz: resample the windows with "
                f"EMGResampler({write_number(sfreq)}, {write_number(self.rates[0])})"
            )
        fewest, most = self.channel_range or (1, self.n_channels)
        if n_channels is None or most is None:
            return found
        learned = self._channels()
        seen = f"X has {n_channels} channels, but the weights learned from {learned}"
        if n_channels > most:
            found.append(
                f"{seen}: leave channels out with ChannelMapper(n_channels={most})"
            )
        elif n_channels < fewest:
            found.append(
                f"{seen}: repeat channels with ChannelMapper(n_channels={fewest}, "
                "missing='repeat')"
            )
        return found

    def _channels(self):
        """Write the numbers of channels seen in training."""
        return write_range(self.channel_range or (self.n_channels, self.n_channels))

    def _seconds(self):
        """Write the lengths of the training windows in seconds; None if not known."""
        lengths = self.times_range or (self.n_times, self.n_times)
        if None in lengths or not self.rates:
            return None
        shortest, longest = (f"{length / self.rates[0]:g}" for length in lengths)
        return f"{longest} s" if shortest == longest else f"{shortest} to {longest} s"

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
        refuse_unknown(fields, [item.name for item in dataclasses.fields(cls)])
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

        Raises
        ------
        WeightsError
            If there is no such field, or a value is of the wrong type.
        """
        refuse_unknown(fields, [item.name for item in dataclasses.fields(self)])
        return dataclasses.replace(self, **fields)

    def summary(self):
        """Describe the weights in one line.

        Returns
        -------
        line : str
            Name, positions, channels, lengths of windows, rates, licence and the first
            digits of the checksum; the card shows itself so, too.
        """
        parts = []
        if self.generation is not None:
            parts.append(f"positions {in_one_line(self.generation)}")
        if self.channel_range is not None or self.n_channels is not None:
            parts.append(f"{self._channels()} channels")
        if self.rates:
            first, *others = self.rates
            seconds = self._seconds()
            window = "" if seconds is None else f"{seconds} at "
            also = (
                f" (also {', '.join(map(write_number, others))} Hz)" if others else ""
            )
            parts.append(f"{window}{write_number(first)} Hz{also}")
        form = ", ".join(parts) or "form of the data not stated"
        licence = in_one_line(self.licence or "not stated")
        restriction = "" if self.sharing is not False else " (no changed copies)"
        checksum = "" if self.sha256 is None else f"; sha256 {self.sha256[:8]}"
        name = in_one_line(self.name)
        return f"{name}: {form}; licence {licence}{restriction}{checksum}"

    def __repr__(self):
        """Return the line of `summary`."""
        return self.summary()

    def describe(self):
        """Describe the weights in full.

        Returns
        -------
        text : str
            Every field with its name, also those that are not stated.

        Examples
        --------
        >>> from sktinymyo.weights import WeightsCard
        >>> print(WeightsCard(name="mine", sfreqs=(200, 1000)).describe())
        Weights mine
        ...
          sfreqs        200, 1000 Hz
          channel range not stated
          times range   not stated
        """
        values = self.to_dict()
        values["sharing"] = {
            True: "changed weights may be passed on",
            False: "changed weights may NOT be passed on",
            None: None,
        }[self.sharing]
        if self.sfreq is not None:
            values["sfreq"] = f"{write_number(self.sfreq)} Hz"
        if self.sfreqs:
            values["sfreqs"] = f"{', '.join(map(write_number, self.sfreqs))} Hz"
        if self.channel_range is not None:
            values["channel_range"] = f"{self._channels()} (all recordings)"
            if self.n_channels is not None:
                values["n_channels"] = f"{self.n_channels} (the main recordings)"
        if self.n_times is not None:
            seconds = "" if self.window is None else f" ({self.window:g} s)"
            several = len(set(self.times_range or ())) > 1
            longest = ", the longest" if several else ""
            values["n_times"] = f"{self.n_times} samples{seconds}{longest}"
        if self.times_range is not None:
            seconds = "" if self._seconds() is None else f" ({self._seconds()})"
            values["times_range"] = f"{write_range(self.times_range)} samples{seconds}"
        values["config"] = ", ".join(f"{k}={v}" for k, v in self.config.items())
        lines = [f"Weights {values.pop('name')}"]
        for key, value in values.items():
            shown = "not stated" if value in (None, "", ()) else str(value)
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
