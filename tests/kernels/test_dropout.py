"""Dropout by counting: the right rate, no pattern, and the same mask on the way back."""

import numpy as np
import pytest

from minilora.kernels import hashing, jitted, reference

twins = pytest.mark.parametrize("kernels", [jitted, reference], ids=["jitted", "reference"])
N = 200_000


def kept(kernels, p, seed, shape=(N,)):
    return kernels.dropout(np.ones(shape), p, seed) > 0


def within_five_sigma(count, n, p):
    return abs(count - n * p) < 5 * np.sqrt(n * p * (1 - p))


@twins
@pytest.mark.parametrize("p", [0.01, 0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**63 + 1, -1])
def test_the_share_kept_is_right(kernels, p, seed):
    assert within_five_sigma(kept(kernels, p, seed).sum(), N, 1 - p)


def test_what_is_kept_grows_by_one_over_one_minus_p(rng):
    x = rng.normal(size=(50, 40))
    y = jitted.dropout(x, 0.2, 3)
    np.testing.assert_allclose(y[y != 0], x[y != 0] / 0.8)


@twins
def test_the_way_back_drops_what_the_way_forward_dropped(kernels):
    assert np.array_equal(kept(kernels, 0.3, 9), kept(kernels, 0.3, 9))
    assert np.array_equal(kept(jitted, 0.3, 9), kept(reference, 0.3, 9))


def test_the_mask_depends_on_the_place_not_on_the_shape():
    flat = kept(jitted, 0.3, 9)
    assert np.array_equal(kept(jitted, 0.3, 9, (200, 1000)).ravel(), flat)
    assert np.array_equal(kept(jitted, 0.3, 9, (500,)), flat[:500])


@pytest.mark.parametrize("other", [1, 2, 2**32, 2**63])
def test_seeds_draw_independent_masks(other):
    both = kept(jitted, 0.5, 0) & kept(jitted, 0.5, other)
    assert within_five_sigma(both.sum(), N, 0.25)


def test_no_seed_continues_another_seeds_stream():
    step = 0x9E3779B97F4A7C15  # by which splitmix64 counts
    shifted = kept(jitted, 0.5, step)[:-1] & kept(jitted, 0.5, 0)[1:]
    assert within_five_sigma(shifted.sum(), N - 1, 0.25)


@pytest.mark.parametrize("lag", [1, 2, 16, 384])
def test_neighbours_are_independent(lag):
    mask = kept(jitted, 0.5, 4)
    assert within_five_sigma((mask[lag:] & mask[:-lag]).sum(), N - lag, 0.25)


@twins
def test_p_zero_keeps_all_and_p_one_nothing(kernels):
    x = np.ones(100)
    np.testing.assert_array_equal(kernels.dropout(x, 0.0, 1), x)
    np.testing.assert_array_equal(kernels.dropout(x, 1.0, 1), 0 * x)


def test_the_hash_is_splitmix64():
    # the first outputs for state 1234567 of the generator's published C code
    counter = np.arange(3, dtype=np.uint64)
    np.testing.assert_array_equal(
        hashing.splitmix64(np.uint64(1234567), counter),
        np.array([6457827717110365317, 3203168211198807973, 9817491932198370423], np.uint64),
    )


def attention_mask(kernels, p, seed, L=64, H=3):
    """Which entries of P survive, (H, L, L): out of one-hot values is drop(P) itself."""
    q, v = np.zeros((L, H * L)), np.tile(np.eye(L), H)
    out, _ = kernels.attention(q, q, v, np.array([0, L]), H, p, seed)
    return out.reshape(L, H, L).transpose(1, 0, 2) > 0


def test_attention_twins_drop_the_same_entries_at_the_right_rate():
    mask = attention_mask(jitted, 0.3, 11)
    assert np.array_equal(mask, attention_mask(reference, 0.3, 11))
    assert within_five_sigma(mask.sum(), mask.size, 0.7)
    assert within_five_sigma((mask[0] & mask[1]).sum(), mask[0].size, 0.49)


@pytest.mark.parametrize(("t", "h", "j"), [(37, 1, 5), (2, 0, 63), (63, 2, 0), (9, 2, 9)])
def test_attention_counts_queries_heads_and_keys(t, h, j):
    H = 3
    counter = np.array([(t * H + h) << 20 | j], np.uint64)
    bits = hashing.splitmix64(hashing.stream(11), counter) >> np.uint64(32)
    assert attention_mask(jitted, 0.3, 11, H=H)[h, t, j] == (bits >= hashing.threshold(0.3))
