"""What a trained model says of data, and how often it is right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from minilora import kernels
from minilora._types import Array
from minilora.errors import DataError
from minilora.text import IGNORED, Batch, Dataset, Sentence
from minilora.text.dataset import first_pieces
from minilora.train.metrics import (
    Score,
    Scores,
    accuracy,
    class_scores,
    confusion_matrix,
    entity_scores,
)
from minilora.train.parallel import map_shards

METRICS = {
    "ner": ("f1", "precision", "recall", "accuracy", "loss"),
    "classify": ("accuracy", "macro_f1", "weighted_f1", "loss"),
}
"""The scores of `evaluate` that are single numbers, by task, the one to choose by first."""


@dataclass(frozen=True, eq=False)
class TagPrediction:
    """Tags of the words of a sentence, and how sure the model is of each.

    A word that was cut off or has no word pieces was not seen: it is ``O`` with probability 0.
    """

    tags: list[str]
    probabilities: Array  # (words,)


@dataclass(frozen=True, eq=False)
class ClassPrediction:
    """The likeliest label, and the probability of every label in the order of ``label_names``."""

    label: str
    probabilities: Array  # (C,)


def evaluate(
    model: Any,
    data: Dataset | Iterable[Dataset],
    *,
    batch_size: int = 32,
    threads: int | None = None,
) -> dict[str, Any]:
    """Score a model on labelled data; nothing is recorded and nothing dropped.

    Parameters
    ----------
    model
        A model with a head.
    data
        Rows with labels, of the names in ``model.label_names``; or parts of them, which may be
        made when they are asked for: none is kept.
    batch_size
        Rows at a time, all threads together; the scores do not depend on it. Parts are taken as
        they are.
    threads
        See `minilora.train.train_step`.

    Returns
    -------
    What JSON can say. For NER ``loss`` (mean cross-entropy over the first pieces of words),
    ``precision``, ``recall``, ``f1`` (of all entities together, as seqeval counts), ``types`` (the
    same for each entity type, with its ``support``), ``accuracy`` (of words), and ``strict``
    (precision, recall, f1 and types as seqeval's strict IOB2). For classification ``loss``,
    ``accuracy``, ``macro_f1``, ``weighted_f1``, ``classes`` (precision, recall, f1, support of
    each) and ``confusion`` (rows true, columns predicted).

    Raises
    ------
    DataError
        Data that is empty, without labels, or with other labels than the model's.
    """
    if isinstance(data, Dataset):
        check_data("evaluate", model, data)
        check_labelled("evaluate", data)
        data = _windows(data, batch_size)
    loss, n_targets, gold, predicted = 0.0, 0, list[Any](), list[Any]()
    for part in data:
        check_data("evaluate", model, part)
        logits = _row_logits(model, part, threads)
        part_loss, part_targets = _summed_loss(part, logits)
        loss, n_targets = loss + part_loss, n_targets + part_targets
        gold += _gold(part)
        predicted += _predicted(part, logits)
    if n_targets == 0:
        raise DataError(f"evaluate: not one of {len(gold)} rows has a label to compare with.")
    if model.labels_are_per == "token":
        return {"loss": loss / n_targets, **_score_tags(gold, predicted)}
    return {"loss": loss / n_targets, **_score_classes(gold, predicted, model.label_names)}


def predict(
    model: Any, data: Dataset, *, batch_size: int = 32, threads: int | None = None
) -> list[TagPrediction] | list[ClassPrediction]:
    """Predict for every row, in order.

    Parameters and errors are those of `evaluate`, but labels are not needed.
    """
    check_data("predict", model, data)
    windows = _windows(data, batch_size)
    logits = [row for window in windows for row in _row_logits(model, window, threads)]
    if data.task == "ner":
        return [_tag(data, i, kernels.softmax(row)) for i, row in enumerate(logits)]
    probabilities = kernels.softmax(np.stack(logits))
    return [ClassPrediction(data.label_names[int(p.argmax())], p) for p in probabilities]


def check_data(where: str, model: Any, data: Dataset) -> None:
    """Raise DataError if ``data`` has no rows, or is not for this model: its task and labels."""
    if len(data) == 0:
        raise DataError(f"{where}: the data has no rows; at least one was expected.")
    wanted = "ner" if model.labels_are_per == "token" else "classify"
    if data.task != wanted:
        raise DataError(
            f"{where}: the data is for {data.task}; a {type(model).__name__} takes data for "
            f"{wanted}; encode it for that, or use the other model."
        )
    if tuple(data.label_names) != tuple(model.label_names):
        raise DataError(
            f"{where}: the data has the labels {', '.join(data.label_names)}, the model "
            f"{', '.join(model.label_names)}; encode the data with the model's label_names."
        )


def check_labelled(where: str, data: Dataset) -> None:
    """Raise DataError if there is nothing in ``data`` to learn or compare with."""
    if data.labels is None:
        raise DataError(f"{where}: the data has no labels; they were expected on every row.")
    if all((np.asarray(row) == IGNORED).all() for row in data.labels):
        raise DataError(
            f"{where}: not one of the {len(data)} rows has a label left that is not ignored; "
            "was every word cut off or empty?"
        )


def _windows(data: Dataset, batch_size: int) -> Iterator[Dataset]:
    return (data.select(indices) for indices in data.batches(batch_size))


def _row_logits(model: Any, data: Dataset, threads: int | None) -> list[Array]:
    """Logits of every row, in order: (L, C) each for NER, (C,) for classification."""
    rows: list[Array] = [np.empty(0)] * len(data)

    def forward(shard: Batch) -> Sequence[Array]:
        logits: Array = model(shard).data
        return np.split(logits, shard.offsets[1:-1]) if data.task == "ner" else list(logits)

    for members, logits in map_shards(forward, data.batch(range(len(data))), threads=threads):
        for row, row_logits in zip(members, logits, strict=True):
            rows[row] = row_logits
    return rows


def _summed_loss(data: Dataset, logits: Sequence[Array]) -> tuple[float, int]:
    """Σ cross-entropies over the labels that are not ignored, and how many those are."""
    if data.labels is None:
        raise DataError("evaluate: the data has no labels; they were expected on every row.")
    join = np.concatenate if data.task == "ner" else np.stack
    targets = np.asarray(join(list(data.labels)), np.int64)
    total, _ = kernels.cross_entropy(join(logits), targets, IGNORED, 0.0)
    return float(total), int(np.count_nonzero(targets != IGNORED))


def _gold(data: Dataset) -> list[Any]:
    """The tags of each sentence, or the label id of each text."""
    if data.task == "ner":
        return [row.tags for row in data.rows if isinstance(row, Sentence)]
    return [] if data.labels is None else list(data.labels)


def _predicted(data: Dataset, logits: Sequence[Array]) -> list[Any]:
    """The same, as the model says it."""
    if data.task == "ner":
        return [data.word_tags(i, row.argmax(axis=1)) for i, row in enumerate(logits)]
    return [row.argmax() for row in logits]


def _score_tags(gold: list[list[str]], predicted: list[list[str]]) -> dict[str, Any]:
    strict = entity_scores(gold, predicted, scheme="strict")
    return {
        **_entities(entity_scores(gold, predicted)),
        "accuracy": accuracy(gold, predicted),
        "strict": _entities(strict),
    }


def _entities(scores: Scores) -> dict[str, Any]:
    micro = scores.micro
    return {
        "precision": micro.precision,
        "recall": micro.recall,
        "f1": micro.f1,
        "types": {name: score.to_json() for name, score in scores.types.items()},
    }


def _score_classes(gold: list[int], predicted: list[int], names: Sequence[str]) -> dict[str, Any]:
    confusion = confusion_matrix(np.array(gold), np.array(predicted), len(names))
    scores, absent = class_scores(confusion, names), Score(0.0, 0.0, 0.0, 0)
    return {
        "accuracy": float(np.trace(confusion)) / len(gold),
        "macro_f1": scores.macro.f1,
        "weighted_f1": scores.weighted.f1,
        "classes": {name: scores.types.get(name, absent).to_json() for name in names},
        "confusion": confusion.tolist(),
    }


def _tag(data: Dataset, i: int, probabilities: Array) -> TagPrediction:
    """Tags of row ``i`` from the probabilities of its pieces (L, C)."""
    tags = data.word_tags(i, probabilities.argmax(axis=1))
    word_ids = data.encodings[i].word_ids
    sure = np.zeros(len(tags), probabilities.dtype)
    for piece in first_pieces(word_ids):
        sure[word_ids[piece]] = probabilities[piece].max()
    return TagPrediction(tags, sure)
