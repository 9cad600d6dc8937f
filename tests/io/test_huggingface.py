import json

import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject, merge
from minilora.errors import CheckpointError, OutputError, TargetError
from minilora.io import save_pretrained
from minilora.nn import BertForMaskedLM, BertForTokenClassification, BertModel
from minilora.storage import read_metadata, read_tensors


def test_a_merged_model_is_read_back_the_same(tiny, stir, batch, tiny_dir, tmp_path, rng):
    inject(tiny, LoraConfig(r=5, lora_alpha=7, modules_to_save=["classifier"]), rng=rng)
    stir(tiny)
    merge(tiny)
    save_pretrained(tiny, tmp_path / "merged", tokenizer_from=tiny_dir)
    again = BertForTokenClassification.from_pretrained(tmp_path / "merged", dtype=np.float64)
    assert np.array_equal(again(batch).data, tiny(batch).data)
    assert again.label_names == tiny.label_names


def test_the_config_says_what_the_model_is_now(tiny, tiny_dir, tmp_path):
    save_pretrained(tiny, tmp_path / "out", tokenizer_from=tiny_dir)
    content = json.loads((tmp_path / "out" / "config.json").read_text())
    assert content["architectures"] == ["BertForTokenClassification"]
    assert content["id2label"] == {"0": "O", "1": "B-PER", "2": "I-PER"}
    assert content["label2id"] == {"O": 0, "B-PER": 1, "I-PER": 2}
    assert content["torch_dtype"] == "float64"
    assert content["model_type"] == "bert"


def test_what_the_base_config_said_besides_is_kept(make_tiny, tiny_dir, tmp_path):
    model = make_tiny(extra={"pad_token_id": 0, "dtype": "bfloat16"})
    save_pretrained(model, tmp_path / "out", tokenizer_from=tiny_dir)
    content = json.loads((tmp_path / "out" / "config.json").read_text())
    assert content["pad_token_id"] == 0
    assert "dtype" not in content


def test_weights_carry_the_names_of_transformers(tiny, tiny_dir, tmp_path):
    save_pretrained(tiny, tmp_path / "out", tokenizer_from=tiny_dir)
    path = tmp_path / "out" / "model.safetensors"
    assert read_metadata(path) == {"format": "pt"}
    assert read_tensors(path).keys() == tiny.state_dict().keys()


def test_a_tied_decoder_is_stored_once(make_tiny, batch, tiny_dir, tmp_path):
    model = make_tiny(BertForMaskedLM)
    save_pretrained(model, tmp_path / "out", tokenizer_from=tiny_dir)
    names = read_tensors(tmp_path / "out" / "model.safetensors").keys()
    assert not any("decoder" in name for name in names)
    again = BertForMaskedLM.from_pretrained(tmp_path / "out", dtype=np.float64)
    assert np.array_equal(again(batch).data, model(batch).data)


def test_the_tokenizer_is_copied_and_nothing_else(tiny, tiny_dir, tmp_path):
    (tiny_dir / "tokenizer_config.json").write_text("{}")
    (tiny_dir / "notes.txt").write_text("mine")
    save_pretrained(tiny, tmp_path / "out", tokenizer_from=tiny_dir)
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "model.safetensors",
        "tokenizer_config.json",
        "vocab.txt",
    }
    assert (tmp_path / "out" / "vocab.txt").read_bytes() == (tiny_dir / "vocab.txt").read_bytes()


def test_the_tokenizer_is_that_of_the_base_by_default(tiny_dir, tmp_path, rng):
    save_pretrained(BertModel.from_pretrained(tiny_dir, rng=rng), tmp_path / "out")
    assert (tmp_path / "out" / "vocab.txt").exists()


def test_a_model_from_nowhere_is_saved_without_a_tokenizer(tiny, tmp_path):
    save_pretrained(tiny, tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "config.json",
        "model.safetensors",
    }


def test_a_folder_without_a_tokenizer_is_refused_before_anything_is_written(tiny, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CheckpointError, match="no tokenizer here"):
        save_pretrained(tiny, tmp_path / "out", tokenizer_from=tmp_path / "empty")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_model_that_is_there_is_never_overwritten(tiny, tmp_path, name):
    (tmp_path / name).write_text("precious")
    with pytest.raises(OutputError, match="already holds a model"):
        save_pretrained(tiny, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "precious"


def test_adapters_must_be_merged_first(tiny, tmp_path, rng):
    inject(tiny, LoraConfig(), rng=rng)
    with pytest.raises(TargetError, match=r"merge\(model\) first"):
        save_pretrained(tiny, tmp_path / "out")
