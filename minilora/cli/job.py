"""Everything a run needs before its first step: data, tokenizer, model, settings."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilora.adapters import prepare
from minilora.cli.console import Console
from minilora.cli.splits import Splits, describe, read_splits
from minilora.cli.table import Cell, count, table
from minilora.cli.train_options import PATHS, TrainOptions
from minilora.errors import CheckpointError, ConfigError
from minilora.nn import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    count_parameters,
)
from minilora.text import Dataset, WordPieceTokenizer, encode_corpus
from minilora.train import TrainSettings

MODELS: dict[str, type[BertForTokenClassification] | type[BertForSequenceClassification]] = {
    "ner": BertForTokenClassification,
    "classify": BertForSequenceClassification,
}


@dataclass(frozen=True)
class Job:
    """What is to be trained, on what, and how; said to people while it is put together."""

    options: TrainOptions
    settings: TrainSettings
    console: Console
    splits: Splits
    data: Mapping[str, Dataset]
    model: Any
    base_sha256: str

    @classmethod
    def prepare(cls, options: TrainOptions, console: Console) -> Job:
        """Read, check and encode everything; nothing is written yet.

        Raises
        ------
        MiniLoraError
            Of the kind that fits, for whatever cannot be used.
        """
        settings = options.train_settings()
        options.lora_config([])  # its settings are checked before any file is read
        base = Path(options.base)
        config = BertConfig.from_json(base / "config.json")
        max_length = _fitting_length(options.max_length, config)
        options = replace(options, max_length=max_length)
        tokenizer = read_tokenizer(base, config)
        console.say(f"minilora train: {options.method}, {options.task}, seed {options.seed}")

        console.heading("data")
        splits = read_splits(
            options.task,
            train=options.train,
            dev=options.dev,
            test=options.test,
            seed=options.seed,
            console=console,
        )
        console.say(*describe(splits), f"{len(splits.labels)} labels: {', '.join(splits.labels)}")
        data = {}
        for name, corpus in splits.corpora.items():
            data[name] = encode_corpus(corpus, tokenizer, splits.labels, max_length=max_length)
            for line in data[name].report.lines():
                console.note(f"{name}: {line}")

        console.heading("model")
        model = _make_model(options, splits.labels, console)
        console.say(
            f"{base}: {count(config.num_hidden_layers, 'layer')}, width {config.hidden_size}, "
            f"{count(config.num_attention_heads, 'head')}, {config.vocab_size:,} word pieces",
            *parameter_lines(model),
        )
        return cls(options, settings, console, splits, data, model, weights_sha256(base))

    @property
    def n_steps(self) -> int:
        """Optimiser steps in all, if patience does not end the run before."""
        per_step = self.settings.batch_size * self.settings.accumulate
        return self.settings.epochs * -(-len(self.data["train"]) // per_step)

    def plan_line(self) -> str:
        """One line for people: how training will go."""
        s = self.settings
        batch = f"{s.batch_size}" + (f" x {s.accumulate}" if s.accumulate > 1 else "")
        return (
            f"{count(self.n_steps, 'step')}: {count(s.epochs, 'epoch')}, batch {batch}, "
            f"{s.optimizer}, learning rate {s.lr:g} ({s.schedule}, warm-up {s.warmup_ratio:.0%}), "
            f"{count(self.options.threads, 'thread')}"
        )

    def to_json(self) -> dict[str, Any]:
        """What run.json says before the first step."""
        trained, total = count_parameters(self.model)
        return {
            "settings": self.options.to_json(),
            "labels": list(self.splits.labels),
            "data_sha256": self.splits.sha256(),
            "base_sha256": self.base_sha256,
            "parameters": {"trained": trained, "total": total},
        }

    def check_same_as(self, recorded: Mapping[str, Any]) -> None:
        """Refuse to go on with other data, or another base, than the run was started with.

        Raises
        ------
        ConfigError
            Naming the first file whose content is not what it was.
        """
        now = {"base": self.base_sha256, **self.splits.sha256()}
        before = {"base": recorded["base_sha256"], **recorded["data_sha256"]}
        for name in PATHS:
            if now.get(name) != before.get(name):
                path = getattr(self.options, name)
                raise ConfigError(
                    f"{path}: is not what the run was started with as --{name}; a run goes on "
                    "with the same data and base only; restore it, or train anew elsewhere"
                )


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


def weights_sha256(folder: Path) -> str:
    """What identifies the weights in a model folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()


def _make_model(options: TrainOptions, labels: Sequence[str], console: Console) -> Any:
    rng = np.random.default_rng(options.seed)
    model = MODELS[options.task].from_pretrained(options.base, labels=labels, rng=rng)
    fresh = {name.removeprefix("bert.").split(".")[0] for name in model.started_at_random}
    if "classifier" not in fresh:
        console.note("the base has a classifier for as many labels: training starts from it")
    if "pooler" in fresh:
        console.note("the base has no pooler: it starts at random, as the classifier does")
    saved = ["classifier", *(["pooler"] if "pooler" in fresh else [])]
    prepare(model, options.method, config=options.lora_config(saved), rng=rng)
    return model


def _part(name: str) -> str:
    if ".lora_" in name:
        return "adapters"
    for part in ("classifier", "pooler", "embeddings"):
        if part in name:
            return part
    return "encoder layers"


def _fitting_length(asked: int | None, config: BertConfig) -> int:
    longest = config.max_position_embeddings
    if asked is None:
        return longest
    if not 3 <= asked <= longest:
        raise ConfigError(
            f"--max-length: got {asked}; expected 3 to {longest}, for which the base has positions"
        )
    return asked
