"""What both sides compute: a workload is a list of batches, cut once and read by both."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from corpora import DATA, IGNORED, align, load_tokenizer, read_conll, tag_names

SENTENCES = DATA / "wikigold" / "train.conll"
MAX_LENGTH = 512


@dataclass(frozen=True)
class Workload:
    """One row of the table, written ``train:real:32`` or ``infer:128:16``.

    kind is ``train`` (forward, backward, AdamW) or ``infer`` (forward only); length is the number
    of word pieces in every sequence, None for the sentences' own lengths.
    """

    kind: str
    length: int | None
    batch_size: int

    @classmethod
    def parse(cls, text: str) -> Workload:
        """Read ``kind:length:batch_size``."""
        kind, length, batch_size = text.split(":")
        if kind not in ("train", "infer"):
            raise ValueError(f"workload {text!r}: expected train:... or infer:...")
        return cls(kind, None if length == "real" else int(length), int(batch_size))

    def __str__(self) -> str:
        return f"{self.kind}:{self.length or 'real'}:{self.batch_size}"


@dataclass(frozen=True)
class TokenBatch:
    """N sequences in one row of T tokens; sequence n is offsets[n]:offsets[n+1]."""

    input_ids: np.ndarray[Any, np.dtype[np.int64]]  # (T,)
    offsets: np.ndarray[Any, np.dtype[np.int64]]  # (N + 1,)
    labels: np.ndarray[Any, np.dtype[np.int64]]  # (T,)

    @property
    def lengths(self) -> np.ndarray[Any, np.dtype[np.int64]]:
        """(N,)"""
        return np.diff(self.offsets)

    @property
    def n_tokens(self) -> int:
        """T: padding is not counted, whoever computes it."""
        return len(self.input_ids)

    @property
    def padding(self) -> float:
        """The share of a padded (N, longest) matrix that is padding."""
        return 1 - self.n_tokens / (len(self.lengths) * int(self.lengths.max()))

    @classmethod
    def pack(cls, sequences: list[tuple[list[int], list[int]]]) -> TokenBatch:
        """Put (input ids, label ids) pairs side by side."""
        offsets = np.cumsum([0, *(len(ids) for ids, _ in sequences)])
        ids = np.fromiter(chain.from_iterable(ids for ids, _ in sequences), np.int64)
        labels = np.fromiter(chain.from_iterable(labels for _, labels in sequences), np.int64)
        return cls(ids, offsets, labels)


class Sentences:
    """The encoded sentences that every workload is cut from."""

    def __init__(self, base: Path) -> None:
        tokenizer = load_tokenizer(base)
        sentences = read_conll(SENTENCES)
        self.label_names = tag_names(sentences)
        label_ids = {name: i for i, name in enumerate(self.label_names)}
        pieces = [align(tokenizer, s, label_ids, MAX_LENGTH) for s in sentences]
        self.sequences = [(p.input_ids, p.label_ids) for p in pieces]

    def batches(self, workload: Workload, *, by_length: bool = False) -> list[TokenBatch]:
        """All full batches, in file order; ``by_length`` sorts sentences, then shuffles batches."""
        if workload.length is None:
            sequences = self.sequences
            if by_length:
                sequences = sorted(sequences, key=lambda sequence: len(sequence[0]))
        else:
            sequences = self._cut(workload.length)
        size = workload.batch_size
        batches = [
            TokenBatch.pack(sequences[start : start + size])
            for start in range(0, len(sequences) - size + 1, size)
        ]
        if by_length:
            np.random.default_rng(0).shuffle(batches)  # type: ignore[arg-type]
        return batches

    def _cut(self, length: int) -> list[tuple[list[int], list[int]]]:
        """The running text in sequences of ``length``, each between its own [CLS] and [SEP]."""
        cls, sep = self.sequences[0][0][0], self.sequences[0][0][-1]
        ids = list(chain.from_iterable(ids[1:-1] for ids, _ in self.sequences))
        labels = list(chain.from_iterable(labels[1:-1] for _, labels in self.sequences))
        inner = length - 2
        return [
            ([cls, *ids[i : i + inner], sep], [IGNORED, *labels[i : i + inner], IGNORED])
            for i in range(0, len(ids) - inner + 1, inner)
        ]


def save_batches(path: Path, batches: list[TokenBatch]) -> None:
    """Write batches where both sides can read them."""
    arrays = {f"{name}.{i}": a for i, b in enumerate(batches) for name, a in vars(b).items()}
    np.savez(path, **arrays)


def load_batches(path: Path) -> list[TokenBatch]:
    """What ``save_batches`` wrote."""
    with np.load(path) as arrays:
        n_batches = sum(name.startswith("offsets.") for name in arrays)
        return [
            TokenBatch(*(arrays[f"{name}.{i}"] for name in ("input_ids", "offsets", "labels")))
            for i in range(n_batches)
        ]
