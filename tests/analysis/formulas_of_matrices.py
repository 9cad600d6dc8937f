"""Formulas of `minilora.linalg`."""

import math

import numpy as np
import scipy.integrate
import scipy.linalg
import scipy.optimize
import scipy.stats
from formula_table import RANK, apart, basis, factors, falling, formula

from minilora.linalg import (
    condition_number,
    effective_rank,
    energy_rank,
    fit_power_law,
    grassmann_distance,
    hard_threshold,
    marchenko_pastur_median,
    nuclear_ratio,
    numerical_rank,
    participation_ratio,
    phi,
    principal_angles,
    product_svd,
    randomized_svd,
    robust_pca,
    stable_rank,
    svd,
    truncation_error,
)


@formula("thin SVD", "planted singular values")
def _(rng, shape):
    S = falling(rng, min(shape))
    X = (basis(rng, shape[0], len(S)) * S) @ basis(rng, shape[1], len(S)).T
    return apart(svd(X).S, S)


@formula("SVD of s B A from the factors", "SciPy's SVD of the dense product")
def _(rng, shape):
    B, A = factors(rng, shape)
    f, dense = product_svd(B, A, scale=-1.4), -1.4 * B @ A
    exact = scipy.linalg.svdvals(dense)[:RANK]
    return max(apart(f.S, exact), apart(f.matrix(), dense))


@formula("randomised SVD, of a matrix of that rank", "SciPy's SVD")
def _(rng, shape):
    B, A = factors(rng, shape)
    return apart(randomized_svd(B @ A, RANK, rng=rng).S, scipy.linalg.svdvals(B @ A)[:RANK])


@formula("Eckart-Young: error of a truncation", "norms of the dense remainder")
def _(rng, shape):
    X = rng.standard_normal(shape)
    rest = X - svd(X, rank=5).matrix()
    expected = np.linalg.norm(rest), np.linalg.norm(rest, 2)
    return apart(truncation_error(scipy.linalg.svdvals(X), 5), expected)


@formula("numerical rank", "numpy.linalg.matrix_rank", 0)
def _(rng, shape):
    B, A = factors(rng, shape)
    return abs(numerical_rank(svd(B @ A).S, shape=shape) - np.linalg.matrix_rank(B @ A))


@formula("stable rank", "Frobenius and spectral norm of the matrix")
def _(rng, shape):
    X = rng.standard_normal(shape)
    return apart(stable_rank(svd(X).S), (np.linalg.norm(X) / np.linalg.norm(X, 2)) ** 2)


@formula("effective rank (σ)", "exp of scipy.stats.entropy")
def _(rng, shape):
    S = falling(rng, min(shape))
    return apart(effective_rank(S), math.exp(scipy.stats.entropy(S)))


@formula("effective rank (σ²)", "exp of scipy.stats.entropy")
def _(rng, shape):
    S = falling(rng, min(shape))
    return apart(effective_rank(S, squared=True), math.exp(scipy.stats.entropy(S**2)))


@formula("participation ratio", "traces of XᵀX and its square")
def _(rng, shape):
    X = rng.standard_normal(shape)
    gram = X.T @ X
    return apart(participation_ratio(svd(X).S), np.trace(gram) ** 2 / np.trace(gram @ gram))


@formula("nuclear ratio", "norms of the matrix")
def _(rng, shape):
    X = rng.standard_normal(shape)
    return apart(nuclear_ratio(svd(X).S), np.linalg.norm(X, "nuc") / np.linalg.norm(X, 2))


@formula("condition number", "numpy.linalg.cond", 1e-10)
def _(rng, shape):
    X = rng.standard_normal(shape)
    return apart(condition_number(svd(X).S), np.linalg.cond(X))


@formula("energy rank (σ², σ)", "a loop that adds up", 0)
def _(rng, shape):
    S, share = falling(rng, min(shape)), rng.uniform(0.1, 0.99)
    wrong = 0
    for squared in (True, False):
        weights = [s**2 if squared else s for s in S]
        k = next(k for k in range(1, len(S) + 1) if sum(weights[:k]) >= share * sum(weights))
        wrong += k != energy_rank(S, share, squared=squared)
    return wrong


@formula("principal angles", "scipy.linalg.subspace_angles", 1e-10)
def _(rng, shape):
    X, Y = rng.standard_normal((shape[0], 5)), rng.standard_normal((shape[0], 7))
    return apart(principal_angles(X, Y), np.sort(scipy.linalg.subspace_angles(X, Y)))


@formula("Grassmann distances", "angles of SciPy, projectors", 1e-10)
def _(rng, shape):
    X, Y = basis(rng, shape[0], 5), basis(rng, shape[0], 5)
    P = X @ X.T - Y @ Y.T
    expected = {
        "geodesic": np.linalg.norm(scipy.linalg.subspace_angles(X, Y)),
        "chordal": np.linalg.norm(P) / math.sqrt(2),
        "projection": np.linalg.norm(P, 2),
    }
    return max(apart(grassmann_distance(X, Y, metric=m), d) for m, d in expected.items())


@formula("φ(i, j)", "mean squared cosine of SciPy's angles", 1e-10)
def _(rng, shape):
    U, V = basis(rng, shape[0], 5), basis(rng, shape[0], 7)
    table = phi(U, V)
    return max(
        apart(
            table[i - 1, j - 1],
            np.mean(np.cos(scipy.linalg.subspace_angles(U[:, :i], V[:, :j])) ** 2),
        )
        for i in range(1, 6)
        for j in range(1, 8)
    )


@formula("median of Marchenko and Pastur", "quantile of its density, integrated plainly", 1e-6)
def _(rng, shape):
    beta = min(shape) / max(shape) * 0.99
    a, b = (1 - math.sqrt(beta)) ** 2, (1 + math.sqrt(beta)) ** 2
    density = lambda t: math.sqrt((b - t) * (t - a)) / (2 * math.pi * beta * t)
    below = scipy.integrate.quad(density, a, marchenko_pastur_median(beta), limit=500)[0]
    return abs(below - 0.5)


@formula("hard threshold λ(β)", "minimum of the asymptotic loss (Gavish, Donoho), by search", 1e-6)
def _(rng, shape):
    beta = min(shape) / max(shape)

    def loss(x):
        """Of keeping a singular value that the limit puts at x, less that of dropping it."""
        y = math.sqrt((x**2 - beta - 1 + math.sqrt((x**2 - beta - 1) ** 2 - 4 * beta)) / 2)
        c = math.sqrt((1 - beta / y**4) / (1 + beta / y**2))
        d = math.sqrt((1 - beta / y**4) / (1 + 1 / y**2))
        return x**2 - 2 * x * y * c * d

    edge = 1 + math.sqrt(beta)
    expected = scipy.optimize.brentq(loss, edge + 1e-9, 10 * edge, xtol=1e-14)
    n = max(shape)
    return apart(hard_threshold(np.ones(min(shape)), shape, noise=1.0) / math.sqrt(n), expected)


@formula("power law: α and its standard error", "scipy.stats.pareto, fitted on the same tail", 1e-6)
def _(rng, shape):
    S = np.sort(rng.pareto(2.0, 300) + 1)[::-1]
    fit = fit_power_law(S)
    tail = np.sort(S**2)[-fit.n_tail :]
    shape_parameter = scipy.stats.pareto.fit(tail, floc=0, fscale=tail[0])[0]
    distance = scipy.stats.kstest(tail, scipy.stats.pareto(shape_parameter, 0, tail[0]).cdf)
    sided = max(0.0, distance.statistic - fit.ks_distance - 1 / fit.n_tail)
    error = apart(fit.sigma, shape_parameter / math.sqrt(fit.n_tail))
    return max(apart(fit.alpha, shape_parameter + 1), error, sided)


@formula("robust PCA", "planted low rank and sparse parts", 1e-5)
def _(rng, shape):
    B, A = factors(rng, shape, r=1)
    sparse = np.where(rng.random(shape) < 0.03, 8 * rng.choice([-1.0, 1.0], shape), 0.0)
    found = robust_pca(B @ A + sparse)
    return max(apart(found.L, B @ A), apart(found.S, sparse))
