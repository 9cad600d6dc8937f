"""Record how transformers cuts tricky texts: run ``python tests/golden/make_wordpiece.py``.

Needs the extra [oracle]. Writes wordpiece.json beside this file: a small vocabulary; texts, words
and pairs with the ids, token types and word ids they get, in four settings; and for every code
point what becomes of it between two letters.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from itertools import product
from pathlib import Path

PIECES = [
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"),
    *"abcdefghijklmnopqrstuvwxyz0123456789.,!?'-;$%()[]",
    *(f"##{letter}" for letter in "abcdefghijklmnopqrstuvwxyz0123456789"),
    *("the", "The", "un", "##believ", "##able", "cafe", "café", "Café", "##ing", "mask"),
    *("中", "国", "##国", "é", "σας", "σασ", "i̇", "ß", "한", "##ᅡ", "€", "😀", "—"),
]
SETTINGS = {
    "uncased": {"do_lower_case": True},
    "cased": {"do_lower_case": False},
    "accents kept": {"do_lower_case": True, "strip_accents": False},
    "no Chinese words": {"do_lower_case": True, "tokenize_chinese_chars": False},
}
TEXTS = [
    "",
    "   ",
    "The unbelievable CAFÉ, isn't it?!",
    "Café cafe\u0301 CAFE\u0301 \u0301 e\u0301",
    "中国中 a中b 한국 ひらがな",
    "ΣΑΣ σας İ ß ẞ K Å ﬁ",
    "a\u00a0b\u2003c\u3000d\te\r\nf\u2028g",
    "a\x00b\ufffdc\u200bd\u00ade\x1ff\x85g\ue000h\ufeffi",
    "[MASK] a[MASK]b [mask] [CLS][SEP] [ MASK ]",
    "$5.00 (50%) 1-2; —€😀 #x a_b",
    "x" * 100 + " " + "x" * 101,
    "the " * 20,
    "un\u0300believ\u0327able unbelievablezß",
    "\u037e\u1fef\u2024 \u2e52 \u1acf\U0001f9ff \ua7cb",
]
PAIRS = [
    ("The cafe", "the unbelievable cafe"),
    ("the " * 9, "cafe"),
    ("the", "cafe " * 9),
    ("a " * 7, "b " * 7),
    ("中国", "[MASK]"),
]
WORDS = [
    ["The", "café", "isn't", "unbelievable"],
    ["", " ", "\u0304", "a b", "[MASK]x", "中国", "\u200b"],
    ["x" * 101, "the"],
    [],
]
MAX_LENGTHS = (64, 10, 5)
PLAIN = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "##b"]


def main() -> None:
    """Write wordpiece.json."""
    import tokenizers
    import transformers

    vocab = {piece: i for i, piece in enumerate(PIECES)}
    loaded = {name: load(transformers, vocab, given) for name, given in SETTINGS.items()}
    record = {
        "script": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
        "versions": {m.__name__: m.__version__ for m in (transformers, tokenizers)},
        "settings": SETTINGS,
        "vocab": PIECES,
        "fates": fates(load(transformers, {p: i for i, p in enumerate(PLAIN)}, {})),
        "cases": [case for name in loaded for case in cases(name, loaded[name])],
    }
    text = json.dumps(record).replace('{"settings": "', '\n{"settings": "')
    Path(__file__).with_name("wordpiece.json").write_text(text + "\n", encoding="utf-8")


def load(transformers, vocab: dict[str, int], config: dict):
    """The tokenizer transformers makes of such a folder."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "vocab.txt").write_text("\n".join(vocab) + "\n", encoding="utf-8")
        (folder / "config.json").write_text('{"model_type": "bert"}')
        (folder / "tokenizer_config.json").write_text(json.dumps(config))
        return transformers.AutoTokenizer.from_pretrained(folder)


def cases(name: str, tokenizer) -> list[dict]:
    """What becomes of all texts, pairs and words."""
    inputs = [(text, None) for text in (*TEXTS, *WORDS)] + PAIRS
    found = []
    for (text, pair), max_length in product(inputs, MAX_LENGTHS):
        encoding = tokenizer(
            text,
            pair,
            truncation=True,
            max_length=max_length,
            is_split_into_words=isinstance(text, list),
        )
        found.append(
            {
                "settings": name,
                "text": text,
                "pair": pair,
                "max_length": max_length,
                "input_ids": encoding["input_ids"],
                "token_type_ids": encoding["token_type_ids"],
                "word_ids": encoding.word_ids(),
            }
        )
    return found


def fates(tokenizer) -> str:
    """What becomes of a character between two letters, as the code points where that changes.

    ``300:0`` says that from U+0300 on characters vanish, 1 that they are part of the word, 2 that
    they split it, 3 that they stand alone.
    """
    runs, last = [], None
    for code in range(0x110000):
        if 0xD800 <= code < 0xE000:  # surrogates: Rust has none
            continue
        encoding = tokenizer(f"a{chr(code)}b", add_special_tokens=False)
        vanishes = encoding["input_ids"] == [PLAIN.index("a"), PLAIN.index("##b")]
        fate = 0 if vanishes else len(set(encoding.word_ids()))
        if fate != last:
            runs.append(f"{code:X}:{fate}")
        last = fate
    return " ".join(runs)


if __name__ == "__main__":
    main()
