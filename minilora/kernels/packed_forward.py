"""Attention on packed sequences.

Head by head, for a block of at most `BLOCK` queries at a time, and transposed: scores (keys,
queries). So every inner loop runs along the queries, softmax needs no sum along a vector, and a
block's matrices stay in the cache.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np

from minilora._types import Array
from minilora.kernels import hashing
from minilora.kernels.boundary import check_packing, plain, plain_indices
from minilora.kernels.elementary import exp, splitmix64
from minilora.kernels.jit import inner, kernel
from minilora.kernels.products import Index, copy_head, matrix, multiply, transpose_head, up

Drop: TypeAlias = tuple[np.uint64, np.uint64, float]
"""Start of the stream of random bits, threshold that an entry must reach, scale of what is kept."""

BLOCK = np.uintp(128)
_0, _2, _4, _LANES = np.uintp(0), np.uintp(2), np.uintp(4), np.uintp(16)


def attention(
    q: Array, k: Array, v: Array, offsets: Array, n_heads: int, dropout_p: float, seed: int
) -> tuple[Array, Array]:
    """out = drop(P) v,   P = softmax(q kᵀ / √K),   lse (T, H), for each sequence and head"""
    q = plain(q, q)
    k, v = plain(k, q, q.shape), plain(v, q, q.shape)
    offsets = plain_indices(offsets, offsets.shape)
    check_packing(q, offsets, n_heads)
    drop, space = drop_arguments(q, dropout_p, seed), scratch(q, offsets, n_heads, 6)
    out, lse = np.empty_like(q), np.empty((len(q), n_heads), q.dtype)
    _attention(q, k, v, offsets, drop, space, out, lse)
    return out, lse


def drop_arguments(x: Array, p: float, seed: int) -> Drop:
    """What `drop_entries` needs to know."""
    return hashing.stream(seed), hashing.threshold(p), x.dtype.type(hashing.kept_scale(p))


def scratch(q: Array, offsets: Array, n_heads: int, n: int) -> Array:
    """Memory for ``n`` matrices of one head, each as large as the largest can become."""
    tokens = int(np.diff(offsets).max(initial=1)) + 16
    block, width = min(tokens, int(BLOCK)), q.shape[1] // n_heads + 4
    return np.empty((n, max(tokens * block, tokens * width, width * block)), q.dtype)


@kernel
def _attention(
    q: Array, k: Array, v: Array, offsets: Array, drop: Drop, space: Array, out: Array, lse: Array
) -> None:
    H = np.uintp(lse.shape[1])
    K = np.uintp(q.shape[1]) // H
    width = up(K, _4)
    one, scale = q.dtype.type(1), q.dtype.type(1 / math.sqrt(K))
    for n in range(offsets.size - 1):
        first, last = np.uintp(offsets[n]), np.uintp(offsets[n + 1])
        rows = up(last - first, _4)
        keys, values = matrix(space[0], rows, width), matrix(space[1], rows, width)
        for h in range(H):
            copy_head(k[first:last], h, K, one, keys)
            copy_head(v[first:last], h, K, one, values)
            for t in range(first, last, BLOCK):
                block = slice(t, min(t + BLOCK, last))
                columns = up(block.stop - t, _LANES)
                queries = matrix(space[2], width, columns)
                P = matrix(space[3], rows, columns)
                outputs = matrix(space[4], width, columns)
                stats = matrix(space[5], _2, columns)
                transpose_head(q[block], h, K, scale, queries)
                multiply(keys, queries, P)
                _exponentials(P, last - first, stats[0], stats[1])
                drop_entries(P, t, h, H, drop)
                multiply(values.T, P, outputs)
                _finish(outputs, stats[0], stats[1], h, K, out[block], lse[block])


@inner
def _exponentials(S: Array, L: Index, top: Array, total: Array) -> None:
    """S ← exp(S − max S), total = Σ, down the first L rows of each column; what follows stays 0"""
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


@inner
def drop_entries(P: Array, t: Index, h: Index, H: Index, drop: Drop) -> None:
    """P_ji ← P_ji · (0 or the scale of what is kept), for key j and query t + i"""
    start, threshold, kept = drop
    if threshold == 0:
        return
    zero = P.dtype.type(0)
    for j in range(np.uintp(P.shape[0])):
        for i in range(np.uintp(P.shape[1])):
            bits = splitmix64(start, (((t + i) * H + h) << np.uintp(20)) + j)
            P[j, i] *= kept if bits >> np.uintp(32) >= threshold else zero


@inner
def _finish(
    outputs: Array, top: Array, total: Array, h: Index, K: Index, out: Array, lse: Array
) -> None:
    """out = outputsᵀ / total,   lse = max + log total"""
    for i in range(np.uintp(out.shape[0])):
        lse[i, h] = top[i] + out.dtype.type(math.log(total[i]))
        scale = out.dtype.type(1) / total[i]
        for d in range(K):
            out[i, h * K + d] = outputs[d, i] * scale
