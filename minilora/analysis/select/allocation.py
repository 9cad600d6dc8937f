"""Ranks for each layer under a budget of parameters, from how much each direction matters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from minilora._types import Array
from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError, ShapeError
from minilora.linalg.checks import as_matrix


@dataclass(frozen=True)
class Allocation:
    """Ranks by layer, 0 where nothing is worth its parameters.

    Attributes
    ----------
    ranks
        By path.
    n_parameters
        Numbers that adapters of these ranks have.
    kept
        Share of all importance that lies in the directions kept.
    threshold
        Importance per parameter of the last direction taken. What is above it is kept, unless it
        was too large for what was left of the budget.
    """

    ranks: dict[str, int]
    n_parameters: int
    kept: float
    threshold: float


def allocate(
    importance: Mapping[str, Array], sizes: Mapping[str, int], *, budget: int
) -> Allocation:
    """max Σ_l Σ_{i ≤ r_l} s_li   with   Σ_l r_l c_l ≤ budget

    Parameters
    ----------
    importance
        s_l (k,) by layer: how much each direction matters, none negative, in any order.
    sizes
        c_l by layer: parameters of one direction, O + I.
    budget
        Parameters in all.

    Directions are taken by s / c from the top, in all layers at once, as long as they fit: one
    global threshold, as AdaLoRA sets it (Zhang et al. 2023, arXiv:2303.10512, §3.2), once and in
    closed form instead of step by step in training. Exact where all sizes are equal; otherwise
    short of the best by less than the importance of the first direction passed over. Of equal
    directions, the first.

    Raises
    ------
    ConfigError
        If nothing matters, not even one direction fits, or a layer has no size.
    ShapeError
        If the importance of a layer is no vector of numbers that are 0 or more.
    """
    entries = []
    for path, s in importance.items():
        if sizes.get(path, 0) < 1:
            raise ConfigError(
                f"allocate: the size of {path} is {sizes.get(path)}; the parameters of one of its "
                "directions, 1 or more, were expected."
            )
        s = np.asarray(s, dtype=np.float64)
        if s.ndim != 1 or not (np.isfinite(s) & (s >= 0)).all():
            raise ShapeError(
                f"allocate: the importance of {path} must be a vector of finite numbers, 0 or more."
            )
        entries += [(value / sizes[path], path) for value in np.sort(s)[::-1] if value > 0]
    entries.sort(key=lambda entry: -entry[0])  # stable: of equals, the first
    ranks, left, kept, threshold = dict.fromkeys(importance, 0), budget, 0.0, 0.0
    for density, path in entries:
        if sizes[path] <= left:
            ranks[path] += 1
            left -= sizes[path]
            kept += density * sizes[path]
            threshold = density
    if not kept:
        cheapest = min((sizes[path] for _, path in entries), default=None)
        raise ConfigError(
            f"allocate: the budget is {budget} parameters; "
            + (
                "no direction has any importance. Was the adapter trained?"
                if cheapest is None
                else f"one direction takes {cheapest}, the least that is of use."
            )
        )
    total = sum(density * sizes[path] for density, path in entries)
    return Allocation(ranks, budget - left, kept / total, threshold)


def energy(update: LowRankUpdate) -> Array:
    """σ_i² (k,): what ‖ΔW‖_F² loses without direction i."""
    squares: Array = update.svd().S ** 2
    return squares


def sensitivity(update: LowRankUpdate, gradients: Iterable[Array]) -> Array:
    """mean |σ_i ∂L/∂σ_i| (k,): what the loss changes without direction i, to first order.

    σ_i ∂L/∂σ_i = u_iᵀ (∂L/∂B) Bᵀ u_i,   since ∂L/∂B = s G Aᵀ,  ∂L/∂σ_i = u_iᵀ G v_i,  G = ∂L/∂ΔW,
    and s Aᵀ Bᵀ u_i = σ_i v_i

    ``gradients`` are ∂L/∂B (O, r) on some batches, at least one. AdaLoRA's sensitivity
    |θ ∂L/∂θ| (Zhang et al. 2023, arXiv:2303.10512, §3.2) of the singular values; a plain mean over
    batches, without its running averages, uncertainty and the entries of singular vectors.

    Raises
    ------
    ShapeError
        If a gradient does not have the shape of B.
    ConfigError
        If there are no gradients.
    """
    U, B = update.svd().U, as_matrix(update.B, "sensitivity: B")
    projected = B.T @ U  # (r, k)
    changes = []
    for dB in gradients:
        dB = as_matrix(dB, f"sensitivity: gradient of {update.path}")
        if dB.shape != B.shape:
            raise ShapeError(
                f"sensitivity: a gradient of {update.path} is {dB.shape}, its B {B.shape}; they "
                "should be alike."
            )
        changes.append(np.abs(np.sum(U * (dB @ projected), axis=0)))
    if not changes:
        raise ConfigError(f"sensitivity: no gradients of {update.path}; one or more were expected.")
    mean: Array = np.mean(changes, axis=0)
    return mean
