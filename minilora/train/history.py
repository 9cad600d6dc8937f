"""What happened in a run."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class StepRecord:
    """One optimiser step.

    Attributes
    ----------
    step
        Optimiser steps taken, this one included.
    epoch
        Passes over the training data done, as a fraction.
    loss
        Mean loss of the batch before the step.
    lr
        Learning rate of the step.
    n_tokens
        Word pieces in the batch.
    """

    step: int
    epoch: float
    loss: float
    lr: float
    n_tokens: int

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        return asdict(self)


@dataclass(frozen=True)
class EpochRecord:
    """What stands at the end of an epoch, or wherever dev was scored.

    Attributes
    ----------
    step, epoch
        As in `StepRecord`.
    loss
        Mean training loss over the steps since the last record.
    seconds
        Since the run began, without the time between an interruption and its resumption.
    dev
        What `minilora.train.evaluate` says of the dev data; None without any.
    is_best
        Whether no earlier record has as good a dev score.
    """

    step: int
    epoch: float
    loss: float
    seconds: float
    dev: dict[str, Any] | None = None
    is_best: bool = False

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        return asdict(self)


@dataclass
class History:
    """All records of a run, in order."""

    steps: list[StepRecord] = field(default_factory=list)
    epochs: list[EpochRecord] = field(default_factory=list)

    @property
    def best(self) -> EpochRecord | None:
        """The record whose parameters were kept; None without dev data."""
        return next((record for record in reversed(self.epochs) if record.is_best), None)

    @property
    def stale(self) -> int:
        """Records since the best."""
        return len(self.epochs) - 1 - self.epochs.index(self.best) if self.best else 0

    @property
    def losses(self) -> list[float]:
        """The loss of every step."""
        return [record.loss for record in self.steps]

    def rows(self) -> list[dict[str, Any]]:
        """All records as dictionaries in the order they came: the lines of ``metrics.jsonl``."""
        records: list[StepRecord | EpochRecord] = [*self.steps, *self.epochs]
        records.sort(key=lambda record: record.step)  # stable: a step comes before its scoring
        return [record.to_json() for record in records]
