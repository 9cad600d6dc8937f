"""``tokenizer.json``: a whole tokenizer in the words of the ``tokenizers`` library."""

from __future__ import annotations

from pathlib import Path
from types import UnionType
from typing import Any

from minilora.errors import CheckpointError
from minilora.text.normalizer import Normalizer
from minilora.text.settings import TokenizerSettings

Json = dict[str, Any]

KNOWN = {
    "model": {"WordPiece"},
    "normalizer": {"BertNormalizer"},
    "pre_tokenizer": {"BertPreTokenizer"},
    "post_processor": {"TemplateProcessing", "BertProcessing"},
}
"""The parts of a tokenizer, and the kinds of each that make it BERT's."""


def check_kinds(saved: Json, path: Path, *, complete: bool) -> None:
    """Refuse tokenizers of other families, by name; parts may be missing unless ``complete``."""
    for part, kinds in KNOWN.items():
        kind = (saved.get(part) or {}).get("type")
        if kind in kinds or (kind is None and not complete):
            continue
        raise CheckpointError(
            f"{path}: its {part} is of kind {kind}; {' or '.join(sorted(kinds))} was expected, "
            "since only BERT's WordPiece tokenizers are read. Take a BERT-family checkpoint."
        )


def saved_settings(saved: Json, path: Path) -> TokenizerSettings:
    """The settings that a complete ``tokenizer.json`` holds."""

    def setting(part: str, key: str, kind: UnionType | type) -> Any:
        value = saved[part].get(key)
        if not isinstance(value, kind):
            raise CheckpointError(
                f"{path}: {key} of its {part} is {value!r:.40}; a setting of kind "
                f"{getattr(kind, '__name__', kind)} was expected. Save the tokenizer again."
            )
        return value

    cls_token, sep_token = _special_tokens(saved["post_processor"], path)
    for name, token in (("cls", cls_token), ("sep", sep_token)):
        if not isinstance(token, str):
            raise CheckpointError(
                f"{path}: {name} of its post_processor is {token!r:.40}; a piece of the vocabulary "
                "was expected. Save the tokenizer again."
            )
    return TokenizerSettings(
        normalizer=Normalizer(
            lowercase=setting("normalizer", "lowercase", bool),
            strip_accents=setting("normalizer", "strip_accents", bool | None),
            split_ideographs=setting("normalizer", "handle_chinese_chars", bool),
            clean=setting("normalizer", "clean_text", bool),
        ),
        unk_token=setting("model", "unk_token", str),
        cls_token=cls_token,
        sep_token=sep_token,
        continuing_subword_prefix=setting("model", "continuing_subword_prefix", str),
        max_input_chars_per_word=setting("model", "max_input_chars_per_word", int),
    )


def _special_tokens(processor: Json, path: Path) -> tuple[str, str]:
    """What comes before the first segment and after each, if it is put together as BERT's."""
    if processor["type"] == "BertProcessing":
        return processor["cls"][0], processor["sep"][0]
    template = [_template(processor, "single"), _template(processor, "pair")]
    cls_token, sep_token = template[0][0][0], template[0][-1][0]
    bert = [(cls_token, 0), ("$A", 0), (sep_token, 0), ("$B", 1), (sep_token, 1)]
    if template != [bert[:3], bert]:
        raise CheckpointError(
            f"{path}: frames texts as {template[0]} and pairs as {template[1]}; [CLS] A [SEP] and "
            "[CLS] A [SEP] B [SEP] with types 0 and 1 were expected. Take a BERT-family checkpoint."
        )
    return cls_token, sep_token


def _template(processor: Json, name: str) -> list[tuple[str, int]]:
    """``[("[CLS]", 0), ("$A", 0), ...]``: token or segment, and its token type."""
    parts = [(kind, part) for item in processor[name] for kind, part in item.items()]
    return [
        ("$" + part["id"] if kind == "Sequence" else part["id"], part["type_id"])
        for kind, part in parts
    ]
