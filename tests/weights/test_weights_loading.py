import dataclasses
import json
import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from sktinymyo.exceptions import WeightsError, WeightsNotFoundError
from sktinymyo.nn import ClassificationHead, TinyMyo, TinyMyoConfig
from sktinymyo.weights import (
    WeightsCard,
    _registry,
    build_model,
    load_weights,
    read_card,
    save_weights,
)
from sktinymyo.weights._architecture import expected_shapes

HEADS = (None, "reconstruction", "classification", "regression")
POSITIONS = ("per-channel", "none", "flat")


def assert_same(state, model):
    wanted = model.state_dict()
    assert list(state) == list(wanted)
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32 and tensor.device.type == "cpu"
        torch.testing.assert_close(tensor, wanted[name], rtol=0, atol=0)


@pytest.mark.parametrize("prefix", ["model.", ""])
@pytest.mark.parametrize("position", POSITIONS)
@pytest.mark.parametrize("head", HEADS)
def test_every_generation_and_head_loads(
    write_published, position, head, prefix, make_model, as_published, settings_of
):
    model = make_model(position, head)
    more = {"reg_target_len": 11} if head == "regression" else {}
    folder = write_published(
        model, as_published(model, prefix), settings_of(model, **more)
    )
    weights = load_weights(folder)
    assert (weights.generation, weights.head) == (position, head)
    wanted = model.config
    if position != "per-channel":  # says nothing about embeddings it has not
        wanted = dataclasses.replace(wanted, n_channel_embeddings=16)
    assert weights.config == wanted
    assert_same(weights.state, model)
    x = torch.randn(2, 3, 22)
    torch.testing.assert_close(build_model(weights)(x), model(x), rtol=0, atol=0)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 50),
    st.sampled_from(POSITIONS),
    st.sampled_from([None, "classification"]),
)
@settings(max_examples=30, deadline=None)
def test_any_network_comes_back_from_its_own_file(
    tmp_path_factory, half, n_heads, depth, hidden, position, head
):
    width = 2 * half * n_heads
    config = TinyMyoConfig(
        embed_dim=width,
        depth=depth,
        n_heads=n_heads,
        mlp_ratio=hidden / width,
        patch_size=hidden,
        position=position,
        n_channel_embeddings=half,
        dropout=0.25,
        rotary_base=500.0,
    )
    model = TinyMyo(config, ClassificationHead(width, 2, 3) if head else None)
    path = tmp_path_factory.mktemp("own") / "model.safetensors"
    save_weights(path, model)
    weights = load_weights(path)
    assert_same(weights.state, model)
    assert weights.config.mlp_dim == config.mlp_dim
    assert weights.config == config


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("position", POSITIONS)
def test_expected_shapes_are_those_of_the_network(position, head, make_model):
    model = make_model(position, head)
    options = {
        None: {},
        "reconstruction": {},
        "classification": {"n_channels": 3, "n_classes": 5},
        "regression": {"n_channels": 3, "n_outputs": 2, "n_hidden": 7},
    }[head]
    assert expected_shapes(model.config, head, options) == {
        name: tuple(tensor.shape) for name, tensor in model.state_dict().items()
    }


def test_all_wrong_tensors_are_listed_at_once(
    write_published, make_model, as_published
):
    model = make_model()
    tensors = as_published(model)
    del tensors["model.norm.bias"], tensors["model.blocks.0.mlp.fc1.weight"]
    tensors["model.blocks.1.norm1.weight"] = torch.ones(17)
    tensors["model.mask_token"] = torch.ones(1, 16)
    tensors["model.extra.weight"] = torch.ones(2)
    tensors["criterion.scale"] = torch.ones(())
    tensors["model.norm.weight"] = torch.ones(16, dtype=torch.int32)
    with pytest.raises(WeightsError) as caught:
        load_weights(write_published(model, tensors))
    message = str(caught.value)
    for line in (
        "missing (2):",
        "model.norm.bias: expected (16,)",
        "model.blocks.0.mlp.fc1.weight: expected (48, 16)",
        "misshapen (2):",
        "model.blocks.1.norm1.weight: expected (16,), found (17,)",
        "model.mask_token: expected (1, 1, 16), found (1, 16)",
        "unexpected (2):",
        "model.extra.weight: found (2,)",
        "criterion.scale: found ()",
        "model.norm.weight: I32",
        "model.safetensors",
    ):
        assert line in message


@pytest.mark.parametrize(
    ("name", "kind"),
    [(f"blocks.{i}.{part}", "missing") for i in (0, 1) for part in ("norm1.bias",)]
    + [("channel_embed", None), ("model_head.classifier.weight", "missing")],
)
def test_no_tensor_may_be_missing(
    write_published, name, kind, make_model, as_published
):
    model = make_model(head="classification")
    tensors = as_published(model)
    del tensors[f"model.{name}"]
    folder = write_published(model, tensors)
    if kind is None:  # without its mark a file is one of the generation "none"
        assert load_weights(folder).generation == "none"
        return
    with pytest.raises(WeightsError, match=rf"missing \(1\):\s+model\.{name}: "):
        load_weights(folder)


def test_foreign_networks_and_prefixes_are_named(
    write_published, make_model, as_published
):
    folder = write_published(tensors=as_published(make_model(), "net.model."))
    with pytest.raises(WeightsError, match=r"prefix 'net\.model\.' is not accepted"):
        load_weights(folder)
    folder = write_published(tensors={"conv.weight": torch.ones(1)}, name="other")
    with pytest.raises(WeightsError, match=r"no TinyMyo network.*holds conv\.weight"):
        load_weights(folder)
    with pytest.raises(WeightsError, match="no tensors"):
        load_weights(write_published(tensors={}, name="empty"))


def test_marks_of_two_generations_or_heads_contradict(
    write_published, make_model, as_published
):
    tensors = as_published(make_model("flat", "classification"))
    tensors["model.channel_embed"] = torch.zeros(1, 6, 1, 16)
    tensors["model.model_head.decoder_pred.bias"] = torch.zeros(4)
    with pytest.raises(WeightsError) as caught:
        load_weights(write_published(tensors=tensors))
    assert "position='flat'" in str(caught.value)
    assert "heads: classification, reconstruction" in str(caught.value)


@pytest.mark.parametrize(
    ("stated", "named"),
    [
        ({"n_layer": 3}, "depth: stated 3, the tensors say 2"),
        ({"embed_dim": 32}, "embed_dim: stated 32, the tensors say 16"),
        ({"patch_size": 5}, "patch_size: stated 5"),
        ({"mlp_ratio": 4}, "mlp_ratio: stated 4.0, the tensors say 3.0"),
        ({"num_classes": 6}, "n_outputs: stated 6, the tensors say 5"),
        ({"in_chans": 8}, "n_channels: stated 8, the tensors say 3"),
        ({"position": "flat"}, "position: stated 'flat'"),
        ({"n_head": 3}, "n_heads=3"),
        ({"n_head": "3"}, "n_head='3'"),
        ({"n_layer": True}, "n_layer=True"),
        ({"mlp_ratio": float("nan")}, "mlp_ratio=nan"),
        ({"mlp_ratio": 10**400}, "mlp_ratio=1000"),
        ({"dropout": 2}, "dropout=2.0"),
        ({"position": ["flat"]}, r"position=\['flat'\]"),
    ],
)
def test_config_json_must_agree_with_the_tensors(
    write_published, stated, named, make_model, settings_of
):
    model = make_model(head="classification")
    folder = write_published(model, settings=settings_of(model) | stated)
    with pytest.raises(WeightsError, match=named):
        load_weights(folder)


def test_number_of_heads_without_config_json(write_published, tmp_path, make_model):
    (write_published() / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"not stated \(1\)(?s:.*)config\.json"):
        load_weights(tmp_path / "published")
    # The tables of "flat" have half the length of a head.
    (write_published(make_model("flat"), name="flat") / "config.json").unlink()
    assert load_weights(tmp_path / "flat").config.n_heads == 2
    wide = make_model(embed_dim=128)
    (write_published(wide, name="wide") / "config.json").unlink()
    assert load_weights(tmp_path / "wide").config.n_heads == 2


def test_config_json_beside_several_files_is_not_used(write_published, make_model):
    folder = write_published(make_model(embed_dim=128))
    (folder / "config.json").write_text('{"n_head": 4}')
    assert load_weights(folder / "model.safetensors").config.n_heads == 4
    save_file({"x": torch.ones(1)}, folder / "another.safetensors")
    assert load_weights(folder / "model.safetensors").config.n_heads == 2


def test_rotary_tables_are_compared_with_the_angles_of_the_network(
    write_published, make_model, as_published, settings_of
):
    model = make_model("flat")
    tensors = as_published(model)
    table = "model.blocks.1.attn.rotary_emb.freqs"
    for dtype in (torch.float16, torch.bfloat16):
        rounded = tensors | {table: tensors[table].to(dtype)}
        assert load_weights(write_published(model, rounded)).generation == "flat"
    exponents = torch.arange(0, 8, 2) / 8
    other = {name: 500.0**-exponents for name in tensors if "freqs" in name}
    with pytest.raises(WeightsError, match=r"blocks\.0.*blocks\.1.*rotary_base"):
        load_weights(write_published(model, tensors | other))
    stated = settings_of(model, rotary_base=500.0)
    weights = load_weights(write_published(model, tensors | other, stated))
    assert weights.config.rotary_base == 500.0
    with pytest.raises(WeightsError, match=r"blocks\.1.*nan"):
        bad = tensors | {table: torch.full((4,), float("nan"))}
        load_weights(write_published(model, bad))
    del tensors[table]
    with pytest.raises(WeightsError, match=rf"missing \(1\):\s+{table}"):
        load_weights(write_published(model, tensors))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_becomes_float32(
    write_published, dtype, make_model, as_published
):
    model = make_model()
    halves = {name: t.to(dtype) for name, t in as_published(model).items()}
    state = load_weights(write_published(model, halves)).state
    for name, tensor in state.items():
        assert tensor.dtype == torch.float32
        torch.testing.assert_close(tensor, halves[f"model.{name}"].float())


def test_weights_that_are_not_finite_are_refused(write_published, make_model):
    model = make_model()
    model.norm.bias.data[3] = float("nan")
    model.mask_token.data[..., :2] = float("inf")
    with pytest.raises(WeightsError, match=r"mask_token \(2 of 16\), norm.bias \(1 of"):
        load_weights(write_published(model))
    with pytest.raises(WeightsError, match=r"model \(in float32\) contains NaN"):
        save_weights(write_published() / "new.safetensors", model)


def test_own_format_keeps_configuration_and_card(tmp_path, make_model):
    model = make_model("flat", "regression", dropout=0.3, rotary_base=777.0)
    card = WeightsCard(name="mine", source="lab", licence="CC0-1.0", sharing=True)
    path = tmp_path / "mine.safetensors"
    written = save_weights(path, model, card=card)
    weights = load_weights(path, sha256=written.sha256)
    assert weights.config == model.config
    assert weights.head_options["n_times_out"] == 11
    assert weights.card == written == read_card(path)
    assert weights.card == card.replace(
        sha256=weights.sha256, generation="flat", config=model.config.to_dict()
    )
    assert not any(name.startswith("model.") for name in load_file(path))
    x = torch.randn(2, 3, 22)
    torch.testing.assert_close(build_model(weights)(x), model(x), rtol=0, atol=0)


def test_saving_is_repeatable_and_half_precision_is_half_the_size(tmp_path, make_model):
    model = make_model(head="classification", embed_dim=16)
    cards = [
        save_weights(tmp_path / f"{name}.safetensors", model, card=WeightsCard("same"))
        for name in "ab"
    ]
    assert cards[0].sha256 == cards[1].sha256
    full = load_weights(tmp_path / "a.safetensors")
    again = save_weights(tmp_path / "c.safetensors", full, card=WeightsCard("same"))
    assert again.sha256 == full.sha256
    save_weights(tmp_path / "half.safetensors", full, precision="float16")
    sizes = [
        (tmp_path / f"{name}.safetensors").stat().st_size for name in ("a", "half")
    ]
    assert sizes[1] < 0.7 * sizes[0]
    half = load_weights(tmp_path / "half.safetensors").state
    for name, tensor in full.state.items():
        torch.testing.assert_close(half[name], tensor, rtol=1e-3, atol=1e-6)


def test_saving_a_dictionary_of_any_layout(tmp_path, make_model, as_published):
    model = make_model("flat")
    arrays = {name: t.numpy().T.copy().T for name, t in as_published(model).items()}
    config = dataclasses.replace(model.config, depth=np.int64(2))
    save_weights(tmp_path / "a.safetensors", arrays, config)
    assert_same(load_weights(tmp_path / "a.safetensors").state, model)
    tied = dict(make_model(head="reconstruction").state_dict())
    tied["norm.bias"] = tied["norm.weight"]  # share memory
    save_weights(tmp_path / "b.safetensors", tied, make_model().config)
    state = load_weights(tmp_path / "b.safetensors").state
    assert torch.equal(state["norm.bias"], state["norm.weight"])


@pytest.mark.parametrize(
    ("arguments", "error", "named"),
    [
        ({"path": "x.pt"}, ValueError, "must end in .safetensors"),
        ({"path": "no/x.safetensors"}, ValueError, "there is no folder"),
        ({"precision": "int8"}, ValueError, "precision='int8'"),
        ({"model": [1]}, TypeError, "got list"),
        ({"model": {"mask_token": "text"}}, WeightsError, "no tensor|something else"),
        ({"model": {"mask_token": torch.ones(1, 1, 16)}}, WeightsError, "missing"),
        ({"card": {"name": "x"}}, TypeError, "card must be a WeightsCard"),
        ({"config": {}}, TypeError, "config must be a TinyMyoConfig"),
        ({"config": TinyMyoConfig(depth=3)}, WeightsError, "depth: stated 3(?s:.*)192"),
    ],
)
def test_save_weights_refuses_bad_input(tmp_path, arguments, error, named, make_model):
    path = tmp_path / arguments.pop("path", "x.safetensors")
    with pytest.raises(error, match=named):
        save_weights(path, **{"model": make_model()} | arguments)
    assert list(tmp_path.iterdir()) == []


def test_failed_saving_leaves_the_older_file_alone(tmp_path, monkeypatch, make_model):
    path = tmp_path / "model.safetensors"
    before = save_weights(path, make_model())

    def fail(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        save_weights(path, make_model("none"))
    assert load_weights(path).sha256 == before.sha256
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_float16_overflow_is_refused(tmp_path, make_model):
    model = make_model()
    model.norm.weight.data[0] = 1e6
    with pytest.raises(WeightsError, match="float16.*norm.weight"):
        save_weights(tmp_path / "x.safetensors", model, precision="float16")


@pytest.mark.parametrize(
    ("header", "named"),
    [
        ({"format": 2}, "format 2.*pip install --upgrade"),
        ({"format": "1"}, "no valid format number"),
        ({"format": 1, "config": [], "card": {}}, "'config' and 'card'"),
        ({"format": 1, "config": {}, "card": {}}, "needs the field 'name'"),
        ({"format": 1, "config": {"depth": 9}, "card": {"name": "x"}}, "stated 9"),
        ([1], "must hold a JSON object"),
    ],
)
def test_bad_headers_of_our_format_are_refused(
    tmp_path, header, named, make_model, as_published
):
    path = tmp_path / "x.safetensors"
    save_file(as_published(make_model()), path, {"sktinymyo": json.dumps(header)})
    with pytest.raises(WeightsError, match=named):
        load_weights(path)


def test_header_of_our_format_goes_before_config_json(tmp_path, make_model):
    save_weights(tmp_path / "x.safetensors", make_model())
    (tmp_path / "config.json").write_text('{"n_layer": 99}')
    assert load_weights(tmp_path).config.depth == 2


def test_card_json_in_a_folder(write_published):
    folder = write_published()
    (folder / "card.json").write_text('{"name": "lab", "licence": "MIT"}')
    assert load_weights(folder).card.licence == "MIT"
    (folder / "card.json").write_text('{"name": "lab", "licence": ["MIT"]}')
    with pytest.raises(WeightsError, match=r"card\.json: card field licence"):
        load_weights(folder)


def test_building_with_and_without_a_head(write_published, make_model):
    weights = load_weights(write_published(make_model(head="classification")))
    before = torch.get_rng_state()
    encoder = build_model(weights, head=None)
    new = build_model(weights, head=(head := torch.nn.Identity()))
    model = build_model(weights)
    assert torch.equal(torch.get_rng_state(), before)
    x = torch.randn(2, 5, 12)
    assert encoder.model_head is None and new.model_head is head
    assert not (encoder.training or new.training or model.training)
    torch.testing.assert_close(new(x), encoder(x))
    assert encoder(x).shape == (2, 5, 3, 16)
    # A network owns its parameters: training it leaves the loaded weights alone.
    kept = weights.state["norm.bias"].clone()
    model.norm.bias.data += 1
    assert torch.equal(weights.state["norm.bias"], kept)
    with pytest.raises(TypeError, match="head='new'"):
        build_model(weights, head="new")
    with pytest.raises(TypeError, match="load_weights returns; got dict"):
        build_model(weights.state)


def test_wrong_checksums_are_refused(write_published):
    folder = write_published()
    with pytest.raises(WeightsError, match="f{64} was expected"):
        load_weights(folder, sha256="f" * 64)
    with pytest.raises(ValueError, match="sha256='abc'"):
        load_weights(folder, sha256="abc")


def test_default_weights_ship_by_a_file_and_an_entry(tmp_path, monkeypatch, make_model):
    monkeypatch.setattr(_registry, "_DATA_FOLDER", tmp_path)
    monkeypatch.setattr(_registry, "REGISTRY", {})
    with pytest.raises(WeightsNotFoundError, match='release.*weights="random"'):
        load_weights("default")
    card = WeightsCard(name="open", licence="CC BY 4.0", sharing=True)
    written = save_weights(tmp_path / "open.safetensors", make_model(), card=card)
    entry = _registry.RegisteredWeights(card=written, packaged=True, default=True)
    monkeypatch.setitem(_registry.REGISTRY, "open", entry)
    for source in ("default", "open"):
        assert load_weights(source).card.licence == "CC BY 4.0"
    assert read_card("default") == written.replace(
        source="sktinymyo package, open.safetensors"
    )
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open").mkdir()
    with pytest.warns(UserWarning, match=r"pass './open'"):
        load_weights("open")
    wrong = dataclasses.replace(entry, card=written.replace(sha256="0" * 64))
    monkeypatch.setitem(_registry.REGISTRY, "open", wrong)
    with pytest.raises(WeightsError, match="0{64} was expected"):
        load_weights("default")


@pytest.mark.parametrize(
    ("source", "error", "named"),
    [
        ("random", ValueError, "option of the estimators"),
        (3, TypeError, "type int"),
        (None, TypeError, "NoneType"),
        ("", WeightsNotFoundError, "neither a file"),
        ("no such name", WeightsNotFoundError, "hub name"),
        ("here/model.safetensors", WeightsNotFoundError, "neither a file"),
        ("./missing", WeightsNotFoundError, "neither a file"),
        ("tinymyo_open", WeightsNotFoundError, r"mean 'tinymyo-open'\?$"),
        (
            "quite else",
            WeightsNotFoundError,
            r"names: 'default', .*estimators\)\.$",
        ),
        ("a/b/c", WeightsNotFoundError, "neither a file"),
        ("x" * 5000, WeightsNotFoundError, "neither a file"),
        ("nul\0/x", WeightsNotFoundError, "neither a file"),
    ],
)
def test_sources_that_mean_nothing(source, error, named):
    with pytest.raises(error, match=named):
        load_weights(source)
