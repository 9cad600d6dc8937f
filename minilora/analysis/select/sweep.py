"""Sweep: everything, in full."""

from __future__ import annotations

from collections.abc import Sequence

from minilora.analysis.select.trial import Candidate, Strategy, trials_of


def sweep(
    candidates: Sequence[Candidate], *, epochs: int, seeds: Sequence[int], n_folds: int = 1
) -> Strategy:
    """Try every candidate for all epochs, with every seed, on every fold.

    Costs candidates x seeds x folds x epochs. With folds this is cross-validation; `recommend`
    then applies the one-standard-error rule.
    """
    yield trials_of(candidates, epochs=epochs, seeds=seeds, n_folds=n_folds)
