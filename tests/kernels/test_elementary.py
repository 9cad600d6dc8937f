"""exp and the normal tail are accurate to a few units in the last place, everywhere."""

import numpy as np
import pytest
from scipy.special import ndtr

from minilora.kernels import jitted
from minilora.kernels.elementary import exp, normal_tail
from minilora.kernels.jit import inner


@inner
def exp_of(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


@inner
def tail_of(x, y):
    for i in range(x.size):
        y[i] = normal_tail(x[i])[1]


def apply(loop, x):
    y = np.empty_like(x)
    loop(x, y)
    return y


def worst_ulp(got, exact):
    """Largest error in units of the last place of the exact result, subnormal ones left out."""
    exact_as_float = np.abs(exact).astype(got.dtype)
    normal = exact_as_float >= np.finfo(got.dtype).tiny
    return np.max(np.abs(got - exact)[normal] / np.spacing(exact_as_float)[normal])


def sweep(low, high):
    return np.linspace(low, high, 2_000_003).astype(np.float32)


def test_exp_is_within_one_ulp():
    x = sweep(-87.3, 88)
    assert worst_ulp(apply(exp_of, x), np.exp(x.astype(float))) < 1.0


def test_the_normal_tail_is_within_eight_ulp_however_far_out():
    x = sweep(-13, 13)
    assert worst_ulp(apply(tail_of, x), ndtr(-np.abs(x.astype(float)))) < 8


def test_gelu_keeps_its_digits_where_erf_loses_them():
    x = sweep(-13, 13)
    exact = x.astype(float) * ndtr(x.astype(float))
    assert worst_ulp(jitted.gelu(x), exact) < 8


def test_gelu_backward_is_as_exact_as_float32_allows():
    x = sweep(-13, 13)
    wide = x.astype(float)
    exact = ndtr(wide) + wide * np.exp(-wide * wide / 2) / np.sqrt(2 * np.pi)
    assert np.abs(jitted.gelu_backward(np.ones_like(x), x) - exact).max() < 3e-7


def test_float64_is_what_the_definitions_say():
    x = np.linspace(-9, 9, 101)
    np.testing.assert_array_equal(apply(exp_of, x), [exp(number) for number in x.tolist()])
    tails = [normal_tail(number)[1] for number in x.tolist()]
    np.testing.assert_array_equal(apply(tail_of, x), tails)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_exp_of_what_is_too_small_is_zero_and_nan_stays(dtype):
    x = np.array([-np.inf, -1e5, -800.0, 0.0, np.nan], dtype)
    np.testing.assert_array_equal(apply(exp_of, x), np.array([0, 0, 0, 1, np.nan], dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["gelu", "gelu_tanh"])
def test_gelu_of_extremes(name, dtype):
    x = np.array([-1e30, -1e3, -0.0, 0.0, 1e3, 1e30, np.inf, np.nan], dtype)
    want = np.array([0, 0, 0, 0, 1e3, 1e30, np.inf, np.nan], dtype)
    np.testing.assert_array_equal(getattr(jitted, name)(x), want)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "layer_norm"])
def test_nan_in_a_row_stays_in_its_row(name):
    x = np.ones((3, 40), np.float32)
    x[1, 7] = np.nan
    extra = (np.ones(40, np.float32), np.ones(40, np.float32), 1e-5) if name == "layer_norm" else ()
    y = getattr(jitted, name)(x, *extra)
    y = y[0] if isinstance(y, tuple) else y
    assert np.isnan(y[1]).all()
    assert np.isfinite(y[[0, 2]]).all()
