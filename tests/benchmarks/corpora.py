"""The data files and their word pieces, read without minilora: the reference must stand alone."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

IGNORED = -100  # the label of a word piece that no loss and no score counts
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"


@dataclass(frozen=True)
class Sentence:
    """Words and their BIO tags."""

    words: list[str]
    tags: list[str]


@dataclass(frozen=True)
class Example:
    """A text and its class."""

    text: str
    label: str


def default_base() -> Path | None:
    """The encoder that MINILORA_MINILM points to, if it does."""
    folder = os.environ.get("MINILORA_MINILM")
    return Path(folder) if folder else None


def read_conll(path: Path) -> list[Sentence]:
    """``token<TAB>tag`` lines; an empty line ends a sentence."""
    sentences = []
    for block in path.read_text(encoding="utf-8").split("\n\n"):
        columns = [line.split("\t") for line in block.splitlines() if line]
        if columns:
            sentences.append(Sentence([c[0] for c in columns], [c[-1] for c in columns]))
    return sentences


def read_tsv(path: Path) -> list[Example]:
    """``label<TAB>text`` lines under a header; a quote is an ordinary character."""
    _, *lines = path.read_text(encoding="utf-8").split("\n")
    rows = [line.split("\t") for line in lines if line]
    return [Example(text, label) for label, text in rows]


def tag_names(sentences: list[Sentence]) -> list[str]:
    """``O``, then ``B-X`` and ``I-X`` for every entity type X, sorted."""
    types = {tag[2:] for s in sentences for tag in s.tags if tag != "O"}
    return ["O", *(f"{prefix}-{x}" for x in sorted(types) for prefix in "BI")]


def load_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    """Transformers' own tokenizer for this encoder."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(base, local_files_only=True)


@dataclass(frozen=True)
class Pieces:
    """One encoded sentence."""

    input_ids: list[int]
    label_ids: list[int]  # the word's label on its first piece, IGNORED on all others
    first: list[int]  # per word: where its first piece stands, -1 if it vanished or was cut off


def align(
    tokenizer: PreTrainedTokenizerFast,
    sentence: Sentence,
    label_ids: dict[str, int],
    max_length: int,
) -> Pieces:
    """Encode a sentence; each word's first piece carries the word's label."""
    encoded = tokenizer(
        sentence.words, is_split_into_words=True, truncation=True, max_length=max_length
    )
    labels, first = [], [-1] * len(sentence.words)
    for position, word in enumerate(encoded.word_ids()):
        if word is None or first[word] >= 0:
            labels.append(IGNORED)
        else:
            first[word] = position
            labels.append(label_ids[sentence.tags[word]])
    return Pieces(list(encoded["input_ids"]), labels, first)
