"""Data files of every form to a Corpus."""

from __future__ import annotations

import hashlib
from pathlib import Path

from minilora.errors import ConfigError, DataError, did_you_mean
from minilora.files import decode, read_bytes
from minilora.text.columns import read_columns
from minilora.text.corpus import Corpus, Example, Sentence, Task
from minilora.text.jsonl import objects, read_examples, read_sentences
from minilora.text.schemes import is_tag, to_bio
from minilora.text.tables import csv_rows, header_names, read_table, tsv_rows

COLUMNS = (".conll", ".bio", ".iob", ".txt", ".tsv")
SUFFIXES = {"ner": (*COLUMNS, ".jsonl"), "classify": (".tsv", ".csv", ".jsonl")}
_OF_TEXTS = frozenset({"text", "text_a", "text_b"})


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
        False for texts to predict: tags and labels are then neither asked for nor read. For
        ``"ner"`` the file may then be a table or JSON lines with ``text`` as well. What comes is a
        Corpus for ``"classify"``: the words of its rows are still to be found.

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
    if task == "ner" and suffix in SUFFIXES["classify"]:
        task = _settle_task(decode(raw, path, error=DataError), path, labelled)
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


def _settle_task(text: str, path: Path, labelled: bool) -> Task:
    """``"ner"`` for words; ``"classify"`` for whole texts, refused if ``labelled``."""
    suffix = path.suffix.lower()
    names: list[str] = []  # of the columns of a table, or of what the first object has
    if suffix == ".jsonl":
        _, first_object = next(objects(_lines(text), path), (0, {}))
        names = [] if "words" in first_object else header_names(first_object)
    else:
        rows = csv_rows(text, path) if suffix == ".csv" else tsv_rows(_lines(text))
        names = header_names(next(rows, (0, [""]))[1])
        if suffix == ".tsv" and is_tag(names[-1]):  # the word is text, its tag O
            names = []
    holds_texts = not _OF_TEXTS.isdisjoint(names)
    if holds_texts and labelled:
        raise DataError(
            f"{path}: looks like a table of labelled texts ({', '.join(names):.40}); for the task "
            "ner CoNLL columns (token<TAB>tag) were expected. Give such a file or, if whole "
            "texts have labels, --task classify."
        )
    return "classify" if not labelled and (holds_texts or suffix == ".csv") else "ner"


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
