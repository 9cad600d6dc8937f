"""Sequences side by side, without padding.

A batch is all its tokens in one row; sequence n is ``offsets[n]:offsets[n + 1]``. Everything but
attention works on (T, D) matrices and never asks where a sequence ends.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.errors import DataError, ShapeError
from minilora.text.encoding import Encoding

IGNORED = -100
"""The label of a token that is not to be predicted, as in torch's ``ignore_index``."""

BREAK_EVEN_LENGTH = 512
"""Length L at which attention costs as much as everything else.

A layer's matrix products take 12 D² multiply-adds a token (4 D² in attention's projections, 8 D² in
the feed-forward part, F = 4 D), attention's own products 2 L D. They meet at L = 6 D: 2304 for
MiniLM. Attention's small products and its exponentials run about four times slower than a large
product does, which brings it down to about 512.
"""


@dataclass(frozen=True, eq=False)
class Batch:
    """N packed sequences of T tokens in all.

    Attributes
    ----------
    input_ids, position_ids, token_type_ids
        One entry a token (T,) int64; positions start at 0 in every sequence.
    offsets
        Where sequences start and end (N + 1,) int64, from 0 to T.
    labels
        A label a token (T,) or a sequence (N,) int64, -100 where there is none to learn; or None.
    """

    input_ids: Array
    position_ids: Array
    token_type_ids: Array
    offsets: Array
    labels: Array | None = None

    def __post_init__(self) -> None:
        T, N = len(self.input_ids), len(self.offsets) - 1
        if N < 1 or self.offsets[0] != 0 or self.offsets[-1] != T or (self.lengths < 1).any():
            raise ShapeError(
                f"Batch: offsets {self.offsets} do not cut {T} tokens into sequences; "
                f"they must rise from 0 to {T}. Batch.pack makes them from encodings."
            )
        if self.labels is not None and self.labels.shape not in {(T,), (N,)}:
            raise ShapeError(
                f"Batch: labels have shape {self.labels.shape}; "
                f"({T},) for one a token or ({N},) for one a sequence was expected."
            )

    @classmethod
    def pack(
        cls,
        encodings: Sequence[Encoding],
        labels: Sequence[Array] | Sequence[int] | Array | None = None,
    ) -> Batch:
        """Put encodings one after the other.

        Parameters
        ----------
        encodings
            N encodings, at least one.
        labels
            For token tasks N arrays (L,), for sequence tasks N ints, for inference None.

        Raises
        ------
        ShapeError
            No encodings, or labels that do not fit them.
        """
        if not encodings:
            raise ShapeError("Batch.pack: got no encodings; a batch has at least one sequence.")
        lengths = [len(e) for e in encodings]
        return cls(
            input_ids=np.concatenate([e.input_ids for e in encodings]),
            position_ids=np.concatenate([np.arange(L) for L in lengths]),
            token_type_ids=np.concatenate([e.token_type_ids for e in encodings]),
            offsets=_offsets(lengths),
            labels=_pack_labels(labels, lengths),
        )

    @property
    def n_tokens(self) -> int:
        """T."""
        return len(self.input_ids)

    @property
    def n_sequences(self) -> int:
        """N."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Array:
        """Tokens in each sequence (N,)."""
        return np.diff(self.offsets)

    @property
    def n_targets(self) -> int:
        """How many labels there are to learn: those that are not -100."""
        return 0 if self.labels is None else int(np.count_nonzero(self.labels != IGNORED))

    def select(self, indices: Iterable[int] | Array) -> Batch:
        """The batch of these sequences, in this order."""
        chosen = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices), np.int64)
        starts, lengths = self.offsets[chosen], self.lengths[chosen]
        offsets = _offsets(lengths)
        tokens = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
        labels = self.labels
        if labels is not None:
            labels = labels[tokens if len(labels) == self.n_tokens else chosen]
        return Batch(
            input_ids=self.input_ids[tokens],
            position_ids=self.position_ids[tokens],
            token_type_ids=self.token_type_ids[tokens],
            offsets=offsets,
            labels=labels,
        )

    def shards(self, n: int) -> list[Batch]:
        """Cut into at most ``n`` batches that take about equally long; none is empty."""
        return [self.select(indices) for indices in self.shard_indices(n)]

    def shard_indices(self, n: int) -> list[Array]:
        """Which sequences each of `shards` holds, in rising order.

        The longest sequence goes first, each to the shard with the least to do so far (Graham 1969:
        no shard takes more than 4/3 of the best possible). The same batch and ``n`` always give
        the same shards.
        """
        if n < 1:
            raise ShapeError(f"Batch.shards: cannot cut a batch into {n} shards; 1 or more.")
        lengths = self.lengths
        cost = lengths * (1 + lengths / BREAK_EVEN_LENGTH)  # (N,)
        members: list[list[int]] = [[] for _ in range(min(n, self.n_sequences))]
        loads = [(0.0, shard) for shard in range(len(members))]  # a heap: the least loaded first
        for i in np.argsort(-cost, kind="stable"):
            load, shard = loads[0]
            members[shard].append(int(i))
            heapq.heapreplace(loads, (load + float(cost[i]), shard))
        return [np.sort(np.array(indices, np.int64)) for indices in members]

    def chunk_indices(self, n_tokens: int) -> list[Array]:
        """Which sequences to take at a time so that never more than ``n_tokens`` tokens are held.

        About as few chunks as that takes, about equally long, as `shard_indices` cuts them. A
        sequence longer than ``n_tokens`` is a chunk of its own.
        """
        if n_tokens < 1:
            raise ShapeError(
                f"Batch.chunk_indices: cannot cut a batch into chunks of {n_tokens} tokens; "
                "1 or more."
            )
        lengths = self.lengths
        least = math.ceil(np.minimum(lengths, n_tokens).sum() / n_tokens)
        attempts = (self.shard_indices(n) for n in range(least, self.n_sequences + 1))
        return next(
            chunks
            for chunks in attempts
            if all(len(chunk) == 1 or lengths[chunk].sum() <= n_tokens for chunk in chunks)
        )


def _offsets(lengths: Sequence[int] | Array) -> Array:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _pack_labels(
    labels: Sequence[Array] | Sequence[int] | Array | None, lengths: Sequence[int]
) -> Array | None:
    if labels is None:
        return None
    if len(labels) != len(lengths):
        raise ShapeError(
            f"Batch.pack: {len(labels)} labels for {len(lengths)} encodings; one each was expected."
        )
    if np.ndim(labels[0]) == 0:
        return _integers(labels)
    for n, (label, L) in enumerate(zip(labels, lengths, strict=True)):
        if np.shape(label) != (L,):
            raise ShapeError(
                f"Batch.pack: labels of sequence {n} have shape {np.shape(label)}; "
                f"its encoding has ({L},)."
            )
    return np.concatenate([_integers(label) for label in labels])


def _integers(labels: Any) -> Array:
    array = np.asarray(labels)
    if array.dtype.kind not in "iu":
        raise DataError(
            f"Batch.pack: labels are {array.dtype}; expected integers, the numbers of classes."
        )
    return array.astype(np.int64)
