"""Ops that only move entries."""

from __future__ import annotations

import numpy as np

from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ShapeError


@op
def concatenate(*xs: Array, axis: int = 0) -> OpResult:
    """One array after the other along ``axis``; the gradient is cut at the same places."""
    try:
        y = np.concatenate(xs, axis=axis)
    except ValueError as error:
        shapes = ", ".join(str(x.shape) for x in xs)
        raise ShapeError(f"concatenate: {shapes} along axis {axis}: {error}.") from None
    cuts = np.cumsum([x.shape[axis] for x in xs])[:-1]
    return y, lambda dy: tuple(np.split(dy, cuts, axis=axis))
