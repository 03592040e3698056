"""The caller's matmul precision is put back, whatever happens."""

import threading

import pytest
import torch

from sktinymyo.nn import _processor, bf16_is_fast, fast_matmul


@pytest.fixture
def amd(monkeypatch):
    monkeypatch.setattr(_processor, "_features", lambda: ("amd epyc", {"avx512_bf16"}))
    monkeypatch.setattr(_processor, "_medium_is_exact", lambda: True)


def precision():
    return torch.get_float32_matmul_precision()


def test_precision_is_put_back_also_after_errors(amd):
    assert precision() == "highest"
    with pytest.raises(KeyError), fast_matmul():
        assert precision() == "medium"
        with fast_matmul():
            pass
        assert precision() == "medium"
        raise KeyError
    assert precision() == "highest"


def test_last_thread_puts_it_back(amd):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with fast_matmul():
            inside.set()
            leave.wait(5)

    thread = threading.Thread(target=work)
    with fast_matmul():
        thread.start()
        assert inside.wait(5)
    assert precision() == "medium"
    leave.set()
    thread.join()
    assert precision() == "highest"


def test_callers_own_choice_stays(amd):
    torch.set_float32_matmul_precision("high")
    try:
        with fast_matmul():
            assert precision() == "high"
        assert precision() == "high"
    finally:
        torch.set_float32_matmul_precision("highest")


def test_not_used_where_inexact_or_of_no_use(amd, monkeypatch):
    monkeypatch.setattr(_processor, "_medium_is_exact", lambda: False)
    with fast_matmul():
        assert precision() == "highest"
    monkeypatch.setattr(_processor, "_medium_is_exact", lambda: True)
    monkeypatch.setattr(_processor, "_features", lambda: ("intel xeon", set()))
    with fast_matmul():
        assert precision() == "highest"


def test_exactness_check_draws_nothing_and_restores(monkeypatch):
    monkeypatch.setattr(_processor, "prefers_onednn", lambda: True)
    _processor._medium_is_exact.cache_clear()
    state = torch.get_rng_state()
    with fast_matmul():
        used = precision()
    assert used == ("medium" if _processor._medium_is_exact() else "highest")
    torch.set_float32_matmul_precision("highest")
    assert torch.equal(torch.get_rng_state(), state)


def test_bf16_needs_instructions(amd, monkeypatch):
    assert bf16_is_fast()
    monkeypatch.setattr(_processor, "_features", lambda: ("intel xeon", {"avx512"}))
    assert not bf16_is_fast("cpu")
    assert not bf16_is_fast("mps")
    assert bf16_is_fast("cuda") == (
        torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    )


def test_features_without_torchs_list(monkeypatch):
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    _processor._features.cache_clear()
    try:
        name, sets = _processor._features()
        assert isinstance(name, str)
        assert isinstance(sets, set)
    finally:
        _processor._features.cache_clear()
