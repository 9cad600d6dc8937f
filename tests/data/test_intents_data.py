"""data/intents keeps what its README promises: the one place for the numbers."""

import re
from functools import cache

import pytest
from naive_bayes import accuracy_by_words
from readme_tables import claimed
from tsv_sets import DATA, SPLITS, TsvSetTests, all_rows, read_split, words

INTENTS = DATA / "intents"


class TestIntents(TsvSetTests):
    folder = INTENTS
    labels = 14
    least_rows_per_label = 72
    most_uneven = 1.0
    most_common_opening = 10  # "where do I", "I'd like to": a customer's


@cache
def readme():
    return (INTENTS / "README.md").read_text(encoding="utf-8")


def texts():
    return [text for _, text in all_rows(INTENTS)]


def is_lower(text):
    return text == text.lower()


def test_the_label_guide_names_exactly_the_labels():
    guided = re.findall(r"^\*\*(\w+)\*\* ", readme(), flags=re.MULTILINE)
    assert sorted(guided) == sorted({label for label, _ in all_rows(INTENTS)})


def test_rows_are_as_long_as_the_readme_says():
    lengths = sorted(len(words(text)) for text in texts())
    counted = [lengths[0], lengths[-1], lengths[len(lengths) // 2]]
    assert counted == claimed(readme(), r"have (\d+) to (\d+) words, half of them (\d+) or fewer")


def test_lower_cased_rows_and_questions_are_as_many_as_the_readme_says():
    counted = [sum(map(is_lower, texts())), sum("?" in text for text in texts())]
    assert counted == claimed(
        readme(), r"(\d+) are written without a capital, (\d+) hold a question mark"
    )


@pytest.mark.parametrize("split", SPLITS)
def test_most_labels_have_lower_cased_rows_in_every_split(split):
    labels = {label for label, text in read_split(INTENTS, split) if is_lower(text)}
    assert len(labels) >= 8


def test_single_words_tell_as_much_of_the_label_as_the_readme_says():
    found = [round(100 * accuracy_by_words(INTENTS, split)) for split in ("test", "dev")]
    assert found == claimed(readme(), r"gets (\d+) % of `test` right \((\d+) % of `dev`\)")
    assert max(found) < 90


@pytest.mark.parametrize(
    "word",
    ["account", "address", "cancel", "card", "changed", "delivered", "lost", "money", "order",
     "parcel", "password", "received", "refund", "return", "send", "tracking", "wrong"],
)  # fmt: skip
def test_words_that_sound_like_one_intent_occur_under_others(word):
    assert len({label for label, text in all_rows(INTENTS) if word in words(text)}) >= 3


def test_the_rows_the_readme_shows_are_rows():
    shown = re.findall(r"^    ([a-z_]+) +(.*)$", readme(), flags=re.MULTILINE)
    assert {label for label, _ in shown} == {label for label, _ in all_rows(INTENTS)}
    assert set(shown) <= set(all_rows(INTENTS))
