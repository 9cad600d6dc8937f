"""GELU and dropout: each entry on its own."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array
from minilora.kernels import hashing
from minilora.kernels.boundary import plain
from minilora.kernels.elementary import exp, fma, normal_tail, splitmix64
from minilora.kernels.jit import inner, kernel

_DENSITY = 1 / math.sqrt(2 * math.pi)  # φ(0)
_SLOPE = 2 * math.sqrt(2 / math.pi)  # 2u = _SLOPE x + _CUBIC x³
_CUBIC = 0.044715 * _SLOPE


def gelu(x: Array) -> Array:
    """y = x Φ(x)"""
    x = plain(x, x)
    y = np.empty_like(x)
    _gelu(x.ravel(), y.ravel())
    return y


@kernel
def _gelu(x: Array, y: Array) -> None:
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for i in range(x.size):
        _, tail = normal_tail(x[i])
        y[i] = x[i] * (one - tail if x[i] > zero else tail)


def gelu_backward(dy: Array, x: Array) -> Array:
    """dx = dy · (Φ(x) + x φ(x))"""
    x = plain(x, x)
    dy = plain(dy, x, x.shape)
    dx = np.empty_like(x)
    _gelu_backward(dy.ravel(), x.ravel(), dx.ravel())
    return dx


@kernel
def _gelu_backward(dy: Array, x: Array, dx: Array) -> None:
    zero, one, density = x.dtype.type(0), x.dtype.type(1), x.dtype.type(_DENSITY)
    for i in range(x.size):
        e, tail = normal_tail(x[i])
        dx[i] = dy[i] * fma(x[i], density * e, one - tail if x[i] > zero else tail)


def gelu_tanh(x: Array) -> Array:
    """y = x (1 + tanh u) / 2 = x σ(2u),   u = √(2/π) (x + 0.044715 x³)"""
    x = plain(x, x)
    y = np.empty_like(x)
    _gelu_tanh(x.ravel(), y.ravel())
    return y


@kernel
def _gelu_tanh(x: Array, y: Array) -> None:
    one = x.dtype.type(1)
    slope, cubic = x.dtype.type(_SLOPE), x.dtype.type(_CUBIC)
    for i in range(x.size):
        y[i] = x[i] * _sigmoid(x[i] * fma(cubic * x[i], x[i], slope), one)


def gelu_tanh_backward(dy: Array, x: Array) -> Array:
    """dx = dy · (σ + x σ (1 − σ) 2u′),   σ = σ(2u),   u′ = √(2/π) (1 + 0.134145 x²)"""
    x = plain(x, x)
    dy = plain(dy, x, x.shape)
    dx = np.empty_like(x)
    _gelu_tanh_backward(dy.ravel(), x.ravel(), dx.ravel())
    return dx


@kernel
def _gelu_tanh_backward(dy: Array, x: Array, dx: Array) -> None:
    one, three = x.dtype.type(1), x.dtype.type(3)
    slope, cubic = x.dtype.type(_SLOPE), x.dtype.type(_CUBIC)
    for i in range(x.size):
        square = cubic * x[i] * x[i]
        s = _sigmoid(x[i] * (square + slope), one)
        dx[i] = dy[i] * s * fma(x[i] * (one - s), fma(three, square, slope), one)


@inner
def _sigmoid(z: float, one: float) -> float:
    e = exp(-abs(z))  # never overflows
    return (e if z < 0 else one) / (one + e)


def dropout(x: Array, p: float, seed: int) -> Array:
    """y_i = x_i / (1 − p) where hash(seed, i) ≥ p · 2³², else 0"""
    x = plain(x, x)
    y = np.empty_like(x)
    scale = x.dtype.type(hashing.kept_scale(p))
    _dropout(x.ravel(), hashing.stream(seed), hashing.threshold(p), scale, y.ravel())
    return y


@kernel
def _dropout(x: Array, start: np.uint64, threshold: np.uint64, scale: float, y: Array) -> None:
    zero = x.dtype.type(0)
    for i in range(x.size):
        kept = splitmix64(start, np.uint64(i)) >> np.uint64(32) >= threshold
        y[i] = x[i] * (scale if kept else zero)
