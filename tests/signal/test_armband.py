"""Armbands that were put on turned."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sktinymyo.signal import align_maps, align_wearings, strength_map


def wearings(n_people, n_channels, turns, seed):
    """Return strengths of four gestures; person k wears the armband turned."""
    rng = np.random.default_rng(seed)
    upright = rng.uniform(0.5, 5.0, size=(4, n_channels))
    strength, y, groups = [], [], []
    for person in range(n_people):
        gain = rng.uniform(0.2, 5.0)
        for _ in range(3):
            noise = rng.uniform(0.95, 1.05, size=upright.shape)
            strength.append(np.roll(upright * noise, -turns[person], axis=1) * gain)
            y += list("abcd")
            groups += [person] * 4
    return np.concatenate(strength), np.array(y), np.array(groups)


@given(st.lists(st.integers(0, 7), min_size=3, max_size=6), st.integers(0, 2**32 - 1))
def test_turns_are_found(turns, seed):
    strength, y, groups = wearings(len(turns), 8, turns, seed)
    found = align_wearings(strength, y, groups)
    # All wearings have as many windows: the first stays as it is.
    relative = [(turn - turns[0]) % 8 for turn in turns]
    assert [found[person] for person in range(len(turns))] == relative


@given(st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_maps_do_not_know_the_gain(gain, seed):
    rng = np.random.default_rng(seed)
    strength, codes = rng.uniform(1, 2, size=(20, 5)), np.arange(20) % 3
    values = strength_map(strength, codes, 4)
    np.testing.assert_allclose(values[:3].mean(), 0, atol=1e-9)
    np.testing.assert_allclose(values[:3].std(), 1)
    assert not values[3].any()
    np.testing.assert_allclose(strength_map(strength * gain, codes, 4), values)


def test_a_flat_map_and_a_single_wearing():
    assert not strength_map(np.ones((6, 3)), np.arange(6) % 2, 2).any()
    assert align_wearings(np.ones((6, 3)), np.arange(6) % 2, ["a"] * 6) == {"a": 0}


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="have 3, 3 and 2"):
        align_wearings(np.ones((3, 2)), [0, 1, 0], ["a", "b"])


GOOD = {"strength": np.ones((3, 2)), "y": [0, 1, 0], "groups": ["a", "a", "b"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"strength": np.ones(3)}, r"strength must hold numbers .* shape \(3,\)"),
        ({"strength": np.ones((0, 2)), "y": [], "groups": []}, "strength must hold"),
        ({"strength": [[1, 2], [1, np.nan], [1, 2]]}, "strength .* row 1, channel 1"),
        ({"strength": [["a"], ["b"], ["c"]]}, "strength must hold numbers"),
        ({"y": [[0], [1], [0]]}, r"y must have one entry .* \(3, 1\)"),
        ({"y": [0, np.nan, 1]}, "y holds None or NaN"),
        ({"groups": ["a", None, "b"]}, "groups holds entries that cannot be sorted"),
        ({"groups": [None] * 3}, "groups holds"),
    ],
)
def test_bad_wearings_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        align_wearings(**GOOD | changed)


@pytest.mark.parametrize(
    ("maps", "reference", "message"),
    [
        ([], 0, "maps holds 0 maps"),
        ([np.ones((2, 4)), np.ones((2, 3))], 0, "maps holds 2 maps of the shapes"),
        ([np.full((2, 4), np.nan)], 0, "maps contains NaN"),
        ([np.ones((2, 4))], 1, "reference must be"),
    ],
)
def test_bad_maps_are_refused(maps, reference, message):
    with pytest.raises(ValueError, match=message):
        align_maps(maps, reference)


@given(st.lists(st.integers(0, 7), min_size=2, max_size=6), st.integers(0, 99))
def test_a_small_cost_centres_the_turns_and_keeps_their_differences(turns, seed):
    strength, y, groups = wearings(len(turns), 8, turns, seed)
    maps = [
        strength_map(
            strength[groups == k], np.unique(y, return_inverse=True)[1][:12], 4
        )
        for k in range(len(turns))
    ]
    free = np.array(align_maps(maps))
    centred = np.array(align_maps(maps, turn_cost=1e-6))
    assert len(np.unique((centred - free) % 8)) == 1
    distances = np.minimum(
        np.add.outer(np.arange(8), centred) % 8,
        -np.add.outer(np.arange(8), centred) % 8,
    ).sum(axis=1)
    assert distances[0] == distances.min()
    assert align_maps(maps, turn_cost=9) == [0] * len(turns)
