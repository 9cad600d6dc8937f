"""Does a spectrum have a heavy tail? A power law fitted to its eigenvalues."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from minilora._types import Array
from minilora.errors import NumericError
from minilora.linalg.checks import as_spectrum


@dataclass(frozen=True)
class PowerLaw:
    """p(λ) ∝ λ^(−alpha) for λ ≥ x_min.

    sigma = (alpha − 1) / √n_tail is the standard error of alpha, ks_distance the largest gap
    between the fitted and the empirical distribution function of the tail.
    """

    alpha: float
    x_min: float
    n_tail: int
    sigma: float
    ks_distance: float


def fit_power_law(S: Array) -> PowerLaw:
    """Fit the tail of the eigenvalues λ = σ² of Xᵀ X.

    S (k,) singular values. For every x_min among the eigenvalues, alpha is the maximum-likelihood
    estimate 1 + n / Σ ln(λ_i / x_min) over the n eigenvalues from x_min up; the x_min whose fit has
    the smallest Kolmogorov-Smirnov distance wins. Zero eigenvalues are left out.

    Clauset, Shalizi and Newman 2009, arXiv:0706.1062, §3; weightwatcher's
    ``alpha`` (Martin and Mahoney 2021, arXiv:1810.01075).

    Raises
    ------
    NumericError
        If fewer than three distinct eigenvalues are above zero.
    """
    eigenvalues = np.sort(as_spectrum(S, "fit_power_law") ** 2)  # rising
    eigenvalues = eigenvalues[eigenvalues > 0]
    logs = np.log(eigenvalues)
    _, firsts = np.unique(logs, return_index=True)
    if (n_distinct := len(firsts)) < 3:
        raise NumericError(
            f"fit_power_law: {n_distinct} distinct eigenvalues above zero; "
            "at least 3 are needed to see a tail."
        )
    fits = (_fit_from(logs, start, float(eigenvalues[start])) for start in firsts[:-1])
    return min(fits, key=lambda fit: fit.ks_distance)


def _fit_from(logs: Array, start: int, x_min: float) -> PowerLaw:
    """The fit to the eigenvalues from ``start`` on, of which ``x_min`` is the first."""
    above = logs[start:] - logs[start]  # (n,) ln(λ / x_min), rising from 0
    n = len(above)
    alpha = 1 + n / float(above.sum())
    model = 1 - np.exp((1 - alpha) * above)  # P(λ' < λ)
    counted = np.arange(n) / n
    return PowerLaw(
        alpha=alpha,
        x_min=x_min,
        n_tail=n,
        sigma=(alpha - 1) / math.sqrt(n),
        ks_distance=float(np.abs(model - counted).max()),
    )
