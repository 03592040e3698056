"""Estimators tell when windows are not of the kind their weights learned from."""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn.base import clone

from sktinymyo import (
    ChannelMapper,
    EMGResampler,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    TinyMyoPretrainer,
    TinyMyoRegressor,
)
from sktinymyo.exceptions import WeightsContractWarning
from sktinymyo.nn import TinyMyo, config_of_size
from sktinymyo.pretraining._configuration import read_configuration
from sktinymyo.weights import WeightsCard, load_weights, save_weights

WIDE = WeightsCard(
    name="wide", sfreqs=(200.0, 1000.0), sfreq=200.0, channel_range=(3, 4)
)
ESTIMATORS = {
    "embedder": (TinyMyoEmbedder, {}),
    "classifier": (TinyMyoClassifier, {"tune": "head", "max_epochs": 1}),
    "regressor": (TinyMyoRegressor, {"tune": "head", "max_epochs": 1}),
}


@pytest.fixture
def write(tmp_path):
    """Write weights with a card and return their path."""

    def write(card):
        generator = torch.Generator().manual_seed(0)
        module = TinyMyo(config_of_size("nano"), generator=generator)
        path = tmp_path / f"{card.name}.safetensors"
        save_weights(path, module, card=card)
        return path

    return write


def windows(n_channels=4):
    return np.random.default_rng(0).normal(size=(8, n_channels, 60))


def contract_warnings(weights, sfreq, n_channels=4, kind="embedder"):
    """Fit and return what is warned of, and the estimator."""
    estimator, options = ESTIMATORS[kind]
    model = estimator(weights, size="nano", sfreq=sfreq, random_state=0, **options)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(windows(n_channels), np.arange(8) % 2)
    found = [w for w in caught if issubclass(w.category, WeightsContractWarning)]
    return found, model


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_one_warning_names_what_was_seen_what_is_known_and_the_remedy(write, kind):
    (warning,), _ = contract_warnings(write(WIDE), 1925.926, 5, kind)
    text = str(warning.message)
    for part in (
        "'wide'",
        "sfreq=1925.926 Hz",
        "200 or 1000 Hz",
        "EMGResampler(1925.926, 200)",
        "X has 5 channels",
        "from 3 to 4",
        "ChannelMapper(n_channels=4)",
    ):
        assert part in text
    # The line of the caller is blamed, not one inside the package.
    assert warning.filename == __file__


@pytest.mark.parametrize(
    ("card", "sfreq", "n_channels", "said"),
    [
        (WIDE, None, 9, None),
        (WIDE, 200, 4, None),
        (WIDE, 201.9, 3, None),
        (WIDE, np.float32(991), 4, None),
        (WIDE, 202.1, 4, "EMGResampler(202.1, 200)"),
        (WIDE, 500.0, 4, "EMGResampler(500, 200)"),
        (WIDE, 200.0, 2, "ChannelMapper(n_channels=3, missing='repeat')"),
        (WeightsCard(name="silent"), 77.0, 40, None),
        (WeightsCard(name="old", sfreq=2000.0, n_channels=16), 2000, 8, None),
        (WeightsCard(name="old", sfreq=2000.0, n_channels=16), 200, 8, "(200, 2000)"),
        (WeightsCard(name="old", n_channels=16), 200, 17, "(n_channels=16)"),
    ],
)
def test_only_what_the_card_states_is_compared(write, card, sfreq, n_channels, said):
    found, _ = contract_warnings(write(card), sfreq, n_channels)
    assert [said in str(w.message) for w in found] == ([] if said is None else [True])


@pytest.mark.parametrize(
    ("sfreq", "n_times", "parts", "absent"),
    [
        (
            1500,
            40,
            [
                "Check sfreq first: 40 samples at 1500 Hz are 0.027 s. X is not",
                "6 of 40",
            ],
            ["zeros"],
        ),
        (
            200,
            6,
            [
                "Check sfreq first: 6 samples at 200 Hz are 0.03 s.",
                "Windows of 6 samples are shorter than one patch (20 samples); the ",
                "or is the window too short?",
            ],
            ["EMGResampler"],
        ),
        (200, 19, ["Windows of 19 samples", "X is not what"], ["Check sfreq"]),
        (0.2, 40, ["sfreq=0.2 Hz: in kHz? Pass 200."], ["EMGResampler", "Check sfreq"]),
        (1.5, 40, ["in kHz? Pass 1500."], ["EMGResampler"]),
        (1500, 300, ["EMGResampler(1500, 200)"], ["leaves", "Check sfreq", "zeros"]),
        (200, 20, [], []),
        (1000, 40, [], []),
    ],
)
def test_a_wrong_rate_is_told_from_a_short_window(write, sfreq, n_times, parts, absent):
    model = TinyMyoEmbedder(write(WIDE), sfreq=sfreq)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(np.random.default_rng(0).normal(size=(4, 4, n_times)))
    assert len(caught) == bool(parts)
    text = "".join(str(warning.message) for warning in caught)
    assert [part for part in parts if part not in text] == []
    assert [part for part in absent if part in text] == []


def test_random_weights_expect_nothing():
    assert contract_warnings("random", 7.0, 40)[0] == []


def test_the_remedies_that_are_named_work(write):
    path = write(WIDE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        resampled = EMGResampler(500, 200).fit_transform(windows())
        TinyMyoEmbedder(path, sfreq=200).fit(resampled)
        for n_channels, mapper in (
            (2, ChannelMapper(n_channels=3, missing="repeat")),
            (7, ChannelMapper(n_channels=4)),
        ):
            mapped = mapper.fit_transform(windows(n_channels))
            TinyMyoEmbedder(path, sfreq=200).fit(mapped)


@pytest.mark.parametrize(
    ("sfreq", "error"),
    [
        (0, ValueError),
        (-200.0, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        ("200", TypeError),
        (True, TypeError),
    ],
)
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_a_rate_is_a_positive_number(kind, sfreq, error):
    estimator, options = ESTIMATORS[kind]
    model = estimator("random", size="nano", sfreq=sfreq, **options)
    with pytest.raises(error, match="sfreq must be a finite number and > 0 or None"):
        model.fit(windows(), np.arange(8) % 2)


def test_the_rate_changes_no_result_and_survives_copies(write):
    path = write(WIDE)
    _, plain = contract_warnings(path, None)
    _, model = contract_warnings(path, 200.0)
    expected = plain.transform(windows())
    restored = pickle.loads(pickle.dumps(model))
    assert clone(model).sfreq == restored.sfreq == 200.0
    assert "sfreq=200.0" in repr(model)
    for other in (model, restored):
        np.testing.assert_array_equal(other.transform(windows()), expected)


def test_a_fitted_estimator_shows_its_weights_in_one_line(write):
    _, model = contract_warnings(write(WIDE), 200.0)
    card = model.weights_card_
    assert str(card) == repr(card) == card.summary()
    assert card.summary() == (
        "wide: positions per-channel, 3 to 4 channels, 200 Hz (also 1000 Hz); "
        f"licence not stated; sha256 {card.sha256[:8]}"
    )


def test_rates_and_channels_reach_the_file_from_pretraining(tmp_path):
    first = TinyMyoPretrainer("nano", n_times=40, max_steps=1, random_state=0)
    recordings = [np.random.default_rng(n).normal(size=(n, 200)) for n in (2, 5)]
    first.fit(recordings)
    card = first.save_pretrained(tmp_path / "a", name="a", sfreqs=[100, 300])
    assert load_weights(tmp_path / "a").card == card
    assert (card.sfreqs, card.channel_range) == ((100.0, 300.0), (2, 5))
    assert (card.n_times, card.times_range) == (40, (40, 40))
    again = TinyMyoPretrainer(
        "nano", weights=tmp_path / "a", n_times=20, max_steps=1, random_state=0
    ).fit(np.ones((4, 7, 40)) * np.arange(40))
    card = again.save_pretrained(tmp_path / "b", sfreq=500.0)
    assert (card.rates, card.channel_range) == ((500.0,), (2, 7))
    assert (card.n_times, card.times_range) == (20, (20, 40))


def test_rates_of_files_reach_the_card(tmp_path):
    for number, sfreq in enumerate((500.0, 200.0, 201.0, 200.0)):
        recording = np.random.default_rng(number).normal(size=(2, 60))
        np.savez(tmp_path / f"{number}.npz", emg=recording, sfreq=sfreq, group=1)
    model = TinyMyoPretrainer("nano", n_times=40, max_steps=1, random_state=0)
    card = model.fit(tmp_path).weights_card_
    # First that of most recordings; clocks that are off by 0.5 % are one rate.
    assert (card.sfreq, card.sfreqs) == (200.0, (200.0, 500.0))
    assert "2 channels, 0.2 s at 200 Hz (also 500 Hz)" in card.summary()
    assert card.recipe and card.data and card.normalisation and card.software
    stated = model.save_pretrained(tmp_path / "mine", sfreq=1000.0)
    assert stated.rates == (1000.0,)
    # Where one rate is not known, nothing is said of all.
    more = model.partial_fit([np.ones((2, 60))]).weights_card_
    assert more.rates == ()


def test_numbers_of_numpy_reach_the_file(write):
    card = WeightsCard(
        name="numpy",
        sharing=np.True_,
        sfreq=np.float32(200),
        n_channels=np.int64(8),
        n_times=np.uint8(40),
        sfreqs=np.array([200.0, 1000.0]),
        channel_range=np.array([4, 8]),
    )
    stored = load_weights(write(card)).card
    assert (stored.n_channels, stored.n_times, stored.sharing) == (8, 40, True)
    assert (stored.sfreqs, stored.channel_range) == ((200.0, 1000.0), (4, 8))


@pytest.mark.parametrize(
    ("seen", "error"),
    [
        ({"sfreq": "200"}, TypeError),
        ({"sfreq": float("nan")}, ValueError),
        ({"sfreq": 0}, ValueError),
        ({"n_channels": 8.0}, TypeError),
        ({"n_channels": 0}, ValueError),
    ],
)
def test_a_card_compares_numbers_alone(seen, error):
    with pytest.raises(error, match=f"{next(iter(seen))} must be"):
        WIDE.find_mismatches(**seen)


@pytest.mark.parametrize("name", ["open", "open-small"])
def test_configurations_of_the_package_state_rates_and_channels(name):
    card = read_configuration(f"configs/{name}.toml").card
    card = WeightsCard.from_dict(card)
    assert card.rates == (200.0, 1000.0, 2000.0, 500.0)
    assert (card.channel_range, card.times_range) == ((4, 64), (40, 200))
    assert card.find_mismatches(sfreq=2000, n_channels=64) == []


def test_a_card_that_cannot_be_is_refused_before_training(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text(
        '[[simulated]]\nsimulator = "gestures"\n[card]\nchannel_range = [64, 4]\n'
    )
    with pytest.raises(ValueError, match=r"bad\.toml: \[card\]: .*channel_range"):
        read_configuration(path)
