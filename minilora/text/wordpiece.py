"""One word to pieces of the vocabulary.

Wu et al. 2016, arXiv:1609.08144, §4.1; greedy longest match first as in BERT.
"""

from __future__ import annotations

from collections.abc import Mapping


class WordPiece:
    """The longest piece that starts the word, then the longest that goes on, and so on to its end.

    A word that cannot be spelled to its end, or is longer than ``max_characters``, is unknown as a
    whole.

    Parameters
    ----------
    vocab
        Piece -> id. Pieces that continue a word start with ``prefix``.
    unknown
        The piece for words that cannot be spelled.
    """

    def __init__(
        self,
        vocab: Mapping[str, int],
        *,
        unknown: str = "[UNK]",
        prefix: str = "##",
        max_characters: int = 100,
    ) -> None:
        self.unknown = (vocab[unknown],)
        self.max_characters = max_characters
        n = len(prefix)
        self.starts = vocab
        self.continuations = {p[n:]: i for p, i in vocab.items() if p.startswith(prefix)}
        self.longest = max(map(len, vocab))

    def __call__(self, word: str) -> tuple[int, ...]:
        """Ids of the pieces of ``word``."""
        if len(word) > self.max_characters:
            return self.unknown
        ids, start, pieces = [], 0, self.starts
        while start < len(word):
            end = min(len(word), start + self.longest)
            while end > start and word[start:end] not in pieces:
                end -= 1
            if end == start:
                return self.unknown
            ids.append(pieces[word[start:end]])
            start, pieces = end, self.continuations
        return tuple(ids)
