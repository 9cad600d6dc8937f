"""Small matrix products and the copies they work on, for one head of one sequence.

BLAS is made for larger ones. Rows are padded with zeros to multiples of four.

Indices are unsigned. Numba lets a signed one count from the end, and asking costs as much as the
arithmetic does here: 28 × 32 by 32 × 32 takes 1.24 µs with signed indices, 0.85 µs without, and
1.66 µs with BLAS.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from minilora._types import Array
from minilora.kernels.elementary import fma
from minilora.kernels.jit import inner

Index: TypeAlias = Any
"""np.uintp"""

_0, _1, _2, _3, _4 = (np.uintp(i) for i in range(5))


@inner
def up(n: Index, step: Index) -> Index:
    """The next multiple of ``step``."""
    return (n + step - _1) // step * step


@inner
def matrix(memory: Array, rows: Index, columns: Index) -> Array:
    """The beginning of ``memory`` as a matrix."""
    return memory[: rows * columns].reshape(rows, columns)


@inner
def copy_head(x: Array, h: Index, K: Index, scale: float, y: Array) -> None:
    """y = scale · x[:, h K : (h + 1) K], padded with zeros"""
    y[:] = y.dtype.type(0)
    for i in range(np.uintp(x.shape[0])):
        for d in range(K):
            y[i, d] = x[i, h * K + d] * scale


@inner
def transpose_head(x: Array, h: Index, K: Index, scale: float, y: Array) -> None:
    """y = scale · x[:, h K : (h + 1) K]ᵀ, padded with zeros"""
    y[:] = y.dtype.type(0)
    for i in range(np.uintp(x.shape[0])):
        for d in range(K):
            y[d, i] = x[i, h * K + d] * scale


@inner
def add_product(A: Array, B: Array, C: Array) -> None:
    """C += A B       A (m, k), B (k, n), C (m, n); m and k multiples of 4

    Four rows of C share four rows of B. Vectorised along n without reordering a sum.
    """
    m, k, n = np.uintp(C.shape[0]), np.uintp(B.shape[0]), np.uintp(C.shape[1])
    for i in range(_0, m, _4):
        for d in range(_0, k, _4):
            a0, a1, a2, a3 = A[i, d], A[i, d + _1], A[i, d + _2], A[i, d + _3]
            b0, b1, b2, b3 = A[i + _1, d], A[i + _1, d + _1], A[i + _1, d + _2], A[i + _1, d + _3]
            c0, c1, c2, c3 = A[i + _2, d], A[i + _2, d + _1], A[i + _2, d + _2], A[i + _2, d + _3]
            d0, d1, d2, d3 = A[i + _3, d], A[i + _3, d + _1], A[i + _3, d + _2], A[i + _3, d + _3]
            for j in range(n):
                x0, x1, x2, x3 = B[d, j], B[d + _1, j], B[d + _2, j], B[d + _3, j]
                C[i, j] = fma(a3, x3, fma(a2, x2, fma(a1, x1, fma(a0, x0, C[i, j]))))
                C[i + _1, j] = fma(b3, x3, fma(b2, x2, fma(b1, x1, fma(b0, x0, C[i + _1, j]))))
                C[i + _2, j] = fma(c3, x3, fma(c2, x2, fma(c1, x1, fma(c0, x0, C[i + _2, j]))))
                C[i + _3, j] = fma(d3, x3, fma(d2, x2, fma(d1, x1, fma(d0, x0, C[i + _3, j]))))


@inner
def multiply(A: Array, B: Array, C: Array) -> None:
    """C = A B       as `add_product`"""
    C[:] = C.dtype.type(0)
    add_product(A, B, C)
