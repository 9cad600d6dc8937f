"""The affine map, the only op LoRA changes."""

from __future__ import annotations

from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ShapeError


@op
def linear(x: Array, W: Array, b: Array | None = None) -> OpResult:
    """y = x Wᵀ + b

    x (..., I), W (O, I), b (O,) or None  ->  y (..., O)

    dx = dy W,   dW = Σ dyᵀ x,   db = Σ dy      (Σ over all leading axes)

    Only dW needs x: freeze W and x is not kept.

    Raises
    ------
    ShapeError
        If the shapes are not these.
    """
    if x.ndim < 1 or W.ndim != 2 or (b is not None and b.shape != W.shape[:1]):
        raise ShapeError(
            f"linear: expected x (..., I), W (O, I) and b (O,) or None; got x {x.shape}, "
            f"W {W.shape}, b {None if b is None else b.shape}."
        )
    if x.shape[-1] != W.shape[1]:
        raise ShapeError(
            f"linear: x {x.shape} has {x.shape[-1]} features in its last axis, "
            f"but W {W.shape} takes {W.shape[1]}."
        )
    y = x @ W.T
    if b is not None:
        y += b
    pullbacks = (
        lambda dy: dy @ W,
        lambda dy: rows(dy).T @ rows(x),
        lambda dy: rows(dy).sum(axis=0),
    )
    return y, pullbacks


def rows(x: Array) -> Array:
    """View (..., D) as (rows, D)."""
    return x.reshape(-1, x.shape[-1])
