"""Rows of a table by number."""

from __future__ import annotations

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ShapeError


@op
def embedding(ids: Array, weight: Array) -> OpResult:
    """y_t = weight[ids_t]

    ids (T,) integers, weight (V, D)  ->  y (T, D);   dweight[i] = Σ dy_t over all t with ids_t = i
    """
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise ShapeError(
            f"embedding: ids {ids.shape} of {ids.dtype} must be (T,) of integers; pack sequences "
            "one after the other."
        )
    V = weight.shape[0]
    if ids.size and not 0 <= ids.min() <= ids.max() < V:
        raise ShapeError(
            f"embedding: ids run from {ids.min()} to {ids.max()}, but the table has rows 0 to "
            f"{V - 1}. Do tokenizer and model belong together?"
        )
    return weight[ids], (None, lambda dy: kernels.scatter_add(ids, dy, V))
