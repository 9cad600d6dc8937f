import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.adapters import LowRankUpdate
from minilora.analysis.select import sparsify
from minilora.errors import ConfigError

S = [4.0, 2.0, 1.0, 0.2]


def is_zero(update):
    return np.r_[update.B.ravel(), update.A.ravel()] == 0


@given(
    shape=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    r=st.integers(1, 12),
    sparsity=st.floats(0, 0.99),
    seed=st.integers(0, 99),
)
def test_that_share_of_the_numbers_is_zero(shape, r, sparsity, seed):
    rng = np.random.default_rng(seed)
    B, A = rng.standard_normal((shape[0], r)), rng.standard_normal((r, shape[1]))
    sparse = sparsify(LowRankUpdate("query", B, A, 0.5), sparsity)
    assert (sparse.B.shape, sparse.A.shape) == (B.shape, A.shape)
    wanted = int(sparsity * (B.size + A.size))
    unused = max(0, r - min(shape)) * sum(shape)  # what directions beyond the last would take
    assert is_zero(sparse).sum() == (max(wanted, unused) if wanted else 0)


def test_a_rank_that_is_not_used_goes_first(rng):
    B, A = rng.standard_normal((6, 9)), rng.standard_normal((9, 4))
    update = LowRankUpdate("query", B, A, 1.0)
    assert sparsify(update, 5 / 9).matrix() == pytest.approx(update.matrix())
    assert sparsify(update, 0.7).frobenius > 0.5 * update.frobenius


@given(low=st.floats(0.05, 0.95), high=st.floats(0.05, 0.95), seed=st.integers(0, 99))
def test_what_is_zero_stays_so_when_more_is(low, high, seed):
    rng = np.random.default_rng(seed)
    update = LowRankUpdate("a", rng.standard_normal((7, 3)), rng.standard_normal((3, 5)), 1.0)
    few, many = (is_zero(sparsify(update, share)) for share in sorted((low, high)))
    assert many[few].all()


def test_no_sparsity_changes_nothing(spectral_update):
    update = spectral_update(S)
    assert sparsify(update, 0.0) is update


def test_what_is_kept_is_larger_than_what_is_not(spectral_update):
    update = spectral_update(S)
    sparse = sparsify(update, 0.5)
    B, A = sparsify(update, 0.02).B, sparsify(update, 0.02).A  # balanced, one number less
    dense, kept = (
        np.abs(np.r_[B.ravel(), A.ravel()]),
        np.r_[sparse.B.ravel(), sparse.A.ravel()] != 0,
    )
    assert dense[kept].min() >= dense[~kept].max()


def test_it_depends_on_the_product_alone(spectral_update, rng):
    update, M = spectral_update(S), rng.standard_normal((4, 4))
    mixed = LowRankUpdate("query", update.B @ M, np.linalg.inv(M) @ update.A, update.scale)
    assert sparsify(mixed, 0.5).matrix() == pytest.approx(sparsify(update, 0.5).matrix())


def test_the_update_is_nearly_the_same_when_the_smallest_go(spectral_update):
    update = spectral_update(S)
    errors = [
        np.linalg.norm(update.matrix() - sparsify(update, s).matrix()) / update.frobenius
        for s in (0.1, 0.3, 0.9)
    ]
    assert errors[0] < 0.05
    assert errors == sorted(errors)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_path_and_dtype_stay(spectral_update, dtype):
    update = spectral_update(S, scale=0.25)
    update = LowRankUpdate("a.b", update.B.astype(dtype), update.A.astype(dtype), 0.25)
    sparse = sparsify(update, 0.3)
    assert (sparse.path, sparse.scale, sparse.B.dtype, sparse.A.dtype) == (
        "a.b",
        0.25,
        dtype,
        dtype,
    )


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, float("nan")])
def test_a_share_out_of_range_is_refused(spectral_update, sparsity):
    with pytest.raises(ConfigError, match="sparsity"):
        sparsify(spectral_update(S), sparsity)
