import numpy as np
import pytest

from minilora.autograd import Tensor, gradcheck, op


@op
def doubled_wrongly(x):
    """2x, with a derivative of 3"""
    return 2 * x, (lambda dy: 3 * dy,)


@op
def wrong_in_one_entry(x):
    """x, whose derivative is wrong at [1, 2] only"""

    def pull(dy):
        dx = dy.copy()
        dx[1, 2] *= 1.001
        return dx

    return x.copy(), (pull,)


@op
def scribbles(x):
    """Writes into what it was lent."""
    x += 1
    return x, (lambda dy: dy,)


def test_a_right_gradient_passes_and_its_error_is_returned(rng):
    assert gradcheck(lambda x: x * x, rng.standard_normal(4)) < 1e-8


def test_a_wrong_gradient_is_caught(rng):
    with pytest.raises(AssertionError, match="backward says"):
        gradcheck(doubled_wrongly, rng.standard_normal(3))


def test_elementwise_says_which_entry(rng):
    with pytest.raises(AssertionError, match=r"input 0\[1, 2\]"):
        gradcheck(wrong_in_one_entry, rng.standard_normal((2, 3)), elementwise=True)


def test_a_gradient_that_is_not_a_number_is_caught():
    @op
    def broken(x):
        """x, with NaN for a derivative"""
        return x.copy(), (lambda dy: dy * np.nan,)

    with pytest.raises(AssertionError, match="nan"):
        gradcheck(broken, np.ones(2))


def test_an_op_that_scribbles_is_caught(rng):
    with pytest.raises(ValueError, match="read-only"):
        gradcheck(scribbles, rng.standard_normal(3))


def test_an_input_that_is_not_used_has_gradient_zero(rng):
    gradcheck(lambda x, _: x * 1.0, *rng.standard_normal((2, 3)))


def test_directions_come_from_the_rng_given(rng):
    x = rng.standard_normal(3)
    errors = {gradcheck(lambda t: t * t * t, x, rng=np.random.default_rng(i)) for i in range(3)}
    assert len(errors) == 3
    assert isinstance(Tensor(x), Tensor)
