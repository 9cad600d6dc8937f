import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.adapters import LowRankUpdate
from minilora.errors import ConfigError, NumericError, ShapeError

sizes = st.tuples(*[st.integers(1, 7)] * 3)  # O, I, r


def an_update(O=6, I=4, r=3, *, seed=0, dtype=np.float64, scale=1.4):
    rng = np.random.default_rng(seed)
    B, A = rng.standard_normal((O, r)), rng.standard_normal((r, I))
    return LowRankUpdate("layer.0.query", B.astype(dtype), A.astype(dtype), scale)


@given(sizes, st.floats(-3, 3), st.integers(0, 99))
def test_the_measures_are_those_of_the_dense_matrix(size, scale, seed):
    O, I, r = size
    update = an_update(O, I, r, seed=seed, scale=scale)
    dense = scale * update.B @ update.A
    np.testing.assert_allclose(update.matrix(), dense, atol=1e-13)
    np.testing.assert_allclose(update.svd().matrix(), dense, atol=1e-13)
    assert update.frobenius == pytest.approx(np.linalg.norm(dense), abs=1e-13)
    assert update.shape == dense.shape
    assert update.rank == r
    assert update.n_parameters == r * (O + I)


@pytest.mark.parametrize("weighting", ["left", "both", "right"])
@given(sizes, st.integers(0, 8))
def test_truncation_is_the_best_of_that_rank_at_the_same_scale(weighting, size, k):
    update = an_update(*size, scale=-2.5)
    cut = update.truncate(k, weighting=weighting)
    U, S, Vh = np.linalg.svd(update.matrix(), full_matrices=False)
    best = (U[:, :k] * S[:k]) @ Vh[:k]
    np.testing.assert_allclose(cut.matrix(), best, atol=1e-12)
    assert cut.scale == update.scale
    assert cut.path == update.path
    assert cut.rank <= max(k, 0) or cut is update


def test_singular_values_go_where_they_are_asked_to():
    update = an_update(scale=2.0)
    S = np.linalg.svd(update.B @ update.A, compute_uv=False)[:2]
    norms = {
        weighting: (
            np.linalg.norm(update.truncate(2, weighting=weighting).B, axis=0),
            np.linalg.norm(update.truncate(2, weighting=weighting).A, axis=1),
        )
        for weighting in ("left", "both", "right")
    }
    np.testing.assert_allclose(norms["left"], [S, [1, 1]], rtol=1e-12)
    np.testing.assert_allclose(norms["both"], [np.sqrt(S), np.sqrt(S)], rtol=1e-12)
    np.testing.assert_allclose(norms["right"], [[1, 1], S], rtol=1e-12)


def test_an_update_that_is_not_cut_keeps_its_very_factors():
    update = an_update(r=3)
    assert update.truncate(3) is update
    assert update.truncate(9) is update


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_truncation_keeps_the_dtype(dtype):
    cut = an_update(dtype=dtype).truncate(1)
    assert cut.A.dtype == cut.B.dtype == dtype


def test_half_precision_is_multiplied_in_single():
    update = an_update(dtype=np.float16, scale=1 / 3)
    exact = update.B.astype(float) @ update.A.astype(float) / 3
    assert update.matrix().dtype == np.float32
    np.testing.assert_allclose(update.matrix(), exact, atol=1e-6)


def test_a_rank_above_the_smaller_side_is_cut_to_what_there_is():
    update = an_update(O=2, I=5, r=4)
    cut = update.truncate(3)
    assert cut.rank == 2
    np.testing.assert_allclose(cut.matrix(), update.matrix(), atol=1e-13)


def test_a_zero_update_has_no_size_and_can_be_cut():
    update = LowRankUpdate("q", np.zeros((3, 2)), np.ones((2, 4)), 1.0)
    assert update.frobenius == 0
    assert not update.truncate(1).matrix().any()


def test_factors_that_do_not_chain_are_named_with_their_layer():
    with pytest.raises(ShapeError, match=r"h\.0\.attn: B \(3, 2\) and A \(3, 2\) do not chain"):
        LowRankUpdate("h.0.attn", np.ones((3, 2)), np.ones((3, 2)), 1.0)


@pytest.mark.parametrize(
    ("change", "error"),
    [({"r": -1}, ShapeError), ({"r": 1, "weighting": "boht"}, ConfigError)],
)
def test_what_cannot_be_cut_is_refused(change, error):
    with pytest.raises(error):
        an_update().truncate(**change)


def test_nan_is_found_when_it_is_measured():
    with pytest.raises(NumericError, match="A: 1 of 2"):
        LowRankUpdate("q", np.ones((2, 1)), np.array([[1.0, math.nan]]), 1.0).svd()
