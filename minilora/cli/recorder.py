"""What a run writes into its folder while it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from minilora.io.run import RunFolder
from minilora.train import EpochRecord, StepRecord, TrainerState

Record = TypeVar("Record", StepRecord, EpochRecord)


class Recorder:
    """Callbacks for `minilora.train.fit` that keep metrics and states.

    Attributes
    ----------
    saved, scored
        Steps and scorings in the state that was saved last; at first, in the one gone on from.
    """

    def __init__(self, folder: RunFolder, state: TrainerState | None) -> None:
        self.folder, self.saved, self.scored = folder, 0, 0
        if state is not None:
            self._count(state)

    def then(self, show: Callable[[Record], None]) -> Callable[[Record], None]:
        """A callback that records, then shows."""

        def record_and_show(record: Record) -> None:
            self.folder.append_metrics(record.to_json())
            show(record)

        return record_and_show

    def checkpoint(self, state: TrainerState) -> None:
        """Save what ``--resume`` needs."""
        self.folder.save_state(state.arrays, state.meta)
        self._count(state)

    def _count(self, state: TrainerState) -> None:
        self.saved, self.scored = state.n_steps, len(state.meta["epochs"])
