import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.text.characters import IDEOGRAPHS, MARKS, PUNCTUATION, REMOVED, SPACES
from minilora.text.normalizer import Normalizer, split_words

OLD = unicodedata.ucd_3_2_0
"""Characters that already were in Unicode 3.2; few have changed since."""


def words(text: str, **settings) -> list[str]:
    return split_words(Normalizer(**settings)(text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, World!", ["hello", ",", "world", "!"]),
        ("don't U.S.", ["don", "'", "t", "u", ".", "s", "."]),
        ("  a\tb\nc\r\u00a0d\u2028e\u3000f ", ["a", "b", "c", "d", "e", "f"]),
        ("a\x00b\ufffdc\u200bd\u00ade\x1cf\x85g\x0bh\ud800i", ["abcdefghi"]),
        ("Héllo ÀÉÎ", ["hello", "aei"]),
        ("e\u0301a\u0308", ["ea"]),
        ("\u0304", []),
        ("ΑΣ ΣΑΣ", ["ασ", "σασ"]),
        ("İstanbul K Å", ["istanbul", "k", "a"]),
        ("abc中国def", ["abc", "中", "国", "def"]),
        ("ひらがな 한글", ["ひらかな", unicodedata.normalize("NFD", "한글")]),
        ("$1.50 a^b `c` a_b", ["$", "1", ".", "50", "a", "^", "b", "`", "c", "`", "a", "_", "b"]),
        ("a\u037eb", ["a", ";", "b"]),
        ("€5 ½ x²", ["€5", "½", "x²"]),
        ("\ue000\U000f0000x", ["x"]),
        ("", []),
    ],
)
def test_what_bert_uncased_does(text, expected):
    assert words(text) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"lowercase": False}, ["Él", "中", "Z"]),
        ({"lowercase": False, "strip_accents": True}, ["El", "中", "Z"]),
        ({"strip_accents": False}, ["él", "中", "z"]),
        ({"split_ideographs": False}, ["el", "中z"]),
    ],
)
def test_each_setting_does_its_own_thing(settings, expected):
    assert words("Él 中Z", **settings) == expected


def test_without_cleaning_control_characters_stay_and_spaces_still_split():
    assert words("a\x00b\x1cc\u3000d\te", clean=False) == ["a\x00b\x1cc", "d", "e"]


@given(st.text())
def test_words_have_no_space_and_no_character_that_cleaning_removes(text):
    for word in words(text):
        assert word
        assert not any(ord(c) in SPACES or ord(c) in REMOVED for c in word)


@given(st.text(), st.text())
def test_what_is_left_of_a_space_does_not_change_what_is_right_of_it(left, right):
    assert words(f"{left} {right}") == words(left) + words(right)


@given(st.text())
def test_punctuation_and_chinese_characters_stand_alone(text):
    for word in words(text):
        alone = any(ord(c) in PUNCTUATION or ord(c) in IDEOGRAPHS for c in word)
        assert not alone or len(word) == 1


@pytest.mark.parametrize(
    ("characters", "categories"),
    [(MARKS, {"Mn"}), (PUNCTUATION, {"Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po"})],
)
def test_classes_are_unicodes(characters, categories):
    """Characters as old as Unicode 3.2, if their category has not changed since."""
    for i in range(sys.maxunicode + 1):
        category = OLD.category(chr(i))
        if category != "Cn" and category == unicodedata.category(chr(i)) and i > 0x7F:
            assert (i in characters) == (category in categories), hex(i)


@pytest.mark.parametrize(
    ("young", "why"),
    [
        ("\u1acf", "a mark of Unicode 14"),
        ("\u2e52", "punctuation of Unicode 14"),
        ("\U0001f9ff", "an emoji of Unicode 11"),
    ],
)
def test_characters_younger_than_unicode_8_are_ordinary(young, why):
    assert words(f"a{young}b") == [f"a{young}b"], why


def test_young_capitals_have_small_letters_whatever_python_knows():
    assert words("\ua7cb\ua7dc\u1c89\U00010d50") == ["\u0264\u019b\u1c8a\U00010d70"]
