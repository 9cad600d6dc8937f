"""The student's vocabulary: small, in a fixed order, and able to spell what the teacher can."""

from contextlib import suppress
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from small_teacher import IDEOGRAPHS, LETTERS, SIGNS, SPECIAL, VOCABULARY, WORDS, tokenizer_of

from distil.vocabulary import choose_pieces
from minilora.errors import MiniLoraError

TEXTS = ["the old train", ["Bela", "sold", "it"], "quiet zoo"]
CHARACTERS = SIGNS + LETTERS + LETTERS.upper() + IDEOGRAPHS + "ẞéÅçÑ\u0301 "


@pytest.fixture(scope="module")
def choose(teacher_tokenizer):
    """choose(size=150): {piece: the teacher's id}, in the order of the student's ids."""

    def pieces(size=200, texts=TEXTS, cased=True):
        return choose_pieces(teacher_tokenizer, texts, size=size, cased=cased)

    return pieces


@pytest.fixture(scope="module", params=[True, False], ids=["cased", "uncased"])
def cased(request):
    return request.param


@pytest.fixture(scope="module")
def smallest(choose):
    """smallest(cased): the pieces for the least size that is taken."""

    @cache
    def pieces(cased):
        for size in range(60, 200):
            with suppress(MiniLoraError):
                return choose(size, cased=cased)
        raise AssertionError("no size was taken")

    return pieces


@pytest.mark.parametrize("size", [170, 183, 200])
def test_there_are_as_many_pieces_as_asked_for(choose, size):
    assert len(choose(size)) == size


def test_special_tokens_come_first_in_berts_order(choose, cased):
    pieces = choose(cased=cased, size=150 if not cased else 200)
    assert list(pieces.items())[:5] == [(piece, i) for i, piece in enumerate(SPECIAL)]


def test_of_the_teachers_placeholders_none_is_kept(choose):
    assert not [piece for piece in choose() if "unused" in piece]


def test_even_the_smallest_vocabulary_has_every_single_character(smallest, cased):
    pieces = smallest(cased)
    wanted = {c for c in VOCABULARY if len(c) == 1}
    assert wanted <= set(pieces)
    assert {f"##{c}" for c in wanted if c.isalnum() and c not in IDEOGRAPHS} <= set(pieces)


@given(st.text(st.sampled_from(CHARACTERS), max_size=60), st.booleans())
def test_what_the_teacher_can_spell_so_can_the_student(smallest, teacher_tokenizer, text, cased):
    assume("[UNK]" not in teacher_tokenizer(text).tokens)
    student = tokenizer_of(smallest(cased), cased=cased)
    assert "[UNK]" not in student(text).tokens


def test_a_capital_is_told_from_a_small_letter_only_if_cased(choose, cased):
    student = tokenizer_of(choose(size=150 if not cased else 200, cased=cased), cased=cased)
    assert (student("Bela").tokens != student("bela").tokens) == cased


def test_every_capital_of_a_letter_is_there_if_cased(smallest):
    assert {"Λ", "##Λ", "ẞ", "##ẞ"} <= set(smallest(True))
    assert not {"Λ", "ẞ"} & set(smallest(False))


def test_what_never_goes_on_with_a_word_is_dropped(smallest, cased):
    alone = {f"##{c}" for c in "!'(),-.:?" + IDEOGRAPHS}
    assert alone <= set(VOCABULARY)
    assert not alone & set(smallest(cased))


def test_a_piece_means_what_the_teachers_lower_cased_one_does(choose):
    for piece, i in choose().items():
        assert VOCABULARY[i] == (piece if piece in SPECIAL else piece.lower())


def test_words_with_a_capital_and_in_capitals_are_taken_from_the_texts(choose):
    often = choose(texts=[*TEXTS, "Dora GRAZ " * 50])
    assert {"Dora", "GRAZ"} <= set(often)
    assert "GRAZ" not in choose()


def test_an_uncased_vocabulary_has_no_capital(choose):
    pieces = [piece for piece in choose(size=150, cased=False) if piece not in SPECIAL]
    assert pieces == [piece.lower() for piece in pieces]


def test_what_is_frequent_in_the_texts_is_in_though_it_is_rare_at_large(choose, smallest):
    small, rare = len(smallest(True)), VOCABULARY[-1]
    assert rare not in choose(small + 5, texts=["the old train"] * 50)
    assert rare in choose(small + 5, texts=[f"the {rare}"] * 50)


def test_without_a_text_that_says_otherwise_the_teachers_first_words_win(choose, smallest):
    small = len(smallest(False))
    chosen = [p for p in choose(small + 9, texts=["!"], cased=False) if p in WORDS]
    assert chosen == list(WORDS[:10])


def test_at_large_a_word_has_a_capital_one_time_in_five(choose, smallest):
    pieces = choose(len(smallest(True)) + 9, texts=["!"])
    chosen = {p for p in pieces if p.lower() in WORDS}
    assert chosen == {*WORDS[:9], "The"}  # shares 1, 1/2, ... 1/9; The has 1/5, Of and for 1/10


def test_words_of_the_texts_may_come_split_or_whole(choose):
    assert choose(texts=["the old train"] * 9) == choose(texts=[["the", "old", "train"]] * 9)


def test_the_order_of_the_texts_does_not_matter(choose):
    assert choose(texts=TEXTS) == choose(texts=TEXTS[::-1])


def test_a_size_without_room_for_the_characters_is_refused(choose, smallest, cased):
    enough = len(smallest(cased))
    with pytest.raises(MiniLoraError, match=rf"{enough - 1} pieces; more than the {enough - 1} "):
        choose(enough - 1, cased=cased)


def test_more_pieces_than_there_are_are_refused(choose):
    with pytest.raises(MiniLoraError, match="at most the"):
        choose(5000)
