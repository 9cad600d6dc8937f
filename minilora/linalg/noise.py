"""What noise alone does to singular values, and where signal begins.

A matrix (m, n) of independent entries with standard deviation s has, for large m and n, all its
singular values below s (√m + √n), spread as Marchenko and Pastur found. With β = min/max of (m, n)
and singular values divided by s √max(m, n), everything depends on β alone.
"""

from __future__ import annotations

import functools
import math

import numpy as np

from minilora._types import Array, Shape
from minilora.errors import ConfigError, NumericError, ShapeError
from minilora.linalg.checks import as_spectrum


def marchenko_pastur_edge(shape: Shape, noise: float) -> float:
    """s (√m + √n): the largest singular value that noise of standard deviation s reaches.

    Marchenko and Pastur 1967, doi:10.1070/SM1967v001n04ABEH001994. Values above it are outliers.
    """
    beta, largest = _aspect(shape, "marchenko_pastur_edge")
    return noise * math.sqrt(largest) * (1 + math.sqrt(beta))


@functools.lru_cache(maxsize=256)
def marchenko_pastur_median(beta: float) -> float:
    """Median of the squared, scaled singular values of noise.

    The x at which ∫ √((b − t)(t − a)) / (2π β t) dt from a reaches 1/2,   a, b = (1 ∓ √β)²

    Raises
    ------
    ConfigError
        If β is not in (0, 1].
    """
    from scipy.integrate import quad  # here: to load these takes longer than all the rest
    from scipy.optimize import brentq

    if not 0 < beta <= 1:
        raise ConfigError(f"marchenko_pastur_median: beta={beta} must lie in (0, 1].")
    a, b = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2

    def below(x: float) -> float:
        """Share of values below x; t = a + (b − a) sin² u takes both square roots away."""
        end = math.asin(math.sqrt((x - a) / (b - a)))

        def density(u: float) -> float:
            t = a + (b - a) * math.sin(u) ** 2
            if t == 0.0:  # β = 1 at u = 0, where sin² u / t → 1 / (b − a)
                return (b - a) / (math.pi * beta)
            return (b - a) ** 2 * (math.sin(u) * math.cos(u)) ** 2 / (math.pi * beta * t)

        return float(quad(density, 0.0, end, epsabs=1e-13, epsrel=1e-13)[0])

    return float(brentq(lambda x: below(x) - 0.5, a, b, xtol=1e-13, rtol=1e-13))


def noise_level(S: Array, shape: Shape) -> float:
    """s = median σ / √(n μ_β): standard deviation of the entries, if most of X is noise.

    S (min(m, n),) all singular values of X (m, n), n the larger side, μ_β the median above.

    Gavish and Donoho 2014, arXiv:1305.5870.

    Raises
    ------
    NumericError
        If the median is zero: a matrix of low rank, such as a LoRA update s B A, has no noise to
        measure. Use a full fine-tuning difference, or pass the noise.
    """
    beta, largest = _aspect(shape, "noise_level")
    S = as_spectrum(S, "noise_level")
    if len(S) != min(shape):
        raise ShapeError(
            f"noise_level: {len(S)} singular values for a matrix {tuple(shape)}; "
            f"all {min(shape)} are needed, zeros included, since the median is taken."
        )
    median = float(np.median(S))
    if median <= S.max(initial=0.0) * max(shape) * np.finfo(np.float64).eps:
        raise NumericError(
            f"noise_level: the median of {len(S)} singular values is zero: the matrix is of low "
            "rank by construction (a LoRA update?) and shows no noise. Apply this to a full "
            "fine-tuning difference or to W + dW, or say what the noise is."
        )
    return median / math.sqrt(largest * marchenko_pastur_median(beta))


def hard_threshold(S: Array, shape: Shape, *, noise: float | None = None) -> float:
    """τ = λ(β) √n s: keep the singular values above, drop the rest.

    λ(β) = √(2(β + 1) + 8β / ((β + 1) + √(β² + 14β + 1))),   4/√3 for a square matrix

    S (min(m, n),) all singular values of X (m, n), n the larger side; ``noise`` s is the standard
    deviation of an entry, estimated by `noise_level` when not known. No other threshold has a
    smaller error in the limit of large matrices.

    Gavish and Donoho 2014, arXiv:1305.5870: known noise and, with the median, unknown noise.

    Raises
    ------
    NumericError
        As `noise_level`, when the noise is not given and the matrix shows none.
    ConfigError
        If ``noise`` is negative or no number.
    """
    beta, largest = _aspect(shape, "hard_threshold")
    if noise is None:
        noise = noise_level(S, shape)
    if not (math.isfinite(noise) and noise >= 0):
        raise ConfigError(f"hard_threshold: noise={noise} must be a number, 0 or more.")
    root = math.sqrt(beta * beta + 14 * beta + 1)
    return math.sqrt(2 * (beta + 1) + 8 * beta / (beta + 1 + root)) * math.sqrt(largest) * noise


def _aspect(shape: Shape, who: str) -> tuple[float, int]:
    """β = min/max of the sides, and the larger side."""
    if len(shape) != 2 or min(shape) < 1:
        raise ShapeError(f"{who}: shape {tuple(shape)} must be (m, n), both at least 1.")
    return min(shape) / max(shape), max(shape)
