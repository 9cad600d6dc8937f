"""How parameters start."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from minilora._types import DType, Rng
from minilora.nn.layers import Embedding, LayerNorm, Linear
from minilora.nn.module import Module


def blank_linear(O: int, I: int, dtype: DType) -> Linear:
    """A Linear whose parameters are still to be set; its zeros take no memory until then."""
    return Linear(np.zeros((O, I), dtype), np.zeros(O, dtype))


def blank_embedding(V: int, D: int, dtype: DType) -> Embedding:
    """An Embedding whose table is still to be set; its zeros take no memory until then."""
    return Embedding(np.zeros((V, D), dtype))


def blank_layer_norm(D: int, eps: float, dtype: DType) -> LayerNorm:
    """A LayerNorm whose parameters are still to be set."""
    return LayerNorm(np.zeros(D, dtype), np.zeros(D, dtype), eps=eps)


def initialize(model: Module, names: Collection[str], *, std: float, rng: Rng) -> None:
    """Start these parameters afresh: weights N(0, std²), biases 0, layer norms 1 and 0.

    Numbers are drawn in float64, so that the same seed gives the same model in every dtype, up to
    rounding. Devlin et al. 2019, arXiv:1810.04805, appendix A.2, and their published code.
    """
    for name, parameter in model.named_parameters():
        if name not in names:
            continue
        shape, dtype = parameter.shape, parameter.data.dtype
        if name.endswith("LayerNorm.weight"):
            parameter.data = np.ones(shape, dtype)
        elif name.endswith("bias"):
            parameter.data = np.zeros(shape, dtype)
        else:
            parameter.data = (std * rng.standard_normal(shape)).astype(dtype)
