"""Softmax and its logarithm, over the last axis."""

from __future__ import annotations

import numpy as np

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.ops.linear import rows


@op
def softmax(x: Array) -> OpResult:
    """p_i = exp(x_i) / Σ_j exp(x_j)

    x (..., C)  ->  p (..., C);   dx = p (dp − Σ_j p_j dp_j)
    """
    shape = x.shape
    p = kernels.softmax(rows(x))
    return p.reshape(shape), (lambda dp: kernels.softmax_backward(rows(dp), p).reshape(shape),)


@op
def log_softmax(x: Array) -> OpResult:
    """y_i = x_i − log Σ_j exp(x_j)

    x (..., C)  ->  y (..., C);   dx = dy − exp(y) Σ_j dy_j
    """
    y = kernels.log_softmax(rows(x)).reshape(x.shape)
    return y, (lambda dy: dy - np.exp(y) * dy.sum(axis=-1, keepdims=True),)
