"""Checkpoints change the memory of training, and nothing else."""

import pytest
import torch

from sktinymyo.nn import ClassificationHead, TinyMyo, config_of_size


@pytest.mark.parametrize("own_generator", [True, False])
def test_same_gradients_with_dropout(own_generator):
    def gradients(checkpointing):
        generator = torch.Generator().manual_seed(0)
        head = ClassificationHead(48, 4, 3, generator=generator)
        config = config_of_size("nano", dropout=0.5, drop_path=0.3)
        model = TinyMyo(config, head, generator=generator).train()
        model.checkpointing = checkpointing
        windows = torch.randn(5, 4, 60, generator=generator)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            if own_generator:
                model.set_generator(generator)
            for _ in range(2):  # the second pass draws on from where the first ended
                model(windows).square().sum().backward()
        return [parameter.grad for parameter in model.parameters()][1:]

    plain, checkpointed = gradients(False), gradients(True)
    for a, b in zip(plain, checkpointed, strict=True):
        torch.testing.assert_close(a, b)


def test_blocks_run_twice_in_training_alone():
    model = TinyMyo(config_of_size("nano"), generator=torch.Generator())
    model.checkpointing = True
    calls = []
    model.blocks[0].register_forward_pre_hook(lambda *_: calls.append(None))
    windows = torch.zeros(1, 2, 40)
    with torch.no_grad():
        model(windows)
    assert len(calls) == 1
    model(windows).sum().backward()
    assert len(calls) == 3
