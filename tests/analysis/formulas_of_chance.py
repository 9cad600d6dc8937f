"""What chance gives, held to Monte Carlo: the relative error of the mean of many draws."""

import math

import numpy as np
import scipy.linalg
from formula_table import RANK, apart, basis, factors, formula

from minilora.analysis import amplification, similarity
from minilora.linalg import (
    marchenko_pastur_edge,
    marchenko_pastur_median,
    noise_level,
    phi,
    phi_of_random_subspaces,
    product_svd,
)

DRAWS = 2000
ORACLE = f"Monte Carlo, {DRAWS:,} draws"


@formula("null of φ: max(i, j) / d", ORACLE, 0.02, n_seeds=1)
def _(rng, shape):
    d = shape[0]
    draws = [phi(basis(rng, d, 4), basis(rng, d, 6))[3, 5] for _ in range(DRAWS)]
    return apart(np.mean(draws), phi_of_random_subspaces(4, 6, d)[3, 5])


@formula("random control of the amplification factor", ORACLE, 0.02, n_seeds=1)
def _(rng, shape):
    update, W = product_svd(*factors(rng, shape)), rng.standard_normal(shape)
    squares = []
    for _ in range(DRAWS):
        U, V = basis(rng, shape[0], RANK), basis(rng, shape[1], RANK)
        squares.append(np.linalg.norm(U.T @ W @ V) ** 2)
    control = amplification(update, W).both_random
    return apart(np.linalg.norm(update.S) / math.sqrt(np.mean(squares)), control)


@formula("φ of random adapters, left and right", ORACLE, 0.02, n_seeds=1)
def _(rng, shape):
    pairs = [
        similarity(product_svd(*factors(rng, shape)), product_svd(*factors(rng, shape)))
        for _ in range(DRAWS)
    ]
    sides = [
        apart(
            np.mean([getattr(pair, side).values[-1][-1] for pair in pairs]),
            getattr(pairs[0], side).null[-1][-1],
        )
        for side in ("left", "right")
    ]
    return max(sides)


@formula("edge, median and level of noise", "Monte Carlo, sides 500 to 1200", 0.02, n_seeds=2)
def _(rng, shape):
    shape = (20 * shape[0], 20 * shape[1])
    S = scipy.linalg.svdvals(0.3 * rng.standard_normal(shape))
    beta, n = min(shape) / max(shape), max(shape)
    return max(
        apart(S[0], marchenko_pastur_edge(shape, 0.3)),
        apart(np.median((S / 0.3) ** 2) / n, marchenko_pastur_median(beta)),
        apart(noise_level(S, shape), 0.3),
    )
