import dataclasses
import json

import numpy as np
import pytest

from minilora.analysis import leading_spectrum, spectrum
from minilora.analysis.spectrum import KEPT, MEANINGS, TAIL, Spectrum
from minilora.linalg import svd


def test_a_planted_spectrum_is_measured_by_its_closed_forms():
    found = spectrum(np.array([2.0, 1.0, 1.0]), (5, 4))
    assert found.values == (2, 1, 1)
    assert found.spectral == 2
    assert found.frobenius == pytest.approx(6**0.5)
    assert found.stable_rank == pytest.approx(6 / 4)
    assert found.nuclear_ratio == pytest.approx(4 / 2)
    assert found.participation_ratio == pytest.approx(36 / 18)
    assert found.effective_rank == pytest.approx(2 ** (1 / 2 * 1 + 2 * 1 / 4 * 2))
    assert (found.energy_rank_90, found.energy_rank_99, found.numerical_rank) == (3, 3, 3)
    assert found.condition_number == 2
    assert found.power_law_alpha is None
    assert found.complete


def test_a_zero_matrix_has_a_spectrum_that_json_can_hold():
    found = spectrum(np.zeros(3), (5, 4))
    assert found.effective_rank == found.stable_rank == found.energy_rank_99 == 0
    assert found.condition_number is None
    json.dumps(dataclasses.asdict(found), allow_nan=False)


def test_rounding_noise_counts_by_the_dtype_it_comes_from(rng):
    X = rng.standard_normal((50, 3)).astype("f4") @ rng.standard_normal((3, 40)).astype("f4")
    S = svd(X).S
    assert spectrum(S, X.shape, dtype=np.float32).numerical_rank == 3
    assert spectrum(S, X.shape).numerical_rank > 3


def test_a_long_spectrum_is_measured_whole_and_kept_in_part():
    S = np.linspace(2, 1, 2 * KEPT)
    found = spectrum(S, (2 * KEPT, 2 * KEPT))
    assert len(found.values) == KEPT
    assert found.frobenius == pytest.approx(np.linalg.norm(S))
    assert found.power_law_alpha > 1


def test_an_orthogonal_matrix_has_no_tail():
    found = spectrum(np.ones(TAIL), (TAIL, TAIL))
    assert found.power_law_alpha is None
    assert found.effective_rank == pytest.approx(TAIL)


def test_leading_values_give_what_they_can(rng):
    S = svd(rng.standard_normal((30, 20)) @ np.diag(0.5 ** np.arange(20))).S
    whole, leading = spectrum(S, (30, 20)), leading_spectrum(S[:6], float(np.linalg.norm(S)))
    assert not leading.complete
    assert leading.effective_rank is None
    for name in ("frobenius", "spectral", "stable_rank", "energy_rank_90", "energy_rank_99"):
        assert getattr(leading, name) == pytest.approx(getattr(whole, name)), name


def test_leading_values_do_not_claim_what_they_have_not_seen():
    leading = leading_spectrum(np.array([3.0, 1.0]), 5.0)  # 10 of an energy of 25
    assert leading.energy_rank_90 is None
    assert leading_spectrum(np.zeros(2), 0.0).stable_rank == 0


def test_every_measure_is_explained_in_one_line():
    fields = {f.name for f in dataclasses.fields(Spectrum)} - {"complete"}
    assert set(MEANINGS) == fields
    for meaning in MEANINGS.values():
        assert meaning.endswith(".")
        assert len(meaning) < 90
