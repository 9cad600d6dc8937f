import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import DataError, ShapeError
from minilora.text import IGNORED, Batch, Encoding

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def encoding(length: int, start: int = 0) -> Encoding:
    return Encoding(
        input_ids=np.arange(start, start + length),
        token_type_ids=np.arange(length) % 2,
        tokens=[""] * length,
        word_ids=[None] * length,
        sequence_ids=[None] * length,
    )


def packed(lengths, *, per_token: bool) -> Batch:
    """A batch in which every token is told from every other by its id, and so is every label."""
    starts = np.cumsum([0, *lengths[:-1]])
    encodings = [encoding(L, start) for L, start in zip(lengths, starts, strict=True)]
    labels = [e.input_ids * 10 for e in encodings] if per_token else [int(s) * 10 for s in starts]
    return Batch.pack(encodings, labels)


def sequences(batch: Batch) -> list[list[int]]:
    return [ids.tolist() for ids in np.split(batch.input_ids, batch.offsets[1:-1])]


def test_a_batch_is_its_sequences_one_after_the_other():
    batch = Batch.pack([encoding(3), encoding(1, 7), encoding(2, 20)])
    assert batch.input_ids.tolist() == [0, 1, 2, 7, 20, 21]
    assert batch.position_ids.tolist() == [0, 1, 2, 0, 0, 1]
    assert batch.token_type_ids.tolist() == [0, 1, 0, 0, 0, 1]
    assert batch.offsets.tolist() == [0, 3, 4, 6]
    assert (batch.n_tokens, batch.n_sequences, batch.lengths.tolist()) == (6, 3, [3, 1, 2])
    assert batch.labels is None
    assert batch.n_targets == 0


def test_everything_in_a_batch_is_int64():
    batch = packed([2, 3], per_token=True)
    arrays = (
        batch.input_ids,
        batch.position_ids,
        batch.token_type_ids,
        batch.offsets,
        batch.labels,
    )
    assert {array.dtype for array in arrays} == {np.dtype(np.int64)}


def test_labels_are_one_a_token_or_one_a_sequence():
    assert packed([2, 3], per_token=True).labels.tolist() == [0, 10, 20, 30, 40]
    assert packed([2, 3], per_token=False).labels.tolist() == [0, 20]
    assert Batch.pack([encoding(2)], np.array([3])).labels.tolist() == [3]


def test_targets_are_the_labels_that_are_not_ignored():
    batch = Batch.pack([encoding(3)], [np.array([IGNORED, 4, IGNORED])])
    assert batch.n_targets == 1


@given(LENGTHS, st.booleans())
def test_select_takes_sequences_with_all_that_is_theirs(lengths, per_token):
    batch = packed(lengths, per_token=per_token)
    order = list(range(len(lengths)))[::-1]
    chosen = batch.select(order)
    assert sequences(chosen) == [sequences(batch)[i] for i in order]
    assert chosen.lengths.tolist() == [lengths[i] for i in order]
    first_tokens = chosen.input_ids if per_token else chosen.input_ids[chosen.offsets[:-1]]
    assert (chosen.labels == first_tokens * 10).all()
    assert (chosen.position_ids[chosen.offsets[:-1]] == 0).all()
    assert (chosen.token_type_ids == chosen.position_ids % 2).all()


@given(LENGTHS, st.booleans())
def test_selecting_everything_gives_the_batch_back(lengths, per_token):
    batch = packed(lengths, per_token=per_token)
    again = batch.select(range(batch.n_sequences))
    for name in vars(batch):
        assert np.array_equal(getattr(again, name), getattr(batch, name)), name


@given(LENGTHS, st.integers(1, 8))
def test_every_sequence_is_in_one_shard_in_the_order_it_had(lengths, n):
    batch = packed(lengths, per_token=False)
    shards = batch.shard_indices(n)
    assert sorted(i for shard in shards for i in shard) == list(range(len(lengths)))
    assert all((np.diff(shard) > 0).all() for shard in shards)


@given(LENGTHS, st.integers(1, 8))
def test_there_are_as_many_shards_as_asked_for_and_none_is_empty(lengths, n):
    shards = packed(lengths, per_token=True).shards(n)
    assert len(shards) == min(n, len(lengths))
    assert all(shard.n_sequences for shard in shards)


@given(LENGTHS, st.integers(1, 8))
def test_shards_are_the_selections_they_say_and_the_same_every_time(lengths, n):
    batch = packed(lengths, per_token=True)
    for shard, again, indices in zip(
        batch.shards(n), batch.shards(n), batch.shard_indices(n), strict=True
    ):
        assert np.array_equal(shard.input_ids, again.input_ids)
        assert sequences(shard) == [sequences(batch)[i] for i in indices]


@given(LENGTHS, st.integers(1, 4))
def test_no_shard_is_longer_than_another_by_more_than_a_sequence(lengths, n):
    batch = packed(lengths, per_token=True)
    costs = [sum(L * (1 + L / 512) for L in shard.lengths) for shard in batch.shards(n)]
    if len(lengths) >= n:
        assert max(costs) - min(costs) <= max(lengths) * (1 + max(lengths) / 512) + 1e-9


def test_long_sequences_weigh_more_than_their_tokens():
    batch = packed([256, 512, 256, 256], per_token=True)
    assert [shard.lengths.tolist() for shard in batch.shards(2)] == [[512], [256, 256, 256]]


@given(LENGTHS, st.integers(1, 100))
def test_every_sequence_is_in_one_chunk_in_the_order_it_had(lengths, n_tokens):
    chunks = packed(lengths, per_token=True).chunk_indices(n_tokens)
    assert sorted(i for chunk in chunks for i in chunk) == list(range(len(lengths)))
    assert all((np.diff(chunk) > 0).all() for chunk in chunks)


@given(LENGTHS, st.integers(1, 100))
def test_only_a_sequence_that_is_longer_makes_a_chunk_too_long(lengths, n_tokens):
    batch = packed(lengths, per_token=True)
    for chunk in batch.chunk_indices(n_tokens):
        assert len(chunk) == 1 or batch.lengths[chunk].sum() <= n_tokens


def test_a_chunk_holds_as_much_as_it_may():
    batch = packed([10, 10, 10, 10], per_token=True)
    sizes = {n: [len(chunk) for chunk in batch.chunk_indices(n)] for n in (9, 10, 20, 39, 40)}
    assert sizes == {9: [1] * 4, 10: [1] * 4, 20: [2, 2], 39: [2, 2], 40: [4]}


def test_chunks_are_about_equally_long():
    batch = packed([30, 30, 5, 5, 5, 5], per_token=True)
    assert [batch.lengths[c].sum() for c in batch.chunk_indices(70)] == [40, 40]


def test_a_long_sequence_does_not_cut_the_others_smaller():
    batch = packed([400, *[10] * 10], per_token=True)
    assert sorted(batch.lengths[c].sum() for c in batch.chunk_indices(100)) == [100, 400]


def test_a_chunk_of_no_tokens_is_refused():
    with pytest.raises(ShapeError, match="chunks of 0 tokens"):
        packed([2], per_token=True).chunk_indices(0)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1], "1 labels for 2 encodings"),
        ([np.zeros(2), np.zeros(2)], r"sequence 1 have shape \(2,\); .* \(3,\)"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(ShapeError, match=message):
        Batch.pack([encoding(2), encoding(3)], labels)


@pytest.mark.parametrize("labels", [[0.7, 1.9], [np.zeros(2), np.zeros(3)]])
def test_labels_that_are_no_integers_are_refused(labels):
    with pytest.raises(DataError, match="labels are float64; expected integers"):
        Batch.pack([encoding(2), encoding(3)], labels)


@pytest.mark.parametrize("offsets", [[0, 3], [1, 4], [0, 2, 2, 4], [0, 3, 2, 4], [0]])
def test_offsets_that_do_not_cut_the_tokens_are_refused(offsets):
    ids = np.arange(4)
    with pytest.raises(ShapeError, match="do not cut 4 tokens"):
        Batch(ids, ids, ids, np.array(offsets))


def test_labels_of_another_length_are_refused():
    ids = np.arange(4)
    with pytest.raises(ShapeError, match=r"labels have shape \(3,\)"):
        Batch(ids, ids, ids, np.array([0, 2, 4]), labels=np.arange(3))


def test_a_batch_of_nothing_is_refused():
    with pytest.raises(ShapeError, match="no encodings"):
        Batch.pack([])
    with pytest.raises(ShapeError, match="0 tokens"):
        packed([2], per_token=True).select([])


def test_less_than_one_shard_is_refused():
    with pytest.raises(ShapeError, match="into 0 shards"):
        packed([2], per_token=True).shards(0)


def test_a_selection_of_a_batch_without_labels_has_none():
    assert Batch.pack([encoding(2), encoding(3)]).select([1]).labels is None
