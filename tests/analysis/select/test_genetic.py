from dataclasses import replace

import numpy as np
import pytest

from minilora.analysis.select import Candidate, Space, genetic, summarise
from minilora.analysis.select.summary import by_score
from minilora.errors import ConfigError

RANKS = (1, 2, 4, 8, 16, 32)
TARGETS = ("query", "value", "dense")


@pytest.fixture
def space(candidate):
    return Space(ranks=RANKS, targets=TARGETS, sparsities=(0.0, 0.25, 0.5), make=candidate)


def worth(candidate):
    """Query and dense are what matters, from rank 8 on nothing more; a quarter may be zero."""
    return (
        min(candidate.r, 8) / 8
        + 0.5 * ("query" in candidate.targets)
        + 0.7 * ("dense" in candidate.targets)
        - 0.2 * (candidate.sparsity > 0.25)
    )


def planted(trial):
    return worth(trial.candidate)


def best_of(found):
    return by_score(summarise(found.results))[0].candidate


def everything(space):
    return [
        space.candidate((rank, chosen, sparsity))
        for rank in range(len(space.ranks))
        for chosen in range(1, 2 ** len(space.targets))
        for sparsity in range(len(space.sparsities))
    ]


@pytest.mark.parametrize("limit", [None, 600, 200])
def test_it_finds_the_planted_best_among_126_in_at_most_80_trials(space, search, limit):
    space = replace(space, max_parameters=limit)
    allowed = [c for c in everything(space) if limit is None or c.n_parameters <= limit]
    best = max(allowed, key=lambda c: (worth(c), -c.n_parameters))
    hits = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        strategy = genetic(space, epochs=1, seeds=[0], population=10, generations=8, rng=rng)
        found = search(strategy, planted)
        assert len(found.results) <= 80
        hits += best_of(found) == best
    assert hits >= 9


def test_it_finds_better_ones_than_drawing_as_many_at_random(search):
    wanted = {"a", "d", "g"}

    def make(r, targets, sparsity):
        return Candidate(r=r, targets=targets, n_parameters=r * len(targets))

    def objective(trial):
        return min(trial.candidate.r, 8) / 4 - len(wanted ^ set(trial.candidate.targets))

    def best_score(population, generations, seed):
        options = {"population": population, "generations": generations}
        rng = np.random.default_rng(seed)
        found = search(genetic(space, epochs=1, seeds=[0], rng=rng, **options), objective)
        assert len(found.results) == 96
        return max(result.score for result in found.results)

    space = Space(ranks=RANKS, targets="abcdefgh", make=make)
    bred = [best_score(12, 8, seed) for seed in range(10)]
    drawn = [best_score(96, 1, seed) for seed in range(10)]
    assert np.mean(bred) > np.mean(drawn) + 0.5


def test_the_same_seed_breeds_the_same(space, search):
    runs = [
        search(genetic(space, epochs=1, seeds=[0, 1], rng=np.random.default_rng(3)), planted)
        for _ in range(2)
    ]
    assert [r.trial for r in runs[0].results] == [r.trial for r in runs[1].results]


def test_nothing_is_tried_twice(space, search, rng):
    found = search(genetic(space, epochs=1, seeds=[0], generations=9, rng=rng), planted)
    tried = [r.trial.candidate for r in found.results]
    assert len(tried) == len(set(tried)) == 72


def test_a_small_space_is_tried_whole_and_then_it_ends(candidate, search, rng):
    space = Space(ranks=(1, 2), targets=("query", "value"), make=candidate)
    found = search(genetic(space, epochs=1, seeds=[0], generations=50, rng=rng), planted)
    assert {r.trial.candidate for r in found.results} == set(everything(space))


def test_the_limit_on_parameters_is_kept(space, search, rng):
    space = replace(space, max_parameters=300)
    found = search(genetic(space, epochs=1, seeds=[0], rng=rng), planted)
    assert max(r.trial.candidate.n_parameters for r in found.results) <= 300


def test_a_limit_below_everything_is_refused(space, search, rng):
    space = replace(space, max_parameters=10)
    with pytest.raises(ConfigError, match="nothing with at most 10 parameters"):
        search(genetic(space, epochs=1, seeds=[0], rng=rng), planted)


def test_what_fails_has_few_children(space, search, rng):
    def objective(trial):
        if "value" in trial.candidate.targets:
            raise ValueError("diverged")
        return 1.0

    strategy = genetic(space, epochs=1, seeds=[0], generations=4, population=12, rng=rng)
    failed = [result.score is None for result in search(strategy, objective).results]
    assert sum(failed[:12]) >= 6
    assert sum(failed[12:]) < 12


def test_it_costs_what_it_says(space, search, rng):
    strategy = genetic(
        space, epochs=3, seeds=[0, 1], n_folds=2, population=4, generations=2, rng=rng
    )
    assert search(strategy, planted).epochs == 4 * 2 * 3 * 2 * 2


@pytest.mark.parametrize("wrong", [{"population": 1}, {"generations": 0}])
def test_a_population_that_cannot_breed_is_refused(space, search, rng, wrong):
    with pytest.raises(ConfigError, match="genetic: population"):
        search(genetic(space, epochs=1, seeds=[0], rng=rng, **wrong), planted)


@pytest.mark.parametrize("name", ["ranks", "targets", "sparsities"])
def test_a_space_with_nothing_to_choose_from_is_refused(space, name):
    with pytest.raises(ConfigError, match=f"genetic: no {name}"):
        replace(space, **{name: ()})


def test_as_many_targets_as_there_are_bits_can_be_drawn_and_no_more(space, rng):
    names = [f"layer.{i}" for i in range(63)]
    chosen = {replace(space, targets=names[:62]).draw(rng)[1] for _ in range(20)}
    assert max(chosen) > 1 << 60
    with pytest.raises(ConfigError, match="63 targets; 62 at the most"):
        replace(space, targets=names)


def test_children_have_their_parents_genes(space, rng):
    mother, father = (0, 0b001, 0), (5, 0b110, 2)
    children = {space.cross(mother, father, rng) for _ in range(300)}
    assert {c[0] for c in children} == {0, 5}
    assert {c[1] for c in children} == set(range(1, 8))  # any mix, never none
    assert {c[2] for c in children} == {0, 2}


def test_what_both_parents_have_the_child_has(space, rng):
    assert all(space.cross((1, 0b011, 0), (1, 0b001, 0), rng)[1] & 1 for _ in range(50))


def test_a_mutation_steps_to_a_neighbour_and_never_outside(space, rng):
    for rank, chosen, sparsity in [(0, 1, 0), (5, 7, 2), (3, 4, 1)]:
        for _ in range(100):
            new = space.mutate((rank, chosen, sparsity), rng)
            assert abs(new[0] - rank) <= 1
            assert 0 <= new[0] < len(RANKS)
            assert 1 <= new[1] < 8
            assert (new[1] ^ chosen).bit_count() <= 1
            assert abs(new[2] - sparsity) <= 1
            assert 0 <= new[2] < 3
