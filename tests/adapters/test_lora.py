import numpy as np
import pytest

from minilora.adapters import LoraConfig, LoRALinear
from minilora.autograd import Tensor
from minilora.errors import TargetError
from minilora.nn import Linear, training

O, I = 70, 110


@pytest.fixture
def base(rng):
    return Linear(rng.standard_normal((O, I)), rng.standard_normal(O))


def test_the_formula(base, rng):
    config = LoraConfig(r=5, lora_alpha=7, init_lora_weights=False, lora_bias=True)
    layer = LoRALinear(base, config, rng=rng)
    x = rng.standard_normal((3, I))
    W, b, A, B = (p.data for p in (layer.weight, layer.bias, layer.lora_A, layer.lora_B))
    expected = x @ W.T + b + 7 / 5 * (x @ A.T @ B.T + layer.lora_B_bias.data)
    np.testing.assert_allclose(layer(Tensor(x)).data, expected, rtol=1e-12)


def test_rslora_divides_by_the_root_of_the_rank(base, rng):
    config = LoraConfig(r=5, lora_alpha=7, use_rslora=True, init_lora_weights=False)
    layer = LoRALinear(base, config, rng=rng)
    change = layer.effective_weight() - layer.weight.data
    expected = 7 / np.sqrt(5) * layer.lora_B.data @ layer.lora_A.data
    np.testing.assert_allclose(change, expected, rtol=1e-9)


def test_the_default_start_is_uniform_a_and_zero_b(base, rng):
    layer = LoRALinear(base, LoraConfig(r=50), rng=rng)
    A = layer.lora_A.data
    assert np.abs(A).max() <= 1 / np.sqrt(I)
    np.testing.assert_allclose(A.std(), 1 / np.sqrt(3 * I), rtol=0.05)
    assert not layer.lora_B.data.any()


def test_the_gaussian_start_has_deviation_one_over_r(base, rng):
    layer = LoRALinear(base, LoraConfig(r=50, init_lora_weights="gaussian"), rng=rng)
    np.testing.assert_allclose(layer.lora_A.data.std(), 1 / 50, rtol=0.05)
    assert not layer.lora_B.data.any()


def test_false_starts_a_and_b_and_its_bias_uniform(base, rng):
    config = LoraConfig(r=50, init_lora_weights=False, lora_bias=True)
    layer = LoRALinear(base, config, rng=rng)
    for start in (layer.lora_B.data, layer.lora_B_bias.data):
        assert np.abs(start).max() <= 1 / np.sqrt(50)
        np.testing.assert_allclose(start.std(), 1 / np.sqrt(3 * 50), rtol=0.25)


def test_lora_bias_starts_at_zero_unless_all_is_random(base, rng):
    layer = LoRALinear(base, LoraConfig(lora_bias=True), rng=rng)
    assert not layer.lora_B_bias.data.any()
    assert LoRALinear(base, LoraConfig(), rng=rng).lora_B_bias is None


def test_the_same_seed_gives_the_same_start(base):
    first, second = (LoRALinear(base, LoraConfig(), rng=np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.lora_A.data, second.lora_A.data)


def test_rank_alpha_and_scale_are_those_of_the_path(base, rng):
    config = LoraConfig(r=5, lora_alpha=7, rank_pattern={"value": 3}, alpha_pattern={"value": 2})
    layer = LoRALinear(base, config, path="layer.0.value", rng=rng)
    assert (layer.lora_A.shape, layer.lora_B.shape) == ((3, I), (O, 3))
    assert layer.scaling == 2 / 3


def test_dropout_is_on_the_way_into_a_and_only_while_training(base, rng):
    config = LoraConfig(r=5, lora_alpha=7, lora_dropout=0.5, init_lora_weights=False)
    layer = LoRALinear(base, config, rng=rng)
    x = Tensor(np.ones((1, I)))
    ΔW = layer.effective_weight() - layer.weight.data
    frozen = x.data @ layer.weight.data.T + layer.bias.data
    assert np.allclose(layer(x).data, frozen + x.data @ ΔW.T)
    with training(rng):
        samples = np.concatenate([layer(x).data - frozen for _ in range(4000)])
    np.testing.assert_allclose(samples.mean(axis=0), ΔW.sum(axis=1), atol=0.06)
    expected_variance = 0.5 / (1 - 0.5) * (ΔW**2).sum(axis=1)  # p / (1 - p) Σ_j x_j² ΔW_kj²
    np.testing.assert_allclose(samples.var(axis=0), expected_variance, rtol=0.15)


def test_dropout_keeps_gradients_right(base, rng):
    config = LoraConfig(r=5, lora_dropout=0.5, init_lora_weights=False)
    layer = LoRALinear(base, config, rng=rng)
    x = Tensor(rng.standard_normal((3, I)))

    def loss():
        with training(np.random.default_rng(8)):  # the same entries dropped each time
            return layer(x).sum()

    loss().backward()
    direction = rng.standard_normal(layer.lora_A.shape)
    exact = np.vdot(layer.lora_A.grad, direction)
    layer.lora_A.data += 1e-6 * direction
    above = loss().data
    layer.lora_A.data -= 2e-6 * direction
    np.testing.assert_allclose((above - loss().data) / 2e-6, exact, rtol=1e-6)


def test_a_layer_without_bias_merges_to_one_without(rng):
    base = Linear(rng.standard_normal((4, 6)), None)
    assert LoRALinear(base, LoraConfig(), rng=rng).merge().bias is None


def test_lora_bias_gives_a_merged_layer_a_bias(rng):
    base = Linear(rng.standard_normal((4, 6)), None)
    config = LoraConfig(lora_bias=True, init_lora_weights=False, r=5, lora_alpha=7)
    layer = LoRALinear(base, config, rng=rng)
    x = Tensor(rng.standard_normal((3, 6)))
    np.testing.assert_allclose(layer.merge()(x).data, layer(x).data, rtol=1e-12)


def test_an_adapted_layer_is_not_adapted_again(base, rng):
    layer = LoRALinear(base, LoraConfig(), rng=rng)
    with pytest.raises(TargetError, match=r"layer\.0\.query is already adapted by LoRALinear"):
        LoRALinear(layer, LoraConfig(), path="layer.0.query", rng=rng)
