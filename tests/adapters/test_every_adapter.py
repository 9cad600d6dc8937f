"""The laws every adapter obeys: on each entry of ADAPTERS, in both precisions, on each config.

r = 5 and α = 7 are chosen so that no two wrong scales agree (with r = 4, α/√r is 2 α/r), and the
layers of the toy model are not square, so that nothing transposed fits.
"""

import re

import numpy as np
import pytest

from minilora.adapters import ADAPTERS, AdaptedLinear, LoraConfig, eject, inject, merge
from minilora.autograd import Tensor
from minilora.errors import TargetError
from minilora.nn import Linear

CONFIGS = {
    "plain": {"target_modules": ["query", "intermediate", "output"]},
    "rslora": {"target_modules": ["intermediate"], "use_rslora": True},
    "gaussian": {"target_modules": ["output"], "init_lora_weights": "gaussian"},
    "lora_bias": {"target_modules": "all-linear", "lora_bias": True},
    "patterns": {
        "target_modules": ["intermediate", "output"],
        "rank_pattern": {"output": 3},
        "alpha_pattern": {r"layer\.0\.intermediate": 2},
    },
    "whole": {
        "target_modules": ["intermediate"],
        "modules_to_save": ["classifier", "LayerNorm"],
        "bias": "all",
    },
}

COUNT = {"lora": lambda O, I, r, config: r * (I + O) + (O if config.lora_bias else 0)}
"""Entries an adapter of rank r trains on an (O, I) layer, in closed form."""
RANK_BOUND = {"lora": lambda r: r}
"""Highest rank of W' - W."""


@pytest.fixture(params=sorted(ADAPTERS))
def kind(request):
    return request.param


@pytest.fixture(params=sorted(CONFIGS))
def config(request):
    return LoraConfig(r=5, lora_alpha=7, **CONFIGS[request.param])


@pytest.fixture
def adapt(kind, config, rng):
    return lambda model: inject(model, config, rng=rng, adapter=ADAPTERS[kind])


def adapted_layers(model):
    return [(path, m) for path, m in model.named_modules() if isinstance(m, AdaptedLinear)]


def close(dtype):
    tolerance = 5e-5 if dtype == np.float32 else 1e-12
    return {"rtol": tolerance, "atol": tolerance}


def test_starts_as_the_base_model(toy, adapt, x, dtype):
    before = toy(x).data
    adapt(toy)
    after = toy(x).data
    assert after.dtype == dtype
    np.testing.assert_allclose(after, before, **close(dtype))


def test_everything_stays_in_its_precision(toy, adapt, stir, x, dtype):
    adapt(toy)
    stir(toy)
    toy(x).sum().backward()
    assert {p.dtype for _, p in toy.named_parameters()} == {np.dtype(dtype)}
    assert {p.grad.dtype for _, p in toy.named_parameters() if p.grad is not None} == {
        np.dtype(dtype)
    }
    merge(toy)
    assert {p.dtype for _, p in toy.named_parameters()} == {np.dtype(dtype)}


def test_merged_computes_the_same(toy, adapt, stir, x, dtype):
    base = toy(x).data
    adapt(toy)
    stir(toy)
    before = toy(x).data
    assert not np.allclose(before, base, **close(dtype))
    paths = [path for path, _ in adapted_layers(toy)]
    merge(toy)
    assert {type(m) for path, m in toy.named_modules() if path in paths} == {Linear}
    np.testing.assert_allclose(toy(x).data, before, **close(dtype))


def test_forward_is_the_effective_weight_and_bias(toy, adapt, stir, rng, dtype):
    adapt(toy)
    stir(toy)
    for _, layer in adapted_layers(toy):
        x = rng.standard_normal((3, layer.weight.shape[1])).astype(dtype)
        expected = x @ layer.effective_weight().T + layer.effective_bias()
        np.testing.assert_allclose(layer(Tensor(x)).data, expected, **close(dtype))


def test_eject_restores_every_bit_and_names_never_change(toy, adapt, stir, x):
    before = {name: value.copy() for name, value in toy.state_dict().items()}
    adapt(toy)
    assert before.keys() < toy.state_dict().keys()
    stir(toy)
    toy(x).sum().backward()
    eject(toy)
    after = toy.state_dict()
    assert list(before) == list(after)
    assert all(before[name].tobytes() == after[name].tobytes() for name in before)
    assert all(p.grad is None for _, p in toy.named_parameters())


def test_only_the_adapter_learns(toy, adapt, stir, x, config):
    adapt(toy)
    stir(toy)
    toy(x).sum().backward()
    own = {
        f"{path}.{name}"
        for path, layer in adapted_layers(toy)
        for name in layer.adapter_parameters()
    }
    asked = {
        name
        for name, _ in toy.named_parameters()
        if (config.modules_to_save and re.search("classifier|LayerNorm", name))
        or (config.bias == "all" and name.endswith(".bias"))
    }
    learnt = {name for name, p in toy.named_parameters() if p.grad is not None}
    assert learnt == own | asked
    assert all(p.grad.any() for name, p in toy.named_parameters() if name in own)


def test_gradients_are_right(toy64, adapt, stir, rng):
    adapt(toy64)
    stir(toy64)
    x = Tensor(rng.standard_normal((5, 6)))
    leaves = [p for _, p in toy64.named_parameters() if p.requires_grad]
    directions = [rng.standard_normal(p.shape) for p in leaves]
    weights = Tensor(rng.standard_normal((5, 4)))
    (toy64(x) * weights).sum().backward()
    exact = sum(np.vdot(p.grad, v) for p, v in zip(leaves, directions, strict=True))

    def along(step):
        for p, v in zip(leaves, directions, strict=True):
            p.data = p.data + step * v
        y = (toy64(x) * weights).sum().data
        for p, v in zip(leaves, directions, strict=True):
            p.data = p.data - step * v
        return y

    eps = 1e-6
    np.testing.assert_allclose((along(eps) - along(-eps)) / (2 * eps), exact, rtol=1e-6)


def test_parameters_are_as_many_as_the_formula_says(toy64, adapt, kind, config):
    adapt(toy64)
    for path, layer in adapted_layers(toy64):
        O, I = layer.weight.shape
        counted = sum(p.data.size for p in layer.adapter_parameters().values())
        assert counted == COUNT[kind](O, I, config.rank_of(path), config)


def test_the_change_has_no_higher_rank_than_declared(toy64, adapt, stir, kind, config):
    adapt(toy64)
    stir(toy64)
    for path, layer in adapted_layers(toy64):
        change = layer.effective_weight() - layer.weight.data
        bound = RANK_BOUND[kind](config.rank_of(path))
        assert np.linalg.matrix_rank(change, tol=1e-10) == min(bound, *change.shape)


def test_what_is_taken_over_is_frozen(kind, rng):
    base = Linear(rng.standard_normal((5, 6)), rng.standard_normal(5))
    layer = ADAPTERS[kind](base, LoraConfig(), rng=rng)
    assert layer.weight is base.weight
    assert not any(p.requires_grad for p in layer.base_parameters().values())
    assert all(p.requires_grad for p in layer.adapter_parameters().values())


def test_a_misspelt_target_is_named(toy64, kind, rng):
    config = LoraConfig(target_modules=["query", "outpt"])
    with pytest.raises(TargetError, match=r"'outpt'\. Did you mean 'output'"):
        inject(toy64, config, rng=rng, adapter=ADAPTERS[kind])


def test_twice_is_refused(toy64, adapt):
    adapt(toy64)
    with pytest.raises(TargetError, match=r"merge\(model\) or eject\(model\) first"):
        adapt(toy64)
