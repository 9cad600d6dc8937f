"""Robust PCA: a low-rank matrix and a sparse one, told apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from minilora._types import Array
from minilora.errors import ConfigError
from minilora.linalg.checks import as_matrix


@dataclass(frozen=True, eq=False)
class LowRankPlusSparse:
    """X ≈ L + S.

    L (m, n) of low rank, S (m, n) sparse; ``residual`` is ‖X − L − S‖_F / ‖X‖_F after ``n_iter``
    iterations, and ``converged`` whether it came below the tolerance.
    """

    L: Array
    S: Array
    n_iter: int
    residual: float
    converged: bool


def robust_pca(
    X: Array, *, weight: float | None = None, tol: float = 1e-7, max_iter: int = 1000
) -> LowRankPlusSparse:
    """Principal component pursuit: minimise ‖L‖_* + λ ‖S‖₁ subject to L + S = X.

    X (m, n);  λ ``weight``, by default 1/√max(m, n), which recovers L and S exactly when L is of
    low rank and spread out and S is sparse at random places.

    Alternates the two proximal steps, singular values and entries shrunk towards zero, and a step
    of the multiplier Y (augmented Lagrangian, μ = m n / 4‖X‖₁):

        L ← D_{1/μ}(X − S + Y/μ),   S ← 𝒮_{λ/μ}(X − L + Y/μ),   Y ← Y + μ (X − L − S)

    Candès, Li, Ma and Wright 2011, arXiv:0912.3599, eq. 1.1 and algorithm 1.

    Raises
    ------
    ConfigError
        If weight, tol or max_iter are not positive.
    NumericError, ShapeError
        If X holds NaN or infinity, or is no matrix.
    """
    X = as_matrix(X, "robust_pca")
    weight = 1 / np.sqrt(max(1, *X.shape)) if weight is None else weight
    for name, value in (("weight", weight), ("tol", tol), ("max_iter", max_iter)):
        if not value > 0:
            raise ConfigError(f"robust_pca: {name}={value} must be above 0.")
    L, S, Y = np.zeros_like(X), np.zeros_like(X), np.zeros_like(X)
    size = float(np.linalg.norm(X))
    if size == 0:
        return LowRankPlusSparse(L, S, n_iter=0, residual=0.0, converged=True)
    mu = X.size / (4 * float(np.abs(X).sum()))
    residual, n_iter = 1.0, 0
    while residual > tol and n_iter < max_iter:
        L = shrink_singular_values(X - S + Y / mu, 1 / mu)
        S = shrink(X - L + Y / mu, float(weight) / mu)
        gap = X - L - S
        Y += mu * gap
        residual = float(np.linalg.norm(gap)) / size
        n_iter += 1
    return LowRankPlusSparse(L, S, n_iter=n_iter, residual=residual, converged=residual <= tol)


def shrink(X: Array, threshold: float) -> Array:
    """𝒮_τ(x) = sign(x) max(|x| − τ, 0), the proximal step of τ ‖·‖₁"""
    shrunk: Array = np.sign(X) * np.maximum(np.abs(X) - threshold, 0)
    return shrunk


def shrink_singular_values(X: Array, threshold: float) -> Array:
    """D_τ(X) = U 𝒮_τ(Σ) Vᵀ, the proximal step of τ ‖·‖_*"""
    U, S, Vh = np.linalg.svd(X, full_matrices=False)
    kept = S > threshold
    product: Array = (U[:, kept] * (S[kept] - threshold)) @ Vh[kept]
    return product
