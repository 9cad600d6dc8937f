"""Do two matrices use the same directions? φ(i, j) of the LoRA paper, with what chance gives."""

from __future__ import annotations

from dataclasses import dataclass

from minilora._types import Array
from minilora.linalg import SVD, phi, phi_of_random_subspaces

Table = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Phi:
    """φ(i, j) of one side, and its expectation for random directions.

    Row i − 1 is for the first i directions of the one matrix, column j − 1 for the first j of the
    other: 1 when the smaller set lies within the larger, 0 when they are orthogonal. A value tells
    something as far as it exceeds ``null``, max(i, j) / d in d dimensions.
    """

    values: Table
    null: Table


@dataclass(frozen=True)
class Similarity:
    """φ of the left singular vectors (what is written, O dimensions) and the right (what is read).

    Hu et al. 2021, arXiv:2106.09685, §7.2, show those of A (right) across ranks and seeds.
    """

    left: Phi
    right: Phi


def similarity(first: SVD, second: SVD, *, depth: int | None = None) -> Similarity:
    """Compare the leading ``depth`` (default: all) directions of two matrices (O, I).

    Raises
    ------
    ShapeError
        When the matrices do not have the same shape.
    """
    return Similarity(
        left=phi_with_null(first.U[:, :depth], second.U[:, :depth]),
        right=phi_with_null(first.Vh[:depth].T, second.Vh[:depth].T),
    )


def phi_with_null(U: Array, V: Array) -> Phi:
    """φ(i, j) of orthonormal columns U (d, p) and V (d, q), and its null expectation."""
    null = phi_of_random_subspaces(U.shape[1], V.shape[1], len(U))
    return Phi(_table(phi(U, V)), _table(null))


def _table(X: Array) -> Table:
    return tuple(tuple(row) for row in X.tolist())
