"""Scores as text: one table for entities, one for classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from minilora.cli.table import Cell, table

MAIN_SCORE = {"ner": ("f1", "F1"), "classify": ("accuracy", "accuracy")}
"""What `minilora.train` chooses the best epoch by: its key and what people call it."""

_CONFUSIONS = 3  # how many are said


def score_lines(scores: Mapping[str, Any]) -> list[str]:
    """Lay out what `minilora.train.evaluate` returned."""
    return _entity_lines(scores) if "types" in scores else _class_lines(scores)


def headline(scores: Mapping[str, Any]) -> str:
    """The scores that are single numbers, in one line."""
    if "types" in scores:
        return f"F1 {scores['f1']:.4f}, strict F1 {scores['strict']['f1']:.4f}"
    return f"accuracy {scores['accuracy']:.4f}, macro F1 {scores['macro_f1']:.4f}"


def _entity_lines(scores: Mapping[str, Any]) -> list[str]:
    types = scores["types"]
    total = {**scores, "support": sum(of["support"] for of in types.values())}
    rows = [_row(name, of) for name, of in types.items()]
    return [
        *table(["type", *_COLUMNS], [*rows, _row("all", total)]),
        "",
        f"strict F1 {scores['strict']['f1']:.4f}, accuracy of words {scores['accuracy']:.4f}, "
        f"loss {scores['loss']:.4f}",
    ]


def _class_lines(scores: Mapping[str, Any]) -> list[str]:
    classes = scores["classes"]
    return [
        *table(["label", *_COLUMNS], [_row(name, of) for name, of in classes.items()]),
        "",
        f"accuracy {scores['accuracy']:.4f}, macro F1 {scores['macro_f1']:.4f}, "
        f"weighted F1 {scores['weighted_f1']:.4f}, loss {scores['loss']:.4f}",
        *_confusions(np.array(scores["confusion"]), list(classes)),
    ]


_COLUMNS = ("precision", "recall", "F1", "support")


def _row(name: str, of: Mapping[str, Any]) -> list[Cell]:
    return [name, of["precision"], of["recall"], of["f1"], of["support"]]


def _confusions(counts: np.ndarray[Any, Any], names: list[str]) -> list[str]:
    """The commonest mistakes, in words."""
    mistakes = counts * (1 - np.eye(len(counts), dtype=counts.dtype))  # (C, C)
    commonest = np.argsort(-mistakes, axis=None, kind="stable")[:_CONFUSIONS]
    pairs = [divmod(int(i), len(names)) for i in commonest if mistakes.flat[i]]
    said = [f"{names[i]} for {names[j]} ({mistakes[i, j]:,})" for i, j in pairs]
    return [f"most often mistaken: {', '.join(said)}"] if said else []
