"""Everything a run needs before its first step: data, tokenizer, model, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilora.adapters import prepare
from minilora.cli.console import Console
from minilora.cli.models import (
    fitting_length,
    load_base,
    parameter_lines,
    read_tokenizer,
    weights_sha256,
)
from minilora.cli.splits import Splits, describe, read_splits
from minilora.cli.train_options import PATHS, TrainOptions
from minilora.errors import ConfigError
from minilora.io import base_folder
from minilora.nn import BertConfig, count_parameters
from minilora.text import Dataset, encode_corpus
from minilora.text.counting import count
from minilora.train import TrainSettings

_SHOWN_LABELS = 20


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
        base = base_folder(options.base)
        config = BertConfig.from_json(base / "config.json")
        max_length = fitting_length(options.max_length, config)
        options = replace(options, max_length=max_length)
        tokenizer = read_tokenizer(base, config)

        console.heading("data")
        splits = read_splits(
            options.task,
            train=options.train,
            dev=options.dev,
            test=options.test,
            seed=options.seed,
            console=console,
        )
        console.say(*describe(splits), _label_line(splits.labels))
        data = {}
        for name, corpus in splits.corpora.items():
            data[name] = encode_corpus(corpus, tokenizer, splits.labels, max_length=max_length)
            for line in data[name].report.lines():
                console.note(f"{name}: {line}")

        console.heading("model")
        model = _make_model(options, base, splits.labels, console)
        console.say(
            f"{options.base}: {count(config.num_hidden_layers, 'layer')}, width "
            f"{config.hidden_size}, {count(config.num_attention_heads, 'head')}, "
            f"{config.vocab_size:,} word pieces",
            *parameter_lines(model),
        )
        return cls(options, settings, console, splits, data, model, weights_sha256(base))

    @property
    def n_steps(self) -> int:
        """Optimiser steps in all, if patience does not end the run before."""
        return self.settings.epochs * -(-len(self.data["train"]) // self.settings.batch_size)

    def plan_line(self) -> str:
        """One line for people: how training will go."""
        s = self.settings
        return (
            f"{count(self.n_steps, 'step')}: {count(s.epochs, 'epoch')}, batch {s.batch_size}, "
            f"{s.optimizer}, learning rate {s.lr:g} ({s.schedule}, warm-up {s.warmup_ratio:.0%}), "
            f"{count(self.options.threads, 'thread')}"
        )

    def to_json(self) -> dict[str, Any]:
        """What run.json says before the first step."""
        trained, total = count_parameters(self.model)
        return {
            "settings": self.options.to_json(),
            "labels": list(self.splits.labels),
            "pairs": self.splits.pairs,
            "data_sha256": self.splits.sha256(),
            "base_sha256": self.base_sha256,
            "parameters": {"trained": trained, "total": total},
        }

    def check_same_as(self, recorded: Mapping[str, Any]) -> None:
        """`check_same_files`, of this run."""
        now = {"base": self.base_sha256, **self.splits.sha256()}
        check_same_files(self.options, now, recorded)


def check_same_files(
    options: TrainOptions, now: Mapping[str, str], recorded: Mapping[str, Any]
) -> None:
    """Refuse to go on with other data, or another base, than a run was started with.

    ``now`` is what identifies them, ``recorded`` what run.json says.

    Raises
    ------
    ConfigError
        Naming the first file whose content is not what it was.
    """
    before = {"base": recorded["base_sha256"], **recorded["data_sha256"]}
    for name in PATHS:
        if now.get(name) != before.get(name):
            raise ConfigError(
                f"{getattr(options, name)}: is not what the run was started with as --{name}; a "
                "run goes on with the same data and base only; restore it, or start anew elsewhere"
            )


def _make_model(options: TrainOptions, base: Path, labels: Sequence[str], console: Console) -> Any:
    rng = np.random.default_rng(options.seed)
    model, saved = load_base(options.task, base, labels, rng=rng, console=console)
    prepare(model, options.method, config=options.lora_config(saved), rng=rng)
    return model


def _label_line(labels: Sequence[str]) -> str:
    more = len(labels) - _SHOWN_LABELS
    shown = ", ".join(labels[:_SHOWN_LABELS]) + (f" and {more:,} more" if more > 0 else "")
    return f"{count(len(labels), 'label')}: {shown}"
