"""A run that stopped goes on, to the same bits, or says why it cannot."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys

import pytest

from minilora.cli import train as train_module
from minilora.cli.recorder import Recorder

ADAPTER = "adapter_model.safetensors"


@pytest.fixture
def words(ner_words):
    return (*ner_words, "--epochs", 2, "--checkpoint-every", 1)


@pytest.fixture
def whole(words, run, tmp_path):
    """The adapter of a run that was not interrupted."""
    assert run(*words, "--out", tmp_path / "whole").code == 0
    return (tmp_path / "whole" / ADAPTER).read_bytes()


@pytest.fixture
def stopped(words, run, tmp_path, monkeypatch):
    """The folder of a run that Ctrl-C stopped after five of sixteen steps."""
    out = tmp_path / "stopped"
    save = Recorder.checkpoint

    def save_and_stop(self, state):
        save(self, state)
        if state.n_steps == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "checkpoint", save_and_stop)
        answer = run(*words, "--out", out)
    assert answer.code == 130
    assert answer.err == (
        f"stopped; the run up to step 5 is saved in {out}; "
        f"go on with: minilora train --out {out} --resume\n"
    )
    return out


@pytest.fixture
def stopped_later(words, run, tmp_path, monkeypatch):
    """One that was stopped after eleven steps: its first epoch of eight was scored."""
    out, save = tmp_path / "later", Recorder.checkpoint

    def save_and_stop(self, state):
        save(self, state)
        if state.n_steps == 11:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "checkpoint", save_and_stop)
        answer = run(*words, "--out", out)
    assert answer.code == 130
    assert answer.err.endswith("--resume; or add --finish to keep the best epoch so far\n")
    return out


def test_a_stopped_run_is_finished_with_its_best_epoch(stopped_later, run, data, words, tmp_path):
    unfinished = run("evaluate", "--adapter", stopped_later, "--data", data / "dev.conll")
    assert unfinished.code == 2
    assert "or with --finish as well to keep its best epoch so far" in unfinished.err
    answer = run("train", "--out", stopped_later, "--resume", "--finish", "--json")
    assert answer.code == 0
    results = answer.json
    assert (results["epochs_done"], results["ended_by"], results["best_epoch"]) == (1, "finish", 1)
    scored = run("evaluate", "--adapter", stopped_later, "--data", data / "dev.conll", "--json")
    assert scored.json["f1"] == results["dev"]["f1"]


def test_a_run_without_a_scored_epoch_cannot_be_finished(stopped, run):
    answer = run("train", "--out", stopped, "--resume", "--finish")
    assert answer.code == 2
    assert "no epoch of the run" in answer.err
    assert "after 5 steps" in answer.err


def test_finishing_is_for_runs_that_are_there(words, run, tmp_path):
    answer = run(*words, "--out", tmp_path / "new", "--finish")
    assert answer.code == 2
    assert answer.err.startswith("--finish: ends a run that is there already, so --resume was")


def test_a_finished_run_refuses_what_would_have_no_effect(ner_run, run):
    answer = run("train", "--out", ner_run, "--resume", "--epochs", 400)
    assert answer.code == 2
    assert "--epochs was" in answer.err
    assert "is 400" in answer.err
    assert "train anew into another --out" in answer.err


def test_ctrl_c_keeps_what_there_is(stopped):
    assert json.loads((stopped / "run.json").read_text())["status"] == "interrupted"
    assert len((stopped / "metrics.jsonl").read_text().splitlines()) == 5


def test_a_run_goes_on_to_the_same_bytes(stopped, whole, run):
    answer = run("train", "--out", stopped, "--resume")
    assert answer.code == 0
    assert "note: going on after step 5" in answer.out
    assert (stopped / ADAPTER).read_bytes() == whole


def test_metrics_have_each_step_once(stopped, run):
    with (stopped / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6, "loss": 0.1}\n{"step": 7, "lo')  # after the state, and cut short
    run("train", "--out", stopped, "--resume")
    rows = [json.loads(line) for line in (stopped / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows if "lr" in row] == list(range(1, 17))
    assert [row["step"] for row in rows if "dev" in row] == [8, 16]


def test_a_run_that_was_killed_before_its_first_state_starts_again(stopped, whole, run):
    (stopped / "trainer_state.safetensors").unlink()
    assert run("train", "--out", stopped, "--resume").code == 0
    assert (stopped / ADAPTER).read_bytes() == whole


def test_a_run_that_was_killed_before_anything_was_recorded_starts_again(
    stopped, words, whole, run
):
    (stopped / "trainer_state.safetensors").unlink()
    (stopped / "run.json").write_text('{"status": "running"}')
    assert run(*words, "--out", stopped, "--resume").code == 0
    assert (stopped / ADAPTER).read_bytes() == whole


def test_a_run_whose_files_were_half_written_is_finished(run, topic_words, tmp_path, monkeypatch):
    words = (*topic_words, "--method", "full", "--out", tmp_path / "out")

    def break_off(*args):
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr("minilora.io.huggingface.write_json", break_off)
        with pytest.raises(ZeroDivisionError):
            run(*words)
    assert (tmp_path / "out" / "model.safetensors").exists()
    assert run("train", "--out", tmp_path / "out", "--resume").code == 0
    assert (tmp_path / "out" / "config.json").exists()


def test_the_same_options_may_be_given_again(stopped, words, run):
    assert run(*words, "--out", stopped, "--resume").code == 0


def test_the_same_data_may_be_elsewhere(stopped, run, data, tmp_path):
    moved = shutil.copy(data / "train.conll", tmp_path / "moved.conll")
    assert run("train", "--train", moved, "--out", stopped, "--resume").code == 0


def test_every_option_that_differs_is_named(stopped, run):
    answer = run("train", "--epochs", 5, "--r", 4, "--out", stopped, "--resume")
    assert answer.code == 2
    assert "--r was 8, is 4" in answer.err
    assert "--epochs was 2, is 5" in answer.err


@pytest.mark.parametrize("split", ["train", "dev"])
def test_data_that_changed_is_named(split, stopped, run, data, tmp_path):
    changed = tmp_path / "changed.conll"
    changed.write_text((data / f"{split}.conll").read_text() + "Anna\tB-PER\n\n")
    answer = run("train", f"--{split}", changed, "--out", stopped, "--resume")
    assert answer.code == 2
    assert answer.err.startswith(f"{changed}: is not what the run was started with as --{split}")


def test_a_base_that_changed_is_named(stopped, run, make_base, tmp_path):
    other = make_base(tmp_path / "other", intermediate_size=24)
    answer = run("train", "--base", other, "--out", stopped, "--resume")
    assert answer.code == 2
    assert answer.err.startswith(f"{other}: is not what the run was started with as --base")


def test_a_folder_without_a_run_cannot_be_resumed(run, tmp_path):
    answer = run("train", "--out", tmp_path, "--resume")
    assert answer.code == 2
    assert answer.err.startswith(f"{tmp_path}: holds no run to resume")


@pytest.mark.parametrize("name", ["run.json", "trainer_state.safetensors"])
def test_a_damaged_file_is_named(name, stopped, run):
    content = (stopped / name).read_bytes()
    (stopped / name).write_bytes(content[: len(content) // 2])
    answer = run("train", "--out", stopped, "--resume")
    assert answer.code == 2
    assert answer.err.startswith(f"{stopped / name}")
    assert answer.err.count("\n") == 1


def test_settings_of_another_version_are_not_guessed_at(stopped, run):
    record = json.loads((stopped / "run.json").read_text())
    record["settings"]["novelty"] = 1
    (stopped / "run.json").write_text(json.dumps(record))
    answer = run("train", "--out", stopped, "--resume")
    assert answer.code == 2
    assert "version" in answer.err


def test_a_finished_run_without_results_says_what_to_do(ner_run, run, tmp_path):
    copy = shutil.copytree(ner_run, tmp_path / "copy")
    info = json.loads((copy / "run.json").read_text())
    del info["results"]
    (copy / "run.json").write_text(json.dumps(info))
    answer = run("train", "--out", copy, "--resume")
    assert answer.code == 2
    assert "run.json says the run is finished, and has no results; train again" in answer.err


def test_a_finished_run_shows_its_results(ner_run, run):
    before = {path: path.read_bytes() for path in ner_run.iterdir()}
    answer = run("train", "--out", ner_run, "--resume", "--json")
    assert answer.code == 0
    assert answer.json["dev"] == json.loads((ner_run / "run.json").read_text())["results"]["dev"]
    assert {path: path.read_bytes() for path in ner_run.iterdir()} == before


def test_ctrl_c_while_testing_is_no_different(words, data, run, whole, tmp_path, monkeypatch):
    out = tmp_path / "out"

    def interrupt(*args, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train_module, "evaluate", interrupt)
        answer = run(*words, "--test", data / "test.conll", "--out", out)
    assert answer.code == 130
    assert "up to step 16" in answer.err
    assert run("train", "--out", out, "--resume").code == 0
    assert (out / ADAPTER).read_bytes() == whole


def test_a_full_disk_loses_nothing(words, whole, run, tmp_path):
    out = tmp_path / "out"
    limit = 5000  # bytes: run.json fits, a trainer state does not

    def small_files_only():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run(
        [sys.executable, "-m", "minilora", *map(str, words), "--out", str(out)],
        env={**os.environ, "MINILORA_KERNELS": "reference"},
        preexec_fn=small_files_only,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"{out / 'trainer_state.safetensors'}: cannot be written:")
    assert {path.name for path in out.iterdir()} == {"run.json", "metrics.jsonl"}
    assert run("train", "--out", out, "--resume").code == 0
    assert (out / ADAPTER).read_bytes() == whole


def test_a_real_ctrl_c_stops_a_process_that_can_go_on(words, run, tmp_path):
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "minilora", *map(str, words), "--epochs", "500", "--out", str(out)],
        env={**os.environ, "MINILORA_KERNELS": "reference"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.lstrip().startswith("1/500"):
            break
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.startswith("stopped; the run up to step ")
    assert said.count("\n") == 1
    assert (out / "trainer_state.safetensors").exists()
