"""What every op promises: the contract runs over all of OPS and ARITHMETIC."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from minilora.autograd import Tensor, gradcheck, no_grad
from minilora.autograd.tensor import ARITHMETIC
from minilora.ops import OPS

EVERY = OPS | ARITHMETIC
OFFSETS = np.array([0, 3, 4, 4, 9])  # an empty sequence and one of a single token among them
IDS = np.array([2, 0, 2, 1])  # row 2 is taken twice
TARGETS = np.array([1, -100, 0])


@dataclass(frozen=True)
class Example:
    """One way to call an op: shapes of its differentiable inputs, and what is fixed."""

    shapes: tuple[tuple[int, ...], ...]
    options: dict[str, Any] = field(default_factory=dict)
    before: tuple[Any, ...] = ()  # arguments that come first and have no derivative
    after: tuple[Any, ...] = ()  # the same, last


EXAMPLES: dict[str, list[Example]] = {
    "linear": [Example(((2, 3, 5), (4, 5), (4,))), Example(((3, 5), (4, 5)))],
    "layer_norm": [Example(((4, 5), (5,), (5,))), Example(((2, 3, 5), (5,), (5,)), {"eps": 1e-3})],
    "gelu": [Example(((3, 4),)), Example(((3, 4),), {"approximate": "tanh"})],
    "tanh": [Example(((3, 4),))],
    "relu": [Example(((3, 4),))],
    "softmax": [Example(((3, 4),)), Example(((2, 3, 4),))],
    "log_softmax": [Example(((3, 4),)), Example(((2, 3, 4),))],
    "attention": [
        Example(((9, 6),) * 3, {"offsets": OFFSETS, "n_heads": 2}),
        Example(((9, 6),) * 3, {"offsets": OFFSETS, "n_heads": 3, "dropout_p": 0.4, "seed": 5}),
    ],
    "embedding": [Example(((3, 5),), before=(IDS,))],
    "dropout": [Example(((4, 5),), {"p": 0.3, "seed": 1}), Example(((6,),), {"p": 0.0, "seed": 1})],
    "cross_entropy": [
        Example(((3, 4),), after=(TARGETS,)),
        Example(((3, 4),), {"label_smoothing": 0.2, "reduction": "sum"}, after=(TARGETS,)),
    ],
    "mse_loss": [Example(((3, 4), (3, 4)))],
    "concatenate": [Example(((2, 3), (4, 3))), Example(((2, 3), (2, 1), (2, 2)), {"axis": 1})],
    "add": [Example(((3, 1, 4), (2, 1)))],  # both sides broadcast
    "subtract": [Example(((3, 1, 4), (2, 1)))],
    "multiply": [Example(((3, 1, 4), (2, 1)))],
    "divide": [Example(((3, 1, 4), (2, 1)))],
    "matmul": [Example(((2, 3), (3, 4))), Example(((5, 2, 3), (3, 4))), Example(((5, 2, 3),) * 2)],
    "total": [Example(((2, 3),)), Example(((2, 3, 4),), {"axis": -1}),
              Example(((2, 3, 4),), {"axis": (0, 2)})],
    "reshape": [Example(((2, 6),), {"shape": (3, -1)})],
    "transpose": [Example(((2, 3, 4),), {"axes": (1, 2, 0)}), Example(((2, 3),))],
    "take": [Example(((3, 5),), {"index": IDS}), Example(((3, 5),), {"index": (slice(1, 3), 2)})],
}  # fmt: skip
EXAMPLES["matmul"][2] = Example(((5, 2, 3), (5, 3, 4)))

CASES = [
    pytest.param(name, example, id=f"{name}-{i}")
    for name in sorted(EVERY)
    for i, example in enumerate(EXAMPLES.get(name, []))
]
each = pytest.mark.parametrize(("name", "example"), CASES)


def call(name: str, example: Example) -> Callable[..., Tensor]:
    """The op as a function of its differentiable inputs alone."""
    f = EVERY[name]
    return lambda *xs: f(*example.before, *xs, *example.after, **example.options)


def inputs(example: Example, rng: np.random.Generator, dtype: Any = np.float64) -> list[np.ndarray]:
    xs = [(rng.standard_normal(shape) + 0.1).astype(dtype) for shape in example.shapes]
    for x in xs:
        x.flags.writeable = False
    return xs


def test_every_op_has_an_example():
    assert set(EXAMPLES) == set(EVERY)


@each
def test_gradient_is_right(name, example, rng):
    gradcheck(call(name, example), *inputs(example, rng))


@each
def test_every_entry_of_the_gradient_is_right(name, example, rng):
    gradcheck(call(name, example), *inputs(example, rng), elementwise=True)


@each
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keeps_its_dtype_and_leaves_read_only_inputs_alone(name, example, dtype, rng):
    leaves = [Tensor(x, requires_grad=True) for x in inputs(example, rng, dtype)]
    y = call(name, example)(*leaves)
    y.backward(np.ones_like(y.data))
    assert y.data.dtype == dtype
    assert all(t.grad is not None and t.grad.dtype == dtype for t in leaves)
    assert all(t.grad.shape == t.data.shape for t in leaves)


@each
def test_float32_is_float64_rounded(name, example, rng):
    xs = inputs(example, rng, np.float32)
    results = []
    for dtype in (np.float32, np.float64):
        leaves = [Tensor(x.astype(dtype), requires_grad=True) for x in xs]
        y = call(name, example)(*leaves)
        y.backward(np.ones_like(y.data))
        results.append([y.data, *(t.grad for t in leaves)])
    for single, double in zip(*results, strict=True):
        np.testing.assert_allclose(single, double, rtol=2e-5, atol=2e-5)


@each
def test_inputs_that_are_not_contiguous_give_the_same(name, example, rng):
    xs = inputs(example, rng)
    strided = [np.repeat(x, 2, axis=-1)[..., ::2] for x in xs]
    np.testing.assert_array_equal(
        call(name, example)(*map(Tensor, strided)).data,
        call(name, example)(*map(Tensor, xs)).data,
    )


@each
def test_frozen_inputs_record_nothing(name, example, rng):
    assert call(name, example)(*map(Tensor, inputs(example, rng))).node is None


@each
def test_nothing_is_recorded_under_no_grad(name, example, rng):
    leaves = [Tensor(x, requires_grad=True) for x in inputs(example, rng)]
    with no_grad():
        assert call(name, example)(*leaves).node is None


@each
def test_each_input_can_be_the_only_one_that_learns(name, example, rng):
    xs = inputs(example, rng)
    together = [Tensor(x, requires_grad=True) for x in xs]
    y = call(name, example)(*together)
    seed = rng.standard_normal(y.shape)
    y.backward(seed)
    for i, expected in enumerate(t.grad for t in together):
        alone = [Tensor(x, requires_grad=i == j) for j, x in enumerate(xs)]
        call(name, example)(*alone).backward(seed)
        np.testing.assert_allclose(alone[i].grad, expected, rtol=1e-12, atol=1e-14)
        assert all(t.grad is None for j, t in enumerate(alone) if j != i)
