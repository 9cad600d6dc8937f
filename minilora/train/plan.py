"""Which sequences, learning rate and random numbers each optimiser step gets.

All of it follows from the settings, the size of the data and the number of the step, so a run that
goes on from step s does what an uninterrupted one would have done.
"""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array, Rng
from minilora.text import Batch, Dataset
from minilora.train.schedule import SCHEDULES
from minilora.train.settings import TrainSettings

ORDER, DROPOUT = 0, 1  # streams of random numbers: [seed, stream, epoch or step]


class Plan:
    """The steps of a run over ``data``. Steps are counted from 0 here."""

    def __init__(self, data: Dataset, settings: TrainSettings) -> None:
        self.data, self.settings = data, settings
        self.steps_per_epoch = math.ceil(len(data) / settings.batch_size)
        self.n_steps = settings.epochs * self.steps_per_epoch
        # the last step is never one of the warm-up: in a run of one step it would train nothing
        self.warmup = min(math.ceil(settings.warmup_ratio * self.n_steps), self.n_steps - 1)
        self._epoch, self._order = -1, list[Array]()  # of the epoch asked for last

    def batch(self, step: int) -> Batch:
        """The sequences of a step."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            rng = np.random.default_rng([self.settings.seed, ORDER, epoch])
            self._order = self.data.batches(self.settings.batch_size, rng=rng)
            self._epoch = epoch
        return self.data.batch(self._order[position])

    def factor(self, step: int) -> float:
        """What the learning rate is multiplied with."""
        return SCHEDULES[self.settings.schedule](step, self.n_steps, self.warmup)

    def dropout_rng(self, step: int) -> Rng:
        """Where dropout draws its seeds from."""
        return np.random.default_rng([self.settings.seed, DROPOUT, step])

    def is_scored(self, n_steps: int) -> bool:
        """Whether dev is scored after so many steps: at the end of an epoch, or as asked."""
        every = self.settings.eval_every or self.steps_per_epoch
        return n_steps > 0 and (n_steps % self.steps_per_epoch == 0 or n_steps % every == 0)
