"""A smaller adapter that does the same, as nearly as its rank allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from minilora.adapters import LowRankUpdate
from minilora.analysis.rank_rules import RankRule
from minilora.errors import ConfigError
from minilora.linalg import Weighting, truncation_error


@dataclass(frozen=True, kw_only=True)
class ResizedLayer:
    """What became of one layer: ``error`` is ‖ΔW − ΔW_k‖_F / ‖ΔW‖_F, 0 for a zero update."""

    path: str
    rank_before: int
    rank: int
    error: float
    n_parameters_before: int
    n_parameters: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Resized:
    """The new updates and, in the same order, what became of each layer."""

    updates: tuple[LowRankUpdate, ...]
    layers: tuple[ResizedLayer, ...]

    @property
    def parameters_kept(self) -> float:
        """Share of the numbers that the factors had before."""
        before = sum(layer.n_parameters_before for layer in self.layers)
        return sum(layer.n_parameters for layer in self.layers) / before


def resize(
    updates: Iterable[LowRankUpdate],
    rule: RankRule,
    *,
    max_rank: int | None = None,
    weighting: Weighting = "left",
) -> Resized:
    """Cut every update to the rank that ``rule`` finds in its spectrum.

    The best approximation of that rank; the scale stays as it is. A layer that keeps its rank keeps
    its very factors.

    Parameters
    ----------
    updates
        What `minilora.io.read_updates` found.
    rule
        How many directions each layer keeps.
    max_rank
        No layer keeps more than this.
    weighting
        Which factor carries the singular values: "left" B, as PEFT and kohya have it, "both" the
        root each, "right" A.

    Raises
    ------
    ConfigError
        When the rule's number makes no sense, or ``max_rank`` is below 1.
    NumericError
        When a factor holds NaN or infinity, or ``hard_threshold`` finds no noise to measure.
    """
    check_max_rank(max_rank)
    resized, layers = [], []
    for update in updates:
        S = update.svd().S
        k = min(rule.rank(S, update.shape), max_rank or len(S))
        cut = update.truncate(k, weighting=weighting) if k < update.rank else update
        size = truncation_error(S, 0)[0]
        resized.append(cut)
        layers.append(
            ResizedLayer(
                path=update.path,
                rank_before=update.rank,
                rank=cut.rank,
                error=truncation_error(S, k)[0] / size if size > 0 else 0.0,
                n_parameters_before=update.n_parameters,
                n_parameters=cut.n_parameters,
            )
        )
    return Resized(updates=tuple(resized), layers=tuple(layers))


def check_max_rank(max_rank: int | None) -> None:
    """Refuse a ``max_rank`` below 1."""
    if max_rank is not None and max_rank < 1:
        raise ConfigError(f"max_rank is {max_rank}; expected at least 1, or None for no limit.")
