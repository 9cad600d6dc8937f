from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import ConfigError
from minilora.text import Corpus, EncodingReport, Example, Sentence, encode_corpus


@pytest.fixture(scope="module")
def sentences(tokenizer):
    rows = [
        Sentence(["John", "unbelievable"], ["B-X", "I-X"], 1),
        Sentence(["the", "\u0301", "cat", "sat"], ["O", "B-X", "O", "B-X"], 4),
        Sentence(["cats"], ["O"], 9),
    ]
    corpus = Corpus(path=Path("x"), task="ner", rows=rows)
    return encode_corpus(corpus, tokenizer, ["O", "B-X", "I-X"], max_length=6)


@pytest.fixture(scope="module")
def examples(tokenizer):
    rows = [Example("the cat " * i, None, "ab"[i % 2], i + 2) for i in range(7)]
    return encode_corpus(Corpus(path=Path("x"), task="classify", rows=rows), tokenizer, ["a", "b"])


def test_a_dataset_knows_its_size_and_lengths(sentences, examples):
    assert (len(sentences), sentences.lengths.tolist()) == (3, [6, 5, 3])
    assert (len(examples), examples.lengths.tolist()) == (7, [2, 4, 6, 8, 10, 12, 14])


def test_a_batch_holds_the_rows_asked_for_in_that_order(sentences, examples):
    batch = sentences.batch([2, 0])
    assert batch.lengths.tolist() == [3, 6]
    assert batch.labels.tolist() == [*sentences.labels[2], *sentences.labels[0]]
    assert examples.batch(np.array([3, 0])).labels.tolist() == [1, 0]


def test_a_selection_is_a_dataset_of_these_rows(sentences, examples):
    chosen = sentences.select([2, 0])
    assert [row.line for row in chosen.rows] == [9, 1]
    assert chosen.batch([0, 1]).labels.tolist() == sentences.batch([2, 0]).labels.tolist()
    assert chosen.batch([1]).input_ids.tolist() == sentences.batch([0]).input_ids.tolist()
    assert examples.select(np.array([3, 0])).labels.tolist() == [1, 0]
    assert len(examples.select([])) == 0


def test_a_batch_of_rows_without_labels_has_none(tokenizer):
    corpus = Corpus(Path("x"), "classify", [Example("a", None, "", 1)], labelled=False)
    unlabelled = encode_corpus(corpus, tokenizer, ["a"])
    assert unlabelled.batch([0]).labels is None
    assert unlabelled.select([0]).labels is None


@given(st.integers(1, 9), st.integers(0, 5) | st.none())
def test_batches_hold_every_row_once(examples, batch_size, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = examples.batches(batch_size, rng=rng)
    rows = [int(i) for batch in batches for i in batch]
    assert sorted(rows) == list(range(len(examples)))
    assert all(len(batch) == batch_size for batch in batches[:-1])
    if seed is None:
        assert rows == sorted(rows)


def test_the_same_seed_shuffles_alike_and_another_does_not(examples):
    def order(seed):
        return np.concatenate(examples.batches(2, rng=np.random.default_rng(seed))).tolist()

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_batches_of_nothing_are_refused(examples):
    with pytest.raises(ConfigError, match="batch_size: got 0; it must be at least 1"):
        examples.batches(0)


def test_a_word_has_the_predicted_label_of_its_first_piece(sentences):
    pieces = sentences.encodings[0].tokens
    assert pieces == ["[CLS]", "john", "un", "##believ", "##able", "[SEP]"]
    assert sentences.word_tags(0, [0, 1, 2, 0, 1, 1]) == ["B-X", "I-X"]


def test_words_that_vanished_are_outside(sentences):
    assert sentences.encodings[1].tokens == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    assert sentences.word_tags(1, np.array([1, 1, 1, 2, 1])) == ["B-X", "O", "B-X", "I-X"]


def test_words_that_were_cut_off_are_outside(tokenizer):
    rows = [Sentence(["the", "cat", "sat"], ["B-X"] * 3, 1)]
    corpus = Corpus(path=Path("x"), task="ner", rows=rows)
    data = encode_corpus(corpus, tokenizer, ["O", "B-X", "I-X"], max_length=4)
    assert data.word_tags(0, [1, 1, 1, 1]) == ["B-X", "B-X", "O"]


def test_gold_labels_read_back_are_the_tags_that_were_not_lost(sentences):
    for i, row in enumerate(sentences.rows):
        labels = np.maximum(sentences.labels[i], 0)
        lost = {1: [1]}.get(i, [])
        expected = ["O" if n in lost else tag for n, tag in enumerate(row.tags)]
        assert sentences.word_tags(i, labels) == expected


def test_reports_of_parts_add_up():
    assert EncodingReport(3, 1, 2, 4) + EncodingReport(5, 0, 1, 1) == EncodingReport(8, 1, 3, 5)
