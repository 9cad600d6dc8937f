"""A small vocabulary, cut from the teacher's."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterable

from distil.texts import Text
from minilora.errors import ConfigError
from minilora.text import WordPieceTokenizer
from minilora.text.normalizer import Normalizer, split_words
from minilora.text.wordpiece import WordPiece

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
PREFIX = "##"
CAPITALISED_SHARE = 0.2
"""Of a word's frequency in English at large: how much of it is at the start of a sentence, say."""


def normalizer(*, cased: bool) -> Normalizer:
    """What the student does to a text: as the teacher does, but for the capitals if ``cased``."""
    return Normalizer(lowercase=not cased, strip_accents=True)


def choose_pieces(
    teacher: WordPieceTokenizer, texts: Iterable[Text], *, size: int, cased: bool
) -> dict[str, int]:
    """The student's pieces, in the order of their ids, each with the teacher's id of its meaning.

    Every piece is one of the teacher's, or, if ``cased``, one of its words with a capital or in
    capitals, which starts out meaning the same. All single characters that can occur are in; the
    rest is chosen by how often it occurs: in ``texts``, and in English at large, where the k-th
    piece of the teacher's vocabulary, which is in order of frequency, has a share of 1 / k (Zipf).

    Parameters
    ----------
    teacher
        Its vocabulary is uncased and in order of frequency, as BERT's are.
    texts
        Of the kind the student is to read.
    size
        V of the student.
    cased
        Whether the student sees capitals.

    Raises
    ------
    ConfigError
        ``size`` has no room for the special tokens and single characters, or the teacher has fewer
        pieces.
    """
    ids = {p: i for p, i in teacher.vocab.items() if not p.startswith("[unused")}
    known = dict(ids)
    if cased:
        known = _with_capitals(ids)
    always = [*SPECIAL, *(p for p in known if _is_character(p) and _can_occur(p))]
    if not len(always) < size <= len(known):
        raise ConfigError(
            f"vocabulary: {size} pieces; more than the {len(always)} special tokens and single "
            f"characters, and at most the {len(known)} pieces there are, were expected."
        )
    counts = _count(known, texts, normalizer(cased=cased))
    weight = sum(counts.values()) / sum(1 / k for k in range(1, len(ids)))
    first = next(i for piece, i in ids.items() if piece.isalpha() and len(piece) > 1)

    def score(piece: str) -> float:
        general = weight / max(1, known[piece] - first + 1)
        share = 1.0 if piece in ids else CAPITALISED_SHARE * piece.istitle()
        return counts[piece] + share * general

    chosen = set(always)
    others = sorted((p for p in known if p not in chosen and p not in SPECIAL), key=score)
    chosen |= set(others[len(always) - size :])
    ordered = [*SPECIAL, *(p for p in known if p in chosen and p not in SPECIAL)]
    return {piece: known[piece] for piece in ordered}


def _with_capitals(ids: dict[str, int]) -> dict[str, int]:
    """The teacher's pieces, and those of them that have other forms in these."""
    known, capitals = dict(ids), _capitals()
    for piece, i in ids.items():
        if piece in SPECIAL:
            continue
        if _is_character(piece):
            for capital in capitals[piece[-1]]:
                known.setdefault(piece[:-1] + capital, i)
        elif not piece.startswith(PREFIX) and piece.isalpha():
            known.setdefault(piece.capitalize(), i)
            known.setdefault(piece.upper(), i)
    return known


def _capitals() -> defaultdict[str, list[str]]:
    """The capitals of every letter, as a text that keeps them can hold them: ẞ and Θ, ϴ too."""
    keep, capitals = normalizer(cased=True), defaultdict(list)
    for c in map(chr, range(sys.maxunicode + 1)):
        if c.lower() != c and len(c.lower()) == 1 and keep(c) == c:
            capitals[c.lower()].append(c)
    return capitals


def _is_character(piece: str) -> bool:
    return len(piece.removeprefix(PREFIX)) == 1 if piece != PREFIX else False


def _can_occur(piece: str) -> bool:
    """Whether a text can have this character inside a word, if it is one that goes on with one.

    Punctuation and ideographs are words of their own, so ``##!`` and ``##中`` never come up.
    """
    if not piece.startswith(PREFIX):
        return True
    return len(split_words(normalizer(cased=True)("a" + piece.removeprefix(PREFIX)))) == 1


def _count(known: dict[str, int], texts: Iterable[Text], spelling: Normalizer) -> Counter[str]:
    """How often each piece occurs in the texts if all of them are in the vocabulary."""
    order = {piece: n for n, piece in enumerate(known)}
    pieces_of = WordPiece(order, unknown="[UNK]", prefix=PREFIX, max_characters=100)
    words: Counter[str] = Counter()
    for text in texts:
        for part in [text] if isinstance(text, str) else text:
            words.update(split_words(spelling(part)))
    counts: Counter[str] = Counter()
    spelled = list(order)
    for word, n in words.items():
        for i in pieces_of(word):
            counts[spelled[i]] += n
    return counts
