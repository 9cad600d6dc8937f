"""A small picture of an update that can be drawn again at every rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minilora._types import Array
from minilora.linalg import SVD

SIDE = 32
"""Rows and columns of a picture."""


@dataclass(frozen=True, eq=False)
class Picture:
    """The entries of ΔW where it is strongest, as factors.

    ΔW_k[rows][:, columns] = left[:, :k] diag(σ_1 … σ_k) right[:k]

    Attributes
    ----------
    rows, columns
        Which of ΔW's they are, rising.
    left, right
        Those rows (m, r) of U, and those columns (r, n) of Vh.
    """

    rows: Array
    columns: Array
    left: Array
    right: Array


def picture(update: SVD, *, side: int = SIDE) -> Picture:
    """The ``side`` rows and columns of ΔW that have the largest norms, or all there are.

    An average over blocks would cancel, since signs alternate; entries chosen evenly would show
    noise. The norms of the rows of ΔW are those of U diag(S), of its columns those of Vhᵀ diag(S).
    """
    rows = _strongest(np.linalg.norm(update.U * update.S, axis=1), side)
    columns = _strongest(np.linalg.norm(update.Vh.T * update.S, axis=1), side)
    return Picture(rows, columns, update.U[rows], update.Vh[:, columns])


def _strongest(norms: Array, n: int) -> Array:
    return np.sort(np.argsort(-norms, kind="stable")[:n])
