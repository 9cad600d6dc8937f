"""The jitted kernels do what reference.py says: same names, same signatures, same values."""

import inspect
import types

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.kernels import KERNELS, jitted, reference

TOLERANCE = {np.float32: 3e-6, np.float64: 1e-14}  # of the largest entry


def matrix(rng, dtype, *shape):
    return rng.normal(size=shape).astype(dtype)


def layer_norm_results(rng, dtype, R, C):
    x, weight, bias = (matrix(rng, dtype, *shape) for shape in ((R, C), (C,), (C,)))
    return reference.layer_norm(x, weight, bias, 1e-5), weight


def attention_inputs(rng, dtype, R, C):
    cuts = np.sort(rng.integers(0, R + 1, 3))
    offsets = np.concatenate([[0], cuts, [R]])
    return *(matrix(rng, dtype, R, 2 * C) for _ in range(3)), offsets


def attention_backward_inputs(rng, dtype, R, C):
    q, k, v, offsets = attention_inputs(rng, dtype, R, C)
    out, lse = reference.attention(q, k, v, offsets, 2, 0.2, 7)
    return matrix(rng, dtype, R, 2 * C), q, k, v, out, lse, offsets, 2, 0.2, 7


def layer_norm_backward_inputs(rng, dtype, R, C):
    (_, x_hat, rstd), weight = layer_norm_results(rng, dtype, R, C)
    return matrix(rng, dtype, R, C), x_hat, rstd, weight


def adamw_inputs(rng, dtype, R, C):
    param, grad, m = (matrix(rng, dtype, R, C) for _ in range(3))
    return param, grad, m, matrix(rng, dtype, R, C) ** 2, 1e-2, 0.9, 0.99, 1e-8, 0.1, 3


def targets(rng, R, C):
    return np.where(rng.random(R) < 0.3, -100, rng.integers(0, C, R))


INPUTS = {  # name -> arguments with R rows and C columns
    "adamw_step": adamw_inputs,
    "attention": lambda rng, d, R, C: (*attention_inputs(rng, d, R, C), 2, 0.2, 7),
    "attention_backward": attention_backward_inputs,
    "cross_entropy": lambda rng, d, R, C: (3 * matrix(rng, d, R, C), targets(rng, R, C), -100, 0.1),
    "dropout": lambda rng, d, R, C: (matrix(rng, d, R, C), 0.3, 2**63 + 5),
    "gelu": lambda rng, d, R, C: (3 * matrix(rng, d, R, C),),
    "gelu_backward": lambda rng, d, R, C: (matrix(rng, d, R, C), 3 * matrix(rng, d, R, C)),
    "gelu_tanh": lambda rng, d, R, C: (3 * matrix(rng, d, R, C),),
    "gelu_tanh_backward": lambda rng, d, R, C: (matrix(rng, d, R, C), 3 * matrix(rng, d, R, C)),
    "layer_norm": lambda rng, d, R, C: (
        5 + matrix(rng, d, R, C),
        matrix(rng, d, C),
        matrix(rng, d, C),
        1e-5,
    ),
    "layer_norm_backward": layer_norm_backward_inputs,
    "log_softmax": lambda rng, d, R, C: (9 * matrix(rng, d, R, C),),
    "scatter_add": lambda rng, d, R, C: (rng.integers(0, 5, R), matrix(rng, d, R, C), 5),
    "softmax": lambda rng, d, R, C: (9 * matrix(rng, d, R, C),),
    "softmax_backward": lambda rng, d, R, C: (
        matrix(rng, d, R, C),
        reference.softmax(matrix(rng, d, R, C)),
    ),
}
every_kernel = pytest.mark.parametrize("name", INPUTS)
both_dtypes = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def results(module, name, arguments):
    """What the kernel returns, or for a step in place what it leaves behind."""
    if name == "adamw_step":
        copies = [a.copy() if isinstance(a, np.ndarray) else a for a in arguments]
        module.adamw_step(*copies)
        return copies[0], copies[2], copies[3]
    y = getattr(module, name)(*arguments)
    return y if isinstance(y, tuple) else (y,)


def wide(arguments):
    return [
        a.astype(float) if isinstance(a, np.ndarray) and a.dtype.kind == "f" else a
        for a in arguments
    ]


def assert_twins(name, arguments, dtype):
    exact = results(reference, name, wide(arguments))
    for twin in (jitted, reference):
        for got, want in zip(results(twin, name, arguments), exact, strict=True):
            assert got.shape == want.shape
            assert got.dtype == dtype
            atol = TOLERANCE[dtype] * max(1.0, np.abs(want).max(initial=0))
            np.testing.assert_allclose(got, want, rtol=TOLERANCE[dtype], atol=atol)


def test_every_kernel_has_a_twin_and_nothing_else_has():
    public = {
        name
        for name, value in vars(reference).items()
        if inspect.isfunction(value)
        and value.__module__ == reference.__name__
        and not name.startswith("_")
    }
    exported = {name for name, value in vars(jitted).items() if inspect.isfunction(value)}
    assert public == set(KERNELS) == exported == set(INPUTS)


@every_kernel
def test_twins_have_one_signature(name):
    ours, theirs = getattr(jitted, name), getattr(reference, name)
    assert inspect.signature(ours) == inspect.signature(theirs)


@both_dtypes
@every_kernel
def test_twins_compute_the_same(name, dtype, rng):
    assert_twins(name, INPUTS[name](rng, dtype, 37, 24), dtype)


@every_kernel
@settings(max_examples=20, deadline=None)
@given(R=st.integers(0, 40), C=st.integers(1, 70), seed=st.integers(0, 2**32))
def test_twins_compute_the_same_in_every_shape(name, R, C, seed):
    rng = np.random.default_rng(seed)
    assert_twins(name, INPUTS[name](rng, np.float64, R, C), np.float64)


def read_only(a):
    a = a.copy()
    a.flags.writeable = False
    return a


def every_other_entry(a):
    spread = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
    spread[..., ::2] = a
    return spread[..., ::2]


def misaligned(a):
    buffer = np.zeros(a.nbytes + 1, np.uint8)
    view = buffer[1:].view(a.dtype).reshape(a.shape)
    view[...] = a
    return view


@pytest.mark.parametrize("relay", [read_only, every_other_entry, misaligned, np.asfortranarray])
@every_kernel
def test_inputs_may_have_any_layout(name, relay, rng):
    arguments = INPUTS[name](rng, np.float64, 12, 8)
    relaid = [relay(a) if isinstance(a, np.ndarray) else a for a in arguments]
    for got, want in zip(
        results(jitted, name, relaid), results(jitted, name, arguments), strict=True
    ):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", sorted(INPUTS.keys() - {"adamw_step"}))
def test_results_are_new_contiguous_arrays_and_inputs_are_left_alone(name, rng):
    arguments = INPUTS[name](rng, np.float64, 12, 8)
    before = [np.copy(a) for a in arguments]
    for y in results(jitted, name, arguments):
        assert y.flags.c_contiguous
        assert not any(np.shares_memory(y, a) for a in arguments if isinstance(a, np.ndarray))
    for a, b in zip(arguments, before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_adamw_steps_in_place_on_a_transposed_view(rng):
    param, grad, m, v, *options = adamw_inputs(rng, np.float64, 6, 4)
    want = results(jitted, "adamw_step", (param, grad, m, v, *options))
    turned = [np.asfortranarray(a) for a in (param, grad, m, v)]
    jitted.adamw_step(*turned, *options)
    for got, w in zip((turned[0], turned[2], turned[3]), want, strict=True):
        np.testing.assert_array_equal(got, w)


def dispatchers():
    """Every compiled function, by name: helpers, and kernels that are called from Python."""
    modules = [m for m in vars(jitted).values() if isinstance(m, types.FunctionType)]
    for module in {inspect.getmodule(m) for m in modules}:
        for name, value in vars(module).items():
            if hasattr(value, "targetoptions"):
                yield name, value


def test_no_layout_or_integer_size_compiles_a_kernel_again(rng):
    for name, inputs in INPUTS.items():
        for dtype in (np.float32, np.float64):
            arguments = inputs(rng, dtype, 6, 4)
            results(jitted, name, arguments)
            results(jitted, name, [every_other_entry(a) if np.ndim(a) else a for a in arguments])
    jitted.dropout(np.ones(3), 0.5, 1)
    jitted.dropout(np.ones(3), 0.0, -1)
    kernels = {name: d for name, d in dispatchers() if d.stats.cache_path}
    assert len(kernels) == len(INPUTS)
    assert {name: len(d.signatures) for name, d in kernels.items()} == dict.fromkeys(kernels, 2)


def test_every_loop_releases_the_gil_and_none_is_compiled_with_fastmath():
    reordered = set()
    for name, dispatcher in dispatchers():
        assert dispatcher.targetoptions["nogil"]
        fastmath = dispatcher.targetoptions.get("fastmath", False)
        assert fastmath in (False, {"reassoc", "contract"})
        if fastmath:
            reordered.add(name)
    assert reordered == {"total", "dot"}
