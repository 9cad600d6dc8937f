import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import find_intruders, mitigate_intruders
from minilora.errors import ConfigError, ShapeError
from minilora.linalg import svd

O, I = 10, 8


@pytest.fixture
def base(rng):
    """Singular values 8, 7, ..., 1."""
    U, V = (np.linalg.qr(rng.standard_normal((d, I)))[0] for d in (O, I))
    return svd((U * np.arange(I, 0, -1.0)) @ V.T)


@pytest.fixture
def intruding(base):
    """An update whose strongest direction is spread evenly over those of the base."""
    u, v = base.U.sum(axis=1) / I**0.5, base.Vh.sum(axis=0) / I**0.5  # cosines 0.35
    return LowRankUpdate("q", 60 * u[:, None], v[None, :], 0.5)


def adapted(base, update):
    return svd(base.matrix() + update.matrix())


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_planted_intruder_is_found_first(base, intruding, side):
    found = find_intruders(base, adapted(base, intruding), side=side)
    assert 0 in found.indices
    assert found.cosines[0] < 0.5
    assert found.side == side


def test_a_base_has_no_intruders_of_its_own(base):
    found = find_intruders(base, base, top_k=5)
    np.testing.assert_allclose(found.cosines, np.ones(5), atol=1e-12)
    assert found.indices == ()
    assert len(found.values) == 5


def test_an_update_along_the_base_is_no_intruder(base):
    update = LowRankUpdate("q", 50 * base.U[:, 3:4], base.Vh[3:4], 1.0)
    assert find_intruders(base, adapted(base, update)).indices == ()


def test_left_and_right_are_looked_at_apart(base, rng):
    fresh = np.linalg.qr(np.hstack([base.U, rng.standard_normal((O, 1))]))[0][:, -1:]
    update = LowRankUpdate("q", 50 * fresh, base.Vh[:1], 1.0)  # new to write, known to read
    assert find_intruders(base, adapted(base, update), side="left").indices == (0,)
    assert find_intruders(base, adapted(base, update), side="right").indices == ()


def test_keeping_all_of_the_intruders_changes_nothing(base, intruding):
    same = mitigate_intruders(base.matrix(), intruding, keep=1.0)
    np.testing.assert_allclose(same.matrix(), intruding.matrix(), atol=1e-12)


def test_without_intruders_the_update_stays_as_it_is(base):
    update = LowRankUpdate("q", 50 * base.U[:, 3:4], base.Vh[3:4], 1.0)
    assert mitigate_intruders(base.matrix(), update) is update


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.75])
def test_mitigation_is_its_formula_by_dense_matrices(base, rng, keep):
    W = base.matrix()
    B, A = 10 * rng.standard_normal((O, 3)), rng.standard_normal((3, I))
    update = LowRankUpdate("q", B, A, 1.4)
    U, S, Vh = np.linalg.svd(W + 1.4 * B @ A, full_matrices=False)
    cosines = np.abs(U.T @ np.linalg.svd(W, full_matrices=False)[0]).max(axis=1)
    intruders = [i for i in range(I) if cosines[i] < 0.5]
    assert intruders
    change = 1.4 * B @ A + (keep - 1) * (U[:, intruders] * S[intruders]) @ Vh[intruders]
    found = mitigate_intruders(W, update, keep=keep)
    np.testing.assert_allclose(found.matrix(), svd(change, rank=3).matrix(), atol=1e-10)
    assert (found.rank, found.scale) == (3, 1.4)


def test_mitigation_shares_the_singular_values_as_asked(base, intruding):
    left = mitigate_intruders(base.matrix(), intruding, weighting="left")
    both = mitigate_intruders(base.matrix(), intruding)
    np.testing.assert_allclose(np.linalg.norm(left.A, axis=1), 1)
    np.testing.assert_allclose(np.linalg.norm(both.A, axis=1), np.linalg.norm(both.B, axis=0))
    np.testing.assert_allclose(left.matrix(), both.matrix(), atol=1e-12)


def test_what_mitigation_takes_for_an_intruder_can_be_set(base, intruding, rng):
    W = base.matrix()
    assert mitigate_intruders(W, intruding) is not intruding
    assert mitigate_intruders(W, intruding, threshold=0.1) is intruding
    fresh = np.linalg.qr(np.hstack([base.U, rng.standard_normal((O, 1))]))[0][:, -1:]
    third = LowRankUpdate("q", 6.5 * fresh, base.Vh[-1:], 1.0)  # between 7 and 6
    assert find_intruders(base, adapted(base, third)).indices == (2,)
    assert mitigate_intruders(W, third, top_k=3) is not third
    assert mitigate_intruders(W, third, top_k=2) is third


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"threshold": 1.5}, {"side": "top"}])
def test_settings_that_make_no_sense_are_refused(base, wrong):
    with pytest.raises(ConfigError, match=str(next(iter(wrong.values())))):
        find_intruders(base, base, **wrong)


def test_matrices_of_other_shapes_are_refused(base, intruding):
    with pytest.raises(ShapeError, match="10 dimensions in W, 8"):
        find_intruders(base, svd(base.matrix().T))
    with pytest.raises(ShapeError, match=r"q: W is \(8, 10\)"):
        mitigate_intruders(base.matrix().T, intruding)
