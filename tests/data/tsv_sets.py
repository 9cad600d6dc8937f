"""What every set of labelled texts under data/ keeps: a test of one derives from TsvSetTests.

The first table of the set's README has a row for every label and one for "all", and among its
columns train, dev, test and all: it is the one place for the numbers.
"""

import re
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from four_grams import pairs_that_share
from readme_tables import first_table

from minilora.text import read_corpus

DATA = Path(__file__).resolve().parents[2] / "data"
SPLITS = ("train", "dev", "test")


@cache
def read_split(folder: Path, split: str) -> list[tuple[str, str]]:
    """[(label, text), ...]"""
    lines = (folder / f"{split}.tsv").read_text(encoding="utf-8").split("\n")[1:-1]
    return [tuple(line.split("\t")) for line in lines]


def all_rows(folder: Path) -> list[tuple[str, str]]:
    return [row for split in SPLITS for row in read_split(folder, split)]


def words(text: str) -> list[str]:
    """In lower case and without punctuation: what "the same text" is judged by."""
    return re.findall(r"\w+(?:['’]\w+)*", text.casefold())


class TsvSetTests:
    """Derive a class named Test..., and say which folder and how even the labels must be."""

    folder: Path
    labels: int
    least_rows_per_label: int
    most_uneven = 1.1  # rows of the largest label to rows of the smallest, in every split
    most_common_opening = 6  # rows that start with the same three words

    @pytest.mark.parametrize("split", SPLITS)
    def test_rows_are_label_tab_text_below_a_header(self, split):
        raw = (self.folder / f"{split}.tsv").read_bytes()
        assert b"\r" not in raw
        header, *rows, end = raw.decode("utf-8").split("\n")
        assert (header, end) == ("label\ttext", "")
        for row in rows:
            assert re.fullmatch(r"[a-z_]+\t\S.*\S", row), row
            assert not re.search(r"\t.*\t|  |[^\S \t]", row), row

    @pytest.mark.parametrize("split", SPLITS)
    def test_minilora_reads_every_row(self, split):
        rows = read_corpus(self.folder / f"{split}.tsv", "classify").rows
        assert [(row.label, row.text) for row in rows] == read_split(self.folder, split)

    @pytest.mark.parametrize("split", SPLITS)
    def test_counts_are_those_of_the_readme(self, split):
        counts = Counter(label for label, _ in read_split(self.folder, split))
        assert {**counts, "all": counts.total()} == self.claimed(split)

    def test_the_totals_of_the_readme_add_up(self):
        counts = Counter(label for label, _ in all_rows(self.folder))
        assert {**counts, "all": counts.total()} == self.claimed("all")

    def test_every_split_has_all_labels(self):
        for split in SPLITS:
            assert len({label for label, _ in read_split(self.folder, split)}) == self.labels

    def test_no_label_has_few_rows(self):
        counts = Counter(label for label, _ in all_rows(self.folder))
        assert min(counts.values()) >= self.least_rows_per_label

    @pytest.mark.parametrize("split", SPLITS)
    def test_labels_are_about_as_frequent_as_each_other(self, split):
        counts = Counter(label for label, _ in read_split(self.folder, split)).values()
        assert max(counts) <= self.most_uneven * min(counts)

    @pytest.mark.parametrize("split", SPLITS)
    def test_rows_are_not_sorted_by_label(self, split):
        labels = [label for label, _ in read_split(self.folder, split)]
        changes = sum(a != b for a, b in pairwise(labels))
        assert changes > len(labels) / 2

    def test_no_text_occurs_twice(self):
        seen = Counter(" ".join(words(text)) for _, text in all_rows(self.folder))
        assert [text for text, times in seen.items() if times > 1] == []

    def test_no_two_texts_share_more_than_60_percent_of_their_four_grams(self):
        texts = [words(text) for _, text in all_rows(self.folder)]
        assert list(pairs_that_share(texts, more_than=0.6)) == []

    def test_texts_do_not_open_alike(self):
        openings = Counter(tuple(words(text)[:3]) for _, text in all_rows(self.folder))
        common = {words for words, times in openings.items() if times > self.most_common_opening}
        assert common == set()

    def claimed(self, split):
        table = first_table(self.folder / "README.md")
        return {row: int(cells[split].replace(",", "")) for row, cells in table.items()}
