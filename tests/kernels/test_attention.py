"""Packed attention is the padded kind, sequence by sequence, and its way back is its gradient."""

import numpy as np
import pytest
from scipy.special import logsumexp, softmax

from minilora.kernels import jitted, reference

twins = pytest.mark.parametrize("kernels", [jitted, reference], ids=["jitted", "reference"])
LENGTHS = [
    [5],
    [1, 1, 1],
    [3, 0, 1, 7],
    [0, 4, 0],
    [16, 128, 31],
    [129, 2],
    [300],
    [0],
    [],
]
heads = pytest.mark.parametrize(("H", "K"), [(1, 1), (2, 32), (3, 5), (1, 64), (2, 130)])


def offsets_of(lengths):
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def pad(x, lengths, H):  # (T, D) -> (N, H, longest, K)
    longest = max(lengths, default=0)
    padded = np.zeros((len(lengths), longest, x.shape[1]))
    for row, first, n in zip(padded, offsets_of(lengths), lengths, strict=False):
        row[:n] = x[first : first + n]
    return padded.reshape(len(lengths), longest, H, -1).transpose(0, 2, 1, 3)


def unpad(x, lengths):  # (N, H, longest, K) -> (T, H, K)
    return np.concatenate([np.empty((0, x.shape[1], x.shape[3]))] + [
        y.transpose(1, 0, 2)[:n] for y, n in zip(x, lengths, strict=True)
    ])  # fmt: skip


def padded_attention(q, k, v, lengths, H):
    """The textbook's way: every sequence as long as the longest, −∞ where there is no key."""
    q, k, v = (pad(a, lengths, H) for a in (q, k, v))
    there = np.arange(q.shape[2]) < np.array(lengths, int)[:, None]
    mask = np.where(there | ~there.any(axis=1, keepdims=True), 0.0, -np.inf)[:, None, None]
    scores = q @ k.swapaxes(2, 3) / np.sqrt(q.shape[3]) + mask
    out = softmax(scores, axis=3) @ v
    lse = logsumexp(scores, axis=3, keepdims=True)
    T = sum(lengths)
    return unpad(out, lengths).reshape(T, -1), unpad(lse, lengths).reshape(T, H)


@twins
@heads
@pytest.mark.parametrize("lengths", LENGTHS[:-2], ids=str)
def test_attention_equals_padded_attention(kernels, lengths, H, K, rng):
    q, k, v = rng.normal(size=(3, sum(lengths), H * K))
    out, lse = kernels.attention(q, k, v, offsets_of(lengths), H, 0.0, 0)
    want_out, want_lse = padded_attention(q, k, v, lengths, H)
    np.testing.assert_allclose(out, want_out, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(lse, want_lse, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("p", [0.0, 0.4])
@heads
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_twins_agree_forward_and_back(lengths, H, K, p, rng):
    q, k, v, dout = rng.normal(size=(4, sum(lengths), H * K))
    options = offsets_of(lengths), H, p, 3
    out, lse = reference.attention(q, k, v, *options)
    got = (
        *jitted.attention(q, k, v, *options),
        *jitted.attention_backward(dout, q, k, v, out, lse, *options),
    )
    want = (out, lse, *reference.attention_backward(dout, q, k, v, out, lse, *options))
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-12)


@twins
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_the_way_back_is_the_gradient(kernels, p, rng):
    q, k, v, dout, *direction = rng.normal(size=(7, 9, 6))
    options = np.array([0, 4, 4, 9]), 2, p, 3

    def loss(step):
        moved = (a + step * d for a, d in zip((q, k, v), direction, strict=True))
        return (dout * kernels.attention(*moved, *options)[0]).sum()

    out, lse = kernels.attention(q, k, v, *options)
    gradients = kernels.attention_backward(dout, q, k, v, out, lse, *options)
    slope = sum((g * d).sum() for g, d in zip(gradients, direction, strict=True))
    assert slope == pytest.approx((loss(1e-6) - loss(-1e-6)) / 2e-6, rel=1e-7)


@twins
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e3, 1e4])
def test_large_scores_do_not_overflow(kernels, dtype, scale, rng):
    q, k, v = (rng.normal(size=(3, 6, 8)) * scale).astype(dtype)
    out, lse = kernels.attention(q, k, v, np.array([0, 6]), 2, 0.0, 0)
    want_out, want_lse = padded_attention(q, k, v, [6], 2)
    np.testing.assert_allclose(out, want_out, rtol=1e-3)
    np.testing.assert_allclose(lse, want_lse, rtol=1e-5)
    for d in kernels.attention_backward(v, q, k, v, out, lse, np.array([0, 6]), 2, 0.0, 0):
        assert np.isfinite(d).all()


@twins
def test_nan_in_one_sequence_stays_there(kernels, rng):
    q, k, v = rng.normal(size=(3, 9, 4))
    q[1, 0] = np.nan
    out, _ = kernels.attention(q, k, v, np.array([0, 4, 9]), 1, 0.0, 0)
    assert np.isnan(out[1]).all()
    assert np.isfinite(out[4:]).all()
