"""Which folder the name of a base stands for. The Hub is played by a module made here."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

import minilora
from minilora.adapters import LoraConfig, inject
from minilora.errors import CheckpointError
from minilora.io import base_folder, read_adapter_info, save_adapter
from minilora.io.hub import FETCHED
from minilora.io.model_card import has_own_card
from minilora.nn import BertForTokenClassification
from minilora.storage import shipped


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A `huggingface_hub` whose Hub has org/model; ``hub.failure`` is raised instead, if set."""
    module, errors = ModuleType("huggingface_hub"), ModuleType("huggingface_hub.errors")
    errors.RepositoryNotFoundError = type("RepositoryNotFoundError", (OSError,), {})
    errors.GatedRepoError = type("GatedRepoError", (errors.RepositoryNotFoundError,), {})
    errors.LocalEntryNotFoundError = type("LocalEntryNotFoundError", (FileNotFoundError,), {})
    errors.HFValidationError = type("HFValidationError", (ValueError,), {})
    snapshot = tmp_path / "cache" / "models--org--model"
    snapshot.mkdir(parents=True)
    (snapshot / "model.safetensors").write_bytes(b"")

    def snapshot_download(repo_id, *, allow_patterns):
        module.asked = repo_id, allow_patterns
        if module.failure:
            raise module.failure
        return str(snapshot)

    module.errors, module.snapshot_download = errors, snapshot_download
    module.failure, module.asked, module.snapshot = None, None, snapshot
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setitem(sys.modules, "huggingface_hub.errors", errors)
    return module


@pytest.fixture
def no_hub(monkeypatch):
    """Nothing to fetch with."""
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)


def refusal(name):
    with pytest.raises(CheckpointError) as raised:
        base_folder(name)
    said = str(raised.value)
    assert said.startswith(f"{name}: ")
    assert "\n" not in said
    return said


@pytest.fixture
def place(monkeypatch, tmp_path):
    """The only place to look in for what is shipped."""
    monkeypatch.setattr(shipped, "PLACES", (tmp_path,))
    return tmp_path


def test_tiny_is_the_encoder_that_is_shipped(place):
    (place / "tiny_bert").mkdir()
    assert minilora.base_folder("tiny") == place / "tiny_bert"


def test_tiny_is_the_shipped_one_beside_a_folder_of_that_name(place, monkeypatch):
    (place / "tiny_bert").mkdir()
    (place / "tiny").mkdir()
    monkeypatch.chdir(place)
    assert base_folder("tiny") == place / "tiny_bert"
    assert base_folder("./tiny") == Path("tiny")


def test_tiny_is_missed_by_name(place):
    with pytest.raises(CheckpointError, match=f"^tiny_bert: .*{place}.*install minilora again"):
        base_folder("tiny")


def test_a_folder_that_looks_like_a_model_on_the_hub_is_a_folder(hub, tmp_path, monkeypatch):
    (tmp_path / "org" / "model").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert base_folder("org/model") == Path("org/model")
    assert hub.asked is None


@pytest.mark.parametrize(
    "name", ["/a/b", "./a", "../a/b", "a/b/c", "a/", "~/a", "a b", "C:\\a", Path("a/b")]
)
def test_a_path_is_never_asked_for_on_the_hub(name, hub):
    assert base_folder(name) == Path(name)
    assert hub.asked is None


@pytest.mark.parametrize("name", ["org/model", "bert-base-uncased", "a_b/c.d-2"])
def test_a_name_is_fetched_from_the_hub(name, hub):
    assert base_folder(name) == hub.snapshot
    assert hub.asked == (name, FETCHED)


def test_no_pickle_is_fetched():
    from fnmatch import fnmatch

    def fetched(name):
        return any(fnmatch(name, pattern) for pattern in FETCHED)

    weights = ("model.safetensors", "model-00001-of-00002.safetensors")
    others = ("config.json", "vocab.txt", "tokenizer.json", "tokenizer_config.json")
    assert all(map(fetched, [*weights, *others]))
    unread = ("pytorch_model.bin", "tf_model.h5", "flax_model.msgpack", "training_args.bin")
    assert not any(map(fetched, [*unread, "model.onnx", "onnx/model.safetensors", "README.md"]))


def test_without_the_package_it_is_said_how_to_get_it(no_hub):
    said = refusal("org/model")
    assert "no folder here" in said
    assert "pip install huggingface_hub" in said


FAILURES = {
    "GatedRepoError": ["granted access", "https://huggingface.co/org/model", "hf auth login"],
    "RepositoryNotFoundError": ["has no such model", "check the spelling"],
    "LocalEntryNotFoundError": ["nor can the Hugging Face Hub be reached", "HF_HUB_OFFLINE"],
    "HFValidationError": ["org/model"],
}


@pytest.mark.parametrize("name", ["Tiny", "tiny_bert", "tiny-bert"])
def test_what_is_nearly_tiny_is_asked_about(name, no_hub):
    with pytest.raises(CheckpointError, match="did you mean 'tiny'"):
        base_folder(name)


@pytest.mark.parametrize("kind", FAILURES)
def test_a_failure_of_the_hub_is_one_line(kind, hub):
    hub.failure = getattr(hub.errors, kind)("401 Client Error.\n\nSee https://...")
    said = refusal("org/model")
    assert "no folder here" in said
    for value in FAILURES[kind]:
        assert value in said


@pytest.mark.parametrize("failure", [OSError(28, "No space left\n on device"), RuntimeError()])
def test_any_other_failure_is_quoted(failure, hub):
    hub.failure = failure
    said = refusal("org/model")
    assert "cannot be fetched" in said
    assert ("No space left on device" if failure.args else "RuntimeError") in said


def test_a_model_that_has_only_pickled_weights_is_refused(hub):
    (hub.snapshot / "model.safetensors").rename(hub.snapshot / "config.json")
    assert "no model.safetensors" in refusal("org/model")


@pytest.mark.oracle
def test_the_real_package_offline_is_one_line_too(tmp_path):
    import subprocess

    code = "import minilora; minilora.base_folder('org/model')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "nor can the Hugging Face Hub be reached" in done.stderr.splitlines()[-1]


@pytest.fixture
def shipped_tiny(make_tiny, place):
    """A shipped encoder, read from where it is, with an adapter."""
    from minilora.io import save_pretrained

    save_pretrained(make_tiny(BertForTokenClassification), place / "tiny_bert")
    model = BertForTokenClassification.from_pretrained(base_folder("tiny"))
    inject(model, LoraConfig(target_modules=["query"]), rng=np.random.default_rng(0))
    return model


def test_an_adapter_names_the_shipped_base_and_no_path_of_this_machine(shipped_tiny, tmp_path):
    save_adapter(shipped_tiny, tmp_path / "out")
    assert read_adapter_info(tmp_path / "out").base_model_name_or_path == "tiny"
    for path in (tmp_path / "out").iterdir():
        assert str(tmp_path).encode() not in path.read_bytes()


def test_its_card_says_where_the_shipped_base_is(shipped_tiny, tmp_path):
    save_adapter(shipped_tiny, tmp_path / "out")
    assert "minilora.base_folder('tiny')" in (tmp_path / "out" / "README.md").read_text()
    assert has_own_card(tmp_path / "out")


def test_an_adapter_names_any_other_base_by_its_path(shipped_tiny, tmp_path):
    (tmp_path / "tiny_bert").rename(tmp_path / "mine")
    shipped_tiny.base_dir = tmp_path / "mine"
    save_adapter(shipped_tiny, tmp_path / "out")
    assert read_adapter_info(tmp_path / "out").base_model_name_or_path == str(tmp_path / "mine")
    assert "base_folder" not in (tmp_path / "out" / "README.md").read_text()
