"""JSON lines: an object on each line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from minilora.errors import DataError
from minilora.text.corpus import Example, Sentence
from minilora.text.counting import count
from minilora.text.examples import fields_to_read, suggestion, to_example
from minilora.text.schemes import check_tag

Json: TypeAlias = dict[str, Any]


def read_examples(lines: Iterable[str], path: Path, *, labelled: bool) -> list[Example]:
    """``{"label": "x", "text": "..."}``, or ``text_a`` and ``text_b``; a label may be a number."""
    examples = []
    for line, row in objects(lines, path):
        where = f"{path}:{line}"
        names = fields_to_read(row, f"{where}: the object", labelled=labelled)
        fields = {name: row[name] for name in names}
        if type(fields.get("label")) is int:
            fields["label"] = str(fields["label"])
        for name, value in fields.items():
            _check_string(value, f"{where}: {name}")
        examples.append(to_example(fields, where, line))
    return examples


def read_sentences(lines: Iterable[str], path: Path, *, labelled: bool) -> list[Sentence]:
    """``{"words": ["...", ...], "tags": ["...", ...]}``, as many tags as words."""
    sentences = []
    for line, row in objects(lines, path):
        where = f"{path}:{line}"
        words = _strings(row, "words", where)
        tags = _strings(row, "tags", where) if labelled else []
        for word in words:
            if not word.strip():
                raise DataError(f"{where}: a word is blank; characters were expected. Remove it.")
        for tag in tags:
            check_tag(tag, where)
        if not words or (labelled and len(tags) != len(words)):
            raise DataError(
                f"{where}: has {count(len(words), 'word')} and {count(len(tags), 'tag')}; one word "
                "or more was expected, and a tag for each. Mend the line."
            )
        sentences.append(Sentence(words, tags, line))
    return sentences


def objects(lines: Iterable[str], path: Path) -> Iterator[tuple[int, Json]]:
    """The objects of a file, each with its line."""
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            content = json.loads(line)
        except (RecursionError, ValueError) as problem:  # nested, or a number long, beyond reason
            reason = getattr(problem, "msg", problem)
            raise DataError(
                f'{path}:{number}: is not JSON ({reason}); an object such as {{"text": "..."}} '
                "was expected on each line. Mend the line."
            ) from None
        if not isinstance(content, dict):
            raise DataError(
                f"{path}:{number}: holds a JSON {type(content).__name__}; an object was expected. "
                "Put one object on each line."
            )
        yield number, content


def _strings(row: Json, name: str, where: str) -> list[str]:
    if name not in row:
        raise DataError(
            f"{where}: the object has no {name!r}; the names expected are words and, to learn, "
            f"tags.{suggestion(name, row)}"
        )
    strings = row[name]
    if not isinstance(strings, list):
        raise DataError(f"{where}: {name} is {strings!r:.40}; a list of strings was expected.")
    for string in strings:
        _check_string(string, f"{where}: an entry of {name}")
    return strings


def _check_string(value: Any, what: str) -> None:
    if not isinstance(value, str):
        raise DataError(
            f"{what} is {value!r:.40}; a string was expected. Put it in quotation marks."
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise DataError(
            f"{what} holds half of a surrogate pair; whole characters were expected. Write both "
            "halves, or the character itself."
        ) from None
