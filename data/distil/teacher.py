"""What the teacher makes of every word of some texts: its hidden states, on disk."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from distil.texts import Text
from minilora import Batch, BertModel, Encoding, Tensor, WordPieceTokenizer
from minilora._types import Array
from minilora.train import map_shards

CHUNK_TOKENS = 4096
N_SAMPLES = 16
"""Chunks, from all over the texts, that the mean and deviation of the states are taken from."""


@dataclass(frozen=True, eq=False)
class States:
    """Hidden states after some of the teacher's layers, a row a word.

    A word's row is the mean over the teacher's pieces of it; [CLS] and [SEP] have rows too. So the
    rows of a text do not depend on how a vocabulary cuts its words.

    Attributes
    ----------
    rows
        (rows, layers, D) float16, every column with mean 0 and deviation 1.
    first
        (texts + 1,) where each text's rows start.
    whole
        (texts,) whether the teacher read the text to its end.
    """

    rows: Array
    first: Array
    whole: Array


def word_numbers(encoding: Encoding) -> Array:
    """(L,) the word each piece belongs to, counted from [CLS], which is 0, to [SEP]."""
    ids = encoding.word_ids
    starts = [i == 0 or word is None or word != ids[i - 1] for i, word in enumerate(ids)]
    return np.cumsum(starts) - 1


def states_of(
    teacher: BertModel,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[Text],
    *,
    layers: Sequence[int],
    folder: Path,
    threads: int | None,
    progress: Callable[[list[Array]], Iterable[Array]] = lambda chunks: chunks,
) -> States:
    """Let the teacher read all texts; its states after ``layers`` are kept in ``folder``.

    What lies there from another time, of the same teacher, vocabulary and texts, is used again.

    Parameters
    ----------
    teacher, tokenizer
        Longer texts are cut to as many pieces as the teacher has positions.
    texts
        At least one.
    layers
        Which hidden states: 0 is what comes out of the embeddings, l what comes out of layer l.
    folder
        2 bytes a number; the file is mapped into memory, not read.
    threads
        Cores to use (default: all).
    progress
        Iterates over the chunks of texts, and shows how far it is.
    """
    P = teacher.config.max_position_embeddings
    encodings = [tokenizer(text, max_length=P) for text in texts]
    whole = np.array([not encoding.truncated for encoding in encodings])
    words = [word_numbers(encoding) for encoding in encodings]
    first = np.concatenate([[0], np.cumsum([numbers[-1] + 1 for numbers in words])])
    file = folder / f"{identity(teacher, tokenizer, texts, layers)}.npy"
    if file.exists():
        return States(np.load(file, mmap_mode="r"), first, whole)
    chunks = in_chunks([len(encoding) for encoding in encodings], CHUNK_TOKENS)

    def read(chunk: Array) -> Array:
        batch, rows = Batch.pack([encodings[i] for i in chunk]), [np.empty(0)] * len(chunk)

        def forward(shard: Batch) -> list[Array]:
            h = np.stack([h.data for h in hidden_states(teacher, shard)], axis=1)[:, list(layers)]
            return np.split(h, shard.offsets[1:-1])

        for members, found in map_shards(forward, batch, threads=threads):
            for i, h in zip(members, found, strict=True):
                rows[i] = mean_by_word(h, words[chunk[i]])
        return np.concatenate(rows)

    sample = np.concatenate([read(c) for c in chunks[:: max(1, len(chunks) // N_SAMPLES)]])
    mean, deviation = sample.mean(axis=0), sample.std(axis=0)
    partial = file.with_suffix(".partial")
    shape = (int(first[-1]), len(layers), teacher.config.hidden_size)
    rows = np.lib.format.open_memmap(partial, mode="w+", dtype=np.float16, shape=shape)
    for chunk in progress(chunks):
        rows[first[chunk[0]] : first[chunk[-1] + 1]] = (read(chunk) - mean) / deviation
    rows.flush()
    partial.rename(file)
    return States(rows, first, whole)


def identity(
    teacher: BertModel,
    tokenizer: WordPieceTokenizer,
    texts: Sequence[Text],
    layers: Sequence[int],
) -> str:
    """A name for these states, 16 hexadecimal digits."""
    digest = hashlib.sha256(json.dumps([list(layers), tokenizer.vocab, *texts]).encode())
    for _, parameter in teacher.named_parameters():
        digest.update(parameter.data.data)
    return digest.hexdigest()[:16]


def hidden_states(model: BertModel, batch: Batch) -> list[Tensor]:
    """What comes out of the embeddings and then of each layer, each (T, D)."""
    states = [model.embeddings(batch)]
    for layer in model.encoder.layer:
        states.append(layer(states[-1], batch.offsets))
    return states


def mean_by_word(h: Array, words: Array) -> Array:
    """Mean of the rows of each word: h (L, ...), words (L,) -> (words, ...)"""
    starts = np.flatnonzero(np.diff(words, prepend=-1))
    counts = np.bincount(words).reshape(-1, *[1] * (h.ndim - 1))
    means: Array = np.add.reduceat(h, starts, axis=0) / counts
    return means


def in_chunks(lengths: Sequence[int] | Array, n_tokens: int) -> list[Array]:
    """The numbers of texts of these lengths, about ``n_tokens`` pieces a chunk, in order."""
    cut = np.cumsum(lengths) // n_tokens
    return np.split(np.arange(len(lengths)), np.flatnonzero(np.diff(cut)) + 1)
