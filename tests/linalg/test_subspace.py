import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import ConfigError, ShapeError
from minilora.linalg import grassmann_distance, phi, phi_of_random_subspaces, principal_angles


@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 999))
def test_angles_are_scipys_in_rising_order(p, q, seed):
    rng = np.random.default_rng(seed)
    X, Y = rng.standard_normal((6, p)), rng.standard_normal((6, q))
    expected = np.sort(scipy.linalg.subspace_angles(X, Y))
    np.testing.assert_allclose(principal_angles(X, Y), expected, atol=1e-7)


@pytest.mark.parametrize("angle", [0.0, 1e-12, 1e-6, 0.3, math.pi / 4, 1.2, math.pi / 2])
def test_an_angle_that_was_planted_is_found_to_rounding(angle):
    X = np.array([[1.0, 0], [0, 1], [0, 0]])
    Y = np.array([[1.0, 0], [0, math.cos(angle)], [0, math.sin(angle)]])
    np.testing.assert_allclose(principal_angles(X, Y), [0, angle], atol=1e-15, rtol=1e-12)


def test_distances_follow_from_the_angles():
    X, Y = np.eye(4)[:, :2], np.eye(4)[:, 1:3]
    assert grassmann_distance(X, Y) == pytest.approx(math.pi / 2)
    assert grassmann_distance(X, Y, metric="chordal") == pytest.approx(1)
    assert grassmann_distance(X, Y, metric="projection") == pytest.approx(1)
    assert grassmann_distance(X, X) == pytest.approx(0)


def test_phi_is_one_for_a_subspace_and_zero_for_orthogonal_ones():
    identity = np.eye(5)
    np.testing.assert_allclose(phi(identity[:, :2], identity), np.ones((2, 5)))
    assert not phi(identity[:, :2], identity[:, 2:]).any()


@given(st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))
def test_phi_is_the_formula_of_the_paper_for_every_pair(p, q, seed):
    rng = np.random.default_rng(seed)
    U = np.linalg.qr(rng.standard_normal((6, p)))[0]
    V = np.linalg.qr(rng.standard_normal((6, q)))[0]
    table = phi(U, V)
    for i in range(1, p + 1):
        for j in range(1, q + 1):
            expected = np.linalg.norm(U[:, :i].T @ V[:, :j]) ** 2 / min(i, j)
            assert table[i - 1, j - 1] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("i", "j"), [(1, 1), (2, 5), (8, 3)])
def test_phi_of_random_subspaces_is_its_expectation(i, j):
    rng = np.random.default_rng(i * 10 + j)
    d, draws = 20, 4000
    values = []
    for _ in range(draws):
        U = np.linalg.qr(rng.standard_normal((d, i)))[0]
        V = np.linalg.qr(rng.standard_normal((d, j)))[0]
        values.append(phi(U, V)[-1, -1])
    standard_error = np.std(values) / math.sqrt(draws)
    assert abs(np.mean(values) - phi_of_random_subspaces(i, j, d)[-1, -1]) < 4 * standard_error


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: principal_angles(np.eye(3), np.eye(4)), ShapeError, "same number of rows"),
        (lambda: principal_angles(np.ones((3, 2)), np.eye(3)), ShapeError, "X .* depend"),
        (lambda: principal_angles(np.ones((2, 3)), np.eye(2)), ShapeError, "X .* depend"),
        (lambda: grassmann_distance(np.eye(3)[:, :1], np.eye(3)), ShapeError, "1 and 3 differ"),
        (lambda: grassmann_distance(np.eye(2), np.eye(2), metric="cordal"), ConfigError, "chordal"),
        (lambda: phi(np.eye(3), np.eye(4)), ShapeError, "same number of rows"),
    ],
)
def test_what_cannot_be_compared_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
