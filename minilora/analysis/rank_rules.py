"""How many directions of a spectrum to keep: rules by name, for resizing and extracting."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from minilora._types import Array, Shape
from minilora.errors import ConfigError, did_you_mean
from minilora.linalg import effective_rank, energy_rank, hard_threshold, stable_rank


def sv_ratio(S: Array, ratio: float, shape: Shape, *, extra: int = 1) -> int:
    """#{σ_i > σ₁ / ratio}, and one more: kohya's ``--dynamic_method sv_ratio``.

    The rules of sd-scripts (networks/resize_lora.py) counted one direction more than they say, of
    the min(m, n) that there are, until its pull request 2194 was merged; ``extra=0`` is what they
    do since. Here and there at least 1 direction is kept.
    """
    _check_positive("sv_ratio", ratio)
    return _kohya(int(np.count_nonzero(S > S[0] / ratio)), shape, extra)


def sv_fro(S: Array, share: float, shape: Shape, *, extra: int = 1) -> int:
    """The smallest k with Σ_{i≤k} σ_i² ≥ share² Σ σ_i², and one more (see `sv_ratio`).

    kohya's ``sv_fro``: share is of the Frobenius norm, so the energy it asks for is share².
    """
    _check_share("sv_fro", share)
    return _kohya(energy_rank(S, share**2), shape, extra)


def sv_cumulative(S: Array, share: float, shape: Shape, *, extra: int = 1) -> int:
    """The smallest k with Σ_{i≤k} σ_i ≥ share Σ σ_i, and one more (see `sv_ratio`).

    kohya's ``sv_cumulative``: of σ, not of σ².
    """
    _check_share("sv_cumulative", share)
    return _kohya(energy_rank(S, share, squared=False), shape, extra)


def _kohya(k: int, shape: Shape, extra: int) -> int:
    return min(max(k, 1), max(1, min(shape) - extra)) + extra


def _rank(S: Array, value: float, shape: Shape) -> int:
    if not math.isfinite(value) or value != int(value) or value < 1:
        raise ConfigError(f"rank: {value} is no rank; expected a whole number of at least 1.")
    return int(value)


def _energy(S: Array, share: float, shape: Shape) -> int:
    _check_share("energy", share)
    return energy_rank(S, share)


def _nuclear(S: Array, share: float, shape: Shape) -> int:
    _check_share("nuclear", share)
    return energy_rank(S, share, squared=False)


def _error(S: Array, bound: float, shape: Shape) -> int:
    """The smallest k that leaves √Σ_{i>k} σ_i² ≤ bound √Σ σ_i²."""
    if not 0 <= bound < 1:
        raise ConfigError(f"error: {bound} must lie in [0, 1); 0.1 leaves a tenth of the norm.")
    tails = np.sqrt(np.cumsum(S[::-1] ** 2)[::-1])  # tails[k]: what k directions leave
    return int(np.count_nonzero(tails > bound * tails[0]))


def _stable_rank(S: Array, times: float, shape: Shape) -> int:
    _check_positive("stable_rank", times)
    return math.ceil(times * stable_rank(S))


def _effective_rank(S: Array, times: float, shape: Shape) -> int:
    _check_positive("effective_rank", times)
    return math.ceil(times * effective_rank(S))


def _threshold(S: Array, level: float, shape: Shape) -> int:
    if not level >= 0:
        raise ConfigError(f"threshold: {level} must be 0 or more.")
    return int(np.count_nonzero(S > level))


def _hard_threshold(S: Array, noise: float, shape: Shape) -> int:
    if not S.any():
        return 0
    known = None if noise == 0 else noise
    every = np.pad(S, (0, min(shape) - len(S)))  # of a product of rank k only k are computed
    return int(np.count_nonzero(S > hard_threshold(every, shape, noise=known)))


Rule = Callable[[Array, float, Shape], int]
"""Singular values (k,), the rule's number and the shape (m, n) -> how many to keep."""

RULES: Mapping[str, tuple[Rule, str]] = {
    "rank": (_rank, "the same rank everywhere"),
    "energy": (_energy, "share of Σ σ² to keep (PEFT's convert_to_lora with a float)"),
    "nuclear": (_nuclear, "share of Σ σ to keep"),
    "error": (_error, "largest ‖ΔW − ΔW_k‖_F / ‖ΔW‖_F"),
    "stable_rank": (_stable_rank, "so many times the stable rank, rounded up"),
    "effective_rank": (_effective_rank, "so many times the effective rank, rounded up"),
    "threshold": (_threshold, "keep σ above this (mergekit's sv_epsilon)"),
    "hard_threshold": (
        _hard_threshold,
        "Gavish and Donoho's threshold for noise of this standard deviation per entry; 0: unknown, "
        "and measured where the update is no product of low rank",
    ),
    "sv_ratio": (sv_ratio, "kohya's: keep σ above σ₁ over this, and one more"),
    "sv_fro": (sv_fro, "kohya's: share of √Σ σ² to keep, and one more"),
    "sv_cumulative": (sv_cumulative, "kohya's: share of Σ σ to keep, and one more"),
}
"""Every rule, and what its number means."""


@dataclass(frozen=True)
class RankRule:
    """A rule of `RULES` and its number, such as RankRule("energy", 0.99).

    Raises
    ------
    ConfigError
        When there is no such rule; when asked for a rank, if its number makes no sense.
    """

    name: str
    value: float

    def __post_init__(self) -> None:
        if self.name not in RULES:
            raise ConfigError(f"no rule {self.name!r}.{did_you_mean(self.name, RULES)}")

    def rank(self, S: Array, shape: Shape) -> int:
        """How many of the singular values S (k,) of a matrix (m, n) to keep: 1 to k.

        1 of a zero matrix, whatever the rule, since no file holds a LoRA of rank 0.
        """
        rule, _ = RULES[self.name]
        k = rule(S, self.value, shape)
        return min(max(k, 1), len(S)) if S.any() else 1


def _check_share(rule: str, share: float) -> None:
    if not 0 < share <= 1:
        raise ConfigError(f"{rule}: {share} must lie in (0, 1]; 0.99 keeps 99 %.")


def _check_positive(rule: str, value: float) -> None:
    if not (math.isfinite(value) and value > 0):
        raise ConfigError(f"{rule}: {value} must be above 0.")
