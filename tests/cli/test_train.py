import json
import os
import shutil

import numpy as np
import pytest

from minilora.cli import job as job_module
from minilora.cli.train_options import LEARNING_RATES
from minilora.io import read_adapter_info
from minilora.storage import read_tensors, write_tensors

ADAPTER = "adapter_model.safetensors"


def run_json(out):
    return json.loads((out / "run.json").read_text(encoding="utf-8"))


def test_a_run_leaves_an_adapter_a_record_and_a_figure(ner_run):
    assert {path.name for path in ner_run.iterdir()} == {
        ADAPTER,
        "adapter_config.json",
        "README.md",
        "metrics.jsonl",
        "report.png",
        "run.json",
        "trainer_state.safetensors",
    }
    assert (ner_run / "report.png").read_bytes().startswith(b"\x89PNG")
    info = read_adapter_info(ner_run)
    assert info.label_names == ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
    assert info.config.modules_to_save == ("classifier",)


def test_the_record_says_what_was_asked_and_what_came_out(ner_run, base, data):
    record = run_json(ner_run)
    assert record["status"] == "finished"
    settings = record["settings"]
    assert (settings["base"], settings["train"]) == (str(base), str(data / "train.conll"))
    assert (settings["r"], settings["lr"], settings["max_length"]) == (
        8,
        LEARNING_RATES["lora"],
        32,
    )
    assert set(record["data_sha256"]) == {"train", "dev"}
    assert record["results"]["dev"]["f1"] == record["results"]["epochs"][0]["dev_f1"]


def test_people_see_data_model_training_scores_files_and_commands(run, ner_words, data, tmp_path):
    out = tmp_path / "out"
    answer = run(*ner_words, "--test", data / "test.conll", "--out", out)
    assert answer.code == 0
    assert answer.err == ""
    for seen in (
        "5 labels: O, B-LOC, I-LOC, B-PER, I-PER",
        "adapters             1,024    1,024",
        f"learning rate {LEARNING_RATES['lora']:g} (linear",
        "1/1",
        "kept: epoch 1, dev F1 0.",
        "LOC   ",
        ADAPTER,
        f"minilora merge --base {ner_words[2]} --adapter {out} --out {out}-merged",
    ):
        assert seen in answer.out


def test_programs_get_one_json_object_and_nothing_else(run, topic_words, data, tmp_path):
    out = tmp_path / "out"
    answer = run(*topic_words, "--test", data / "test.tsv", "--out", out, "--json")
    assert answer.out.count("\n") == 1
    assert answer.json["command"] == "train"
    assert answer.json["best_epoch"] == 1
    assert answer.json["labels"] == ["food", "music"]
    assert np.sum(answer.json["test"]["confusion"]) == 8
    assert answer.json["parameters"]["trained"] == 1024 + 2 * 16 + 2


def test_the_same_command_gives_the_same_bytes(run, ner_words, ner_run, tmp_path):
    run(*ner_words, "--out", tmp_path / "again")
    assert (tmp_path / "again" / ADAPTER).read_bytes() == (ner_run / ADAPTER).read_bytes()


def test_another_seed_gives_another_adapter(run, ner_words, ner_run, tmp_path):
    run(*ner_words, "--seed", 1, "--out", tmp_path / "other")
    assert (tmp_path / "other" / ADAPTER).read_bytes() != (ner_run / ADAPTER).read_bytes()


@pytest.mark.parametrize("method", ["full", "head", "bitfit"])
def test_other_methods_leave_a_whole_model(method, run, topic_words, base, tmp_path):
    out = tmp_path / "out"
    assert run(*topic_words, "--method", method, "--out", out).code == 0
    assert not (out / "adapter_config.json").exists()
    trained, before = (
        read_tensors(out / "model.safetensors"),
        read_tensors(base / "model.safetensors"),
    )
    changed = {n for n, a in before.items() if not np.array_equal(a, trained[f"bert.{n}"])}
    assert {
        "full": changed == set(before),
        "head": changed == set(),
        "bitfit": changed == {name for name in before if name.endswith("bias")},
    }[method]


def test_the_learning_rate_follows_the_method_and_is_said(run, topic_words, tmp_path):
    answer = run(*topic_words, "--method", "head", "--out", tmp_path / "out")
    assert f"learning rate {LEARNING_RATES['head']:g}" in answer.out


def test_all_linear_targets_every_linear_layer_of_the_encoder(run, ner_words, tmp_path):
    run(*ner_words, "--targets", "all-linear", "--out", tmp_path / "out")
    tensors = read_tensors(tmp_path / "out" / ADAPTER)
    assert sum("lora_A" in name for name in tensors) == 2 * 6


class TestHoldingOut:
    """A tenth of train becomes dev when none is given."""

    @pytest.fixture
    def words(self, base, data, tmp_path):
        words = ("--base", base, "--task", "classify", "--train", data / "train.tsv")
        return ("train", *words, "--epochs", 1, "--out", tmp_path / "out")

    def test_is_said(self, words, run):
        answer = run(*words)
        assert (
            "note: no --dev: a tenth of train, drawn with seed 0, is held out for it (2 rows)"
            in answer.out
        )

    def test_two_rows_are_enough(self, words, run, tmp_path):
        (tmp_path / "two.tsv").write_text("label\ttext\nfood\tsoup\nmusic\tsong\n")
        assert run(*words, "--train", tmp_path / "two.tsv").code == 0


def test_a_dev_file_that_is_the_training_file_is_noted(run, ner_words, data, tmp_path):
    answer = run(*ner_words, "--dev", data / "train.conll", "--out", tmp_path / "out")
    assert "note: dev is the same data as train" in answer.out


def test_test_rows_that_are_in_train_are_counted(run, topic_words, data, tmp_path):
    rows = (data / "train.tsv").read_text().splitlines()
    (tmp_path / "test.tsv").write_text("\n".join([*rows[:4], "food\tnow eat"]) + "\n")
    answer = run(*topic_words, "--test", tmp_path / "test.tsv", "--out", tmp_path / "out", "--json")
    assert (
        "3 of the 4 rows in test are in train as well: its scores flatter" in answer.json["notes"]
    )


def test_words_that_are_cut_off_are_noted(run, ner_words, tmp_path):
    answer = run(*ner_words, "--max-length", 5, "--out", tmp_path / "out")
    assert "note: train: 64 of 64 rows truncated, 96 words cut off" in answer.out


def test_converted_tags_are_noted(run, ner_words, tmp_path):
    (tmp_path / "iob1.conll").write_text("Anna\tI-PER\nleft\tO\nLund\tI-LOC\n\n")
    answer = run(*ner_words, "--dev", tmp_path / "iob1.conll", "--out", tmp_path / "out")
    assert "note: dev: " in answer.out


def test_a_base_without_pooler_gets_one_that_is_trained_and_saved(
    run, topic_words, make_base, tmp_path
):
    base = make_base(tmp_path / "base")
    tensors = {
        n: a for n, a in read_tensors(base / "model.safetensors").items() if "pooler" not in n
    }
    write_tensors(base / "model.safetensors", {n: a.copy() for n, a in tensors.items()})
    answer = run(*topic_words, "--base", base, "--out", tmp_path / "out")
    assert "note: the base has no pooler" in answer.out
    assert any("pooler" in name for name in read_tensors(tmp_path / "out" / ADAPTER))


def test_overwriting_replaces_a_run_and_no_other_file(run, ner_words, ner_run, tmp_path):
    out = shutil.copytree(ner_run, tmp_path / "out")
    (out / "notes.txt").write_text("mine")
    assert run(*ner_words, "--seed", 5, "--out", out, "--overwrite").code == 0
    assert run_json(out)["settings"]["seed"] == 5
    assert (out / "notes.txt").read_text() == "mine"


def test_what_cannot_be_trained_on_leaves_the_old_run_in_place(run, ner_words, ner_run, tmp_path):
    out = shutil.copytree(ner_run, tmp_path / "out")
    answer = run(*ner_words, "--targets", "querry", "--out", out, "--overwrite")
    assert answer.code == 2
    assert (out / ADAPTER).read_bytes() == (ner_run / ADAPTER).read_bytes()


def test_a_learning_rate_that_diverges_names_step_and_layer(run, ner_words, tmp_path):
    out = tmp_path / "out"
    words = ("--lr", "1e30", "--optimizer", "sgd", "--warmup", 0, "--clip", 0, "--epochs", 3)
    answer = run(*ner_words, *words, "--out", out)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    for named in ("step ", "learning rate ", "first seen in "):
        assert named in answer.err
    assert run_json(out)["status"] == "diverged"
    assert not (out / ADAPTER).exists()


def test_a_folder_that_cannot_be_written_to_is_named(run, ner_words, tmp_path, monkeypatch):
    # The system's answer is staged, since root may write anywhere.
    def refuse(path, *args, **options):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    answer = run(*ner_words, "--out", tmp_path / "out")
    assert answer.code == 2
    assert answer.err.startswith(f"{tmp_path / 'out'}: cannot be written: Permission denied")


def test_the_base_is_read_once_its_settings_are_known_to_be_good(
    run, ner_words, tmp_path, monkeypatch
):
    monkeypatch.setattr(job_module, "read_splits", lambda *a, **k: pytest.fail("too late"))
    assert run(*ner_words, "--r", 0, "--out", tmp_path / "out").code == 2


def test_out_may_have_folders_above_that_do_not_exist_yet(run, ner_words, tmp_path):
    out = tmp_path / "a" / "b"
    assert run(*ner_words, "--out", out).code == 0
    assert os.path.exists(out / ADAPTER)
