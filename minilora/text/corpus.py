"""What a data file says, before a tokenizer has seen it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, TypeAlias

from minilora.errors import ConfigError

Task: TypeAlias = Literal["ner", "classify"]


@dataclass(frozen=True)
class Sentence:
    """Words and their BIO tags (no tags when the file has none), and the line they start on."""

    words: list[str]
    tags: list[str]
    line: int


@dataclass(frozen=True)
class Example:
    """A text or pair of texts, its label ("" when the file has none), and its line."""

    text: str
    text_pair: str | None
    label: str
    line: int


Row: TypeAlias = Sentence | Example


@dataclass(frozen=True)
class Corpus:
    """All rows of one file.

    Attributes
    ----------
    path, sha256, n_bytes
        The file, and what identifies its content.
    task
        ``"ner"``: rows are `Sentence`; ``"classify"``: rows are `Example`.
    notes
        Sentences about what was converted on the way, for people.
    labelled
        Whether the rows carry tags or labels.
    """

    path: Path
    task: Task
    rows: list[Sentence] | list[Example]
    notes: list[str] = field(default_factory=list)
    sha256: str = ""
    n_bytes: int = 0
    labelled: bool = True

    def __len__(self) -> int:
        return len(self.rows)

    def parts(self, batch_size: int) -> Iterator[Corpus]:
        """The rows in order, ``batch_size`` to a part (the last may have fewer)."""
        if batch_size < 1:
            raise ConfigError(f"batch_size: got {batch_size}; it must be at least 1.")
        for start in range(0, len(self), batch_size):
            yield replace(self, rows=self.rows[start : start + batch_size])


def label_names(corpus: Corpus) -> list[str]:
    """All labels of a corpus, in the order a model's outputs have them.

    For NER ``O`` first, then ``B-X``, ``I-X`` for every type X in alphabetical order, both even if
    only one occurs; for classification the labels in alphabetical order.
    """
    if corpus.task == "classify":
        return sorted({row.label for row in corpus.rows if isinstance(row, Example)})
    tags = {tag for row in corpus.rows if isinstance(row, Sentence) for tag in row.tags}
    types = sorted({tag[2:] for tag in tags if tag != "O"})
    return ["O", *(f"{prefix}-{name}" for name in types for prefix in "BI")]
