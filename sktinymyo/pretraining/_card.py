"""What a card says of pretrained weights: their start, all recordings, the recipe."""

import numpy as np

from ..weights._card_fields import MOST_RATES, is_close
from ._software import describe_software

__all__ = ["add_facts", "complete_card", "continued_card", "describe_recipe"]

# Licences that leave the terms of what is made from the weights to its maker. Any
# other goes on to hold.
_PERMISSIVE = {
    "0bsd",
    "apache-2.0",
    "bsd-2-clause",
    "bsd-3-clause",
    "cc-by-4.0",
    "cc0-1.0",
    "isc",
    "mit",
    "unlicense",
}

_SCALINGS = {
    "group": "z-score per channel over all recordings of one wearing",
    "recording": "z-score per channel and recording",
    "window": "z-score per channel and window",
    None: "none",
}


def continued_card(card):
    """Return what the card of weights says of others that are trained from them.

    Terms that restrict go on to hold. What permits does not: it was said of other
    recordings. The description and the limits are those of the old weights.
    """
    changes = {"sharing": None, "description": None, "limits": None, "sha256": None}
    # "CC BY 4.0" is written with and without hyphens.
    licence = "-".join((card.licence or "").lower().split())
    if card.sharing is False:
        changes["sharing"] = False
    elif not licence or licence in _PERMISSIVE:
        changes |= {"licence": None, "sharing_terms": None}
    checksum = "" if card.sha256 is None else f", sha256 {card.sha256[:8]}"
    return card.replace(
        name=f"{card.name.removesuffix(' (continued)')} (continued)",
        source=(
            f"TinyMyoPretrainer, from {card.name!r} (licence "
            f"{card.licence or 'not stated'}{checksum})"
        ),
        data=f"those of {card.name!r}: {card.data or 'not stated'}",
        **changes,
    )


def describe_recipe(parameters, schedule, lengths):
    """Write how one call trained, without what adds up over calls.

    Parameters
    ----------
    parameters : dict
        Of the estimator, with ``n_classes`` that were learned beside.
    schedule : {"cosine", "constant"}
        Course of the rate.
    lengths : tuple of int
        Lengths of the windows.

    Returns
    -------
    recipe : str
    """
    form = "visible tokens only" if parameters["visible_only"] else "mask tokens"
    labels = (
        f"; labels of {parameters['n_classes']} classes beside, weight "
        f"{parameters['label_weight']}"
        if parameters["n_classes"]
        else ""
    )
    constant = " constant" if schedule == "constant" else ""
    return (
        f"{parameters['mask_ratio']:.0%} masked by {parameters['mask_form']}, {form}; "
        f"targets {' and '.join(parameters['targets'])}{labels}; windows of "
        f"{', '.join(map(str, lengths))} samples; AdamW, lr {parameters['lr']}"
        f"{constant}, batch {parameters['batch_size']}"
    )


def add_facts(earlier, *, data, scale, recipe, lengths, history, batch_size):
    """Return the facts of all calls so far, those of one more added.

    Parameters
    ----------
    earlier : dict or None
        What this function returned for the call before.
    data : dict
        Of :meth:`WindowSource.describe`.
    scale : str or None
        Scaling of the first call, which goes on to hold.
    recipe : str
        Of :func:`describe_recipe`.
    lengths : tuple of int
        Lengths of the windows.
    history : list of dict
        Rows of this call alone.
    batch_size : int
        Windows of a step.

    Returns
    -------
    facts : dict
        Plain values.
    """
    counts = {name: data[name] for name in ("n_recordings", "n_samples", "n_windows")}
    steps = [row["step"] for row in history]
    rates = [row["windows_per_second"] for row in history]
    seconds = np.diff(steps, prepend=0) * batch_size / np.maximum(rates, 1e-9)
    counts |= {
        "steps": steps[-1],
        "epochs": history[-1]["epoch"],
        "hours": float(np.sum(seconds)) / 3600,
    }
    channels = {int(number) for number in data["recordings_by_n_channels"]}
    rates = (
        None if data["n_recordings_of_unknown_rate"] else data["recordings_by_sfreq"]
    )
    recipes = [recipe]
    if earlier is not None:
        counts = {name: earlier[name] + value for name, value in counts.items()}
        channels |= set(earlier["channels"])
        rates = _added(earlier["rates"], rates)
        lengths = (*earlier["lengths"], *lengths)
        scale, recipes = earlier["scale"], list(earlier["recipes"])
        if recipe != recipes[-1]:
            recipes.append(recipe)
    return counts | {
        "channels": sorted(channels),
        "rates": rates,
        "lengths": tuple(sorted(set(lengths))),
        "scale": scale,
        "recipes": recipes,
        "losses": {
            name: value
            for name, value in history[-1].items()
            if name in ("raw", "spectrum", "labels")
        },
    }


def _added(earlier, new):
    """Add recordings by rate; None where some have none, which nobody can tell."""
    if earlier is None or new is None:
        return None
    return {rate: earlier.get(rate, 0) + new.get(rate, 0) for rate in earlier | new}


def _rates(start, facts):
    """Return the fields of the card that tell the rates of all recordings.

    First comes what the initial weights recommend, else what most recordings have.
    """
    if not facts["rates"]:
        return {}
    rates = list(start.rates)
    for rate in sorted(facts["rates"], key=facts["rates"].get, reverse=True):
        if not any(is_close(rate, known) for known in rates):
            rates.append(rate)
    if len(rates) > MOST_RATES:
        return {}
    return {"sfreq": rates[0], "sfreqs": tuple(rates)}


def _duration(hours):
    """Write how long training took."""
    if hours >= 1:
        return f"{hours:.1f} h"
    return f"{60 * hours:.0f} min" if hours >= 1 / 60 else "less than a minute"


def complete_card(start, facts):
    """Return the card of weights that began with `start`, by the facts of training.

    Parameters
    ----------
    start : WeightsCard
        Of the initial values; see :func:`continued_card`.
    facts : dict
        Of :func:`add_facts`.

    Returns
    -------
    card : WeightsCard
    """
    seen = (
        f"{facts['n_recordings']} recordings of "
        f"{', '.join(map(str, facts['channels']))} channels, "
        f"{facts['n_samples']} samples in all, {facts['n_windows']} windows"
    )
    known = start.channel_range or filter(None, [start.n_channels])
    channels = {*facts["channels"], *known}
    known = start.times_range or filter(None, [start.n_times])
    lengths = {*facts["lengths"], *known}
    losses = ", ".join(f"{name} {loss:.4f}" for name, loss in facts["losses"].items())
    return start.replace(
        n_times=facts["lengths"][-1],
        times_range=(min(lengths), max(lengths)),
        # The range says it for all recordings.
        n_channels=None,
        channel_range=(min(channels), max(channels)),
        normalisation=_SCALINGS[facts["scale"]],
        data=seen if start.data is None else f"{start.data}; then {seen}",
        recipe=(
            f"{'; then '.join(facts['recipes'])}; {facts['steps']} steps, "
            f"{facts['epochs']:g} epochs, {_duration(facts['hours'])} in all; "
            f"last losses: {losses}"
        ),
        software=describe_software(),
        **_rates(start, facts),
    )
