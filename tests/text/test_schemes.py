import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.text import Sentence
from minilora.text.schemes import is_tag, to_bio


def converted(*texts: str) -> tuple[list[str], list[str]]:
    """Sentences of tags, one string each, and the notes."""
    sentences = [Sentence(t.split(), t.split(), line=10 * i) for i, t in enumerate(texts, start=1)]
    bio, notes = to_bio(sentences)
    assert [s.words for s in bio] == [s.words for s in sentences]
    return [" ".join(sentence.tags) for sentence in bio], notes


def test_bio_stays_as_it_is():
    tags = ("B-X I-X O B-X B-X", "B-Y I-Y B-X", "O O")
    assert converted(*tags) == (list(tags), [])


@pytest.mark.parametrize(
    ("tags", "expected", "scheme"),
    [
        ("I-X I-X O I-Y", "B-X I-X O B-Y", "IOB1"),
        ("I-X B-X I-X I-Y", "B-X B-X I-X B-Y", "IOB1"),
        ("B-X E-X O S-Y B-X I-X E-X", "B-X I-X O B-Y B-X I-X I-X", "BIOES"),
        ("S-X S-X", "B-X B-X", "BIOES"),
        ("B-X L-X O U-Y B-X I-X L-X", "B-X I-X O B-Y B-X I-X I-X", "BILOU"),
    ],
)
def test_other_schemes_become_bio_and_it_is_said(tags, expected, scheme):
    assert converted(tags) == ([expected], [f"tags are {scheme}; they were turned into BIO"])


def test_the_scheme_is_that_of_the_whole_file():
    """``B-X I-X`` alone would be BIO."""
    tags, notes = converted("B-X I-X", "E-X S-X")
    assert tags == ["B-X I-X", "B-X B-X"]
    assert notes[0] == "tags are BIOES; they were turned into BIO"


def test_of_bio_and_iob1_the_one_that_fits_more_tags_is_taken():
    tags, notes = converted("B-X O B-Y", "O I-X I-X")
    assert tags == ["B-X O B-Y", "O B-X I-X"]
    assert notes == [
        "1 tag not in BIO (the first: I-X for B-X in the sentence on line 20), "
        "read as conlleval.pl does"
    ]


def test_what_does_not_follow_its_scheme_is_counted_with_the_first_place():
    tags, notes = converted("O", "B-X I-X O I-X E-X")
    assert tags == ["O", "B-X I-X O B-X I-X"]
    assert notes[1].startswith("2 tags not in BIOES (the first: I-X for E-X in the sentence")


@pytest.mark.parametrize("tag", ["O", "B-X", "I-a b", "E-x-y", "S-1", "L-X", "U-X", "B--"])
def test_known_forms_are_tags(tag):
    assert is_tag(tag)


@pytest.mark.parametrize("tag", ["", "o", "0", "X", "B", "B-", "b-X", "BX", "M-X", "X-B", "O-X"])
def test_other_forms_are_not(tag):
    assert not is_tag(tag)


ENTITIES = st.lists(st.tuples(st.sampled_from("XY"), st.integers(1, 4), st.integers(0, 2)))


def written(entities, scheme: str) -> str:
    """Entities of some type and length, each with some words after it."""
    tags, last = [], ""
    for kind, n, gap in entities:
        inner, end = "I" * (n - 2), {"BIOES": "E", "BILOU": "L"}.get(scheme, "I")
        prefixes = "B" + inner + end if n > 1 else {"BIOES": "S", "BILOU": "U"}.get(scheme, "B")
        if scheme == "IOB1" and last != kind:
            prefixes = "I" + prefixes[1:]
        tags += [f"{prefix}-{kind}" for prefix in prefixes] + ["O"] * gap
        last = "" if gap else kind
    return " ".join(tags)


@given(ENTITIES, st.sampled_from(["BIO", "IOB1", "BIOES", "BILOU"]))
def test_every_scheme_says_the_same(entities, scheme):
    tags, notes = converted(written(entities, scheme))
    assert tags == [written(entities, "BIO")]
    assert all("turned into BIO" in note for note in notes)
