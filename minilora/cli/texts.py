"""Texts to be labelled, as people have them: arguments, lines, files."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from itertools import islice, pairwise, takewhile
from pathlib import Path

from minilora.errors import ConfigError, DataError
from minilora.files import decode_lines, opened
from minilora.text import Corpus, Example, Sentence, Task, read_corpus
from minilora.text.characters import IDEOGRAPHS

LINES = (".txt", "")
"""Endings of files that hold one text a line; others are data files, whose labels are not used."""
WANTED = "a file of texts"


@dataclass(frozen=True)
class Text:
    """A text, its pair if it has one, and where its words are (start and end of each)."""

    text: str
    pair: str | None = None
    words: Sequence[tuple[int, int]] = ()


def read_texts(arguments: Sequence[str], file: str | None, task: Task) -> Iterator[Text]:
    """Take texts from the command line, else from ``file``, else from standard input.

    Lines are read when they are asked for, so a file of them may be larger than memory. One that is
    blank is a text without characters, so that what comes out lines up with what went in.

    Raises
    ------
    DataError
        There are none, they are not UTF-8, or they are pairs where words are to be tagged.
    """
    if arguments and file:
        raise DataError(f"--input: {file} is given and texts are as well; expected one of them")
    texts: Iterable[Text]
    if arguments:
        texts = [Text(_decoded(text, n)) for n, text in enumerate(arguments, start=1)]
    elif file and Path(file).suffix not in LINES:
        texts = texts_of(read_corpus(Path(file), task, labelled=False))
    else:
        texts = _texts_in_lines(file)
    return (_with_words(text, file) for text in texts) if task == "ner" else iter(texts)


def is_interactive(arguments: Sequence[str], file: str | None) -> bool:
    """Whether `read_texts` will take what is entered on a terminal."""
    return not arguments and not file and sys.stdin.isatty()


def count_texts(arguments: Sequence[str], file: str | None) -> int | None:
    """How many texts `read_texts` will find; None where only reading them tells."""
    if arguments:
        return len(arguments)
    if file and Path(file).suffix in LINES and Path(file).is_file():  # a pipe is read only once
        with opened(Path(file), WANTED, error=DataError) as lines:
            return sum(1 for _ in lines)
    return None


def windows(texts: Iterable[Text], size: int) -> Iterator[list[Text]]:
    """Texts in lists of ``size``, the last of which may be shorter."""
    if size < 1:
        raise ConfigError(f"batch_size: got {size}; it must be at least 1.")
    iterator = iter(texts)
    while window := list(islice(iterator, size)):
        yield window


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


def _with_words(text: Text, file: str | None) -> Text:
    if text.pair is not None:
        raise DataError(
            f"{file}: holds pairs of texts; single ones were expected, since names are found in "
            "one text at a time; give a file with text instead of text_a and text_b"
        )
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


def _texts_in_lines(file: str | None) -> Iterator[Text]:
    """A text for each line."""
    if file is None and sys.stdin.isatty():
        print("one text a line, please; Ctrl-D ends", file=sys.stderr)
    where = Path(file or "standard input")
    source = opened(where, WANTED, error=DataError) if file else nullcontext(sys.stdin.buffer)
    is_empty, n_blank = True, 0
    with source as lines:
        for line in map(str.strip, decode_lines(lines, where, error=DataError)):
            if line:
                yield from [Text("")] * n_blank
                is_empty, n_blank = False, 0
                yield Text(line)
            elif is_empty:  # held back: there may be no text at all
                n_blank += 1
            else:
                yield Text("")
    if is_empty:
        raise DataError(f"{where}: has no text; expected one a line")


def _decoded(text: str, n: int) -> str:
    """An argument as UTF-8, also where Python took the terminal for one of ASCII."""
    try:
        return os.fsencode(text).decode() if re.search("[\ud800-\udfff]", text) else text
    except UnicodeError:
        raise DataError(
            f"text {n}: {text!r:.40} is not UTF-8, which was expected; check the encoding of your "
            "terminal"
        ) from None
