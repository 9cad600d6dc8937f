"""data/finance_sentiment keeps what its README promises: the one place for the numbers."""

import re
from collections import Counter, defaultdict
from functools import cache

import pytest
from naive_bayes import accuracy_by_words
from readme_tables import claimed
from tsv_sets import DATA, SPLITS, TsvSetTests, all_rows, read_split, words

FINANCE = DATA / "finance_sentiment"
LABELS = {"negative", "neutral", "positive"}
GENERAL = {  # capitalised words of several splits that are no company's alone
    "America", "American", "August", "Castings", "Chemicals", "Cinemas", "Easter", "February",
    "Furniture", "London", "Monday", "Mutual", "November", "October", "Ottawa", "Prairie",
    "September", "Sunday", "Thursday",
}  # fmt: skip


class TestFinanceSentiment(TsvSetTests):
    folder = FINANCE
    labels = len(LABELS)
    least_rows_per_label = 250
    most_common_opening = 3


@cache
def readme():
    return (FINANCE / "README.md").read_text(encoding="utf-8")


def capitalised_names():
    """{name: splits}: words of six letters or more that are never written with a small letter."""
    texts = [(split, text) for split in SPLITS for _, text in read_split(FINANCE, split)]
    small = {word for _, text in texts for word in re.findall(r"\b[a-zà-ÿ]\w+", text)}
    splits = defaultdict(set)
    for split, text in texts:
        for word in re.findall(r"\b[A-ZÀ-Þ][a-zà-ÿ]{5,}\b", text):
            if word.casefold() not in small:
                splits[word].add(split)
    return splits


def test_the_labels_are_negative_neutral_and_positive():
    assert {label for label, _ in all_rows(FINANCE)} == LABELS


def test_rows_are_as_long_as_the_readme_says():
    lengths = [len(words(text)) for _, text in all_rows(FINANCE)]
    assert [min(lengths), max(lengths)] == claimed(readme(), r"Rows have (\d+) to (\d+) words")


def test_single_words_tell_as_little_of_the_label_as_the_readme_says():
    found = [round(100 * accuracy_by_words(FINANCE, split)) for split in ("test", "dev")]
    assert found == claimed(readme(), r"gets (\d+) % of `test` right \((\d+) % of `dev`\)")
    assert max(found) < 60


@pytest.mark.parametrize(
    "word",
    ["profit", "loss", "losses", "lost", "debt", "dividend", "record", "warning", "default",
     "fraud", "fall", "rise", "rose", "dropped", "up", "down", "lower", "higher", "not", "no",
     "never"],
)  # fmt: skip
def test_words_that_sound_good_or_bad_occur_under_every_label(word):
    assert {label for label, text in all_rows(FINANCE) if word in words(text)} == LABELS


def test_numbers_stand_under_every_label():
    counts = Counter(label for label, text in all_rows(FINANCE) if re.search(r"\d", text))
    assert max(counts.values()) < 1.5 * min(counts.values())


def test_a_company_stays_in_one_split():
    shared = {name for name, splits in capitalised_names().items() if len(splits) > 1}
    assert shared <= GENERAL


def test_a_ticker_stays_in_one_split():
    splits = defaultdict(set)
    for split in SPLITS:
        for _, text in read_split(FINANCE, split):
            for ticker in re.findall(r"\$[A-Z]{3,}", text):
                splits[ticker].add(split)
    assert len(splits) >= 20
    assert [ticker for ticker, found in splits.items() if len(found) > 1] == []


def test_the_rows_the_readme_shows_are_rows():
    shown = re.findall(r"^    (negative|neutral|positive) +(.*)$", readme(), flags=re.MULTILINE)
    assert {label for label, _ in shown} == LABELS
    assert set(shown) <= set(all_rows(FINANCE))
