"""What is tried out: candidates, trials of them, and what came of each."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from minilora.adapters import LoraConfig
from minilora.adapters.matching import ALL_LINEAR
from minilora.adapters.selection import select
from minilora.analysis.select.sparsity import check_sparsity, n_zeros
from minilora.errors import ConfigError
from minilora.nn import Module


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A way to adapt a model.

    Attributes
    ----------
    r, alpha, targets
        Rank, α and target modules as in `minilora.LoraConfig`; ``("all-linear",)`` is its word.
        One α for all ranks keeps the first steps of Adam as large whatever the rank, since each of
        the r directions moves by about s = α/r times the learning rate.
    sparsity
        Share of the trained adapter's numbers that are set to zero; see `sparsify`.
    ranks
        Rank of each adapted layer by its path, where they differ; r is then the largest.
    n_parameters
        Numbers that the adapter keeps; 0 before `counted`.

    Raises
    ------
    ConfigError
        A value out of its range, or an r that is not the largest of ``ranks``.
    """

    r: int
    alpha: float = 16.0
    targets: tuple[str, ...] = ("query", "value")
    sparsity: float = 0.0
    ranks: tuple[tuple[str, int], ...] = ()
    n_parameters: int = 0

    def __post_init__(self) -> None:
        check_sparsity(self.sparsity)
        self.config()
        largest = max((r for _, r in self.ranks), default=self.r)
        if self.r != largest:
            raise ConfigError(f"r is {self.r}; {largest}, the largest of its ranks, was expected.")

    def config(self, **others: Any) -> LoraConfig:
        """What `minilora.inject` takes; ``others`` are further settings of it."""
        targets: Any = ALL_LINEAR if self.targets == (ALL_LINEAR,) else self.targets
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            target_modules=tuple(path for path, _ in self.ranks) or targets,
            rank_pattern=dict(self.ranks),
            **others,
        )

    def counted(self, model: Module) -> Candidate:
        """The candidate with its number of parameters in ``model``: Σ r (I + O), less the zeros.

        Raises
        ------
        TargetError
            A target that matches nothing, with a suggestion.
        """
        config, modules = self.config(), dict(model.named_modules())
        total = 0
        for path in select(model, config).targets:
            weight: Any = modules[path]
            n = config.rank_of(path) * sum(weight.weight.shape)
            total += n - n_zeros(n, self.sparsity)
        return replace(self, n_parameters=total)

    def __str__(self) -> str:
        if self.ranks:
            smallest = min(r for _, r in self.ranks)
            span = f"{self.r}" if smallest == self.r else f"{smallest}–{self.r}"
            where = f"{len(self.ranks)} layers"
        else:
            span, where = str(self.r), "+".join(self.targets)
        zeros = f", {self.sparsity:.0%} zeros" if self.sparsity else ""
        return f"r={span} {where}{zeros}"


@dataclass(frozen=True)
class Trial:
    """One training of a candidate: for so many epochs, with this seed, on this fold."""

    candidate: Candidate
    epochs: int
    seed: int
    fold: int = 0


@dataclass(frozen=True)
class Result:
    """The score of a trial, higher is better; None, and why in ``error``, where it failed."""

    trial: Trial
    score: float | None
    seconds: float
    error: str = ""


Strategy: TypeAlias = Generator[list[Trial], list[Result], None]
"""Asks for trials, and is sent their results in the same order; returns when it has seen enough."""


def trials_of(
    candidates: Iterable[Candidate], *, epochs: int, seeds: Sequence[int], n_folds: int
) -> list[Trial]:
    """Every candidate with every seed on every fold: what differs is then the candidate alone.

    Raises
    ------
    ConfigError
        If there would be none.
    """
    if epochs < 1 or n_folds < 1 or not seeds:
        raise ConfigError(
            f"trials: {epochs} epochs, {len(seeds)} seeds and {n_folds} folds; "
            "at least one of each was expected."
        )
    return [
        Trial(candidate, epochs, seed, fold)
        for candidate in candidates
        for seed in seeds
        for fold in range(n_folds)
    ]
