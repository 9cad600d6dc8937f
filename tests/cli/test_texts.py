import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.cli.texts import Text, find_words, read_texts, to_corpus


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
    assert read_texts(["one", "two"], None, "classify") == [Text("one"), Text("two")]


def test_a_text_file_has_a_text_on_each_line_that_is_not_blank(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one\n\n  two  \r\n", encoding="utf-8")
    assert read_texts([], str(file), "classify") == [Text("one"), Text("two")]


def test_a_next_line_character_does_not_end_a_text(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("one\x85more\u2028still\n", encoding="utf-8")
    assert len(read_texts([], str(file), "classify")) == 1


def test_a_table_gives_its_texts_and_pairs(tmp_path):
    file = tmp_path / "pairs.tsv"
    file.write_text("text_a\ttext_b\none\ttwo\n", encoding="utf-8")
    assert read_texts([], str(file), "classify") == [Text("one", pair="two")]


def test_columns_give_their_words(tmp_path):
    file = tmp_path / "words.conll"
    file.write_text("Anna's\tB-PER\nhere\tO\n", encoding="utf-8")
    assert read_texts([], str(file), "ner") == [Text("Anna's here", words=[(0, 6), (7, 11)])]


def test_a_corpus_has_a_row_for_each_text_and_no_labels():
    texts = read_texts(["Anna left."], None, "ner")
    corpus = to_corpus(texts, "ner")
    assert not corpus.labelled
    assert corpus.rows[0].words == ["Anna", "left", "."]
