import numpy as np
import pytest

from minilora.files import read_json
from minilora.io import read_updates
from minilora.storage import read_checkpoint, write_json, write_tensors


@pytest.fixture(scope="module")
def tuned(ner_words, tmp_path_factory):
    """The folder of a full fine-tuning."""
    from minilora.cli.main import main

    out = tmp_path_factory.mktemp("runs") / "full"
    words = (*ner_words, "--method", "full", "--out", out, "--json")
    assert main([str(word) for word in words]) == 0
    return out


@pytest.fixture
def extract(run, base, tuned, tmp_path):
    def extract(*words, base=base, tuned=tuned, out=tmp_path / "lora"):
        return run("extract", "--base", base, "--tuned", tuned, "--out", out, *words)

    return extract


def test_a_full_rank_adapter_is_the_whole_difference(extract, base, tuned, tmp_path):
    assert extract("--rank", 16, "--targets", "query").code == 0
    old, new = read_checkpoint(base), read_checkpoint(tuned)
    for update in read_updates(tmp_path / "lora").updates:
        name = f"{update.path}.weight"
        difference = new[name] - old[name.removeprefix("bert.")]
        np.testing.assert_allclose(update.matrix(), difference, atol=1e-6)


def test_an_extracted_adapter_predicts_without_being_told_task_or_labels(
    run, extract, base, tmp_path
):
    assert extract("--rank", 16, "--biases").code == 0
    adapter = tmp_path / "lora"
    answer = run("predict", "--base", base, "--adapter", adapter, "--json", "Anna left Lund .")
    assert answer.code == 0


def test_task_and_labels_come_from_the_tuned_model(extract, tuned, tmp_path):
    assert "taken over whole: classifier" in extract("--rank", 2).out
    config = read_json(tmp_path / "lora" / "adapter_config.json", "config")
    assert config["task_type"] == "TOKEN_CLS"
    assert config["modules_to_save"] == ["classifier"]


def test_a_table_shows_what_each_layer_leaves_out(extract):
    lines = extract("--rank", 2).out.splitlines()
    assert any(line.startswith("0.attention.self.query ") for line in lines)
    assert any(line.startswith("note: changed, but in no update: ") for line in lines)
    assert lines[-1].startswith("use it: minilora predict --base ")


def test_a_tensor_that_was_zero_is_said_to_have_been(extract, base, tuned, tmp_path):
    zero = tmp_path / "zero"
    tensors = read_checkpoint(base)
    tensors["embeddings.LayerNorm.bias"] = np.zeros_like(tensors["embeddings.LayerNorm.bias"])
    write_tensors(zero / "model.safetensors", tensors)
    name = "bert.embeddings.LayerNorm.bias"
    assert f"{name} (was zero)" in extract("--rank", 2, base=zero).out
    answer = extract("--rank", 2, "--json", base=zero, out=tmp_path / "again")
    assert answer.json["left_out"][name] is None


def test_more_rank_keeps_more(extract, tmp_path):
    kept = [
        extract("--rank", r, "--json", out=tmp_path / str(r)).json["energy_kept"] for r in (1, 4)
    ]
    assert 0 < kept[0] < kept[1] < 1


def test_a_folder_in_use_is_refused(extract, tmp_path):
    (tmp_path / "precious").write_text("mine")
    answer = extract("--rank", 2, out=tmp_path)
    assert answer.code == 2
    assert "is not empty" in answer.err


def test_the_same_model_twice_is_refused(extract, base):
    answer = extract("--rank", 2, tuned=base)
    assert answer.code == 2
    assert "no matrix changed" in answer.err


def test_an_unknown_target_is_refused_with_a_suggestion(extract):
    answer = extract("--rank", 2, "--targets", "querry")
    assert answer.code == 2
    assert "Did you mean 'query'?" in answer.err


def test_what_is_no_matrix_is_not_offered(extract):
    answer = extract("--rank", 2, "--targets", "LayerNorm")
    assert "no matrix that changed is called 'LayerNorm'" in answer.err
    assert "mean 'LayerNorm'" not in answer.err


def test_all_linear_is_every_matrix(extract, tmp_path):
    assert extract("--rank", 2).code == 0
    assert extract("--rank", 2, "--targets", "all-linear", out=tmp_path / "again").code == 0
    first, second = (read_updates(tmp_path / name).updates for name in ("lora", "again"))
    assert [update.path for update in first] == [update.path for update in second]


def test_labels_that_are_no_list_are_refused(extract, tuned, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "model.safetensors").write_bytes((tuned / "model.safetensors").read_bytes())
    config = read_json(tuned / "config.json", "config")
    write_json(broken / "config.json", config | {"id2label": {"5": "O"}})
    answer = extract("--rank", 2, tuned=broken)
    assert answer.code == 2
    assert "id2label" in answer.err
    assert not (tmp_path / "lora").exists()


def test_a_model_without_a_config_gives_an_adapter_without_a_task(extract, tuned, tmp_path):
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "model.safetensors").write_bytes((tuned / "model.safetensors").read_bytes())
    assert "use it" not in extract("--rank", 2, tuned=bare).out
    assert read_json(tmp_path / "lora" / "adapter_config.json", "config")["task_type"] is None


def test_a_missing_rule_is_one_line(extract):
    answer = extract()
    assert answer.code == 2
    assert answer.err.startswith("how much to keep: got none; expected one rule")
