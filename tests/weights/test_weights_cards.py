import dataclasses
import json

import pytest

from sktinymyo.exceptions import WeightsError
from sktinymyo.weights import WeightsCard, list_weights, read_card
from sktinymyo.weights._registry import REGISTRY


def test_card_survives_a_dictionary_and_shows_every_field():
    card = WeightsCard(
        name="armband",
        source="here",
        sha256="0" * 64,
        licence="CC BY 4.0",
        sharing=True,
        sharing_terms="name us",
        sfreq=200.0,
        n_channels=8,
        n_times=50,
        normalisation="z-score",
        generation="none",
        config={"depth": 2},
        description="small",
        citation="A. Author",
        data="one person",
        recipe="none",
        limits="armbands",
        software="mine 1.0",
        sfreqs=[200, 1000],
        channel_range=[4, 16],
        times_range=[20, 50],
    )
    assert WeightsCard.from_dict(card.to_dict()) == card
    assert card.window == 0.25
    assert WeightsCard.from_dict(json.loads(json.dumps(card.to_dict()))) == card
    text = card.describe()
    for field in dataclasses.fields(card):
        assert field.name in text.lower().replace(" ", "_") or field.name == "name"
    for shown in (
        "n channels    8 (the main recordings)",
        "channel range 4 to 16 (all recordings)",
        "n times       50 samples (0.25 s), the longest",
        "times range   20 to 50 samples (0.1 to 0.25 s)",
    ):
        assert shown in text
    assert "0.25 s" in text and "200 Hz" in text and "not stated" not in text
    assert card.summary() == (
        "armband: positions none, 4 to 16 channels, 0.1 to 0.25 s at 200 Hz (also "
        "1000 Hz); licence CC BY 4.0; sha256 00000000"
    )
    assert "not stated" in WeightsCard(name="x").summary()
    assert WeightsCard(name="x").describe().count("not stated") == 20
    hostile = WeightsCard(name="a\nb" * 999, generation="c\td", licence="\n" * 9)
    assert repr(hostile).splitlines() == [repr(hostile)] and len(repr(hostile)) < 200


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "name"),
        ({"name": ""}, "name"),
        ({"name": 3}, "name"),
        ({"name": "x", "license": "MIT"}, "'license' .did you mean 'licence'"),
        ({"name": "x", "licence": 1}, "licence"),
        ({"name": "x", "sharing": "no"}, "sharing"),
        ({"name": "x", "sfreq": float("nan")}, "sfreq"),
        ({"name": "x", "sfreq": "2000"}, "sfreq"),
        ({"name": "x", "n_channels": 8.5}, "n_channels"),
        ({"name": "x", "n_times": True}, "n_times"),
        ({"name": "x", "config": []}, "config"),
        ({"name": "x", "sha256": "beef"}, "sha256"),
        ({"name": "\x1b[2Jx"}, "control"),
        ({"name": "x", "n_channels": 10**400}, "n_channels"),
        ({"name": "x", "sfreqs": 200.0}, "sfreqs"),
        ({"name": "x", "sfreqs": "200"}, "sfreqs"),
        ({"name": "x", "sfreqs": {"200": 1}}, "sfreqs"),
        ({"name": "x", "sfreqs": [200.0, float("inf")]}, "sfreqs"),
        ({"name": "x", "sfreqs": [200.0, "1000"]}, "sfreqs"),
        ({"name": "x", "sfreqs": [True]}, "sfreqs"),
        ({"name": "x", "sfreqs": [10**400]}, "sfreqs"),
        ({"name": "x", "sfreqs": [[200.0]]}, "sfreqs"),
        ({"name": "x", "sfreqs": [200.0] * 33}, "at most 32"),
        ({"name": "x", "sfreq": 2000.0, "sfreqs": [200.0, 2000.0]}, "contradicts"),
        ({"name": "x", "channel_range": [4]}, "channel_range"),
        ({"name": "x", "channel_range": [4, 8, 16]}, "channel_range"),
        ({"name": "x", "channel_range": [16, 4]}, "channel_range"),
        ({"name": "x", "channel_range": [0, 4]}, "channel_range"),
        ({"name": "x", "channel_range": [4.0, 8.0]}, "channel_range"),
        ({"name": "x", "channel_range": {"4": 4, "8": 8}}, "channel_range"),
        ({"name": "x", "channel_range": "48"}, "channel_range"),
        ({"name": "x", "times_range": [200, 40]}, "times_range"),
        (["name"], "list"),
    ],
)
def test_bad_cards_are_refused_by_field(fields, named):
    with pytest.raises(WeightsError, match=named):
        WeightsCard.from_dict(fields)


def test_a_misspelt_field_is_no_field():
    with pytest.raises(WeightsError, match="did you mean 'licence'.*Accepted: name"):
        WeightsCard(name="x").replace(license="MIT")


def test_registered_hub_weights_state_their_licence_without_network(monkeypatch):
    monkeypatch.setattr(
        "socket.create_connection", lambda *a, **k: pytest.fail("network used")
    )
    card = read_card("PulpBio/TinyMyo")
    assert card in list_weights()
    assert card.licence == "CC BY-ND 4.0"
    assert card.sharing is False and "modified" in card.sharing_terms
    assert (card.sfreq, card.n_channels, card.n_times) == (2000.0, 16, 1000)
    assert (card.rates, card.channel_range) == ((2000.0,), (12, 16))
    assert "no changed copies" in card.summary()


def test_at_most_one_registered_default_and_packaged_files_have_checksums():
    entries = list(REGISTRY.values())
    assert sum(entry.default for entry in entries) <= 1
    for entry in entries:
        assert entry.packaged or entry.repository
        assert not entry.packaged or (entry.file.is_file() and entry.card.sha256)
