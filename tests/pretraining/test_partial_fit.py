"""What goes on from an earlier fit: its classes, its facts, and nothing by halves."""

import copy

import numpy as np
import pytest
from sklearn.utils import Bunch

from sktinymyo import TinyMyoPretrainer
from sktinymyo.pretraining import _pretrainer
from sktinymyo.weights import WeightsCard, save_weights

RNG = np.random.default_rng(0)
RECORDINGS = [RNG.normal(size=(n, 300)) for n in (4, 8, 8)]


def nano(**options):
    return TinyMyoPretrainer(
        "nano",
        **{"n_times": 40, "max_steps": 2, "batch_size": 8, "random_state": 0} | options,
    )


@pytest.fixture(scope="module")
def fitted():
    """A model of three gestures; tests go on from copies of it."""
    return nano().fit(RECORDINGS, ["fist", "open", "rest"])


def labels_trained_on(model, monkeypatch, *arguments):
    """Go on with training and return the codes of all labels that were read."""
    seen = []

    def pretrain(network, source, *others, **options):
        seen.extend(source.read(np.arange(source.n_windows))[2])
        raise StopIteration

    monkeypatch.setattr(_pretrainer, "pretrain", pretrain)
    with pytest.raises(StopIteration):
        copy.deepcopy(model).partial_fit(*arguments)
    return sorted(set(seen))


def bunch(names):
    codes = np.arange(3) % len(names)
    return Bunch(recordings=RECORDINGS, target=codes, target_names=names)


@pytest.mark.parametrize(
    ("X", "y", "codes"),
    [
        (bunch(["open", "rest"]), None, [1, 2]),
        (RECORDINGS, ["rest", "rest", None], [-1, 2]),
        (RECORDINGS, [-1, -1, -1], [-1]),
        (RECORDINGS, [None, None, None], [-1]),
        (RECORDINGS, None, [-1]),
    ],
)
def test_labels_keep_the_codes_of_the_first_fit(fitted, monkeypatch, X, y, codes):
    assert labels_trained_on(fitted, monkeypatch, X, y) == codes


@pytest.mark.parametrize(
    ("X", "y"),
    [
        (bunch(["fist", "point"]), None),
        (RECORDINGS, ["fist", "point", None]),
        (bunch(["fist", "open", "point"]), None),
    ],
)
def test_labels_that_were_not_learned_are_refused(fitted, X, y):
    message = r"holds 'point', but the labels learned.*'fist', 'open', 'rest'"
    with pytest.raises(ValueError, match=message):
        copy.deepcopy(fitted).partial_fit(X, y)


def test_a_model_without_labels_takes_unknown_ones_alone():
    model = nano().fit(RECORDINGS)
    model.partial_fit(RECORDINGS, [-1, None, -1])
    with pytest.raises(ValueError, match="first fit had no labels"):
        model.partial_fit(RECORDINGS, [1, None, 2])


def test_recordings_and_windows_may_follow_each_other():
    windows = RNG.normal(size=(6, 4, 40))
    model = nano().fit(windows).fit(RECORDINGS)
    assert "input_ndim_" not in vars(model)
    model.partial_fit(windows)
    assert model.data_["n_windows"] == 6
    assert model.transform(np.ones((2, 7, 40))).shape == (2, 7 * 48)


def test_the_card_tells_of_all_calls_and_of_no_parameter_set_later(fitted, tmp_path):
    model = copy.deepcopy(fitted)
    before = model.save_pretrained(tmp_path, name="a")
    model.set_params(scale="window", mask_ratio=0.9, lr=1.0, batch_size=3)
    assert model.save_pretrained(tmp_path, name="a") == before
    expected = model.transform(np.ones((2, 4, 40)) * np.arange(40))
    np.testing.assert_array_equal(
        expected, fitted.transform(np.ones((2, 4, 40)) * np.arange(40))
    )
    model.set_params(mask_ratio=0.5, lr=1e-4, batch_size=8)
    model.partial_fit([RNG.normal(size=(16, 100))])
    after = model.save_pretrained(tmp_path, name="a")
    assert after.channel_range == (4, 16)
    assert after.data.startswith("4 recordings of 4, 8, 16 channels, 1000 samples")
    assert after.normalisation == before.normalisation
    assert "lr 0.0005, batch 8; then " in after.recipe
    assert "lr 0.0001 constant, batch 8; 3 steps" in after.recipe
    assert model.data_["n_recordings"] == 1


def test_a_failed_call_changes_nothing(fitted):
    model = copy.deepcopy(fitted)
    before = model.__getstate__()
    model.set_params(lr=1e30)
    with pytest.raises(ValueError, match="diverged"):
        model.partial_fit([1e3 * RNG.normal(size=(16, 2000))])
    model.set_params(lr=5e-4)
    after = model.__getstate__()
    for name in ("_stored_arrays", "classes_"):
        np.testing.assert_equal(after.pop(name), before.pop(name))
    assert after == before


START = WeightsCard(
    name="start",
    licence="BSD-3-Clause",
    sharing=True,
    sharing_terms="Under the licence of the package.",
    sfreq=200.0,
    sfreqs=(200.0, 500.0),
    n_channels=8,
    description="Pretrained on open data alone",
    data="open recordings",
    limits="one armband",
    citation="Somebody",
)


@pytest.mark.parametrize(
    ("terms", "kept"),
    [
        ({}, (None, None, None)),
        ({"licence": "CC-BY-NC-4.0"}, ("CC-BY-NC-4.0", None, START.sharing_terms)),
        ({"sharing": False}, ("BSD-3-Clause", False, START.sharing_terms)),
        ({"licence": None}, (None, None, None)),
    ],
)
def test_weights_that_went_on_make_no_claims_of_their_start(tmp_path, terms, kept):
    model = nano().fit(RECORDINGS)
    start = tmp_path / "start.safetensors"
    save_weights(start, model.module_, card=START.replace(**terms))
    private = nano(weights=start).fit([RNG.normal(size=(12, 100))])
    card = private.save_pretrained(tmp_path / "out")
    assert (card.licence, card.sharing, card.sharing_terms) == kept
    assert card.name == "start (continued)"
    assert card.description is card.limits is None
    assert "open recordings; then 1 recordings of 12 channels" in card.data
    assert card.source.startswith("TinyMyoPretrainer, from 'start' (licence")
    assert (card.channel_range, card.citation) == ((8, 12), "Somebody")
    # Rates stated anew take the place of the old, however they are stated.
    rates = np.array([1000.0, 2000.0])
    card = private.save_pretrained(
        tmp_path / "out", sfreqs=rates, n_channels=rates.size
    )
    assert (card.rates, card.n_channels) == ((1000.0, 2000.0), 2)
    again = nano(weights=tmp_path / "out").fit(RECORDINGS)
    assert again.weights_card_.name == "start (continued)"


def test_nothing_is_created_for_weights_that_cannot_be_saved(fitted, tmp_path):
    with pytest.raises(ValueError, match="precision='flaot16'"):
        fitted.save_pretrained(tmp_path / "out", precision="flaot16")
    assert not (tmp_path / "out").exists()
