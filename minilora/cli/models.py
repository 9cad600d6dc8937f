"""Models by task, and what every command checks of one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from minilora._types import Rng
from minilora.cli.console import Console
from minilora.cli.table import Cell, table
from minilora.errors import CheckpointError, ConfigError
from minilora.files import read_json
from minilora.io.huggingface import TOKENIZER_CONFIG
from minilora.nn import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    count_parameters,
)
from minilora.text import Task, WordPieceTokenizer

MODELS: dict[Task, type[BertForTokenClassification] | type[BertForSequenceClassification]] = {
    "ner": BertForTokenClassification,
    "classify": BertForSequenceClassification,
}
SHORTEST = 3  # [CLS], a word piece, [SEP]


def load_base(
    task: Task, folder: Path, labels: Sequence[str], *, rng: Rng, console: Console
) -> tuple[Any, list[str]]:
    """Read a base model with a head for ``labels``; also, which of its modules are trained whole.

    Those are the head and what a classification starts at random besides.
    """
    model = MODELS[task].from_pretrained(folder, labels=labels, rng=rng)
    fresh = {name.removeprefix("bert.").split(".")[0] for name in model.started_at_random}
    if "classifier" not in fresh:
        console.note("the base has a classifier for as many labels: training starts from it")
    if "pooler" in fresh:
        console.note("the base has no pooler: it starts at random, as the classifier does")
    return model, ["classifier", *(["pooler"] if "pooler" in fresh else [])]


def read_tokenizer(folder: Path, config: BertConfig) -> WordPieceTokenizer:
    """The tokenizer beside a model, if the model has an embedding for each of its pieces.

    Raises
    ------
    CheckpointError
        There is none, it is damaged, or belongs to a larger vocabulary.
    """
    tokenizer = WordPieceTokenizer.from_pretrained(folder)
    if max(tokenizer.vocab.values()) >= config.vocab_size:
        raise CheckpointError(
            f"{folder}: the vocabulary has {tokenizer.vocab_size:,} word pieces, the model "
            f"embeddings for {config.vocab_size:,}; put the tokenizer files that belong to it there"
        )
    return tokenizer


def fitting_length(asked: int | None, config: BertConfig) -> int:
    """Word pieces at which texts are cut: as asked, else as many as the model has positions for.

    Raises
    ------
    ConfigError
        More than that, or too few for a word.
    """
    longest = config.max_position_embeddings
    if asked is None:
        return longest
    if not SHORTEST <= asked <= longest:
        raise ConfigError(
            f"--max-length: got {asked}; expected {SHORTEST} to {longest}, for which the model has "
            "positions"
        )
    return asked


def saved_length(folder: Path, config: BertConfig) -> int | None:
    """``model_max_length`` of the tokenizer in a folder, where it says less than the positions."""
    path = folder / TOKENIZER_CONFIG
    said = read_json(path, "the tokenizer's config").get("model_max_length") if path.exists() else 0
    fits = isinstance(said, int) and SHORTEST <= said < config.max_position_embeddings
    return said if fits else None


def weights_sha256(folder: Path) -> str:
    """What identifies the weights in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def parameter_lines(model: Any) -> list[str]:
    """A table for people: what is trained of what."""
    totals: dict[str, list[int]] = {}
    for name, parameter in model.named_parameters():
        counts = totals.setdefault(_part(name), [0, 0])
        counts[0] += parameter.data.size
        counts[1] += parameter.data.size * parameter.requires_grad
    trained, total = count_parameters(model)
    rows: list[list[Cell]] = [[part, *counts, None] for part, counts in totals.items()]
    rows.append(["all", total, trained, f"{trained / total:.2%}"])
    return table(["part", "parameters", "trained", ""], rows)


def _part(name: str) -> str:
    if ".lora_" in name:
        return "adapters"
    for part in ("classifier", "pooler", "embeddings"):
        if part in name:
            return part
    return "encoder layers"
