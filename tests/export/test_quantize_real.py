"""Accuracy of the integer network on recordings of people."""

import numpy as np
import pytest

from sktinymyo import (
    AllConvNetClassifier,
    EMGFilter,
    TinyMyoClassifier,
    sliding_windows,
)
from sktinymyo.datasets import load_packed
from sktinymyo.export._onnx_session import make_session, run_graph
from sktinymyo.export.onnx import quantize_onnx, to_onnx
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


@pytest.mark.slow
def test_at_most_one_point_is_lost_on_a_grid(data_folder):
    """Single samples, and votes of 50, of the second session of a person."""
    bunch = load_packed("flexemg_hd64_demo", data_folder)
    band = EMGFilter(bunch.sfreq, 20, 380, notch=50, notch_width=10)
    rows = np.flatnonzero(bunch.meta["subject"] == 3)
    # Transitions lie inside of the segments, at their borders.
    recordings = [
        band.filter_recording(bunch.recordings[row])[:, 1250:-1250] for row in rows
    ]
    labels = [bunch.target[row] for row in rows]
    X, y, meta = sliding_windows(
        recordings, bunch.sfreq, 0.05, 0.05, labels=labels, meta=bunch.meta.iloc[rows]
    )
    early = (meta["session"] == 0).to_numpy()
    model = AllConvNetClassifier(
        bunch.grid, frames_per_window=10, max_epochs=4, random_state=0
    ).fit(X[early], y[early])
    test, truth = X[~early][::2].astype(np.float32), y[~early][::2]
    quantized = quantize(model, X[early][::4])
    report = quantized.report(test, truth)
    assert report.accuracy_float > 0.9
    assert report.accuracy_integer >= report.accuracy_float - 0.01, str(report)
    alone = model.set_params(vote=1)
    frames = test.transpose(0, 2, 1)[:, ::5].reshape(-1, 64, 1)
    frames = np.repeat(frames, X.shape[2], axis=2)
    real, truth = alone.predict(frames), np.repeat(truth, 10)
    single = quantize(alone, X[early][::4])
    assert np.mean(real == truth) > 0.7
    integers = single.predict(frames)
    graph = to_onnx(alone, frames[:4])
    small = quantize_onnx(graph, X[early][::4].astype(np.float32))
    rounded = run_graph(make_session(small), frames)[0]
    for labels in (integers, rounded):
        assert np.mean(labels == truth) >= np.mean(real == truth) - 0.01
        assert np.mean(labels == real) > 0.96
