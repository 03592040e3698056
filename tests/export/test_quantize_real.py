"""Accuracy of the integer network on recordings of people."""

import numpy as np
import pytest

from sktinymyo import TinyMyoClassifier, sliding_windows
from sktinymyo.datasets import load_packed
from sktinymyo.export.quantize import quantize
from sktinymyo.signal import resample


def windows_of_a_person(name, part, sfreq, folder):
    """First session or round for training, the later ones for the test."""
    bunch = load_packed(name, folder, part=part)
    first = bunch.meta["subject"].min()
    rows = np.flatnonzero(bunch.meta["subject"] == first)
    recordings = [bunch.recordings[row] for row in rows]
    if sfreq != bunch.sfreq:
        recordings = [resample(record, bunch.sfreq, sfreq) for record in recordings]
    labels = [bunch.target[row] for row in rows]
    X, y, meta = sliding_windows(
        recordings, sfreq, 0.2, 0.1, labels=labels, meta=bunch.meta.iloc[rows]
    )
    early = (meta["session"] == 0).to_numpy()
    rng = np.random.default_rng(0)
    train = rng.permutation(np.flatnonzero(early))[:500]
    test = rng.permutation(np.flatnonzero(~early))[:800]
    return X[train], y[train], X[test], y[test]


@pytest.mark.slow
@pytest.mark.parametrize("weights", ["tinymyo-open-small", "default"])
@pytest.mark.parametrize(
    ("name", "part", "sfreq"),
    [("cote_allard_myo", 0, 200.0), ("3dc_q4", None, 500.0)],
)
def test_at_most_one_point_of_accuracy_is_lost(name, part, sfreq, weights, data_folder):
    X, y, X_test, y_test = windows_of_a_person(name, part, sfreq, data_folder)
    classifier = TinyMyoClassifier(weights, tune="head", random_state=0).fit(X, y)
    report = quantize(classifier, X[:250]).report(X_test, y_test)
    assert report.accuracy_float > 0.5
    assert report.accuracy_integer >= report.accuracy_float - 0.01, str(report)
    assert report.agreement > 0.97
    assert report.layers["head"] > 23
