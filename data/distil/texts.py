"""What is read: the texts of labelled files, and variations on them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from minilora import read_corpus
from minilora._types import Rng
from minilora.text import Sentence

Text = str | list[str]
"""A text, or its words."""


def read_texts(paths: Sequence[Path]) -> list[Text]:
    """Sentences of ``.conll`` files as words, rows of others as texts; labels are not looked at.

    Raises
    ------
    DataError
        A file is missing or damaged.
    """
    texts: list[Text] = []
    for path in paths:
        rows = read_corpus(path, "ner" if path.suffix == ".conll" else "classify").rows
        texts += [row.words if isinstance(row, Sentence) else row.text for row in rows]
    return texts


def variations(texts: Sequence[Text], share: float, rng: Rng, *, recased: float) -> list[Text]:
    """Each text once more, with a ``share`` of its words replaced by words from anywhere in them.

    Most are nonsense, but the teacher makes something of them too, and what it makes of a word in
    the wrong company is what a handful of texts cannot show. A share of ``recased`` has no capital,
    as in a chat, or nothing but capitals, as in a headline, half of them each: to an uncased
    teacher that is the same, and a cased student has to find it the same.
    """
    split = [text.split() if isinstance(text, str) else text for text in texts]
    pool = [word for words in split for word in words]
    varied: list[Text] = []
    for text, words in zip(texts, split, strict=True):
        replaced = rng.random(len(words)) < share
        drawn = rng.integers(len(pool), size=len(words))
        new = [pool[d] if r else w for w, r, d in zip(words, replaced, drawn, strict=True)]
        if rng.random() < recased:
            case = (str.lower, str.upper)[rng.integers(2)]
            new = [case(word) for word in new]
        varied.append(" ".join(new) if isinstance(text, str) else new)
    return varied
