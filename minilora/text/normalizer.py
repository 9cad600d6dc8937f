"""From what people write to the words that BERT's vocabulary is asked about.

What BERT (Devlin et al. 2019, arXiv:1810.04805) calls basic tokenization: clean, set Chinese
characters apart, strip accents, lower-case, split at spaces and punctuation. Every step looks at
one character at a time, so all of them together are one table from characters to strings.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field

from minilora.text.characters import (
    IDEOGRAPHS,
    MARKS,
    PUNCTUATION,
    REMOVED,
    SPACES,
    YOUNG_LOWER,
)


@dataclass(frozen=True, kw_only=True)
class Normalizer:
    """Clean, set Chinese characters apart, strip accents, lower-case: in this order.

    Attributes
    ----------
    lowercase
        Whether the vocabulary is uncased.
    strip_accents
        Whether é becomes e; None does it when lower-casing.
    split_ideographs
        Whether each Chinese character becomes a word.
    clean
        Whether control characters vanish and every white space becomes a space.
    """

    lowercase: bool = True
    strip_accents: bool | None = None
    split_ideographs: bool = True
    clean: bool = True
    _table: _LazyTable = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_table", _LazyTable(self._character))

    def __call__(self, text: str) -> str:
        """The text as the vocabulary would spell it."""
        return text.translate(self._table)

    def _character(self, code: int) -> str:
        if self.clean:
            if code in REMOVED:
                return ""
            if code in SPACES:
                return " "
        character = chr(code)
        if self.lowercase if self.strip_accents is None else self.strip_accents:
            # NFD of a whole text also sorts the marks that follow a letter, but those go anyway.
            decomposed = unicodedata.normalize("NFD", character)
            character = "".join(c for c in decomposed if ord(c) not in MARKS)
        if self.lowercase:
            # Letter by letter, so that Σ is σ everywhere: str.lower makes it ς where a word ends.
            character = "".join(YOUNG_LOWER.get(c) or c.lower() for c in character)
        return f" {character} " if self.split_ideographs and code in IDEOGRAPHS else character


def split_words(text: str) -> list[str]:
    """Split a normalised text at white space, which goes, and punctuation, which stays."""
    return [word for word in text.translate(_SET_APART).split(" ") if word]


class _LazyTable(dict[int, str]):
    """A table for ``str.translate`` that works out an entry when it is first needed."""

    def __init__(self, entry: Callable[[int], str]) -> None:
        super().__init__()
        self.entry = entry

    def __missing__(self, code: int) -> str:
        self[code] = made = self.entry(code)
        return made


def _set_apart(code: int) -> str:
    if code in SPACES:
        return " "
    return f" {chr(code)} " if code in PUNCTUATION else chr(code)


_SET_APART = _LazyTable(_set_apart)
