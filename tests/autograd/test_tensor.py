import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.autograd import Tensor, gradcheck, saved_bytes
from minilora.autograd.tensor import unbroadcast
from minilora.errors import GraphError, ShapeError

X = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (lambda x: x + 1, X + 1),
        (lambda x: 1 + x, X + 1),
        (lambda x: x - 1, X - 1),
        (lambda x: 1 - x, 1 - X),
        (lambda x: x * 2, X * 2),
        (lambda x: 2 * x, X * 2),
        (lambda x: x / 2, X / 2),
        (lambda x: 2 / x, 2 / X),
        (lambda x: -x, -X),
        (lambda x: x @ x.transpose(), X @ X.T),
        (lambda x: X + x, X + X),
        (lambda x: X[0] - x, X[0] - X),
        (lambda x: np.float64(3) * x, 3 * X),
        (lambda x: X / x, X / X),
        (lambda x: X.T @ x, X.T @ X),
        (lambda x: x.transpose(1, 0), X.T),
        (lambda x: x.transpose(-1, 0), X.T),
        (lambda x: x.reshape(3, 2), X.reshape(3, 2)),
        (lambda x: x.reshape((3, 2)), X.reshape(3, 2)),
        (lambda x: x.reshape(np.int64(6)), X.reshape(6)),
        (lambda x: x[1], X[1]),
        (lambda x: x[Tensor([1, 0])], X[[1, 0]]),
        (lambda x: x[:, Tensor([2, 2])], X[:, [2, 2]]),
        (lambda x: x.sum(), X.sum()),
        (lambda x: x.sum(axis=0), X.sum(axis=0)),
        (lambda x: x.mean(), X.mean()),
        (lambda x: x.mean(axis=1), X.mean(axis=1)),
    ],
)
def test_operators_do_what_numpy_does_and_can_be_walked_back(expression, value):
    np.testing.assert_allclose(expression(Tensor(X)).numpy(), value)
    gradcheck(expression, X)


def test_gradients_of_scalars_are_arrays_however_many_meet():
    x = Tensor(2.0, requires_grad=True)
    (x * x * x * x).backward()
    assert isinstance(x.grad, np.ndarray)
    assert x.grad == 32.0
    s = x * 1.0
    (s + s + s + s).backward()
    assert x.grad == 36.0


def test_a_tensor_shows_the_array_it_was_given():
    x = Tensor(X)
    assert x.numpy() is X
    assert x.shape == (2, 3)
    assert x.dtype == np.float64
    assert Tensor(np.float32(2.5)).item() == 2.5


def test_detach_cuts_the_graph():
    x = Tensor(X, requires_grad=True)
    assert not (x * 2.0).detach().requires_grad


def test_what_was_computed_requires_a_gradient_and_cannot_be_frozen():
    x = Tensor(X, requires_grad=True)
    y = x * 2.0
    assert y.requires_grad_() is y
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, np.full_like(X, 2.0))
    with pytest.raises(GraphError, match=r"this multiply was computed .* cannot be frozen"):
        (x * 2.0).requires_grad_(False)


def test_a_tensor_of_a_tensor_is_refused():
    with pytest.raises(GraphError, match="got a Tensor"):
        Tensor(Tensor(X))


def test_a_reshape_that_does_not_fill_is_refused():
    for shape in [(4, 2), (4, -1), (0, -1), (-1, -1), ((4, 2),)]:
        with pytest.raises(ShapeError, match="6 entries"):
            Tensor(X).reshape(*shape)


def test_nothing_has_no_mean():
    with pytest.raises(ShapeError, match=r"mean: x \(0, 3\) has no entries"):
        Tensor(X[:0]).mean()


@given(st.lists(st.sampled_from([1, 2, 3]), min_size=0, max_size=3), st.integers(0, 2), st.data())
def test_unbroadcast_undoes_broadcasting(full, dropped, data):
    kept = full[min(dropped, len(full)) :]
    shape = tuple(data.draw(st.sampled_from([1, n])) for n in kept)
    d = np.ones(tuple(full))
    summed = unbroadcast(d, shape)
    assert summed.shape == shape
    assert summed.sum() == d.sum()


def test_unbroadcast_lends_on_what_fits():
    d = np.ones((2, 3))
    assert unbroadcast(d, (2, 3)) is d


@pytest.mark.parametrize(
    ("array", "line"),
    [
        (np.zeros((0, 2)), "Tensor[0, 2] float64 empty"),
        (np.array(1.5, np.float32), "Tensor[] float32 1.5"),
        (np.arange(6), "Tensor[6] int64 ∈[0, 5]"),
        (np.array([1.0, 2, 3, 4, 5]), "Tensor[5] float64 μ=3 σ=1.41 ∈[1, 5]"),
        (
            np.array([1.0, 2, 3, 4, 5, np.nan, np.inf]),
            "Tensor[7] float64 μ=3 σ=1.41 ∈[1, 5] NaN=1 inf=1",
        ),
        (np.full(5, np.nan), "Tensor[5] float64 NaN=5"),
    ],
)
def test_its_repr_is_one_line_that_says_what_is_inside(array, line):
    assert repr(Tensor(array)) == line


def test_its_repr_says_where_it_comes_from():
    x = Tensor(X, requires_grad=True)
    assert repr(x).endswith("requires grad")
    assert repr(x * 2.0).endswith("from multiply")


def test_saved_bytes_counts_a_shared_array_once_and_no_parameter():
    x, W = Tensor(X, requires_grad=True), Tensor(X.T.copy(), requires_grad=True)
    h = x * 2.0
    assert saved_bytes((h @ W) @ (h @ W)) == {"matmul": h.data.nbytes + 2 * 32}
    assert saved_bytes(Tensor(X)) == {}


def test_saved_bytes_sees_what_a_view_keeps_alive():
    big = Tensor(np.ones((100, 2))) * 1.0
    part = big[:1]
    w = Tensor(np.ones((1, 2)), requires_grad=True)
    assert saved_bytes(w * part) == {"multiply": big.data.nbytes}
