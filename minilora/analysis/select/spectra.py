"""Ranks read off the spectra of an update, without any training."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from minilora._types import Array, Shape
from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError, NumericError
from minilora.linalg import effective_rank, energy_rank, hard_threshold


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
        """One rank for all layers: their mean, rounded up, at least 1; None if there is none."""
        return max(1, math.ceil(statistics.fmean(self.ranks.values()))) if self.ranks else None


def pick_ranks(spectra: Mapping[str, UpdateSpectrum]) -> list[Pick]:
    """Ask every selector.

    ===============  =============================================================================
    energy 90 %      the smallest rank that keeps 90 % of Σ σ² (and the same for 99 %)
    effective rank   equal directions with the same entropy as σ, rounded up (Roy and Vetterli 2007)
    hard threshold   singular values above what noise alone would give (Gavish and Donoho 2014,
                     arXiv:1305.5870); refused for an adapter's update, which shows no noise
    ===============  =============================================================================

    The first two tell how a spectrum falls, and so how few directions would have done for *this*
    update; whether a larger rank would have learned more, only a trial tells.

    Raises
    ------
    ConfigError
        If there are no spectra.
    """
    if not spectra:
        raise ConfigError("pick_ranks: no spectra; those of one or more layers were expected.")
    return [_pick(name, spectra, rank) for name, rank in SELECTORS.items()]


def above_hard_threshold(spectrum: UpdateSpectrum) -> int:
    """#{σ_i > τ}, τ of `minilora.linalg.hard_threshold` with the noise estimated.

    Raises
    ------
    NumericError
        For the update of an adapter: it has rank r and no more, so its median singular value is
        zero, and no noise can be estimated from that.
    """
    if spectrum.factored:
        raise NumericError(
            "a product B A has rank r by construction: most of its singular values are exactly "
            "zero, and there is no noise to tell signal from; give a full fine-tuning run instead"
        )
    return int(np.count_nonzero(spectrum.S > hard_threshold(spectrum.S, spectrum.shape)))


SELECTORS: dict[str, Callable[[UpdateSpectrum], int]] = {
    "energy 90 %": lambda spectrum: energy_rank(spectrum.S, 0.90),
    "energy 99 %": lambda spectrum: energy_rank(spectrum.S, 0.99),
    "effective rank": lambda spectrum: math.ceil(effective_rank(spectrum.S)),
    "hard threshold": above_hard_threshold,
}


def _pick(
    name: str, spectra: Mapping[str, UpdateSpectrum], rank: Callable[[UpdateSpectrum], int]
) -> Pick:
    try:
        return Pick(name, {path: rank(spectrum) for path, spectrum in spectra.items()})
    except NumericError as refusal:
        return Pick(name, {}, str(refusal))
