import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.train.schedule import SCHEDULES

TOTALS = st.integers(1, 200).flatmap(
    lambda total: st.tuples(st.just(total), st.integers(0, total))
)  # total, warmup


@pytest.mark.parametrize("name", SCHEDULES)
@given(TOTALS)
def test_it_rises_to_one_then_never_rises_again(name, sizes):
    total, warmup = sizes
    factors = [SCHEDULES[name](step, total, warmup) for step in range(total + 5)]
    assert factors[:warmup] == [step / warmup for step in range(warmup)]
    assert warmup == total or factors[warmup] == 1.0
    after = factors[warmup:]
    assert all(0 <= b <= a <= 1 for a, b in itertools.pairwise(after))


@pytest.mark.parametrize(("name", "end"), [("constant", 1.0), ("linear", 0.0), ("cosine", 0.0)])
def test_where_it_ends(name, end):
    assert SCHEDULES[name](10, 10, 3) == pytest.approx(end, abs=1e-15)


@pytest.mark.parametrize(("name", "half"), [("constant", 1.0), ("linear", 0.5), ("cosine", 0.5)])
def test_half_way_down(name, half):
    assert SCHEDULES[name](6, 10, 2) == pytest.approx(half, rel=1e-15)
