"""CoNLL columns: a word on each line with its tag in the last column, a blank line in between."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import dropwhile
from pathlib import Path

from minilora.errors import DataError
from minilora.text.corpus import Sentence
from minilora.text.counting import count
from minilora.text.schemes import check_tag, is_tag

Line = tuple[int, str]  # its number, and what it says


def read_columns(lines: list[str], path: Path, *, labelled: bool) -> list[Sentence]:
    """The sentences of a file, their tags as they stand there (none unless ``labelled``).

    Columns are separated by tabs if the first word's line has one, else by spaces. Left out are
    ``-DOCSTART-`` lines, and comments: lines before the first word of a sentence that start with
    ``#`` and cannot be a word and its columns.
    """
    blocks = list(_blocks(lines))
    if not blocks:
        return []
    layout = _Layout.of([line for block in blocks for line in block], path, labelled=labelled)
    sentences = []
    for block in blocks:
        rows = [(number, layout.split(line)) for number, line in block]
        rows = list(dropwhile(lambda row: layout.is_comment(row[1]), rows))
        for number, fields in rows:
            layout.check(number, fields)
        if rows:
            words = [fields[0] for _, fields in rows]
            tags = [fields[-1] for _, fields in rows] if labelled else []
            sentences.append(Sentence(words, tags, line=rows[0][0]))
    return sentences


@dataclass(frozen=True)
class _Layout:
    """What the first word's line says about all others."""

    path: Path
    labelled: bool
    first_line: int
    n_columns: int
    separator: str

    @classmethod
    def of(cls, lines: list[Line], path: Path, *, labelled: bool) -> _Layout:
        number, line = next((line for line in lines if not line[1].startswith("#")), lines[0])
        separator = "\t" if "\t" in line else " "
        layout = cls(path, labelled, number, 0, separator)
        n_columns = len(layout.split(line))
        if labelled and n_columns < 2:
            raise DataError(
                f"{path}:{number}: has one column, {line!r:.40}; a word and its tag, with a tab or "
                "space between, were expected on every line. Is this a labelled CoNLL file?"
            )
        return cls(path, labelled, number, n_columns, separator)

    def split(self, line: str) -> list[str]:
        if self.separator == "\t":
            return [field.strip(" ") for field in line.split("\t")]
        return re.split("[ \t]+", line.strip(" \t"))

    def is_comment(self, fields: list[str]) -> bool:
        word_fits = len(fields) == self.n_columns and (not self.labelled or is_tag(fields[-1]))
        return fields[0].startswith("#") and not word_fits

    def check(self, number: int, fields: list[str]) -> None:
        where = f"{self.path}:{number}"
        if len(fields) != self.n_columns:
            between = "tabs" if self.separator == "\t" else "spaces"
            raise DataError(
                f"{where}: has {count(len(fields), 'column')}, {' '.join(fields)!r:.40}; "
                f"{self.n_columns} with {between} between were expected, as on line "
                f"{self.first_line}. Mend it."
            )
        if not fields[0]:
            raise DataError(
                f"{where}: has no word before its tag; a word was expected in the first column. "
                "Leave the whole line blank to end a sentence."
            )
        if self.labelled:
            check_tag(fields[-1], where)


def _blocks(lines: list[str]) -> Iterator[list[Line]]:
    """Runs of lines between blank ones, with their numbers."""
    block: list[Line] = []
    for number, line in enumerate(lines, start=1):
        if line.strip(" \t") and not line.startswith("-DOCSTART-"):
            block.append((number, line))
        elif block:
            yield block
            block = []
    if block:
        yield block
