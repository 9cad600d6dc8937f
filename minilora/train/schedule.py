"""Schedules: how the learning rate goes up and down.

Each is a function of the optimiser steps already taken that returns a factor for the learning
rate: 0 to 1 over the first ``warmup`` steps, then down over the rest.
"""

from __future__ import annotations

import math
from collections.abc import Callable


def constant(step: int, total: int, warmup: int) -> float:
    """min(1, step / warmup)"""
    return step / warmup if step < warmup else 1.0


def linear(step: int, total: int, warmup: int) -> float:
    """step / warmup at first, then (total − step) / (total − warmup), down to 0 at ``total``"""
    if step < warmup:
        return step / warmup
    return max(0.0, (total - step) / max(1, total - warmup))


def cosine(step: int, total: int, warmup: int) -> float:
    """step / warmup at first, then (1 + cos(π progress)) / 2, down to 0 at ``total``

    Loshchilov & Hutter 2017, arXiv:1608.03983, eq. 5, with one period and η_min = 0.
    """
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(1, total - warmup)
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


SCHEDULES: dict[str, Callable[[int, int, int], float]] = {
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
}
"""Every schedule, by the name it has in `TrainSettings`."""
