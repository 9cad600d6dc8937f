"""Layer norm, softmax and cross-entropy: each row on its own."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels.boundary import check_range, plain, plain_indices
from minilora.kernels.elementary import exp
from minilora.kernels.jit import inner, kernel
from minilora.kernels.sums import dot, total


def layer_norm(x: Array, weight: Array, bias: Array, eps: float) -> tuple[Array, Array, Array]:
    """y = g · x̂ + b,   x̂ = (x − μ) · rstd,   rstd = 1 / √(σ² + ε)"""
    x = plain(x, x)
    T, D = x.shape
    y, x_hat, rstd = np.empty_like(x), np.empty_like(x), np.empty(T, x.dtype)
    weight, bias = plain(weight, x, (D,)), plain(bias, x, (D,))
    _layer_norm(x, weight, bias, x.dtype.type(eps), y, x_hat, rstd)
    return y, x_hat, rstd


@kernel
def _layer_norm(
    x: Array, weight: Array, bias: Array, eps: float, y: Array, x_hat: Array, rstd: Array
) -> None:
    one, D = x.dtype.type(1), x.dtype.type(x.shape[1])
    for t in range(x.shape[0]):
        mean = total(x[t]) / D
        for j in range(x.shape[1]):
            x_hat[t, j] = x[t, j] - mean
        scale = one / math.sqrt(dot(x_hat[t], x_hat[t]) / D + eps)
        for j in range(x.shape[1]):
            x_hat[t, j] *= scale
            y[t, j] = x_hat[t, j] * weight[j] + bias[j]
        rstd[t] = scale


def layer_norm_backward(dy: Array, x_hat: Array, rstd: Array, weight: Array) -> Array:
    """dx = rstd · (u − mean(u) − x̂ · mean(u · x̂)),   u = g · dy"""
    x_hat = plain(x_hat, x_hat)
    T, D = x_hat.shape
    dy, rstd = plain(dy, x_hat, (T, D)), plain(rstd, x_hat, (T,))
    dx = np.empty_like(x_hat)
    _layer_norm_backward(dy, x_hat, rstd, plain(weight, x_hat, (D,)), dx)
    return dx


@kernel
def _layer_norm_backward(dy: Array, x_hat: Array, rstd: Array, weight: Array, dx: Array) -> None:
    D = dy.dtype.type(dy.shape[1])
    for t in range(dy.shape[0]):
        for j in range(dy.shape[1]):
            dx[t, j] = weight[j] * dy[t, j]  # u
        mean_u = total(dx[t]) / D
        mean_ux = dot(dx[t], x_hat[t]) / D
        for j in range(dy.shape[1]):
            dx[t, j] = rstd[t] * (dx[t, j] - mean_u - x_hat[t, j] * mean_ux)


def softmax(x: Array) -> Array:
    """p = exp(x − max x) / Σ exp(x − max x), row by row"""
    x = plain(x, x)
    p = np.empty_like(x)
    _softmax(x, p)
    return p


@kernel
def _softmax(x: Array, p: Array) -> None:
    for r in range(x.shape[0]):
        scale = p.dtype.type(1) / _exp_row(x[r], _max(x[r]), p[r])
        for c in range(x.shape[1]):
            p[r, c] *= scale


def softmax_backward(dp: Array, p: Array) -> Array:
    """dx = p · (dp − Σ dp · p), row by row"""
    p = plain(p, p)
    dp = plain(dp, p, p.shape)
    dx = np.empty_like(p)
    _softmax_backward(dp, p, dx)
    return dx


@kernel
def _softmax_backward(dp: Array, p: Array, dx: Array) -> None:
    for r in range(p.shape[0]):
        s = dot(dp[r], p[r])
        for c in range(p.shape[1]):
            dx[r, c] = p[r, c] * (dp[r, c] - s)


def log_softmax(x: Array) -> Array:
    """y = x − logsumexp x, row by row"""
    x = plain(x, x)
    y = np.empty_like(x)
    _log_softmax(x, y)
    return y


@kernel
def _log_softmax(x: Array, y: Array) -> None:
    for r in range(x.shape[0]):
        top = _max(x[r])
        log_sum = y.dtype.type(math.log(_exp_row(x[r], top, y[r])))
        for c in range(x.shape[1]):
            y[r, c] = x[r, c] - top - log_sum


def cross_entropy(
    logits: Array, targets: Array, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array]:
    """loss = −Σ_r Σ_c w_rc log p_rc,   dlogits = p − w,   w = (1 − ε) [c = target] + ε / C"""
    logits = plain(logits, logits)
    R, C = logits.shape
    targets = plain_indices(targets, (R,))
    check_range(targets[targets != ignore_index], C)
    dlogits = np.empty_like(logits)
    loss = _cross_entropy(logits, targets, int(ignore_index), float(label_smoothing), dlogits)
    return np.asarray(loss, logits.dtype), dlogits


@kernel
def _cross_entropy(
    logits: Array, targets: Array, ignore_index: int, label_smoothing: float, dlogits: Array
) -> float:
    R, C = logits.shape
    one, even = logits.dtype.type(1), logits.dtype.type(label_smoothing / C)
    loss = 0.0  # added up in float64
    for r in range(R):
        if targets[r] == ignore_index:
            dlogits[r] = logits.dtype.type(0)
            continue
        top = _max(logits[r])
        s = _exp_row(logits[r], top, dlogits[r])
        scale = one / s
        for c in range(C):
            dlogits[r, c] = dlogits[r, c] * scale - even
        dlogits[r, targets[r]] -= logits.dtype.type(1 - label_smoothing)
        chosen = (1 - label_smoothing) * logits[r, targets[r]]
        loss += top + math.log(s) - chosen - label_smoothing * total(logits[r]) / C
    return loss


@inner
def _max(a: Array) -> float:
    top = a.dtype.type(-np.inf)
    for i in range(a.size):
        top = a[i] if a[i] > top else top
    return top  # type: ignore[no-any-return]


@inner
def _exp_row(x: Array, top: float, y: Array) -> float:
    """y = exp(x − top); returns Σ y"""
    for i in range(x.size):
        y[i] = exp(x[i] - top)
    return total(y)
