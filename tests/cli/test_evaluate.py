import json

import pytest

from minilora.cli.scores import score_lines


def recorded(out, split):
    return json.loads((out / "run.json").read_text())["results"][split]


@pytest.mark.parametrize(("task", "ending"), [("ner", "conll"), ("topic", "tsv")])
def test_an_evaluation_repeats_what_training_found(task, ending, request, run, base, data):
    out = request.getfixturevalue(f"{task}_run")
    file = data / f"dev.{ending}"
    answer = run("evaluate", "--base", base, "--adapter", out, "--data", file, "--json")
    assert answer.code == 0
    expected = recorded(out, "dev")
    assert answer.json["loss"] == pytest.approx(expected["loss"], rel=1e-5)
    assert {key: answer.json[key] for key in expected if key != "loss"} == {
        key: value for key, value in expected.items() if key != "loss"
    }


def test_a_merged_model_scores_the_same(run, base, data, topic_run, tmp_path):
    words = ("--data", data / "test.tsv", "--json")
    before = run("evaluate", "--base", base, "--adapter", topic_run, *words).json
    run("merge", "--base", base, "--adapter", topic_run, "--out", tmp_path / "merged")
    for option in ("--adapter", "--base"):
        after = run("evaluate", option, tmp_path / "merged", *words).json
        assert after["accuracy"] == before["accuracy"]
        assert after["loss"] == pytest.approx(before["loss"], rel=1e-5)


def test_a_base_that_is_not_needed_is_said_so(run, base, data, topic_run, tmp_path):
    run("merge", "--base", base, "--adapter", topic_run, "--out", tmp_path / "merged")
    words = ("--base", base, "--adapter", tmp_path / "merged", "--data", data / "test.tsv")
    assert "so --base is not needed" in run("evaluate", *words).out


def test_folding_in_changes_scores_by_rounding_only(run, base, data, topic_run):
    words = ("evaluate", "--base", base, "--adapter", topic_run, "--data", data / "test.tsv")
    merged, unmerged = (run(*words, "--json", *given).json for given in ([], ["--unmerged"]))
    assert merged.pop("loss") == pytest.approx(unmerged.pop("loss"), rel=1e-5)
    assert merged == unmerged


def test_scores_do_not_depend_on_how_many_rows_are_taken_at_a_time(run, base, data, ner_run):
    words = ("evaluate", "--base", base, "--adapter", ner_run, "--data", data / "test.conll")
    few, many = (run(*words, "--json", "--batch-size", n).json for n in (3, 100))
    assert few.pop("loss") == pytest.approx(many.pop("loss"), rel=1e-5)
    assert few == many
    answer = run(*words, "--batch-size", 0)
    assert (answer.code, answer.err) == (2, "batch_size: got 0; it must be at least 1.\n")


def test_what_was_cut_is_counted_over_all_parts(run, base, data, ner_run):
    words = ("evaluate", "--base", base, "--adapter", ner_run, "--data", data / "test.conll")
    answers = [run(*words, "--max-length", 4, "--batch-size", n).out for n in (3, 100)]
    assert "note: 8 of 8 rows truncated" in answers[0]
    assert answers[0] == answers[1]


def test_people_get_a_table(run, base, data, topic_run):
    file = data / "test.tsv"
    answer = run("evaluate", "--base", base, "--adapter", topic_run, "--data", file)
    assert answer.out.startswith(f"{file}: 8 rows\n\nlabel  precision  recall      F1  support\n")


def test_the_commonest_mistakes_are_said_first():
    one = {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 9}
    scores = {
        "accuracy": 0.5,
        "macro_f1": 0.5,
        "weighted_f1": 0.5,
        "loss": 0.5,
        "classes": dict.fromkeys(["a", "b", "c"], one),
        "confusion": [[5, 2, 0], [7, 0, 0], [0, 0, 1]],
    }
    assert score_lines(scores)[-1] == "most often mistaken: b for a (7), a for b (2)"
