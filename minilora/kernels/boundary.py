"""What arrays must look like before they reach a compiled loop."""

from __future__ import annotations

import numpy as np

from minilora._types import Array, Shape
from minilora.errors import ShapeError


def plain(x: Array, like: Array, shape: Shape | None = None) -> Array:
    """``x`` in the dtype of ``like``, C-contiguous, aligned and writable; copied only if needed.

    Numba compiles anew for each layout, read-only flag and dtype that it meets, and compiled loops
    check no bounds: so everything passes here first.

    Raises
    ------
    ShapeError
        If ``x`` has not the ``shape`` that the loop will walk over.
    """
    if shape is not None and x.shape != shape:
        raise ShapeError(f"kernels: an array {x.shape} came where {shape} was expected.")
    if x.dtype == like.dtype and x.flags.carray:
        return x
    return np.array(x, like.dtype, order="C")


def plain_indices(ids: Array, shape: Shape) -> Array:
    """``ids`` as `plain` int64 of that ``shape``."""
    return plain(ids, np.empty(0, np.int64), shape)


def check_range(ids: Array, n: int) -> None:
    """Raise IndexError, as NumPy would, for an index outside of 0 … n − 1."""
    if ids.size and not 0 <= ids.min() <= ids.max() < n:
        raise IndexError(f"kernels: indices {ids.min()} … {ids.max()} reach beyond 0 … {n - 1}.")


def check_packing(q: Array, offsets: Array, n_heads: int) -> None:
    """Raise ShapeError if ``offsets`` do not cut the rows of ``q`` (T, D), or heads its columns."""
    T, D = q.shape
    if n_heads < 1 or D % n_heads:
        raise ShapeError(f"kernels: {D} columns do not divide into {n_heads} heads.")
    if offsets[0] != 0 or offsets[-1] != T or (np.diff(offsets) < 0).any():
        raise ShapeError(f"kernels: offsets must rise from 0 to {T}; they are {offsets.tolist()}.")
