"""Checkpoints: what they are compared with, damaged ones, and what processes share."""

import contextlib
import importlib.metadata
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sktinymyo import TinyMyoPretrainer
from sktinymyo.exceptions import WeightsError
from sktinymyo.nn.tinymyo import Block
from sktinymyo.pretraining import _files, _loop, _pretrainer, _software
from sktinymyo.pretraining._sources import open_source
from sktinymyo.weights import load_weights


def recordings(n_channels=(4, 8, 8)):
    rng = np.random.default_rng(0)
    return [rng.normal(size=(number, 300)) for number in n_channels]


def nano(folder=None, **options):
    parameters = {"max_steps": 2, "batch_size": 8, "n_times": 100, "random_state": 0}
    return TinyMyoPretrainer(
        "nano",
        checkpoint_folder=folder,
        resume=folder is not None,
        **parameters | options,
    )


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Tensors and texts of a good checkpoint."""
    folder = tmp_path_factory.mktemp("run")
    nano(folder).fit(recordings())
    with safe_open(folder / "checkpoint.safetensors", "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        return tensors, file.metadata()


FIRST = "optimizer.exp_avg.encoder.norm.bias"
SQUARES = "optimizer.exp_avg_sq.encoder.norm.bias"
COUNTER = "optimizer.step.encoder.norm.bias"


@pytest.mark.parametrize(
    ("tensors", "texts", "message"),
    [
        ({FIRST: torch.zeros(1)}, {}, "exp_avg.encoder.norm.bias has the shape"),
        ({FIRST: torch.zeros(48, dtype=torch.float64)}, {}, "torch.float64"),
        ({FIRST: torch.full((48,), torch.nan)}, {}, "holds NaN"),
        ({SQUARES: torch.full((48,), -1.0)}, {}, "holds negative squares"),
        ({SQUARES: None}, {}, "missing or unexpected: optimizer.exp_avg_sq"),
        ({COUNTER: torch.tensor(1e6)}, {}, r"is 1e\+06, of 2 steps"),
        ({"model.encoder.norm.bias": torch.zeros(3)}, {}, "norm.bias has the shape"),
        ({"else": torch.zeros(3)}, {}, "missing or unexpected: else"),
        ({}, {"step": "100000"}, "step 100000 of a run of 2"),
        ({}, {"step": "-3"}, "step -3 of a run of 2"),
        ({}, {"step": "two"}, "invalid literal"),
        ({}, {"version": "1"}, "version '1'"),
        ({}, {"identity": "[]"}, "does not say to which run"),
        ({}, {"identity": "[" * 100_000}, "recursion"),
        ({}, {"history": "3"}, "a row of its log"),
        ({}, {"history": '[{"step": 2}]'}, "a row of its log"),
    ],
)
def test_damaged_checkpoints_are_refused(tmp_path, stored, tensors, texts, message):
    tensors = {k: v for k, v in (stored[0] | tensors).items() if v is not None}
    save_file(tensors, tmp_path / "checkpoint.safetensors", stored[1] | texts)
    with pytest.raises(ValueError, match=f"cannot be read.*{message}"):
        nano(tmp_path).fit(recordings())


@pytest.mark.parametrize("accelerate", [False, True])
def test_activations_computed_again_train_the_same(monkeypatch, accelerate):
    if accelerate:
        pytest.importorskip("accelerate")
    passes = []
    whole = Block.forward

    def counted(*arguments):
        passes.append(None)
        return whole(*arguments)

    monkeypatch.setattr(Block, "forward", counted)
    # Several passes a step, in which dropout draws on.
    monkeypatch.setattr(_pretrainer, "_TOKENS_PER_CALL", 80)
    models, n_passes = [], []
    for checkpointing in (False, True):
        options = {"dropout": 0.3, "accelerate": accelerate, "device": "cpu"}
        model = nano(checkpointing=checkpointing, **options).fit(recordings())
        assert not model.module_.checkpointing
        models.append(dict(model.module_.state_dict()))
        n_passes.append(len(passes))
        passes.clear()
    # Of three blocks, that of the decoder runs once.
    assert n_passes[1] * 3 == n_passes[0] * 5
    for name, values in models[0].items():
        torch.testing.assert_close(values, models[1][name])


def test_checkpointing_may_change_between_runs(tmp_path, monkeypatch):
    def killed(*arguments):
        raise KeyboardInterrupt

    whole = nano().fit(recordings())
    monkeypatch.setattr(_loop, "_STEPS_PER_ROW", 1)
    folder = nano(tmp_path, checkpoint_seconds=0)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        save = _loop.save_checkpoint
        patch.setattr(
            _loop,
            "save_checkpoint",
            lambda *arguments: (save(*arguments), killed()),
        )
        folder.fit(recordings())
    folder.set_params(checkpointing=True).fit(recordings())
    assert [row["step"] for row in folder.history_] == [1, 2]
    for name, values in whole.module_.state_dict().items():
        torch.testing.assert_close(values, folder.module_.state_dict()[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dropout": 0.3}, "dropout: 0.0 then, 0.3 now"),
        ({"visible_only": False}, "visible_only: True then, False now"),
        ({"decoder_depth": 2}, "decoder_depth: 1 then, 2 now"),
        ({"weights": "tinymyo-open-small"}, "weights .*then"),
        ({"n_times": 80}, r"n_times: \[100\] then, \[80\] now"),
        ({"random_state": 1}, "random_state: .*then"),
        ({"max_steps": 1}, r"max_steps .*: 2 then, 1 now.*another folder\.$"),
        ({"max_steps": 3}, "max_steps .*: 2 then, 3 now.*To train longer.*weights="),
    ],
)
def test_another_recipe_is_refused(tmp_path, stored, options, message):
    save_file(stored[0], tmp_path / "checkpoint.safetensors", stored[1])
    with pytest.raises(ValueError, match=f"another run.*{message}"):
        nano(tmp_path, **options).fit(recordings())


@pytest.mark.parametrize("done", [True, False])
def test_a_run_is_not_taken_for_weights(tmp_path, stored, done):
    save_file(stored[0], tmp_path / "checkpoint.safetensors", stored[1])
    remedy = re.escape(f"pass weights={str(tmp_path / 'weights')!r}")
    if done:
        (tmp_path / "weights").mkdir()
    else:
        remedy = r"save_pretrained\(folder\)"
    with pytest.raises(WeightsError, match=f"checkpoint of a .*run.*{remedy}"):
        load_weights(tmp_path)


def test_a_finished_run_is_only_loaded(tmp_path, stored):
    save_file(stored[0], tmp_path / "checkpoint.safetensors", stored[1])
    model = nano(tmp_path).fit(recordings())
    assert model.history_ == json.loads(stored[1]["history"])


@pytest.mark.parametrize("scale", ["group", "recording"])
def test_other_samples_in_the_middle_are_noticed(scale):
    """And the last bits are not: sums differ from processor to processor."""

    def digest(data):
        return open_source(data, n_times=100, step=50, scale=scale).fingerprint()

    data = recordings()
    almost = [part * (1 + 1e-14) for part in data]
    for new, old in zip(almost, data, strict=True):
        new[:, :64], new[:, -64:] = old[:, :64], old[:, -64:]
    assert digest(almost) == digest(data)
    changed = [part.copy() for part in data]
    changed[0][0, 120:180] += 0.1
    assert digest(changed) != digest(data)


def test_a_run_is_not_overwritten_by_accident(tmp_path):
    nano(tmp_path).fit(recordings())
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ValueError, match=r"earlier run.*resume=True \(--resume"):
        nano(tmp_path).set_params(resume=False).fit(recordings())
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize("torn", [b"\0" * 50, b"step,epoch\n20,0", b"\xff"])
def test_a_torn_log_is_written_anew(tmp_path, torn):
    nano(tmp_path).fit(recordings())
    log = tmp_path / "log.csv"
    whole = log.read_bytes()
    log.write_bytes(torn)
    nano(tmp_path).fit(recordings())
    assert log.read_bytes() == whole


def test_no_drafts_are_left_on_a_full_disk(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise OSError(28, "No space left on device")

    (tmp_path / "data").mkdir()
    np.save(tmp_path / "data" / "a.npy", recordings()[0])
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr(_files.np, "savez", full)
        nano(cache_folder=tmp_path / "cache").fit(tmp_path / "data")
    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("os.fsync", full)
        nano(tmp_path / "run").fit(recordings())
    assert not list(tmp_path.rglob("*.part"))


class Process:
    """What a step asks of accelerate, without other processes."""

    def __init__(self, rank):
        self.process_index, self.num_processes = rank, 2

    def no_sync(self, model):
        return contextlib.nullcontext()

    def backward(self, loss):
        loss.backward()


@pytest.mark.parametrize("form", ["cell", "channel"])
def test_processes_share_a_batch_of_several_numbers_of_channels(form):
    source = open_source(recordings((2, 8)), n_times=100, step=50)
    plan = _loop.PretrainingPlan(
        max_steps=1,
        batch_size=10,
        tokens_per_call=80,
        lengths=(60, 100),
        mask_form=form,
        gain=0.3,
        jitter=5,
    )
    batches = _loop._Batches(source, plan)
    # Rows of the first process have two channels, all others eight.
    batch = np.array([0, 5, 1, 6, 2, 7, 3])
    results = []
    for process in (None, Process(0), Process(1)):
        estimator = nano(n_times=100)
        estimator._targets, estimator._visible_only = ("raw", "spectrum"), True
        estimator._decoder_depth, estimator._n_classes = 1, 0
        generator = torch.Generator().manual_seed(0)
        model = estimator._new_model(estimator._config_to_start(), generator)
        losses = _loop._step(
            _loop._Losses(model), model, batches, 0, batch, process, torch.device("cpu")
        )
        losses = torch.stack([losses[name] for name in sorted(losses)])
        results.append((losses, model.encoder.norm.weight.grad))
    for alone, first, second in zip(*results, strict=True):
        torch.testing.assert_close((first + second) / 2, alone, rtol=1e-4, atol=1e-6)


def test_processes_that_begin_at_different_steps_are_refused():
    accelerator = SimpleNamespace(
        device="cpu", gather=lambda own: torch.cat([own, torch.tensor([0])])
    )
    _loop._refuse_different_starts(accelerator, 0, "run")
    with pytest.raises(ValueError, match=r"\[20, 0\].*folder that all machines share"):
        _loop._refuse_different_starts(accelerator, 20, "run")


def test_a_copy_that_is_not_installed_knows_its_version(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert _software.describe_software().startswith("sktinymyo ")
