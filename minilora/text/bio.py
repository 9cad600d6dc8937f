"""Entities in a sequence of tags.

A tag is ``O`` or a prefix and a type: ``B-PER`` begins a person, ``I-PER`` goes on with it; ``E-``
ends one and ``S-`` is one of a single word, where a file has those.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

Scheme: TypeAlias = Literal["conll", "strict"]
Span: TypeAlias = tuple[str, int, int]
"""Type, first word, and the word after the last one."""


def spans(tags: Sequence[str], *, scheme: Scheme = "conll") -> list[Span]:
    """The entities in ``tags``, in order.

    They never overlap. What the schemes differ in is how much a malformed sequence is forgiven:

    ``"conll"``
        An entity starts at any tag but ``O`` that does not go on with the one before. This is how
        conlleval.pl counts, and seqeval by default.
    ``"strict"``
        An entity starts at ``B-`` only. This is seqeval's ``mode="strict", scheme=IOB2``.

    Examples
    --------
    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "I-PER"])
    [('PER', 0, 2), ('LOC', 3, 4), ('PER', 4, 5)]
    >>> spans(["B-PER", "I-PER", "O", "I-LOC", "I-PER"], scheme="strict")
    [('PER', 0, 2)]
    """
    return _strict_spans(tags) if scheme == "strict" else _conll_spans(tags)


def _conll_spans(tags: Sequence[str]) -> list[Span]:
    """The rules of conlleval.pl, as seqeval has them, prefixes that no scheme knows included."""
    found: list[Span] = []
    start, before, kind_before = 0, "O", ""
    for i, tag in enumerate([*tags, "O"]):
        prefix, kind = split_tag(tag)
        changes = kind != kind_before
        ends = before in "ES" or (before in "BI" and prefix in "BSO")
        starts = prefix in "BS" or (before in "ESO" and prefix in "EI")
        if ends or (changes and before not in "O."):
            found.append((kind_before, start, i))
        if starts or (changes and prefix not in "O."):
            start = i
        before, kind_before = prefix, kind
    return found


def _strict_spans(tags: Sequence[str]) -> list[Span]:
    """``B-X`` and every ``I-X`` right behind it; whatever else there is counts as ``O``."""
    found: list[Span] = []
    entity: tuple[str, int] | None = None  # type and first word of the one we are in
    for i, tag in enumerate([*tags, "O"]):
        prefix, kind = split_tag(tag)
        if entity and prefix == "I" and kind == entity[0]:
            continue
        if entity:
            found.append((*entity, i))
        entity = (kind, i) if prefix == "B" else None
    return found


def split_tag(tag: str) -> tuple[str, str]:
    """``"B-PER"`` -> ``"B"``, ``"PER"``; a tag without a type has type ``"_"``, as in seqeval."""
    return tag[0], tag[1:].split("-", 1)[-1] or "_"
