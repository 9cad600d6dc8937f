"""What a training run was told: options as given, completed, and recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from minilora.adapters import LoraConfig
from minilora.errors import ConfigError
from minilora.io.base_model import TINY
from minilora.text import Task
from minilora.train import TrainSettings, thread_count

LEARNING_RATES = {"lora": 3e-3, "full": 1e-4, "head": 2e-2, "bitfit": 5e-3}
"""What is taken without ``--lr``: few parameters bear, and need, longer steps than many.

Chosen by what MiniLM (width 384) scored on sib200_en and wikigold after three epochs, one seed
each; for full and head a rate twice as high scored a little better there, and the safer one was
taken. Wider models want less.
"""

OF_LORA = ("r", "alpha", "dropout", "targets")
PATHS = ("base", "train", "dev", "test")
"""Options that may be spelled differently when a run is resumed: their content must be the same."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a run was told, defaults filled in: ``settings`` in its run.json."""

    base: str = TINY
    task: Task
    train: str
    dev: str | None = None
    test: str | None = None
    method: str = "lora"
    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.1
    targets: list[str] = field(default_factory=lambda: ["query", "value"])
    epochs: int = TrainSettings.epochs
    batch_size: int = TrainSettings.batch_size
    chunk_tokens: int = TrainSettings.chunk_tokens
    lr: float
    optimizer: str = TrainSettings.optimizer
    weight_decay: float = TrainSettings.weight_decay
    schedule: str = TrainSettings.schedule
    warmup: float = TrainSettings.warmup_ratio
    clip: float = 1.0
    label_smoothing: float = TrainSettings.label_smoothing
    max_length: int | None = None
    patience: int | None = None
    seed: int = TrainSettings.seed
    threads: int

    def lora_config(self, modules_to_save: list[str]) -> LoraConfig | None:
        """How the layers are adapted; None for other methods."""
        if self.method != "lora":
            return None
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules="all-linear" if self.targets == ["all-linear"] else self.targets,
            modules_to_save=modules_to_save,
        )

    def train_settings(self) -> TrainSettings:
        """How `minilora.train.fit` is to train."""
        return TrainSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            chunk_tokens=self.chunk_tokens,
            optimizer=self.optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup_ratio=self.warmup,
            clip=self.clip or None,
            label_smoothing=self.label_smoothing,
            patience=self.patience,
            seed=self.seed,
            threads=self.threads,
        )

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        return asdict(self)


def complete(given: Mapping[str, Any]) -> TrainOptions:
    """Fill in the defaults, those that depend on others or on the machine included.

    Raises
    ------
    ConfigError
        An option that is missing, or that the chosen method has no use for.
    """
    options = {name: value for name, value in given.items() if name in OPTIONS}
    missing = [flag(name) for name in ("task", "train") if name not in options]
    if missing:
        raise ConfigError(
            f"minilora train: {', '.join(missing)} missing; every new run needs --task, --train "
            "and --out; see minilora train --help"
        )
    method = options.get("method", "lora")
    idle = [flag(name) for name in OF_LORA if name in options and method != "lora"]
    if idle:
        raise ConfigError(
            f"{idle[0]}: is for --method lora, but the method is {method}; leave it out"
        )
    options.setdefault("lr", LEARNING_RATES[method])
    options["threads"] = thread_count(options.get("threads"))
    return TrainOptions(**options)


def complete_from_run(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> TrainOptions:
    """Take everything from a run that is resumed; what is given must not differ from it.

    Raises
    ------
    ConfigError
        Naming every option that differs, with both values.
    """
    try:
        options = TrainOptions(**{**recorded, **{n: given[n] for n in PATHS if n in given}})
    except TypeError:
        raise ConfigError(
            "run.json: its settings are not those of this version of minilora; "
            "resume with the version that wrote it, or train anew into another --out"
        ) from None
    changed = [
        f"{flag(name)} was {getattr(options, name)!r}, is {given[name]!r}"
        for name in OPTIONS
        if name in given and name not in PATHS and given[name] != getattr(options, name)
    ]
    if changed:
        raise ConfigError(
            f"--resume: the run was started differently: {'; '.join(changed)}; "
            "leave these options out, or train anew into another --out"
        )
    return options


def flag(name: str) -> str:
    """``batch_size`` -> ``--batch-size``"""
    return f"--{name.replace('_', '-')}"


OPTIONS = {f.name: None if f.default is MISSING else f.default for f in fields(TrainOptions)}
"""Every option that decides what comes out, and its default."""
