"""Texts as the student reads them, joined to what the teacher makes of each word."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distil.teacher import States, in_chunks, word_numbers
from distil.texts import Text
from minilora import Batch, Encoding, WordPieceTokenizer
from minilora._types import Array, Rng
from minilora.errors import DataError


@dataclass(frozen=True, eq=False)
class Lessons:
    """The pieces of all texts are numbered through, and the labels of a batch are these numbers.

    Attributes
    ----------
    encodings
        n texts.
    ids
        (pieces,) each piece's id.
    rows
        (pieces,) the row of the teacher's states that belongs to it, that of its word.
    first
        (n + 1,) where each text's pieces start.
    states
        The teacher's, (rows, layers, D).
    """

    encodings: list[Encoding]
    ids: Array
    rows: Array
    first: Array
    states: Array

    @classmethod
    def join(
        cls,
        tokenizer: WordPieceTokenizer,
        texts: Sequence[Text],
        states: States,
        *,
        max_length: int,
    ) -> Lessons:
        """Read texts in the student's pieces; leave out those that either of the two had to cut.

        Parameters
        ----------
        tokenizer
            The student's.
        texts, states
            n texts, and what the teacher makes of them.
        max_length
            The most pieces the student reads at a time.

        Raises
        ------
        DataError
            No text is left.
        """
        encodings, rows = [], []
        for i, text in enumerate(texts):
            encoding = tokenizer(text, max_length=max_length)
            words = word_numbers(encoding)
            whole = states.whole[i] and not encoding.truncated
            if whole and words[-1] + 1 == states.first[i + 1] - states.first[i]:
                encodings.append(encoding)
                rows.append(words + states.first[i])
        if not encodings:
            raise DataError(
                f"texts: none of these {len(texts)} can be read whole by both teacher and student, "
                f"which has {max_length} positions; add shorter ones."
            )
        return cls(
            encodings,
            np.concatenate([encoding.input_ids for encoding in encodings]),
            np.concatenate(rows),
            np.concatenate([[0], np.cumsum([len(encoding) for encoding in encodings])]),
            states.rows,
        )

    def batches(self, n_tokens: int, rng: Rng) -> Iterator[Batch]:
        """All texts once, in random order, about ``n_tokens`` pieces a batch."""
        order = rng.permutation(len(self.encodings))
        for chunk in in_chunks(np.diff(self.first)[order], n_tokens):
            yield self.batch(order[chunk])

    def batch(self, indices: Array) -> Batch:
        """These texts, packed; the labels are the pieces' numbers."""
        numbers = [np.arange(self.first[i], self.first[i + 1]) for i in indices]
        return Batch.pack([self.encodings[i] for i in indices], labels=numbers)

    def true_ids(self, batch: Batch) -> Array:
        """(T,) the ids of a batch's pieces, whatever is masked in it."""
        true: Array = self.ids[_numbers(batch)]
        return true

    def targets(self, batch: Batch) -> list[Array]:
        """What the teacher makes of a batch's pieces, layer by layer, each (T, D) float32."""
        states = self.states[self.rows[_numbers(batch)]]
        return [states[:, l].astype(np.float32) for l in range(states.shape[1])]


def _numbers(batch: Batch) -> Array:
    assert batch.labels is not None  # `Lessons.batch` sets them
    return batch.labels
