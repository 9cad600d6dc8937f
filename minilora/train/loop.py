"""fit: the training loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minilora.errors import ConfigError
from minilora.text import Dataset
from minilora.train.checks import check_known, check_whole
from minilora.train.history import EpochRecord, History, StepRecord
from minilora.train.scoring import METRICS, check_data, check_labelled
from minilora.train.settings import TrainSettings
from minilora.train.state import TrainerState
from minilora.train.trainer import Trainer


def fit(
    model: Any,
    train: Dataset,
    dev: Dataset | None,
    settings: TrainSettings,
    *,
    resume: TrainerState | None = None,
    finish: bool = False,
    checkpoint: Callable[[TrainerState], None] | None = None,
    checkpoint_every: int | None = None,
    on_step: Callable[[StepRecord], None] | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
) -> History:
    """Train what requires gradients in ``model``, and keep what does best on ``dev``.

    Parameters
    ----------
    model
        A model with a head, its adapters injected or its parameters frozen as wanted.
    train
        What to learn from.
    dev
        What to choose the best parameters by; None: the last ones are kept.
    settings
        Everything else.
    resume
        What ``checkpoint`` was given by a run with the same model, data and settings: go on from
        there, and end with the same bits as if it had not been interrupted.
    finish
        Take no step after ``resume``, but end there as if patience had run out: with what is due
        to be scored, and the best parameters so far.
    checkpoint
        Called with the state of the run after each record of `on_epoch`, every
        ``checkpoint_every`` steps, and when Ctrl-C has come.
    checkpoint_every
        Optimiser steps; None: see there.
    on_step, on_epoch
        Called with every record when it has been made. What they raise ends the run.

    Returns
    -------
    All records, those before a resumption included. The parameters in ``model`` are the best.

    Raises
    ------
    DataError
        Data that is empty, without labels, or with other labels than the model's.
    ConfigError
        Settings that do not fit the data or, on resuming, those of the run; ``finish`` before
        anything was scored.
    CheckpointError
        A state to resume that does not fit the model.
    DivergenceError
        A loss that is NaN or infinite; says where. That is never given to ``checkpoint``.
    """
    _check(model, train, dev, settings, checkpoint_every)
    run = Trainer(model, train, dev, settings, resume=resume)
    if finish:
        run.finish()

    def save() -> None:
        if checkpoint is not None and (state := run.state()) is not None:
            checkpoint(state)

    try:
        while not run.is_finished:
            if run.scoring_is_due:
                scored = run.score()
                if on_epoch is not None:
                    on_epoch(scored)
                save()
            else:
                stepped = run.step()
                if on_step is not None:
                    on_step(stepped)
                if checkpoint_every is not None and stepped.step % checkpoint_every == 0:
                    save()
    except KeyboardInterrupt:
        save()
        raise
    run.put_best_back()
    return run.progress.history


def _check(
    model: Any,
    train: Dataset,
    dev: Dataset | None,
    settings: TrainSettings,
    checkpoint_every: int | None,
) -> None:
    if checkpoint_every is not None:
        check_whole("fit", "checkpoint_every", checkpoint_every, least=1)
    check_data("fit: train", model, train)
    check_labelled("fit: train", train)
    if dev is not None:
        check_data("fit: dev", model, dev)
        check_labelled("fit: dev", dev)
    elif settings.patience is not None or settings.metric is not None:
        raise ConfigError(
            f"fit: patience is {settings.patience!r} and metric {settings.metric!r}, but there is "
            "no dev data to score; give some, or leave both out."
        )
    if settings.metric is not None:
        check_known("fit", "metric", settings.metric, METRICS[train.task])
