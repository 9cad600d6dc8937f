import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.adapters import LowRankUpdate
from minilora.analysis.select import UpdateSpectrum, pick_ranks
from minilora.analysis.select.spectra import SELECTORS
from minilora.errors import ConfigError
from minilora.linalg import svd


def picks(*spectra):
    return {p.selector: p for p in pick_ranks(dict(zip("abcdef", spectra, strict=False)))}


VALUES = st.lists(st.floats(0.01, 10), min_size=1, max_size=6)


@given(VALUES, st.integers(0, 99))
def test_the_spectrum_of_an_update_is_that_of_its_product(values, seed):
    rng = np.random.default_rng(seed)
    B = rng.standard_normal((9, len(values))) * values
    update = LowRankUpdate("a", B, rng.standard_normal((len(values), 4)), 0.5)
    spectrum = UpdateSpectrum.of(update)
    expected = np.linalg.svd(0.5 * update.B @ update.A, compute_uv=False)[: len(values)]
    assert spectrum.S == pytest.approx(expected, abs=1e-12)
    assert (spectrum.shape, spectrum.factored) == ((9, 4), True)


@given(VALUES)
def test_the_least_rank_is_picked_that_keeps_the_energy(values):
    S = np.sort(values)[::-1]
    found = picks(UpdateSpectrum(S, (9, 9), factored=True))
    for share, name in ((0.90, "energy 90 %"), (0.99, "energy 99 %")):
        r = found[name].ranks["a"]
        assert np.sum(S[:r] ** 2) >= share * np.sum(S**2) * (1 - 1e-12)
        assert np.sum(S[: r - 1] ** 2) < share * np.sum(S**2) * (1 + 1e-12)


@given(VALUES)
def test_the_effective_rank_is_the_exponential_of_the_entropy(values):
    S = np.sort(values)[::-1]
    p = S / S.sum()
    perplexity = np.prod(p**-p)  # exp(−Σ p ln p), otherwise
    picked = picks(UpdateSpectrum(S, (9, 9), factored=True))["effective rank"].ranks["a"]
    assert picked - 1 - 1e-9 <= perplexity <= picked + 1e-9


def test_every_selector_answers_in_the_order_of_the_table(spectral_update):
    spectra = {path: UpdateSpectrum.of(spectral_update([2.0, 1.0])) for path in "ba"}
    assert [pick.selector for pick in pick_ranks(spectra)] == list(SELECTORS)
    assert [list(pick.ranks) for pick in pick_ranks(spectra)] == [["b", "a"]] * 3 + [[]]


def test_one_adapter_among_full_differences_is_enough_to_refuse(spectral_update, rng):
    full = UpdateSpectrum(svd(rng.standard_normal((9, 9))).S, (9, 9), factored=False)
    found = picks(full, UpdateSpectrum.of(spectral_update([1.0])))["hard threshold"]
    assert found.refusal
    assert not picks(full)["hard threshold"].refusal


def test_energy_counts_squares(spectral_update):
    update = spectral_update([9.0, 4.0, 1.0, 0.5])  # Σ σ² = 98.25
    found = picks(UpdateSpectrum.of(update))
    assert found["energy 90 %"].ranks == {"a": 2}
    assert found["energy 99 %"].ranks == {"a": 3}


def test_the_effective_rank_of_equal_directions_is_their_number(spectral_update):
    found = picks(UpdateSpectrum.of(spectral_update([2.0, 2.0, 1e-9])))
    assert found["effective rank"].ranks["a"] in (2, 3)  # 2 and a little, rounded up
    assert picks(UpdateSpectrum.of(spectral_update([2.0, 0.0])))["effective rank"].ranks == {"a": 1}


def test_one_rank_for_all_is_the_mean_rounded_up(spectral_update):
    spectra = [UpdateSpectrum.of(spectral_update([1.0] * k)) for k in (1, 2, 2)]
    assert picks(*spectra)["energy 99 %"].r == 2


def test_no_layer_has_less_than_one(spectral_update):
    found = picks(UpdateSpectrum.of(spectral_update([0.0, 0.0])))
    assert found["energy 90 %"].ranks == {"a": 1}


def test_the_hard_threshold_is_refused_for_an_adapter_and_says_why(spectral_update):
    found = picks(UpdateSpectrum.of(spectral_update([3.0, 1.0])))["hard threshold"]
    assert (found.ranks, found.r) == ({}, None)
    assert "rank r by construction" in found.refusal
    assert "full fine-tuning" in found.refusal


def planted_spectrum(rng, *, rank, shape, noise=0.02, times=3.0):
    """A matrix of a rank whose singular values are that many times noise's largest, plus noise."""
    m, n = shape
    edge = noise * (np.sqrt(m) + np.sqrt(n))
    U, V = (np.linalg.qr(rng.standard_normal((side, rank)))[0] for side in shape)
    X = (U * np.linspace(2 * times, times, rank) * edge) @ V.T + noise * rng.standard_normal(shape)
    return UpdateSpectrum(svd(X).S, shape, factored=False)


@pytest.mark.parametrize("shape", [(60, 60), (90, 40), (30, 120)])
def test_the_hard_threshold_finds_the_planted_rank_of_a_full_difference(rng, shape):
    ranks = [1, 3, 6] * 10
    found = picks(*(planted_spectrum(rng, rank=r, shape=shape) for r in ranks[:6]))
    assert list(found["hard threshold"].ranks.values()) == ranks[:6]


def test_a_full_difference_of_noise_alone_has_nothing_above(rng):
    noise = rng.standard_normal((50, 40))
    found = picks(UpdateSpectrum(svd(noise).S, (50, 40), factored=False))
    assert found["hard threshold"].ranks == {"a": 1}  # the least that there is


def test_no_spectra_are_refused():
    with pytest.raises(ConfigError, match="no spectra"):
        pick_ranks({})
