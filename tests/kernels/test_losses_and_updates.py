"""Softmax, cross-entropy, scatter-add and AdamW against their formulas, written out."""

import math

import numpy as np
import pytest

from minilora.kernels import jitted, reference

twins = pytest.mark.parametrize("kernels", [jitted, reference], ids=["jitted", "reference"])
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@twins
@both_dtypes
@pytest.mark.parametrize("shift", [-1e4, 0, 1e4])
def test_softmax_does_not_see_a_shift(kernels, dtype, shift):
    x = np.array([[0, 1, 2]], dtype) + dtype(shift)
    want = np.exp([0.0, 1, 2]) / np.exp([0.0, 1, 2]).sum()
    np.testing.assert_allclose(kernels.softmax(x), [want], rtol=1e-6)
    np.testing.assert_allclose(np.exp(kernels.log_softmax(x)), [want], rtol=1e-6)


@twins
@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_cross_entropy_is_its_formula(kernels, epsilon, rng):
    logits, targets = rng.normal(size=(6, 4)) * 5, np.array([0, 3, -1, 2, -1, 1])
    loss = 0.0
    gradient = np.zeros((6, 4))
    for row, (z, target) in enumerate(zip(logits, targets, strict=True)):
        if target == -1:
            continue
        p = np.exp(z) / np.exp(z).sum()
        wanted = np.full(4, epsilon / 4)
        wanted[target] += 1 - epsilon
        loss -= (wanted * np.log(p)).sum()
        gradient[row] = p - wanted
    got, dlogits = kernels.cross_entropy(logits, targets, -1, epsilon)
    assert got == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(dlogits, gradient, rtol=1e-11, atol=1e-14)


@twins
@both_dtypes
def test_cross_entropy_of_large_logits_is_finite(kernels, dtype):
    logits = np.array([[1e4, -1e4, 0.0]], dtype)
    loss, dlogits = kernels.cross_entropy(logits, np.array([1]), -100, 0.0)
    assert loss == pytest.approx(2e4)
    np.testing.assert_allclose(dlogits, [[1, -1, 0]])


@twins
def test_cross_entropy_with_nothing_to_count_is_zero(kernels):
    loss, dlogits = kernels.cross_entropy(np.ones((3, 2)), np.full(3, -100), -100, 0.1)
    assert loss == 0
    assert not dlogits.any()


@twins
def test_scatter_add_adds_up_what_comes_twice(kernels):
    dW = kernels.scatter_add(np.array([2, 0, 2]), np.array([[1.0, 2], [3, 4], [5, 6]]), 4)
    np.testing.assert_array_equal(dW, [[3, 4], [0, 0], [6, 8], [0, 0]])


@twins
@both_dtypes
def test_adamw_follows_the_paper_for_ten_steps(kernels, dtype, rng):
    lr, beta1, beta2, eps, decay = 1e-2, 0.9, 0.99, 1e-8, 0.1
    theta = rng.normal(size=(7, 3))
    m = v = np.zeros((7, 3))
    ours = [a.astype(dtype) for a in (theta, m, v)]
    for t in range(1, 11):
        g = rng.normal(size=(7, 3)).astype(dtype).astype(float)
        m = beta1 * m + (1 - beta1) * g
        v = beta2 * v + (1 - beta2) * g * g
        m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
        theta = theta - lr * m_hat / (np.sqrt(v_hat) + eps) - lr * decay * theta
        kernels.adamw_step(
            ours[0], g.astype(dtype), ours[1], ours[2], lr, beta1, beta2, eps, decay, t
        )
    tolerance = 1e-13 if dtype == np.float64 else 1e-6
    for got, want in zip(ours, (theta, m, v), strict=True):
        np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


@twins
def test_adamw_divides_by_eps_alone_where_nothing_was_ever_felt(kernels):
    param, zero = np.ones(2), np.zeros(2)
    kernels.adamw_step(param, zero, zero.copy(), zero.copy(), 0.1, 0.9, 0.999, 1e-8, 0.5, 1)
    np.testing.assert_allclose(param, 1 - 0.1 * 0.5)
    assert math.isfinite(param.sum())
