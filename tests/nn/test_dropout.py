import threading

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.autograd import Tensor
from minilora.errors import ConfigError
from minilora.nn import Dropout, training, training_rng

X = Tensor(np.ones((40, 25)))


def dropped(seed: int, p: float = 0.5) -> np.ndarray:
    with training(np.random.default_rng(seed)):
        return Dropout(p)(X).data


def test_outside_training_dropout_is_the_identity():
    assert training_rng() is None
    assert Dropout(0.5)(X) is X


def test_inside_training_entries_are_dropped_and_the_rest_scaled():
    assert set(np.unique(dropped(0, p=0.2))) == {0.0, 1.25}


def test_the_context_ends_also_when_the_block_fails():
    def fail() -> None:
        with training(np.random.default_rng(0)):
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert training_rng() is None


def test_contexts_nest_and_none_switches_dropout_off():
    rng = np.random.default_rng(0)
    with training(rng):
        with training(None):
            assert Dropout(0.5)(X) is X
        assert training_rng() is rng


def test_the_same_generator_gives_the_same_mask_and_another_one_another():
    np.testing.assert_array_equal(dropped(1), dropped(1))
    assert (dropped(1) != dropped(2)).any()


def test_each_use_drops_other_entries():
    with training(np.random.default_rng(0)):
        first, second = Dropout(0.5)(X).data, Dropout(0.5)(X).data
    assert (first != second).any()


@given(p=st.floats(0, 0.9), seed=st.integers(0, 2**32))
def test_the_expected_value_is_kept(p, seed):
    five_deviations = 5 * np.sqrt(p / (1 - p) / X.data.size)
    assert abs(dropped(seed, p).mean() - 1) <= five_deviations


def test_the_gradient_takes_the_same_mask():
    x = Tensor(np.ones((4, 5)), requires_grad=True)
    with training(np.random.default_rng(0)):
        y = Dropout(0.5)(x)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.data)


def test_probability_zero_draws_nothing():
    rng = np.random.default_rng(0)
    before = rng.bit_generator.state
    with training(rng):
        assert Dropout(0.0)(X) is X
    assert rng.bit_generator.state == before


def test_another_thread_is_not_in_the_context():
    seen = []
    with training(np.random.default_rng(0)):
        thread = threading.Thread(target=lambda: seen.append(training_rng()))
        thread.start()
        thread.join()
    assert seen == [None]


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_a_probability_out_of_range_is_refused(p):
    with pytest.raises(ConfigError, match=f"Dropout: p is {p}"):
        Dropout(p)
