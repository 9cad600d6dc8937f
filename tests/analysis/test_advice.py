import re

import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis import inspect_updates


def advice(updates, **options):
    return inspect_updates(updates, **options).advice


def about(sentences, word):
    (sentence,) = [s for s in sentences if word in s]
    return sentence


def test_it_names_the_smallest_rank_that_keeps_99_percent(adapter):
    first = advice(adapter, adapter="out/adapter")[0]
    assert first.startswith("r=4 uses 1.7 directions on average")
    assert "r=2 keeps 100.0% of the update's energy with 50% of the parameters" in first
    assert "`minilora resize out/adapter --rank 2 --out out/adapter-r2`" in first


def test_the_numbers_are_those_of_resizing(adapter, make_update):
    updates = [*adapter, make_update("pooler", [1, 1, 1, 1])]
    first = advice(updates)[0]
    rank, share = re.search(r"r=(\d) keeps ([\d.]+)%", first).groups()
    kept = [u.truncate(int(rank)).frobenius ** 2 for u in updates]
    total = [u.frobenius**2 for u in updates]
    assert float(share) == pytest.approx(100 * sum(kept) / sum(total), abs=0.05)


def test_layers_of_smaller_rank_are_not_counted_as_larger(make_update):
    updates = [make_update("a", [1, 1, 0, 0]), make_update("b", [1])]
    assert "r=2 keeps 100.0% of the update's energy with 60% of the param" in advice(updates)[0]


@pytest.mark.parametrize(("values", "enough"), [([1, 1, 1], 3), ([1] * 7 + [0], 7)])
def test_a_rank_in_full_use_is_not_reduced(make_update, values, enough):
    sentence = about(advice([make_update("a", values)]), "directions on average")
    assert f"it takes r={enough} to keep 99% of the update's energy" in sentence
    assert "a larger one may learn more" in sentence


def test_a_rank_beyond_the_values_kept_is_not_reduced(rng):
    Q, _ = np.linalg.qr(rng.standard_normal((320, 320)))
    sentence = about(advice([LowRankUpdate("a", np.eye(320), Q, 1.0)]), "directions on average")
    assert "it takes r=320" in sentence


def test_layers_that_need_different_ranks_are_offered_ranks_of_their_own(make_update):
    updates = [make_update("a", [1, 0, 0, 0]), make_update("b", [1, 1, 0.3, 0])]
    sentence = about(advice(updates, adapter="X"), "--energy")
    assert "from 1 to 3, keep 99% of every layer's energy with 50% of the parameters" in sentence
    assert "`minilora resize X --energy 0.99 --out X-small`" in sentence


def test_different_ranks_are_named_as_a_range(make_update):
    updates = [make_update("a", [1, 0, 0]), make_update("b", [1, 0])]
    assert advice(updates)[0].startswith("r=2 to 3 uses 1.0 directions")


def test_folder_names_are_quoted_for_the_shell(adapter):
    sentence = advice(adapter, adapter="my runs/a/")[0]
    assert "minilora resize 'my runs/a/' --rank 2 --out 'my runs/a-r2'" in sentence


def test_an_untrained_adapter_is_recognised(rng):
    zero = LowRankUpdate("a", np.zeros((4, 2)), rng.standard_normal((2, 3)), 1.0)
    (sentence,) = advice([zero, zero])
    assert sentence.startswith("Nothing was learned")


def test_layers_that_did_not_change_are_counted(make_update):
    zero = LowRankUpdate("dead.layer", np.zeros((12, 2)), np.ones((2, 10)), 1.0)
    sentence = about(advice([make_update("a", [2, 1]), zero]), "are zero")
    assert sentence.startswith("1 of 2 updates are zero, the first that of dead.layer")


def test_the_kind_that_changed_most_is_named(make_update):
    updates = [make_update(f"h.{i}.{k}", [v]) for i in range(2) for k, v in (("q", 1), ("v", 9))]
    sentence = about(advice(updates), "energy is in")
    assert sentence.startswith("99% of the update's energy is in v, which has 50% of the param")


@pytest.mark.parametrize("strongest", [1.0, 1.5])  # a quarter of the energy, or less than half
def test_kinds_that_changed_alike_are_not_told_apart(make_update, strongest):
    updates = [make_update("h.0.o", [strongest]), *(make_update(f"h.0.{k}", [1.0]) for k in "qkv")]
    assert not any("energy is in" in sentence for sentence in advice(updates))


def test_a_rank_above_break_even_is_told(make_update):
    updates = [make_update("a", [1.0] * 6), make_update("b", [1.0])]
    sentence = about(advice(updates), "as many numbers")
    assert sentence.startswith("In 1 of 2 layers")
    assert "break-even rank 5" in sentence


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        (slice(0, 2), "strengthens what the base does already"),
        (slice(8, 10), "goes where the base does little"),
    ],
)
def test_what_the_update_does_to_the_base_is_told(rng, rows, says):
    U, V = (np.linalg.qr(rng.standard_normal((d, 10)))[0] for d in (12, 10))
    W = (U * 0.5 ** np.arange(10)) @ V.T
    update = LowRankUpdate("a", U[:, rows], V[:, rows].T.copy(), 1.0)
    assert says in about(advice([update], base={"a.weight": W}), "Along its own directions")


def test_random_directions_are_where_the_base_is_neither_strong_nor_weak(rng):
    updates = [
        LowRankUpdate(f"h.{i}", rng.standard_normal((40, 9)), rng.standard_normal((9, 40)), 1.0)
        for i in range(5)
    ]
    base = {f"h.{i}.weight": rng.standard_normal((40, 40)) for i in range(5)}
    sentence = about(advice(updates, base=base), "Along its own directions")
    assert sentence.endswith("it goes where the base is neither strong nor weak.")


def test_intruders_are_counted(make_update, rng):
    U, V = (np.linalg.qr(rng.standard_normal((d, 8)))[0] for d in (12, 10))
    W = (U * np.arange(8, 0, -1)) @ V.T
    spread = U.sum(axis=1, keepdims=True) * 30, V.sum(axis=1, keepdims=True).T  # cosines 0.35
    updates = [LowRankUpdate("a", *spread, 1.0), make_update("b", [1e-6])]
    sentences = advice(updates, base={"a.weight": W, "b.weight": W})
    assert about(sentences, "intruder").startswith("1 of 2 weights have intruder dimensions")
