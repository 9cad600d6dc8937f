"""Attention's way back, laid out as `minilora.kernels.packed_forward` lays out the way forward."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels.boundary import check_packing, plain, plain_indices
from minilora.kernels.elementary import exp
from minilora.kernels.jit import inner, kernel
from minilora.kernels.packed_forward import BLOCK, Drop, drop_arguments, drop_entries, scratch
from minilora.kernels.products import (
    Index,
    add_product,
    copy_head,
    matrix,
    multiply,
    transpose_head,
    up,
)
from minilora.kernels.sums import dot

_2, _4, _LANES = np.uintp(2), np.uintp(4), np.uintp(16)


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
    drop, space = drop_arguments(q, dropout_p, seed), scratch(q, offsets, n_heads, 11)
    dq, dk, dv = np.empty_like(q), np.empty_like(q), np.empty_like(q)
    _attention_backward(dout, q, k, v, out, lse, offsets, drop, space, dq, dk, dv)
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
    drop: Drop,
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
        first, last = np.uintp(offsets[n]), np.uintp(offsets[n + 1])
        rows = up(last - first, _4)
        keys, values = matrix(space[0], rows, width), matrix(space[1], rows, width)
        dkeys, dvalues = matrix(space[2], rows, width), matrix(space[3], rows, width)
        for h in range(H):
            copy_head(k[first:last], h, K, one, keys)
            copy_head(v[first:last], h, K, one, values)
            dkeys[:] = dvalues[:] = q.dtype.type(0)
            for t in range(first, last, BLOCK):
                block = slice(t, min(t + BLOCK, last))
                columns = up(block.stop - t, _LANES)
                queries, queries_T = _both_ways(q[block], h, K, scale, space[4], space[5])
                douts, douts_T = _both_ways(dout[block], h, K, one, space[6], space[7])
                P, dP = matrix(space[8], rows, columns), matrix(space[9], rows, columns)
                stats = matrix(space[10], _2, columns)
                _statistics(dout[block], out[block], lse[block], h, K, stats)
                multiply(keys, queries_T, P)
                multiply(values, douts_T, dP)
                drop_entries(dP, t, h, H, drop)
                _softmax_backward(P, dP, last - first, stats[0], stats[1])
                drop_entries(P, t, h, H, drop)
                add_product(dP, queries, dkeys)
                add_product(P, douts, dvalues)
                dqueries_T = queries_T  # which has served
                multiply(keys.T, dP, dqueries_T)
                _transpose_back(dqueries_T, h, K, scale, dq[block])
            _copy_back(dkeys, h, K, dk[first:last])
            _copy_back(dvalues, h, K, dv[first:last])


@inner
def _both_ways(
    x: Array, h: Index, K: Index, scale: float, memory: Array, memory_T: Array
) -> tuple[Array, Array]:
    """Columns of head h, times ``scale``, as they are and transposed; padded with zeros."""
    rows, width = up(np.uintp(x.shape[0]), _LANES), up(K, _4)
    y, y_T = matrix(memory, rows, width), matrix(memory_T, width, rows)
    copy_head(x, h, K, scale, y)
    transpose_head(x, h, K, scale, y_T)
    return y, y_T


@inner
def _statistics(dout: Array, out: Array, lse: Array, h: Index, K: Index, stats: Array) -> None:
    """Row 0: lse; row 1: δ = Σ dout · out; both 0 in the padding"""
    stats[:] = stats.dtype.type(0)
    head = slice(h * K, h * K + K)
    for i in range(np.uintp(dout.shape[0])):
        stats[0, i] = lse[i, h]
        stats[1, i] = dot(dout[i][head], out[i][head])


@inner
def _softmax_backward(P: Array, dP: Array, L: Index, lse: Array, delta: Array) -> None:
    """P ← exp(P − lse),   dP ← P · (dP − δ), in the first L rows; what follows stays 0"""
    for j in range(L):
        for i in range(np.uintp(P.shape[1])):
            P[j, i] = exp(P[j, i] - lse[i])
            dP[j, i] = P[j, i] * (dP[j, i] - delta[i])


@inner
def _copy_back(x: Array, h: Index, K: Index, y: Array) -> None:
    """y[:, h K : (h + 1) K] = x, without its padding"""
    for i in range(np.uintp(y.shape[0])):
        for d in range(K):
            y[i, h * K + d] = x[i, d]


@inner
def _transpose_back(x: Array, h: Index, K: Index, scale: float, y: Array) -> None:
    """y[:, h K : (h + 1) K] = scale · xᵀ, without its padding"""
    for i in range(np.uintp(y.shape[0])):
        for d in range(K):
            y[i, h * K + d] = x[d, i] * scale
