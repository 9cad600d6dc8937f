"""Tables: a header that names the columns, then an example on each row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path

from minilora.errors import DataError
from minilora.text.corpus import Example
from minilora.text.counting import count
from minilora.text.examples import fields_to_read, to_example

Row = tuple[int, list[str]]  # the line it starts on, and its fields


def read_table(rows: Iterable[Row], path: Path, *, labelled: bool) -> list[Example]:
    """The examples of a table with columns ``label`` and ``text``, or ``text_a`` and ``text_b``.

    They come in any order, perhaps with others among them. Unless ``labelled`` there need be no
    ``label``, and none is read.
    """
    rows = iter(rows)
    first = next(rows, None)
    if first is None:
        return []
    header = header_names(first[1])
    names = fields_to_read(header, f"{path}:{first[0]}: the header", labelled=labelled)
    if twice := [name for name in names if header.count(name) > 1]:
        raise DataError(
            f"{path}:{first[0]}: the header names {twice[0]} {header.count(twice[0])} times; once "
            "was expected. Rename the columns that are not meant."
        )
    examples = []
    for line, fields in rows:
        where = f"{path}:{line}"
        if len(fields) != len(header):
            raise DataError(
                f"{where}: has {count(len(fields), 'column')}; {len(header)}, as in the header, "
                f"were expected: {', '.join(header)}. Is a separator missing, or one too many?"
            )
        row = dict(zip(header, fields, strict=True))
        examples.append(to_example({name: row[name] for name in names}, where, line))
    return examples


def header_names(fields: Iterable[str]) -> list[str]:
    """What the fields of a header name, without white space around."""
    return [" ".join(name.split()) for name in fields]


def tsv_rows(lines: Iterable[str]) -> Iterator[Row]:
    """Fields between tabs; a quotation mark is a character like any other."""
    return ((number, line.split("\t")) for number, line in enumerate(lines, start=1) if line)


def csv_rows(text: str, path: Path) -> Iterator[Row]:
    """Fields between commas, as spreadsheets write them: quoted where they hold commas or lines."""
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))  # any text that is there
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    start = 1
    try:
        for fields in reader:
            if fields:
                yield start, fields
            start = reader.line_num + 1
    except csv.Error as problem:
        raise DataError(
            f"{path}:{start}: is not CSV ({problem}); fields between commas were expected, in "
            "double quotation marks where they hold any of these. Mend the row."
        ) from None
