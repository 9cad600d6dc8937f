"""Attention over packed sequences: no padding, no mask."""

from __future__ import annotations

import numpy as np

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ShapeError
from minilora.ops.dropout import check_probability


@op
def attention(
    q: Array,
    k: Array,
    v: Array,
    *,
    offsets: Array,
    n_heads: int,
    dropout_p: float = 0.0,
    seed: int = 0,
) -> OpResult:
    """out = P v,   P = softmax(q kᵀ / √K), for each sequence and head on its own

    q, k, v (T, D) with D = H·K, head h in columns h·K:(h+1)·K; offsets (N+1,), sequence n in rows
    offsets[n]:offsets[n+1]  ->  out (T, D)

    dv = Pᵀ dout,   dP = dout vᵀ,   dS = P · (dP − rowsum(dout · out)),
    dq = dS k / √K,   dk = dSᵀ q / √K

    Keeps q, k, v, out and the log-sum-exp of each row (T, H); P is computed again on the way back.
    With ``dropout_p`` the entries of P are dropped as `dropout` does, by ``seed``.

    Vaswani et al. 2017, arXiv:1706.03762, §3.2.1, eq. 1; recomputation and the row-sum identity:
    Dao et al. 2022, arXiv:2205.14135, §3.1 and appendix B.2.
    """
    _check(q, k, v, offsets, n_heads)
    check_probability("attention: dropout_p", dropout_p)
    out, lse = kernels.attention(q, k, v, offsets, n_heads, dropout_p, seed)
    return out, lambda dy: kernels.attention_backward(
        dy, q, k, v, out, lse, offsets, n_heads, dropout_p, seed
    )


def _check(q: Array, k: Array, v: Array, offsets: Array, n_heads: int) -> None:
    if not q.shape == k.shape == v.shape or q.ndim != 2:
        raise ShapeError(
            f"attention: q {q.shape}, k {k.shape}, v {v.shape} must have one shape (T, D)."
        )
    T, D = q.shape
    if n_heads < 1 or D % n_heads:
        raise ShapeError(f"attention: width {D} does not divide into {n_heads} heads.")
    lengths = np.diff(offsets)
    if offsets[0] != 0 or offsets[-1] != T or (lengths < 0).any():
        raise ShapeError(
            f"attention: offsets must rise from 0 to T = {T}; "
            f"they go from {offsets[0]} to {offsets[-1]}, smallest step {lengths.min(initial=0)}."
        )
