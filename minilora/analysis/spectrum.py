"""The spectrum of one matrix, and what it says in numbers that a reader can compare."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minilora._types import Array, Shape
from minilora.errors import NumericError
from minilora.linalg import (
    condition_number,
    effective_rank,
    energy_rank,
    fit_power_law,
    nuclear_ratio,
    numerical_rank,
    participation_ratio,
    stable_rank,
)

KEPT = 256
"""Singular values that a Spectrum keeps: what a figure can show."""
TAIL = 50
"""Singular values it takes to speak of a tail, as in weightwatcher."""

MEANINGS = {
    "values": "Singular values, falling: how far the matrix stretches along each direction.",
    "frobenius": "Size of the matrix: the root of the sum of its squared entries.",
    "spectral": "Largest singular value: the most it can stretch a vector.",
    "numerical_rank": "Directions that are more than rounding noise.",
    "effective_rank": "Directions in use, weighed by σ: equal ones with the same entropy.",
    "stable_rank": "Σ σ² / σ₁²: 1 when one direction has all the energy.",
    "participation_ratio": "Directions in use, weighed by σ²: equal ones with the same spread.",
    "nuclear_ratio": "Σ σ / σ₁: 1 when one direction is all there is.",
    "condition_number": "Largest over smallest singular value (of the r that an update has).",
    "energy_rank_90": "Directions that hold 90 % of the energy Σ σ².",
    "energy_rank_99": "Directions that hold 99 % of the energy Σ σ².",
    "power_law_alpha": "Exponent of the tail of σ² (weightwatcher's alpha); lower is heavier.",
}
"""One line for each measure of a `Spectrum`."""


@dataclass(frozen=True, kw_only=True)
class Spectrum:
    """What the singular values of a matrix say; `MEANINGS` explains each.

    ``complete`` is False when only the leading singular values were computed; measures that need
    all of them are then None. ``values`` holds at most `KEPT`.
    """

    values: tuple[float, ...]
    complete: bool
    frobenius: float
    spectral: float
    stable_rank: float
    energy_rank_90: int | None
    energy_rank_99: int | None
    numerical_rank: int | None = None
    effective_rank: float | None = None
    participation_ratio: float | None = None
    nuclear_ratio: float | None = None
    condition_number: float | None = None
    power_law_alpha: float | None = None


def spectrum(S: Array, shape: Shape, *, dtype: type[np.floating] = np.float64) -> Spectrum:
    """Measure a matrix by its singular values.

    Parameters
    ----------
    S
        All singular values (k,), falling; zeros of a product of rank k may be left out.
    shape
        (m, n) of the matrix.
    dtype
        What the matrix was computed in, for the size of its rounding noise.

    Raises
    ------
    ShapeError, NumericError
        As `minilora.linalg.stable_rank`.
    """
    condition = condition_number(S)
    return Spectrum(
        values=tuple(float(s) for s in S[:KEPT]),
        complete=True,
        frobenius=float(np.linalg.norm(S)),
        spectral=float(S.max(initial=0.0)),
        stable_rank=stable_rank(S),
        energy_rank_90=energy_rank(S, 0.90),
        energy_rank_99=energy_rank(S, 0.99),
        numerical_rank=numerical_rank(S, shape=shape, dtype=dtype),
        effective_rank=effective_rank(S),
        participation_ratio=participation_ratio(S),
        nuclear_ratio=nuclear_ratio(S),
        condition_number=condition if math.isfinite(condition) else None,
        power_law_alpha=_tail_exponent(S),
    )


def _tail_exponent(S: Array) -> float | None:
    if np.count_nonzero(S) < TAIL:
        return None
    try:
        return fit_power_law(S).alpha
    except NumericError:  # the values of an orthogonal matrix are all one
        return None


def leading_spectrum(S: Array, frobenius: float) -> Spectrum:
    """Measure a matrix by its leading singular values (k,) and its exact Frobenius norm."""
    spectral = float(S.max(initial=0.0))
    energy = np.cumsum(S**2)

    def rank_of(share: float) -> int | None:
        enough = np.flatnonzero(energy >= share * frobenius**2)
        return int(enough[0]) + 1 if enough.size else None

    return Spectrum(
        values=tuple(float(s) for s in S[:KEPT]),
        complete=False,
        frobenius=frobenius,
        spectral=spectral,
        stable_rank=(frobenius / spectral) ** 2 if spectral > 0 else 0.0,
        energy_rank_90=rank_of(0.90),
        energy_rank_99=rank_of(0.99),
    )
