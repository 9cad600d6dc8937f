"""What a tokenizer has to be told besides its vocabulary."""

from __future__ import annotations

from dataclasses import dataclass, field

from minilora.text.normalizer import Normalizer


@dataclass(frozen=True, kw_only=True)
class TokenizerSettings:
    """How BERT's tokenizer works; the words are those of Hugging Face's files.

    Attributes
    ----------
    normalizer
        What is done to a text before it is split into words.
    unk_token
        Stands for a word that the vocabulary cannot spell.
    cls_token, sep_token
        Come before the first segment, and after each.
    continuing_subword_prefix
        Marks the pieces that go on with a word.
    max_input_chars_per_word
        Longer words are unknown.
    """

    normalizer: Normalizer = field(default_factory=Normalizer)
    unk_token: str = "[UNK]"
    cls_token: str = "[CLS]"
    sep_token: str = "[SEP]"
    continuing_subword_prefix: str = "##"
    max_input_chars_per_word: int = 100
