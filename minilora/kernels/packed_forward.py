"""Attention on packed sequences.

Head by head, for a block of at most `BLOCK` queries at a time, and transposed: scores (keys,
queries). So every inner loop runs along the queries, softmax needs no sum along a vector, and a
block's matrices stay in the cache.
"""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels import hashing
from minilora.kernels.boundary import check_packing, plain, plain_indices
from minilora.kernels.elementary import exp
from minilora.kernels.jit import inner, kernel
from minilora.kernels.products import Index, copy_head, matrix, multiply, transpose_head, up

BLOCK = np.uintp(128)
_0, _4, _LANES = np.uintp(0), np.uintp(4), np.uintp(16)


def attention(
    q: Array, k: Array, v: Array, offsets: Array, n_heads: int, dropout_p: float, seed: int
) -> tuple[Array, Array]:
    """out = drop(P) v,   P = softmax(q kᵀ / √K),   lse (T, H), for each sequence and head"""
    q = plain(q, q)
    k, v = plain(k, q, q.shape), plain(v, q, q.shape)
    offsets = plain_indices(offsets, offsets.shape)
    check_packing(q, offsets, n_heads)
    out, lse = np.empty_like(q), np.empty((len(q), n_heads), q.dtype)
    drop = dropout_arguments(q, dropout_p, seed)
    _attention(q, k, v, offsets, *drop, scratch(q, offsets, n_heads, 6), out, lse)
    return out, lse


def dropout_arguments(x: Array, p: float, seed: int) -> tuple[np.uint64, np.uint64, float]:
    """Start of the stream, threshold and scale of what is kept, as `drop_entries` takes them."""
    return hashing.stream(seed), hashing.threshold(p), x.dtype.type(hashing.kept_scale(p))


def scratch(q: Array, offsets: Array, n_heads: int, n: int) -> Array:
    """Memory for ``n`` matrices of one head, each as large as the largest can become."""
    tokens = int(np.diff(offsets).max(initial=1)) + 16
    block, width = min(tokens, int(BLOCK)), q.shape[1] // n_heads + 4
    return np.empty((n, max(tokens * block, tokens * width, width * block)), q.dtype)


@kernel
def _attention(
    q: Array,
    k: Array,
    v: Array,
    offsets: Array,
    start: np.uint64,
    threshold: np.uint64,
    kept: float,
    space: Array,
    out: Array,
    lse: Array,
) -> None:
    H = np.uintp(lse.shape[1])
    K = np.uintp(q.shape[1]) // H
    width = up(K, _4)
    scale = q.dtype.type(1 / math.sqrt(K))
    for n in range(offsets.size - 1):
        first, L = np.uintp(offsets[n]), np.uintp(offsets[n + 1] - offsets[n])
        keys = matrix(space[0], up(L, _4), width)
        values = matrix(space[1], up(L, _4), width)
        for h in range(H):
            copy_head(k, first, h * K, L, K, keys)
            copy_head(v, first, h * K, L, K, values)
            for i in range(_0, L, BLOCK):
                t, size = first + i, min(BLOCK, L - i)
                queries = matrix(space[2], width, up(size, _LANES))
                P = matrix(space[3], up(L, _4), up(size, _LANES))
                outputs = matrix(space[4], width, up(size, _LANES))
                stats = matrix(space[5], np.uintp(2), up(size, _LANES))
                transpose_head(q, t, h * K, size, K, scale, queries)
                multiply(keys, queries, P)
                _exponentials(P, L, stats[0], stats[1])
                if threshold > 0:
                    drop_entries(P, t, h, H, start, threshold, kept)
                multiply(values.T, P, outputs)
                _finish(outputs, stats[0], stats[1], t, h, size, K, out, lse)


@inner
def _exponentials(S: Array, L: Index, top: Array, total: Array) -> None:
    """S ← exp(S − max S) down each column, 0 in the padding below L; total = Σ"""
    columns = np.uintp(S.shape[1])
    for i in range(columns):
        top[i] = S[_0, i]
        total[i] = S.dtype.type(0)
    for j in range(L):
        for i in range(columns):
            top[i] = S[j, i] if S[j, i] > top[i] else top[i]
    for j in range(L):
        for i in range(columns):
            S[j, i] = exp(S[j, i] - top[i])
            total[i] += S[j, i]
    S[L:] = S.dtype.type(0)


@inner
def _finish(
    outputs: Array,
    top: Array,
    total: Array,
    t: Index,
    h: Index,
    size: Index,
    K: Index,
    out: Array,
    lse: Array,
) -> None:
    """out = outputsᵀ / total,   lse = max + log total"""
    for i in range(size):
        lse[t + i, h] = top[i] + out.dtype.type(math.log(total[i]))
        scale = out.dtype.type(1) / total[i]
        for d in range(K):
            out[t + i, h * K + d] = outputs[d, i] * scale


_splitmix64 = inner(hashing.splitmix64)


@inner
def drop_entries(
    P: Array,
    t: Index,
    h: Index,
    H: Index,
    start: np.uint64,
    threshold: np.uint64,
    kept: float,
) -> None:
    """P_ji ← P_ji · (kept or 0), for key j and query t + i"""
    zero, shift = P.dtype.type(0), np.uintp(20)
    for j in range(np.uintp(P.shape[0])):
        for i in range(np.uintp(P.shape[1])):
            bits = _splitmix64(start, (((t + i) * H + h) << shift) + j)
            P[j, i] *= kept if bits >> np.uintp(32) >= threshold else zero
