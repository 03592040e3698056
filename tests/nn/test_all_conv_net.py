"""The network of convolutions alone."""

import pytest
import torch

from sktinymyo.nn import AllConvNet, AllConvNetConfig


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_number_of_parameters_is_the_published():
    model = AllConvNet(AllConvNetConfig())
    assert 440_000 <= n_parameters(model) <= 480_000
    kinds = {type(m).__name__ for m in model.modules() if not list(m.children())}
    assert kinds == {"Conv2d", "_BatchNorm", "ReLU", "Dropout"}


@pytest.mark.parametrize(
    ("grid", "last"),
    [
        ((16, 8), (4, 2)),
        ((16, 4), (4, 2)),
        ((24, 7), (6, 2)),
        ((8, 8), (2, 2)),
        ((4, 4), (2, 2)),
        ((1, 8), (1, 2)),
        ((10, 1), (3, 1)),
        ((3, 3), (3, 3)),
        ((1, 1), (1, 1)),
    ],
)
def test_strides_follow_the_grid(grid, last):
    model = AllConvNet(AllConvNetConfig(*grid, n_classes=3, width=4)).eval()
    images = torch.randn(2, *grid, generator=generator())
    assert model.features(images.unsqueeze(1)).shape == (2, 16, *last)
    assert model(images).shape == (2, 3)


def test_mean_may_be_taken_before_the_last_convolution():
    model = AllConvNet(AllConvNetConfig(n_classes=3), generator=generator()).eval()
    images = torch.randn(4, 16, 8, generator=generator(1))
    features = model.encode(images)
    assert features.shape == (4, model.n_features)
    logits = model.classes(features[:, :, None, None])[:, :, 0, 0]
    torch.testing.assert_close(logits, model(images))


def test_batch_norm_folds_into_the_convolutions():
    model = AllConvNet(AllConvNetConfig(width=4), generator=generator())
    images = torch.randn(16, 16, 8, generator=generator(1))
    model.train()
    for _ in range(3):
        model(images)
    model.eval()
    folded = model.fold()
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    torch.testing.assert_close(folded(images), model(images), atol=1e-5, rtol=1e-4)


def test_same_generator_same_network():
    one, two = (AllConvNet(AllConvNetConfig(), generator=generator()) for _ in "12")
    assert all(
        torch.equal(a, b)
        for a, b in zip(one.parameters(), two.parameters(), strict=True)
    )


def test_training_takes_a_single_image_of_one_cell():
    model = AllConvNet(AllConvNetConfig(1, 1, 2, width=2), generator=generator())
    before = model.features[0][1].running_mean.clone()
    assert torch.isfinite(model.train()(torch.ones(1, 1, 1))).all()
    assert torch.equal(model.features[0][1].running_mean, before)


@pytest.mark.parametrize(
    ("field", "value"),
    [("rows", 0), ("columns", 2.5), ("n_classes", True), ("width", -1)]
    + [("dropout", 1.0), ("dropout", "much")],
)
def test_refused_fields_are_named(field, value):
    with pytest.raises(ValueError, match=f"{field}={value!r}"):
        AllConvNetConfig(**{field: value})


def test_configuration_survives_a_dictionary():
    config = AllConvNetConfig(24, 7, 27, width=8, dropout=0.0)
    assert AllConvNetConfig.from_dict(config.to_dict()) == config
    with pytest.raises(ValueError, match="depth"):
        AllConvNetConfig.from_dict({"depth": 2})
