import os
import sys
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minilora.cli.texts import (
    Text,
    count_texts,
    find_words,
    is_interactive,
    read_texts,
    to_corpus,
    windows,
)
from minilora.errors import ConfigError, DataError


def words_of(text):
    return [text[start:end] for start, end in find_words(text)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Anna works in Lund.", ["Anna", "works", "in", "Lund", "."]),
        ("(Anna's U.S. visit)", ["(", "Anna's", "U.S", ".", "visit", ")"]),
        ("don't, AT&T!?", ["don't", ",", "AT&T", "!", "?"]),
        ("  two\tspaces\n", ["two", "spaces"]),
        ("她在北京。", ["她", "在", "北", "京", "。"]),
        ("iPhone在中国", ["iPhone", "在", "中", "国"]),
        ("...", [".", ".", "."]),
        ("", []),
    ],
)
def test_words_are_cut_as_in_annotated_corpora(text, words):
    assert words_of(text) == words


@given(st.text())
def test_words_leave_out_nothing_but_white_space(text):
    assert "".join(words_of(text)) == "".join(text.split())


@given(st.text())
def test_words_are_in_order_and_not_empty(text):
    ends = [0]
    for start, end in find_words(text):
        assert ends[-1] <= start < end
        ends.append(end)


def test_arguments_come_first():
    assert list(read_texts(["one", "two"], None, "classify")) == [Text("one"), Text("two")]


@pytest.mark.parametrize("task", ["ner", "classify"])
def test_a_text_file_has_a_text_on_each_line_also_on_a_blank_one(tmp_path, task):
    file = tmp_path / "texts.txt"
    file.write_text("\n \none\n\n  two  \r\n\n", encoding="utf-8")
    texts = list(read_texts([], str(file), task))
    assert [text.text for text in texts] == ["", "", "one", "", "two", ""]
    assert count_texts([], str(file)) == len(texts)


@given(st.lists(st.sampled_from(["", " ", "\t", "one", " two"]), max_size=6))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_texts_line_up_with_lines(tmp_path, lines):
    file = tmp_path / "texts.txt"
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    if any(map(str.strip, lines)):
        texts = read_texts([], str(file), "classify")
        assert [text.text for text in texts] == list(map(str.strip, lines))


@pytest.mark.parametrize("name", ["texts.tsv", "texts.csv"])
def test_words_are_found_in_the_texts_of_a_table(tmp_path, name):
    file = tmp_path / name
    file.write_text("text\nAnna left.\n", encoding="utf-8")
    (text,) = read_texts([], str(file), "ner")
    assert text == Text("Anna left.", words=[(0, 4), (5, 9), (9, 10)])


def test_names_are_not_looked_for_in_pairs(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("text_a\ttext_b\none\ttwo\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"pairs\.tsv: holds pairs of texts; single ones were exp"):
        list(read_texts([], str(file), "ner"))


@pytest.mark.parametrize(
    ("arguments", "file", "is_terminal", "expected"),
    [
        ([], None, True, True),
        ([], None, False, False),
        (["one"], None, True, False),
        ([], "texts.txt", True, False),
    ],
)
def test_people_are_asked_where_standard_input_is_a_terminal(
    monkeypatch, arguments, file, is_terminal, expected
):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: is_terminal))
    assert is_interactive(arguments, file) == expected


def test_a_next_line_character_does_not_end_a_text(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one\x85more\u2028still\n", encoding="utf-8")
    assert len(list(read_texts([], str(file), "classify"))) == 1


def test_a_table_gives_its_texts_and_pairs(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("text_a\ttext_b\none\ttwo\n", encoding="utf-8")
    assert list(read_texts([], str(file), "classify")) == [Text("one", pair="two")]


def test_columns_give_their_words(tmp_path):
    file = tmp_path / "words.conll"
    file.write_text("Anna's\tB-PER\nhere\tO\n", encoding="utf-8")
    assert list(read_texts([], str(file), "ner")) == [Text("Anna's here", words=[(0, 6), (7, 11)])]


def test_a_corpus_has_a_row_for_each_text_and_no_labels():
    texts = list(read_texts(["Anna left."], None, "ner"))
    corpus = to_corpus(texts, "ner")
    assert not corpus.labelled
    assert corpus.rows[0].words == ["Anna", "left", "."]


def test_lines_are_read_when_they_are_asked_for(monkeypatch):
    asked = []

    def lines():
        for n in range(3):
            asked.append(n)
            yield b"text %d\n" % n

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines(), isatty=lambda: False))
    texts = read_texts([], None, "classify")
    assert asked == []
    assert next(texts) == Text("text 0")
    assert asked == [0]


def test_a_line_that_is_not_text_is_named_when_its_turn_comes(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_bytes("\ufeffone\n\ntwo\n".encode() + b"t\xfcr\n")
    texts = read_texts([], str(file), "classify")
    assert [next(texts) for _ in range(3)] == [Text("one"), Text(""), Text("two")]
    with pytest.raises(DataError, match=r"texts\.txt:4: byte 0xfc at offset 13 is not UTF-8"):
        next(texts)


def test_a_file_without_a_text_is_refused(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n  \n")
    with pytest.raises(DataError, match="has no text; expected one a line"):
        next(read_texts([], str(file), "ner"))


def test_texts_are_counted_where_that_can_be_done_beforehand(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one\n\ntwo")
    assert count_texts(["one", "two", "three"], None) == 3
    assert count_texts([], str(file)) == 3
    assert count_texts([], None) is None
    assert count_texts([], "texts.csv") is None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_read_to_count_its_texts(tmp_path):
    os.mkfifo(tmp_path / "texts.txt")
    assert count_texts([], str(tmp_path / "texts.txt")) is None


def test_windows_hold_every_text_once_in_order():
    texts = [Text(str(n)) for n in range(7)]
    assert [len(window) for window in windows(texts, 3)] == [3, 3, 1]
    assert [text for window in windows(texts, 3) for text in window] == texts


def test_a_window_of_no_texts_is_refused():
    with pytest.raises(ConfigError, match="batch_size: got 0"):
        next(windows([], 0))
