"""Texts to be labelled, as people have them: arguments, lines, files."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile
from pathlib import Path

from minilora.errors import DataError
from minilora.files import decode, read_bytes
from minilora.text import Corpus, Example, Sentence, Task, read_corpus
from minilora.text.characters import IDEOGRAPHS

LINES = (".txt", "")
"""Endings of files that hold one text a line; others are data files, whose labels are not used."""


@dataclass(frozen=True)
class Text:
    """A text, its pair if it has one, and where its words are (start and end of each)."""

    text: str
    pair: str | None = None
    words: Sequence[tuple[int, int]] = ()


def read_texts(arguments: Sequence[str], file: str | None, task: Task) -> list[Text]:
    """Take texts from the command line, else from ``file``, else from standard input.

    Raises
    ------
    DataError
        There are none, or they are not UTF-8.
    """
    if arguments and file:
        raise DataError(f"--input: {file} is given and texts are as well; expected one of them")
    if arguments:
        texts = [Text(_decoded(text, n)) for n, text in enumerate(arguments, start=1)]
    elif file and Path(file).suffix not in LINES:
        texts = list(texts_of(read_corpus(Path(file), task, labelled=False)))
    else:
        where = file or "standard input"
        texts = [Text(line) for line in map(str.strip, _lines(file)) if line]
        if not texts:
            raise DataError(f"{where}: has no text; expected one a line")
    return [_with_words(text) for text in texts] if task == "ner" else texts


def to_corpus(texts: Sequence[Text], task: Task) -> Corpus:
    """The texts as `minilora.text.encode_corpus` takes them."""
    rows: list[Sentence] | list[Example]
    if task == "ner":
        rows = [
            Sentence([t.text[start:end] for start, end in t.words], [], i)
            for i, t in enumerate(texts, start=1)
        ]
    else:
        rows = [Example(t.text, t.pair, "", i) for i, t in enumerate(texts, start=1)]
    return Corpus(path=Path("texts"), task=task, rows=rows, labelled=False)


def find_words(text: str) -> list[tuple[int, int]]:
    """Where the words of ``text`` start and end, cut as annotated corpora are.

    At white space; punctuation at the ends of a word stands alone, inside it stays (``don't``,
    ``U.S``); every Chinese character is a word.
    """
    found = []
    for match in re.finditer(r"\S+", text):
        start, stretch = match.start(), match.group()
        cuts = [0, *_cuts(stretch), len(stretch)]
        found += [(start + first, start + last) for first, last in pairwise(cuts)]
    return found


def _cuts(stretch: str) -> Iterable[int]:
    """Positions inside a stretch without white space where one word ends and the next starts."""
    leading = sum(1 for _ in takewhile(_is_punctuation, stretch))
    trailing = sum(1 for _ in takewhile(_is_punctuation, reversed(stretch)))
    for i in range(1, len(stretch)):
        ideographs = ord(stretch[i - 1]) in IDEOGRAPHS or ord(stretch[i]) in IDEOGRAPHS
        if ideographs or i <= leading or i >= len(stretch) - trailing:
            yield i


def _is_punctuation(character: str) -> bool:
    return unicodedata.category(character)[0] in "PS"


def _with_words(text: Text) -> Text:
    return text if text.words else Text(text.text, words=find_words(text.text))


def texts_of(corpus: Corpus) -> Iterator[Text]:
    """The texts of a data file; words of a sentence with a space between."""
    for row in corpus.rows:
        if isinstance(row, Example):
            yield Text(row.text, row.text_pair)
        else:
            ends = [sum(len(w) + 1 for w in row.words[: i + 1]) - 1 for i in range(len(row.words))]
            spans = [(end - len(w), end) for w, end in zip(row.words, ends, strict=True)]
            yield Text(" ".join(row.words), words=spans)


def _lines(file: str | None) -> list[str]:
    if file is None and sys.stdin.isatty():
        print("one text a line, please; Ctrl-D ends", file=sys.stderr)
    if file is None:
        raw = sys.stdin.buffer.read()
    else:
        raw = read_bytes(Path(file), "a file of texts", error=DataError)
    return decode(raw, Path(file or "standard input"), error=DataError).split("\n")


def _decoded(text: str, n: int) -> str:
    """An argument as UTF-8, also where Python took the terminal for one of ASCII."""
    try:
        return os.fsencode(text).decode() if re.search("[\ud800-\udfff]", text) else text
    except UnicodeError:
        raise DataError(
            f"text {n}: {text!r:.40} is not UTF-8, which was expected; check the encoding of your "
            "terminal"
        ) from None
