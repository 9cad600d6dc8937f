"""A corpus through the tokenizer: which word piece carries which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minilora._types import Array
from minilora.errors import DataError, did_you_mean
from minilora.text.batch import IGNORED
from minilora.text.corpus import Corpus, Example, Row, Sentence
from minilora.text.dataset import Dataset, EncodingReport, first_pieces
from minilora.text.encoding import Encoding
from minilora.text.tokenizer import WordPieceTokenizer


def encode_corpus(
    corpus: Corpus,
    tokenizer: WordPieceTokenizer,
    labels: Sequence[str],
    *,
    max_length: int = 512,
) -> Dataset:
    """Encode all rows of a corpus, and align their labels with the word pieces.

    The label of a word sits on its first piece. Words without a piece (a lone accent, say), and
    words that are cut off, have nothing that could be learned: `Dataset.report` counts them, and
    `Dataset.word_tags` gives them ``O``.

    Parameters
    ----------
    corpus
        The rows.
    tokenizer
        That of the model.
    labels
        All labels in the order of the model's outputs, see `label_names`.
    max_length
        The most word pieces a row may have, ``[CLS]`` and ``[SEP]`` included.

    Raises
    ------
    DataError
        A label that is not among ``labels``, with its line.
    ConfigError
        ``max_length`` leaves no room for the special tokens.
    """
    encodings = [_encode(row, tokenizer, max_length) for row in corpus.rows]
    return Dataset(
        task=corpus.task,
        encodings=encodings,
        labels=_encode_labels(corpus, encodings, labels) if corpus.labelled else None,
        label_names=tuple(labels),
        rows=corpus.rows,
        report=_report(corpus.rows, encodings),
    )


def _encode(row: Row, tokenizer: WordPieceTokenizer, max_length: int) -> Encoding:
    if isinstance(row, Sentence):
        return tokenizer(row.words, max_length=max_length)
    return tokenizer(row.text, row.text_pair, max_length=max_length)


def _encode_labels(
    corpus: Corpus, encodings: Sequence[Encoding], labels: Sequence[str]
) -> list[Array] | Array:
    ids = {name: i for i, name in enumerate(labels)}

    def id_of(label: str, row: Row) -> int:
        if label not in ids:
            raise DataError(
                f"{corpus.path}:{row.line}: the label {label!r} is not one that the model knows; "
                f"one from its training data was expected.{did_you_mean(label, ids)}"
            )
        return ids[label]

    if corpus.task == "classify":
        examples = (row for row in corpus.rows if isinstance(row, Example))
        return np.array([id_of(row.label, row) for row in examples], np.int64)
    sentences = (row for row in corpus.rows if isinstance(row, Sentence))
    return [
        _piece_labels(encoding, [id_of(tag, row) for tag in row.tags])
        for row, encoding in zip(sentences, encodings, strict=True)
    ]


def _piece_labels(encoding: Encoding, word_labels: Sequence[int]) -> Array:
    labels = np.full(len(encoding), IGNORED, np.int64)  # (L,)
    for piece in first_pieces(encoding.word_ids):
        word = encoding.word_ids[piece]
        assert word is not None
        labels[piece] = word_labels[word]
    return labels


def _report(rows: Sequence[Row], encodings: Sequence[Encoding]) -> EncodingReport:
    n_cut = n_vanished = 0
    for row, encoding in zip(rows, encodings, strict=True):
        if isinstance(row, Sentence):
            kept = {word for word in encoding.word_ids if word is not None}
            cut = len(row.words) - 1 - max(kept, default=-1) if encoding.truncated else 0
            n_cut += cut
            n_vanished += len(row.words) - len(kept) - cut
    return EncodingReport(
        n_rows=len(rows),
        n_truncated=sum(encoding.truncated for encoding in encodings),
        n_words_cut=n_cut,
        n_words_vanished=n_vanished,
    )
