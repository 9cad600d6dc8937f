"""Activations, entry by entry."""

from __future__ import annotations

from typing import Literal

import numpy as np

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ConfigError, did_you_mean


@op
def gelu(x: Array, *, approximate: Literal["none", "tanh"] = "none") -> OpResult:
    """y = x Φ(x),   Φ(x) = (1 + erf(x/√2)) / 2

    x (...)  ->  y (...);   dx = dy (Φ(x) + x φ(x)),   φ(x) = exp(−x²/2) / √(2π)

    ``approximate="tanh"``: Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, differentiated as such.

    Hendrycks and Gimpel 2016, arXiv:1606.08415, §2.
    """
    if approximate == "none":
        return kernels.gelu(x), (lambda dy: kernels.gelu_backward(dy, x),)
    if approximate == "tanh":
        return kernels.gelu_tanh(x), (lambda dy: kernels.gelu_tanh_backward(dy, x),)
    raise ConfigError(
        f"gelu: approximate={approximate!r} is not known."
        f"{did_you_mean(str(approximate), ('none', 'tanh'))}"
    )


@op
def tanh(x: Array) -> OpResult:
    """y = tanh x,   dx = dy (1 − y²)"""
    y = np.tanh(x)
    return y, (lambda dy: dy * (1 - y * y),)


@op
def relu(x: Array) -> OpResult:
    """y = max(x, 0),   dx = dy where x > 0, else 0"""
    positive = x > 0
    return np.maximum(x, 0), (lambda dy: dy * positive,)
