import numpy as np
import pytest

from minilora.errors import ConfigError, NumericError
from minilora.linalg import robust_pca
from minilora.linalg.robust import shrink, shrink_singular_values


def planted(rng, m=60, n=50, r=3, share=0.05):
    L = rng.standard_normal((m, r)) @ rng.standard_normal((r, n))
    S = np.where(rng.random((m, n)) < share, 10 * rng.choice([-1.0, 1.0], (m, n)), 0.0)
    return L, S


def nuclear_norm(Z):
    return np.linalg.norm(Z, "nuc")


def test_planted_parts_are_told_apart(rng):
    L, S = planted(rng)
    found = robust_pca(L + S)
    assert found.converged
    assert np.linalg.norm(found.L - L) < 1e-5 * np.linalg.norm(L)
    assert np.linalg.norm(found.S - S) < 1e-5 * np.linalg.norm(S)
    np.testing.assert_array_equal(np.abs(found.S) > 1e-3, S != 0)


def test_the_parts_add_up_to_the_tolerance(rng):
    X = rng.standard_normal((20, 30))
    found = robust_pca(X, tol=1e-6)
    assert found.residual == pytest.approx(
        np.linalg.norm(X - found.L - found.S) / np.linalg.norm(X)
    )
    assert found.residual <= 1e-6


def test_what_did_not_converge_says_so(rng):
    L, S = planted(rng)
    found = robust_pca(L + S, max_iter=3)
    assert not found.converged
    assert found.n_iter == 3


def test_the_zero_matrix_has_zero_parts():
    found = robust_pca(np.zeros((3, 4)))
    assert found.converged
    assert not found.L.any()
    assert not found.S.any()


@pytest.mark.parametrize(
    ("prox", "norm"), [(shrink, lambda Z: np.abs(Z).sum()), (shrink_singular_values, nuclear_norm)]
)
def test_each_proximal_step_minimises_what_it_should(prox, norm, rng):
    X, tau = rng.standard_normal((5, 4)), 0.7
    Z = prox(X, tau)

    def objective(at):
        return tau * norm(at) + 0.5 * np.linalg.norm(at - X) ** 2

    for _ in range(100):
        assert objective(Z) <= objective(Z + 1e-3 * rng.standard_normal(X.shape))


@pytest.mark.parametrize("wrong", [{"weight": 0}, {"tol": -1}, {"max_iter": 0}])
def test_settings_below_zero_are_refused(wrong):
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        robust_pca(np.ones((2, 2)), **wrong)


def test_nan_is_refused():
    with pytest.raises(NumericError, match="robust_pca"):
        robust_pca(np.full((2, 2), np.nan))
