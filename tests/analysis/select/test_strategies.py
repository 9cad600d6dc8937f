"""Sweep and successive halving."""

import contextlib
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.analysis.select import (
    Candidate,
    Result,
    halving_rounds,
    recommend,
    successive_halving,
    summarise,
    sweep,
)
from minilora.errors import ConfigError


@pytest.fixture
def grid(candidate):
    return [candidate(r) for r in (1, 2, 4, 8, 16)]


def asked(strategy, score):
    """The candidates and epochs of each round, when ``score`` answers."""
    rounds, results = [], None
    with contextlib.suppress(StopIteration):
        while True:
            trials = strategy.send(results)
            rounds.append(([t.candidate.r for t in trials], trials[0].epochs))
            results = [Result(t, score(t), 0.0) for t in trials]
    return rounds


def test_a_sweep_tries_everything_in_full(grid, search, saturating):
    found = search(sweep(grid, epochs=3, seeds=[0, 1], n_folds=2), saturating)
    assert Counter(r.trial.candidate.r for r in found.results) == {c.r: 4 for c in grid}
    assert {r.trial.epochs for r in found.results} == {3}


def test_a_sweep_finds_the_rank_from_which_nothing_is_gained(grid, search, saturating):
    found = search(sweep(grid, epochs=1, seeds=range(3), n_folds=3), saturating)
    assert recommend(summarise(found.results)).chosen.candidate.r == 4


def test_halving_trains_the_better_half_twice_as_long(grid):
    rounds = asked(successive_halving(grid, epochs=4, seeds=[0]), lambda t: t.candidate.r)
    assert rounds == [([1, 2, 4, 8, 16], 1), ([16, 8, 4], 2), ([16, 8], 4)]


def test_halving_by_three_keeps_a_third_and_trains_it_three_times_as_long():
    grid = [Candidate(r=r, n_parameters=r) for r in range(1, 10)]
    rounds = asked(successive_halving(grid, epochs=7, seeds=[0], eta=3), lambda t: -t.candidate.r)
    assert rounds == [(list(range(1, 10)), 2), ([1, 2, 3], 7)]


@given(st.integers(1, 40), st.integers(1, 20), st.integers(2, 4))
def test_rounds_of_halving_are_known_before(n, epochs, eta):
    grid = [Candidate(r=r, n_parameters=r) for r in range(1, n + 1)]
    rounds = asked(successive_halving(grid, epochs=epochs, seeds=[0], eta=eta), lambda t: 0.5)
    made = [(len(ranks), trained) for ranks, trained in rounds]
    assert made == halving_rounds(n, epochs, eta=eta)
    assert made[-1][1] == epochs


def test_halving_keeps_the_smaller_of_equals(grid):
    rounds = asked(successive_halving(grid, epochs=2, seeds=[0]), lambda t: 0.5)
    assert rounds == [([1, 2, 4, 8, 16], 1), ([1, 2, 4], 2)]


def test_halving_drops_what_failed(grid):
    score = lambda t: None if t.candidate.r > 2 else 0.5
    rounds = asked(successive_halving(grid[1:3], epochs=9, seeds=[0]), score)
    assert rounds == [([2, 4], 9)]
    rounds = asked(successive_halving(grid, epochs=9, seeds=[0]), score)
    assert rounds[-1][0] == [1, 2]


def test_halving_spends_less_than_a_sweep_and_finds_the_same(grid, search, saturating):
    def learning(trial):
        return saturating(trial) - 0.1 / trial.epochs

    halved = search(successive_halving(grid, epochs=4, seeds=range(3)), learning)
    swept = search(sweep(grid, epochs=4, seeds=range(3)), learning)
    assert (halved.epochs, swept.epochs) == (3 * (5 + 3 * 2 + 2 * 4), 3 * 5 * 4)
    chosen = [recommend(summarise(s.results)).chosen.candidate.r for s in (halved, swept)]
    assert chosen == [4, 4]


@given(n=st.integers(1, 40), epochs=st.integers(1, 40), eta=st.integers(2, 4))
def test_the_last_round_has_all_epochs_and_something_to_choose_from(n, epochs, eta):
    grid = [Candidate(r=r, n_parameters=r) for r in range(1, n + 1)]
    rounds = asked(
        successive_halving(grid, epochs=epochs, seeds=[0], eta=eta), lambda t: t.candidate.r
    )
    sizes = [len(ranks) for ranks, _ in rounds]
    assert sizes[0] == n
    assert rounds[-1][1] == epochs
    assert sizes[-1] >= min(n, 2)
    assert min(length for _, length in rounds) >= 1
    assert sorted(sizes, reverse=True) == sizes
    # one more round would leave less than an epoch to the first, or one candidate to the last
    assert epochs < eta ** len(rounds) or -(-n // eta ** len(rounds)) < 2


@given(k=st.integers(1, 4), spare=st.integers(0, 2), eta=st.integers(2, 3), seeds=st.integers(1, 2))
def test_where_everything_divides_each_round_of_halving_costs_the_same(k, spare, eta, seeds):
    n, R = 2 * eta**k, eta ** (k + spare)  # the last round has two candidates
    grid = [Candidate(r=r, n_parameters=r) for r in range(1, n + 1)]
    strategy = successive_halving(grid, epochs=R, seeds=range(seeds), eta=eta)
    rounds = asked(strategy, lambda t: t.candidate.r)
    costs = [len(ranks) * epochs for ranks, epochs in rounds]
    assert costs == [seeds * n * R // eta**k] * (k + 1)  # n R (K + 1) / ηᴷ in all


@pytest.mark.parametrize("none", [{"epochs": 0}, {"seeds": []}, {"n_folds": 0}])
@pytest.mark.parametrize("strategy", [sweep, successive_halving])
def test_a_search_of_nothing_is_refused(grid, search, saturating, strategy, none):
    with pytest.raises(ConfigError, match="at least one of each"):
        search(strategy(grid, **({"epochs": 1, "seeds": [0]} | none)), saturating)


def test_halving_by_one_is_refused(grid, search, saturating):
    with pytest.raises(ConfigError, match="eta is 1"):
        search(successive_halving(grid, epochs=4, seeds=[0], eta=1), saturating)
