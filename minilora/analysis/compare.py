"""Two adapters beside each other, and an adapter beside a full fine-tuning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from minilora._types import Array
from minilora.adapters import LowRankUpdate
from minilora.analysis.similarity import Similarity, similarity
from minilora.analysis.spectrum import Spectrum, spectrum
from minilora.analysis.weights import base_weight
from minilora.errors import ConfigError, ShapeError, did_you_mean
from minilora.linalg import SVD, one_blas_thread, product_svd, svd

Of = Literal["update", "factors"]


@dataclass(frozen=True, kw_only=True)
class LayerComparison:
    """One layer in two adapters.

    Attributes
    ----------
    path, ranks, sizes
        Where it is, the two ranks, and ‖ΔW₁‖_F, ‖ΔW₂‖_F.
    cosine
        ⟨ΔW₁, ΔW₂⟩ / (‖ΔW₁‖_F ‖ΔW₂‖_F): 1 for the same update up to its size, 0 for unrelated ones.
    distance
        ‖ΔW₁ − ΔW₂‖_F / max(‖ΔW₁‖_F, ‖ΔW₂‖_F)
    similarity
        φ(i, j) of their directions, with what chance gives.
    """

    path: str
    ranks: tuple[int, int]
    sizes: tuple[float, float]
    cosine: float | None
    distance: float | None
    similarity: Similarity


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The layers that two adapters share, and the paths that only one of them adapts."""

    layers: tuple[LayerComparison, ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]


def compare_adapters(
    first: Iterable[LowRankUpdate],
    second: Iterable[LowRankUpdate],
    *,
    depth: int | None = 16,
    of: Of = "update",
) -> Comparison:
    """Compare two adapters layer by layer: of other ranks, other seeds, other data.

    Parameters
    ----------
    first, second
        What `minilora.io.read_updates` found; never formed.
    depth
        Directions of the φ tables; None: all.
    of
        Whose singular vectors φ compares: "update" those of ΔW, or "factors" the left ones of B
        and the right ones of A, as Hu et al. 2021, §7.2 (figure 3) do. All r directions span the
        same either way; their order differs.

    Raises
    ------
    ConfigError
        When the two share no layer, or ``of`` is neither.
    ShapeError
        When a layer has another shape in the two.
    """
    if of not in ("update", "factors"):
        raise ConfigError(
            f"compare_adapters: of={of!r}.{did_you_mean(str(of), ('update', 'factors'))}"
        )
    ones, twos = ({update.path: update for update in updates} for updates in (first, second))
    shared = [path for path in ones if path in twos]
    if not shared:
        raise ConfigError(
            f"compare_adapters: no layer is in both, of {len(ones)} and {len(twos)}; expected "
            "adapters of one model."
        )
    return Comparison(
        layers=tuple(_compare(ones[path], twos[path], depth, of) for path in shared),
        only_first=tuple(path for path in ones if path not in twos),
        only_second=tuple(path for path in twos if path not in ones),
    )


def _compare(one: LowRankUpdate, two: LowRankUpdate, depth: int | None, of: Of) -> LayerComparison:
    if one.shape != two.shape:
        raise ShapeError(
            f"{one.path}: {one.shape} in the one adapter, {two.shape} in the other; expected "
            "adapters of one model."
        )
    svds = one.svd(), two.svd()
    sizes = float(np.linalg.norm(svds[0].S)), float(np.linalg.norm(svds[1].S))
    B = np.hstack([u.scale * u.B.astype(np.float64) for u in (one, two)])  # (O, r₁ + r₂)
    A = np.vstack([one.A.astype(np.float64), -two.A.astype(np.float64)])
    apart = float(np.linalg.norm(product_svd(B, A).S))
    # ⟨U₁ S₁ V₁ᵀ, U₂ S₂ V₂ᵀ⟩ = Σ_ij S₁ᵢ S₂ⱼ ⟨u₁ᵢ, u₂ⱼ⟩ ⟨v₁ᵢ, v₂ⱼ⟩
    overlap = (svds[0].U.T @ svds[1].U) * (svds[0].Vh @ svds[1].Vh.T)
    inner = float(svds[0].S @ overlap @ svds[1].S)
    compared = svds if of == "update" else (_of_factors(one), _of_factors(two))
    return LayerComparison(
        path=one.path,
        ranks=(one.rank, two.rank),
        sizes=sizes,
        cosine=inner / (sizes[0] * sizes[1]) if all(sizes) else None,
        distance=apart / max(sizes) if any(sizes) else None,
        similarity=similarity(*compared, depth=depth),
    )


def _of_factors(update: LowRankUpdate) -> SVD:
    """Left singular vectors of B, right ones of A."""
    of_B, of_A = svd(update.B), svd(update.A)
    return SVD(of_B.U, of_B.S, of_A.Vh)


@dataclass(frozen=True, kw_only=True)
class LayerBesideFull:
    """One layer of an adapter beside the change X = W_tuned − W of a full fine-tuning.

    Attributes
    ----------
    path, rank
        Where it is, and the adapter's rank r.
    full
        The spectrum of X.
    cosine
        ⟨ΔW, X⟩ / (‖ΔW‖_F ‖X‖_F)
    captured
        ‖U Uᵀ X V Vᵀ‖_F² / ‖X‖_F²: the share of X's energy within ΔW's directions.
    best
        Σ_{i≤r} σ_i² / Σ σ_i² of X: the most that r directions can hold.
    by_chance
        r² / (O I): what ``captured`` is on average for random directions.
    similarity
        φ(i, j) of ΔW's directions and X's.
    """

    path: str
    rank: int
    full: Spectrum
    cosine: float | None
    captured: float | None
    best: float | None
    by_chance: float
    similarity: Similarity


@one_blas_thread()
def compare_with_full(
    updates: Iterable[LowRankUpdate],
    base: Mapping[str, Array],
    tuned: Mapping[str, Array],
    *,
    depth: int | None = 16,
) -> tuple[LayerBesideFull, ...]:
    """Compare an adapter with what full fine-tuning changed in the same layers.

    Decomposes every difference whole, in float64: O(O I min(O, I)) a layer.

    Parameters
    ----------
    updates
        What `minilora.io.read_updates` found.
    base, tuned
        Tensors by name, asked for one at a time.
    depth
        Directions of the φ tables; None: all.

    Raises
    ------
    CheckpointError
        When a weight is missing in one of the models, or has another shape.
    NumericError
        When a weight holds NaN or infinity.
    """
    return tuple(
        _beside_full(
            update,
            np.subtract(base_weight(tuned, update), base_weight(base, update), dtype=np.float64),
            depth,
        )
        for update in updates
    )


def _beside_full(update: LowRankUpdate, X: Array, depth: int | None) -> LayerBesideFull:
    of_update, of_X = update.svd(), svd(X)
    O, I = X.shape
    r = min(update.rank, O, I)
    core = of_update.U.T @ X @ of_update.Vh.T  # (k, k)
    size, energy = float(np.linalg.norm(of_update.S)), float(np.sum(of_X.S**2))
    inner = float(np.diag(core) @ of_update.S)
    return LayerBesideFull(
        path=update.path,
        rank=update.rank,
        full=spectrum(of_X.S, X.shape),
        cosine=inner / (size * math.sqrt(energy)) if size > 0 and energy > 0 else None,
        captured=float(np.sum(core**2)) / energy if energy > 0 else None,
        best=float(np.sum(of_X.S[:r] ** 2)) / energy if energy > 0 else None,
        by_chance=r * r / (O * I),
        similarity=similarity(of_update, of_X, depth=depth),
    )
