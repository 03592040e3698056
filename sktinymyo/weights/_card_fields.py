"""Checks of the fields of a card, and how their values are written."""

import math
import numbers
import reprlib
from difflib import get_close_matches

from ..exceptions import WeightsError

__all__ = [
    "MOST_RATES",
    "check_positive",
    "check_text",
    "in_one_line",
    "is_close",
    "is_sha256",
    "read_range",
    "read_rates",
    "refuse_unknown",
    "to_plain",
    "write_either",
    "write_number",
    "write_range",
]

# Clocks of recorders are off by less; the next rate in use is farther away.
RATE_TOLERANCE = 0.01

# Far more than any recipe has: a stranger's card must not fill a terminal.
MOST_RATES = 32
_LONGEST_IN_LINE = 80


def is_sha256(value):
    """Tell whether `value` is a SHA-256 checksum in lower-case hexadecimal."""
    return (
        isinstance(value, str)
        and len(value) == 64
        and all(digit in "0123456789abcdef" for digit in value)
    )


def refuse_unknown(names, known):
    """Raise an error for names that are no fields: a misspelt licence is none."""
    unknown = sorted(str(name) for name in names if name not in known)
    if not unknown:
        return
    guesses = get_close_matches(unknown[0], known, n=1)
    meant = f" (did you mean {guesses[0]!r}?)" if guesses else ""
    raise WeightsError(
        f"a card has unknown fields: {', '.join(map(repr, unknown))}{meant}. "
        f"Accepted: {', '.join(known)}."
    )


def check_text(name, value, *, required):
    """Refuse what is no text, or would act on a terminal."""
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


def to_plain(value):
    """Make plain numbers and lists of numpy's, which JSON cannot hold."""
    return value.tolist() if hasattr(value, "tolist") else value


def check_positive(name, value, kind):
    """Refuse what is neither a positive number nor None."""
    if value is not None and not _is_positive(value, kind):
        raise WeightsError(
            f"card field {name}={_shown(value)} must be a positive number or None."
        )


def _is_positive(value, kind):
    if isinstance(value, bool) or not isinstance(value, kind):
        return False
    try:
        return math.isfinite(value) and value > 0
    except OverflowError:
        # A whole number of hundreds of digits, which JSON can hold.
        return False


def read_rates(values, sfreq):
    """Return a checked tuple of rates."""
    if values is None:
        return ()
    good = isinstance(values, (list, tuple)) and len(values) <= MOST_RATES
    if not good or not all(_is_positive(value, numbers.Real) for value in values):
        raise WeightsError(
            f"card field sfreqs={_shown(values)} must be a list of at most "
            f"{MOST_RATES} positive numbers."
        )
    rates = tuple(float(value) for value in values)
    if rates and sfreq is not None and not is_close(sfreq, rates[0]):
        raise WeightsError(
            f"card field sfreq={_shown(sfreq)} contradicts sfreqs={_shown(values)}: "
            "the first of the rates is the recommended one, and must be sfreq."
        )
    return rates


def read_range(name, values):
    """Return a checked pair of whole numbers, or None."""
    if values is None:
        return None
    if (
        not isinstance(values, (list, tuple))
        or len(values) != 2
        or not all(_is_positive(value, numbers.Integral) for value in values)
        or values[0] > values[1]
    ):
        raise WeightsError(
            f"card field {name}={_shown(values)} must be the smallest and the largest "
            "value, two positive whole numbers, or None."
        )
    return int(values[0]), int(values[1])


def is_close(sfreq, rate):
    """Tell whether two rates are one."""
    return abs(sfreq - rate) <= RATE_TOLERANCE * rate


def write_number(value):
    """Write a rate without losing digits: 1925.926 Hz is a real one."""
    return f"{float(value):.10g}"


def write_either(values):
    """Write rates as alternatives."""
    *others, last = map(write_number, values)
    return f"{', '.join(others)} or {last}" if others else last


def write_range(values):
    """Write the smallest and the largest value, or the only one."""
    smallest, largest = map(write_number, values)
    return largest if smallest == largest else f"{smallest} to {largest}"


def _shown(value):
    """Show a value of a stranger's card, but not all of a long one."""
    return reprlib.repr(value)


def in_one_line(text):
    """Write a text of a stranger in one short line."""
    text = " ".join(text.split())
    short = len(text) <= _LONGEST_IN_LINE
    return text if short else f"{text[: _LONGEST_IN_LINE - 3]}..."
