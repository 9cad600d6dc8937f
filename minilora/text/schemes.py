"""The ways to write entities as tags, told apart and turned into BIO.

BIO (also IOB2) begins every entity with ``B-``. IOB1 does so only where it touches another of its
type. BIOES marks the end with ``E-`` and an entity of one word with ``S-``; BILOU says ``L-`` and
``U-`` for these.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from minilora.errors import DataError
from minilora.text.bio import spans
from minilora.text.corpus import Sentence
from minilora.text.counting import count

_TAG = re.compile(r"O|[BIESLU]-.+")
_BILOU_AS_BIOES = {"L": "E", "U": "S"}


def is_tag(tag: str) -> bool:
    """Whether a tag is of one of the four schemes."""
    return _TAG.fullmatch(tag) is not None


def check_tag(tag: str, where: str) -> None:
    """Raise a DataError that starts with ``where`` unless `is_tag`."""
    if not is_tag(tag):
        hint = " Did you mean the letter 'O'?" if tag in {"0", "o", ""} else ""
        raise DataError(
            f"{where}: the tag is {tag!r:.40}; 'O' was expected, or a type with B, I, E, S, L or U "
            f"before it, as in 'B-PER'.{hint}"
        )


def to_bio(sentences: Sequence[Sentence]) -> tuple[list[Sentence], list[str]]:
    """Find the scheme that fits a whole file best, and turn its tags into BIO.

    What does not follow that scheme is read as conlleval.pl and seqeval do: see
    `minilora.text.bio.spans`.

    Returns
    -------
    The sentences with BIO tags, and notes for people on what was changed.
    """
    prefixes = {tag[0] for sentence in sentences for tag in sentence.tags}
    if prefixes & set("LU"):
        candidates = ["BILOU"]
    elif prefixes & set("ES"):
        candidates = ["BIOES"]
    else:
        candidates = ["BIO", "IOB1"]
    misfits = {scheme: _misfits(sentences, scheme) for scheme in candidates}
    scheme = min(candidates, key=lambda candidate: len(misfits[candidate]))

    notes = [] if scheme == "BIO" else [f"tags are {scheme}; they were turned into BIO"]
    if misfits[scheme]:
        line, tag, fitting = misfits[scheme][0]
        notes.append(
            f"{count(len(misfits[scheme]), 'tag')} not in {scheme} (the first: {tag} for {fitting} "
            f"in the sentence on line {line}), read as conlleval.pl does"
        )
    return [replace(s, tags=_rewrite(s.tags, "BIO")) for s in sentences], notes


def _misfits(sentences: Sequence[Sentence], scheme: str) -> list[tuple[int, str, str]]:
    """Where a tag does not follow a scheme: line of the sentence, the tag, and one that would."""
    return [
        (sentence.line, tag, fitting)
        for sentence in sentences
        for tag, fitting in zip(sentence.tags, _rewrite(sentence.tags, scheme), strict=True)
        if tag != fitting
    ]


def _rewrite(tags: Sequence[str], scheme: str) -> list[str]:
    """The entities in ``tags``, written in ``scheme``."""
    written = ["O"] * len(tags)
    last = ("", -1)  # type and end of the entity before
    for kind, start, end in spans([_as_bioes(tag) for tag in tags]):
        prefixes = _prefixes(end - start, scheme, touches=last == (kind, start))
        written[start:end] = [f"{prefix}-{kind}" for prefix in prefixes]
        last = (kind, end)
    return written


def _as_bioes(tag: str) -> str:
    return _BILOU_AS_BIOES.get(tag[0], tag[0]) + tag[1:]


def _prefixes(n: int, scheme: str, *, touches: bool) -> str:
    """The prefixes of an entity of ``n`` words; ``touches`` another of its type just before it."""
    match scheme:
        case "BIO":
            return "B" + "I" * (n - 1)
        case "IOB1":
            return ("B" if touches else "I") + "I" * (n - 1)
        case "BIOES":
            return "S" if n == 1 else "B" + "I" * (n - 2) + "E"
        case _:
            return "U" if n == 1 else "B" + "I" * (n - 2) + "L"
