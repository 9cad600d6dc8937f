"""exp, the normal distribution and random bits, one number at a time, for loops that vectorise.

A call of libm's exp or erf makes a loop scalar, since Numba comes without a vector library. So
float32 has polynomials of its own, free of branches; float64, meant for verifying, calls libm.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic, overload

from minilora.kernels import hashing
from minilora.kernels.jit import inner

splitmix64 = inner(hashing.splitmix64)

_f = np.float32
_ZERO, _HALF, _ONE = _f(0), _f(0.5), _f(1)


@intrinsic  # type: ignore[untyped-decorator]
def fma(context: Any, a: Any, b: Any, c: Any) -> Any:
    """a · b + c, rounded once."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return a(a, a, a), emit


def exp(x: float) -> float:
    """e^x; in float32 for x ≤ 88, to 1 ulp, and 0 instead of subnormal numbers."""
    return math.exp(x)


@overload(exp, strict=False)  # type: ignore[untyped-decorator]
def _exp(x: Any) -> Callable[[Any], Any]:
    return (lambda x: _exp32(x)) if x == types.float32 else exp


# e^r = 1 + r + r² (E2 + E3 r + …) on |r| ≤ ln(2) / 2, relative error 3.1e-9: weighted least squares
# on 4000 Chebyshev nodes, weights updated by Lawson's rule until the error is level.
_E2, _E3, _E4, _E5, _E6 = map(
    _f,
    (
        0.4999999341246945,
        0.1666652010762621,
        0.04166839421744152,
        0.008368780429102933,
        0.0013814466738997153,
    ),
)
_LOG2_E = _f(1 / math.log(2))
_LN2_HIGH = _f(0.693145751953125)  # 17 bits, so that n · high is exact
_LN2_LOW = _f(math.log(2) - 0.693145751953125)
_SHIFT = _f(1.5 * 2**23 + 127)  # adding it leaves round(…) + 127 in the lowest bits
_LOWEST = _f(-126 * math.log(2))  # where the result's exponent ends


@inner
def _exp32(x: np.float32) -> Any:
    # e^x = 2ⁿ e^r with n = round(x / ln 2); comparisons are written so that NaN passes through
    clipped = _LOWEST if x < _LOWEST else x
    shifted = fma(clipped, _LOG2_E, _SHIFT)
    n = shifted - _SHIFT
    r = fma(n, -_LN2_LOW, fma(n, -_LN2_HIGH, clipped))
    p = fma(fma(fma(fma(_E6, r, _E5), r, _E4), r, _E3), r, _E2)
    p = fma(fma(p, r, _ONE), r, _ONE)
    exponent = np.int32(_f(shifted).view(np.int32) << np.int32(23))
    return _ZERO if x < _LOWEST else p * exponent.view(np.float32)


def normal_tail(x: float) -> tuple[float, float]:
    """exp(−x² / 2) and Φ(−|x|); in float32 to 8 ulp, however far out."""
    return math.exp(-0.5 * x * x), 0.5 * math.erfc(abs(x) * math.sqrt(0.5))


@overload(normal_tail, strict=False)  # type: ignore[untyped-decorator]
def _normal_tail(x: Any) -> Callable[[Any], Any]:
    return (lambda x: _normal_tail32(x)) if x == types.float32 else normal_tail


# Φ(−a) exp(a² / 2) = P(a) / Q(a) on 0 ≤ a ≤ 14.5, relative error 5.9e-9: fitted as above, with the
# last denominator as weight. All coefficients are positive, so that nothing cancels.
_P0, _P1, _P2, _P3, _P4 = map(
    _f,
    (
        0.500000002940927,
        0.43829263569838556,
        0.18323332279744278,
        0.04063258538085088,
        0.004116205101091352,
    ),
)
_Q1, _Q2, _Q3, _Q4, _Q5 = map(
    _f,
    (
        1.674470252086192,
        1.2024958205251144,
        0.46946581187726866,
        0.10185723484854195,
        0.0103176763386131,
    ),
)
_FAR = _f(14.5)  # exp(−a² / 2) is 0 from here on


@inner
def _normal_tail32(x: np.float32) -> Any:
    a = _FAR if abs(x) > _FAR else abs(x)
    square = a * a
    e = _exp32(-_HALF * square)
    e = fma(e, -_HALF * fma(a, a, -square), e)  # what a² lost in rounding
    p = fma(fma(fma(fma(_P4, a, _P3), a, _P2), a, _P1), a, _P0)
    q = fma(fma(fma(fma(fma(_Q5, a, _Q4), a, _Q3), a, _Q2), a, _Q1), a, _ONE)
    return e, e * p / q
