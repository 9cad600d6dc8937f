"""The methods that read ranks off a trained adapter."""

import math
import statistics

import numpy as np

from minilora.io import read_updates


def energy_rank(matrix, percent):
    """The fewest singular values with that share of all squares."""
    squares = np.square(np.linalg.svd(matrix, compute_uv=False))
    return int(np.argmax(np.cumsum(squares) >= percent / 100 * squares.sum())) + 1


def test_spectra_suggest_candidates_that_are_then_tried(run, search_words, ner_run, here, tmp_path):
    words = ("--method", "spectrum", "--adapter", ner_run, "--seeds", 1)
    answer = run(*search_words, *words, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    ranks = [c["r"] for c in answer.json["candidates"]]
    assert ranks == sorted(set(ranks))
    assert ranks[-1] == 8  # the adapter's own
    assert len(ranks) > 1
    assert any("hard threshold refused" in note for note in answer.json["notes"])


def test_ranks_allocated_to_layers_are_tried_beside_one_rank_for_all(
    run, search_words, ner_run, here, tmp_path
):
    words = ("--method", "allocate", "--adapter", ner_run, "--budget", 300, "--seeds", 1)
    answer = run(*search_words, *words, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    found = answer.json["candidates"]
    assert {"r=2 query+value"} < {c["name"] for c in found}
    for summary in found:
        assert summary["parameters"] <= 300
        if summary["rank_pattern"]:
            assert set(summary["target_modules"]) == set(summary["rank_pattern"])
            assert sum(summary["rank_pattern"].values()) * 32 == summary["parameters"]


def test_an_adapter_for_other_labels_is_allocated_by_energy_alone(
    run, search_words, topic_run, here, tmp_path
):
    words = ("--method", "allocate", "--adapter", topic_run, "--seeds", 1)
    answer = run(*search_words, *words, "--out", tmp_path / "out", "--json")
    assert answer.code == 0
    assert any("trained for other labels" in note for note in answer.json["notes"])


def test_spectra_are_shown_without_any_training(run, ner_run):
    answer = run("select-rank", "--method", "spectrum", "--adapter", ner_run)
    assert answer.code == 0
    assert "energy 99 %" in answer.out
    assert "hard threshold refused" in answer.out


def test_what_spectra_say_is_there_as_json(run, ner_run):
    answer = run("select-rank", "--method", "spectrum", "--adapter", ner_run, "--json")
    picks = {pick["selector"]: pick for pick in answer.json["picks"]}
    updates = read_updates(ner_run).updates
    for percent in (90, 99):
        pick = picks[f"energy {percent} %"]
        assert pick["ranks"] == {u.path: energy_rank(u.matrix(), percent) for u in updates}
        assert pick["r"] == math.ceil(statistics.fmean(pick["ranks"].values()))
    assert picks["hard threshold"]["r"] is None


def test_some_layers_are_looked_at_alone(run, ner_run):
    words = ("select-rank", "--method", "spectrum", "--adapter", ner_run, "--targets", "query")
    (pick, *_) = run(*words, "--json").json["picks"]
    assert all(path.endswith("query") for path in pick["ranks"])


def test_the_hard_threshold_applies_to_a_full_fine_tuning(run, ner_words, base, tmp_path):
    full = tmp_path / "full"
    assert run(*ner_words, "--method", "full", "--out", full, "--json").code == 0
    words = ("select-rank", "--method", "spectrum", "--adapter", full, "--json")
    picks = {p["selector"]: p for p in run(*words, "--base", base).json["picks"]}
    ranks = picks["hard threshold"]["ranks"].values()
    assert len(ranks) == 4
    assert all(1 <= rank <= 16 for rank in ranks)
    assert picks["hard threshold"]["r"] == math.ceil(statistics.fmean(ranks))
    alone = run(*words)
    assert (alone.code, alone.err.startswith("--base: missing")) == (2, True)


def test_ranks_are_allocated_without_any_training(run, ner_run):
    words = ("select-rank", "--method", "allocate", "--adapter", ner_run)
    assert "half as many as the adapter has" in run(*words).out
    found = run(*words, "--budget", 200, "--json").json["allocations"]["σ²"]
    assert found["n_parameters"] == 32 * sum(found["ranks"].values()) <= 200
