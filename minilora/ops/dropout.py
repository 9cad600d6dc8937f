"""Dropout whose mask is a function of a seed, so that none is kept."""

from __future__ import annotations

from minilora import kernels
from minilora._types import Array, OpResult
from minilora.autograd import op
from minilora.errors import ConfigError


@op
def dropout(x: Array, *, p: float, seed: int) -> OpResult:
    """y_i = m_i x_i / (1 − p),   m_i = 0 with probability p, else 1

    x (...)  ->  y (...);   dx = dropout(dy) with the same mask

    m_i is a hash of (seed, i), where i counts entries row by row: the way back computes the mask
    again instead of keeping it.

    Srivastava et al. 2014, JMLR 15, §10 (scaled while training).
    """
    check_probability("dropout: p", p)
    return kernels.dropout(x, p, seed), (lambda dy: kernels.dropout(dy, p, seed),)


def check_probability(where: str, p: float) -> None:
    """Raise ConfigError unless 0 <= p < 1."""
    if not 0 <= p < 1:
        raise ConfigError(f"{where} is {p}; a number from 0 to below 1 was expected.")
