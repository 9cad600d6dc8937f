"""A corpus as a model sees it: encodings and label ids."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from minilora._types import Array, Rng
from minilora.errors import ConfigError
from minilora.text.batch import Batch
from minilora.text.corpus import Example, Sentence, Task
from minilora.text.counting import count
from minilora.text.encoding import Encoding


@dataclass(frozen=True)
class EncodingReport:
    """What was lost on the way from text to word pieces."""

    n_rows: int
    n_truncated: int = 0
    n_words_cut: int = 0
    n_words_vanished: int = 0

    def __add__(self, other: EncodingReport) -> EncodingReport:
        """What was lost in both together."""
        names = [f.name for f in fields(self)]
        return EncodingReport(*(getattr(self, name) + getattr(other, name) for name in names))

    def lines(self) -> list[str]:
        """The losses in sentences; none when nothing was lost."""
        said = []
        if self.n_truncated:
            cut = f", {count(self.n_words_cut, 'word')} cut off" if self.n_words_cut else ""
            said.append(f"{self.n_truncated} of {count(self.n_rows, 'row')} truncated{cut}")
        if self.n_words_vanished:
            said.append(f"{count(self.n_words_vanished, 'word')} without a single word piece")
        return said


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows with their encodings and label ids.

    Attributes
    ----------
    task, rows
        As in the corpus.
    encodings
        One a row.
    labels
        For NER one array (L,) a row, -100 except on the first piece of each word; for
        classification an array (N,); None when the corpus has no labels.
    label_names
        What label id c means is ``label_names[c]``.
    report
        What was lost on the way.
    """

    task: Task
    encodings: list[Encoding]
    labels: list[Array] | Array | None
    label_names: tuple[str, ...]
    rows: list[Sentence] | list[Example]
    report: EncodingReport

    def __len__(self) -> int:
        return len(self.encodings)

    @property
    def lengths(self) -> Array:
        """Word pieces in each row (N,)."""
        return np.array([len(e) for e in self.encodings], np.int64)

    def select(self, indices: Iterable[int]) -> Dataset:
        """The rows with these indices, in this order; ``report`` stays what it says of all."""
        chosen = list(indices)
        labels: Any = self.labels
        if isinstance(labels, list):
            labels = [labels[i] for i in chosen]
        elif labels is not None:
            labels = labels[chosen]
        rows: Any = [self.rows[i] for i in chosen]
        encodings = [self.encodings[i] for i in chosen]
        return replace(self, encodings=encodings, labels=labels, rows=rows)

    def batch(self, indices: Iterable[int]) -> Batch:
        """The rows with these indices, packed."""
        chosen = list(indices)
        labels = None if self.labels is None else [self.labels[i] for i in chosen]
        return Batch.pack([self.encodings[i] for i in chosen], labels)

    def batches(self, batch_size: int, *, rng: Rng | None = None) -> list[Array]:
        """Indices of every row once, in groups of ``batch_size`` (the last may be smaller).

        Without ``rng`` in the order of the file, with it in the order it shuffles them to.
        """
        if batch_size < 1:
            raise ConfigError(f"batch_size: got {batch_size}; it must be at least 1.")
        order = np.arange(len(self)) if rng is None else rng.permutation(len(self))
        return [order[i : i + batch_size] for i in range(0, len(order), batch_size)]

    def word_tags(self, i: int, predicted_ids: Sequence[int] | Array) -> list[str]:
        """Tags of all words of row ``i`` from label ids of its pieces (L,).

        A word has the label of its first piece. One that was cut off, or has no pieces, is ``O``.
        """
        row = self.rows[i]
        assert isinstance(row, Sentence)
        tags = ["O"] * len(row.words)
        word_ids = self.encodings[i].word_ids
        for piece in first_pieces(word_ids):
            word = word_ids[piece]
            assert word is not None
            tags[word] = self.label_names[predicted_ids[piece]]
        return tags


def first_pieces(word_ids: Sequence[int | None]) -> list[int]:
    """Positions of the pieces that start a word."""
    return [
        p for p, word in enumerate(word_ids) if word is not None and word != word_ids[p - 1]
    ]  # p >= 1 here, since [CLS] comes first
