import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import weights as weights_module
from minilora.analysis.weights import AdaptedWeight, base_weight, find_tensor
from minilora.errors import CheckpointError
from minilora.linalg import Multiplier, randomized_svd, svd


@pytest.mark.parametrize(
    ("names", "name", "expected"),
    [
        (["a.b.weight"], "a.b.weight", "a.b.weight"),
        (["b.weight"], "a.b.weight", "b.weight"),
        (["x.a.b.weight"], "a.b.weight", "x.a.b.weight"),
        (["b.weight", "a.b.weight"], "x.a.b.weight", "a.b.weight"),
        (["x.a.weight", "y.a.weight"], "a.weight", None),
        (["xa.weight"], "a.weight", None),
        (["weight"], "a.weight", None),
        ([], "a.weight", None),
    ],
)
def test_names_mean_one_tensor_when_one_is_the_end_of_the_other(names, name, expected):
    assert find_tensor(names, name) == expected


def an_update(O, I, path="h.0.attn", *, transposed=False, scale=1.5, seed=0):
    rng = np.random.default_rng(seed)
    B, A = rng.standard_normal((O, 2)), rng.standard_normal((2, I))
    return LowRankUpdate(path, B, A, scale, transposed)


def test_a_transposed_layer_is_turned_to_its_update(rng):
    square, flat = rng.standard_normal((4, 4)), rng.standard_normal((6, 4))
    tall = {"h.0.attn.weight": flat}
    np.testing.assert_array_equal(base_weight(tall, an_update(6, 4)), flat)
    np.testing.assert_array_equal(base_weight(tall, an_update(4, 6)), flat.T)
    even = {"h.0.attn.weight": square}
    np.testing.assert_array_equal(base_weight(even, an_update(4, 4)), square)
    np.testing.assert_array_equal(base_weight(even, an_update(4, 4, transposed=True)), square.T)


def test_a_convolution_is_unrolled(rng):
    W = rng.standard_normal((5, 3, 2, 2))
    found = base_weight({"h.0.attn.weight": W}, an_update(5, 12))
    np.testing.assert_array_equal(found, W.reshape(5, 12))


def test_a_weight_that_is_missing_or_of_another_shape_is_named():
    with pytest.raises(CheckpointError, match=r"no weight for h\.0\.attn.*Did you mean 'h.0.atn'"):
        base_weight({"h.0.atn.weight": np.ones((3, 4))}, an_update(3, 4))
    with pytest.raises(CheckpointError, match=r"is \(3, 5\), but its update is \(3, 4\)"):
        base_weight({"h.0.attn.weight": np.ones((3, 5))}, an_update(3, 4))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("with_update", [False, True])
def test_an_adapted_weight_multiplies_as_the_dense_sum(rng, monkeypatch, dtype, with_update):
    monkeypatch.setattr(weights_module, "_ROWS", 4)  # 9 rows: three blocks, the last is short
    W, update = rng.standard_normal((9, 7)).astype(dtype), an_update(9, 7)
    dense = W.astype(float) + (update.matrix() if with_update else 0)
    lazy: Multiplier = AdaptedWeight(W, update if with_update else None)
    X, Y = rng.standard_normal((7, 3)), rng.standard_normal((9, 3))
    close = {"rtol": 1e-12 if dtype == np.float64 or with_update else 1e-5, "atol": 1e-5}
    assert lazy.shape == (9, 7)
    np.testing.assert_allclose(lazy.times(X), dense @ X, **close)
    np.testing.assert_allclose(lazy.transposed_times(Y), dense.T @ Y, **close)
    assert lazy.frobenius() == pytest.approx(np.linalg.norm(dense), rel=1e-6)


def test_a_sketch_finds_the_leading_directions_of_the_sum(rng):
    U, V = (np.linalg.qr(rng.standard_normal((d, 30)))[0] for d in (40, 30))
    W, update = (U * 0.6 ** np.arange(30)) @ V.T, an_update(40, 30)
    sketched = randomized_svd(AdaptedWeight(W, update), 6, rng=rng)
    exact = svd(W + update.matrix(), rank=6)
    np.testing.assert_allclose(sketched.S, exact.S, rtol=1e-6)
    np.testing.assert_allclose(sketched.matrix(), exact.matrix(), atol=1e-4)
