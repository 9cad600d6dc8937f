"""Layer normalisation."""

from __future__ import annotations

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ShapeError
from minilora.ops.linear import rows


@op
def layer_norm(x: Array, weight: Array, bias: Array, *, eps: float = 1e-12) -> OpResult:
    """y = g · x̂ + b,   x̂ = (x − μ) / √(σ² + ε)

    x (..., D), weight g (D,), bias b (D,)  ->  y (..., D);   μ, σ² over the last axis

    dx = (u − mean(u) − x̂ · mean(u · x̂)) / √(σ² + ε)  with u = g · dy,   dg = Σ x̂ · dy,   db = Σ dy

    Ba et al. 2016, arXiv:1607.06450, §3.
    """
    if weight.shape != x.shape[-1:] or bias.shape != x.shape[-1:]:
        raise ShapeError(
            f"layer_norm: x {x.shape} has {x.shape[-1]} features in its last axis, "
            f"but weight is {weight.shape} and bias is {bias.shape}."
        )
    shape = x.shape
    y, x_hat, rstd = kernels.layer_norm(rows(x), weight, bias, eps)
    return y.reshape(shape), (
        lambda dy: kernels.layer_norm_backward(rows(dy), x_hat, rstd, weight).reshape(shape),
        lambda dy: (rows(dy) * x_hat).sum(axis=0),
        lambda dy: rows(dy).sum(axis=0),
    )
