import numpy as np
import pytest

from minilora.analysis.pictures import picture


def test_factors_of_a_picture_give_entries_of_the_update_at_every_rank(make_update):
    update = make_update("q", [4, 2, 1])
    svd = update.svd()
    drawn = picture(svd, side=5)
    for k in (1, 2, 3):
        entries = (drawn.left[:, :k] * svd.S[:k]) @ drawn.right[:k]
        whole = svd.truncate(k).matrix()[np.ix_(drawn.rows, drawn.columns)]
        np.testing.assert_allclose(entries, whole, atol=1e-12)


def test_a_picture_shows_where_the_update_is_strongest(make_update):
    update = make_update("q", [4, 2, 1])
    drawn = picture(update.svd(), side=3)
    norms = np.linalg.norm(update.matrix(), axis=1), np.linalg.norm(update.matrix(), axis=0)
    for places, of in zip((drawn.rows, drawn.columns), norms, strict=True):
        np.testing.assert_array_equal(places, np.sort(np.argsort(of)[-3:]))


@pytest.mark.parametrize("side", [10, 99])
def test_a_small_update_is_shown_whole(make_update, side):
    drawn = picture(make_update("q", [1.0], shape=(8, 10)).svd(), side=side)
    assert (len(drawn.rows), len(drawn.columns)) == (8, 10)
