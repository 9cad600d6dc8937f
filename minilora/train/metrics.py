"""How good predictions are: classes, and entities as seqeval counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.errors import DataError, ShapeError
from minilora.text.bio import Scheme, spans


@dataclass(frozen=True)
class Score:
    """Precision, recall and their harmonic mean, 0 where undefined; support counts gold items."""

    precision: float
    recall: float
    f1: float
    support: int

    def to_json(self) -> dict[str, Any]:
        """As a dictionary."""
        return asdict(self)


@dataclass(frozen=True)
class Scores:
    """A score for every class or entity type, and three ways to make one of them.

    ``micro`` counts all items together, ``macro`` is the plain mean over types, ``weighted`` the
    mean weighted by support.
    """

    types: dict[str, Score]
    micro: Score
    macro: Score
    weighted: Score


def entity_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]], *, scheme: Scheme = "conll"
) -> Scores:
    """Score entities: one counts as found if its type, first and last word are all right.

    Parameters
    ----------
    gold, predicted
        Tags of each sentence, equally many.
    scheme
        Which tags make an entity, see `minilora.text.bio.spans`: ``"conll"`` is seqeval's default
        (and conlleval's), ``"strict"`` is seqeval's ``mode="strict", scheme=IOB2``.

    Notes
    -----
    Equal to seqeval's numbers in every bit. Where there is no entity at all, gold or predicted,
    seqeval's macro average is NaN and ours 0.

    Raises
    ------
    ShapeError
        Sentences of different lengths.
    """
    _check_lengths("entity_scores", gold, predicted)
    in_gold = set(spans(_one_line(gold), scheme=scheme))
    found = set(spans(_one_line(predicted), scheme=scheme))
    right, claimed, true = (
        Counter(span[0] for span in some) for some in (in_gold & found, found, in_gold)
    )
    types = sorted(claimed.keys() | true.keys())
    counts = np.array([[c[name] for name in types] for c in (right, claimed, true)], np.int64)
    return _scores(types, counts.reshape(3, len(types)))


def class_scores(confusion: Array, names: Sequence[str]) -> Scores:
    """Score classes from a confusion matrix (C, C); classes that never occur are left out.

    So macro F1 averages over the classes that are in the data or were predicted, as in
    scikit-learn. Micro precision, recall and F1 all equal the accuracy.
    """
    counts = np.array([np.diag(confusion), confusion.sum(axis=0), confusion.sum(axis=1)])
    seen = [c for c in range(len(names)) if counts[1:, c].any()]
    return _scores([names[c] for c in seen], counts[:, seen])


def confusion_matrix(gold: Array, predicted: Array, n_classes: int) -> Array:
    """How often class i was taken for class j.

    gold (N,), predicted (N,) integers  ->  (C, C) int64, gold along the rows

    Raises
    ------
    ShapeError
        If there is not one prediction for each.
    DataError
        If something is no class, 0 to C − 1.
    """
    if gold.shape != predicted.shape:
        raise ShapeError(
            f"confusion_matrix: gold {gold.shape} and predicted {predicted.shape} differ; "
            "one prediction for each was expected."
        )
    for name, classes in (("gold", gold), ("predicted", predicted)):
        whole = classes.dtype.kind in "iu" or not classes.size
        if not whole or ((classes < 0) | (classes >= n_classes)).any():
            raise DataError(
                f"confusion_matrix: {name} has {classes.dtype} from {classes.min()} to "
                f"{classes.max()}; expected integers from 0 to {n_classes - 1}."
            )
    cells = gold.astype(np.int64) * n_classes + predicted.astype(np.int64)
    counts = np.bincount(cells, minlength=n_classes * n_classes)
    return counts.reshape(n_classes, n_classes)


def accuracy(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> float:
    """Share of words whose tag is right; 0 when there are none."""
    _check_lengths("accuracy", gold, predicted)
    pairs = [
        g == p
        for some, others in zip(gold, predicted, strict=True)
        for g, p in zip(some, others, strict=True)
    ]
    return sum(pairs) / max(1, len(pairs))


def _one_line(sentences: Sequence[Sequence[str]]) -> list[str]:
    """All tags in one row, each sentence closed by an O: no entity crosses it."""
    return [tag for tags in sentences for tag in (*tags, "O")]


def _check_lengths(
    where: str, gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> None:
    lengths, others = [len(tags) for tags in gold], [len(tags) for tags in predicted]
    if lengths != others:
        n = next((n for n, (g, p) in enumerate(zip(lengths, others, strict=False)) if g != p), None)
        said = (
            f"sentence {n} has {lengths[n]} and {others[n]} tags"
            if n is not None
            else (f"{len(gold)} and {len(predicted)} sentences")
        )
        raise ShapeError(f"{where}: {said}; gold and predicted must have equally many.")


def _scores(types: Sequence[str], counts: Array) -> Scores:
    """Scores from how many were right, claimed and true of each type: (3, types)."""
    each = _precision_recall_f1(counts)  # (3, types)
    support = counts[2]
    total = int(support.sum())
    micro = _precision_recall_f1(counts.sum(axis=1, keepdims=True))[:, 0]
    macro = [row.mean() if len(types) else 0.0 for row in each]
    weighted = [(row * support).sum() / total if total else 0.0 for row in each]
    return Scores(
        {
            name: _score(column, int(n))
            for name, column, n in zip(types, each.T, support, strict=True)
        },
        *(_score(values, total) for values in (micro, macro, weighted)),
    )


def _precision_recall_f1(counts: Array) -> Array:
    """p = right / claimed,   r = right / true,   F₁ = 2 p r / (p + r);   0 where 0 / 0"""
    right, claimed, true = counts
    p = right / np.maximum(claimed, 1)
    r = right / np.maximum(true, 1)
    total = p + r
    return np.array([p, r, 2.0 * p * r / np.where(total == 0, 1.0, total)])


def _score(values: Sequence[float] | Array, support: int) -> Score:
    precision, recall, f1 = (float(value) for value in values)
    return Score(precision, recall, f1, support)
