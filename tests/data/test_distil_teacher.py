"""What the teacher makes of every word, and that it is asked once."""

import numpy as np
import pytest
from small_teacher import some_texts, write_teacher

from distil import teacher as module
from distil.teacher import hidden_states, in_chunks, mean_by_word, states_of, word_numbers
from minilora import Batch, BertModel

LAYERS = (1, 2, 3)


@pytest.fixture
def texts(rng):
    return some_texts(12, rng)


@pytest.fixture
def ask(teacher, teacher_tokenizer, tmp_path, monkeypatch):
    """ask(texts): the teacher's states, kept in one folder; ask.chunks is how often it read."""

    def states(texts, *, by=teacher, layers=LAYERS, threads=1, **options):
        return states_of(
            by,
            teacher_tokenizer,
            texts,
            layers=layers,
            folder=tmp_path,
            threads=threads,
            **options,
        )

    def counted(*args, **options):
        states.chunks += 1
        return original(*args, **options)

    original, states.chunks = module.map_shards, 0
    monkeypatch.setattr(module, "map_shards", counted)
    return states


def test_words_are_counted_from_cls_to_sep(teacher_tokenizer):
    encoding = teacher_tokenizer(["sold", "buying", "!"])
    assert encoding.tokens == ["[CLS]", "sold", "b", "##u", "##y", "##ing", "!", "[SEP]"]
    assert word_numbers(encoding).tolist() == [0, 1, 2, 2, 2, 2, 3, 4]


def test_a_word_that_vanishes_has_no_number(teacher_tokenizer):
    assert word_numbers(teacher_tokenizer(["sold", "\u0301", "it"])).tolist() == [0, 1, 2, 3]
    assert word_numbers(teacher_tokenizer([])).tolist() == [0, 1]


def test_rows_of_a_word_are_averaged():
    h = np.array([[1.0, 10], [2, 20], [4, 40], [7, 70]])
    expected = [[1, 10], [3, 30], [7, 70]]
    np.testing.assert_allclose(mean_by_word(h, np.array([0, 1, 1, 2])), expected)
    deep = mean_by_word(np.stack([h, -h], axis=1), np.array([0, 1, 1, 2]))  # (L, layers, D)
    np.testing.assert_allclose(deep[:, 1], np.negative(expected))


def test_the_last_hidden_state_is_the_models_output(teacher, teacher_tokenizer):
    batch = Batch.pack([teacher_tokenizer("the old train"), teacher_tokenizer("sold it")])
    states = hidden_states(teacher, batch)
    assert len(states) == teacher.config.num_hidden_layers + 1
    np.testing.assert_array_equal(states[0].data, teacher.embeddings(batch).data)
    np.testing.assert_array_equal(states[-1].data, teacher(batch).data)


def test_chunks_hold_every_text_once_in_order():
    lengths = [3, 9, 4, 4, 1, 8, 2]
    chunks = in_chunks(lengths, 10)
    assert np.concatenate(chunks).tolist() == list(range(7))
    assert all(sum(lengths[i] for i in chunk) <= 10 + max(lengths) for chunk in chunks)
    assert len(chunks) >= sum(lengths) / (10 + max(lengths))


def direct(teacher, tokenizer, texts, layers):
    """Word by word, text by text, in plain loops; columns with mean 0 and deviation 1."""
    rows = []
    for text in texts:
        encoding = tokenizer(text)
        states = [h.data for h in hidden_states(teacher, Batch.pack([encoding]))]
        words = ["[CLS]", *encoding.word_ids[1:-1], "[SEP]"]
        for word in dict.fromkeys(words):
            at = [i for i, w in enumerate(words) if w == word]
            rows.append([np.mean([states[l][i] for i in at], axis=0) for l in layers])
    rows = np.array(rows)  # (words, layers, D)
    return (rows - rows.mean(axis=0)) / rows.std(axis=0)


@pytest.mark.parametrize("chunk_tokens", [4096, 30])
def test_rows_are_the_teachers_states_averaged_by_word_and_standardised(
    ask, teacher, teacher_tokenizer, texts, monkeypatch, chunk_tokens
):
    monkeypatch.setattr(module, "CHUNK_TOKENS", chunk_tokens)
    monkeypatch.setattr(module, "N_SAMPLES", 1000)  # mean and deviation are those of all texts
    states = ask(texts, layers=(1, 3), threads=2)
    expected = direct(teacher, teacher_tokenizer, texts, (1, 3))
    assert states.rows.dtype == np.float16
    np.testing.assert_allclose(states.rows, expected, rtol=2e-3, atol=2e-3)


def test_each_text_has_a_row_a_word_and_two_for_cls_and_sep(ask):
    states = ask(["the old trains", ["sold"], "it was!"])
    assert np.diff(states.first).tolist() == [5, 3, 5]
    assert states.rows.shape == (13, len(LAYERS), 64)


def test_texts_with_more_pieces_than_the_teacher_has_positions_for_are_cut(ask):
    states = ask(["old train " * 40, "old train"])
    assert states.whole.tolist() == [False, True]
    assert np.diff(states.first).tolist() == [64, 4]


def test_a_second_call_reads_what_the_first_one_kept(ask, texts):
    first = ask(texts)
    asked = ask.chunks
    again = ask(texts)
    assert ask.chunks == asked > 0
    np.testing.assert_array_equal(again.rows, first.rows)
    np.testing.assert_array_equal(again.first, first.first)
    np.testing.assert_array_equal(again.whole, first.whole)


def test_other_texts_layers_and_teachers_are_not_taken_for_what_was_kept(ask, texts, tmp_path):
    other = BertModel.from_pretrained(write_teacher(tmp_path / "other", seed=8))
    ask(texts)
    for change in ({"texts": texts[:-1]}, {"layers": (1, 2)}, {"by": other}):
        before = ask.chunks
        ask(**{"texts": texts, **change})
        assert ask.chunks > before, change
    assert len(list(tmp_path.glob("*.npy"))) == 4


def test_words_are_not_taken_for_a_text(ask):
    ask(["old train"])
    asked = ask.chunks
    ask([["old", "train"]])
    assert ask.chunks > asked


def test_what_a_crash_left_behind_is_not_used(ask, texts, tmp_path):
    def one_then_none(chunks):
        yield chunks[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ask(texts, progress=one_then_none)
    assert not list(tmp_path.glob("*.npy"))
    assert list(tmp_path.glob("*.partial"))
    states = ask(texts)
    assert not list(tmp_path.glob("*.partial"))
    assert len(states.rows) == states.first[-1]
    assert np.isfinite(states.rows).all()


def test_threads_change_nothing_but_rounding(ask, texts, tmp_path):
    one = np.array(ask(texts, threads=1).rows)
    for file in tmp_path.glob("*.npy"):
        file.unlink()
    np.testing.assert_allclose(ask(texts, threads=3).rows, one, atol=2e-3)


def test_how_the_student_cuts_words_makes_no_difference(school, teacher_tokenizer):
    cut = 0
    for i, text in enumerate(school.texts):
        ours, theirs = school.tokenizer(text), teacher_tokenizer(text)
        cut += len(ours) != len(theirs)
        n = school.states.first[i + 1] - school.states.first[i]
        assert word_numbers(ours)[-1] + 1 == word_numbers(theirs)[-1] + 1 == n
    assert cut > 10
