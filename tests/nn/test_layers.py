import numpy as np
import pytest

from minilora.autograd import Tensor
from minilora.nn import Embedding, LayerNorm, Linear
from minilora.nn.layers import ACTIVATIONS


def test_linear_is_an_affine_map(rng):
    x, W, b = rng.standard_normal((5, 3)), rng.standard_normal((4, 3)), rng.standard_normal(4)
    np.testing.assert_allclose(Linear(W, b)(Tensor(x)).data, x @ W.T + b, rtol=1e-14)
    np.testing.assert_allclose(Linear(W, None)(Tensor(x)).data, x @ W.T, rtol=1e-14)


def test_linear_keeps_the_arrays_it_is_given(rng):
    W = rng.standard_normal((4, 3))
    assert Linear(W, None).weight.data is W


def test_embedding_looks_rows_up(rng):
    W = rng.standard_normal((7, 3))
    np.testing.assert_array_equal(Embedding(W)(np.array([6, 0, 6])).data, W[[6, 0, 6]])


def test_layer_norm_has_mean_bias_and_deviation_weight(rng):
    x = rng.standard_normal((5, 64)) * 3 + 7
    y = LayerNorm(np.full(64, 2.0), np.full(64, -1.0), eps=1e-12)(Tensor(x)).data
    np.testing.assert_allclose(y.mean(axis=1), -1, rtol=1e-12)
    np.testing.assert_allclose(y.std(axis=1), 2, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "at_one"),
    [  # exact values of each activation at x = 1
        ("gelu", 0.8413447460685429),
        ("gelu_new", 0.8411919906082768),
        ("gelu_pytorch_tanh", 0.8411919906082768),
        ("relu", 1.0),
    ],
)
def test_activations_are_those_that_transformers_means(name, at_one):
    assert ACTIVATIONS[name](Tensor(np.array([1.0]))).data[0] == pytest.approx(at_one, rel=1e-14)


def test_there_is_no_other_activation():
    assert set(ACTIVATIONS) == {"gelu", "gelu_new", "gelu_pytorch_tanh", "relu"}
