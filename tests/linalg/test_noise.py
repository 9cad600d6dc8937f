import math

import numpy as np
import pytest

from minilora.errors import ConfigError, NumericError, ShapeError
from minilora.linalg import (
    hard_threshold,
    marchenko_pastur_edge,
    marchenko_pastur_median,
    noise_level,
    svd,
)


@pytest.mark.parametrize(("beta", "omega"), [(1.0, 2.8584), (0.5, 2.1711), (0.25, 1.8370)])
def test_the_factor_for_unknown_noise_is_the_published_one(beta, omega):
    n = 1000
    S = np.ones(int(beta * n))
    assert hard_threshold(S, (len(S), n)) == pytest.approx(omega, abs=2e-4)


def test_the_factor_for_known_noise_of_a_square_matrix_is_four_by_root_three():
    assert hard_threshold(np.ones(4), (4, 4), noise=1.0) == pytest.approx(4 / math.sqrt(3) * 2)


@pytest.mark.parametrize("shape", [(400, 400), (200, 800), (800, 200)])
def test_noise_looks_as_marchenko_and_pastur_say(shape, rng):
    S = svd(0.3 * rng.standard_normal(shape)).S
    beta, n = min(shape) / max(shape), max(shape)
    assert np.median((S / 0.3) ** 2 / n) == pytest.approx(marchenko_pastur_median(beta), rel=0.02)
    assert S[0] == pytest.approx(marchenko_pastur_edge(shape, 0.3), rel=0.02)
    assert noise_level(S, shape) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("shape", [(60, 60), (40, 120), (120, 40)])
@pytest.mark.parametrize("known", [True, False])
def test_a_planted_rank_above_twice_the_threshold_is_recovered(shape, known):
    hits = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        U, V = (np.linalg.qr(rng.standard_normal((side, 3)))[0] for side in shape)
        level = 2 * hard_threshold(np.ones(min(shape)), shape, noise=0.5)
        X = (U * (level * np.array([2.0, 1.5, 1.0]))) @ V.T + 0.5 * rng.standard_normal(shape)
        S = svd(X).S
        tau = hard_threshold(S, shape, noise=0.5 if known else None)
        hits += int(np.count_nonzero(S > tau) == 3)
    assert hits >= 38  # 95 %


def test_a_lora_update_is_refused_since_it_shows_no_noise(rng):
    S = svd(rng.standard_normal((20, 3)) @ rng.standard_normal((3, 20))).S
    with pytest.raises(NumericError, match="LoRA update"):
        hard_threshold(S, (20, 20))


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: noise_level(np.ones(3), (4, 4)), ShapeError, "all 4 are needed"),
        (lambda: hard_threshold(np.ones(2), (2, 2), noise=-1.0), ConfigError, "noise=-1"),
        (lambda: hard_threshold(np.ones(2), (2, 2), noise=math.nan), ConfigError, "noise=nan"),
        (lambda: marchenko_pastur_median(1.5), ConfigError, r"\(0, 1\]"),
        (lambda: marchenko_pastur_edge((0, 3), 1.0), ShapeError, "at least 1"),
    ],
)
def test_what_makes_no_sense_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()
