"""A tokenizer small enough to read."""

import json
from pathlib import Path

import pytest

from minilora.text import WordPieceTokenizer

PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *("the", "cat", "cats", "sat", "on", "mat", "un", "john", "lives", "in", "par", "acme", "corp"),
    *("##s", "##ting", "##believ", "##able", "##is", "##a", "##b", "##c"),
    *(".", ",", "!", "'", "-", ";", "a", "b", "c", "e", "cafe", "café", "中", "国"),
]


@pytest.fixture(scope="session")
def vocab() -> dict[str, int]:
    return {piece: i for i, piece in enumerate(PIECES)}


@pytest.fixture(scope="session")
def tokenizer(vocab) -> WordPieceTokenizer:
    return WordPieceTokenizer(vocab)


@pytest.fixture
def folder(tmp_path) -> Path:
    """A tokenizer folder with a vocab.txt."""
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def saved(vocab) -> dict:
    """The content of a tokenizer.json for the same vocabulary."""
    content = {
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocab,
        },
    }
    return json.loads(json.dumps(content))  # a copy, all the way down
