"""Trainer: a run that can be taken step by step."""

from __future__ import annotations

import math
import time
from typing import Any

from minilora.errors import ConfigError, DivergenceError
from minilora.text import Dataset
from minilora.train.history import EpochRecord, StepRecord
from minilora.train.interrupts import interrupts_deferred
from minilora.train.parallel import thread_count
from minilora.train.plan import Plan
from minilora.train.scoring import METRICS, evaluate
from minilora.train.settings import TrainSettings
from minilora.train.state import Progress, TrainerState, capture, identify, put, restore, trained
from minilora.train.step import ADVICE, train_step


class Trainer:
    """A run over ``train``, scored on ``dev``; `minilora.train.fit` drives it.

    Parameters are those of `fit`. Each of `step` and `score` happens wholly or not at all, so
    between two calls `state` is always one to go on from.
    """

    def __init__(
        self,
        model: Any,
        train: Dataset,
        dev: Dataset | None,
        settings: TrainSettings,
        *,
        resume: TrainerState | None = None,
    ) -> None:
        self.model, self.dev, self.settings = model, dev, settings
        threads = settings.threads
        if threads is None and resume is not None:
            threads = resume.meta["settings"]["threads"]  # another number would round differently
        self.threads = thread_count(threads)
        self.identity = identify(model, settings, self.threads, train, dev)
        self.metric = settings.metric or METRICS[train.task][0]
        self.plan = Plan(train, settings)
        self.optimizer = settings.make_optimizer(model)
        self.progress = Progress()
        self._finishing = False
        if resume is not None:
            self.progress = restore(resume, model, self.optimizer, self.identity)

    @property
    def n_steps(self) -> int:
        """Optimiser steps taken."""
        return self.progress.n_steps

    @property
    def scoring_is_due(self) -> bool:
        """Whether `score` comes next, rather than `step`."""
        epochs = self.progress.history.epochs
        done = epochs[-1].step if epochs else 0
        return self.plan.is_scored(self.n_steps) and done < self.n_steps

    @property
    def is_finished(self) -> bool:
        """Whether all steps are taken, too many scorings brought nothing new, or by `finish`."""
        patience, stale = self.settings.patience, self.progress.history.stale
        out_of_patience = patience is not None and stale >= patience
        enough = out_of_patience or self._finishing or self.n_steps >= self.plan.n_steps
        return enough and not self.scoring_is_due

    def finish(self) -> None:
        """Take no further step, as if patience were at its end; what is due is still scored.

        Raises
        ------
        ConfigError
            Nothing was scored yet, nor is it due.
        """
        if not (self.progress.history.epochs or self.scoring_is_due):
            raise ConfigError(
                f"fit: finish is True, but no epoch was done and scored in {self.n_steps} steps; "
                "at least one was expected, to keep the best; go on without it."
            )
        self._finishing = True

    def step(self) -> StepRecord:
        """Take one optimiser step. Ctrl-C waits for its end."""
        began, i, settings = time.perf_counter(), self.n_steps, self.settings
        batch = self.plan.batch(i)
        self.optimizer.factor = self.plan.factor(i)
        with interrupts_deferred():
            loss = train_step(
                self.model,
                batch,
                self.optimizer,
                threads=self.threads,
                rng=self.plan.dropout_rng(i),
                clip=settings.clip,
                chunk_tokens=settings.chunk_tokens,
                label_smoothing=settings.label_smoothing,
            )
            epoch = (i + 1) / self.plan.steps_per_epoch
            record = StepRecord(i + 1, epoch, loss, self.optimizer.lr, batch.n_tokens)
            self.progress.history.steps.append(record)
            self.progress.seconds += time.perf_counter() - began
        return record

    def score(self) -> EpochRecord:
        """Score dev, if there is any, and keep the parameters if they are the best so far."""
        began, progress = time.perf_counter(), self.progress
        scores = self._score_dev()
        history, last = progress.history, progress.history.steps[-1]
        since = history.epochs[-1].step if history.epochs else 0
        losses = history.losses[since:]
        with interrupts_deferred():
            progress.seconds += time.perf_counter() - began
            is_best = scores is not None and self._is_best(scores)
            if is_best:
                progress.best = {name: array.copy() for name, array in trained(self.model).items()}
            record = EpochRecord(
                last.step, last.epoch, sum(losses) / len(losses), progress.seconds, scores, is_best
            )
            history.epochs.append(record)
        return record

    def state(self) -> TrainerState | None:
        """What to go on from; None if a second Ctrl-C broke off a step."""
        if self.optimizer.n_steps != self.n_steps:
            return None
        return capture(self.model, self.optimizer, self.progress, self.identity)

    def put_best_back(self) -> None:
        """Give the model the parameters that scored best; without dev data, leave the last."""
        if self.progress.best:
            put(self.progress.best, self.model)

    def _score_dev(self) -> dict[str, Any] | None:
        if self.dev is None:
            return None
        scores = evaluate(self.model, self.dev, threads=self.threads)
        if not math.isfinite(scores["loss"]):
            raise DivergenceError(
                f"fit: the dev loss is {scores['loss']} after step {self.n_steps}. {ADVICE}"
            )
        return scores

    def _is_best(self, scores: dict[str, Any]) -> bool:
        best, metric = self.progress.history.best, self.metric
        if best is None or best.dev is None:
            return True
        new, old = scores[metric], best.dev[metric]
        return bool(new < old if metric == "loss" else new > old)
