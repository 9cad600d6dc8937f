"""The tokenizer files of a Hugging Face folder.

They are read as ``transformers.AutoTokenizer`` (5.23) reads them. Where ``tokenizer_class`` is one
of BERT's, ``tokenizer_config.json`` says how to work, with BERT's defaults, and ``tokenizer.json``
(else ``vocab.txt``) gives vocabulary and added tokens only. Where the class is a generic one, or
there is nothing but a ``tokenizer.json``, that file says everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from minilora.errors import CheckpointError, MiniLoraError
from minilora.files import read_json
from minilora.text.added_tokens import AddedToken
from minilora.text.normalizer import Normalizer
from minilora.text.settings import TokenizerSettings
from minilora.text.special_tokens import TokenSources, added_tokens, named_tokens
from minilora.text.tokenizer_json import check_kinds, saved_settings
from minilora.text.vocabulary import check_vocab, read_vocab_txt

Json: TypeAlias = dict[str, Any]

VOCABULARIES = ("tokenizer.json", "vocab.txt")
TOKENIZER_FILES = (
    *VOCABULARIES,
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
)
BERT_CLASSES = ("BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MobileBertTokenizer")
GENERIC_CLASSES = ("PreTrainedTokenizer", "TokenizersBackend")
UNSUPPORTED = {"truncation_side": "left", "split_special_tokens": True}


@dataclass(frozen=True, kw_only=True)
class TokenizerFiles:
    """What the tokenizer files of a folder say.

    Attributes
    ----------
    paths
        Those that are there.
    vocab
        Piece -> id, without the added tokens.
    settings, added
        How to work, and the tokens to find before anything else is done to a text.
    """

    paths: tuple[Path, ...]
    vocab: dict[str, int]
    settings: TokenizerSettings
    added: tuple[AddedToken, ...]


def read_tokenizer(folder: Path) -> TokenizerFiles:
    """Read and check the tokenizer files in ``folder``.

    Raises
    ------
    CheckpointError
        A file is missing, damaged, or of another kind of tokenizer.
    """
    try:
        return _read(folder)
    except MiniLoraError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as problem:
        # JSON may hold anything anywhere: what is not checked by name is refused as a whole.
        raise CheckpointError(
            f"{folder}: its tokenizer files are not laid out as transformers does it "
            f"({type(problem).__name__}: {problem}). Take them from the checkpoint again."
        ) from problem


def _read(folder: Path) -> TokenizerFiles:
    sources = _read_sources(folder)
    vocab = _read_vocab(sources)
    settings = (
        saved_settings(sources.saved, folder / "tokenizer.json")
        if sources.generic
        else _bert_settings(sources)
    )
    paths = tuple(folder / name for name in TOKENIZER_FILES if (folder / name).is_file())
    return TokenizerFiles(
        paths=paths, vocab=vocab, settings=settings, added=added_tokens(sources, vocab)
    )


def _read_sources(folder: Path) -> TokenSources:
    def read(name: str) -> Json:
        path = folder / name
        return read_json(path, "this part of the tokenizer") if path.is_file() else {}

    config, saved = read("tokenizer_config.json"), read("tokenizer.json")
    for key, value in UNSUPPORTED.items():
        if config.get(key) == value:
            raise CheckpointError(
                f"{folder / 'tokenizer_config.json'}: {key} is {value!r}, which is not supported; "
                f"another value was expected. Remove {key} if the model does not depend on it."
            )
    return TokenSources(
        folder=folder,
        config=config,
        special_map=read("special_tokens_map.json"),
        legacy=read("added_tokens.json"),
        saved=saved,
        generic=_is_generic(folder, config, read("config.json"), saved),
    )


def _is_generic(folder: Path, config: Json, model_config: Json, saved: Json) -> bool:
    """Whether ``tokenizer.json`` says everything."""
    declared = config.get("tokenizer_class") or model_config.get("tokenizer_class")
    if declared is None:
        return bool(saved) and not config and not model_config
    name = str(declared).removesuffix("Fast")
    if name not in (*BERT_CLASSES, *GENERIC_CLASSES):
        raise CheckpointError(
            f"{folder}: its tokenizer_class is {declared}; {' or '.join(BERT_CLASSES)} was "
            "expected, since only BERT's tokenizers are read. Take a BERT-family checkpoint."
        )
    return name in GENERIC_CLASSES


def _read_vocab(sources: TokenSources) -> dict[str, int]:
    folder, path = sources.folder, sources.folder / "tokenizer.json"
    if sources.saved:
        check_kinds(sources.saved, path, complete=sources.generic)
        return check_vocab(sources.saved["model"].get("vocab"), path)
    if sources.generic or not (folder / "vocab.txt").is_file():
        raise CheckpointError(
            f"{folder}: has no {'' if sources.generic else 'vocab.txt or '}tokenizer.json; the "
            "folder of a BERT-family checkpoint was expected. Put its tokenizer files there."
        )
    return read_vocab_txt(folder / "vocab.txt")


def _bert_settings(sources: TokenSources) -> TokenizerSettings:
    named = named_tokens(sources)
    return TokenizerSettings(
        normalizer=Normalizer(
            lowercase=_flag(sources, "do_lower_case"),
            strip_accents=(
                None
                if sources.config.get("strip_accents") is None
                else _flag(sources, "strip_accents")
            ),
            split_ideographs=_flag(sources, "tokenize_chinese_chars"),
        ),
        unk_token=named["unk_token"]["content"],
        cls_token=named["cls_token"]["content"],
        sep_token=named["sep_token"]["content"],
    )


def _flag(sources: TokenSources, key: str) -> bool:
    value = sources.config.get(key, True)
    if not isinstance(value, bool):
        path = sources.folder / "tokenizer_config.json"
        raise CheckpointError(f"{path}: {key} is {value!r}; true or false was expected.")
    return value
