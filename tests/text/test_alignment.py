from pathlib import Path

import numpy as np
import pytest

from minilora.errors import ConfigError, DataError
from minilora.text import (
    IGNORED,
    Corpus,
    Example,
    Sentence,
    encode_corpus,
    label_names,
    read_corpus,
)

TAGS = ["O", "B-PER", "I-PER"]
SENTENCES = [
    Sentence(["John", "unbelievable", "cats"], ["B-PER", "I-PER", "O"], 1),
    Sentence(["\u0301", "the", "\u0304", "cat", "\u0301"], ["O", "O", "B-PER", "I-PER", "O"], 5),
]


def corpus(rows, **changes) -> Corpus:
    task = "ner" if isinstance(rows[0], Sentence) else "classify"
    return Corpus(**{"path": Path("x.conll"), "task": task, "rows": rows} | changes)


def test_the_label_of_a_word_is_on_its_first_piece(tokenizer):
    data = encode_corpus(corpus(SENTENCES[:1]), tokenizer, TAGS)
    assert data.encodings[0].tokens[1:-1] == ["john", "un", "##believ", "##able", "cats"]
    assert data.labels[0].tolist() == [IGNORED, 1, 2, IGNORED, IGNORED, 0, IGNORED]
    assert data.labels[0].dtype == np.int64


def test_words_without_pieces_have_no_label_and_are_counted(tokenizer):
    data = encode_corpus(corpus(SENTENCES), tokenizer, TAGS)
    assert data.labels[1].tolist() == [IGNORED, 0, 2, IGNORED]
    assert data.report.n_words_vanished == 3
    assert data.report.lines() == ["3 words without a single word piece"]


def test_words_that_are_cut_off_have_no_label_and_are_counted(tokenizer):
    data = encode_corpus(corpus(SENTENCES), tokenizer, TAGS, max_length=4)
    assert data.encodings[0].tokens == ["[CLS]", "john", "un", "[SEP]"]
    assert data.labels[0].tolist() == [IGNORED, 1, 2, IGNORED]
    assert (data.report.n_truncated, data.report.n_words_cut) == (1, 1)
    assert data.report.lines()[0] == "1 of 2 rows truncated, 1 word cut off"


@pytest.mark.parametrize(("max_length", "cut", "vanished"), [(2, 5, 0), (3, 3, 1), (4, 0, 3)])
def test_every_lost_word_is_counted_once(tokenizer, max_length, cut, vanished):
    report = encode_corpus(corpus(SENTENCES[1:]), tokenizer, TAGS, max_length=max_length).report
    assert (report.n_words_cut, report.n_words_vanished) == (cut, vanished)


def test_nothing_lost_is_nothing_to_report(tokenizer):
    assert encode_corpus(corpus(SENTENCES[:1]), tokenizer, TAGS).report.lines() == []


def test_examples_have_one_label_each(tokenizer):
    rows = [Example("the cat sat on", None, "no", 2), Example("the", "mat", "yes", 3)]
    data = encode_corpus(corpus(rows), tokenizer, ["no", "yes"], max_length=5)
    assert data.labels.tolist() == [0, 1]
    assert data.labels.dtype == np.int64
    assert data.label_names == ("no", "yes")
    assert data.encodings[1].token_type_ids.tolist() == [0, 0, 0, 1, 1]
    assert data.report.lines() == ["1 of 2 rows truncated"]


def test_a_corpus_without_labels_makes_a_dataset_without(tokenizer):
    rows = [Sentence(["the", "cat"], [], 1)]
    assert encode_corpus(corpus(rows, labelled=False), tokenizer, TAGS).labels is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (Sentence(["a"], ["B-PRE"], 7), r"x.conll:7: the label 'B-PRE' .* Did you mean 'B-PER'"),
        (Example("a", None, "yse", 9), r"x.conll:9: the label 'yse' .* Choices: B-PER, I-PER, O"),
    ],
)
def test_a_label_the_model_does_not_know_is_named_with_its_line(tokenizer, row, message):
    with pytest.raises(DataError, match=message):
        encode_corpus(corpus([row]), tokenizer, TAGS)


def test_too_little_room_is_refused(tokenizer):
    with pytest.raises(ConfigError, match="max_length: is 1; 2 or more"):
        encode_corpus(corpus(SENTENCES), tokenizer, TAGS, max_length=1)


def test_the_lone_accent_in_the_chinese_set_is_the_only_word_to_vanish(shared_data, tokenizer):
    read = read_corpus(shared_data / "uner_zh_gsdsimp" / "train.conll", "ner")
    report = encode_corpus(read, tokenizer, label_names(read)).report
    assert (report.n_words_vanished, report.n_words_cut) == (1, 0)
