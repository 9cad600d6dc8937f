"""How many directions a spectrum uses: six answers to one question, and the condition number.

All take singular values S (k,), falling, and are 0 for the zero matrix. Tools differ in whether
they weigh directions by σ or by σ²; each function says which.
"""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array, Shape
from minilora.errors import ConfigError
from minilora.linalg.checks import as_spectrum


def numerical_rank(S: Array, *, shape: Shape, dtype: type[np.floating] = np.float64) -> int:
    """#{σ_i > σ₁ · max(m, n) · ε},   ε the machine epsilon of ``dtype``

    S (k,), shape (m, n) of the matrix; dtype in which the matrix was *made* (a float32 product
    has rounding noise of float32's size, whatever the SVD was computed in).

    The rule of `numpy.linalg.matrix_rank`.
    """
    S = as_spectrum(S, "numerical_rank")
    if not S.any():
        return 0
    return int(np.count_nonzero(S > S[0] * max(shape) * float(np.finfo(dtype).eps)))


def stable_rank(S: Array) -> float:
    """‖X‖_F² / ‖X‖₂² = Σ σ_i² / σ₁²

    Between 1 and the rank; changes little when X does. Rudelson and Vershynin 2007,
    arXiv:math/0503442, §1 (as numerical rank).
    """
    S = as_spectrum(S, "stable_rank")
    return float(np.sum((S / S[0]) ** 2)) if S.any() else 0.0


def effective_rank(S: Array, *, squared: bool = False) -> float:
    """exp(−Σ p_i ln p_i),   p_i = σ_i / Σ σ

    The number of equal singular values with the same entropy. Roy and Vetterli 2007, EUSIPCO,
    §2, weigh by σ; ``squared=True`` weighs by σ², as weightwatcher's matrix entropy does.
    """
    S = as_spectrum(S, "effective_rank")
    if not S.any():
        return 0.0
    weight = S / S[0]
    p = weight**2 if squared else weight
    p = p[p > 0] / p.sum()
    return math.exp(-float(np.sum(p * np.log(p))))


def participation_ratio(S: Array) -> float:
    """(Σ σ_i²)² / Σ σ_i⁴: the number of equal σ² with the same second moment."""
    S = as_spectrum(S, "participation_ratio")
    if not S.any():
        return 0.0
    energy = (S / S[0]) ** 2
    return float(energy.sum() ** 2 / np.sum(energy**2))


def nuclear_ratio(S: Array) -> float:
    """‖X‖_* / ‖X‖₂ = Σ σ_i / σ₁"""
    S = as_spectrum(S, "nuclear_ratio")
    return float(S.sum() / S[0]) if S.any() else 0.0


def energy_rank(S: Array, share: float, *, squared: bool = True) -> int:
    """The smallest k with Σ_{i≤k} σ_i² ≥ share · Σ σ_i²

    ``squared=False`` sums σ instead of σ². 0 < share ≤ 1.

    Raises
    ------
    ConfigError
        If ``share`` is not in (0, 1].
    """
    S = as_spectrum(S, "energy_rank")
    if not 0 < share <= 1:
        raise ConfigError(f"energy_rank: share={share} must lie in (0, 1]; 0.9 keeps 90 %.")
    if not S.any():
        return 0
    weight = S / S[0]
    cumulated = np.cumsum(weight**2 if squared else weight)
    enough = share * cumulated[-1]
    return min(int(np.searchsorted(cumulated, enough)) + 1, int(np.count_nonzero(S)))


def condition_number(S: Array) -> float:
    """σ₁ / σ_k: infinite for a singular matrix, and for the zero matrix."""
    S = as_spectrum(S, "condition_number")
    return float(S[0] / S[-1]) if S.size and S[-1] > 0 else math.inf
