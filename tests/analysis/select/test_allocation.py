import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.adapters import LoraConfig, inject
from minilora.adapters.update import LowRankUpdate
from minilora.analysis.select import allocate, energy, sensitivity
from minilora.autograd import Tensor
from minilora.errors import ConfigError, NumericError, ShapeError
from minilora.nn import Linear, Module

LAYERS = "abcd"


def best_by_brute_force(importance, sizes, budget):
    """The most importance that any ranks within the budget keep."""
    sums = {path: np.cumsum([0.0, *np.sort(s)[::-1]]) for path, s in importance.items()}
    choices = itertools.product(*(range(len(s)) for s in sums.values()))
    return max(
        sum(sums[path][r] for path, r in zip(sums, ranks, strict=True))
        for ranks in choices
        if sum(sizes[path] * r for path, r in zip(sums, ranks, strict=True)) <= budget
    )


@st.composite
def problems(draw, *, equal_sizes):
    n = draw(st.integers(1, 4))
    values = st.lists(st.floats(0.01, 10), min_size=1, max_size=4)
    importance = {path: np.array(draw(values)) for path in LAYERS[:n]}
    size = draw(st.integers(1, 9))
    sizes = {path: size if equal_sizes else draw(st.integers(1, 9)) for path in importance}
    budget = draw(st.integers(min(sizes.values()), 60))
    return importance, sizes, budget


@given(problems(equal_sizes=True))
def test_with_equal_sizes_no_allocation_keeps_more(problem):
    importance, sizes, budget = problem
    found = allocate(importance, sizes, budget=budget)
    total = sum(s.sum() for s in importance.values())
    assert found.kept * total == pytest.approx(best_by_brute_force(importance, sizes, budget))


@given(problems(equal_sizes=False))
def test_with_other_sizes_it_misses_less_than_the_first_direction_passed_over(problem):
    importance, sizes, budget = problem
    found = allocate(importance, sizes, budget=budget)
    total = sum(s.sum() for s in importance.values())
    missed = best_by_brute_force(importance, sizes, budget) - found.kept * total
    entries = sorted(
        ((s / sizes[path], path, s) for path in importance for s in importance[path]),
        key=lambda entry: -entry[0],
    )
    left, passed_over = budget, 0.0
    for _, path, s in entries:
        if sizes[path] > left:
            passed_over = s
            break
        left -= sizes[path]
    assert missed <= passed_over + 1e-9


@given(problems(equal_sizes=False))
def test_the_numbers_of_an_allocation_agree(problem):
    importance, sizes, budget = problem
    found = allocate(importance, sizes, budget=budget)
    assert found.n_parameters == sum(sizes[p] * r for p, r in found.ranks.items()) <= budget
    kept = sum(np.sort(s)[::-1][: found.ranks[p]].sum() for p, s in importance.items())
    assert found.kept == pytest.approx(kept / sum(s.sum() for s in importance.values()))
    taken = [np.sort(importance[p])[::-1][r - 1] / sizes[p] for p, r in found.ranks.items() if r]
    assert found.threshold == pytest.approx(min(taken))


@given(problems(equal_sizes=True), st.integers(0, 30), st.sampled_from([0.25, 8.0]))
def test_with_equal_sizes_a_larger_budget_keeps_all_that_a_smaller_did(problem, more, unit):
    importance, sizes, budget = problem
    small = allocate(importance, sizes, budget=budget)
    scaled = {path: unit * s for path, s in importance.items()}  # its unit does not matter
    large = allocate(scaled, sizes, budget=budget + more)
    assert all(small.ranks[path] <= large.ranks[path] for path in sizes)
    assert small.kept <= large.kept + 1e-12


def test_one_threshold_holds_in_all_layers():
    importance = {"a": np.array([9.0, 4.0, 0.1]), "b": np.array([3.0, 2.0]), "c": np.array([0.5])}
    found = allocate(importance, dict.fromkeys("abc", 10), budget=45)
    assert found.ranks == {"a": 2, "b": 2, "c": 0}
    assert found.threshold == 2.0 / 10
    assert found.n_parameters == 40


def test_what_has_no_importance_gets_no_rank():
    found = allocate(
        {"a": np.array([1.0, 0.0, 0.0]), "b": np.zeros(3)}, {"a": 2, "b": 1}, budget=99
    )
    assert found.ranks == {"a": 1, "b": 0}


@pytest.mark.parametrize(
    ("importance", "said"),
    [(np.array([5.0]), "one direction takes 7"), (np.zeros(2), "Was the adapter trained")],
)
def test_a_budget_for_nothing_is_refused(importance, said):
    with pytest.raises(ConfigError, match=said):
        allocate({"a": importance}, {"a": 7}, budget=6)


@pytest.mark.parametrize(("sizes", "said"), [({}, "is None"), ({"a": 0}, "is 0")])
def test_a_layer_without_a_size_is_refused(sizes, said):
    with pytest.raises(ConfigError, match=f"the size of a {said}"):
        allocate({"a": np.ones(2)}, sizes, budget=5)


@pytest.mark.parametrize("wrong", [np.array([1.0, np.nan]), np.array([-1.0]), np.ones((2, 2))])
def test_importance_that_is_none_is_refused_by_layer(wrong):
    with pytest.raises(ShapeError, match="importance of a"):
        allocate({"a": wrong}, {"a": 1}, budget=5)


def test_energy_is_what_the_update_loses_without_a_direction(spectral_update):
    update = spectral_update([3.0, 2.0, 0.5])
    assert energy(update) == pytest.approx([9.0, 4.0, 0.25])
    assert update.frobenius**2 - update.truncate(1).frobenius ** 2 == pytest.approx(4.25)


class Quadratic(Module):
    """L = ½ ‖x Wᵀ − t‖²"""

    def __init__(self, rng):
        self.query = Linear(rng.standard_normal((7, 5)), None)

    def loss(self, x, target):
        error = self.query(Tensor(x)) - Tensor(target)
        return (error * error).sum() * 0.5


@pytest.fixture
def trained(rng):
    """A model with an adapter that is not zero, its update, and two batches."""
    model = Quadratic(rng)
    inject(model, LoraConfig(r=3, lora_alpha=2, target_modules=["query"]), rng=rng)
    layer = model.query
    layer.lora_B.data = rng.standard_normal((7, 3))
    update = LowRankUpdate("query", layer.lora_B.data, layer.lora_A.data, layer.scaling)
    return model, update, [(rng.standard_normal((4, 5)), rng.standard_normal((4, 7))) for _ in "ab"]


def gradients_of(model, batches):
    for batch in batches:
        model.query.lora_B.grad = None
        model.loss(*batch).backward()
        yield model.query.lora_B.grad


def test_sensitivity_is_the_loss_s_change_when_a_singular_value_shrinks(trained):
    model, update, batches = trained
    svd, W = update.svd(), model.query.weight.data

    def loss(S, x, target):
        return 0.5 * np.sum((x @ (W + (svd.U * S) @ svd.Vh).T - target) ** 2)

    eps, numeric = 1e-6, []
    for batch in batches:
        steps = np.eye(3) * svd.S * eps
        numeric.append([loss(svd.S + d, *batch) - loss(svd.S - d, *batch) for d in steps])
    numeric = np.abs(np.array(numeric) / (2 * eps)).mean(axis=0)
    assert sensitivity(update, gradients_of(model, batches)) == pytest.approx(numeric, rel=1e-6)


def test_sensitivity_needs_gradients_of_the_shape_of_b(spectral_update):
    update = spectral_update([3.0, 1.0])
    with pytest.raises(ShapeError, match=r"query is \(3, 2\), its B \(12, 2\)"):
        sensitivity(update, [np.ones((3, 2))])
    with pytest.raises(ConfigError, match="no gradients of query"):
        sensitivity(update, [])
    with pytest.raises(NumericError, match="gradient of query"):
        sensitivity(update, [np.full((12, 2), np.nan)])
