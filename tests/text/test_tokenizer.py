import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minilora.errors import CheckpointError, ConfigError, DataError
from minilora.text import TokenizerSettings, WordPieceTokenizer
from minilora.text.added_tokens import AddedToken
from minilora.text.normalizer import Normalizer
from minilora.text.tokenizer import N_REMEMBERED
from minilora.text.truncation import fitted_lengths

WORDS = st.lists(
    st.sampled_from(["the", "cat", "sat", "中", "unbelievable", "cats!", "!", "xyz", "[MASK]"])
)
LENGTHS = st.integers(0, 30)


def test_a_text_is_framed(tokenizer):
    encoding = tokenizer("The cats sat.")
    assert encoding.tokens == ["[CLS]", "the", "cats", "sat", ".", "[SEP]"]
    assert encoding.input_ids.tolist() == [tokenizer.vocab[token] for token in encoding.tokens]
    assert encoding.token_type_ids.tolist() == [0] * 6
    assert encoding.word_ids == [None, 0, 1, 2, 3, None]
    assert encoding.sequence_ids == [None, 0, 0, 0, 0, None]
    assert not encoding.truncated
    assert len(encoding) == 6


def test_words_given_as_a_list_keep_their_numbers(tokenizer):
    encoding = tokenizer(["The", "cat's", "\u0301", "unbelievable"])
    assert encoding.tokens[1:-1] == ["the", "cat", "'", "[UNK]", "un", "##believ", "##able"]
    assert encoding.word_ids == [None, 0, 1, 1, 1, 3, 3, 3, None]


def test_a_pair_has_two_segments_that_number_their_own_words(tokenizer):
    encoding = tokenizer("the cat", ["sat", "on,"])
    assert encoding.tokens == ["[CLS]", "the", "cat", "[SEP]", "sat", "on", ",", "[SEP]"]
    assert encoding.token_type_ids.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert encoding.word_ids == [None, 0, 1, None, 0, 1, 1, None]
    assert encoding.sequence_ids == [None, 0, 0, None, 1, 1, 1, None]


def test_an_empty_second_segment_is_a_segment(tokenizer):
    assert tokenizer("the", "").tokens == ["[CLS]", "the", "[SEP]", "[SEP]"]
    assert tokenizer("the", "").token_type_ids.tolist() == [0, 0, 0, 1]


def test_an_empty_text_is_its_frame(tokenizer):
    assert tokenizer("").tokens == tokenizer([]).tokens == ["[CLS]", "[SEP]"]


def test_ids_are_int64(tokenizer):
    encoding = tokenizer("the cat")
    assert encoding.input_ids.dtype == encoding.token_type_ids.dtype == np.int64


def test_a_long_text_is_cut_and_says_so(tokenizer):
    encoding = tokenizer("the cat sat on the mat", max_length=5)
    assert encoding.tokens == ["[CLS]", "the", "cat", "sat", "[SEP]"]
    assert encoding.truncated


def test_a_text_that_just_fits_is_not_cut(tokenizer):
    assert not tokenizer("the cat sat", max_length=5).truncated


@pytest.mark.parametrize(
    ("lengths", "room", "kept"),
    [
        ([5], 3, [3]),
        ([5], 0, [0]),
        ([9, 3], 8, [5, 3]),
        ([3, 9], 8, [3, 5]),
        ([9, 5], 8, [4, 4]),
        ([9, 5], 9, [5, 4]),
        ([5, 9], 9, [4, 5]),
        ([9, 9], 9, [4, 5]),
        ([9, 9], 1, [0, 1]),
        ([9, 2], 1, [1, 0]),
        ([2, 2], 4, [2, 2]),
    ],
)
def test_the_longer_segment_is_cut_first(lengths, room, kept):
    assert fitted_lengths(lengths, room) == kept


@given(LENGTHS, LENGTHS, LENGTHS)
def test_what_is_kept_fits_and_fills_the_room(first, second, room):
    kept = fitted_lengths([first, second], room)
    assert sum(kept) == min(room, first + second)
    assert kept[0] <= first
    assert kept[1] <= second


@given(WORDS, WORDS | st.none(), st.integers(3, 20))
def test_encodings_are_never_longer_than_asked_for(tokenizer, words, pair, max_length):
    encoding = tokenizer(words, pair, max_length=max_length)
    assert len(encoding) <= max_length
    assert encoding.truncated == (len(tokenizer(words, pair)) > max_length)


@given(WORDS)
def test_joined_words_have_the_pieces_of_the_words(tokenizer, words):
    assert tokenizer(" ".join(words)).tokens == tokenizer(words).tokens


@pytest.mark.parametrize(("pair", "least"), [(None, 2), ("b", 3)])
def test_less_room_than_the_frame_takes_is_refused(tokenizer, pair, least):
    assert len(tokenizer("a", pair, max_length=least)) == least
    with pytest.raises(ConfigError, match=f"max_length: is {least - 1}; {least} or more"):
        tokenizer("a", pair, max_length=least - 1)


@pytest.mark.parametrize("text", [None, 5, b"bytes", ["a", None], [["a"]], {"a": 1}])
def test_what_is_neither_text_nor_words_is_refused(tokenizer, text):
    with pytest.raises(DataError, match=r"a text \(str\) or its words \(list of str\)"):
        tokenizer(text)


def with_added(vocab, *added, **settings) -> WordPieceTokenizer:
    tokens = [AddedToken(**token) for token in added]
    return WordPieceTokenizer(vocab, settings=TokenizerSettings(**settings), added=tokens)


def test_an_added_token_is_a_word_wherever_it_stands(vocab):
    tokenizer = with_added(vocab, {"content": "[MASK]", "id": 4})
    encoding = tokenizer("the[MASK]s [mask]")
    assert encoding.tokens[1:4] == ["the", "[MASK]", "[UNK]"]
    assert encoding.word_ids == [None, 0, 1, 2, 3, 4, 5, None]


def test_an_added_token_may_be_new_to_the_vocabulary(vocab):
    tokenizer = with_added(vocab, {"content": "<new>", "id": len(vocab)})
    assert tokenizer.vocab_size == len(vocab) + 1
    assert tokenizer("a<new>").tokens == ["[CLS]", "a", "<new>", "[SEP]"]


def test_a_normalised_added_token_is_found_however_it_is_written(vocab):
    tokenizer = with_added(vocab, {"content": "Café au", "id": 40, "normalized": True})
    assert tokenizer("the CAFE\tAU, cat").tokens == ["[CLS]", "the", "Café au", ",", "cat", "[SEP]"]
    raw = with_added(vocab, {"content": "Café au", "id": 40})
    assert raw("the CAFE AU").tokens == ["[CLS]", "the", "cafe", "[UNK]", "[SEP]"]


def test_a_cased_vocabulary_is_asked_for_what_is_written(vocab):
    cased = WordPieceTokenizer(
        vocab, settings=TokenizerSettings(normalizer=Normalizer(lowercase=False))
    )
    assert cased("the Cat café").tokens == ["[CLS]", "the", "[UNK]", "café", "[SEP]"]


def test_special_tokens_may_be_spelled_otherwise():
    vocab = {"<s>": 0, "</s>": 1, "<unk>": 2, "a": 3}
    names = TokenizerSettings(cls_token="<s>", sep_token="</s>", unk_token="<unk>")
    assert WordPieceTokenizer(vocab, settings=names)("a b").input_ids.tolist() == [0, 3, 2, 1]


def test_memory_for_words_is_bounded(vocab):
    tokenizer = WordPieceTokenizer(vocab)
    tokenizer(" ".join(str(i) for i in range(N_REMEMBERED + 10)))
    assert tokenizer._remembered.cache_info().currsize == N_REMEMBERED


def test_long_stretches_are_not_remembered(vocab):
    tokenizer = WordPieceTokenizer(vocab)
    assert tokenizer("x" * 1000).tokens[1:-1] == ["[UNK]"]
    assert not tokenizer._remembered.cache_info().currsize


def test_a_vocabulary_without_a_special_token_is_refused():
    with pytest.raises(CheckpointError, match=r"tokenizer: has no entry '\[CLS\]', the cls_token"):
        WordPieceTokenizer({"[UNK]": 0, "[SEP]": 1})
