import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import NumericError, ShapeError
from minilora.linalg import product_svd, randomized_svd, svd, truncation_error

shapes = st.tuples(st.integers(1, 8), st.integers(1, 8))


@given(shapes, st.integers(0, 2**32 - 1))
def test_the_factors_are_orthonormal_and_multiply_to_the_matrix(shape, seed):
    X = np.random.default_rng(seed).standard_normal(shape)
    f = svd(X)
    k = min(shape)
    np.testing.assert_allclose(f.matrix(), X, atol=1e-12)
    np.testing.assert_allclose(f.U.T @ f.U, np.eye(k), atol=1e-12)
    np.testing.assert_allclose(f.Vh @ f.Vh.T, np.eye(k), atol=1e-12)
    assert (np.diff(f.S) <= 0).all()


@given(shapes, st.integers(0, 4), st.integers(0, 2**32 - 1))
def test_the_svd_of_a_product_is_that_of_the_dense_matrix(shape, r, seed):
    rng = np.random.default_rng(seed)
    B, A = rng.standard_normal((shape[0], r)), rng.standard_normal((r, shape[1]))
    thin = product_svd(B, A, scale=-1.5)
    dense = svd(-1.5 * B @ A)
    k = min(*shape, r)
    np.testing.assert_allclose(thin.S, dense.S[:k], atol=1e-12)
    np.testing.assert_allclose(thin.matrix(), -1.5 * B @ A, atol=1e-12)
    assert thin.U.shape == (shape[0], k)
    np.testing.assert_allclose(thin.Vh @ thin.Vh.T, np.eye(k), atol=1e-12)


def test_signs_are_fixed(rng):
    X = rng.standard_normal((5, 4))
    plus, minus = svd(X), svd(-X)
    np.testing.assert_allclose(plus.U, minus.U, atol=1e-12)
    np.testing.assert_allclose(plus.Vh, -minus.Vh, atol=1e-12)
    assert (plus.U[np.abs(plus.U).argmax(axis=0), range(4)] > 0).all()


@given(shapes, st.data())
def test_truncation_leaves_what_eckart_and_young_say(shape, data):
    X = np.random.default_rng(0).standard_normal(shape)
    r = data.draw(st.integers(0, min(shape)))
    rest = X - svd(X, rank=r).matrix()
    frobenius, spectral = truncation_error(svd(X).S, r)
    np.testing.assert_allclose(np.linalg.norm(rest), frobenius, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(rest, 2), spectral, atol=1e-12)


def test_no_other_matrix_of_that_rank_is_closer(rng):
    X = rng.standard_normal((6, 5))
    best, _ = truncation_error(svd(X).S, 2)
    for _ in range(50):
        other = (
            rng.standard_normal((6, 2))
            @ np.linalg.lstsq(rng.standard_normal((6, 2)), X, rcond=None)[0]
        )
        assert np.linalg.norm(X - other) >= best


def test_factors_share_the_singular_values_evenly(rng):
    f = svd(rng.standard_normal((5, 4)), rank=3)
    B, A = f.factors()
    np.testing.assert_allclose(B @ A, f.matrix(), atol=1e-12)
    np.testing.assert_allclose(B.T @ B, np.diag(f.S), atol=1e-12)
    np.testing.assert_allclose(A @ A.T, np.diag(f.S), atol=1e-12)


def test_randomised_is_exact_on_a_matrix_of_that_rank(rng):
    X = rng.standard_normal((60, 4)) @ rng.standard_normal((4, 50))
    f = randomized_svd(X, 4, rng=rng)
    np.testing.assert_allclose(f.S, svd(X).S[:4], rtol=1e-10)
    np.testing.assert_allclose(f.matrix(), X, atol=1e-9)


def test_randomised_is_nearly_best_on_a_falling_spectrum(rng):
    U, V = (np.linalg.qr(rng.standard_normal((80, 80)))[0] for _ in range(2))
    S = 0.8 ** np.arange(80)
    X = (U * S) @ V.T
    error = np.linalg.norm(X - randomized_svd(X, 10, rng=rng).matrix())
    assert error <= 1.001 * truncation_error(S, 10)[0]


@pytest.mark.parametrize("X", [np.zeros((3, 2)), np.ones((4, 1)), np.zeros((2, 0))])
def test_zero_single_column_and_empty_matrices_are_defined(X):
    f = svd(X)
    np.testing.assert_allclose(f.matrix(), X, atol=1e-15)
    assert f.S.shape == (min(X.shape),)


def test_a_rank_deficient_product_has_zero_singular_values(rng):
    B = rng.standard_normal((6, 3))
    B[:, 2] = B[:, 0]
    f = product_svd(B, rng.standard_normal((3, 5)))
    assert f.S[2] < 1e-12 * f.S[0]


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: svd(np.ones(3)), ShapeError, "a matrix"),
        (lambda: svd(np.array([[1.0, np.nan]])), NumericError, r"1 of 2 entries .* at \[0, 1\]"),
        (lambda: svd(np.ones((2, 3)), rank=3), ShapeError, r"0\.\.2"),
        (lambda: product_svd(np.ones((2, 3)), np.ones((2, 3))), ShapeError, "do not chain"),
        (lambda: product_svd(np.ones((2, 1)), np.full((1, 2), np.inf)), NumericError, "A: 2 of 2"),
        (lambda: truncation_error(np.ones(2), -1), ShapeError, "rank -1"),
        (lambda: truncation_error(np.array([1.0, 2.0]), 1), ShapeError, "must fall"),
        (lambda: truncation_error(np.array([1.0, -2.0]), 1), NumericError, "negative"),
        (lambda: truncation_error(np.ones((2, 2)), 1), ShapeError, "singular values"),
    ],
)
def test_what_cannot_be_decomposed_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
