"""Texts in the student's pieces, joined to the teacher's states of their words."""

import json

import numpy as np
import pytest

from distil.lessons import Lessons
from distil.teacher import states_of
from distil.texts import read_texts, variations
from minilora.errors import MiniLoraError


@pytest.fixture
def join(teacher, teacher_tokenizer, school, tmp_path):
    """join(texts, max_length=32)"""

    def lessons(texts, max_length=32):
        states = states_of(
            teacher, teacher_tokenizer, texts, layers=(1, 3), folder=tmp_path, threads=1
        )
        return Lessons.join(school.tokenizer, texts, states, max_length=max_length)

    return lessons


def test_every_piece_has_its_words_row(school):
    lessons, first = school.lessons, school.states.first
    assert len(lessons.encodings) == len(school.texts)
    for i, (encoding, start) in enumerate(zip(lessons.encodings, lessons.first, strict=False)):
        row, last = first[i] - 1, object()
        for t, word in enumerate(encoding.word_ids):
            row += word is None or word != last
            last = word
            assert lessons.rows[start + t] == row
        assert row == first[i + 1] - 1  # [SEP] has the last row of its text


def test_labels_number_the_pieces_through(school):
    lessons = school.lessons
    assert lessons.first[-1] == len(lessons.ids) == len(lessons.rows)
    batch = lessons.batch(np.array([5, 0, 7]))
    spans = [np.arange(lessons.first[i], lessons.first[i + 1]) for i in (5, 0, 7)]
    assert batch.labels.tolist() == np.concatenate(spans).tolist()
    np.testing.assert_array_equal(lessons.true_ids(batch), batch.input_ids)


def test_targets_are_the_teachers_states_of_the_pieces_words(school):
    batch = school.lessons.batch(np.array([3, 1]))
    targets = school.lessons.targets(batch)
    words = [f"{i} {w if w is not None else t}" for i in (3, 1) for t, w in numbered(school, i)]
    by_word = dict(zip(words, np.stack(targets, axis=1), strict=True))
    rows = [school.states.rows[slice(*school.states.first[i : i + 2])] for i in (3, 1)]
    np.testing.assert_array_equal(list(by_word.values()), np.concatenate(rows))
    assert [y.dtype for y in targets] == [np.float32] * 3


def numbered(school, i):
    """(place, word) of each piece of a text; [CLS] and [SEP] are told apart by their place."""
    return [(f"at {t}", word) for t, word in enumerate(school.lessons.encodings[i].word_ids)]


def beginnings(lessons):
    """The first letter of each text."""
    return "".join(encoding.tokens[1][0] for encoding in lessons.encodings)


def test_texts_the_student_had_to_cut_are_left_out(join):
    texts = ["the old train", "the old train " * 7, "Bela sold it"]
    lessons = join(texts, max_length=20)
    assert beginnings(lessons) == "tB"
    assert set(lessons.rows) == {0, 1, 2, 3, 4, 28, 29, 30, 31, 32}


def test_texts_the_teacher_had_to_cut_are_left_out(join):
    lessons = join(["the old train " * 30, "Bela sold it"], max_length=100)
    assert beginnings(lessons) == "B"


def test_so_is_a_text_of_which_the_teacher_read_part_of_the_last_word(join, teacher_tokenizer):
    text = "the " * 61 + "quux"  # 64 positions: [CLS], 61 times the, q, [SEP]
    assert teacher_tokenizer(text, max_length=64).tokens[-2] == "q"
    lessons = join([text, "Bela sold it"], max_length=100)
    assert beginnings(lessons) == "B"


def test_and_one_of_which_the_student_did(join, school):
    whole = school.tokenizer("the old quux")
    assert whole.tokens[-3:-1] == ["##u", "##x"]
    lessons = join(["the old quux", "Bela sold"], max_length=len(whole) - 1)
    assert beginnings(lessons) == "B"


def test_texts_in_which_the_two_see_other_words_are_left_out(join, school, teacher_tokenizer):
    text = "the [MASK]"  # a special token to one, three words to the other
    assert len(school.tokenizer(text)) > len(teacher_tokenizer(text))
    assert beginnings(join([text, "Bela sold"])) == "B"


def test_without_a_text_that_both_can_read_there_is_nothing_to_learn(join):
    with pytest.raises(MiniLoraError, match="none of these 2"):
        join(["the old train " * 30] * 2)


@pytest.mark.parametrize("n_tokens", [1, 60, 10_000])
def test_a_pass_of_batches_holds_every_text_once(school, rng, n_tokens):
    lessons = school.lessons
    labels = [batch.labels for batch in lessons.batches(n_tokens, rng)]
    assert sorted(np.concatenate(labels)) == list(range(len(lessons.ids)))


def test_batches_are_about_as_large_as_asked_for(school, rng):
    sizes = [batch.n_tokens for batch in school.lessons.batches(100, rng)]
    longest = np.diff(school.lessons.first).max()
    assert all(abs(size - 100) <= longest for size in sizes[:-1])


def test_every_pass_has_an_order_of_its_own(school, rng):
    one, two = (
        np.concatenate([b.labels for b in school.lessons.batches(60, rng)]) for _ in range(2)
    )
    assert one.tolist() != two.tolist()
    again = school.lessons.batches(60, np.random.default_rng(20210617))
    assert one.tolist() == np.concatenate([b.labels for b in again]).tolist()


class TestVariations:
    TEXTS = (["Bela", "sold", "it"], "the old train", "a b c d e f g h")

    def test_keep_form_and_length(self, rng):
        varied = variations(self.TEXTS, 0.5, rng, recased=0.0)
        assert [type(text) for text in varied] == [list, str, str]
        assert [len(words(text)) for text in varied] == [3, 3, 8]

    def test_have_words_from_anywhere_in_the_texts(self, rng):
        pool = {word for text in self.TEXTS for word in words(text)}
        many = [t for _ in range(50) for t in variations(self.TEXTS, 1.0, rng, recased=0.0)]
        assert {word for text in many for word in words(text)} == pool

    def test_replace_the_share_that_was_asked_for(self, rng):
        text = [f"word{i}" for i in range(5000)]
        (new,) = variations([text], 0.15, rng, recased=0.0)
        changed = np.mean([a != b for a, b in zip(text, new, strict=True)])
        assert changed == pytest.approx(0.15, abs=0.02)

    def test_change_nothing_if_the_share_is_none(self, rng):
        assert variations(self.TEXTS, 0.0, rng, recased=0.0) == list(self.TEXTS)

    def test_without_capitals_or_in_capitals_are_as_many_as_asked_for(self, rng):
        texts = [f"Bela sold {i} Trains" for i in range(2000)]
        varied = variations(texts, 0.0, rng, recased=0.3)
        same, lower, upper = (
            sum(new == case(text) for text, new in zip(texts, varied, strict=True))
            for case in (str, str.lower, str.upper)
        )
        assert (lower, upper) == pytest.approx((300, 300), abs=60)
        assert same + lower + upper == len(texts)


def words(text):
    return text.split() if isinstance(text, str) else text


def test_sentences_are_read_as_words_and_rows_as_texts(tmp_path):
    (tmp_path / "a.conll").write_text("Bela\tB-PER\nsold\tO\n\nit\tO\n\n", encoding="utf-8")
    (tmp_path / "b.tsv").write_text("label\ttext\nx\tthe old train\n", encoding="utf-8")
    (tmp_path / "c.jsonl").write_text(json.dumps({"text": "é", "label": "x"}), encoding="utf-8")
    files = [tmp_path / name for name in ("a.conll", "b.tsv", "c.jsonl")]
    assert read_texts(files) == [["Bela", "sold"], ["it"], "the old train", "é"]
