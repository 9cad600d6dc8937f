"""Hand-written cases of seqeval's counting; tests/oracle compares with seqeval itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.text.bio import spans

TAGS = st.lists(st.sampled_from(["O", "B-X", "I-X", "B-Y", "I-Y"]), max_size=12)


def conll(tags: str) -> list[tuple[str, int, int]]:
    return spans(tags.split())


def strict(tags: str) -> list[tuple[str, int, int]]:
    return spans(tags.split(), scheme="strict")


@pytest.mark.parametrize("count", [conll, strict])
@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("", []),
        ("O O", []),
        ("B-X", [("X", 0, 1)]),
        ("O B-X I-X I-X O", [("X", 1, 4)]),
        ("B-X B-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X I-X B-X I-X", [("X", 0, 2), ("X", 2, 4)]),
        ("B-X B-Y I-Y", [("X", 0, 1), ("Y", 1, 3)]),
        ("B-a-b I-a-b", [("a-b", 0, 2)]),
        ("B I O", [("_", 0, 2)]),
    ],
)
def test_both_schemes_agree_on_well_formed_tags(count, tags, expected):
    assert count(tags) == expected


@pytest.mark.parametrize(
    ("tags", "lenient", "severe"),
    [
        ("I-X", [("X", 0, 1)], []),
        ("O I-X I-X", [("X", 1, 3)], []),
        ("B-X I-Y", [("X", 0, 1), ("Y", 1, 2)], [("X", 0, 1)]),
        ("B-X I-Y I-Y", [("X", 0, 1), ("Y", 1, 3)], [("X", 0, 1)]),
        ("B-X I-Y I-X", [("X", 0, 1), ("Y", 1, 2), ("X", 2, 3)], [("X", 0, 1)]),
        ("I-X B-X", [("X", 0, 1), ("X", 1, 2)], [("X", 1, 2)]),
        ("B-X O I-X", [("X", 0, 1), ("X", 2, 3)], [("X", 0, 1)]),
        ("I-X I-Y B-Y I-Y", [("X", 0, 1), ("Y", 1, 2), ("Y", 2, 4)], [("Y", 2, 4)]),
    ],
)
def test_an_entity_that_starts_with_i_counts_for_conll_only(tags, lenient, severe):
    assert conll(tags) == lenient
    assert strict(tags) == severe


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("S-X S-X", [("X", 0, 1), ("X", 1, 2)]),
        ("B-X I-X E-X", [("X", 0, 3)]),
        ("B-X E-X I-X", [("X", 0, 2), ("X", 2, 3)]),
        ("E-X E-X", [("X", 0, 1), ("X", 1, 2)]),
        ("S-X I-X E-X", [("X", 0, 1), ("X", 1, 3)]),
        ("I-X E-X E-X", [("X", 0, 2), ("X", 2, 3)]),
        ("B-X E-Y", [("X", 0, 1), ("Y", 1, 2)]),
    ],
)
def test_conll_knows_tags_for_ends_and_single_words(tags, expected):
    assert conll(tags) == expected


@given(TAGS)
def test_what_strict_finds_conll_finds_too(tags):
    assert set(spans(tags, scheme="strict")) <= set(spans(tags))


@given(TAGS)
def test_conll_covers_every_tagged_word_once(tags):
    covered = [i for _, start, end in spans(tags) for i in range(start, end)]
    assert covered == [i for i, tag in enumerate(tags) if tag != "O"]
