"""Losses."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ConfigError, DataError, ShapeError, did_you_mean
from minilora.ops.dropout import check_probability


@op
def cross_entropy(
    logits: Array,
    targets: Array,
    *,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> OpResult:
    """loss = −Σ_t Σ_c q_tc log p_tc,   p = softmax(logits),   q_t = (1 − ε) onehot(target) + ε/C

    logits (R, C), targets (R,) integers  ->  scalar;   dlogits = (p − q) dy

    Rows whose target is ``ignore_index`` count for nothing. ``reduction="mean"`` divides by the
    number of rows that count, as torch does; with none that count the loss is 0 (torch: NaN).

    Label smoothing ε: Szegedy et al. 2015, arXiv:1512.00567, §7.
    """
    _check_targets(logits, targets, ignore_index)
    check_probability("cross_entropy: label_smoothing", label_smoothing)
    loss, dlogits = kernels.cross_entropy(logits, targets, ignore_index, label_smoothing)
    if reduction == "sum":
        scale = 1.0
    elif reduction == "mean":
        scale = 1.0 / max(1, int((targets != ignore_index).sum()))
    else:
        raise ConfigError(
            f"cross_entropy: reduction={reduction!r} is not known."
            f"{did_you_mean(str(reduction), ('mean', 'sum'))}"
        )
    return loss * scale, (lambda dy: dlogits * (dy * scale), None)


@op
def mse_loss(x: Array, y: Array) -> OpResult:
    """loss = mean (x − y)²

    x (...), y (...) of one shape  ->  scalar;   dx = 2 (x − y) / n,   dy = −dx
    """
    if x.shape != y.shape:
        raise ShapeError(f"mse_loss: x {x.shape} and y {y.shape} must have one shape.")
    e = x - y
    scale = 2.0 / max(1, e.size)
    return np.mean(e * e, dtype=e.dtype), (
        lambda d: e * (d * scale),
        lambda d: e * (d * -scale),
    )


def _check_targets(logits: Array, targets: Array, ignore_index: int) -> None:
    if logits.ndim != 2 or targets.shape != logits.shape[:1]:
        raise ShapeError(
            f"cross_entropy: logits {logits.shape} must be (R, C) and targets {targets.shape} (R,)."
        )
    if targets.dtype.kind not in "iu":
        raise DataError(
            f"cross_entropy: targets are {targets.dtype}; class numbers, integers, were expected."
        )
    C = logits.shape[1]
    wrong = (targets != ignore_index) & ((targets < 0) | (targets >= C))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise DataError(
            f"cross_entropy: target {targets[row]} in row {row}; there are {C} classes, "
            f"0 to {C - 1}, and {ignore_index} for rows to ignore."
        )
