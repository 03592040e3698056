"""Publishing weights: what would go up, what goes up, and what is refused."""

import hashlib
import inspect
import json
import shutil
import tempfile
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from sktinymyo.exceptions import (
    OptionalDependencyError,
    UnsafeFileError,
    WeightsError,
    WeightsNotFoundError,
)
from sktinymyo.weights import (
    WeightsCard,
    _hub,
    load_weights,
    push_weights,
    read_card,
    save_weights,
)

hub = pytest.importorskip("huggingface_hub")
constants = pytest.importorskip("huggingface_hub.constants")

COMMIT = "1234567890abcdef1234567890abcdef12345678"
CARD = WeightsCard(
    name="our-armband",
    licence="CC BY 4.0",
    sharing=True,
    sfreq=200.0,
    n_channels=8,
    n_times=100,
    normalisation="z-score per channel\nand wearing",
    data='12 people: "rest" & fist',
    recipe="50% masked",
)


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path, monkeypatch):
    """Let temporary files go where a test sees them; none may stay."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield
    assert list(folder.iterdir()) == []


@pytest.fixture
def saved(tmp_path, make_model):
    """Save small weights; return the function that takes the card."""

    def save(card=CARD, **options):
        folder = tmp_path / "saved"
        folder.mkdir(exist_ok=True)
        save_weights(
            folder / "any-name.safetensors", make_model(), card=card, **options
        )
        return folder

    return save


class HubError(OSError):
    """An answer of the hub that is no success."""

    def __init__(self, status, text):
        super().__init__(text)
        self.response = SimpleNamespace(status_code=status)


@pytest.fixture
def fake_hub(tmp_path, monkeypatch):
    """Stand in for the hub: what is uploaded lands in a local folder."""
    state = SimpleNamespace(
        uploaded=tmp_path / "uploaded", private=False, error=None, calls=[], token=None
    )

    real = hub.HfApi

    def as_the_real_one_takes_it(name, *arguments, **options):
        inspect.signature(getattr(real, name)).bind(None, *arguments, **options)

    class Api:
        def __init__(self, token=None, library_name=None):
            state.token = token
            assert library_name == "sktinymyo"

        def create_repo(self, repo_id, *, repo_type, private, exist_ok):
            as_the_real_one_takes_it(
                "create_repo",
                repo_id,
                repo_type=repo_type,
                private=private,
                exist_ok=exist_ok,
            )
            state.calls.append(("create", repo_id, private))
            assert repo_type == "model" and exist_ok
            if state.error is not None:
                raise state.error
            return f"https://hub.example/{repo_id}"

        def model_info(self, repo_id):
            return SimpleNamespace(private=state.private)

        def upload_folder(self, *, repo_id, repo_type, folder_path, commit_message):
            as_the_real_one_takes_it(
                "upload_folder",
                repo_id=repo_id,
                repo_type=repo_type,
                folder_path=folder_path,
                commit_message=commit_message,
            )
            state.calls.append(("upload", repo_id, commit_message))
            shutil.copytree(folder_path, state.uploaded)
            return SimpleNamespace(oid=COMMIT)

    monkeypatch.setattr(hub, "HfApi", Api)
    monkeypatch.setattr(hub, "get_token", lambda: "hf_stored")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(_hub, "_probe", lambda *arguments: None)
    return state


@pytest.fixture
def no_hub(monkeypatch):
    """Fail where anything asks the hub."""
    monkeypatch.setattr(_hub, "_probe", lambda *a: pytest.fail("network used"))
    monkeypatch.setattr(hub, "HfApi", lambda **k: pytest.fail("network used"))


def front_matter(text):
    """Return the front matter, whose values are JSON and therefore YAML too."""
    start, block, _ = text.split("---\n", 2)
    assert start == ""
    return {
        key: json.loads(value)
        for key, _, value in (line.partition(": ") for line in block.splitlines())
    }


def test_dry_run_tells_what_would_go_up(saved, monkeypatch):
    # Not even the package is needed.
    for name in ("huggingface_hub", "huggingface_hub.constants"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    folder = saved(precision="float16")
    pushed = push_weights(folder, "me/our-armband", dry_run=True)
    content = (folder / "any-name.safetensors").read_bytes()
    assert pushed.files["model.safetensors"] == {
        "n_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    page = pushed.model_card.encode()
    assert pushed.files["README.md"]["sha256"] == hashlib.sha256(page).hexdigest()
    assert set(pushed.files) == {"model.safetensors", "README.md"}
    assert (pushed.url, pushed.commit, pushed.source) == (None, None, "me/our-armband")
    with pytest.raises(OptionalDependencyError, match=r"sktinymyo\[hub\]"):
        push_weights(folder, "me/our-armband")


def test_the_page_states_the_card(saved):
    pushed = push_weights(saved(precision="float16"), "me/our-armband", dry_run=True)
    page = pushed.model_card
    assert front_matter(page) == {
        "license": "cc-by-4.0",
        "library_name": "sktinymyo",
        "tags": ["emg", "electromyography", "biosignals", "tinymyo"],
    }
    for text in (
        "# our-armband",
        'TinyMyoEmbedder(weights="me/our-armband")',
        "- Sampling rate: 200 Hz",
        "- Channels: 8",
        "- Window: 100 samples (0.5 s)",
        "- Normalisation: z-score per channel and wearing",
        '- Data: 12 people: "rest" & fist',
        "- Recipe: 50% masked",
        "- Passing changed weights on: allowed",
        "## Known limits",
        "float16",
        "# X: windows of shape (n_windows, n_channels, n_times)\n",
        pushed.files["model.safetensors"]["sha256"],
    ):
        assert text in page
    # The example runs as it stands, but for the name of the weights.
    code = page.split("```python\n")[1].split("```")[0]
    compile(code, "example", "exec")


def test_the_page_of_weights_that_saw_several_rates(saved):
    rates = {"sfreq": None, "sfreqs": (200.0, 1000.0)}
    card = CARD.replace(**rates, n_channels=None, channel_range=(4, 16))
    page = push_weights(saved(card), "me/x", dry_run=True).model_card
    assert "- Sampling rate: 200 Hz\n" in page
    assert "- Sampling rates seen in training: 200 Hz, 1000 Hz\n" in page
    assert "- Numbers of channels seen in training: 4 to 16\n" in page
    assert "- Channels" not in page and "not stated" not in page


def test_a_range_of_one_number_is_a_number(saved):
    card = CARD.replace(channel_range=(8, 8), times_range=(40, 100))
    page = push_weights(saved(card), "me/x", dry_run=True).model_card
    assert "- Numbers of channels seen in training: 8\n" in page
    assert "- Lengths of windows seen in training: 40 to 100 samples\n" in page


@pytest.mark.parametrize(
    ("licence", "wanted"),
    [
        ("BSD-3-Clause", {"license": "bsd-3-clause"}),
        ("Our Lab: v1", {"license": "other", "license_name": "our-lab-v1"}),
    ],
)
def test_licences_as_the_hub_names_them(saved, licence, wanted):
    folder = saved(CARD.replace(licence=licence, sharing=None))
    page = push_weights(folder, "me/x", dry_run=True).model_card
    assert wanted.items() <= front_matter(page).items()
    assert f"- Licence: {licence}" in page
    assert "- Passing changed weights on: not stated" in page


@pytest.mark.parametrize("licence", ["", " "])
def test_an_empty_licence_is_none(saved, licence):
    folder = saved(WeightsCard(name="bare", licence=licence))
    with pytest.warns(UserWarning, match="'bare' states no licence"):
        page = push_weights(folder, "me/bare", dry_run=True).model_card
    assert "license" not in front_matter(page)
    assert "- Licence: not stated" in page


def test_without_a_licence_there_is_a_warning(saved):
    folder = saved(WeightsCard(name="bare"))
    with pytest.warns(UserWarning, match="'bare' states no licence"):
        pushed = push_weights(folder, "me/bare", dry_run=True)
    assert "license" not in front_matter(pushed.model_card)
    assert pushed.model_card.count("not stated") == 8


def lay_out_as_cache(cache, repository, folder):
    """Put uploaded files where huggingface_hub keeps what it downloaded."""
    root = cache / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, root / "snapshots" / COMMIT)


def test_what_goes_up_loads_again(saved, fake_hub, tmp_path):
    folder = saved()
    pushed = push_weights(folder / "any-name.safetensors", "me/our-armband")
    assert fake_hub.token == "hf_stored"
    assert fake_hub.calls == [
        ("create", "me/our-armband", False),
        ("upload", "me/our-armband", "Weights our-armband"),
    ]
    assert pushed.url == "https://hub.example/me/our-armband"
    assert pushed.source == f"me/our-armband@{COMMIT}"
    page = (fake_hub.uploaded / "README.md").read_bytes()
    assert page.decode() == pushed.model_card
    # As a folder, and through the cache by the name and by the commit.
    lay_out_as_cache(tmp_path / "cache", "me/our-armband", fake_hub.uploaded)
    original = load_weights(folder)
    for source in (fake_hub.uploaded, "me/our-armband", pushed.source):
        weights = load_weights(source, cache_folder=tmp_path / "cache", offline=True)
        assert weights.sha256 == original.sha256
        assert weights.card.licence == "CC BY 4.0" and weights.card.sfreq == 200.0
        assert weights.state.keys() == original.state.keys()
        for name, tensor in weights.state.items():
            assert torch.equal(tensor, original.state[name])


def test_weights_that_must_not_be_shared_stay_here(saved, no_hub):
    card = read_card("PulpBio/TinyMyo")
    folder = saved(CARD.replace(licence=card.licence, sharing=card.sharing))
    for options in ({}, {"private": True}, {"dry_run": True}):
        with pytest.raises(WeightsError, match="forbids passing them on.*CC BY-ND 4.0"):
            push_weights(folder, "me/mine", **options)


def test_a_public_repository_does_not_become_private(saved, fake_hub):
    with pytest.raises(WeightsError, match="exists and is public"):
        push_weights(saved(), "me/our-armband", private=True)
    assert not fake_hub.uploaded.exists()
    fake_hub.private = True
    assert push_weights(saved(), "me/our-armband", private=True).private
    assert fake_hub.uploaded.exists()


@pytest.mark.parametrize(
    "repository",
    ["mine", "", "a/b/c", "a/b@v1", "a/b:c.safetensors", "a/b.git", "a--b/c", "a/-b"]
    + ["a/b..c", "a/b.safetensors", "../b", "a/" + "b" * 96, "a/b\n", "ä/b"],
)
def test_names_that_the_hub_would_refuse(saved, no_hub, repository):
    with pytest.raises(ValueError, match=r"repository=.* pass \"owner/name\""):
        push_weights(saved(), repository)


def test_parameters_of_the_wrong_type(saved, no_hub):
    with pytest.raises(TypeError, match="repository=None"):
        push_weights(saved(), None)
    with pytest.raises(TypeError, match="dry_run='yes'"):
        push_weights(saved(), "me/x", dry_run="yes")
    for token in (True, "", b"hf_secret"):
        with pytest.raises(TypeError, match="token must be") as caught:
            push_weights(saved(), "me/x", token=token)
        assert "secret" not in str(caught.value)


def test_sources_that_are_no_weights_of_ours(tmp_path, no_hub, write_published):
    with pytest.raises(WeightsNotFoundError, match="no such folder or file"):
        push_weights(tmp_path / "missing", "me/x")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(WeightsNotFoundError, match="no .safetensors"):
        push_weights(empty, "me/x")
    (empty / "model.pt").write_bytes(b"PK\x03\x04")
    with pytest.raises(UnsafeFileError):
        push_weights(empty, "me/x")
    with pytest.raises(WeightsError, match="not written by this package"):
        push_weights(write_published(), "me/x")
    broken = tmp_path / "broken.safetensors"
    save_file({"a": torch.zeros(3)}, broken, {"sktinymyo": "{}"})
    with pytest.raises(WeightsError, match="broken.safetensors"):
        push_weights(broken, "me/x")


def test_no_token(saved, fake_hub, monkeypatch):
    monkeypatch.setattr(hub, "get_token", lambda: None)
    with pytest.raises(WeightsError, match="without an access token.*hf auth login"):
        push_weights(saved(), "me/x")
    push_weights(saved(), "me/x", token="hf_given")
    assert fake_hub.token == "hf_given"


def test_no_network(saved, fake_hub, monkeypatch):
    monkeypatch.setattr(_hub, "_probe", lambda *a: "hub.example cannot be reached (no)")
    with pytest.raises(WeightsError, match="cannot be reached.*dry_run=True"):
        push_weights(saved(), "me/x")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(WeightsError, match="HF_HUB_OFFLINE"):
        push_weights(saved(), "me/x")
    assert fake_hub.calls == []


@pytest.mark.parametrize(
    ("error", "wanted"),
    [
        (HubError(401, "Unauthorized"), "token is not valid"),
        (HubError(403, "Forbidden"), "no right to write to what 'me' owns"),
        (HubError(500, "Internal\nError"), r"the hub said \(HubError: Internal Error"),
        (TimeoutError("late"), r"the hub said \(TimeoutError: late"),
    ],
)
def test_refusals_of_the_hub_in_our_words(saved, fake_hub, error, wanted):
    fake_hub.error = error
    with pytest.raises(WeightsError, match=f"me/x: .*{wanted}") as caught:
        push_weights(saved(), "me/x", token="hf_secret")
    assert "hf_secret" not in str(caught.value)
    assert caught.value.__cause__ is error
