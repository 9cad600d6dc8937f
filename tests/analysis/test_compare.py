import math

import numpy as np
import pytest
import scipy.linalg

from minilora.adapters import LowRankUpdate
from minilora.analysis import compare_adapters, compare_with_full
from minilora.errors import CheckpointError, ConfigError, ShapeError

O, I = 10, 8


def an_update(rng, path="layer.0.q", r=3, scale=1.4, dtype=np.float64, shape=(O, I)):
    B, A = rng.standard_normal((shape[0], r)), rng.standard_normal((r, shape[1]))
    return LowRankUpdate(path, B.astype(dtype), A.astype(dtype), scale)


def the_layer(first, second, **options):
    (layer,) = compare_adapters([first], [second], **options).layers
    return layer


def test_cosine_and_distance_are_those_of_the_dense_updates(rng):
    one, two = an_update(rng, r=3), an_update(rng, r=5, scale=-0.7)
    X, Y = one.matrix(), two.matrix()
    layer = the_layer(one, two)
    sizes = np.linalg.norm(X), np.linalg.norm(Y)
    assert layer.sizes == pytest.approx(sizes)
    assert layer.ranks == (3, 5)
    assert layer.cosine == pytest.approx(np.sum(X * Y) / (sizes[0] * sizes[1]), rel=1e-12)
    assert layer.distance == pytest.approx(np.linalg.norm(X - Y) / max(sizes), rel=1e-12)


def test_an_adapter_equals_itself_however_it_is_factored(rng):
    one = an_update(rng)
    M = rng.standard_normal((3, 3))
    same = LowRankUpdate(one.path, one.B @ M * 2, np.linalg.solve(M, one.A), one.scale / 2)
    layer = the_layer(one, same)
    assert layer.cosine == pytest.approx(1)
    assert layer.distance == pytest.approx(0, abs=1e-12)
    for side in (layer.similarity.left, layer.similarity.right):
        np.testing.assert_allclose(np.diag(side.values), 1, atol=1e-9)


def test_whose_directions_are_compared_changes_their_order_not_their_span(rng):
    one, two = an_update(rng), an_update(rng)
    of_update = the_layer(one, two).similarity
    of_factors = the_layer(one, two, of="factors").similarity
    assert of_update.right.values[2][2] == pytest.approx(of_factors.right.values[2][2])
    assert of_update.right.values[0][0] != pytest.approx(of_factors.right.values[0][0])
    v1, v2 = (np.linalg.svd(u.A)[2][0] for u in (one, two))  # as the paper has it, of A
    assert of_factors.right.values[0][0] == pytest.approx((v1 @ v2) ** 2)


def test_subspaces_are_scipys(rng):
    one, two = an_update(rng), an_update(rng, r=4)
    angles = scipy.linalg.subspace_angles(one.B, two.B)
    found = the_layer(one, two).similarity.left.values[2][3]
    assert found == pytest.approx(np.mean(np.cos(angles) ** 2), rel=1e-10)


def test_half_precision_is_compared_in_double(rng):
    one, two = an_update(rng, dtype=np.float16), an_update(rng, dtype=np.float16)
    exact = [
        LowRankUpdate(u.path, u.B.astype(float), u.A.astype(float), u.scale) for u in (one, two)
    ]
    assert the_layer(one, two).distance == the_layer(*exact).distance


def test_layers_that_only_one_has_are_named(rng):
    a, b, c = (an_update(rng, path=p) for p in "abc")
    found = compare_adapters([a, b], [b, c])
    assert [layer.path for layer in found.layers] == ["b"]
    assert (found.only_first, found.only_second) == (("a",), ("c",))


def test_zero_updates_have_no_angle_between_them(rng):
    zero = LowRankUpdate("layer.0.q", np.zeros((O, 2)), np.ones((2, I)), 1.0)
    assert the_layer(an_update(rng), zero).cosine is None
    assert the_layer(an_update(rng), zero).distance == pytest.approx(1)
    assert the_layer(zero, zero).distance is None


def test_adapters_of_different_models_are_refused(rng):
    with pytest.raises(ConfigError, match="no layer is in both"):
        compare_adapters([an_update(rng, path="a")], [an_update(rng, path="b")])
    with pytest.raises(ShapeError, match=r"layer\.0\.q: \(10, 8\) in the one adapter, \(8, 8\)"):
        compare_adapters([an_update(rng)], [an_update(rng, shape=(8, 8))])
    with pytest.raises(ConfigError, match="Did you mean 'factors'"):
        compare_adapters([an_update(rng)], [an_update(rng)], of="factor")


@pytest.fixture
def models(rng):
    """A base and a model tuned from it by a matrix of fast-falling spectrum."""
    U, V = (np.linalg.qr(rng.standard_normal((d, I)))[0] for d in (O, I))
    X = (U * 0.5 ** np.arange(I)) @ V.T
    W = rng.standard_normal((O, I))
    return {"layer.0.q.weight": W}, {"layer.0.q.weight": W + X}, (U, V, X)


def test_an_adapter_along_the_full_change_captures_what_can_be(models):
    base, tuned, (U, V, X) = models
    update = LowRankUpdate("layer.0.q", U[:, :3], V[:, :3].T, 0.1)
    (found,) = compare_with_full([update], base, tuned)
    assert found.captured == pytest.approx(found.best)
    assert found.best == pytest.approx(np.sum(0.25 ** np.arange(3)) / np.linalg.norm(X) ** 2)
    assert found.full.effective_rank > 2
    assert found.similarity.left.values[2][2] == pytest.approx(1)


def test_cosine_and_share_are_those_of_dense_matrices(models, rng):
    base, tuned, (_, _, X) = models
    update = an_update(rng)
    (found,) = compare_with_full([update], base, tuned)
    dW = update.matrix()
    size = np.linalg.norm(X)
    assert found.cosine == pytest.approx(np.sum(dW * X) / np.linalg.norm(dW) / size, rel=1e-10)
    P, Q = (np.linalg.qr(M)[0] for M in (update.B, update.A.T))
    inside = np.linalg.norm(P @ P.T @ X @ Q @ Q.T) / size
    assert found.captured == pytest.approx(inside**2, rel=1e-10)


def test_random_directions_capture_what_chance_says(models, rng):
    base, tuned, _ = models
    shares = []
    for _ in range(3000):
        (found,) = compare_with_full([an_update(rng)], base, tuned)
        shares.append(found.captured)
    assert np.mean(shares) == pytest.approx(found.by_chance, rel=5 / math.sqrt(3000))
    assert found.by_chance == pytest.approx(9 / 80)


def test_models_that_do_not_differ_have_nothing_to_capture(models, rng):
    base, _, _ = models
    (found,) = compare_with_full([an_update(rng)], base, base)
    assert found.cosine is found.captured is found.best is None


def test_a_layer_the_model_lacks_is_named(models, rng):
    base, tuned, _ = models
    with pytest.raises(CheckpointError, match=r"no weight for layer\.0\.key"):
        compare_with_full([an_update(rng, path="layer.0.key")], base, tuned)
