"""The training loop: rates, parts of batches, schedule, validation."""

import math

import numpy as np
import pytest
import torch

from sktinymyo._training import (
    TrainingData,
    TrainingPlan,
    _rate_factor,
    parameter_groups,
    train,
)
from sktinymyo.nn import ClassificationHead, TinyMyo, config_of_size

N_WINDOWS = 24


def make_module(dropout=0.0):
    generator = torch.Generator().manual_seed(0)
    rates = dict.fromkeys(("dropout", "attention_dropout", "drop_path"), dropout)
    config = config_of_size("nano", **rates)
    head = ClassificationHead(config.embed_dim, 2, 3, generator=generator)
    return TinyMyo(config, head, generator=generator)


def make_data(validation=None, weights=None):
    rng = np.random.default_rng(0)
    targets = np.arange(N_WINDOWS) % 3
    X = rng.normal(size=(N_WINDOWS, 2, 40)) * (1 + targets)[:, None, None]
    windows = torch.from_numpy(X.astype(np.float32))
    rows = np.arange(N_WINDOWS)
    return TrainingData(
        windows=lambda rows: windows[rows],
        targets=targets,
        weights=np.ones(N_WINDOWS, np.float32) if weights is None else weights,
        training=rows if validation is None else np.setdiff1d(rows, validation),
        validation=validation,
    )


def make_plan(**changes):
    values = {
        "loss": "cross-entropy",
        "max_epochs": 4,
        "batch_size": 12,
        "micro_batch_size": 12,
        "lr": 1e-3,
        "weight_decay": 0.01,
        "layer_decay": 1.0,
        "warmup": 0.1,
        "label_smoothing": 0.1,
        "patience": None,
        "augment": None,
        "device": torch.device("cpu"),
        "precision": "float32",
        "seed": 0,
    }
    return TrainingPlan(**{**values, **changes})


def test_rates_fall_layer_by_layer_and_vectors_do_not_decay():
    module = make_module()
    groups = parameter_groups(module, lr=1.0, weight_decay=0.01, layer_decay=0.5)
    rate, decay = {}, {}
    names = {id(parameter): name for name, parameter in module.named_parameters()}
    for group in groups:
        for parameter in group["params"]:
            rate[names[id(parameter)]] = group["lr"]
            decay[names[id(parameter)]] = group["weight_decay"]
    assert set(rate) == set(names.values())
    assert rate["model_head.classifier.weight"] == 1
    assert rate["blocks.1.mlp.fc1.weight"] == rate["norm.weight"] == 0.5
    assert rate["blocks.0.mlp.fc1.weight"] == 0.25
    assert rate["patch_embedding.patch_embed.proj.weight"] == 0.125
    assert decay["blocks.0.attn.qkv.weight"] == 0.01
    for name in (
        "channel_embed",
        "mask_token",
        "norm.weight",
        "blocks.0.attn.qkv.bias",
    ):
        assert decay[name] == 0


def test_the_rate_rises_then_falls():
    factors = [_rate_factor(step, 10, 100) for step in range(100)]
    assert np.argmax(factors) in (9, 10)
    assert max(factors) == pytest.approx(1)
    assert factors[0] < 0.13
    assert factors[-1] < 0.03
    assert (np.diff(factors[:10]) > 0).all()
    assert (np.diff(factors[10:]) < 0).all()
    assert _rate_factor(0, 0, 1) == 1


def test_batches_in_parts_give_the_same_model():
    whole, parts = make_module(), make_module()
    history = train(whole, make_data(), make_plan())
    history_of_parts = train(parts, make_data(), make_plan(micro_batch_size=5))
    for one, other in zip(history, history_of_parts, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], rel=1e-4)
    for one, other in zip(whole.parameters(), parts.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_the_seed_alone_decides_on_the_model():
    state = torch.get_rng_state()
    modules = [make_module(dropout=0.2) for _ in range(3)]
    for module, seed in zip(modules, (0, 0, 1), strict=True):
        train(module, make_data(), make_plan(seed=seed, augment="published"))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [module.blocks[0].mlp.fc1.weight for module in modules]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_training_learns_and_reports_every_epoch():
    module = make_module()
    history = train(module, make_data(), make_plan(max_epochs=30, lr=3e-3))
    assert [row["epoch"] for row in history] == list(range(1, 31))
    assert history[-1]["train_loss"] < 0.6 * history[0]["train_loss"]
    assert set(history[0]) == {"epoch", "train_loss", "lr", "duration"}
    assert not module.training


def test_early_stopping_restores_the_best_epoch():
    validation = np.arange(0, N_WINDOWS, 4)
    module = make_module()
    plan = make_plan(max_epochs=60, lr=1e-2, patience=3, warmup=0.0)
    data = make_data(validation)
    # Labels that cannot be learned: the validation loss must rise sooner or later.
    data.targets = np.random.default_rng(1).integers(0, 3, N_WINDOWS)
    history = train(module, data, plan)
    losses = [row["valid_loss"] for row in history]
    assert len(history) < 60
    assert int(np.argmin(losses)) == len(losses) - 1 - 3
    with torch.no_grad():
        logits = module(data.windows(validation))
    targets = torch.from_numpy(data.targets[validation])
    loss = torch.nn.functional.cross_entropy(logits, targets, label_smoothing=0.1)
    assert loss.item() == pytest.approx(min(losses), rel=1e-4)


def test_weights_scale_the_loss_of_windows():
    weights = np.ones(N_WINDOWS, np.float32)
    weights[1::3] = 1e-6
    module = make_module()
    train(module, make_data(weights=weights), make_plan(max_epochs=30, lr=3e-3))
    with torch.no_grad():
        predicted = module(make_data().windows(np.arange(N_WINDOWS))).argmax(1)
    assert 1 not in predicted


def test_a_loss_that_is_not_finite_ends_with_a_remedy():
    module = make_module()
    with torch.no_grad():
        module.norm.weight.fill_(math.inf)
    with pytest.raises(ValueError, match="diverged.*lower lr"):
        train(module, make_data(), make_plan())


def test_only_parameters_asked_for_are_trained():
    module = make_module()
    module.requires_grad_(False)
    module.model_head.requires_grad_(True)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    train(module, make_data(), make_plan(), lambda module, training: module.eval())
    changed = {
        name
        for name, value in module.state_dict().items()
        if not torch.equal(value, before[name])
    }
    assert changed == {"model_head.classifier.weight", "model_head.classifier.bias"}
