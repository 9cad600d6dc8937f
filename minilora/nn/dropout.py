"""Dropout, and the context in which it is active.

There is no train() and eval() to forget: inside ``with training(rng):`` dropout drops, outside it
is the identity. The context belongs to one thread, so shards of a batch can run side by side, each
with random numbers of its own.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from minilora._types import Rng
from minilora.autograd import Tensor
from minilora.nn.module import Module
from minilora.ops import dropout
from minilora.ops.dropout import check_probability


class _Context(threading.local):
    rng: Rng | None = None


_context = _Context()


@contextlib.contextmanager
def training(rng: Rng | None) -> Iterator[None]:
    """Run a block with dropout active in this thread, its seeds drawn from ``rng``.

    ``training(None)`` switches dropout off inside a block that has it on.
    """
    before, _context.rng = _context.rng, rng
    try:
        yield
    finally:
        _context.rng = before


def training_rng() -> Rng | None:
    """Where dropout draws its seeds from in this thread now; None: dropout is the identity."""
    return _context.rng


def draw_seed(rng: Rng) -> int:
    """A seed for one use of dropout."""
    return int(rng.integers(1 << 63))


def dropout_now(p: float) -> tuple[float, int]:
    """Probability and seed for one use of dropout here and now; (0, 0) where it is inactive."""
    rng = training_rng()
    if rng is None or p == 0:
        return 0.0, 0
    return p, draw_seed(rng)


class Dropout(Module):
    """y_i = x_i / (1 − p) with probability 1 − p, else 0; the identity outside `training`.

    Srivastava et al. 2014, JMLR 15(56), §4; scaled at training time ("inverted"), as everywhere.
    """

    def __init__(self, p: float) -> None:
        check_probability("Dropout: p", p)
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """x -> y, any shape"""
        p, seed = dropout_now(self.p)
        return dropout(x, p=p, seed=seed) if p > 0 else x
