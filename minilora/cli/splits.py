"""The data of a run: train, dev and test, and what is worth knowing about them."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilora.cli.console import Console
from minilora.cli.table import Cell, table
from minilora.errors import DataError
from minilora.text import Corpus, Example, Sentence, Task, label_names, read_corpus
from minilora.text.counting import count

HELD_OUT = 0.1
"""Share of train that becomes dev when none is given."""
_HOLD_OUT_STREAM = 2  # of random numbers, beside those that minilora.train.plan draws


@dataclass(frozen=True)
class Splits:
    """Corpora by name (``train``, ``dev`` and, if given, ``test``), and the labels in train."""

    corpora: Mapping[str, Corpus]
    labels: tuple[str, ...]

    def sha256(self) -> dict[str, str]:
        """What identifies the files."""
        return {name: corpus.sha256 for name, corpus in self.corpora.items()}


def read_splits(
    task: Task,
    *,
    train: str,
    dev: str | None,
    test: str | None = None,
    need_dev: bool = True,
    seed: int,
    console: Console,
) -> Splits:
    """Read all files, hold out dev if there is none and it is needed, and note what looks wrong.

    Raises
    ------
    DataError
        A file that cannot be read, or too little in it to learn from.
    """
    files = {"train": train, "dev": dev, "test": test}
    corpora = {name: read_corpus(Path(file), task) for name, file in files.items() if file}
    for name, corpus in corpora.items():
        for note in corpus.notes:
            console.note(f"{name}: {note}")
    labels = tuple(label_names(corpora["train"]))
    if len(labels) < 2:
        raise DataError(
            f"{train}: every row has the label {labels[0]!r}; at least two different ones were "
            "expected, or there is nothing to tell apart."
        )
    for name in ("dev", "test"):
        if name in corpora:
            _note_overlap(corpora["train"], corpora[name], name, console)
    if need_dev and "dev" not in corpora:
        corpora["train"], corpora["dev"] = hold_out(corpora["train"], seed=seed)
        console.note(
            f"no --dev: a tenth of train, drawn with seed {seed}, is held out for it "
            f"({count(len(corpora['dev']), 'row')})"
        )
    return Splits({name: corpora[name] for name in files if name in corpora}, labels)


def hold_out(corpus: Corpus, *, seed: int) -> tuple[Corpus, Corpus]:
    """Draw a tenth of the rows, at least one; return the others and these, in their order.

    Raises
    ------
    DataError
        There is only one row.
    """
    n_rows = len(corpus.rows)
    if n_rows < 2:
        raise DataError(
            f"{corpus.path}: has one row, so none can be held out to choose the best epoch by; "
            "at least two were expected; add rows, or give --dev."
        )
    n_held = max(1, round(HELD_OUT * n_rows))
    drawn = np.random.default_rng([seed, _HOLD_OUT_STREAM]).permutation(n_rows)
    held, kept = sorted(drawn[:n_held]), sorted(drawn[n_held:])
    return _rows(corpus, kept), _rows(corpus, held)


def describe(splits: Splits) -> list[str]:
    """Lines for people: how much there is of what."""
    task = splits.corpora["train"].task
    words = task == "ner"
    rows: list[list[Cell]] = [
        [name, str(corpus.path), len(corpus), *([_n_words(corpus)] if words else [])]
        for name, corpus in splits.corpora.items()
    ]
    header = ["split", "file", *(["sentences", "words"] if words else ["texts"])]
    return table(header, rows)


def _rows(corpus: Corpus, indices: list[int]) -> Corpus:
    rows: Any = [corpus.rows[i] for i in indices]
    return replace(corpus, rows=rows)


def _note_overlap(train: Corpus, other: Corpus, name: str, console: Console) -> None:
    if train.sha256 == other.sha256:
        console.note(f"{name} is the same data as train: its scores say nothing about new texts")
        return
    known = {_text(row) for row in train.rows}
    n_known = sum(_text(row) in known for row in other.rows)
    if n_known:
        console.note(
            f"{n_known:,} of the {len(other):,} rows in {name} are in train as well: "
            "its scores flatter"
        )


def _text(row: Sentence | Example) -> Hashable:
    return tuple(row.words) if isinstance(row, Sentence) else (row.text, row.text_pair)


def _n_words(corpus: Corpus) -> int:
    return sum(len(row.words) for row in corpus.rows if isinstance(row, Sentence))
