import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import RankRule, resize
from minilora.errors import ConfigError
from minilora.linalg import svd


@pytest.fixture
def updates(rng):
    """Two layers of rank 4: in the one the directions fall by 2, in the other by 10."""
    made = []
    for path, fall in (("a", 0.5), ("b", 0.1)):
        U, V = (np.linalg.qr(rng.standard_normal((d, 4)))[0] for d in (9, 7))
        made.append(LowRankUpdate(path, 2 * U * fall ** np.arange(4), V.T.copy(), 3.0))
    return made


def test_every_layer_becomes_the_best_of_its_new_rank(updates):
    resized = resize(updates, RankRule("rank", 2))
    for before, after, layer in zip(updates, resized.updates, resized.layers, strict=True):
        best = svd(before.matrix(), rank=2).matrix()
        np.testing.assert_allclose(after.matrix(), best, atol=1e-12)
        lost = np.linalg.norm(before.matrix() - after.matrix())
        assert layer.error == pytest.approx(lost / before.frobenius, abs=1e-12)
        assert (layer.path, layer.rank_before, layer.rank) == (before.path, 4, 2)
        assert (layer.n_parameters_before, layer.n_parameters) == (64, 32)
    assert resized.parameters_kept == 0.5


def test_layers_get_ranks_of_their_own(updates):
    resized = resize(updates, RankRule("energy", 0.99))
    assert [layer.rank for layer in resized.layers] == [4, 1]
    assert [update.rank for update in resized.updates] == [4, 1]
    assert all(layer.error <= 0.1 for layer in resized.layers)


def test_a_layer_that_keeps_its_rank_keeps_its_factors(updates):
    resized = resize(updates, RankRule("rank", 4))
    assert resized.updates == tuple(updates)
    assert [layer.error for layer in resized.layers] == [0, 0]


def test_no_layer_exceeds_the_largest_rank_allowed(updates):
    resized = resize(updates, RankRule("energy", 0.99), max_rank=2)
    assert [layer.rank for layer in resized.layers] == [2, 1]


def test_scales_and_weighting_are_kept_and_chosen(updates):
    resized = resize(updates, RankRule("rank", 1), weighting="both")
    for update in resized.updates:
        assert update.scale == 3.0
        assert np.linalg.norm(update.A) == pytest.approx(np.linalg.norm(update.B))


def test_a_zero_update_is_cut_without_error():
    zero = LowRankUpdate("a", np.zeros((3, 2)), np.ones((2, 4)), 1.0)
    resized = resize([zero], RankRule("energy", 0.9))
    assert resized.layers[0].rank == 1
    assert resized.layers[0].error == 0


def test_a_rank_above_what_the_matrix_has_is_what_it_has(rng):
    wide = LowRankUpdate("a", rng.standard_normal((2, 5)), rng.standard_normal((5, 8)), 1.0)
    resized = resize([wide], RankRule("energy", 1.0))
    assert resized.updates[0].rank == 2
    np.testing.assert_allclose(resized.updates[0].matrix(), wide.matrix(), atol=1e-12)


def test_a_largest_rank_of_none_is_refused(updates):
    with pytest.raises(ConfigError, match="max_rank is 0"):
        resize(updates, RankRule("rank", 1), max_rank=0)
