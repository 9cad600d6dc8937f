"""Attention's way back, laid out as `minilora.kernels.packed_forward` lays out the way forward."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels.boundary import check_packing, plain, plain_indices
from minilora.kernels.elementary import exp
from minilora.kernels.jit import inner, kernel
from minilora.kernels.packed_forward import BLOCK, drop_entries, dropout_arguments, scratch
from minilora.kernels.products import (
    Index,
    add_product_of_rows,
    copy_head,
    matrix,
    multiply,
    transpose_head,
    up,
)
from minilora.kernels.sums import dot

_0, _4, _LANES = np.uintp(0), np.uintp(4), np.uintp(16)


def attention_backward(
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    offsets: Array,
    n_heads: int,
    dropout_p: float,
    seed: int,
) -> tuple[Array, Array, Array]:
    """dq = dS k / √K,   dk = dSᵀ q / √K,   dv = drop(P)ᵀ dout,   dS = P · (drop(dout vᵀ) − δ)"""
    q = plain(q, q)
    dout, k, v, out = (plain(a, q, q.shape) for a in (dout, k, v, out))
    lse = plain(lse, q, (len(q), n_heads))
    offsets = plain_indices(offsets, offsets.shape)
    check_packing(q, offsets, n_heads)
    dq, dk, dv = np.empty_like(q), np.empty_like(q), np.empty_like(q)
    drop = dropout_arguments(q, dropout_p, seed)
    space = scratch(q, offsets, n_heads, 10)
    _attention_backward(dout, q, k, v, out, lse, offsets, *drop, space, dq, dk, dv)
    return dq, dk, dv


@kernel
def _attention_backward(
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    offsets: Array,
    start: np.uint64,
    threshold: np.uint64,
    kept: float,
    space: Array,
    dq: Array,
    dk: Array,
    dv: Array,
) -> None:
    H = np.uintp(lse.shape[1])
    K = np.uintp(q.shape[1]) // H
    width = up(K, _4)
    one, scale = q.dtype.type(1), q.dtype.type(1 / math.sqrt(K))
    for n in range(offsets.size - 1):
        first, L = np.uintp(offsets[n]), np.uintp(offsets[n + 1] - offsets[n])
        keys = matrix(space[0], up(L, _4), width)
        values = matrix(space[1], up(L, _4), width)
        dkeys = matrix(space[2], up(L, _4), width)
        dvalues = matrix(space[3], up(L, _4), width)
        for h in range(H):
            copy_head(k, first, h * K, L, K, keys)
            copy_head(v, first, h * K, L, K, values)
            dkeys[:] = dvalues[:] = q.dtype.type(0)
            for i in range(_0, L, BLOCK):
                t, size = first + i, min(BLOCK, L - i)
                queries = matrix(space[4], width, up(size, _LANES))
                douts = matrix(space[5], width, up(size, _LANES))
                P = matrix(space[6], up(L, _4), up(size, _LANES))
                dP = matrix(space[7], up(L, _4), up(size, _LANES))
                dqueries = matrix(space[8], width, up(size, _LANES))
                stats = matrix(space[9], np.uintp(2), up(size, _LANES))
                transpose_head(q, t, h * K, size, K, scale, queries)
                transpose_head(dout, t, h * K, size, K, one, douts)
                _statistics(dout, out, lse, t, h, size, K, stats)
                multiply(keys, queries, P)
                multiply(values, douts, dP)
                if threshold > 0:
                    drop_entries(dP, t, h, H, start, threshold, kept)
                _softmax_backward(P, dP, L, stats[0], stats[1])
                if threshold > 0:
                    drop_entries(P, t, h, H, start, threshold, kept)
                multiply(keys.T, dP, dqueries)
                add_product_of_rows(dP, queries, dkeys)
                add_product_of_rows(P, douts, dvalues)
                _transpose_back(dqueries, scale, t, h * K, size, K, dq)
            _copy_back(dkeys, first, h * K, L, K, dk)
            _copy_back(dvalues, first, h * K, L, K, dv)


@inner
def _statistics(
    dout: Array,
    out: Array,
    lse: Array,
    t: Index,
    h: Index,
    size: Index,
    K: Index,
    stats: Array,
) -> None:
    """Row 0: lse; row 1: δ = Σ dout · out; both 0 in the padding"""
    stats[:] = stats.dtype.type(0)
    for i in range(size):
        stats[0, i] = lse[t + i, h]
        head = slice(h * K, h * K + K)
        stats[1, i] = dot(dout[t + i][head], out[t + i][head])


@inner
def _softmax_backward(P: Array, dP: Array, L: Index, lse: Array, delta: Array) -> None:
    """P ← exp(P − lse),   dP ← P · (dP − δ); 0 in the padding below L"""
    for j in range(L):
        for i in range(np.uintp(P.shape[1])):
            P[j, i] = exp(P[j, i] - lse[i])
            dP[j, i] = P[j, i] * (dP[j, i] - delta[i])
    P[L:] = P.dtype.type(0)
    dP[L:] = P.dtype.type(0)


@inner
def _transpose_back(
    x: Array, scale: float, first: Index, left: Index, rows: Index, K: Index, y: Array
) -> None:
    """y[first : first + rows, left : left + K] = scale · xᵀ"""
    for i in range(rows):
        for d in range(K):
            y[first + i, left + d] = x[d, i] * scale


@inner
def _copy_back(x: Array, first: Index, left: Index, rows: Index, K: Index, y: Array) -> None:
    """y[first : first + rows, left : left + K] = x"""
    for i in range(rows):
        for d in range(K):
            y[first + i, left + d] = x[i, d]
