"""Tokens such as ``[MASK]`` that are found in a text before anything else is done to it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from minilora.text.characters import SPACES


@dataclass(frozen=True, kw_only=True)
class AddedToken:
    """A token of its own, and how it is told from the text around it.

    Attributes
    ----------
    content, id
        How it is written, and its entry in the vocabulary.
    lstrip, rstrip
        Whether it swallows the white space before and after it.
    single_word
        Whether it counts only where no letter, digit or underscore touches it.
    normalized
        Whether it is looked for in the normalised text rather than in the text as it stands.
    """

    content: str
    id: int
    lstrip: bool = False
    rstrip: bool = False
    single_word: bool = False
    normalized: bool = False


class Finder:
    """Cuts texts at added tokens; where several match, the leftmost and then the longest one.

    Parameters
    ----------
    tokens
        What to look for.
    spelling
        How ``content`` is spelled in the texts: normalised, when they are.
    """

    def __init__(
        self, tokens: Iterable[AddedToken], *, spelling: Callable[[str], str] = str
    ) -> None:
        self.tokens = {spelled: t for t in tokens if (spelled := spelling(t.content))}
        longest_first = sorted(self.tokens, key=len, reverse=True)
        self.pattern = re.compile("|".join(map(re.escape, longest_first)))

    def __call__(self, text: str) -> Iterator[str | AddedToken]:
        """The text between the tokens, and the tokens, in order."""
        done = 0
        for match in self.pattern.finditer(text) if self.tokens else ():
            token = self.tokens[match[0]]
            start, end = match.span()
            if token.single_word and (_is_letter(text, start - 1) or _is_letter(text, end)):
                continue
            while token.lstrip and start > done and ord(text[start - 1]) in SPACES:
                start -= 1
            while token.rstrip and end < len(text) and ord(text[end]) in SPACES:
                end += 1
            if done < start:
                yield text[done:start]
            yield token
            done = end
        if done < len(text):
            yield text[done:]


def _is_letter(text: str, i: int) -> bool:
    """Whether there is a word character at ``i``: a letter, mark, digit, connector or joiner."""
    if not 0 <= i < len(text):
        return False
    category = unicodedata.category(text[i])
    return category[0] in "LM" or category in {"Nd", "Nl", "Pc"} or text[i] in "\u200c\u200d"
