"""Which tokens the files of a folder add to its vocabulary.

``tokenizer_config.json`` may list them all under ``added_tokens_decoder``. Where it does not, the
older ``special_tokens_map.json``, ``added_tokens.json`` and ``tokenizer.json`` have a say.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from minilora.errors import CheckpointError
from minilora.text.added_tokens import AddedToken

Json: TypeAlias = dict[str, Any]

BERT_TOKENS = {
    "unk_token": "[UNK]",
    "sep_token": "[SEP]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "mask_token": "[MASK]",
}


@dataclass(frozen=True, kw_only=True)
class TokenSources:
    """The JSON files of a folder that speak of tokens; empty where there is no such file.

    Attributes
    ----------
    folder
        For messages.
    config, special_map, legacy, saved
        ``tokenizer_config.json``, ``special_tokens_map.json``, ``added_tokens.json`` and
        ``tokenizer.json``.
    generic
        Whether ``tokenizer.json`` counts in any case, and BERT's names are not taken for granted.
    """

    folder: Path
    config: Json
    special_map: Json
    legacy: Json
    saved: Json
    generic: bool

    @property
    def decoder(self) -> Json | None:
        """``added_tokens_decoder``: every added token by its id."""
        return self.config.get("added_tokens_decoder")

    @property
    def roles(self) -> Json:
        """Where ``cls_token`` and so on are named."""
        return self.config if self.decoder is not None else self.config | self.special_map

    def token(self, token: Any) -> Json:
        """A token as an object with its content, however it is written."""
        if isinstance(token, str):
            return {"content": token, "special": True}
        if isinstance(token, dict) and isinstance(token.get("content"), str):
            return token
        raise CheckpointError(
            f"{self.folder}: a token in its tokenizer files is {token!r}; a string or an object "
            "with a content was expected. Take the files from the checkpoint again."
        )


def named_tokens(sources: TokenSources) -> dict[str, Json]:
    """``cls_token`` and so on."""
    named = ({} if sources.generic else BERT_TOKENS) | sources.roles
    return {
        role: sources.token(token)
        for role, token in named.items()
        if role.endswith("_token") and isinstance(token, str | dict)
    }


def added_tokens(sources: TokenSources, vocab: dict[str, int]) -> tuple[AddedToken, ...]:
    """All added tokens; those that are new to the vocabulary get the next ids."""
    named, extra = named_tokens(sources), _extra_tokens(sources)
    tokens = {t["content"]: t for t in _listed_tokens(sources, [*named.values(), *extra])}
    for role, token in named.items():
        if role in sources.roles or token["content"] in vocab:  # [MASK], say, may not exist
            tokens.setdefault(token["content"], token)
    for token in extra:
        tokens.setdefault(token["content"], token)

    added, next_id = [], len(vocab)
    for content, token in tokens.items():
        i = vocab.get(content, next_id)
        next_id += content not in vocab
        if token.get("id", i) != i:
            raise CheckpointError(
                f"{sources.folder}: the added token {content!r} is said to have id {token['id']}; "
                f"{i}, its place in or after the vocabulary, was expected. Do all tokenizer files "
                "belong to one model?"
            )
        added.append(_added_token(token, i))
    return tuple(added)


def _listed_tokens(sources: TokenSources, special: Iterable[Json]) -> list[Json]:
    """The tokens that are listed with ids, in the order of these; of two the last one counts."""
    listed: list[Json] = []
    if sources.decoder is None:
        contents = {token["content"] for token in special}
        listed += (
            {"content": content, "id": i, "special": content in contents}
            for content, i in sources.legacy.items()
        )
    if sources.decoder is None or sources.generic:
        listed += map(sources.token, sources.saved.get("added_tokens", ()))
    listed += ({**sources.token(t), "id": int(i)} for i, t in (sources.decoder or {}).items())
    return sorted(listed, key=lambda token: int(token["id"]))


def _extra_tokens(sources: TokenSources) -> list[Json]:
    """Special tokens beside the named ones."""
    roles = sources.roles
    extra = roles.get("extra_special_tokens") or roles.get("additional_special_tokens") or ()
    return [sources.token(t) for t in (extra.values() if isinstance(extra, dict) else extra)]


def _added_token(token: Json, i: int) -> AddedToken:
    flags = {flag: bool(token.get(flag)) for flag in ("lstrip", "rstrip", "single_word")}
    normalized = token.get("normalized", not token.get("special"))
    return AddedToken(content=token["content"], id=i, normalized=bool(normalized), **flags)
