"""Singular value decompositions: exact, truncated, randomised, and of a product of thin factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np

from minilora._types import Array, Rng, Shape
from minilora.errors import ConfigError, ShapeError, did_you_mean
from minilora.linalg.blas import one_blas_thread
from minilora.linalg.checks import as_matrix, as_spectrum

Weighting = Literal["both", "left", "right"]
"""Which factor carries the singular values: each its root, B = U Σ, or A = Σ Vh."""


class Multiplier(Protocol):
    """A matrix (m, n) that is only ever multiplied by: large, or never formed."""

    @property
    def shape(self) -> Shape:
        """(m, n)"""

    def times(self, X: Array) -> Array:
        """X (n, k) -> (m, k)"""

    def transposed_times(self, Y: Array) -> Array:
        """Y (m, k) -> (n, k)"""


@dataclass(frozen=True, eq=False)
class SVD:
    """X = U diag(S) Vh, thin.

    U (m, k) and Vh (k, n) have orthonormal columns and rows, S (k,) falls. Signs are fixed: the
    entry of largest magnitude in each column of U is positive, so that equal matrices give equal
    factors.
    """

    U: Array
    S: Array
    Vh: Array

    def truncate(self, r: int) -> SVD:
        """The r leading triplets: the best approximation of rank r in every unitary norm.

        Eckart and Young 1936, doi:10.1007/BF02288367; Mirsky 1960, doi:10.1093/qmath/11.1.50.
        """
        _check_rank(r, len(self.S), "truncate")
        return SVD(self.U[:, :r], self.S[:r], self.Vh[:r])

    def matrix(self) -> Array:
        """U diag(S) Vh (m, n)"""
        product: Array = (self.U * self.S) @ self.Vh
        return product

    def factors(self, weighting: Weighting = "both") -> tuple[Array, Array]:
        """B (m, k) and A (k, n) whose product is the matrix.

        "both"   B = U √S, A = √S Vh    mergekit's extraction, PEFT's intruder mitigation
        "left"   B = U S,  A = Vh       PEFT's convert_to_lora and add_weighted_adapter, kohya
        "right"  B = U,    A = S Vh     mergekit, where it does not distribute S

        Raises
        ------
        ConfigError
            If ``weighting`` is none of these.
        """
        powers = {"both": (0.5, 0.5), "left": (1.0, 0.0), "right": (0.0, 1.0)}
        if weighting not in powers:
            raise ConfigError(
                f"factors: no weighting {weighting!r}.{did_you_mean(weighting, powers)}"
            )
        left, right = powers[weighting]
        return self.U * self.S**left, (self.S**right)[:, None] * self.Vh


def svd(X: Array, *, rank: int | None = None) -> SVD:
    """X = U diag(S) Vh, thin; with ``rank`` only the leading triplets.

    X (m, n)  ->  U (m, k), S (k,), Vh (k, n),   k = rank or min(m, n)

    Raises
    ------
    ShapeError
        If X is no matrix, or ``rank`` not in 0..min(m, n).
    NumericError
        If X holds NaN or infinity.
    """
    X = as_matrix(X, "svd")
    full = _signed(*np.linalg.svd(X, full_matrices=False))
    return full if rank is None else full.truncate(rank)


@one_blas_thread()
def product_svd(B: Array, A: Array, *, scale: float = 1.0) -> SVD:
    """scale · B A = U diag(S) Vh, exactly, without forming the product.

    B (m, r), A (r, n)  ->  U (m, k), S (k,), Vh (k, n),   k = min(m, n, r)

    With B = Q_B R_B and Aᵀ = Q_A R_A, the SVD of the small R_B R_Aᵀ = U' S V'ᵀ gives U = Q_B U' and
    V = Q_A V'. Costs O((m + n) r²) time and O((m + n) r) memory instead of O(m n min(m, n)).

    Raises
    ------
    ShapeError
        If B and A do not chain.
    NumericError
        If they hold NaN or infinity.
    """
    B, A = as_matrix(B, "product_svd: B"), as_matrix(A, "product_svd: A")
    if B.shape[1] != A.shape[0]:
        raise ShapeError(
            f"product_svd: B {B.shape} and A {A.shape} do not chain; B (m, r) takes A (r, n)."
        )
    Q_B, R_B = np.linalg.qr(B)
    Q_A, R_A = np.linalg.qr(A.T)
    U, S, Vh = np.linalg.svd(scale * (R_B @ R_A.T), full_matrices=False)
    return _signed(Q_B @ U, S, Vh @ Q_A.T)


@one_blas_thread()
def randomized_svd(
    X: Array | Multiplier, rank: int, *, rng: Rng, n_oversamples: int = 10, n_iter: int = 4
) -> SVD:
    """About the ``rank`` leading triplets of X, from products with X alone.

    X (m, n), or anything that multiplies like one  ->  U (m, rank), S (rank,), Vh (rank, n)

    Sketches the range with rank + n_oversamples Gaussian vectors and sharpens it by ``n_iter``
    power iterations, orthonormalised in between. Exact when X has no more than that rank;
    otherwise the error is close to the best possible, the closer the faster the spectrum falls.

    Halko, Martinsson and Tropp 2011, arXiv:0909.4061, algorithms 4.4 and 5.1.
    """
    X = _Dense(as_matrix(X, "randomized_svd")) if isinstance(X, np.ndarray) else X
    _check_rank(rank, min(X.shape), "randomized_svd")
    width = min(rank + n_oversamples, *X.shape)
    Q = np.linalg.qr(X.times(rng.standard_normal((X.shape[1], width))))[0]  # (m, width)
    for _ in range(n_iter):
        Q = np.linalg.qr(X.times(np.linalg.qr(X.transposed_times(Q))[0]))[0]
    XtQ = as_matrix(X.transposed_times(Q), "randomized_svd")  # (n, width)
    V, S, Uh = np.linalg.svd(XtQ, full_matrices=False)
    return _signed(Q @ Uh.T, S, V.T).truncate(rank)


def truncation_error(S: Array, r: int) -> tuple[float, float]:
    """What the best approximation of rank r leaves: (‖X − X_r‖_F, ‖X − X_r‖₂).

    S (k,) singular values  ->  √Σ_{i>r} σ_i²,   σ_{r+1}        Eckart, Young, Mirsky: see `SVD`
    """
    S = as_spectrum(S, "truncation_error")
    _check_rank(r, len(S), "truncation_error")
    rest = S[r:]
    return float(np.linalg.norm(rest)), float(rest.max(initial=0.0))


@dataclass(frozen=True, eq=False)
class _Dense:
    """A matrix as a Multiplier."""

    X: Array

    @property
    def shape(self) -> Shape:
        return self.X.shape

    def times(self, X: Array) -> Array:
        product: Array = self.X @ X
        return product

    def transposed_times(self, Y: Array) -> Array:
        product: Array = self.X.T @ Y
        return product


def _signed(U: Array, S: Array, Vh: Array) -> SVD:
    if U.size:
        largest = np.take_along_axis(U, np.abs(U).argmax(axis=0)[None], axis=0)[0]  # (k,)
        signs = np.where(largest < 0, -1.0, 1.0)
        U, Vh = U * signs, signs[:, None] * Vh
    return SVD(U, S, Vh)


def _check_rank(r: int, largest: int, who: str) -> None:
    if not 0 <= r <= largest:
        raise ShapeError(f"{who}: rank {r} does not lie in 0..{largest}, what this matrix has.")
