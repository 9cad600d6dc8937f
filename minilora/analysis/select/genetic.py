"""A small genetic search over rank, targets and sparsity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from minilora._types import Rng
from minilora.analysis.select.summary import by_score, summarise
from minilora.analysis.select.trial import Candidate, Strategy, trials_of
from minilora.errors import ConfigError

Genes: TypeAlias = tuple[int, int, int]
"""Which rank, which targets (a bit each), which sparsity."""
_ATTEMPTS = 100  # at making something new, before we try another way or give up
_MOST_TARGETS = 62  # a bit each, drawn as an int64
_MUTATION = 1 / 3  # of each gene: one of the three, on average


@dataclass(frozen=True, kw_only=True)
class Space:
    """Everything that could be tried: a rank x some of the targets x a sparsity.

    Attributes
    ----------
    ranks, targets, sparsities
        The choices; ranks and sparsities in order, since mutation steps to a neighbour.
    make
        Makes a candidate of a rank, targets and sparsity, its parameters counted.
    max_parameters
        Candidates with more are not tried.

    Raises
    ------
    ConfigError
        If there is no rank, target or sparsity to choose from, or more than 62 targets.
    """

    ranks: Sequence[int]
    targets: Sequence[str]
    make: Callable[[int, tuple[str, ...], float], Candidate]
    sparsities: Sequence[float] = (0.0,)
    max_parameters: int | None = None

    def __post_init__(self) -> None:
        for name in ("ranks", "targets", "sparsities"):
            if not getattr(self, name):
                raise ConfigError(f"genetic: no {name}; one or more to choose from were expected.")
        if len(self.targets) > _MOST_TARGETS:
            raise ConfigError(
                f"genetic: {len(self.targets)} targets; {_MOST_TARGETS} at the most were expected; "
                "name kinds of layers instead of single ones."
            )

    def candidate(self, genes: Genes) -> Candidate:
        """What the genes say."""
        rank, chosen, sparsity = genes
        targets = tuple(name for i, name in enumerate(self.targets) if chosen >> i & 1)
        return self.make(self.ranks[rank], targets, self.sparsities[sparsity])

    def draw(self, rng: Rng) -> Genes:
        """Uniformly at random."""
        return (
            int(rng.integers(len(self.ranks))),
            int(rng.integers(1, 1 << len(self.targets))),
            int(rng.integers(len(self.sparsities))),
        )

    def cross(self, mother: Genes, father: Genes, rng: Rng) -> Genes:
        """Each gene from either parent; of the targets, each from either."""
        mask = int(rng.integers(1 << len(self.targets)))
        targets = mother[1] & mask | father[1] & ~mask
        pairs = zip(mother, father, strict=True)
        rank, either, sparsity = (pair[int(rng.integers(2))] for pair in pairs)
        return rank, targets or either, sparsity

    def mutate(self, genes: Genes, rng: Rng) -> Genes:
        """A neighbouring rank, one target more or less, a neighbouring sparsity; each perhaps."""
        rank, chosen, sparsity = genes
        if rng.random() < _MUTATION:
            rank = _neighbour(rank, len(self.ranks), rng)
        if rng.random() < _MUTATION:
            chosen = chosen ^ 1 << int(rng.integers(len(self.targets))) or chosen
        if rng.random() < _MUTATION:
            sparsity = _neighbour(sparsity, len(self.sparsities), rng)
        return rank, chosen, sparsity


def genetic(
    space: Space,
    *,
    epochs: int,
    seeds: Sequence[int],
    n_folds: int = 1,
    population: int = 8,
    generations: int = 5,
    rng: Rng,
) -> Strategy:
    """Breed new candidates from the better half of those tried; nothing is tried twice.

    The first generation is random. Of every next one each member has two parents among the
    ``population`` // 2 best of all so far (of equal scores, the smaller), takes each gene from
    either, and mutates; where that brings nothing new, it is drawn at random. Costs at most
    population x generations x seeds x folds x epochs, less when all has been tried. After Holland
    1975 (Adaptation in Natural and Artificial Systems), with truncation selection and elitism.

    Raises
    ------
    ConfigError
        If the population is below 2, or nothing in ``space`` has as few parameters as it allows.
    """
    if population < 2 or generations < 1:
        raise ConfigError(
            f"genetic: population {population} for {generations} generations; at least 2, for at "
            "least 1, was expected."
        )
    tried: dict[Candidate, Genes] = {}
    results = []
    parents: list[Genes] = []
    for _ in range(generations):
        new = dict(_breed(space, tried, parents, population, rng))
        if not new:
            break
        tried |= new
        results += yield trials_of(new, epochs=epochs, seeds=seeds, n_folds=n_folds)
        best = by_score(summarise(results))[: population // 2]
        parents = [tried[summary.candidate] for summary in best]
    if not tried:
        raise ConfigError(
            f"genetic: found nothing with at most {space.max_parameters} parameters; allow more, "
            "or smaller ranks or single targets."
        )


def _breed(
    space: Space, tried: dict[Candidate, Genes], parents: list[Genes], n: int, rng: Rng
) -> Iterator[tuple[Candidate, Genes]]:
    """Up to n candidates that are new and small enough, with their genes."""
    seen, limit = set(tried.values()), space.max_parameters
    misses = 0
    while n > 0 and misses < 2 * _ATTEMPTS:
        misses += 1
        if parents and misses <= _ATTEMPTS:
            mother, father = (parents[int(rng.integers(len(parents)))] for _ in range(2))
            genes = space.mutate(space.cross(mother, father, rng), rng)
        else:
            genes = space.draw(rng)
        if genes in seen:
            continue
        seen.add(genes)
        candidate = space.candidate(genes)
        if limit is None or candidate.n_parameters <= limit:
            n, misses = n - 1, 0
            yield candidate, genes


def _neighbour(i: int, n: int, rng: Rng) -> int:
    return min(max(i + int(rng.choice((-1, 1))), 0), n - 1)
