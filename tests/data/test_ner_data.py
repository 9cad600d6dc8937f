"""data/ner keeps what its README promises; the README's table is the one place for the numbers."""

import re
from collections import Counter, defaultdict
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from four_grams import pairs_that_share
from readme_tables import first_table

NER = Path(__file__).resolve().parents[2] / "data" / "ner"
SPLITS = ("train", "dev", "test")
TAGS = {"O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"}


@cache
def read_split(split):
    """A list of (tokens, tags), one pair a sentence."""
    text = (NER / f"{split}.conll").read_text(encoding="utf-8")
    rows = [[line.split("\t") for line in block.split("\n")] for block in text[:-2].split("\n\n")]
    return [tuple(zip(*sentence, strict=True)) for sentence in rows]


def all_sentences():
    return [sentence for split in SPLITS for sentence in read_split(split)]


def spans(tokens, tags):
    """[(text, type), ...]"""
    found = []
    for token, tag in zip(tokens, tags, strict=True):
        if tag.startswith("B-"):
            found.append(([token], tag[2:]))
        elif tag.startswith("I-"):
            found[-1][0].append(token)
    return [(" ".join(words), kind) for words, kind in found]


def entities(sentences):
    return [span for sentence in sentences for span in spans(*sentence)]


def is_lower(tokens):
    line = " ".join(tokens)
    return line == line.lower() and line != line.upper()


def is_caps(tokens):
    line = " ".join(tokens)
    return line == line.upper() and line != line.lower()


def strings(split):
    return {text.casefold() for text, _ in entities(read_split(split))}


def unseen_share(split):
    return len(strings(split) - strings("train")) / len(strings(split))


def counts(sentences):
    kinds = Counter(kind for _, kind in entities(sentences))
    return {
        "sentences": len(sentences),
        "tokens": sum(len(tokens) for tokens, _ in sentences),
        "entities": sum(kinds.values()),
        **{kind: kinds[kind] for kind in ("PER", "ORG", "LOC")},
        "no entity": sum(not spans(*sentence) for sentence in sentences),
        "lower-cased": sum(is_lower(tokens) for tokens, _ in sentences),
        "all caps": sum(is_caps(tokens) for tokens, _ in sentences),
    }


@cache
def readme_table():
    """{split: {column: number}}, from the first table of the README."""
    return {
        split: {name: number(cell) for name, cell in cells.items() if cell != "-"}
        for split, cells in first_table(NER / "README.md").items()
    }


def number(cell):
    return float(cell.strip(" %").replace(",", ""))


@pytest.mark.parametrize("split", SPLITS)
def test_lines_are_token_tab_tag_and_every_sentence_ends_with_one_blank_line(split):
    raw = (NER / f"{split}.conll").read_bytes()
    assert b"\r" not in raw
    assert not raw.startswith((b"\xef\xbb\xbf", b"\n"))
    text = raw.decode("utf-8")
    assert text.endswith("\n\n")
    assert "\n\n\n" not in text
    assert all(re.fullmatch(r"\S+\t\S+", line) for line in text.split("\n") if line)


@pytest.mark.parametrize("split", SPLITS)
def test_tags_are_valid_bio(split):
    for tokens, tags in read_split(split):
        assert set(tags) <= TAGS
        for before, tag in zip(("O", *tags), tags, strict=False):
            assert not tag.startswith("I-") or before[2:] == tag[2:], (tokens, tags)


def test_all_tags_of_the_set_occur_in_every_split():
    for split in SPLITS:
        assert {tag for _, tags in read_split(split) for tag in tags} == TAGS


def test_sentences_have_4_to_40_tokens():
    assert all(4 <= len(tokens) <= 40 for tokens, _ in all_sentences())


@pytest.mark.parametrize("split", [*SPLITS, "all"])
def test_counts_are_those_of_the_readme(split):
    sentences = all_sentences() if split == "all" else read_split(split)
    claimed = readme_table()[split]
    assert {name: claimed[name] for name in counts(sentences)} == counts(sentences)


@pytest.mark.parametrize("split", ["dev", "test"])
def test_unseen_shares_are_those_of_the_readme(split):
    assert round(100 * unseen_share(split)) == readme_table()[split]["unseen"]


def test_the_set_is_as_large_and_as_varied_as_asked():
    total = counts(all_sentences())
    assert total["sentences"] >= 820
    assert total["entities"] >= 2000
    assert total["lower-cased"] >= 25
    assert total["all caps"] >= 25


def test_at_least_25_lines_of_each_unusual_case_hold_an_entity():
    for unusual in (is_lower, is_caps):
        lines = [sentence for sentence in all_sentences() if unusual(sentence[0])]
        assert sum(bool(spans(*sentence)) for sentence in lines) >= 25


def test_a_fifth_of_the_sentences_has_no_entity():
    total = counts(all_sentences())
    assert total["no entity"] >= 0.2 * total["sentences"]


@pytest.mark.parametrize("split", ["dev", "test"])
def test_most_entity_strings_outside_train_are_new(split):
    assert unseen_share(split) >= 0.6


def test_entities_stand_first_and_last_and_next_to_each_other():
    for split in SPLITS:
        tagged = [tags for _, tags in read_split(split)]
        assert any(tags[0] != "O" for tags in tagged)
        assert any(tags[-1] != "O" for tags in tagged)
    pairs = [pair for _, tags in all_sentences() for pair in pairwise(tags)]
    assert any(left != "O" and right.startswith("B-") for left, right in pairs)


def test_some_names_have_more_than_one_type():
    kinds = defaultdict(set)
    for text, kind in entities(all_sentences()):
        kinds[text.casefold()].add(kind)
    assert sum(len(found) > 1 for found in kinds.values()) >= 30


OWN_POSSESSIVE = {
    "ahmed", "auntie fang", "booth", "botham", "brannock", "brophy", "carmine", "cole",
    "counihan", "cranston", "dalida", "forsyth", "fox", "gilhooly", "glynn", "heal", "horsford",
    "kilvert", "kohl", "lloyd", "lord", "mader", "mama ngozi", "max", "miss pearl", "nando",
    "o'shea", "pemberton", "russell", "sangster", "slattery", "st ethelbert", "st hilda",
    "st john", "st leonard", "st patrick", "st wystan", "terry black", "trader joe", "tunnock",
}  # fmt: skip
"""Shops, pubs, a cricket ground and a church: 's belongs to the name, as the label guide says."""


def test_titles_and_articles_stay_outside():
    outside = {"dr", "dr.", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "sir", "dame", "the", "'s"}
    for text, _ in entities(all_sentences()):
        words = text.casefold().split()
        assert words[0] not in outside or words == ["the", "hague"], text
        assert words[-1] != "'s" or " ".join(words[:-1]) in OWN_POSSESSIVE, text


def test_no_sentence_occurs_twice():
    seen = Counter(" ".join(tokens).casefold() for tokens, _ in all_sentences())
    assert [line for line, times in seen.items() if times > 1] == []


def test_no_two_sentences_share_more_than_60_percent_of_their_four_grams():
    texts = [tokens for tokens, _ in all_sentences()]
    assert list(pairs_that_share(texts, more_than=0.6)) == []
