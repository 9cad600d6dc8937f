import numpy as np
import pytest

from minilora.errors import NumericError
from minilora.linalg import fit_power_law

ULPS = np.array([6e-6, 4e-6, 2e-6, 0.0])  # added to 1e10: neighbours, of which the logarithm is one


@pytest.mark.parametrize("alpha", [2.0, 3.0])
def test_the_exponent_of_a_planted_tail_is_found(alpha):
    rng = np.random.default_rng(1)
    eigenvalues = (1 - rng.random(4000)) ** (-1 / (alpha - 1))  # Pareto from 1 up
    fit = fit_power_law(np.sort(np.sqrt(eigenvalues))[::-1])
    assert abs(fit.alpha - alpha) < 5 * fit.sigma
    assert fit.ks_distance < 0.05


def test_the_fit_is_the_maximum_of_the_likelihood_over_its_tail(rng):
    S = np.sort(rng.pareto(2.0, 300) + 1)[::-1]
    fit = fit_power_law(S)
    tail = S[S**2 >= fit.x_min * (1 - 1e-12)] ** 2
    assert len(tail) == fit.n_tail

    def log_likelihood(alpha):
        return np.sum(np.log((alpha - 1) / fit.x_min) - alpha * np.log(tail / fit.x_min))

    assert log_likelihood(fit.alpha) > max(
        map(log_likelihood, (fit.alpha - 0.01, fit.alpha + 0.01))
    )


def test_a_body_below_the_tail_is_cut_off():
    rng = np.random.default_rng(2)
    tail = 10 * (1 - rng.random(500)) ** -0.5  # alpha 3 from 10 up
    body = rng.uniform(0.1, 10, 1500)
    fit = fit_power_law(np.sort(np.sqrt(np.concatenate([tail, body])))[::-1])
    assert 5 < fit.x_min < 20
    assert abs(fit.alpha - 3) < 0.5


def test_zero_eigenvalues_do_not_count():
    S = np.array([4.0, 3.0, 2.0, 1.0])
    assert fit_power_law(S) == fit_power_law(np.concatenate([S, np.zeros(9)]))


def test_values_that_repeat_at_the_top_are_no_tail_of_their_own():
    S = np.array([9.0, 9.0, 9.0, 4.0, 2.0, 1.0])
    fit = fit_power_law(S)
    assert fit.x_min < 81
    assert np.isfinite(fit.alpha)


def test_the_tail_holds_all_of_equal_eigenvalues():
    S = np.sqrt([50.0, 20, 10, 3, 3, 3, 3, 3, 1, 1, 1, 1])
    fit = fit_power_law(S)
    assert fit.x_min in S**2
    assert fit.n_tail == np.count_nonzero(S**2 >= fit.x_min)


@pytest.mark.parametrize(
    "S",
    [np.zeros(5), np.ones(5), np.array([2.0, 1.0, 0.0]), 1e10 + ULPS, 1e-170 * (1 + ULPS)],
)
def test_too_few_values_for_a_tail_are_refused(S):
    with pytest.raises(NumericError, match="at least 3"):
        fit_power_law(S)
