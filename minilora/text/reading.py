"""Data files of every form to a Corpus."""

from __future__ import annotations

import hashlib
from pathlib import Path

from minilora.errors import ConfigError, DataError, did_you_mean
from minilora.files import decode, read_bytes
from minilora.text.columns import read_columns
from minilora.text.corpus import Corpus, Example, Sentence, Task
from minilora.text.jsonl import read_examples, read_sentences
from minilora.text.schemes import to_bio
from minilora.text.tables import csv_rows, read_table, tsv_rows

COLUMNS = (".conll", ".bio", ".iob", ".txt", ".tsv")
SUFFIXES = {"ner": (*COLUMNS, ".jsonl"), "classify": (".tsv", ".csv", ".jsonl")}


def read_corpus(path: str | Path, task: Task, *, labelled: bool = True) -> Corpus:
    """Read a data file in UTF-8.

    Parameters
    ----------
    path
        For ``"ner"`` CoNLL columns (``.conll``, ``.bio``, ``.iob``, ``.txt``, ``.tsv``), or JSON
        lines (``.jsonl``) with ``words`` and ``tags``. For ``"classify"`` a table with a header
        (``.tsv`` without quoting, ``.csv`` with), or JSON lines: ``label`` and ``text``, or
        ``text_a`` and ``text_b``.
    task
        ``"ner"`` or ``"classify"``.
    labelled
        False for texts to predict: tags and labels are then neither asked for nor read.

    Returns
    -------
    Corpus
        Tags are BIO; how they became so is in its ``notes``.

    Raises
    ------
    DataError
        The file is not what it is said to be; the message names the line.
    ConfigError
        There is no such task.
    """
    path = Path(path)
    if task not in SUFFIXES:
        raise ConfigError(f"task: {task!r} is none.{did_you_mean(task, SUFFIXES)}")
    raw = read_bytes(path, "a data file", error=DataError)
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES[task]:
        raise DataError(
            f"{path}: ends in {suffix!r}; one of {', '.join(SUFFIXES[task])} was expected for the "
            f"task {task}. Rename the file if its content is of such a kind."
        )
    text = decode(raw, path, error=DataError)
    rows, notes = (_sentences if task == "ner" else _examples)(text, path, labelled)
    if not rows:
        what = "has no rows" if text.strip() else "is empty"
        raise DataError(f"{path}: {what}; one or more were expected. Is it the right file?")
    return Corpus(
        path=path,
        task=task,
        rows=rows,
        notes=notes,
        sha256=hashlib.sha256(raw).hexdigest(),
        n_bytes=len(raw),
        labelled=labelled,
    )


def _sentences(text: str, path: Path, labelled: bool) -> tuple[list[Sentence], list[str]]:
    read = read_sentences if path.suffix.lower() == ".jsonl" else read_columns
    return to_bio(read(_lines(text), path, labelled=labelled))


def _examples(text: str, path: Path, labelled: bool) -> tuple[list[Example], list[str]]:
    suffix = path.suffix.lower()
    if suffix == ".jsonl":
        return read_examples(_lines(text), path, labelled=labelled), []
    rows = csv_rows(text, path) if suffix == ".csv" else tsv_rows(_lines(text))
    return read_table(rows, path, labelled=labelled), []


def _lines(text: str) -> list[str]:
    return [line.removesuffix("\r") for line in text.split("\n")]
