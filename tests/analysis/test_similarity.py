import numpy as np
import pytest
import scipy.linalg

from minilora.analysis import similarity
from minilora.analysis.similarity import phi_with_null
from minilora.errors import ShapeError
from minilora.linalg import svd


def basis(rng, d, p):
    return np.linalg.qr(rng.standard_normal((d, p)))[0]


def test_a_matrix_has_its_own_directions(rng):
    f = svd(rng.standard_normal((7, 5)))
    for side in (similarity(f, f).left, similarity(f, f).right):
        np.testing.assert_allclose(np.diag(side.values), np.ones(5), atol=1e-12)


def test_left_and_right_are_told_apart(rng):
    U, V = basis(rng, 9, 4), basis(rng, 8, 4)
    one, two = U[:, :2] @ V[:, :2].T, U[:, :2] @ V[:, 2:].T  # the same left, orthogonal right
    found = similarity(svd(one, rank=2), svd(two, rank=2))
    assert found.left.values[1][1] == pytest.approx(1)
    assert found.right.values[1][1] == pytest.approx(0, abs=1e-12)


def test_phi_is_the_mean_squared_cosine_of_scipys_angles(rng):
    U, V = basis(rng, 12, 3), basis(rng, 12, 5)
    cosines = np.cos(scipy.linalg.subspace_angles(U, V))
    assert phi_with_null(U, V).values[2][4] == pytest.approx(np.mean(cosines**2), rel=1e-12)


def test_the_null_is_what_random_directions_give(rng):
    draws = [phi_with_null(basis(rng, 20, 4), basis(rng, 20, 6)) for _ in range(3000)]
    mean = np.mean([draw.values for draw in draws], axis=0)
    null = np.array(draws[0].null)
    assert null[3, 5] == 6 / 20
    assert np.abs(mean[3, 5] / null[3, 5] - 1) < 0.02
    assert np.abs(mean / null - 1).max() < 0.1  # single directions vary more


def test_the_depth_limits_the_tables(rng):
    f, g = svd(rng.standard_normal((7, 5))), svd(rng.standard_normal((7, 5)))
    for side in (similarity(f, g, depth=2).left, similarity(f, g, depth=2).right):
        assert np.shape(side.values) == np.shape(side.null) == (2, 2)
    assert np.shape(similarity(f, g).left.null) == (5, 5)


def test_matrices_of_other_shapes_are_refused(rng):
    with pytest.raises(ShapeError, match="same number of rows"):
        similarity(svd(np.ones((3, 4))), svd(np.ones((4, 4))))
