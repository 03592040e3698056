"""Fitted pipelines all the way: quantised, planned, written as C, compiled and run."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from sktinymyo import (
    ChannelMapper,
    ChannelScaler,
    EMGFilter,
    TinyMyoClassifier,
    TinyMyoEmbedder,
    sliding_windows,
)
from sktinymyo.datasets import make_gestures
from sktinymyo.exceptions import PlanError
from sktinymyo.export._integer.preprocess import preprocess_windows, quantise_input
from sktinymyo.export.gap9 import GAP9Bundle, export_gap9
from sktinymyo.export.gap9._checks import checksums
from sktinymyo.export.gap9._plan import plan_program
from sktinymyo.export.gap9._schedule import Schedule
from sktinymyo.export.quantize import quantize
from sktinymyo.nn import TinyMyo, TinyMyoConfig
from sktinymyo.weights import save_weights

from .builds import Network, needs_compiler

pytestmark = needs_compiler


# -- a trained network, many windows -----------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Simulated windows, and the small open weights tuned to them as C."""
    bunch = make_gestures(n_subjects=1, n_gestures=4, n_repetitions=2, random_state=0)
    X, y, _ = sliding_windows(
        bunch.recordings, bunch.sfreq, 0.2, 0.02, labels=bunch.target, meta=bunch.meta
    )
    network = TinyMyoClassifier("tinymyo-open-small", max_epochs=1, random_state=0)
    filtering = EMGFilter(sfreq=bunch.sfreq, h_freq=90, phase="causal")
    pipeline = make_pipeline(filtering, network).fit(X[::5], y[::5])
    assert pipeline.score(X, y) > 0.9
    quantized = quantize(pipeline, X[::10])
    return Network(tmp_path_factory.mktemp("trained"), quantized.program), X, bunch


@pytest.mark.slow
def test_a_thousand_windows_of_a_trained_network(trained):
    network, X, _ = trained
    X = X[:1000].astype(np.float32)
    assert len(X) == 1000
    windows = quantise_input(network.program, preprocess_windows(network.program, X))
    logits, crc = checksums(network.program, windows)
    run = network.run(X, mode="float32", trace=True)
    assert run.crc == crc
    np.testing.assert_array_equal(run.values, logits)
    for level in ("L1", "L2"):
        peak = network.plan.peak[level]
        assert peak - 16 < run.peaks[level] <= peak


def test_the_trained_network_under_sanitizers(trained):
    network, X, _ = trained
    X = X[::100].astype(np.float32)
    windows = quantise_input(network.program, preprocess_windows(network.program, X))
    run = network.run(X, mode="float32", trace=True, sanitize="address,undefined")
    assert run.crc == checksums(network.program, windows)[1]


def test_a_recording_streamed_in_c_follows_the_filter_of_scipy(trained):
    network, _, bunch = trained
    record = np.tile(np.concatenate(bunch.recordings, axis=1), 10)
    assert record.shape[1] == 48_000
    run = network.run(record.T.astype(np.float32), mode="stream")
    step = EMGFilter(sfreq=bunch.sfreq, h_freq=90, phase="causal")
    expected = step.fit(record[np.newaxis]).filter_recording(record)
    error = np.abs(run.values.reshape(expected.T.shape) - expected.T).max()
    # The tolerance that preprocess.py states.
    assert error < 1e-5 * np.abs(record).max()


# -- random networks ---------------------------------------------------------


@st.composite
def cases(draw):
    """A network, what stands before and behind it, and a share of the L1 it needs."""
    n_heads = draw(st.integers(1, 3))
    position = draw(st.sampled_from(["per-channel", "none", "flat"]))
    network = TinyMyoConfig(
        embed_dim=n_heads * 2 * draw(st.integers(2, 10)),
        depth=draw(st.integers(0, 3)),
        n_heads=n_heads,
        mlp_ratio=draw(st.sampled_from([0.5, 1.3, 4.0])),
        patch_size=draw(st.sampled_from([8, 20])),
        position=position,
    )
    n_patches = draw(st.integers(1, 6))
    incomplete = draw(st.integers(0, network.patch_size - 1))
    return {
        "network": network,
        "n_channels": draw(st.integers(1, 6)),
        "n_times": network.patch_size * n_patches + incomplete,
        "n_classes": draw(st.integers(2, 5)),
        "filter": draw(st.sampled_from([None, "causal", "zero"])),
        "scale": draw(st.sampled_from([None, "channel"])),
        "before": draw(st.sampled_from(["nothing", "mapper", "scaler"])),
        "head": draw(st.sampled_from(["own", "logistic", "lda", "svc", "ridge"])),
        "pooling": draw(st.sampled_from(["channel", "mean"])),
        "tight": draw(st.floats(0, 0.5)),
        "seed": draw(st.integers(0, 2**16)),
    }


HEADS = {
    "logistic": lambda: make_pipeline(StandardScaler(), LogisticRegression()),
    "lda": LinearDiscriminantAnalysis,
    "svc": LinearSVC,
    "ridge": RidgeClassifier,
}


def fit(case, folder):
    """Fit the pipeline of a case; return it with raw windows and labels."""
    rng = np.random.default_rng(case["seed"])
    n, n_channels = 10 * case["n_classes"], case["n_channels"]
    y = np.arange(n) % case["n_classes"]
    X = rng.normal(size=(n, n_channels, case["n_times"]))
    # Channels of different strength and offset, classes of different strength.
    X *= 10 ** rng.uniform(-3, 3, (n_channels, 1)) * (1 + y)[:, None, None]
    X += rng.normal(size=(n_channels, 1))
    generator = torch.Generator().manual_seed(case["seed"])
    weights = folder / "random.safetensors"
    save_weights(weights, TinyMyo(case["network"], generator=generator))
    steps = []
    if case["before"] == "mapper":
        order = rng.integers(0, n_channels, size=n_channels + 1)
        steps.append(ChannelMapper(order.tolist()))
    if case["filter"] is not None:
        steps.append(EMGFilter(sfreq=1000, phase=case["filter"]))
    if case["before"] == "scaler" or case["scale"] is None:
        steps.append(ChannelScaler())
    common = {"weights": str(weights), "scale": case["scale"], "random_state": 0}
    if case["head"] == "own":
        steps.append(TinyMyoClassifier(**common, tune="head", max_epochs=1))
    else:
        steps.append(TinyMyoEmbedder(**common, pooling=case["pooling"]))
        steps.append(HEADS[case["head"]]())
    return make_pipeline(*steps).fit(X, y), X.astype(np.float32), y


def little_l1(shape, share):
    """Bytes of L1 between the least that a network needs and all that it can use."""
    low, high = 64, 100 * 1024
    while high - low > 16:
        middle = (low + high) // 2
        try:
            Schedule(shape, middle, 8 * 1024, 1)
            high = middle
        except PlanError:
            low = middle
    most = plan_program(shape).peak["L1"]
    return int(high + share * max(0, most - high))


def check_case(case, folder):
    """Every layer of the C program, with much and with little L1."""
    pipeline, X, _ = fit(case, folder)
    quantized = quantize(pipeline, X)
    program = quantized.program
    some = np.concatenate([X[:2], 1e3 * X[:1], 0 * X[:1]])
    windows = quantized.quantize_windows(some)
    logits, crc = checksums(program, windows)
    for l1_bytes in (100 * 1024, little_l1(program.shape, case["tight"])):
        plan = plan_program(program.shape, l1_bytes)
        network = Network(folder / str(l1_bytes), program, plan)
        run = network.run(some, mode="float32", trace=True, options=("-O1",))
        assert run.crc == crc
        np.testing.assert_array_equal(run.values, logits)
        assert run.peaks["L1"] <= plan.peak["L1"] <= l1_bytes


QUIET = {
    "deadline": None,
    "derandomize": True,
    "suppress_health_check": list(HealthCheck),
}


@settings(max_examples=3, **QUIET)
@given(case=cases())
def test_random_pipelines(case, tmp_path_factory):
    check_case(case, tmp_path_factory.mktemp("case"))


@pytest.mark.slow
@settings(max_examples=40, **QUIET)
@given(case=cases())
def test_many_random_pipelines(case, tmp_path_factory):
    check_case(case, tmp_path_factory.mktemp("case"))


@pytest.mark.slow
@settings(max_examples=6, **QUIET)
@given(case=cases(), simulated=st.booleans())
def test_random_bundles(case, simulated, tmp_path_factory):
    # Without blocks there is nothing that the int8 graph could gain.
    assume(case["network"].depth)
    folder = tmp_path_factory.mktemp("case")
    pipeline, X, y = fit(case, folder)
    reference_windows = "simulated" if simulated else "calibration"
    bundle = export_gap9(
        pipeline, folder / "new", X, y_calib=y, reference=reference_windows, l1_kb=48
    )
    quantized = quantize(pipeline, X)
    again = GAP9Bundle(bundle.path)
    for engine in ("host", "numpy"):
        found = again.decision_logits(X, engine=engine)
        np.testing.assert_array_equal(found, quantized.decision_logits(X))
