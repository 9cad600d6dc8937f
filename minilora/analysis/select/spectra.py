"""Ranks read off the spectra of an update, without any training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

from minilora._types import Array, Shape
from minilora.adapters import LowRankUpdate
from minilora.analysis.rank_rules import RankRule
from minilora.errors import ConfigError


@dataclass(frozen=True, eq=False)
class UpdateSpectrum:
    """Singular values of ΔW.

    Attributes
    ----------
    S
        (k,), falling; all min(O, I) of a full fine-tuning difference.
    shape
        (O, I) of ΔW.
    factored
        Whether ΔW = s B A by construction, so that the rest of its singular values are zero.
    """

    S: Array
    shape: Shape
    factored: bool

    @classmethod
    def of(cls, update: LowRankUpdate) -> UpdateSpectrum:
        """The spectrum of a trained adapter's update."""
        return cls(update.svd().S, update.shape, factored=True)


@dataclass(frozen=True)
class Pick:
    """What one selector says.

    Attributes
    ----------
    selector
        Its name, in words.
    ranks
        By layer; empty if it cannot say.
    refusal
        Why it cannot.
    """

    selector: str
    ranks: dict[str, int]
    refusal: str = ""

    @property
    def r(self) -> int | None:
        """One rank for all layers: their mean, rounded up; None if there is none."""
        return math.ceil(statistics.fmean(self.ranks.values())) if self.ranks else None


def pick_ranks(spectra: Mapping[str, UpdateSpectrum]) -> list[Pick]:
    """Ask every one of `SELECTORS` for the rank of each layer, 1 at least.

    They tell how few directions would have done for *this* update; whether a larger rank would have
    learned more, only a trial tells. Gavish and Donoho's threshold, which tells signal from noise,
    refuses the update of an adapter: that has rank r by construction and shows no noise.

    Raises
    ------
    ConfigError
        If there are no spectra.
    """
    if not spectra:
        raise ConfigError("pick_ranks: no spectra; those of one or more layers were expected.")
    return [_pick(name, rule, spectra) for name, rule in SELECTORS.items()]


SELECTORS = {
    "energy 90 %": RankRule("energy", 0.90),
    "energy 99 %": RankRule("energy", 0.99),
    "effective rank": RankRule("effective_rank", 1),
    "hard threshold": RankRule("hard_threshold", 0),
}
"""What reads a rank off a spectrum; see `minilora.analysis.RULES`."""


def _pick(name: str, rule: RankRule, spectra: Mapping[str, UpdateSpectrum]) -> Pick:
    if rule.name == "hard_threshold" and any(spectrum.factored for spectrum in spectra.values()):
        return Pick(
            name,
            {},
            "a product B A has rank r by construction: most of its singular values are exactly "
            "zero, and no noise is left to tell signal from; give a full fine-tuning run instead",
        )
    ranks = {path: rule.rank(spectrum.S, spectrum.shape) for path, spectrum in spectra.items()}
    return Pick(name, ranks)
