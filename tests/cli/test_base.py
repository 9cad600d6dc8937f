"""``--base``: the shipped encoder where nothing is said, or what the adapter names, or the Hub."""

import json
import shutil

import pytest

from minilora.cli.select_options import complete
from minilora.cli.select_trial import TrainingTrial
from minilora.io import base_model
from minilora.storage import read_tensors, shipped, write_tensors

TEXT = "Anna left Lund ."


def named_in(folder):
    """The base that the files of a run name: for PEFT, and for us."""
    config = json.loads((folder / "adapter_config.json").read_text())
    record = json.loads((folder / "run.json").read_text())
    return config["base_model_name_or_path"], record["settings"]["base"]


@pytest.fixture
def words(data):
    """A short NER training that names no base, without --out."""
    files = ("--train", data / "train.conll", "--dev", data / "dev.conll")
    return ("train", "--task", "ner", *files, "--epochs", 1, "--batch-size", 8, "--threads", 1)


class TestTheShippedOne:
    """Nothing names a base."""

    @pytest.fixture
    def tiny_run(self, shipped, words, run, tmp_path):
        """The folder of a run on the shipped encoder."""
        assert run(*words, "--out", tmp_path / "out").code == 0
        return tmp_path / "out"

    def test_is_trained_and_recorded_by_name(self, tiny_run):
        assert named_in(tiny_run) == ("tiny", "tiny")

    def test_is_shown_and_left_out_of_the_commands_to_copy(self, shipped, words, run, tmp_path):
        out = run(*words, "--out", tmp_path / "out").out
        assert "\ntiny: 2 layers, width 16" in out
        assert f"\nminilora predict --adapter {tmp_path / 'out'} " in out

    def test_needs_no_word_to_be_used_again(self, tiny_run, run, data, tmp_path):
        for command in (
            ("predict", "--adapter", tiny_run, TEXT),
            ("evaluate", "--adapter", tiny_run, "--data", data / "test.conll"),
            ("merge", "--adapter", tiny_run, "--out", tmp_path / "merged"),
        ):
            answer = run(*command)
            assert (answer.code, answer.err) == (0, "")

    def test_is_found_on_another_machine(self, tiny_run, run, tmp_path, monkeypatch):
        here = run("predict", "--adapter", tiny_run, TEXT).out
        (tmp_path / "shipped").rename(tmp_path / "there")
        monkeypatch.setattr(shipped, "PLACES", (tmp_path / "there",))
        assert run("predict", "--adapter", tiny_run, TEXT).out == here

    def test_may_be_named_as_well(self, tiny_run, run):
        words = ("predict", "--adapter", tiny_run, TEXT)
        assert run(*words, "--base", "tiny").out == run(*words).out

    def test_is_missed_in_one_line(self, tiny_run, run, tmp_path):
        shutil.rmtree(tmp_path / "shipped")
        answer = run("predict", "--adapter", tiny_run, TEXT)
        assert answer.code == 2
        assert answer.err.count("\n") == 1
        assert "tiny_bert: comes with minilora, but is not there" in answer.err

    def test_of_another_version_is_refused(self, tiny_run, run, tmp_path):
        path = tmp_path / "shipped" / "tiny_bert" / "model.safetensors"
        write_tensors(path, {name: array * 2 for name, array in read_tensors(path).items()})
        answer = run("predict", "--adapter", tiny_run, TEXT)
        assert answer.code == 2
        assert "other base weights" in answer.err

    def test_goes_on_after_a_crash(self, tiny_run, run):
        (tiny_run / "trainer_state.safetensors").unlink()
        before = (tiny_run / "adapter_model.safetensors").read_bytes()
        record = json.loads((tiny_run / "run.json").read_text()) | {"status": "running"}
        (tiny_run / "run.json").write_text(json.dumps(record))
        assert run("train", "--out", tiny_run, "--resume").code == 0
        assert (tiny_run / "adapter_model.safetensors").read_bytes() == before

    def test_is_inspected_by_name(self, tiny_run, run):
        answer = run("inspect", tiny_run)
        assert "note: --base tiny shows what becomes of its weights" in answer.out
        assert "of base" in run("inspect", tiny_run, "--base", "tiny").out

    def test_is_what_a_search_tries(self, shipped, data):
        options = complete({"task": "ner", "train": str(data / "train.conll")}, workers=1)
        assert options.recipe.base == "tiny"
        assert TrainingTrial.of(options).base == str(shipped / "tiny_bert")

    def test_alone_is_no_model_to_ask(self, shipped, run):
        answer = run("predict", "--base", "tiny", TEXT)
        assert answer.code == 2
        assert "give the --adapter" in answer.err


class TestExtract:
    """The base of a full fine-tuning is in its record."""

    def tune(self, run, words, out, *more):
        assert run(*words, "--method", "full", "--out", out, *more).code == 0
        return out

    def test_takes_the_base_of_the_run(self, base, words, run, tmp_path):
        tuned = self.tune(run, words, tmp_path / "tuned", "--base", base)
        answer = run("extract", "--tuned", tuned, "--rank", 1, "--out", tmp_path / "lora")
        assert answer.code == 0
        assert f"note: --base is {base}, as the run in {tuned} says" in answer.out

    def test_takes_the_shipped_one_for_a_model_without_a_record(
        self, shipped, words, run, tmp_path
    ):
        tuned = self.tune(run, words, tmp_path / "tuned")
        (tuned / "run.json").unlink()
        answer = run("extract", "--tuned", tuned, "--rank", 1, "--out", tmp_path / "lora")
        assert answer.code == 0
        assert "note: --base is tiny, which comes with minilora" in answer.out
        config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
        assert config["base_model_name_or_path"] == "tiny"


class TestTheHub:
    """A name that is no folder here."""

    @pytest.fixture
    def hub(self, base, monkeypatch):
        """A Hub on which every name is our base; a list of what was asked for."""
        asked = []

        def fetch(name):
            asked.append(name)
            return base

        monkeypatch.setattr(base_model, "fetch", fetch)
        return asked

    def test_gives_a_base_that_is_recorded_by_its_name(self, hub, words, run, tmp_path):
        assert run(*words, "--base", "org/model", "--out", tmp_path / "out").code == 0
        assert named_in(tmp_path / "out") == ("org/model", "org/model")

    def test_is_asked_again_for_what_the_adapter_names(self, hub, words, run, tmp_path):
        run(*words, "--base", "org/model", "--out", tmp_path / "out")
        hub.clear()
        answer = run("predict", "--adapter", tmp_path / "out", TEXT)
        assert answer.err == "note: --base is org/model, as the adapter says\n"
        assert hub == ["org/model"]

    def test_is_not_there_for_those_without_its_package(self, words, run, tmp_path):
        answer = run(*words, "--base", "org/model", "--out", tmp_path / "out")
        assert answer.code == 2
        assert answer.err.startswith("org/model: is no folder here")
        assert "pip install huggingface_hub" in answer.err
        assert not (tmp_path / "out").exists()


def test_an_adapter_that_names_no_base_asks_for_one(run, ner_run, tmp_path):
    adapter = shutil.copytree(ner_run, tmp_path / "adapter")
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    answer = run("predict", "--adapter", adapter, TEXT)
    assert answer.code == 2
    assert answer.err.startswith(f"--base: missing; {adapter} is an adapter")
