"""The layers of a transformer."""

from __future__ import annotations

import functools
from collections.abc import Callable

from minilora._types import Array
from minilora.autograd import Tensor
from minilora.nn.module import Module, Parameter
from minilora.ops import embedding, gelu, layer_norm, linear, relu

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "gelu": gelu,
    "gelu_new": functools.partial(gelu, approximate="tanh"),
    "gelu_pytorch_tanh": functools.partial(gelu, approximate="tanh"),
    "relu": relu,
}
"""Activations by the names that ``hidden_act`` has for them in transformers."""


class Linear(Module):
    """y = x Wᵀ + b

    weight (O, I), bias (O,) or None;   x (..., I) -> y (..., O)

    A `Parameter` given as weight or bias is shared, an array becomes a new one.
    """

    def __init__(self, weight: Array | Parameter, bias: Array | Parameter | None) -> None:
        self.weight = _parameter(weight)
        self.bias = None if bias is None else _parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        """y = x Wᵀ + b"""
        return linear(x, self.weight, self.bias)


class Embedding(Module):
    """y_i = W[ids_i]

    weight (V, D);   ids (T,) integers in 0..V-1 -> y (T, D)
    """

    def __init__(self, weight: Array | Parameter) -> None:
        self.weight = _parameter(weight)

    def forward(self, ids: Array) -> Tensor:
        """Rows ``ids`` of the table."""
        return embedding(ids, self.weight)


class LayerNorm(Module):
    """y = g · (x − μ) / √(σ² + ε) + b,   μ and σ² over the last axis

    weight g (D,), bias b (D,);   x (T, D) -> y (T, D)

    Ba et al. 2016, arXiv:1607.06450, §3.
    """

    def __init__(self, weight: Array | Parameter, bias: Array | Parameter, *, eps: float) -> None:
        self.weight = _parameter(weight)
        self.bias = _parameter(bias)
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """x (T, D) -> y (T, D)"""
        return layer_norm(x, self.weight, self.bias, eps=self.eps)


def _parameter(data: Array | Parameter) -> Parameter:
    return data if isinstance(data, Parameter) else Parameter(data)
