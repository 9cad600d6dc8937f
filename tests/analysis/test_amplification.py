import numpy as np
import pytest

from minilora.analysis import amplification
from minilora.analysis import weights as weights_module
from minilora.errors import ShapeError
from minilora.linalg import product_svd, svd

O, I, R = 12, 9, 3


@pytest.fixture(name="W")
def base_weight(rng):
    return rng.standard_normal((O, I))


@pytest.fixture
def update(rng):
    return product_svd(rng.standard_normal((O, R)), rng.standard_normal((R, I)), scale=1.7)


def test_the_factors_are_the_ratios_of_the_paper(update, W):
    size = np.linalg.norm(update.matrix())
    U, V = update.U, update.Vh.T
    found = amplification(update, W)
    assert found.both == pytest.approx(size / np.linalg.norm(U.T @ W @ V), rel=1e-12)
    assert found.left == pytest.approx(size / np.linalg.norm(U.T @ W), rel=1e-12)
    assert found.right == pytest.approx(size / np.linalg.norm(W @ V), rel=1e-12)


def test_fewer_directions_still_measure_the_whole_update(update, W):
    U, V = update.U[:, :2], update.Vh[:2].T
    expected = np.linalg.norm(update.matrix()) / np.linalg.norm(U.T @ W @ V)
    assert amplification(update, W, rank=2).both == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("side", ["both", "left", "right"])
def test_each_control_is_what_random_directions_give(update, W, side, rng):
    size, squared = np.linalg.norm(update.S), []
    for _ in range(4000):
        U = np.linalg.qr(rng.standard_normal((O, R)))[0]
        V = np.linalg.qr(rng.standard_normal((I, R)))[0]
        inside = {"both": U.T @ W @ V, "left": U.T @ W, "right": W @ V}[side]
        squared.append(np.sum(inside**2))
    control = getattr(amplification(update, W), f"{side}_random")
    assert control == pytest.approx(size / np.sqrt(np.mean(squared)), rel=0.02)


def test_along_the_bases_own_leading_directions_the_factor_is_least(W):
    f = svd(W)
    along = amplification(f.truncate(R), W, base_values=f.S)
    assert along.both == pytest.approx(1)
    assert along.both_leading == pytest.approx(1)
    across = amplification(svd(f.U[:, -R:] @ f.Vh[-R:]).truncate(R), W, base_values=f.S)
    assert across.both > across.both_random > across.both_leading


def test_without_the_bases_values_the_least_is_not_known(update, W):
    assert amplification(update, W).both_leading is None
    assert amplification(update, W, base_values=np.ones(R - 1)).both_leading is None


def test_directions_that_are_rounding_noise_do_not_count(rng, W):
    B = rng.standard_normal((O, 2))
    doubled = product_svd(np.hstack([B, B]), rng.standard_normal((4, I)))  # rank 2 of 4
    assert amplification(doubled, W).both == amplification(doubled.truncate(2), W).both


def test_a_zero_update_and_a_zero_base_have_no_factor(update, W):
    zero = product_svd(np.zeros((O, R)), np.ones((R, I)))
    for found in (amplification(zero, W), amplification(update, np.zeros((O, I)))):
        assert {found.both, found.both_random, found.left, found.right} == {None}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_a_base_of_less_precision_is_computed_in_float64(update, W, dtype):
    W = W.astype(dtype)
    assert amplification(update, W) == amplification(update, W.astype(np.float64))


def test_the_base_is_gone_through_in_blocks_of_rows(update, W, monkeypatch):
    whole = amplification(update, W)
    monkeypatch.setattr(weights_module, "_ROWS", 5)
    assert amplification(update, W).both == pytest.approx(whole.both, rel=1e-13)


def test_a_base_of_another_shape_is_refused(update, W):
    with pytest.raises(ShapeError, match=r"W is \(9, 12\)"):
        amplification(update, W.T)
