"""What users get wrong: one line that names it, exit code 2, and nothing lost or left behind."""

import json
import re
import shutil

import numpy as np
import pytest

from minilora.io.run import RunFolder
from minilora.storage import read_tensors, write_tensors

ONE_LINE = re.compile(r"[^:\n]+(:\d+)?: [^\n]+\n")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def refuse(run, tmp_path):
    """Run a command that must be refused, naming all of ``values``."""

    def refuse(*words, naming):
        before = contents(tmp_path)
        answer = run(*words)
        assert answer.code == 2
        assert ONE_LINE.fullmatch(answer.err), answer.err
        for value in [naming] if isinstance(naming, str) else naming:
            assert value in answer.err
        assert contents(tmp_path) == before

    return refuse


OPTIONS = {
    "rank 0": (["--r", "0"], ["r is 0", "at least 1"]),
    "a rank that is no number": (["--r", "eight"], ["--r", "'eight'", "whole number"]),
    "a fractional rank": (["--r", "1.5"], "'1.5'"),
    "alpha NaN": (["--alpha", "nan"], ["lora_alpha is nan", "finite"]),
    "alpha 0": (["--alpha", "0"], "lora_alpha is 0.0"),
    "alpha infinite": (["--alpha", "inf"], "lora_alpha is inf"),
    "a dropout above 1": (["--dropout", "1.5"], "lora_dropout is 1.5"),
    "a negative dropout": (["--dropout", "-0.1"], "lora_dropout is -0.1"),
    "targets that match nothing": (["--targets", "querry"], ["'querry'", "Did you mean 'query'?"]),
    "an empty target": (["--targets", "query,,value"], "'query,,value'"),
    "an unknown method": (["--method", "lorra"], ["'lorra'", "Did you mean 'lora'?"]),
    "a rank without adapters": (["--method", "full", "--r", "8"], ["--r", "full"]),
    "no epochs": (["--epochs", "0"], "epochs is 0"),
    "an empty batch": (["--batch-size", "0"], "batch_size is 0"),
    "a negative chunk": (["--chunk-tokens", "-2"], "chunk_tokens is -2"),
    "a learning rate of 0": (["--lr", "0"], "lr is 0.0"),
    "a negative learning rate": (["--lr", "-1"], "lr is -1.0"),
    "a learning rate NaN": (["--lr", "nan"], "lr is nan"),
    "a learning rate in words": (["--lr", "fast"], ["--lr", "'fast'"]),
    "an unknown optimiser": (["--optimizer", "adam"], ["'adam'", "'adamw'"]),
    "an unknown schedule": (["--schedule", "linaer"], "Did you mean 'linear'?"),
    "a warm-up of everything": (["--warmup", "1"], "warmup_ratio is 1.0"),
    "a negative weight decay": (["--weight-decay", "-1"], "weight_decay is -1.0"),
    "a negative clip": (["--clip", "-1"], "clip is -1.0"),
    "a label smoothing of 1": (["--label-smoothing", "1"], "label_smoothing is 1.0"),
    "no patience": (["--patience", "0"], "patience is 0"),
    "a negative seed": (["--seed", "-1"], "seed is -1"),
    "no threads": (["--threads", "0"], ["threads", "'0'"]),
    "no room for words": (["--max-length", "2"], ["--max-length", "2", "3 to 32"]),
    "more than the base can take": (["--max-length", "513"], ["513", "3 to 32"]),
    "checkpoints every 0 steps": (["--checkpoint-every", "0"], "--checkpoint-every is 0"),
    "a misspelt option": (["--epoch", "3"], ["--epoch", "--epochs"]),
    "an option without its value": (["--epochs"], ["--epochs", "expected one argument"]),
    "a word too many": (["--json", "surplus"], "surplus"),
    "resume and overwrite": (["--resume", "--overwrite"], ["--resume", "--overwrite"]),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_wrong_option_is_refused(case, refuse, ner_words, tmp_path):
    words, naming = OPTIONS[case]
    refuse(*ner_words, "--out", tmp_path / "out", *words, naming=naming)
    assert not (tmp_path / "out").exists()


def test_a_missing_option_is_named(refuse):
    refuse("train", "--out", "x", naming=["--task, --train missing"])


def test_a_missing_out_is_named(refuse, ner_words):
    refuse(*ner_words, naming="--out")


def test_an_unknown_task_is_named(refuse):
    refuse("train", "--task", "nre", naming=["'nre'", "Did you mean 'ner'?"])


def test_threads_in_the_environment_are_checked(refuse, base, data, tmp_path, monkeypatch):
    monkeypatch.setenv("MINILORA_THREADS", "many")
    words = ("--base", base, "--task", "ner", "--train", data / "train.conll")
    refuse("train", *words, "--out", tmp_path / "out", naming=["MINILORA_THREADS", "'many'"])


NER_FILES = {
    "an empty file": (b"", "empty"),
    "blank lines only": (b"\n\n  \n", "empty"),
    "one column": (b"Anna\nworks\n", ":1: has one column"),
    "a line with a column too many": (b"Anna\tB-PER\nin\tx\tO\n", ":2: has 3 columns"),
    "an unknown tag": (b"Anna\tB-PER\n\nin\tQ-LOC\n", [":3:", "Q-LOC"]),
    "a tag without a type": (b"Anna\tB-\n", [":1:", "B-"]),
    "Latin-1": ("Zürich\tB-LOC\n".encode("latin-1"), [":1:", "0xfc", "UTF-8"]),
    "UTF-16": ("Anna\tB-PER\n".encode("utf-16"), "UTF-16"),
    "a binary file": (b"Anna\tB-PER\n\x00\x01\n", [":2:", "NUL"]),
    "no entities": (b"Anna\tO\nworks\tO\n\nYes\tO\n", "'O'"),
}


@pytest.mark.parametrize("case", NER_FILES)
def test_an_unreadable_ner_file_is_refused(case, refuse, base, tmp_path):
    content, naming = NER_FILES[case]
    file = tmp_path / "broken.conll"
    file.write_bytes(content)
    named = [str(file), *([naming] if isinstance(naming, str) else naming)]
    words = ("--base", base, "--task", "ner", "--train", file, "--out", tmp_path / "out")
    refuse("train", *words, naming=named)


CLASS_FILES = {
    "no header": ("broken.tsv", "food\tthe soup\nmusic\ta song\n", ":1:"),
    "a row with a column too many": ("broken.tsv", "label\ttext\nfood\tthe\tsoup\n", ":2:"),
    "an empty label": ("broken.tsv", "label\ttext\n\tthe soup\n", ":2:"),
    "one label only": ("broken.tsv", "label\ttext\nfood\ta\nfood\tb\n", "'food'"),
    "an open quote": ("broken.csv", 'label,text\nfood,"the soup\n', "broken.csv"),
    "broken JSON": ("broken.jsonl", '{"label": "food", "text": "soup"}\n{"label"\n', ":2:"),
    "JSON without a text": ("broken.jsonl", '{"label": "food"}\n', [":1:", "text"]),
    "an unknown ending": ("broken.xlsx", "label\ttext\n", ".xlsx"),
    "one row and no dev": ("broken.tsv", "label\ttext\nfood\ta\n", "'food'"),
}


@pytest.mark.parametrize("case", CLASS_FILES)
def test_an_unreadable_classification_file_is_refused(case, refuse, base, tmp_path):
    name, content, naming = CLASS_FILES[case]
    file = tmp_path / name
    file.write_text(content, encoding="utf-8")
    named = [str(file), *([naming] if isinstance(naming, str) else naming)]
    words = ("--base", base, "--task", "classify", "--train", file, "--out", tmp_path / "out")
    refuse("train", *words, naming=named)


def test_a_missing_file_is_named_with_its_neighbour(refuse, base, data, tmp_path):
    words = ("--base", base, "--task", "ner", "--train", data / "trian.conll")
    refuse("train", *words, "--out", tmp_path / "out", naming=["trian.conll", "'train.conll'"])


def test_a_folder_is_no_file(refuse, base, data, tmp_path):
    words = ("--base", base, "--task", "ner", "--train", data)
    refuse("train", *words, "--out", tmp_path / "out", naming=[str(data), "folder"])


@pytest.mark.parametrize("split", ["--dev", "--test"])
def test_a_label_that_training_never_saw_is_named_with_its_line(split, refuse, ner_words, tmp_path):
    file = tmp_path / "new.conll"
    file.write_text("Anna\tB-PER\n\nthe\tO\nLoire\tB-RIVER\n", encoding="utf-8")
    words = (*ner_words, split, file, "--out", tmp_path / "out")
    refuse(*words, naming=[f"{file}:3", "'B-RIVER'"])


class TestBase:
    """A base model that cannot be used; each test breaks a copy of a good one."""

    @pytest.fixture
    def broken(self, base, tmp_path):
        return shutil.copytree(base, tmp_path / "broken")

    @pytest.fixture
    def refuse_base(self, refuse, ner_words, broken, tmp_path):
        def refuse_base(*naming):
            words = (*ner_words, "--base", broken, "--out", tmp_path / "out")
            refuse(*words, naming=[str(broken), *naming])

        return refuse_base

    def change_config(self, broken, **changes):
        path = broken / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    def change_tensor(self, broken, name, change):
        path = broken / "model.safetensors"
        tensors = {key: array.copy() for key, array in read_tensors(path).items()}
        tensors[name] = change(tensors[name])
        write_tensors(path, tensors)

    def test_missing(self, refuse_base, broken):
        shutil.rmtree(broken)
        refuse_base()

    def test_without_config(self, refuse_base, broken):
        (broken / "config.json").unlink()
        refuse_base("config.json")

    def test_with_a_config_that_is_no_json(self, refuse_base, broken):
        (broken / "config.json").write_text('{"model_type": "bert",\n')
        refuse_base("config.json:2", "JSON")

    def test_of_another_architecture(self, refuse_base, broken):
        self.change_config(broken, model_type="roberta")
        refuse_base("'roberta'", "'bert'")

    def test_with_relative_positions(self, refuse_base, broken):
        self.change_config(broken, position_embedding_type="relative_key")
        refuse_base("'relative_key'")

    def test_with_an_unknown_activation(self, refuse_base, broken):
        self.change_config(broken, hidden_act="swish")
        refuse_base("'swish'")

    def test_with_heads_that_do_not_divide_the_width(self, refuse_base, broken):
        self.change_config(broken, num_attention_heads=3)
        refuse_base("num_attention_heads")

    def test_without_vocabulary(self, refuse_base, broken):
        (broken / "vocab.txt").unlink()
        refuse_base("vocab.txt")

    def test_with_more_word_pieces_than_embeddings(self, refuse_base, broken):
        with (broken / "vocab.txt").open("a") as file:
            file.write("surplus\n")
        refuse_base("85 word pieces", "embeddings for 84")

    def test_without_weights(self, refuse_base, broken):
        (broken / "model.safetensors").unlink()
        refuse_base("model.safetensors")

    def test_with_pickled_weights(self, refuse_base, broken):
        (broken / "model.safetensors").rename(broken / "pytorch_model.bin")
        refuse_base("pytorch_model.bin", "pickle")

    def test_with_truncated_weights(self, refuse_base, broken):
        path = broken / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-100])
        refuse_base("model.safetensors")

    def test_with_a_header_that_lies_about_its_size(self, refuse_base, broken):
        path = broken / "model.safetensors"
        path.write_bytes((2**40).to_bytes(8, "little") + path.read_bytes()[8:])
        refuse_base("model.safetensors")

    def test_with_surplus_bytes(self, refuse_base, broken):
        with (broken / "model.safetensors").open("ab") as file:
            file.write(b"\0" * 64)
        refuse_base("model.safetensors")

    def test_with_a_tensor_of_another_shape(self, refuse_base, broken):
        self.change_tensor(broken, "encoder.layer.0.output.dense.weight", lambda a: a[:, :-1])
        refuse_base("encoder.layer.0.output.dense.weight", "(16, 31)", "(16, 32)")

    def test_with_nan(self, refuse_base, broken):
        self.change_tensor(broken, "embeddings.LayerNorm.bias", lambda a: a * np.nan)
        refuse_base("embeddings.LayerNorm.bias", "NaN")

    def test_with_a_tensor_missing(self, refuse_base, broken):
        path = broken / "model.safetensors"
        tensors = {k: a.copy() for k, a in read_tensors(path).items() if "layer.1" not in k}
        write_tensors(path, tensors)
        refuse_base("encoder.layer.1.attention.self.query.weight", "missing")


def test_a_folder_with_a_run_is_not_written_over(refuse, ner_words, ner_run, tmp_path):
    out = shutil.copytree(ner_run, tmp_path / "out")
    refuse(*ner_words, "--out", out, naming=[str(out), "--resume", "--overwrite"])


def test_a_folder_with_a_model_is_not_written_over(refuse, ner_words, base, tmp_path):
    out = shutil.copytree(base, tmp_path / "out")
    refuse(*ner_words, "--out", out, "--overwrite", naming=[str(out), "model.safetensors"])


def test_a_file_cannot_be_the_run_folder(refuse, ner_words, tmp_path):
    (tmp_path / "out").write_text("mine")
    refuse(*ner_words, "--out", tmp_path / "out", naming=str(tmp_path / "out"))


def test_a_folder_in_which_another_process_trains_is_left_alone(refuse, ner_words, tmp_path):
    with RunFolder.create(tmp_path / "out"):
        refuse(*ner_words, "--out", tmp_path / "out", "--overwrite", naming="another process")
