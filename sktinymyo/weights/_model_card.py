"""The page of weights on the Hugging Face hub, written from their card."""

import json
import re

from ._card_fields import write_range

__all__ = ["write_model_card"]

# The hub refuses a page whose front matter names a licence it does not know.
_LICENCES_OF_THE_HUB = frozenset(
    """afl-3.0 agpl-3.0 apache-2.0 artistic-2.0 bsd bsd-2-clause bsd-3-clause
    bsd-3-clause-clear bsl-1.0 cc0-1.0 cc-by-2.0 cc-by-2.5 cc-by-3.0 cc-by-4.0
    cc-by-nc-2.0 cc-by-nc-3.0 cc-by-nc-4.0 cc-by-nc-nd-3.0 cc-by-nc-nd-4.0
    cc-by-nc-sa-2.0 cc-by-nc-sa-3.0 cc-by-nc-sa-4.0 cc-by-nd-4.0 cc-by-sa-3.0
    cc-by-sa-4.0 ecl-2.0 epl-1.0 epl-2.0 eupl-1.1 eupl-1.2 gpl-2.0 gpl-3.0 isc
    lgpl-2.1 lgpl-3.0 mit mpl-2.0 ncsa odbl odc-by osl-3.0 pddl postgresql
    unlicense wtfpl zlib""".split()
)
_TAGS = ("emg", "electromyography", "biosignals", "tinymyo")
# Fields of the card by section of the page; those in none are limits.
_SECTIONS = {
    "Signals it expects": {
        "sfreq": "Sampling rate",
        "sfreqs": "Sampling rates seen in training",
        "n_channels": "Channels",
        "channel_range": "Numbers of channels seen in training",
        "n_times": "Window",
        "times_range": "Lengths of windows seen in training",
        "normalisation": "Normalisation",
    },
    "Training": {"data": "Data", "recipe": "Recipe", "software": "Software"},
    "Licence": {
        "licence": "Licence",
        "sharing": "Passing changed weights on",
        "sharing_terms": "Terms",
        "citation": "Please cite",
    },
}
_ALWAYS_SHOWN = frozenset(
    "sfreq n_channels n_times normalisation data recipe licence sharing".split()
)
_STATED_ELSEWHERE = {"name", "description", "source", "sha256", "generation", "config"}


def write_model_card(weights, hub_file, n_bytes, precision):
    """Describe weights for the page of a repository on the hub.

    Parameters
    ----------
    weights : LoadedWeights
        What is described.
    hub_file : HubFile
        Where they will lie.
    n_bytes : int
        Size of the file.
    precision : str
        Type of the tensors in the file.

    Returns
    -------
    text : str
        Markdown behind front matter in YAML.
    """
    card = weights.card
    # Texts in JSON are texts in YAML, whatever characters they hold.
    front = [f"{key}: {json.dumps(value)}" for key, value in _front_matter(card)]
    lines = ["---", *front, "---", "", f"# {_text(card.name)}", ""]
    about = card.description or "Encoder of surface EMG (electromyography)"
    lines += [_sentence(about), "", *_example(hub_file), ""]
    values = _shown_values(card)
    for title, labels in _SECTIONS.items():
        lines += [f"## {title}", ""]
        for name, label in labels.items():
            if name in values:
                lines.append(f"- {label}: {values[name]}")
        lines.append("")
    known = {name for labels in _SECTIONS.values() for name in labels}
    stated = [f"- {values[name]}" for name in values if name not in known]
    lines += ["## Known limits", "", *stated, *_limits(weights), ""]
    config = weights.config
    n_values = sum(tensor.numel() for tensor in weights.state.values())
    lines += [
        "## File",
        "",
        f"- `{hub_file.path}`, {n_bytes:,} bytes, {precision}",
        f"- SHA-256: `{weights.sha256}`",
        f"- {n_values:,} parameters: {config.depth} layers of width "
        f"{config.embed_dim}, {config.n_heads} attention heads, patches of "
        f"{config.patch_size} samples, positions {weights.generation}, head: "
        f"{weights.head or 'none'}",
        "",
    ]
    return "\n".join(lines)


def _front_matter(card):
    if (card.licence or "").strip():
        name = "-".join(card.licence.lower().split())
        if name in _LICENCES_OF_THE_HUB:
            yield "license", name
        else:
            yield "license", "other"
            slug = re.sub(r"[^a-z0-9.]+", "-", name).strip("-.")
            yield "license_name", slug or "other"
    yield "library_name", "sktinymyo"
    yield "tags", list(_TAGS)


def _example(hub_file):
    return [
        "```console",
        "$ pip install 'sktinymyo[hub]'",
        "```",
        "",
        "```python",
        "from sktinymyo import TinyMyoEmbedder",
        "",
        "# X: windows of shape (n_windows, n_channels, n_times)",
        f'embedder = TinyMyoEmbedder(weights="{hub_file.repository}")',
        "embeddings = embedder.fit_transform(X)",
        "```",
    ]


def _shown_values(card):
    """Return the fields of the card as texts of one line."""
    values = {}
    for name, value in card.to_dict().items():
        if name in _STATED_ELSEWHERE:
            continue
        if value is None or value in ((), []) or not str(value).strip():
            if name in _ALWAYS_SHOWN:
                values[name] = "not stated"
        elif isinstance(value, (list, tuple)):
            values[name] = ", ".join(map(_text, value))
        else:
            values[name] = _text(value)
    if card.sharing is not None:
        values["sharing"] = "allowed" if card.sharing else "not allowed"
    if card.rates:
        values["sfreq"] = f"{card.rates[0]:g} Hz"
    values.pop("sfreqs", None)
    if len(card.sfreqs) > 1:
        values["sfreqs"] = ", ".join(f"{rate:g} Hz" for rate in card.sfreqs)
    if "channel_range" in values and card.n_channels is None:
        del values["n_channels"]
    for name in ("channel_range", "times_range"):
        if name in values:
            values[name] = write_range(getattr(card, name))
    if card.n_times is not None:
        seconds = "" if card.window is None else f" ({card.window:g} s)"
        values["n_times"] += f" samples{seconds}"
    # Of a single length the window says it all.
    if len(set(card.times_range or ())) > 1:
        values["times_range"] += " samples"
    else:
        values.pop("times_range", None)
    return values


def _text(value):
    if isinstance(value, float):
        return f"{value:g}"
    return " ".join(str(value).split())


def _limits(weights):
    """Say what follows from the architecture and from silence of the card."""
    card, config = weights.card, weights.config
    lines = []
    if config.position == "per-channel":
        lines.append(
            f"- Electrodes are told apart by {config.n_channel_embeddings} learned "
            "vectors, which further channels use again."
        )
    if card.rates:
        lines.append(
            "- The encoder counts in samples. Signals of other sampling rates look "
            "stretched to it: resample them (`EMGResampler`)."
        )
    lines.append(
        "- People, electrodes and gestures that are not among the data above were not "
        "seen in training; test on your own before you rely on it. Not a medical "
        "device."
    )
    return lines


def _sentence(text):
    text = text.strip()
    return text if text.endswith((".", "!", "?")) else f"{text}."
