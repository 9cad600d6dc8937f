"""Vocabularies: which piece has which id."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minilora.errors import CheckpointError
from minilora.files import decode, read_bytes

_WAY_OUT = "Take the file from the checkpoint again."


def read_vocab_txt(path: Path) -> dict[str, int]:
    """``vocab.txt``: the piece on line n + 1 has id n."""
    raw = read_bytes(path, "the vocabulary", error=CheckpointError)
    text = decode(raw, path, error=CheckpointError)
    vocab: dict[str, int] = {}
    for i, line in enumerate(text.removesuffix("\n").split("\n")):
        piece = line.rstrip() or line.removesuffix("\r")  # a piece may be a single odd space
        if not piece:
            raise CheckpointError(
                f"{path}:{i + 1}: is empty; a piece of the vocabulary was expected on every line, "
                f"since the line is its id. {_WAY_OUT}"
            )
        if piece in vocab:
            raise CheckpointError(
                f"{path}:{i + 1}: {piece!r} is on line {vocab[piece] + 1} already; each piece was "
                f"expected once. {_WAY_OUT}"
            )
        vocab[piece] = i
    return vocab


def check_vocab(vocab: Any, path: Path) -> dict[str, int]:
    """Return the ``vocab`` of a tokenizer.json if it gives its n pieces the ids 0 to n - 1."""
    if not isinstance(vocab, dict) or not vocab:
        raise CheckpointError(
            f"{path}: its model has no vocabulary; pieces with their ids were expected. {_WAY_OUT}"
        )
    owner: dict[int, str] = {}
    for piece, i in vocab.items():
        if type(i) is not int or not 0 <= i < len(vocab):
            raise CheckpointError(
                f"{path}: {piece!r} has id {i!r} in a vocabulary of {len(vocab):,}; whole numbers "
                f"from 0 on, without gaps, were expected. {_WAY_OUT}"
            )
        if i in owner:
            raise CheckpointError(
                f"{path}: {owner[i]!r} and {piece!r} both have id {i}; each piece of a vocabulary "
                f"was expected to have its own. {_WAY_OUT}"
            )
        if not piece:
            raise CheckpointError(
                f"{path}: the piece with id {i} is empty; at least a character was expected. "
                f"{_WAY_OUT}"
            )
        owner[i] = piece
    return vocab
