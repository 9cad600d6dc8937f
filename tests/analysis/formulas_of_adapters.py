"""Formulas of `minilora.analysis`."""

import numpy as np
import scipy.linalg
from formula_table import RANK, apart, factors, formula

from minilora.adapters import LowRankUpdate
from minilora.analysis import (
    RankRule,
    amplification,
    compare_adapters,
    compare_with_full,
    extract,
    find_intruders,
    ledger,
    mitigate_intruders,
    resize,
)
from minilora.linalg import product_svd, svd


@formula("amplification factor", "dense projections ‖U Uᵀ W V Vᵀ‖")
def _(rng, shape):
    B, A = factors(rng, shape)
    W, size = rng.standard_normal(shape), np.linalg.norm(B @ A)
    P, Q = B @ np.linalg.pinv(B), np.linalg.pinv(A) @ A
    found = amplification(product_svd(B, A), W)
    expected = [size / np.linalg.norm(M) for M in (P @ W @ Q, P @ W, W @ Q)]
    return apart([found.both, found.left, found.right], expected)


@formula("intruder dimensions: cosines", "a loop over all pairs of singular vectors")
def _(rng, shape):
    W = rng.standard_normal(shape)
    tuned = W + rng.standard_normal(shape)
    worst = 0.0
    for side, which in (("left", 0), ("right", 2)):
        found = find_intruders(svd(W), svd(tuned), side=side)
        old, new = (scipy.linalg.svd(M, full_matrices=False)[which] for M in (W, tuned))
        old, new = (old.T, new.T) if side == "left" else (old, new)
        expected = [max(abs(float(u @ v)) for v in old) for u in new[:10]]
        worst = max(worst, apart(found.cosines, expected))
    return worst


@formula("intruder mitigation", "dense W + ΔW + (λ − 1) Σ σ u vᵀ, SciPy's SVD", 1e-10)
def _(rng, shape):
    W = rng.standard_normal(shape)
    B, A = factors(rng, shape)
    B *= 3
    U, S, Vh = scipy.linalg.svd(W + 0.7 * B @ A, full_matrices=False)
    old = scipy.linalg.svd(W, full_matrices=False)[0]
    i = [i for i in range(10) if np.abs(U[:, i] @ old).max() < 0.5]
    change = 0.7 * B @ A - 0.4 * (U[:, i] * S[i]) @ Vh[i]
    U, S, Vh = scipy.linalg.svd(change, full_matrices=False)
    found = mitigate_intruders(W, LowRankUpdate("q", B, A, 0.7), keep=0.6)
    return apart(found.matrix(), (U[:, :RANK] * S[:RANK]) @ Vh[:RANK])


@formula("cosine and distance of two adapters", "dense updates", 1e-12)
def _(rng, shape):
    one = LowRankUpdate("q", *factors(rng, shape), 1.4)
    two = LowRankUpdate("q", *factors(rng, shape, 9), 0.3)
    X, Y = 1.4 * one.B @ one.A, 0.3 * two.B @ two.A
    (found,) = compare_adapters([one], [two]).layers
    sizes = np.linalg.norm(X), np.linalg.norm(Y)
    cosine = float(np.vdot(X, Y)) / (sizes[0] * sizes[1])
    return max(
        abs(found.cosine - cosine),
        apart(found.distance, np.linalg.norm(X - Y) / max(sizes)),
    )


@formula("share of a full change within an adapter's directions", "dense projectors", 1e-11)
def _(rng, shape):
    update = LowRankUpdate("q", *factors(rng, shape), 1.4)
    W, X = rng.standard_normal(shape), rng.standard_normal(shape)
    (found,) = compare_with_full([update], {"q.weight": W}, {"q.weight": W + X})
    P, Q = update.B @ np.linalg.pinv(update.B), np.linalg.pinv(update.A) @ update.A
    best = np.sum(scipy.linalg.svdvals(X)[:RANK] ** 2)
    energy = np.linalg.norm(X) ** 2
    inside = np.linalg.norm(P @ X @ Q) ** 2
    return apart([found.captured, found.best], [inside / energy, best / energy])


@formula("resize", "SciPy's truncated SVD of the dense update")
def _(rng, shape):
    update = LowRankUpdate("q", *factors(rng, shape), 1.4)
    cut = resize([update], RankRule("error", 0.5)).updates[0]
    U, S, Vh = scipy.linalg.svd(1.4 * update.B @ update.A, full_matrices=False)
    k = min(k for k in range(len(S)) if np.linalg.norm(S[k:]) <= 0.5 * np.linalg.norm(S))
    return max(abs(k - cut.rank), apart(cut.matrix(), (U[:, :k] * S[:k]) @ Vh[:k]))


@formula("extract", "SciPy's truncated SVD of the difference")
def _(rng, shape):
    W, X = rng.standard_normal(shape), rng.standard_normal(shape)
    found = extract({"q.weight": W}, {"q.weight": W + X}, RankRule("energy", 0.8)).updates[0]
    U, S, Vh = scipy.linalg.svd(X, full_matrices=False)
    k = next(k for k in range(1, len(S) + 1) if np.sum(S[:k] ** 2) >= 0.8 * np.sum(S**2))
    return max(abs(k - found.rank), apart(found.matrix(), (U[:, :k] * S[:k]) @ Vh[:k]))


@formula("ledger", "operations counted by going through the products of a step", 0)
def _(rng, shape):
    (O, I), r = shape, RANK
    product = lambda m, k, n: 2 * m * k * n
    forward = product(1, I, O) + product(1, I, r) + product(1, r, O)
    to_x = product(1, O, I) + product(1, O, r) + product(1, r, I)  # through W, B, A
    to_factors = product(O, 1, r) + product(r, 1, I)
    found = ledger([LowRankUpdate("q", np.ones((O, r)), np.ones((r, I)), 1.0)]).lora
    return abs(found.flops_training - forward - to_x - to_factors) + abs(
        found.flops_forward - forward
    )
