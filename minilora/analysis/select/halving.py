"""Successive halving: many candidates briefly, the better ones longer."""

from __future__ import annotations

import math
from collections.abc import Sequence

from minilora.analysis.select.summary import by_score, summarise
from minilora.analysis.select.trial import Candidate, Strategy, trials_of
from minilora.errors import ConfigError


def successive_halving(
    candidates: Sequence[Candidate],
    *,
    epochs: int,
    seeds: Sequence[int],
    n_folds: int = 1,
    eta: int = 2,
) -> Strategy:
    """Train all for a few epochs, keep the best 1/``eta``, train those ``eta`` times as long, ...

    Round k = 0..K trains ⌈n / ηᵏ⌉ candidates for ⌊R / ηᴷ⁻ᵏ⌋ epochs, R = ``epochs``, K the most for
    which the first round has an epoch and the last two candidates (so that there is something to
    choose from). Every round costs about as much, the whole n R (K + 1) / ηᴷ instead of a sweep's
    n R epochs; with few candidates or epochs, where rounding tells, it can be more than those: see
    `halving_rounds`. Each round trains from the start, since a learning rate schedule has its end
    built in.

    Jamieson and Talwalkar 2016, arXiv:1502.07943, with their η = 2 made a setting; they divide a
    total budget among the rounds instead of naming the last round's.

    Raises
    ------
    ConfigError
        If ``eta`` is below 2.
    """
    if eta < 2:
        raise ConfigError(f"successive_halving: eta is {eta}; at least 2 was expected.")
    alive = list(candidates)
    for size, rung in halving_rounds(len(candidates), epochs, eta=eta):
        alive = alive[:size]
        results = yield trials_of(alive, epochs=rung, seeds=seeds, n_folds=n_folds)
        alive = [summary.candidate for summary in by_score(summarise(results))]


def halving_rounds(n: int, epochs: int, *, eta: int = 2) -> list[tuple[int, int]]:
    """How many of ``n`` candidates each round of `successive_halving` trains, for how many epochs.

    A candidate all of whose trials fail is dropped, so that later rounds may have fewer.
    """
    n_halvings = _n_halvings(n, epochs, eta)
    return [(-(-n // eta**k), epochs // eta ** (n_halvings - k)) for k in range(n_halvings + 1)]


def _n_halvings(n: int, epochs: int, eta: int) -> int:
    """The K above; integers, since math.log(8, 2) need not be 3."""
    k = 0
    while eta ** (k + 1) <= epochs and math.ceil(n / eta ** (k + 1)) >= 2:
        k += 1
    return k
