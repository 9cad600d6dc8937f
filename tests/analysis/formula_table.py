"""A table of formulas, each with an oracle that shares no code with it.

Oracles are closed forms, SciPy, or the definition written down in another way: dense where ours is
factored, a loop where ours is vectorised. What is said of chance is held to Monte Carlo.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

Rng = np.random.Generator
Shape = tuple[int, int]
SHAPES: list[Shape] = [(40, 40), (60, 25), (25, 60)]
RANK = 6


@dataclass(frozen=True)
class Formula:
    """``error`` draws a case from an rng, for a shape; ``bound`` is what a test asserts."""

    name: str
    oracle: str
    error: Callable[[Rng, Shape], float]
    bound: float
    n_seeds: int

    def worst_error(self) -> float:
        """The largest error over all shapes and seeds."""
        return max(
            self.error(np.random.default_rng([seed, *shape]), shape)
            for shape in SHAPES
            for seed in range(self.n_seeds)
        )


FORMULAS: list[Formula] = []


def formula(
    name: str, oracle: str, bound: float = 1e-12, *, n_seeds: int = 5
) -> Callable[..., Any]:
    """Add the decorated function to the table."""

    def add(error: Callable[[Rng, Shape], float]) -> Callable[[Rng, Shape], float]:
        FORMULAS.append(Formula(name, oracle, error, bound, n_seeds))
        return error

    return add


def apart(found: Any, expected: Any) -> float:
    """Largest difference, relative to the largest expected entry."""
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def factors(rng: Rng, shape: Shape, r: int = RANK) -> tuple[Any, Any]:
    """B (m, r) and A (r, n)."""
    return rng.standard_normal((shape[0], r)), rng.standard_normal((r, shape[1]))


def basis(rng: Rng, d: int, p: int) -> Any:
    """Orthonormal columns (d, p) in random directions."""
    return scipy.linalg.orth(rng.standard_normal((d, p)))


def falling(rng: Rng, n: int) -> Any:
    """Singular values (n,)."""
    return np.sort(rng.exponential(size=n))[::-1]
