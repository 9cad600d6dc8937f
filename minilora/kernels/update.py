"""AdamW's step, and the embedding table's gradient."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels.boundary import check_range, plain, plain_indices
from minilora.kernels.jit import kernel


def scatter_add(ids: Array, dy: Array, n_rows: int) -> Array:
    """dW_i = Σ of the rows r of dy with ids_r = i"""
    dy = plain(dy, dy)
    ids = plain_indices(ids, dy.shape[:1])
    check_range(ids, n_rows)
    dW = np.zeros((n_rows, dy.shape[1]), dy.dtype)
    _scatter_add(ids, dy, dW)
    return dW


@kernel
def _scatter_add(ids: Array, dy: Array, dW: Array) -> None:
    for r in range(ids.size):
        row = dW[ids[r]]
        for j in range(dy.shape[1]):
            row[j] += dy[r, j]


def adamw_step(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """θ ← θ (1 − lr λ) − lr m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)"""
    state = [plain(a, param, param.shape) for a in (param, m, v)]
    _adamw_step(
        state[0].ravel(),
        plain(grad, param, param.shape).ravel(),
        state[1].ravel(),
        state[2].ravel(),
        *(
            param.dtype.type(constant)
            for constant in (
                1 - lr * weight_decay,
                1 - beta1,
                beta2,
                1 - beta2,
                math.sqrt(1 - beta2**step),
                eps,
                lr / (1 - beta1**step),
            )
        ),
    )
    for ours, theirs in zip(state, (param, m, v), strict=True):
        if ours is not theirs:  # a layout that the loop does not take, such as a transposed view
            theirs[...] = ours


@kernel
def _adamw_step(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    decay: float,
    new_m: float,
    keep_v: float,
    new_v: float,
    root_correction: float,
    eps: float,
    rate: float,
) -> None:
    for i in range(param.size):
        m[i] += new_m * (grad[i] - m[i])
        v[i] = keep_v * v[i] + new_v * grad[i] * grad[i]
        denominator = math.sqrt(v[i]) / root_correction + eps
        param[i] = decay * param[i] - rate * m[i] / denominator
