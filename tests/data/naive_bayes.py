"""How much of the label the single words of a text give away."""

from collections import Counter, defaultdict
from functools import cache
from math import log
from pathlib import Path

from tsv_sets import read_split, words


def accuracy_by_words(folder: Path, split: str) -> float:
    rows = read_split(folder, split)
    return sum(guess_by_words(folder, text) == label for label, text in rows) / len(rows)


def guess_by_words(folder: Path, text: str) -> str:
    """Naive Bayes on which words a text has, all labels being equally likely."""
    counts = words_by_label(folder)
    vocabulary = len(set().union(*counts.values()))

    def log_likelihood(label: str) -> float:
        seen = counts[label]
        total = seen.total() + vocabulary
        return sum(log((seen[word] + 1) / total) for word in sorted(set(words(text))))

    return max(sorted(counts), key=log_likelihood)


@cache
def words_by_label(folder: Path) -> dict[str, Counter[str]]:
    """{label: Counter of the rows of train a word occurs in}"""
    counts = defaultdict(Counter)
    for label, text in read_split(folder, "train"):
        counts[label].update(set(words(text)))
    return counts
