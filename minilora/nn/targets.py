"""The labels of a batch, checked before any work is done on it."""

from __future__ import annotations

from typing import Literal

from minilora._types import Array
from minilora.errors import DataError, ShapeError
from minilora.text import IGNORED, Batch


def checked_targets(
    batch: Batch, *, per: Literal["token", "sequence"], n_classes: int, n_targets: int | None
) -> tuple[Array, int]:
    """The labels, and what to divide the sum of losses by.

    Raises
    ------
    DataError
        No labels, none but -100, some that are no integers, or one that is no class.
    ShapeError
        Labels that are not one per token or per sequence.
    """
    labels = batch.labels
    if labels is None:
        raise DataError("loss: the batch has no labels; a loss needs them; pack it with labels=.")
    n = batch.n_tokens if per == "token" else batch.n_sequences
    if labels.shape != (n,):
        raise ShapeError(
            f"loss: the batch's labels have shape {labels.shape}; this model wants one per {per}, "
            f"({n},); pack labels of that kind or use the other model."
        )
    if labels.dtype.kind not in "iu":
        raise DataError(
            f"loss: the batch's labels are {labels.dtype}; class numbers are integers; "
            "pack them as int64."
        )
    wrong = (labels != IGNORED) & ((labels < 0) | (labels >= n_classes))
    if wrong.any():
        i = int(wrong.argmax())
        raise DataError(
            f"loss: label {labels[i]} at {per} {i} of the batch; this model has classes 0 to "
            f"{n_classes - 1}, and {IGNORED} means none; check the order of the label names."
        )
    divisor = batch.n_targets if n_targets is None else n_targets
    if divisor < 1:
        raise DataError(
            f"loss: n_targets is {divisor}; expected at least one label other than {IGNORED}; "
            "leave such batches out."
        )
    return labels, divisor
