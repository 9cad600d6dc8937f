"""Tricky texts become what transformers made of them, as recorded in wordpiece.json."""

import hashlib
import json
from bisect import bisect_right
from pathlib import Path

import pytest

from minilora.text import WordPieceTokenizer
from minilora.text.characters import IDEOGRAPHS, MARKS, PUNCTUATION, REMOVED, SPACES

HERE = Path(__file__).parent
GOLDEN = json.loads((HERE / "wordpiece.json").read_text(encoding="utf-8"))
SURROGATES = set(range(0xD800, 0xE000))  # Rust has no such characters
PLAIN = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"]


def load(folder: Path, pieces: list[str], config: dict) -> WordPieceTokenizer:
    (folder / "vocab.txt").write_text("\n".join(pieces) + "\n", encoding="utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    return WordPieceTokenizer.from_pretrained(folder)


def test_the_file_was_made_by_the_script_beside_it():
    script = hashlib.sha256((HERE / "make_wordpiece.py").read_bytes()).hexdigest()
    assert GOLDEN["script"] == script, "stale: run python tests/golden/make_wordpiece.py"


@pytest.mark.parametrize("settings", GOLDEN["settings"])
def test_texts_words_and_pairs_are_cut_alike(tmp_path, settings):
    tokenizer = load(tmp_path, GOLDEN["vocab"], GOLDEN["settings"][settings])
    cases = [case for case in GOLDEN["cases"] if case["settings"] == settings]
    assert len(cases) == 69
    for case in cases:
        encoding = tokenizer(case["text"], case["pair"], max_length=case["max_length"])
        assert encoding.input_ids.tolist() == case["input_ids"], case
        assert encoding.token_type_ids.tolist() == case["token_type_ids"], case
        assert encoding.word_ids == case["word_ids"], case


def test_every_character_vanishes_splits_or_stands_alone_where_it_did(tmp_path):
    """Looked at wherever that changes, in the record or in our classes; so it holds in between."""
    tokenizer = load(tmp_path, PLAIN, {})
    runs = [run.split(":") for run in GOLDEN["fates"].split()]
    firsts = [int(first, 16) for first, _ in runs]
    classes = (IDEOGRAPHS, MARKS, PUNCTUATION, REMOVED, SPACES)
    ours = {code for c in classes for code in (*c.firsts, *(last + 1 for last in c.lasts))}
    for border in ours.union(firsts):
        for code in {max(border - 1, 0), min(border, 0x10FFFF)} - SURROGATES:
            encoding = tokenizer(f"a{chr(code)}b")
            vanishes = encoding.tokens[1:-1] == ["a", "##b"]
            fate = 0 if vanishes else len(set(encoding.word_ids) - {None})
            assert fate == int(runs[bisect_right(firsts, code) - 1][1]), hex(code)
