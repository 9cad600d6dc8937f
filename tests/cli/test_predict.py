import functools
import io
import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from tqdm import tqdm

from minilora.cli.main import main
from minilora.cli.predict import bracketed, find_entities
from minilora.cli.texts import Text, find_words
from minilora.train import TagPrediction, predict

NAMES = ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")
TEXT = "Anna Vale left Lund."


@pytest.fixture
def prediction():
    tags = ["B-PER", "I-PER", "O", "B-LOC", "O"]
    return TagPrediction(tags, np.array([1.0, 0.5, 0.25, 0.125, 0.0]))


@pytest.fixture
def entities(prediction):
    return find_entities(Text(TEXT, words=find_words(TEXT)), prediction)


def test_entities_say_where_they_are(entities):
    assert entities == [
        {"type": "PER", "text": "Anna Vale", "start": 0, "end": 9, "score": 0.75},
        {"type": "LOC", "text": "Lund", "start": 15, "end": 19, "score": 0.125},
    ]


def test_entities_stand_in_brackets_and_the_rest_is_untouched(entities):
    assert bracketed(TEXT, entities, NAMES) == "[Anna Vale PER 0.75] left [Lund LOC 0.12]."


def test_types_differ_in_colour_on_a_terminal(entities, monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    coloured = bracketed(TEXT, entities, NAMES)
    colours = [part[:2] for part in coloured.split("\x1b[") if part.endswith("]")]
    assert len(set(colours)) == 2


def test_each_text_gets_a_line(run, base, ner_run):
    answer = run("predict", "--base", base, "--adapter", ner_run, "Anna left Lund .", "so so")
    assert answer.code == 0
    assert answer.out.count("\n") == 2


def test_programs_get_entities_with_offsets(run, base, ner_run):
    answer = run("predict", "--base", base, "--adapter", ner_run, "Anna left Lund .", "--json")
    (result,) = answer.json["results"]
    assert result["text"] == "Anna left Lund ."
    for entity in result["entities"]:
        assert result["text"][entity["start"] : entity["end"]] == entity["text"]


def test_texts_are_read_from_standard_input(run, base, topic_run, monkeypatch):
    lines = io.TextIOWrapper(io.BytesIO(b"the soup\n\na song\n"), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", lines)
    answer = run("predict", "--base", base, "--adapter", topic_run, "--json")
    texts = [result["text"] for result in answer.json["results"]]
    assert texts == ["the soup", "", "a song"]


@pytest.mark.parametrize("form", [[], ["--json"]])
@pytest.mark.parametrize("task", ["ner", "classify"])
def test_a_blank_line_is_answered_as_a_blank_argument(
    run, base, ner_run, topic_run, tmp_path, task, form
):
    adapter = {"ner": ner_run, "classify": topic_run}[task]
    words = ("predict", "--base", base, "--adapter", adapter, *form)
    (tmp_path / "texts.txt").write_text("Anna\n\nLund\n")
    lines = run(*words, "--input", tmp_path / "texts.txt")
    assert lines.code == 0
    assert lines.out == run(*words, "Anna", "", "Lund").out
    assert lines.out.count("\n") == (1 if form else 3)


def test_on_a_terminal_every_line_is_answered_before_the_next_is_read(
    run, base, topic_run, monkeypatch, capsys
):
    answered = []

    def lines():
        for text in ("the soup", "a song"):
            yield f"{text}\n".encode()
            answered.append(capsys.readouterr().out.split()[-1])

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines(), isatty=lambda: True))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    answer = run("predict", "--base", base, "--adapter", topic_run)
    assert (answer.code, answered) == (0, ["soup", "song"])
    assert "texts" not in answer.err  # no bar where people type


def test_names_are_found_in_the_texts_of_a_table(run, base, ner_run, tmp_path):
    (tmp_path / "texts.tsv").write_text("label\ttext\nx\tAnna left Lund.\n")
    words = ("predict", "--base", base, "--adapter", ner_run)
    table = run(*words, "--input", tmp_path / "texts.tsv")
    assert table.out == run(*words, "Anna left Lund.").out


def test_a_table_of_texts_is_no_training_data_for_names(run, ner_words, data, tmp_path):
    words = [data / "train.tsv" if word == data / "train.conll" else word for word in ner_words]
    answer = run(*words, "--out", tmp_path / "run")
    assert answer.code == 2
    assert "train.tsv: looks like a table of labelled texts (label, text)" in answer.err
    assert "CoNLL columns (token<TAB>tag) were expected" in answer.err
    assert "--task classify" in answer.err


@pytest.fixture(scope="module")
def pair_run(base, tmp_path_factory):
    """The folder of a run on pairs of texts. Not to be changed."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["yes\tthe soup\tis warm", "no\ta song\tis salty"]
    (folder / "train.tsv").write_text("\n".join(["label\ttext_a\ttext_b", *rows]))
    files = ("--train", folder / "train.tsv", "--dev", folder / "train.tsv")
    words = ("train", "--base", base, "--task", "classify", *files, "--epochs", 1, "--threads", 1)
    assert main([str(word) for word in (*words, "--out", folder / "run", "--json")]) == 0
    return folder / "run"


UNLIKE = {
    "single": "there are single texts, but the model was trained on pairs: what it says of them "
    "means little; it expects files with text_a and text_b",
    "pairs": "there are pairs of texts, but the model was trained on single ones: what it says of "
    "them means little; it expects files with text",
}


@pytest.mark.parametrize("size", [1, 32])
def test_single_texts_for_a_model_of_pairs_are_noted_once(run, base, pair_run, size):
    words = ("predict", "--base", base, "--adapter", pair_run, "--batch-size", size)
    answer = run(*words, "the soup", "a song")
    assert answer.err == f"note: {UNLIKE['single']}\n"


def test_pairs_for_a_model_of_single_texts_are_noted(run, base, topic_run, pair_run):
    words = ("predict", "--base", base, "--input", pair_run.parent / "train.tsv")
    assert run(*words, "--adapter", topic_run, "--json").json["notes"] == [UNLIKE["pairs"]]
    assert run(*words, "--adapter", pair_run, "--json").json["notes"] == []


def test_evaluate_notes_texts_unlike_those_of_training(run, base, pair_run, tmp_path):
    (tmp_path / "single.tsv").write_text("label\ttext\nyes\tthe soup\n")
    words = ("evaluate", "--base", base, "--adapter", pair_run, "--json")
    assert run(*words, "--data", tmp_path / "single.tsv").json["notes"] == [UNLIKE["single"]]
    assert run(*words, "--data", pair_run.parent / "train.tsv").json["notes"] == []


def test_help_says_how_pairs_come(run):
    assert "Pairs of texts (text_a, text_b) come by --input only." in run("predict", "--help").out


def test_a_class_comes_with_its_probability_and_the_runner_up(run, base, topic_run):
    words = ("predict", "--base", base, "--adapter", topic_run, "the soup is warm")
    people, programs = run(*words), run(*words, "--json")
    (result,) = programs.json["results"]
    first, second = sorted(result["probabilities"], key=result["probabilities"].get, reverse=True)
    assert result["label"] == first
    assert sum(result["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    values = [f"{result['probabilities'][name]:.2f}" for name in (first, second)]
    assert people.out.split() == [
        first,
        values[0],
        f"({second}",
        f"{values[1]})",
        *words[-1].split(),
    ]


def test_predictions_do_not_depend_on_the_company(run, base, topic_run):
    texts = ["the soup is warm", "a song", "bread and cheese and sugar and bread"]
    words = ("predict", "--base", base, "--adapter", topic_run, "--json")
    together = run(*words, *texts).json["results"]
    alone = [run(*words, text).json["results"][0] for text in texts]
    for one, other in zip(together, alone, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_texts_come_back_in_their_order_whatever_the_window(run, base, topic_run, tmp_path):
    texts = ["the soup " * (n % 5) + f"is warm {n}" for n in range(11)]
    (tmp_path / "texts.txt").write_text("\n".join(texts))
    words = ("predict", "--base", base, "--adapter", topic_run, "--json", "--threads", 2)
    together = run(*words, *texts).json["results"]
    for size in (1, 2, 4):
        windowed = run(*words, "--input", tmp_path / "texts.txt", "--batch-size", size)
        assert [result["text"] for result in windowed.json["results"]] == texts
        for one, other in zip(together, windowed.json["results"], strict=True):
            assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_lines_come_out_before_all_texts_are_read(base, topic_run):
    words = ["predict", "--base", str(base), "--adapter", str(topic_run), "--batch-size", "1"]
    with subprocess.Popen(
        [sys.executable, "-m", "minilora", *words],
        env={**os.environ, "MINILORA_KERNELS": "reference"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        process.stdin.write("the soup\na song\n")  # a window is out once the next has been read
        process.stdin.flush()
        assert "the soup" in process.stdout.readline()
        process.stdin.write("bread\n")
        process.stdin.close()
        assert [line.split()[-1] for line in process.stdout] == ["song", "bread"]


def test_what_was_cut_is_counted_over_all_windows(run, base, ner_run):
    words = ("predict", "--base", base, "--adapter", ner_run, "--max-length", 4)
    answer = run(*words, "--batch-size", 1, "Anna likes Lund .", "Lund", "Anna left Lund .")
    assert answer.err == "note: 2 of 3 rows truncated, 4 words cut off\n"


@pytest.mark.parametrize("given", [[], ["--unmerged"]])
def test_adapters_are_folded_in_unless_that_is_not_wanted(run, base, topic_run, monkeypatch, given):
    models = []

    def watched(model, *data, **options):
        models.append(model)
        return predict(model, *data, **options)

    monkeypatch.setattr("minilora.cli.predict.predict", watched)
    words = ("predict", "--base", base, "--adapter", topic_run, "--json", "the soup", *given)
    assert run(*words).code == 0
    assert (models[0].adaptation is None) == (given == [])


def test_folding_in_changes_probabilities_by_rounding_only(run, base, topic_run):
    words = ("predict", "--base", base, "--adapter", topic_run, "--json", "the soup", "a song")
    for one, other in zip(
        run(*words).json["results"], run(*words, "--unmerged").json["results"], strict=True
    ):
        assert one["probabilities"] == pytest.approx(other["probabilities"], abs=1e-6)


def test_on_a_terminal_a_bar_shows_how_far_it_is(run, base, topic_run, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setattr("minilora.cli.inference.tqdm", functools.partial(tqdm, mininterval=0))
    words = ("predict", "--base", base, "--adapter", topic_run, "--batch-size", 1)
    answer = run(*words, "the soup", "a song")
    assert "1 of 2 texts" in answer.err
    assert answer.out.count("\n") == 2


def test_the_base_is_found_where_the_adapter_says(run, base, ner_run):
    answer = run("predict", "--adapter", ner_run, "Anna")
    assert answer.code == 0
    assert answer.err == f"note: --base is {base}, as the adapter says\n"


def test_an_adapter_from_elsewhere_takes_its_labels_from_the_command_line(
    run, base, ner_run, tmp_path
):
    from minilora.storage import read_tensors, write_tensors

    for name in ("adapter_config.json",):
        (tmp_path / name).write_bytes((ner_run / name).read_bytes())
    tensors = read_tensors(ner_run / "adapter_model.safetensors")
    write_tensors(tmp_path / "adapter_model.safetensors", tensors)
    words = ("predict", "--base", base, "--adapter", tmp_path, "--labels", ",".join(NAMES), "Anna")
    assert run(*words).out == run("predict", "--base", base, "--adapter", ner_run, "Anna").out


def test_what_does_not_fit_is_said(run, base, ner_run):
    words = ("predict", "--base", base, "--adapter", ner_run, "--max-length", 4)
    answer = run(*words, "Anna likes Lund .")
    assert answer.err == "note: 1 of 1 row truncated, 2 words cut off\n"


def test_texts_are_utf_8_whatever_python_takes_the_terminal_for(base, ner_run):
    words = ["predict", "--base", str(base), "--adapter", str(ner_run), "--json", "Zürich 在"]
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "minilora", *words],
        env={**os.environ, **plain, "MINILORA_KERNELS": "reference"},
        capture_output=True,
        check=True,
    )
    assert json.loads(done.stdout)["results"][0]["text"] == "Zürich 在"


def test_json_is_readable_where_the_output_is_utf_8(run, base, ner_run):
    answer = run("predict", "--base", base, "--adapter", ner_run, "--json", "在 Lund")
    assert '"text": "在 Lund"' in answer.out
