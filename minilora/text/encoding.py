"""What a tokenizer makes of one text."""

from __future__ import annotations

from dataclasses import dataclass

from minilora._types import Array


@dataclass(frozen=True, eq=False)
class Encoding:
    """One text, or pair of texts, as word pieces; all lists and arrays have length L.

    Attributes
    ----------
    input_ids
        Vocabulary entries (L,) int64.
    token_type_ids
        0 in the first segment with its ``[CLS]`` and ``[SEP]``, 1 in the second (L,) int64.
    tokens
        The pieces as the vocabulary spells them.
    word_ids
        Which word of its own segment a piece belongs to; None for ``[CLS]`` and ``[SEP]``.
    sequence_ids
        Which segment a piece belongs to, 0 or 1; None for ``[CLS]`` and ``[SEP]``.
    truncated
        Whether pieces were cut off to fit ``max_length``.
    """

    input_ids: Array
    token_type_ids: Array
    tokens: list[str]
    word_ids: list[int | None]
    sequence_ids: list[int | None]
    truncated: bool = False

    def __len__(self) -> int:
        return len(self.input_ids)
