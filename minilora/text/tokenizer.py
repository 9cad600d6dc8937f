"""BERT's tokenizer: text to ids of word pieces.

Devlin et al. 2019, arXiv:1810.04805; equal, id for id and word for word, to the fast BERT tokenizer
of ``transformers``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from minilora.errors import CheckpointError, ConfigError, DataError
from minilora.text.added_tokens import AddedToken, Finder
from minilora.text.encoding import Encoding
from minilora.text.normalizer import split_words
from minilora.text.settings import TokenizerSettings
from minilora.text.tokenizer_files import read_tokenizer
from minilora.text.truncation import fitted_lengths
from minilora.text.wordpiece import WordPiece

N_REMEMBERED = 2**16
"""How many stretches of text without a space are kept with their pieces, since words recur."""
LONGEST_REMEMBERED = 40
"""Longer stretches are hardly met again."""


class WordPieceTokenizer:
    """Cuts texts into word pieces and frames them with ``[CLS]`` and ``[SEP]``.

    Parameters
    ----------
    vocab
        Piece -> id.
    settings
        How to normalise and which pieces are special; by default BERT's, uncased.
    added
        Tokens that are found in a text before anything else is done to it.
    files
        The files all this comes from, that of the vocabulary first.

    Attributes
    ----------
    vocab
        Piece -> id, added tokens included.
    vocab_size
        Their number.
    files
        As given.

    Raises
    ------
    CheckpointError
        The vocabulary lacks one of the special tokens.

    Examples
    --------
    >>> pieces = ["[UNK]", "[CLS]", "[SEP]", "word", "##s"]
    >>> tokenizer = WordPieceTokenizer({piece: i for i, piece in enumerate(pieces)})
    >>> tokenizer("Words!").tokens
    ['[CLS]', 'word', '##s', '[UNK]', '[SEP]']
    """

    def __init__(
        self,
        vocab: dict[str, int],
        *,
        settings: TokenizerSettings | None = None,
        added: Iterable[AddedToken] = (),
        files: Sequence[Path] = (),
    ) -> None:
        self.settings = settings = settings or TokenizerSettings()
        self.files = tuple(files)
        _check_special_tokens(settings, vocab, where=self.files[0] if files else "tokenizer")
        added = list(added)
        self.vocab = vocab | {token.content: token.id for token in added}
        self._spelling = {i: piece for piece, i in self.vocab.items()}
        self._cls, self._sep = self.vocab[settings.cls_token], self.vocab[settings.sep_token]
        self._pieces = WordPiece(
            vocab,
            unknown=settings.unk_token,
            prefix=settings.continuing_subword_prefix,
            max_characters=settings.max_input_chars_per_word,
        )
        self._find_raw = Finder(token for token in added if not token.normalized)
        self._find_normalized = Finder(
            (token for token in added if token.normalized), spelling=settings.normalizer
        )
        self._remembered = lru_cache(N_REMEMBERED)(self._pieces_of_words)

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> WordPieceTokenizer:
        """Read the tokenizer of a Hugging Face folder.

        Parameters
        ----------
        folder
            With ``vocab.txt`` or ``tokenizer.json``, and other tokenizer files if there are any.

        Raises
        ------
        CheckpointError
            A file is missing, damaged, or of another kind of tokenizer.
        """
        read = read_tokenizer(Path(folder))
        return cls(read.vocab, settings=read.settings, added=read.added, files=read.paths)

    @property
    def vocab_size(self) -> int:
        """Number of pieces, added tokens included."""
        return len(self.vocab)

    def __call__(
        self,
        text: str | Sequence[str],
        pair: str | Sequence[str] | None = None,
        *,
        max_length: int = 512,
    ) -> Encoding:
        """Encode one text, or a pair.

        Parameters
        ----------
        text, pair
            A text, or its words: then ``word_ids`` count these words.
        max_length
            The most pieces the encoding may have, ``[CLS]`` and ``[SEP]`` included. Of a pair the
            longer segment is cut first, down to the length of the other, then both.

        Returns
        -------
        Encoding
            ``[CLS] text [SEP]`` or ``[CLS] text [SEP] pair [SEP]``.

        Raises
        ------
        ConfigError
            ``max_length`` leaves no room for the special tokens.
        DataError
            ``text`` or ``pair`` is neither a string nor a sequence of strings.
        """
        segments = [self._segment(part) for part in ([text] if pair is None else [text, pair])]
        n_special = 1 + len(segments)
        if max_length < n_special:
            raise ConfigError(
                f"max_length: is {max_length}; {n_special} or more was expected, since [CLS] and "
                f"[SEP] alone take that many. Raise it."
            )
        lengths = [len(ids) for ids, _ in segments]
        kept = fitted_lengths(lengths, max_length - n_special)

        ids, types = [self._cls], [0]
        word_ids: list[int | None] = [None]
        sequence_ids: list[int | None] = [None]
        for s, ((pieces, words), n) in enumerate(zip(segments, kept, strict=True)):
            ids += [*pieces[:n], self._sep]
            types += [s] * (n + 1)
            word_ids += [*words[:n], None]
            sequence_ids += [*[s] * n, None]
        return Encoding(
            input_ids=np.array(ids, np.int64),
            token_type_ids=np.array(types, np.int64),
            tokens=[self._spelling[i] for i in ids],
            word_ids=word_ids,
            sequence_ids=sequence_ids,
            truncated=kept != lengths,
        )

    def _segment(self, text: str | Sequence[str]) -> tuple[list[int], list[int]]:
        """Ids of all pieces of a segment, and the words they belong to."""
        ids: list[int] = []
        word_ids: list[int] = []
        for word, pieces in self._numbered_words(text):
            ids += pieces
            word_ids += [word] * len(pieces)
        return ids, word_ids

    def _numbered_words(self, text: object) -> Iterable[tuple[int, tuple[int, ...]]]:
        if isinstance(text, str):
            return enumerate(self._words(text))
        if not isinstance(text, Sequence) or not all(isinstance(word, str) for word in text):
            raise DataError(
                f"tokenizer: got {text!r:.80}; a text (str) or its words (list of str) was "
                "expected. Encode several texts one by one."
            )
        return ((n, pieces) for n, word in enumerate(text) for pieces in self._words(word))

    def _words(self, text: str) -> Iterator[tuple[int, ...]]:
        """The pieces of each word of a text."""
        for part in self._find_raw(text):
            if isinstance(part, AddedToken):
                yield (part.id,)
            elif self._find_normalized.tokens:
                yield from self._normalized_words(part)
            else:
                for stretch in part.split(" "):  # no step looks beyond a space
                    short = len(stretch) <= LONGEST_REMEMBERED
                    yield from (self._remembered if short else self._pieces_of_words)(stretch)

    def _normalized_words(self, text: str) -> Iterator[tuple[int, ...]]:
        for part in self._find_normalized(self.settings.normalizer(text)):
            if isinstance(part, AddedToken):
                yield (part.id,)
            else:
                yield from map(self._pieces, split_words(part))

    def _pieces_of_words(self, text: str) -> tuple[tuple[int, ...], ...]:
        return tuple(map(self._pieces, split_words(self.settings.normalizer(text))))


def _check_special_tokens(
    settings: TokenizerSettings, vocab: Mapping[str, int], *, where: Path | str
) -> None:
    for role in ("unk_token", "cls_token", "sep_token"):
        token = getattr(settings, role)
        if token not in vocab:
            raise CheckpointError(
                f"{where}: has no entry {token!r}, the {role}; every vocabulary of BERT's kind has "
                "one. If it is spelled otherwise there, say so in special_tokens_map.json."
            )
