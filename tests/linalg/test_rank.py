import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import ConfigError
from minilora.linalg import (
    condition_number,
    effective_rank,
    energy_rank,
    nuclear_ratio,
    numerical_rank,
    participation_ratio,
    stable_rank,
    svd,
)

MEASURES = [effective_rank, stable_rank, participation_ratio, nuclear_ratio]
spectra = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=9).map(
    lambda S: np.sort(np.array(S))[::-1]
)


@pytest.mark.parametrize("measure", MEASURES)
def test_k_equal_singular_values_count_as_k(measure):
    np.testing.assert_allclose(measure(np.array([3.0] * 5)), 5, rtol=1e-14)


@pytest.mark.parametrize("measure", MEASURES)
@given(S=spectra, scale=st.floats(1e-6, 1e6))
def test_between_one_and_the_rank_whatever_the_scale(measure, S, scale):
    value = measure(S)
    assert 1 - 1e-12 <= value <= len(S) + 1e-9
    np.testing.assert_allclose(measure(S * scale), value, rtol=1e-9)


@pytest.mark.parametrize("measure", MEASURES)
def test_zero_and_empty_spectra_use_no_direction(measure):
    assert measure(np.zeros(3)) == 0
    assert measure(np.zeros(0)) == 0


@pytest.mark.parametrize("measure", MEASURES)
def test_numbers_whose_squares_overflow_or_vanish_are_fine(measure):
    for size in (1e200, 1e-200):
        np.testing.assert_allclose(measure(np.array([size, size])), 2, rtol=1e-12)


def test_closed_forms_of_a_small_spectrum():
    S = np.array([2.0, 1.0])
    assert stable_rank(S) == 5 / 4
    assert nuclear_ratio(S) == 3 / 2
    assert participation_ratio(S) == 25 / 17
    entropy = -(2 / 3 * math.log(2 / 3) + 1 / 3 * math.log(1 / 3))
    np.testing.assert_allclose(effective_rank(S), math.exp(entropy), rtol=1e-14)
    entropy = -(4 / 5 * math.log(4 / 5) + 1 / 5 * math.log(1 / 5))
    np.testing.assert_allclose(effective_rank(S, squared=True), math.exp(entropy), rtol=1e-14)


def test_the_energy_rank_weighs_squares_unless_told_otherwise():
    S = np.array([3.0, 2.0, 1.0])  # squares 9, 4, 1 of 14; sums 3, 5, 6 of 6
    assert [energy_rank(S, share) for share in (0.6, 0.9, 0.95, 1.0)] == [1, 2, 3, 3]
    assert [energy_rank(S, share, squared=False) for share in (0.5, 0.6, 0.8, 0.9)] == [1, 2, 2, 3]
    assert energy_rank(np.zeros(3), 0.9) == 0
    assert energy_rank(np.array([1.0, 0.0]), 1.0) == 1


@given(spectra, st.floats(0.01, 1))
def test_the_energy_rank_is_the_smallest_that_is_enough(S, share):
    k = energy_rank(S, share)
    energy = S**2
    assert energy[:k].sum() >= share * energy.sum() * (1 - 1e-12)
    assert energy[: k - 1].sum() < share * energy.sum() * (1 + 1e-12)


@given(st.integers(1, 7), st.integers(1, 7), st.integers(0, 7), st.integers(0, 99))
def test_the_numerical_rank_is_numpys(m, n, r, seed):
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((m, r)) @ rng.standard_normal((r, n))
    assert numerical_rank(svd(X).S, shape=(m, n)) == np.linalg.matrix_rank(X)


def test_rounding_noise_of_a_float32_product_is_not_rank(rng):
    X = rng.standard_normal((50, 3)).astype("f4") @ rng.standard_normal((3, 40)).astype("f4")
    S = svd(X).S
    assert numerical_rank(S, shape=X.shape, dtype=np.float32) == 3
    assert numerical_rank(S, shape=X.shape) > 3


def test_the_condition_number_of_a_singular_matrix_is_infinite():
    assert condition_number(np.array([4.0, 2.0])) == 2
    assert condition_number(np.array([4.0, 0.0])) == math.inf
    assert condition_number(np.zeros(0)) == math.inf


@pytest.mark.parametrize("share", [0, -1, 1.5, math.nan])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ConfigError, match=r"\(0, 1\]"):
        energy_rank(np.ones(2), share)
