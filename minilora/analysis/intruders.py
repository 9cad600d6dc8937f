"""Intruder dimensions: strong directions of W + ΔW that W has nothing like."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from minilora._types import Array
from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError, ShapeError
from minilora.linalg import SVD, Weighting, product_svd, svd

Side = Literal["left", "right"]


@dataclass(frozen=True, kw_only=True)
class Intruders:
    """The leading directions of W + ΔW beside the most similar ones of W.

    Attributes
    ----------
    side
        Whether left singular vectors were compared, as the paper and PEFT do, or right ones.
    threshold
        ε: a direction is an intruder when its cosine is below.
    cosines
        max_j |⟨u_i, u⁰_j⟩| for each of the leading directions i of W + ΔW.
    values
        Their singular values.
    indices
        Which of them are intruders, counted from 0.
    """

    side: Side
    threshold: float
    cosines: tuple[float, ...]
    values: tuple[float, ...]
    indices: tuple[int, ...]


def find_intruders(
    base: SVD, adapted: SVD, *, top_k: int = 10, threshold: float = 0.5, side: Side = "left"
) -> Intruders:
    """Find the leading directions of W + ΔW whose cosine to every direction of W is below ε.

    Shuttleworth et al. 2024, arXiv:2410.21228, algorithm 1; top_k and threshold are the defaults of
    its code and of PEFT.

    Parameters
    ----------
    base
        W, with all its singular vectors: a cosine to those left out would be missed.
    adapted
        W + ΔW, with at least the top_k leading ones.
    top_k, threshold, side
        How many directions to look at, below which cosine one is an intruder, and of which side.

    Raises
    ------
    ConfigError
        If top_k is not positive, threshold not in [0, 1], or side neither left nor right.
    ShapeError
        If the matrices differ in shape.
    """
    if top_k < 1 or not 0 <= threshold <= 1 or side not in ("left", "right"):
        raise ConfigError(
            f"find_intruders: top_k={top_k}, threshold={threshold}, side={side!r}; expected at "
            "least 1 direction, a cosine in [0, 1], and 'left' or 'right'."
        )
    old = base.U if side == "left" else base.Vh.T
    new = (adapted.U if side == "left" else adapted.Vh.T)[:, :top_k]
    if len(old) != len(new):
        raise ShapeError(f"find_intruders: {len(old)} dimensions in W, {len(new)} in W + dW.")
    cosines = np.abs(new.T @ old).max(axis=1, initial=0.0)
    return Intruders(
        side=side,
        threshold=threshold,
        cosines=tuple(float(c) for c in cosines),
        values=tuple(float(s) for s in adapted.S[:top_k]),
        indices=tuple(int(i) for i in np.flatnonzero(cosines < threshold)),
    )


def mitigate_intruders(
    W: Array,
    update: LowRankUpdate,
    *,
    keep: float = 0.75,
    top_k: int = 10,
    threshold: float = 0.5,
    weighting: Weighting = "both",
) -> LowRankUpdate:
    """ΔW' = [ΔW + (λ − 1) Σ_i σ_i u_i v_iᵀ]_r over the intruders i of W + ΔW; [·]_r truncates.

    λ ``keep`` is the share of the intruders that stays: 1 changes nothing, 0 takes them out whole.
    It is PEFT's ``mitigation_lambda`` (reduce_intruder_dimension), whose documentation says that
    more is subtracted the higher it is; its code does what is said here.

    Shuttleworth et al. 2024, arXiv:2410.21228: weakened intruders, less forgotten.

    Parameters
    ----------
    W
        The base weight (O, I).
    update
        ΔW; returned as it is when there are no intruders.
    keep, top_k, threshold, weighting
        λ; see `find_intruders`; how B and A share the singular values (PEFT: both).

    Returns
    -------
    An update with the same path, scale and rank.

    Raises
    ------
    ShapeError, ConfigError
        As `find_intruders`.
    """
    if W.shape != update.shape:
        raise ShapeError(f"{update.path}: W is {W.shape}, but the update is {update.shape}.")
    W, A = W.astype(np.float64), update.A.astype(np.float64)
    B = update.scale * update.B.astype(np.float64)
    adapted = svd(W + B @ A)
    found = find_intruders(svd(W), adapted, top_k=top_k, threshold=threshold)
    if not found.indices:
        return update
    # The new difference is a sum of two products of thin factors, and so is one itself.
    i = list(found.indices)
    B = np.hstack([B, (keep - 1) * adapted.U[:, i] * adapted.S[i]])
    A = np.vstack([A, adapted.Vh[i]])
    change = product_svd(B, A, scale=1 / update.scale)
    B, A = change.truncate(min(update.rank, len(change.S))).factors(weighting)
    return replace(update, B=B.astype(update.B.dtype), A=A.astype(update.A.dtype))
