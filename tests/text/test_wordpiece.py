import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.text.wordpiece import WordPiece

PIECES = ["[UNK]", "un", "##believ", "##able", "b", "be", "##e", "##es", "a", "ab", "##bc", "##c"]
VOCAB = {piece: i for i, piece in enumerate(PIECES)}
LETTERS = st.text("abce", max_size=10)


def pieces(word: str, **settings) -> list[str]:
    spelling = {i: piece for piece, i in VOCAB.items()}
    return [spelling[i] for i in WordPiece(VOCAB, **settings)(word)]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("unbelievable", ["un", "##believ", "##able"]),
        ("bees", ["be", "##es"]),
        ("abc", ["ab", "##c"]),
        ("b", ["b"]),
        ("un", ["un"]),
    ],
)
def test_the_longest_piece_comes_first(word, expected):
    assert pieces(word) == expected


@pytest.mark.parametrize("word", ["x", "unx", "abcx", "believ"])
def test_a_word_that_cannot_be_spelled_to_its_end_is_unknown_as_a_whole(word):
    assert pieces(word) == ["[UNK]"]


def test_greed_is_not_undone():
    split = WordPiece({"[UNK]": 0, "a": 1, "ab": 2, "##bc": 3})
    assert split("abc") == (0,)  # ab has no way on, though a ##bc would do


def test_a_piece_inside_a_word_needs_the_prefix():
    assert pieces("aa") == ["[UNK]"]


def test_words_longer_than_the_limit_are_unknown():
    assert pieces("b" + "e" * 99)[:2] == ["be", "##e"]
    assert pieces("b" + "e" * 100) == ["[UNK]"]
    assert pieces("bee", max_characters=2) == ["[UNK]"]


def test_the_longest_piece_of_the_vocabulary_can_be_found():
    assert WordPiece({"[UNK]": 0, "abcdefgh": 1})("abcdefgh") == (1,)


def test_the_prefix_can_be_another():
    split = WordPiece({"?": 0, "a": 1, "@b": 2}, unknown="?", prefix="@")
    assert split("abb") == (1, 2, 2)


@given(LETTERS)
def test_pieces_spell_the_word(word):
    found = pieces(word)
    assert found == ["[UNK]"] or "".join(p.removeprefix("##") for p in found) == word
