"""What a run is told to do."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np

from minilora.nn import Module
from minilora.train.checks import check_betas, check_known, check_range, check_whole
from minilora.train.optim import OPTIMIZERS, SGD, AdamW, Optimizer, decay_groups
from minilora.train.parallel import CHUNK_TOKENS
from minilora.train.schedule import SCHEDULES


@dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """How to train.

    Attributes
    ----------
    epochs
        Passes over the training data.
    batch_size
        Sequences per optimiser step, as many as wanted: memory does not grow with them.
    chunk_tokens
        Tokens each thread works on at a time, which bounds memory; see `minilora.train.train_step`.
    optimizer
        ``"adamw"`` or ``"sgd"``.
    lr
        Learning rate at its highest.
    weight_decay
        Decoupled weight decay; of weights, not of biases or layer norms.
    betas, eps
        AdamW's.
    momentum, nesterov
        SGD's.
    schedule
        ``"constant"``, ``"linear"`` or ``"cosine"``: how the learning rate falls.
    warmup_ratio
        Share of all steps in which it rises first.
    clip
        Largest norm of all gradients together; None: no limit.
    label_smoothing
        See `minilora.ops.cross_entropy`.
    eval_every
        Also score the dev data every so many steps; None: after each epoch only.
    metric
        The dev score to be best in; ``"loss"`` is best when lowest. None: ``"f1"`` for NER,
        ``"accuracy"`` for classification.
    patience
        Stop after so many scorings in a row without a new best; None: never.
    seed
        Fixes the order of batches and dropout.
    threads
        See `minilora.train.train_step`; None: MINILORA_THREADS, else all cores.

    Raises
    ------
    ConfigError
        A setting out of range.
    """

    epochs: int = 3
    batch_size: int = 16
    chunk_tokens: int = CHUNK_TOKENS
    optimizer: str = "adamw"
    lr: float = 5e-4
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum: float = 0.9
    nesterov: bool = False
    schedule: str = "linear"
    warmup_ratio: float = 0.1
    clip: float | None = 1.0
    label_smoothing: float = 0.0
    eval_every: int | None = None
    metric: str | None = None
    patience: int | None = None
    seed: int = 0
    threads: int | None = None

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 1, "chunk_tokens": 1, "seed": 0}.items():
            check_whole("TrainSettings", name, getattr(self, name), least=least)
        for name in ("eval_every", "patience", "threads"):
            if getattr(self, name) is not None:
                check_whole("TrainSettings", name, getattr(self, name), least=1)
        for name in ("lr", "clip"):
            if getattr(self, name) is not None or name == "lr":
                check_range("TrainSettings", name, getattr(self, name), zero=False)
        for name in ("weight_decay", "eps"):
            check_range("TrainSettings", name, getattr(self, name))
        for name in ("momentum", "warmup_ratio", "label_smoothing"):
            check_range("TrainSettings", name, getattr(self, name), below=1)
        check_betas("TrainSettings", self.betas)
        check_known("TrainSettings", "optimizer", self.optimizer, OPTIMIZERS)
        check_known("TrainSettings", "schedule", self.schedule, SCHEDULES)
        for field in fields(self):  # NumPy's numbers as Python's, which JSON can say
            value = getattr(self, field.name)
            if isinstance(value, np.generic):
                object.__setattr__(self, field.name, value.item())
        object.__setattr__(self, "betas", tuple(map(float, self.betas)))

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        return asdict(self) | {"betas": list(self.betas)}

    def make_optimizer(self, model: Module) -> Optimizer:
        """The optimiser of these settings over what trains in ``model``."""
        groups = decay_groups(model, self.weight_decay)
        if self.optimizer == "sgd":
            return SGD(groups, lr=self.lr, momentum=self.momentum, nesterov=self.nesterov)
        return AdamW(groups, lr=self.lr, betas=self.betas, eps=self.eps)
