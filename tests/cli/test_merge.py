import numpy as np
import pytest

from minilora.cli import merge as merge_module
from minilora.files import read_json
from minilora.io import load_adapter
from minilora.nn import BertForTokenClassification
from minilora.text import Batch, WordPieceTokenizer


@pytest.fixture
def merged(run, base, ner_run, tmp_path):
    words = ("--base", base, "--adapter", ner_run, "--out", tmp_path / "merged", "--json")
    answer = run("merge", *words)
    assert answer.code == 0
    return answer


def test_a_merged_folder_is_a_whole_model(merged, tmp_path):
    names = {path.name for path in (tmp_path / "merged").iterdir()}
    assert names == {"config.json", "model.safetensors", "vocab.txt"}
    config = read_json(tmp_path / "merged" / "config.json", "config")
    assert config["architectures"] == ["BertForTokenClassification"]
    assert config["id2label"]["1"] == "B-LOC"


def test_a_merged_model_computes_what_the_adapter_did(merged, base, ner_run, tmp_path, rng):
    batch = Batch.pack([WordPieceTokenizer.from_pretrained(base)("Anna left Lund .")])
    whole = BertForTokenClassification.from_pretrained(tmp_path / "merged")
    adapted = BertForTokenClassification.from_pretrained(base, labels=whole.label_names, rng=rng)
    load_adapter(adapted, ner_run)
    difference = np.abs(whole(batch).data - adapted(batch).data).max()
    assert 0 < difference < 1e-5


def test_the_difference_that_is_stated_was_measured(merged):
    assert 0 < merged.json["largest_difference"] < 1e-5 < merged.json["largest_logit"]
    assert merged.json["n_adapted"] == 4


def test_a_difference_beyond_rounding_fails(run, base, ner_run, tmp_path, monkeypatch):
    def merge_wrongly(model):
        merge(model)
        model.classifier.bias.data += 0.01

    merge = merge_module.merge
    monkeypatch.setattr(merge_module, "merge", merge_wrongly)
    answer = run("merge", "--base", base, "--adapter", ner_run, "--out", tmp_path / "merged")
    assert answer.code == 1
    assert "more than rounding explains" in answer.out


def test_a_merged_model_cuts_texts_where_the_training_did(run, base, ner_words, data, tmp_path):
    words = (*ner_words, "--epochs", 1, "--max-length", 6, "--out", tmp_path / "short")
    assert run(*words).code == 0
    merged = tmp_path / "merged"
    assert run("merge", "--base", base, "--adapter", tmp_path / "short", "--out", merged).code == 0
    config = read_json(merged / "tokenizer_config.json", "the tokenizer's config")
    assert config["model_max_length"] == 6
    cut = run("predict", "--adapter", merged, "Anna left Lund . Bela left Pisa .", "--json")
    assert cut.code == 0
    scores = [
        run("evaluate", *model, "--data", data / "dev.conll", "--json").json["f1"]
        for model in (("--base", base, "--adapter", tmp_path / "short"), ("--adapter", merged))
    ]
    assert scores[0] == scores[1]
