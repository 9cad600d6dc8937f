"""Adapters and models that cannot be used by evaluate, predict and merge."""

import json
import shutil

import numpy as np
import pytest

from minilora.storage import read_metadata, read_tensors, write_tensors


@pytest.fixture
def refuse(run, tmp_path):
    """Run a command that must be refused in one line, naming all of ``values``."""

    def refuse(*words, naming):
        before = sorted(tmp_path.rglob("*"))
        answer = run(*words)
        assert answer.code == 2
        assert answer.err.count("\n") == 1
        for value in naming:
            assert value in answer.err
        assert sorted(tmp_path.rglob("*")) == before

    return refuse


@pytest.fixture
def adapter(ner_run, tmp_path):
    """A copy of a good adapter, to be broken."""
    return shutil.copytree(ner_run, tmp_path / "adapter")


@pytest.fixture
def refuse_adapter(refuse, base, adapter):
    """Say that ``adapter`` cannot be used with ``base``, naming values."""

    def refuse_adapter(*naming, words=("Anna left Lund .",)):
        refuse("predict", "--base", base, "--adapter", adapter, *words, naming=naming)

    return refuse_adapter


def change_config(adapter, **changes):
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def change_tensors(adapter, change, metadata=None):
    path = adapter / "adapter_model.safetensors"
    tensors = {name: array.copy() for name, array in read_tensors(path).items()}
    before = read_metadata(path)
    write_tensors(path, change(tensors), metadata=before if metadata is None else metadata)


def test_a_folder_that_is_not_there(refuse, base):
    refuse("predict", "--base", base, "--adapter", "nowhere", "x", naming=["nowhere"])


def test_an_adapter_that_is_not_there(refuse, tmp_path):
    refuse("predict", "--adapter", tmp_path / "nope", "x", naming=["there is no such folder"])


@pytest.mark.parametrize(
    "words",
    [("train", "--task", "ner", "--train", "x", "--out", "o", "--base"),
     ("extract", "--out", "o", "--rank", "1", "--base", "tiny", "--tuned")],
)  # fmt: skip
def test_an_adapter_where_a_model_is_wanted(refuse, shipped, adapter, words):
    refuse(*words, adapter, naming=[str(adapter), "holds an adapter; a", "model"])


@pytest.mark.parametrize("words", [("inspect",), ("resize", "--rank", "1", "--out", "o")])
def test_a_model_where_an_adapter_is_wanted(refuse, base, words):
    refuse(*words, base, naming=[str(base), "holds a whole model", "minilora extract"])


def test_a_folder_with_nothing_in_it(refuse, base, tmp_path):
    words = ("predict", "--base", base, "--adapter", tmp_path, "x")
    refuse(*words, naming=[str(tmp_path), "adapter_config.json"])


def test_no_model_at_all(refuse):
    refuse("predict", "x", naming=["--adapter"])


def test_a_base_alone_that_was_not_trained_for_a_task(refuse, base):
    refuse("predict", "--base", base, "x", naming=[str(base), "BertModel"])


def test_an_adapter_for_another_base_of_the_same_shape(refuse, make_base, adapter, tmp_path):
    other = make_base(tmp_path / "other")
    path = other / "model.safetensors"
    write_tensors(path, {name: array + 1 for name, array in read_tensors(path).items()})
    words = ("predict", "--base", other, "--adapter", adapter, "x")
    refuse(*words, naming=[str(adapter), "other base weights"])


def test_an_adapter_for_a_base_of_another_shape(refuse, make_base, adapter, tmp_path):
    other = make_base(tmp_path / "other", hidden_size=8)
    words = ("predict", "--base", other, "--adapter", adapter, "x")
    refuse(*words, naming=[str(adapter), "lora_A", "(8, 16)", "(8, 8)"])


def test_truncated_weights(refuse_adapter, adapter):
    path = adapter / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-7])
    refuse_adapter("adapter_model.safetensors")


def test_pickled_weights(refuse_adapter, adapter):
    (adapter / "adapter_model.safetensors").rename(adapter / "adapter_model.bin")
    refuse_adapter("adapter_model.bin", "pickle")


def test_weights_that_are_nan(refuse_adapter, adapter):
    change_tensors(adapter, lambda tensors: {n: a * np.nan for n, a in tensors.items()})
    refuse_adapter("lora_A", "NaN")


def test_a_tensor_that_is_missing(refuse_adapter, adapter):
    change_tensors(adapter, lambda some: {n: a for n, a in some.items() if "layer.0" not in n})
    refuse_adapter("layer.0", "missing")


def test_a_config_that_is_no_json(refuse_adapter, adapter):
    (adapter / "adapter_config.json").write_text("r = 8")
    refuse_adapter("adapter_config.json:1", "JSON")


def test_another_method_than_lora(refuse_adapter, adapter):
    change_config(adapter, peft_type="IA3")
    refuse_adapter("'IA3'", "LORA")


def test_a_rank_of_0(refuse_adapter, adapter):
    change_config(adapter, r=0)
    refuse_adapter("r is 0")


def test_a_variant_of_lora(refuse_adapter, adapter):
    change_config(adapter, use_dora=True)
    refuse_adapter("use_dora")


def from_elsewhere(adapter):
    """Take out what only minilora writes."""
    change_tensors(adapter, lambda tensors: tensors, metadata={"format": "pt"})
    (adapter / "run.json").unlink()


def test_no_label_names(refuse_adapter, adapter):
    from_elsewhere(adapter)
    refuse_adapter("5 classes", "--labels")


def test_too_few_label_names(refuse_adapter, adapter):
    from_elsewhere(adapter)
    refuse_adapter("classifier", words=("--labels", "O,B-X,I-X", "Anna"))


def test_other_label_names_than_saved(refuse_adapter):
    refuse_adapter("B-PER", "B-X", words=("--labels", "O,B-X,I-X,B-Y,I-Y", "Anna"))


def test_another_number_of_label_names_than_saved(refuse_adapter):
    refuse_adapter("--labels: names 2", "trained on 5: O, B-LOC", words=("--labels", "O,B-X", "A"))


def test_no_task(refuse_adapter, adapter):
    from_elsewhere(adapter)
    change_config(adapter, task_type=None)
    refuse_adapter("--task")


def test_the_other_task(refuse_adapter):
    refuse_adapter("--task", "classify", "ner", words=("--task", "classify", "Anna"))


def test_a_base_that_the_adapter_names_and_nobody_has(refuse, adapter):
    change_config(adapter, base_model_name_or_path="somebody/else")
    refuse("predict", "--adapter", adapter, "x", naming=["--base", "somebody/else"])


def test_a_run_that_is_not_finished(refuse_adapter, adapter):
    (adapter / "adapter_config.json").unlink()
    (adapter / "run.json").write_text('{"status": "interrupted"}')
    refuse_adapter("not finished", "--resume")


def test_no_text(refuse_adapter, monkeypatch, tmp_path):
    empty = tmp_path / "empty.txt"
    empty.write_text("\n  \n")
    refuse_adapter(str(empty), "no text", words=("--input", empty))


def test_texts_twice(refuse_adapter, tmp_path):
    refuse_adapter("--input", words=("--input", tmp_path / "texts.txt", "Anna"))


def test_texts_in_latin_1(refuse_adapter, tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("Anna\nZürich\n".encode("latin-1"))
    refuse_adapter(f"{file}:2", "UTF-8", words=("--input", file))


def test_an_argument_that_is_no_text(refuse_adapter):
    refuse_adapter("text 1", "UTF-8", words=("Z\udcfcrich",))


def test_a_max_length_beyond_the_model(refuse_adapter):
    refuse_adapter("--max-length", "33", "3 to 32", words=("--max-length", "33", "Anna"))


def test_a_max_length_of_0(refuse_adapter):
    refuse_adapter("--max-length", "got 0", words=("--max-length", "0", "Anna"))


def test_labels_that_are_no_tags(refuse_adapter, adapter):
    from_elsewhere(adapter)
    refuse_adapter("'LABEL_1'", words=("--labels", "O,LABEL_1,I-X,B-Y,I-Y", "Anna"))


def test_an_empty_batch(refuse_adapter):
    refuse_adapter("batch_size", "0", words=("--batch-size", "0", "Anna"))


def test_a_label_in_the_data_that_the_model_does_not_know(refuse, base, adapter, tmp_path):
    file = tmp_path / "data.conll"
    file.write_text("Loire\tB-RIVER\n")
    words = ("evaluate", "--base", base, "--adapter", adapter, "--data", file)
    refuse(*words, naming=[f"{file}:1", "'B-RIVER'"])


def test_merging_into_a_folder_with_something_in_it(refuse, base, adapter):
    words = ("merge", "--base", base, "--adapter", adapter, "--out", adapter)
    refuse(*words, naming=[str(adapter), "not empty"])


def test_merging_into_a_file(refuse, base, adapter, tmp_path):
    (tmp_path / "file").write_text("mine")
    words = ("merge", "--base", base, "--adapter", adapter, "--out", tmp_path / "file")
    refuse(*words, naming=[str(tmp_path / "file")])


def test_merging_a_model_that_has_nothing_to_merge(refuse, run, base, adapter, tmp_path):
    merged = tmp_path / "merged"
    assert run("merge", "--base", base, "--adapter", adapter, "--out", merged).code == 0
    refuse("merge", "--adapter", merged, "--out", tmp_path / "again", naming=["nothing to merge"])
