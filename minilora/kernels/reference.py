"""Every kernel in NumPy: the specification that the jitted twins are held to.

Arrays in, new arrays out, in the dtype of the input (float32 or float64); inputs are
never written, except by `adamw_step`. Shapes: T tokens, D width, H heads, K = D / H head width,
N sequences, R rows, C classes or columns.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import erf

from minilora._types import Array
from minilora.kernels import hashing


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """y = g · x̂ + b,   x̂ = (x − μ) · rstd,   rstd = 1 / √(σ² + ε)

    x (T, D), weight g (D,), bias b (D,)  ->  y (T, D), x̂ (T, D), rstd (T,)
    """
    centred = x - x.mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt((centred * centred).mean(axis=1) + eps)  # (T,)
    x_hat = centred * rstd[:, None]
    return weight * x_hat + bias, x_hat, rstd


def layer_norm_backward(dy: Array, x_hat: Array, rstd: Array, weight: Array) -> Array:
    """dx = rstd · (u − mean(u) − x̂ · mean(u · x̂)),   u = g · dy

    dy (T, D), x̂ (T, D), rstd (T,), weight g (D,)  ->  dx (T, D)
    """
    u = weight * dy
    mean_u = u.mean(axis=1, keepdims=True)
    mean_ux = (u * x_hat).mean(axis=1, keepdims=True)
    dx: Array = rstd[:, None] * (u - mean_u - x_hat * mean_ux)
    return dx


def gelu(x: Array) -> Array:
    """y = x Φ(x),   Φ(x) = (1 + erf(x / √2)) / 2       any shape"""
    return x * _normal_cdf(x)


def gelu_backward(dy: Array, x: Array) -> Array:
    """dx = dy · (Φ(x) + x φ(x)),   φ(x) = exp(−x² / 2) / √(2π)       any shape"""
    density = np.exp(x * x * -0.5) * (1 / math.sqrt(2 * math.pi))
    return dy * (_normal_cdf(x) + x * density)


def _normal_cdf(x: Array) -> Array:
    return np.asarray(0.5 * (1 + erf(x * math.sqrt(0.5))), x.dtype)


def gelu_tanh(x: Array) -> Array:
    """y = x (1 + tanh u) / 2,   u = √(2/π) (x + 0.044715 x³)       any shape"""
    y: Array = 0.5 * x * (1 + np.tanh(_tanh_argument(x)))
    return y


def gelu_tanh_backward(dy: Array, x: Array) -> Array:
    """dx = dy · ((1 + t) + x (1 − t²) u′) / 2,   t = tanh u,   u′ = √(2/π) (1 + 0.134145 x²)"""
    t = np.tanh(_tanh_argument(x))
    slope = math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * x * x)
    dx: Array = dy * (0.5 * (1 + t + x * (1 - t * t) * slope))
    return dx


def _tanh_argument(x: Array) -> Array:
    u: Array = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return u


def softmax(x: Array) -> Array:
    """p = exp(x − max x) / Σ exp(x − max x), row by row       x (R, C) -> p (R, C)"""
    p: Array = np.exp(x - x.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    return p


def softmax_backward(dp: Array, p: Array) -> Array:
    """dx = p · (dp − Σ dp · p), row by row       dp, p (R, C) -> dx (R, C)"""
    dx: Array = p * (dp - (dp * p).sum(axis=1, keepdims=True))
    return dx


def log_softmax(x: Array) -> Array:
    """y = x − logsumexp x, row by row       x (R, C) -> y (R, C)"""
    shifted: Array = x - x.max(axis=1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return shifted


def attention(
    q: Array, k: Array, v: Array, offsets: Array, n_heads: int, dropout_p: float, seed: int
) -> tuple[Array, Array]:
    """out = drop(P) v,   P = softmax(S),   S = q kᵀ / √K       per sequence and head

    q, k, v (T, D), offsets (N+1,): sequence n is offsets[n]:offsets[n+1], head h is columns
    h·K:(h+1)·K  ->  out (T, D), lse (T, H) = logsumexp of the rows of S, all that backward needs.

    drop keeps an entry as `dropout` does, counting (t·H + h) · 2²⁰ + j, with t the query's place in
    the batch and j the key's in its sequence. Dao 2023, arXiv:2307.08691, keeps lse likewise.
    """
    out = np.empty(q.shape, q.dtype)
    lse = np.empty((len(q), n_heads), q.dtype)
    for rows in _sequences(offsets):
        S = _scores(q[rows], k[rows], n_heads)  # (H, L, L)
        top = S.max(axis=2)
        lse[rows] = (top + np.log(np.exp(S - top[:, :, None]).sum(axis=2))).T
        P = np.exp(S - lse[rows].T[:, :, None])
        P *= _attention_keep(rows, n_heads, dropout_p, seed, q.dtype)
        out[rows] = _join_heads(P @ _split_heads(v[rows], n_heads))
    return out, lse


def attention_backward(
    dout: Array,
    q: Array,
    k: Array,
    v: Array,
    out: Array,
    lse: Array,
    offsets: Array,
    n_heads: int,
    dropout_p: float,
    seed: int,
) -> tuple[Array, Array, Array]:
    """dq = dS k / √K,   dk = dSᵀ q / √K,   dv = drop(P)ᵀ dout,   dS = P · (drop(dout vᵀ) − δ)

    P = exp(S − lse) is computed again, and δ = Σ P · drop(dout vᵀ), per token and head, comes as
    Σ dout · out.

    dout, q, k, v, out (T, D), lse (T, H)  ->  dq, dk, dv (T, D)
    """
    dq, dk, dv = (np.empty(q.shape, q.dtype) for _ in range(3))
    scale = 1 / math.sqrt(q.shape[1] // n_heads)
    for rows in _sequences(offsets):
        q_h, k_h, v_h, do_h, o_h = (_split_heads(a[rows], n_heads) for a in (q, k, v, dout, out))
        P = np.exp(_scores(q[rows], k[rows], n_heads) - lse[rows].T[:, :, None])  # (H, L, L)
        keep = _attention_keep(rows, n_heads, dropout_p, seed, q.dtype)
        delta = (do_h * o_h).sum(axis=2, keepdims=True)  # (H, L, 1)
        dS = P * ((do_h @ v_h.transpose(0, 2, 1)) * keep - delta) * scale
        dq[rows] = _join_heads(dS @ k_h)
        dk[rows] = _join_heads(dS.transpose(0, 2, 1) @ q_h)
        dv[rows] = _join_heads((P * keep).transpose(0, 2, 1) @ do_h)
    return dq, dk, dv


def _sequences(offsets: Array) -> Iterator[slice]:
    for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        if stop > start:
            yield slice(start, stop)


def _split_heads(x: Array, n_heads: int) -> Array:  # (L, D) -> (H, L, K)
    return x.reshape(len(x), n_heads, -1).transpose(1, 0, 2)


def _join_heads(x: Array) -> Array:  # (H, L, K) -> (L, D)
    return x.transpose(1, 0, 2).reshape(x.shape[1], -1)


def _scores(q: Array, k: Array, n_heads: int) -> Array:  # (L, D), (L, D) -> (H, L, L)
    q_h, k_h = _split_heads(q, n_heads), _split_heads(k, n_heads)
    return (q_h * (1 / math.sqrt(q_h.shape[2]))) @ k_h.transpose(0, 2, 1)


def _attention_keep(
    rows: slice, n_heads: int, p: float, seed: int, dtype: np.dtype[np.generic]
) -> Array:
    t = np.arange(rows.start, rows.stop, dtype=np.uint64)
    h = np.arange(n_heads, dtype=np.uint64)[:, None]
    j = np.arange(rows.stop - rows.start, dtype=np.uint64)
    counter = ((t * np.uint64(n_heads) + h) << np.uint64(20))[:, :, None] | j  # (H, L, L)
    return _keep(counter, p, seed, dtype)


def dropout(x: Array, p: float, seed: int) -> Array:
    """y_i = x_i / (1 − p) where hash(seed, i) ≥ p · 2³², else 0       any shape, i the flat index

    The hash, the upper half of `splitmix64`, is a function of seed and place alone, so that no mask
    is stored: backward is the same call on dy.
    """
    return x * _keep(np.arange(x.size, dtype=np.uint64).reshape(x.shape), p, seed, x.dtype)


def _keep(counter: Array, p: float, seed: int, dtype: np.dtype[np.generic]) -> Array:
    """0 where dropped, 1 / (1 − p) where kept."""
    bits = hashing.splitmix64(hashing.stream(seed), counter) >> np.uint64(32)
    return np.asarray((bits >= hashing.threshold(p)) * hashing.kept_scale(p), dtype)


def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array]:
    """loss = −Σ_r Σ_c w_rc log p_rc,   dlogits = p − w,   p = softmax(logits)

    w = (1 − ε) [c = target] + ε / C; rows whose target is ``ignore_index`` count nothing.

    logits (R, C), targets (R,), ε ``label_smoothing``  ->  loss (), dlogits (R, C)
    """
    counted = targets != ignore_index
    rows = np.flatnonzero(counted)
    log_p = log_softmax(logits[counted])
    w = np.full(log_p.shape, label_smoothing / logits.shape[1], logits.dtype)
    w[np.arange(len(rows)), targets[counted]] += 1 - label_smoothing
    dlogits = np.zeros(logits.shape, logits.dtype)
    dlogits[rows] = np.exp(log_p) - w
    return np.asarray(-(w * log_p).sum(), logits.dtype), dlogits


def scatter_add(ids: Array, dy: Array, n_rows: int) -> Array:
    """dW_i = Σ of the rows r of dy with ids_r = i       ids (R,), dy (R, D) -> dW (n_rows, D)"""
    dW = np.zeros((n_rows, dy.shape[1]), dy.dtype)
    np.add.at(dW, ids, dy)
    return dW


def adamw_step(
    param: Array,
    grad: Array,
    m: Array,
    v: Array,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    step: int,
) -> None:
    """θ ← θ (1 − lr λ) − lr m̂ / (√v̂ + ε),   m̂ = m / (1 − β₁ᵗ),   v̂ = v / (1 − β₂ᵗ)

    In place on param, m and v, all of one shape; ``step`` t counts from 1. The order of operations
    is that of torch.optim.AdamW. Loshchilov, Hutter 2019, arXiv:1711.05101, algorithm 2.
    """
    param *= 1 - lr * weight_decay
    m += (1 - beta1) * (grad - m)
    v *= beta2
    v += (1 - beta2) * grad * grad
    denominator = np.sqrt(v) / math.sqrt(1 - beta2**step) + eps
    param -= lr / (1 - beta1**step) * m / denominator
