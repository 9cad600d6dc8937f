"""Compiled loops check no bounds: what would let them leave their arrays is refused first."""

import numpy as np
import pytest

from minilora.errors import ShapeError
from minilora.kernels import jitted

x = np.ones((4, 6))
ROWS = np.ones(4)
OFFSETS = np.array([0, 4])


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("layer_norm", (x, np.ones(5), np.ones(6), 1e-5)),
        ("layer_norm", (x, np.ones(6), np.ones(7), 1e-5)),
        ("layer_norm_backward", (x[:3], x, ROWS, np.ones(6))),
        ("layer_norm_backward", (x, x, ROWS[:3], np.ones(6))),
        ("gelu_backward", (x[:3], x)),
        ("gelu_tanh_backward", (x[:3], x)),
        ("softmax_backward", (x[:, :5], x)),
        ("cross_entropy", (x, np.zeros(3, int), -100, 0.0)),
        ("scatter_add", (np.zeros(3, int), x, 9)),
        ("adamw_step", (x, x[:3], x, x, 0.1, 0.9, 0.99, 1e-8, 0.0, 1)),
        ("attention", (x, x[:3], x, OFFSETS, 2, 0.0, 0)),
        ("attention", (x, x, x, OFFSETS, 4, 0.0, 0)),
        ("attention", (x, x, x, OFFSETS, 0, 0.0, 0)),
        ("attention", (x, x, x, np.array([0, 5]), 2, 0.0, 0)),
        ("attention", (x, x, x, np.array([0, 3]), 2, 0.0, 0)),
        ("attention", (x, x, x, np.array([0, 3, 2, 4]), 2, 0.0, 0)),
        ("attention_backward", (x, x, x, x, x, x[:, :3], OFFSETS, 2, 0.0, 0)),
    ],
)
def test_arrays_that_do_not_fit_are_refused(name, arguments):
    with pytest.raises(ShapeError):
        getattr(jitted, name)(*arguments)


@pytest.mark.parametrize("index", [-1, 6])
def test_a_target_or_id_out_of_range_is_refused(index):
    ids = np.array([0, 1, 2, index])
    with pytest.raises(IndexError):
        jitted.cross_entropy(x, ids, -100, 0.0)
    with pytest.raises(IndexError):
        jitted.scatter_add(ids, x, 6)


def test_rows_without_columns_are_no_rows():
    assert jitted.softmax(np.ones((3, 0))).shape == (3, 0)
    assert jitted.layer_norm(np.ones((3, 0)), np.ones(0), np.ones(0), 1e-5)[0].shape == (3, 0)
