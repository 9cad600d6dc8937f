"""How two subspaces lie to each other: principal angles, distances, the LoRA paper's φ."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minilora._types import Array
from minilora.errors import ConfigError, ShapeError, did_you_mean
from minilora.linalg.checks import as_matrix

Metric = Literal["geodesic", "chordal", "projection"]


def principal_angles(X: Array, Y: Array) -> Array:
    """θ_1 ≤ θ_2 ≤ … in radians, between the column spaces of X and Y.

    X (d, p), Y (d, q) of full column rank  ->  (min(p, q),)

    Cosines are the singular values of Q_Xᵀ Q_Y. Below 45° they say little (cos θ ≈ 1 − θ²/2), and
    the sines, singular values of Q_Y − Q_X Q_Xᵀ Q_Y, are used instead: exact to rounding at any
    angle. Björck and Golub 1973, doi:10.1090/S0025-5718-1973-0348991-3, algorithm 1 and §4.

    Raises
    ------
    ShapeError
        If X and Y do not live in one space, or one has dependent columns.
    NumericError
        If they hold NaN or infinity.
    """
    Q_X, Q_Y = _basis(X, "X"), _basis(Y, "Y")
    if len(Q_X) != len(Q_Y):
        raise ShapeError(
            f"principal_angles: X lives in {len(Q_X)} dimensions and Y in {len(Q_Y)}; "
            "both need the same number of rows."
        )
    if Q_X.shape[1] < Q_Y.shape[1]:
        Q_X, Q_Y = Q_Y, Q_X
    C = Q_X.T @ Q_Y
    cosines = np.clip(np.linalg.svd(C, compute_uv=False), 0, 1)  # falling: angles rise
    sines = np.clip(np.linalg.svd(Q_Y - Q_X @ C, compute_uv=False), 0, 1)[::-1]
    angles: Array = np.where(cosines**2 > 0.5, np.arcsin(sines), np.arccos(cosines))
    return angles


def grassmann_distance(X: Array, Y: Array, *, metric: Metric = "geodesic") -> float:
    """Distance of two subspaces of equal dimension p, from their principal angles θ.

    geodesic √Σ θ²  (at most √p π/2),   chordal √Σ sin² θ  (at most √p),   projection max sin θ

    Edelman, Arias and Smith 1998, arXiv:physics/9806030, §4.3.

    Raises
    ------
    ShapeError
        If the dimensions differ: then no distance of points on one Grassmannian is defined.
    """
    if np.shape(X)[-1] != np.shape(Y)[-1]:
        raise ShapeError(
            f"grassmann_distance: dimensions {np.shape(X)[-1]} and {np.shape(Y)[-1]} differ; "
            "truncate the larger, or compare with phi."
        )
    theta = principal_angles(X, Y)
    distances = {
        "geodesic": np.linalg.norm(theta),
        "chordal": np.linalg.norm(np.sin(theta)),
        "projection": np.sin(theta).max(initial=0.0),
    }
    if metric not in distances:
        raise ConfigError(
            f"grassmann_distance: no metric {metric!r}.{did_you_mean(metric, distances)}"
        )
    return float(distances[metric])


def phi(U: Array, V: Array) -> Array:
    """φ(i, j) = ‖U_iᵀ V_j‖_F² / min(i, j), for all i and j at once.

    U (d, p), V (d, q) with orthonormal columns, in order of falling singular value; U_i are the
    first i columns  ->  (p, q), entry [i − 1, j − 1] is φ(i, j), between 0 (orthogonal) and 1
    (one contains the other).

    Hu et al. 2021, arXiv:2106.09685, §7.2, eq. 4.
    """
    U, V = as_matrix(U, "phi: U"), as_matrix(V, "phi: V")
    if len(U) != len(V):
        raise ShapeError(f"phi: U {U.shape} and V {V.shape} need the same number of rows.")
    overlap: Array = np.cumsum(np.cumsum((U.T @ V) ** 2, axis=0), axis=1)  # (p, q)
    i, j = np.ogrid[1 : overlap.shape[0] + 1, 1 : overlap.shape[1] + 1]
    return overlap / np.minimum(i, j)


def phi_of_random_subspaces(p: int, q: int, d: int) -> Array:
    """E φ(i, j) = max(i, j) / d for subspaces drawn at random from d dimensions.

    For all i up to p and j up to q at once  ->  (p, q), as `phi`. Each of the i · j squared cosines
    has mean 1/d. What φ has to exceed to mean anything.
    """
    i, j = np.ogrid[1 : p + 1, 1 : q + 1]
    null: Array = np.maximum(i, j) / d
    return null


def _basis(X: Array, name: str) -> Array:
    """Orthonormal basis of the column space (d, p)."""
    X = as_matrix(X, f"principal_angles: {name}")
    d, p = X.shape
    Q, R = np.linalg.qr(X)
    size = np.abs(np.diag(R))
    if p > d or (p and size.min() <= size.max() * d * np.finfo(np.float64).eps):
        raise ShapeError(
            f"principal_angles: the {p} columns of {name} {X.shape} depend on each other; "
            "pass a basis, such as the leading singular vectors."
        )
    return Q
