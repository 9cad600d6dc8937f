"""The data of a run: train, dev and test, and what is worth knowing about them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
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

    @property
    def pairs(self) -> bool | None:
        """Whether train holds pairs of texts; None if both pairs and single ones, or sentences."""
        forms = _forms(self.corpora["train"])
        return forms.pop() if len(forms) == 1 else None

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
        A file that cannot be read, too little in it to learn from, or pairs of texts in one and
        single texts in another.
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
            _check_same_form(corpora["train"], corpora[name])
            _note_overlap(corpora, name, "train", console)
    if "dev" in corpora and "test" in corpora:
        _note_overlap(corpora, "test", "dev", console)
    if need_dev and "dev" not in corpora:
        corpora["train"], corpora["dev"] = hold_out(corpora["train"], seed=seed)
        console.note(
            f"no --dev: a tenth of train, drawn with seed {seed}, is held out for it "
            f"({count(len(corpora['dev']), 'row')})"
        )
        _note_overlap(corpora, "dev", "train", console)
    return Splits({name: corpora[name] for name in files if name in corpora}, labels)


def hold_out(corpus: Corpus, *, seed: int) -> tuple[Corpus, Corpus]:
    """Draw a tenth of the rows, at least one; return the others and these, in their order.

    Copies of a text stay together, unless there are more of every one than a tenth of the rows.

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
    held = _whole_groups(corpus, drawn, n_held) or set(drawn[:n_held])
    kept = [i for i in range(n_rows) if i not in held]
    return _rows(corpus, kept), _rows(corpus, sorted(held))


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


def _whole_groups(corpus: Corpus, drawn: Iterable[int], most: int) -> set[int]:
    """The rows that come first in ``drawn``, with all their copies, and ``most`` in all."""
    texts = [_text(row) for row in corpus.rows]
    groups: dict[Hashable, list[int]] = {}
    for i, text in enumerate(texts):
        groups.setdefault(text, []).append(i)
    chosen: set[int] = set()
    for i in drawn:
        group = groups[texts[i]]
        if i not in chosen and len(chosen) + len(group) <= most:
            chosen.update(group)
    return chosen


def _forms(corpus: Corpus) -> set[bool]:
    """Whether there are pairs (True), single texts (False) or both; empty for sentences."""
    return {row.text_pair is not None for row in corpus.rows if isinstance(row, Example)}


def _check_same_form(train: Corpus, other: Corpus) -> None:
    known = _forms(train)
    for row in other.rows:
        if isinstance(row, Example) and (row.text_pair is not None) not in known:
            single, pair = "a single text (text)", "a pair of texts (text_a, text_b)"
            came, wanted = (single, pair) if row.text_pair is None else (pair, single)
            raise DataError(
                f"{other.path}:{row.line}: is {came}; {wanted} was expected, as in {train.path}. "
                "Give files of one form."
            )


def _note_overlap(corpora: Mapping[str, Corpus], name: str, other: str, console: Console) -> None:
    """Say how much of ``name`` is in ``other`` as well, and what that means."""
    looked_at, known = corpora[name], corpora[other]
    flatter = "its scores flatter" if other == "train" else "the best epoch was chosen by them"
    if looked_at.rows == known.rows:
        meaning = "say nothing about new texts" if other == "train" else "are no second opinion"
        console.note(f"{name} is the same data as {other}: its scores {meaning}")
        return
    texts = {_text(row) for row in known.rows}
    n_known = sum(_text(row) in texts for row in looked_at.rows)
    if n_known:
        console.note(
            f"{n_known:,} of the {len(looked_at):,} rows in {name} are in {other} as well: "
            f"{flatter}"
        )


def _text(row: Sentence | Example) -> Hashable:
    return tuple(row.words) if isinstance(row, Sentence) else (row.text, row.text_pair)


def _n_words(corpus: Corpus) -> int:
    return sum(len(row.words) for row in corpus.rows if isinstance(row, Sentence))
