import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.analysis.select import k_folds
from minilora.errors import ConfigError


@given(n_rows=st.integers(2, 60), data=st.data(), seed=st.integers(0, 99))
def test_every_row_is_in_one_fold_and_folds_are_of_one_size(n_rows, data, seed):
    k = data.draw(st.integers(2, n_rows))
    folds = k_folds(n_rows, k, rng=np.random.default_rng(seed))
    assert sorted(np.concatenate(folds)) == list(range(n_rows))
    sizes = [len(fold) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


@given(labels=st.lists(st.integers(0, 3), min_size=4, max_size=50), seed=st.integers(0, 99))
def test_every_class_is_spread_over_the_folds(labels, seed):
    folds = k_folds(len(labels), 4, rng=np.random.default_rng(seed), labels=labels)
    for name in set(labels):
        counts = [int(np.sum(np.array(labels)[fold] == name)) for fold in folds]
        assert max(counts) - min(counts) <= 1


def test_folds_depend_on_the_seed_alone():
    first, again, other = (k_folds(30, 3, rng=np.random.default_rng(s)) for s in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("n_labels", [5, 7])
def test_labels_that_are_not_one_a_row_are_refused(n_labels, rng):
    with pytest.raises(ConfigError, match=f"folds: {n_labels} labels for 6 rows"):
        k_folds(6, 2, rng=rng, labels=[0] * n_labels)


@pytest.mark.parametrize("k", [1, 6])
def test_a_number_of_folds_that_cannot_be_dealt_is_refused(k, rng):
    with pytest.raises(ConfigError, match=f"folds: got {k}; 2 to 5"):
        k_folds(5, k, rng=rng)
