"""Majority votes inside recordings."""

from collections import Counter

import numpy as np
import pytest

from sktinymyo.signal import majority_vote


@pytest.mark.parametrize("n_frames", [1, 2, 5, 100])
def test_votes_are_those_of_a_plain_loop(n_frames):
    rng = np.random.default_rng(0)
    labels = rng.choice(["fist", "open", "rest"], size=200)
    recordings = np.repeat([3, 1, 3, 7], 50)
    expected = []
    for at in range(200):
        first = max(at // 50 * 50, at + 1 - n_frames)
        seen = list(labels[first : at + 1])
        most = max(Counter(seen).values())
        # Of equal counts, the one given last.
        expected.append(next(x for x in seen[::-1] if seen.count(x) == most))
    voted = majority_vote(labels, recordings, n_frames)
    assert voted.tolist() == expected


def test_vote_of_whole_recordings():
    voted = majority_vote([1, 2, 2, 5, 5, 1], [0, 0, 0, 1, 1, 1], None)
    assert voted.tolist() == [2, 2, 2, 5, 5, 5]


def test_recordings_with_the_same_name_apart_do_not_meet():
    voted = majority_vote([1, 1, 1, 2], ["a", "a", "b", "a"], 4)
    assert voted.tolist() == [1, 1, 1, 2]


def test_no_labels():
    assert majority_vote([], [], 3).shape == (0,)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (([[1, 2]],), ValueError, "one dimension"),
        (([1, 2], [0]), ValueError, "recordings"),
        (([1, 2], None, 0), ValueError, "n_frames"),
        (([1, 2], None, 1.5), TypeError, "n_frames"),
    ],
)
def test_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        majority_vote(*arguments)
