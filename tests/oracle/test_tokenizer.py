"""The tokenizer equals transformers' fast BERT tokenizer: every id, type, word and segment."""

import json
import shutil
import warnings
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minilora.text import WordPieceTokenizer, read_corpus

pytestmark = pytest.mark.oracle

FILES = ("config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
VARIANTS = {  # what is changed in tokenizer_config.json
    "cased": {"do_lower_case": False},
    "accents kept": {"strip_accents": False},
    "cased, accents stripped": {"do_lower_case": False, "strip_accents": True},
    "no Chinese words": {"tokenize_chinese_chars": False},
    "generic class": {"tokenizer_class": "PreTrainedTokenizerFast"},
}
TRICKY = [
    *("[MASK]", "[CLS]", "[SEP]", "[UNK]", "[PAD]", "[mask]", "##s", "a" * 100, "b" * 101),
    *(
        "e\u0301",
        "\u0301",
        "Å",
        "ﬁ",
        "İ",
        "ß",
        "ẞ",
        "ΑΣ",
        "ǅ",
        "한국어",
        "中",
        "\U0002b820",
        "カ゛",
    ),
    *("\u200b", "\u00ad", "\ufffd", "\x00", "\x1c", "\x85", "\u2028", "\u3000", "\u00a0", "\t"),
    *(
        "don't",
        "U.S.",
        "¿",
        "…",
        "—",
        "\u037e",
        "`",
        "^",
        "$1.50",
        "😀",
        "👩\u200d🚀",
        "\U000e0001",
    ),
]
PARTS = st.one_of(
    st.sampled_from(TRICKY),
    st.sampled_from([" ", "  ", "\n"]),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    st.text("aeinst'.,", max_size=12),
)
TEXTS = st.lists(PARTS, max_size=12).map("".join)
WORDS = st.lists(st.lists(PARTS, max_size=3).map("".join), max_size=8)
MAX_LENGTHS = st.sampled_from([3, 4, 5, 8, 16, 512])
CASED = {
    "type": "BertNormalizer",
    "clean_text": True,
    "handle_chinese_chars": True,
    "strip_accents": None,
    "lowercase": False,
}
ADDED = ["<new>", "New", "new york", "Été", "##new"]


def edited(minilm_dir: Path, folder: Path, **edits) -> Path:
    """MiniLM's tokenizer in a new folder, with other entries in some of its files."""
    folder.mkdir()
    for name in FILES:
        content = json.loads((minilm_dir / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps(content | edits.get(name.split(".")[0], {})), "utf-8")
    return folder


def both(folder: Path):
    """Our tokenizer, and theirs."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from transformers import AutoTokenizer

        return WordPieceTokenizer.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def uncased(minilm_dir):
    return both(minilm_dir)


@pytest.fixture(scope="module", params=VARIANTS)
def variant(request, minilm_dir, tmp_path_factory):
    folder = tmp_path_factory.mktemp("variant") / "tokenizer"
    return both(edited(minilm_dir, folder, tokenizer_config=VARIANTS[request.param]))


def differences(tokenizers, texts, pairs=None, *, max_length) -> list:
    """The texts that are not encoded alike."""
    ours, theirs = tokenizers
    if not texts:
        return []
    options = {
        "truncation": True,
        "max_length": max_length,
        "is_split_into_words": not isinstance(texts[0], str),
        "return_token_type_ids": True,
    }
    expected = theirs(texts, pairs, **options)
    different = []
    for i, text in enumerate(texts):
        got = ours(text, pairs and pairs[i], max_length=max_length)
        same = (
            got.input_ids.tolist() == expected["input_ids"][i]
            and got.token_type_ids.tolist() == expected["token_type_ids"][i]
            and got.word_ids == expected.word_ids(i)
            and got.sequence_ids == expected.sequence_ids(i)
            and [ours.vocab[token] for token in got.tokens] == expected["input_ids"][i]
        )
        if not same:
            different.append(text)
    return different


@pytest.fixture(scope="module")
def plain_texts(shared_data):
    """Every text of the classification sets."""
    rows = [r for f in sorted(shared_data.glob("*/*.tsv")) for r in read_corpus(f, "classify").rows]
    return [row.text for row in rows]


@pytest.fixture(scope="module")
def sentences(shared_data):
    """The words of every NER sentence."""
    rows = [r for f in sorted(shared_data.glob("*/*.conll")) for r in read_corpus(f, "ner").rows]
    return [row.words for row in rows]


def test_the_data_sets_are_all_there(plain_texts, sentences):
    assert (len(plain_texts), len(sentences)) == (25_933, 6_693)


@pytest.mark.parametrize("max_length", [512, 16])
def test_every_text_of_the_data_sets(uncased, plain_texts, max_length):
    assert not differences(uncased, plain_texts, max_length=max_length)


@pytest.mark.parametrize("max_length", [512, 16])
def test_every_sentence_of_the_data_sets_as_words_and_as_text(uncased, sentences, max_length):
    assert not differences(uncased, sentences, max_length=max_length)
    joined = [" ".join(words) for words in sentences]
    assert not differences(uncased, joined, max_length=max_length)


@pytest.mark.parametrize("max_length", [512, 32])
def test_pairs_of_neighbours_in_the_data_sets(uncased, plain_texts, sentences, max_length):
    for rows in (plain_texts[::3], sentences[::2]):
        assert not differences(uncased, rows[:-1], rows[1:], max_length=max_length)


def test_the_data_sets_in_every_variant(variant, plain_texts, sentences):
    for rows in (plain_texts[::10], sentences[::5]):
        assert not differences(variant, rows, max_length=64)


@given(text=TEXTS, max_length=MAX_LENGTHS)
@settings(max_examples=2000, deadline=None)
def test_any_text(uncased, text, max_length):
    assert not differences(uncased, [text], max_length=max_length)


@given(words=WORDS, max_length=MAX_LENGTHS)
@settings(max_examples=2000, deadline=None)
def test_any_words(uncased, words, max_length):
    assert not differences(uncased, [words], max_length=max_length)


@given(text=TEXTS, pair=TEXTS, max_length=MAX_LENGTHS)
@settings(max_examples=2000, deadline=None)
def test_any_pair_of_texts(uncased, text, pair, max_length):
    assert not differences(uncased, [text], [pair], max_length=max_length)


@given(words=WORDS, pair=WORDS, max_length=MAX_LENGTHS)
@settings(max_examples=2000, deadline=None)
def test_any_pair_of_words(uncased, words, pair, max_length):
    assert not differences(uncased, [words], [pair], max_length=max_length)


@given(text=TEXTS, words=WORDS, max_length=MAX_LENGTHS)
@settings(max_examples=200, deadline=None)
def test_any_text_and_any_words_in_every_variant(variant, text, words, max_length):
    assert not differences(variant, [text], max_length=max_length)
    assert not differences(variant, [words], max_length=max_length)


def test_every_code_point_alone_and_inside_a_word(uncased):
    characters = [chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000]
    rows = [characters[i : i + 500] for i in range(0, len(characters), 500)]
    rows += [[f"a{character}b" for character in row] for row in rows]
    for i in range(0, len(rows), 100):  # in turn: transformers' encodings are large
        assert not differences(uncased, rows[i : i + 100], max_length=10**6)


@pytest.fixture(scope="module", params=product([False, True], repeat=4))
def with_added_tokens(request, minilm_dir, tmp_path_factory):
    lstrip, rstrip, single_word, normalized = request.param
    flags = {"lstrip": lstrip, "rstrip": rstrip, "single_word": single_word}
    saved = json.loads((minilm_dir / "tokenizer.json").read_text("utf-8"))["added_tokens"]
    new = [
        {"content": content, "id": 30522 + i, "special": False, "normalized": normalized, **flags}
        for i, content in enumerate(ADDED)
    ]
    folder = tmp_path_factory.mktemp("added") / "tokenizer"
    return both(edited(minilm_dir, folder, tokenizer={"added_tokens": [*saved, *new]}))


@given(parts=st.lists(st.sampled_from([*ADDED, "a", " ", "\t ", "É", "ew", "[MASK]", "york", "."])))
@settings(max_examples=100, deadline=None)
def test_added_tokens_with_any_flags(with_added_tokens, parts):
    assert not differences(with_added_tokens, ["".join(parts)], max_length=512)


def test_tokenizers_own_class_reads_the_same(minilm_dir, plain_texts):
    from tokenizers import Tokenizer

    ours = WordPieceTokenizer.from_pretrained(minilm_dir)
    theirs = Tokenizer.from_file(str(minilm_dir / "tokenizer.json"))
    theirs.no_padding()
    theirs.enable_truncation(24)
    for text, expected in zip(plain_texts, theirs.encode_batch(plain_texts), strict=True):
        assert ours(text, max_length=24).input_ids.tolist() == expected.ids


@pytest.mark.parametrize(
    "files", [("vocab.txt",), ("tokenizer.json",), FILES, ("vocab.txt", *FILES)]
)
def test_folders_with_few_files_read_the_same(minilm_dir, tmp_path, files, sentences):
    for name in {"config.json", *files}:
        shutil.copy(minilm_dir / name, tmp_path / name)
    assert not differences(both(tmp_path), sentences[::10], max_length=64)


@pytest.mark.parametrize(
    "edits",
    [
        {"tokenizer_config": {"added_tokens_decoder": {"7": {"content": "[unused6]"}}}},
        {"tokenizer_config": {"additional_special_tokens": ["<new>", "Been"]}},
        {"tokenizer_config": {"extra_special_tokens": {"new_token": "<new>"}}},
        {"tokenizer_config": {"tokenizer_class": None}},
        {"tokenizer_config": {"mask_token": {"content": "[MASK]", "lstrip": True}}},
        {"special_tokens_map": {"cls_token": "hello", "sep_token": {"content": "world"}}},
        {"special_tokens_map": {"mask_token": "<new>"}},
        {"tokenizer": {"normalizer": CASED}},
    ],
    ids=str,
)
def test_files_that_say_different_things_are_weighed_alike(minilm_dir, tmp_path, edits):
    tokenizers = both(edited(minilm_dir, tmp_path / "tokenizer", **edits))
    text = "Hello [unused6] <new>world, I have Been [MASK] . [mask] HÉ"
    assert not differences(tokenizers, [text], [text], max_length=64)
