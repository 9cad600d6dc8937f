"""One small call of each kernel, after which all of them are compiled and loaded."""

from __future__ import annotations

import numpy as np

from minilora._types import DType
from minilora.kernels import jitted


def call_every_kernel(dtype: DType) -> None:
    """Call each kernel once on arrays of ``dtype``."""
    x, row = np.ones((2, 4), dtype), np.ones(4, dtype)
    ids, offsets = np.array([0, 1]), np.array([0, 2])
    _, x_hat, rstd = jitted.layer_norm(x, row, row, 1e-12)
    jitted.layer_norm_backward(x, x_hat, rstd, row)
    jitted.gelu(x)
    jitted.gelu_backward(x, x)
    jitted.gelu_tanh(x)
    jitted.gelu_tanh_backward(x, x)
    jitted.softmax_backward(x, jitted.softmax(x))
    jitted.log_softmax(x)
    jitted.dropout(x, 0.5, 0)
    jitted.cross_entropy(x, ids, -100, 0.0)
    jitted.scatter_add(ids, x, 2)
    out, lse = jitted.attention(x, x, x, offsets, 2, 0.5, 0)
    jitted.attention_backward(x, x, x, x, out, lse, offsets, 2, 0.5, 0)
    jitted.adamw_step(x, x, x.copy(), x.copy(), 0.1, 0.9, 0.999, 1e-8, 0.01, 1)
