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
    n R epochs. Each round trains from the start, since a learning rate schedule has its end built
    in.

    Jamieson and Talwalkar 2016, arXiv:1502.07943, with their η = 2 made a setting; they divide a
    total budget among the rounds instead of naming the last round's.

    Raises
    ------
    ConfigError
        If ``eta`` is below 2.
    """
    if eta < 2:
        raise ConfigError(f"successive_halving: eta is {eta}; at least 2 was expected.")
    n_rounds = _n_halvings(len(candidates), epochs, eta)
    alive = list(candidates)
    for k in range(n_rounds + 1):
        alive = alive[: -(-len(candidates) // eta**k)]
        rung = epochs // eta ** (n_rounds - k)
        results = yield trials_of(alive, epochs=rung, seeds=seeds, n_folds=n_folds)
        alive = [summary.candidate for summary in by_score(summarise(results))]


def _n_halvings(n: int, epochs: int, eta: int) -> int:
    """The K above; integers, since math.log(8, 2) need not be 3."""
    k = 0
    while eta ** (k + 1) <= epochs and math.ceil(n / eta ** (k + 1)) >= 2:
        k += 1
    return k
