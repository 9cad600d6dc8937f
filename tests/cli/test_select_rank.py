import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from minilora.adapters import LoraConfig, inject
from minilora.analysis.select import Candidate, Trial
from minilora.cli.console import Console
from minilora.cli.select_options import complete
from minilora.cli.select_trial import TrainingTrial
from minilora.files import read_json
from minilora.nn import BertForTokenClassification
from minilora.train import TrainSettings, evaluate, fit


def results(out):
    return read_json(out / "run.json", "the record")["results"]


def options_of(words):
    """What the recipe of `search_words` means, for code that does without the command."""
    given = {str(k).removeprefix("--"): v for k, v in zip(words[1::2], words[2::2], strict=True)}
    given = {k.replace("-", "_"): v if isinstance(v, int) else str(v) for k, v in given.items()}
    return complete(given, workers=1)


def test_every_trial_is_a_row_and_every_candidate_has_a_score(swept, trial_rows):
    found = trial_rows(swept)
    assert {(row["r"], row["seed"]) for row in found} == {
        ("1", "0"), ("1", "1"), ("2", "0"), ("2", "1"),
    }  # fmt: skip
    for summary in results(swept)["candidates"]:
        of_it = [float(row["score"]) for row in found if row["r"] == str(summary["r"])]
        assert summary["mean"] == pytest.approx(np.mean(of_it))
        assert summary["sd"] == pytest.approx(np.std(of_it, ddof=1))
        assert summary["parameters"] == summary["r"] * 4 * (16 + 16)


def test_what_is_recommended_is_one_of_them_and_has_a_reason(swept):
    found = results(swept)
    assert found["recommended"] in found["candidates"]
    assert found["reason"].startswith(found["recommended"]["name"])
    assert found["recommended"]["target_modules"] == ["query", "value"]
    assert (found["epochs"], found["finished"]) == (4, True)


def test_the_chart_is_a_png(swept):
    assert (swept / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_a_trial_is_a_plain_training_scored_after_its_last_epoch(
    swept, search_words, base, trial_rows
):
    data = TrainingTrial.of(options_of(search_words)).read(Console(as_json=True))
    train, dev = data.folds[0]
    rng = np.random.default_rng(1)
    model = BertForTokenClassification.from_pretrained(base, labels=data.splits.labels, rng=rng)
    config = LoraConfig(
        r=2,
        lora_alpha=16,
        lora_dropout=0.1,
        target_modules=["query", "value"],
        modules_to_save=["classifier"],
    )
    inject(model, config, rng=rng)
    fit(model, train, None, TrainSettings(epochs=1, batch_size=8, lr=1e-3, seed=1, threads=1))
    (row,) = (row for row in trial_rows(swept) if (row["r"], row["seed"]) == ("2", "1"))
    assert float(row["score"]) == evaluate(model, dev, threads=1)["f1"]


def test_zeros_are_set_after_training(search_words, monkeypatch):
    scored = []

    def keep(model, *_, **__):
        scored.append(model)
        return {"f1": 0.5}

    monkeypatch.setattr("minilora.cli.select_trial.evaluate", keep)
    candidate = Candidate(r=4, sparsity=0.5)
    assert TrainingTrial.of(options_of(search_words))(Trial(candidate, epochs=1, seed=0)) == 0.5
    factors = [p.data for name, p in scored[0].named_parameters() if ".lora_" in name]
    assert len(factors) == 8
    assert sum(int(np.sum(X == 0)) for X in factors) == sum(X.size for X in factors) // 2
    assert all(X.any() for X in factors)


def test_folds_share_train_out_among_them(topic_search_words):
    options = options_of((*topic_search_words, "--folds", 3))
    data = TrainingTrial.of(options).read(Console(as_json=True))
    held_out = [row.line for _, dev in data.folds for row in dev.rows]
    assert sorted(held_out) == [row.line for row in data.splits.corpora["train"].rows]
    for train, dev in data.folds:
        assert {row.line for row in train.rows} | {row.line for row in dev.rows} == set(held_out)
        assert len(train) + len(dev) == len(held_out)
        assert set(dev.labels) == {0, 1}


def test_people_get_a_table_the_reason_and_what_to_do_next(run, search_words, here, tmp_path):
    answer = run(*search_words, "--ranks", "1,2", "--seeds", 2, "--out", tmp_path / "out")
    assert answer.code == 0
    lines = answer.out.splitlines()
    header = next(line for line in lines if line.startswith("candidate "))
    assert header.split() == ["candidate", "parameters", "epochs", "trials", "dev", "F1", "±", "sd"]
    assert any(line.startswith("r=2 query+value") for line in lines)
    assert sum("recommended" in line for line in lines) == 2  # the row, and the heading
    assert lines[-1].startswith("minilora train --base")


def test_the_command_to_copy_trains_by_the_recipe(run, search_words, here, tmp_path):
    out = tmp_path / "out"
    answer = run(*search_words, "--ranks", 2, "--seeds", 1, "--lr", 2e-3, "--out", out)
    words = answer.out.splitlines()[-1].split()[1:]
    words[words.index("--out") + 1] = tmp_path / "trained"
    assert run(*words, "--threads", 1, "--json").code == 0
    trained = read_json(tmp_path / "trained" / "run.json", "the record")["settings"]
    recipe = read_json(out / "run.json", "the record")["recipe"]
    same = ("dropout", "batch_size", "lr", "optimizer", "seed", "weight_decay", "warmup")
    assert {name: trained[name] for name in same} == {name: recipe[name] for name in same}
    assert (trained["r"], trained["alpha"], trained["epochs"]) == (2, 16, 1)


def test_the_answer_in_json_is_one_object_and_what_run_json_keeps(run, swept):
    answer = run("select-rank", "--out", swept, "--resume", "--json")
    assert len(answer.out.splitlines()) == 1
    assert {k: v for k, v in answer.json.items() if k != "notes"} == results(swept)
    assert any("4 trials" in note for note in answer.json["notes"])


def test_a_search_that_goes_on_trains_only_what_is_new(
    run, search_words, here, tmp_path, trial_rows
):
    out = tmp_path / "out"
    run(*search_words, "--ranks", "1,2", "--seeds", 1, "--out", out)
    before = (out / "results.csv").read_bytes()
    answer = run("select-rank", "--out", out, "--resume", "--seeds", 2, "--ranks", "1,4")
    assert answer.code == 0
    assert (out / "results.csv").read_bytes().startswith(before)
    new = {(row["r"], row["seed"]) for row in trial_rows(out)[2:]}
    assert new == {("1", "1"), ("4", "0"), ("4", "1")}
    assert len(trial_rows(out)) == 5
    assert [c["r"] for c in results(out)["candidates"]] == [1, 4]


def test_halving_with_folds(run, topic_search_words, here, tmp_path):
    words = ("--method", "halving", "--ranks", "1,2,4", "--folds", 2, "--seeds", 1, "--epochs", 2)
    answer = run(*topic_search_words, *words, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    assert answer.json["score"] == "accuracy"
    assert sorted(c["epochs"] for c in answer.json["candidates"]) == [1, 2, 2]
    assert answer.json["epochs"] == 2 * (3 + 2 * 2)


def test_a_genetic_search_keeps_to_its_budget(run, topic_search_words, here, tmp_path):
    words = ("--method", "genetic", "--ranks", "1,2,4", "--seeds", 1, "--budget", 300)
    sizes = ("--population", 3, "--generations", 2, "--dev", topic_search_words[6])
    answer = run(*topic_search_words, *words, *sizes, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    found = answer.json["candidates"]
    assert len(found) == 6
    assert max(c["parameters"] for c in found) <= 300
    assert len({(tuple(c["target_modules"]), c["sparsity"]) for c in found}) > 1


def test_a_limit_on_epochs_ends_the_search_and_is_said(run, topic_search_words, here, tmp_path):
    words = ("--method", "genetic", "--seeds", 1, "--population", 3, "--max-epochs", 4)
    answer = run(*topic_search_words, *words, "--out", tmp_path / "out", "--json")
    assert (answer.json["epochs"], answer.json["finished"]) == (3, False)
    assert any("--max-epochs" in note for note in answer.json["notes"])


def test_a_search_can_take_the_place_of_another(run, search_words, here, tmp_path, trial_rows):
    words = (*search_words, "--seeds", 1, "--out", tmp_path / "out", "--ranks")
    assert run(*words, 1).code == 0
    assert run(*words, 2, "--overwrite").code == 0
    assert [row["r"] for row in trial_rows(tmp_path / "out")] == ["2"]


def test_ctrl_c_says_what_is_kept_and_how_to_go_on(search_words, tmp_path, trial_rows):
    out = tmp_path / "out"
    words = (*search_words, "--seeds", 99, "--ranks", 1, "--workers", 1, "--out", out)
    process = subprocess.Popen(
        [sys.executable, "-m", "minilora", *map(str, words)],
        env={**os.environ, "MINILORA_KERNELS": "reference"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    results_file = out / "results.csv"
    while process.poll() is None and not (results_file.exists() and len(trial_rows(out)) >= 2):
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert said.count("\n") == 1
    assert f"trials kept in {results_file}" in said
    assert said.endswith(f"go on with: minilora select-rank --out {out} --resume\n")
    assert read_json(out / "run.json", "the record")["status"] == "interrupted"


@pytest.mark.slow
def test_a_search_killed_at_random_moments_ends_with_the_same_results(search_words, tmp_path):
    words = [*map(str, search_words), "--ranks", "1,2,4", "--seeds", "6", "--workers", "2"]

    def start(out):
        resume = ["--resume"] if (out / "run.json").exists() else []
        return subprocess.Popen(
            [sys.executable, "-m", "minilora", *words, "--out", str(out), *resume],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    process = start(whole)
    _, said = process.communicate()
    assert process.returncode == 0, said
    rng = np.random.default_rng()  # other moments each time
    for seconds in rng.uniform(1, 8, 4):
        process = start(killed)
        time.sleep(seconds)
        process.kill()
        process.communicate()
    process = start(killed)
    _, said = process.communicate()
    assert process.returncode == 0, said
    assert results(killed) == {**results(whole), "out": str(killed)}
