import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.text.added_tokens import AddedToken, Finder


def cut(text: str, *contents: str, **flags) -> list[str]:
    """The parts of a text; found tokens in angle brackets."""
    tokens = [AddedToken(content=c, id=i, **flags) for i, c in enumerate(contents)]
    return [
        f"<{part.content}>" if isinstance(part, AddedToken) else part
        for part in Finder(tokens)(text)
    ]


def test_tokens_are_found_wherever_they_stand():
    assert cut("a[X]b [X][X]", "[X]") == ["a", "<[X]>", "b ", "<[X]>", "<[X]>"]


def test_of_tokens_that_start_together_the_longest_is_found():
    assert cut("new york", "new", "new york") == ["<new york>"]


def test_of_tokens_that_overlap_the_leftmost_is_found():
    assert cut("abc", "bc", "ab") == ["<ab>", "c"]


def test_tokens_swallow_the_space_they_are_told_to():
    assert cut("a  X \t b", "X") == ["a  ", "<X>", " \t b"]
    assert cut("a  X \t b", "X", lstrip=True) == ["a", "<X>", " \t b"]
    assert cut("a  X \t b", "X", rstrip=True) == ["a  ", "<X>", "b"]
    assert cut("X \u3000X", "X", lstrip=True, rstrip=True) == ["<X>", "<X>"]


@pytest.mark.parametrize("neighbour", ["b", "é", "1", "_", "\u0301", "\u200d", "\u2160"])
def test_a_single_word_has_no_letter_beside_it(neighbour):
    assert cut(f"{neighbour}X", "X", single_word=True) == [f"{neighbour}X"]
    assert cut(f"X{neighbour}", "X", single_word=True) == [f"X{neighbour}"]


@pytest.mark.parametrize("neighbour", [" ", ".", "-", "½", "€"])
def test_a_single_word_may_have_anything_else_beside_it(neighbour):
    assert cut(f"{neighbour}X{neighbour}", "X", single_word=True) == [neighbour, "<X>", neighbour]


def test_the_end_of_a_text_is_not_beside_its_start():
    assert cut("X b", "X", single_word=True) == ["<X>", " b"]


def test_nothing_to_find_leaves_the_text_whole():
    assert cut("a text") == ["a text"]
    assert cut("", "X") == []


def test_a_token_that_normalises_to_nothing_is_never_found():
    finder = Finder([AddedToken(content="\u0301", id=0)], spelling=lambda _: "")
    assert list(finder("ab")) == ["ab"]


@given(st.text("ab X"))
def test_parts_make_up_the_text(text):
    assert "".join(cut(text, "X", "aX")).replace("<", "").replace(">", "") == text
