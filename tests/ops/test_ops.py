"""Values against formulas written out, and what the ops refuse."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora import ops
from minilora.autograd import Tensor, saved_bytes
from minilora.errors import ConfigError, DataError, GraphError, ShapeError


def test_linear_without_bias_is_a_matrix_product(rng):
    x, W = rng.standard_normal((2, 3, 5)), rng.standard_normal((4, 5))
    np.testing.assert_allclose(ops.linear(x, W).data, np.einsum("abi,oi->abo", x, W))


def test_gelu_is_x_times_the_normal_distribution_function():
    x = np.linspace(-5, 5, 101)
    expected = [v * 0.5 * (1 + math.erf(v / math.sqrt(2))) for v in x]
    np.testing.assert_allclose(ops.gelu(x).data, expected, rtol=1e-13, atol=1e-15)


def test_the_tanh_form_of_gelu_is_close_to_the_exact_one_but_not_the_same():
    x = np.linspace(-4, 4, 81)
    difference = np.abs(ops.gelu(x, approximate="tanh").data - ops.gelu(x).data).max()
    assert 1e-5 < difference < 1e-3


def test_softmax_of_large_numbers_does_not_overflow():
    np.testing.assert_allclose(ops.softmax(np.array([[1e4, 1e4, -1e4]])).data, [[0.5, 0.5, 0.0]])


def test_log_softmax_is_the_logarithm_of_softmax(rng):
    x = rng.standard_normal((3, 7))
    np.testing.assert_allclose(ops.log_softmax(x).data, np.log(ops.softmax(x).data), rtol=1e-12)


def test_layer_norm_has_mean_zero_and_variance_one(rng):
    y = ops.layer_norm(rng.standard_normal((4, 64)) * 7 + 3, np.ones(64), np.zeros(64)).data
    np.testing.assert_allclose(y.mean(axis=1), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(axis=1), 1, rtol=1e-12)


@given(lengths=st.lists(st.integers(0, 7), min_size=1, max_size=5), n_heads=st.sampled_from([1, 2]))
def test_attention_of_a_pack_is_attention_of_each_sequence(lengths, n_heads):
    rng = np.random.default_rng(sum(lengths))
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    q, k, v = rng.standard_normal((3, offsets[-1], 4))
    out = ops.attention(q, k, v, offsets=offsets, n_heads=n_heads).data
    K = 4 // n_heads
    for start, stop in itertools.pairwise(offsets):
        for h in range(n_heads):
            block = np.s_[start:stop, h * K : (h + 1) * K]
            P = ops.softmax(q[block] @ k[block].T / math.sqrt(K)).data if stop > start else None
            if P is not None:
                np.testing.assert_allclose(out[block], P @ v[block], rtol=1e-10, atol=1e-12)


def test_attention_composed_of_plain_ops_has_the_same_gradients(rng):
    fused = [Tensor(x, requires_grad=True) for x in rng.standard_normal((3, 6, 4))]
    plain = [Tensor(t.data, requires_grad=True) for t in fused]
    seed = rng.standard_normal((6, 4))
    ops.attention(*fused, offsets=np.array([0, 6]), n_heads=1).backward(seed)
    q, k, v = plain
    (ops.softmax(q @ k.transpose() * 0.5) @ v).backward(seed)
    for a, b in zip(fused, plain, strict=True):
        np.testing.assert_allclose(a.grad, b.grad, rtol=1e-10, atol=1e-13)


def test_cross_entropy_is_the_mean_over_the_rows_that_count(rng):
    logits, targets = rng.standard_normal((4, 3)), np.array([0, -100, 2, 1])
    y = ops.log_softmax(logits).data
    expected = -(y[0, 0] + y[2, 2] + y[3, 1]) / 3
    np.testing.assert_allclose(ops.cross_entropy(logits, targets).item(), expected, rtol=1e-12)


def test_cross_entropy_with_smoothing_mixes_in_the_uniform_distribution(rng):
    logits, targets, e = rng.standard_normal((4, 3)), np.array([0, 1, 2, 1]), 0.3
    y = ops.log_softmax(logits).data
    expected = -((1 - e) * y[np.arange(4), targets] + e * y.mean(axis=1)).mean()
    loss = ops.cross_entropy(logits, targets, label_smoothing=e).item()
    np.testing.assert_allclose(loss, expected, rtol=1e-12)


def test_cross_entropy_with_no_row_that_counts_is_zero_and_pushes_nowhere():
    logits = Tensor(np.ones((2, 3)), requires_grad=True)
    loss = ops.cross_entropy(logits, np.array([-100, -100]))
    loss.backward()
    assert loss.item() == 0
    assert not logits.grad.any()


def test_dropout_keeps_its_expectation_and_repeats_with_its_seed():
    x = np.ones(100_000)
    y = ops.dropout(x, p=0.25, seed=3).data
    assert set(np.unique(y)) == {0.0, 1 / 0.75}
    assert abs(y.mean() - 1) < 5 * math.sqrt(0.25 / 0.75 / x.size)
    np.testing.assert_array_equal(y, ops.dropout(x, p=0.25, seed=3).data)
    assert (y != ops.dropout(x, p=0.25, seed=4).data).any()


def test_dropout_keeps_no_mask(rng):
    x = Tensor(rng.standard_normal(1000), requires_grad=True)
    assert saved_bytes(ops.dropout(x, p=0.5, seed=0)) == {}


@pytest.mark.parametrize("L", [16, 64])
def test_attention_keeps_no_probabilities(rng, L):
    q, k, v = (Tensor(rng.standard_normal((L, 8)), requires_grad=True) for _ in range(3))
    offsets = np.array([0, L])
    out = ops.attention(q, k, v, offsets=offsets, n_heads=2)
    log_sum_exps = 8 * L * 2
    assert saved_bytes(out) == {"attention": out.data.nbytes + log_sum_exps + offsets.nbytes}


def test_a_frozen_weight_costs_no_memory(rng):
    x = Tensor(rng.standard_normal((7, 5)), requires_grad=True)
    hidden = x * 2.0
    for trained in (False, True):
        W = Tensor(rng.standard_normal((4, 5)), requires_grad=trained)
        held = saved_bytes(ops.linear(hidden, W), parameters=[W])
        assert held == ({"linear": hidden.data.nbytes} if trained else {})


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda: ops.linear(np.ones((2, 5)), np.ones((4, 4))), ShapeError, "takes 4"),
        (lambda: ops.linear(np.ones((2, 5)), np.ones(5)), ShapeError, r"got x \(2, 5\), W \(5,\)"),
        (lambda: ops.linear(np.ones((2, 5)), np.ones((4, 5)), np.ones(1)), ShapeError, r"b \(1,\)"),
        (lambda: ops.linear(np.ones(()), np.ones((4, 5))), ShapeError, r"expected x \(..., I\)"),
        (lambda: ops.layer_norm(np.ones((2, 5)), np.ones(4), np.ones(5)), ShapeError, "5 features"),
        (lambda: ops.gelu(np.ones(2), approximate="tahn"), ConfigError, "Did you mean 'tanh'"),
        (lambda: ops.dropout(np.ones(2), p=1.0, seed=0), ConfigError, "dropout: p is 1.0"),
        (lambda: ops.embedding(np.array([0, 9]), np.ones((3, 2))), ShapeError, "rows 0 to 2"),
        (lambda: ops.embedding(np.array([-1]), np.ones((3, 2))), ShapeError, "from -1"),
        (lambda: ops.embedding(np.array([[1]]), np.ones((3, 2))), ShapeError, r"ids \(1, 1\)"),
        (lambda: ops.embedding(np.array([1.0]), np.ones((3, 2))), ShapeError, "of float64"),
        (lambda: ops.matmul(np.ones((2, 3)), np.ones((2, 3))), ShapeError, "do not chain"),
        (lambda: ops.mse_loss(np.ones(2), np.ones(3)), ShapeError, "one shape"),
        (lambda: ops.concatenate(np.ones((2, 2)), np.ones((2, 3))), ShapeError, "along axis 0"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0])), ShapeError, "targets"),
        (lambda: ops.cross_entropy(np.ones((2, 3)), np.array([0, 3])), DataError, "3 classes"),
        (lambda: ops.cross_entropy(np.ones((1, 3)), np.array([-1])), DataError, "target -1"),
        (lambda: ops.cross_entropy(np.ones((1, 3)), np.array([0.9])), DataError, "are float64"),
        (lambda: ops.cross_entropy(np.ones((1, 3)), np.array([True])), DataError, "are bool"),
        (
            lambda: ops.cross_entropy(np.ones((1, 3)), np.array([0]), reduction="men"),
            ConfigError,
            "Did you mean 'mean'",
        ),
        (
            lambda: ops.cross_entropy(np.ones((1, 3)), np.array([0]), label_smoothing=1.5),
            ConfigError,
            "label_smoothing is 1.5",
        ),
        (lambda: attend(dropout_p=-0.1), ConfigError, "attention: dropout_p is -0.1"),
        (lambda: attend(n_heads=3), ShapeError, "3 heads"),
        (lambda: attend(offsets=(0, 3)), ShapeError, "rise from 0 to T = 4"),
        (lambda: attend(offsets=(0, 5, 4)), ShapeError, "smallest step -1"),
        (lambda: attend(k=np.ones((5, 4))), ShapeError, "one shape"),
    ],
)
def test_what_does_not_fit_is_named(call, error, says):
    with pytest.raises(error, match=says):
        call()


def test_a_tensor_given_by_name_is_refused_for_it_would_get_no_gradient():
    b = Tensor(np.zeros(4), requires_grad=True)
    with pytest.raises(GraphError, match=r"linear: b is a Tensor given by name.*out 'b='"):
        ops.linear(np.ones((2, 5)), np.ones((4, 5)), b=b)


def test_tensors_in_a_list_are_refused_for_they_would_get_no_gradient():
    a, b = Tensor(np.ones(2)), Tensor(np.ones(3))
    with pytest.raises(GraphError, match=r"Tensors in a list.*concatenate\(a, b, ...\)"):
        ops.concatenate([a, b])


def test_relu_of_minus_infinity_is_zero():
    np.testing.assert_array_equal(ops.relu(np.array([-np.inf, -1, 0, 2])).data, [0, 0, 0, 2])


def attend(*, offsets=(0, 4), n_heads=2, k=None, **options):
    x = np.ones((4, 4))
    k = x if k is None else k
    return ops.attention(x, k, x, offsets=np.array(offsets), n_heads=n_heads, **options)
