"""What a running training shows: a line an epoch, and on a terminal a bar in between."""

from __future__ import annotations

import math
import sys
import time
from collections import deque
from typing import Any

from tqdm import tqdm

from minilora.cli.console import Console, paint
from minilora.cli.scores import MAIN_SCORE
from minilora.cli.table import pad
from minilora.train import EpochRecord, StepRecord

BAR = "{desc}  {bar:24}  {percentage:3.0f} %  {remaining} left"
_RECENT = 20  # steps whose mean loss the bar shows
_WIDTHS = (7, 10, 10, 12, 10, 8)  # of the columns: the heading fits, and so do the numbers


class Progress:
    """Callbacks for `minilora.train.fit`; a context manager that leaves a clean terminal.

    Lines go to standard output as all text does, the bar to standard error if that is a terminal.
    """

    def __init__(
        self, console: Console, *, task: str, n_epochs: int, n_steps: int, done: int = 0
    ) -> None:
        self.console, self.n_epochs = console, n_epochs
        self.score, score_name = MAIN_SCORE[task]
        self._line(["epoch", "train loss", "dev loss", f"dev {score_name}", "tokens/s", "time"])
        self.bar: tqdm[Any] = tqdm(
            total=n_steps,
            initial=done,
            file=sys.stderr,
            disable=not sys.stderr.isatty(),
            leave=False,
            bar_format=BAR,
        )
        self.losses: deque[float] = deque(maxlen=_RECENT)
        self.n_tokens, self.seconds, self.last = 0, 0.0, time.perf_counter()

    def __enter__(self) -> Progress:
        """Start the clock."""
        self.last = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self.bar.close()

    def on_step(self, record: StepRecord) -> None:
        """Move the bar."""
        now = time.perf_counter()
        self.seconds, self.last = self.seconds + now - self.last, now
        self.n_tokens += record.n_tokens
        self.losses.append(record.loss)
        epoch = math.ceil(record.epoch)
        mean = sum(self.losses) / len(self.losses)
        self.bar.set_description_str(
            f"epoch {epoch}/{self.n_epochs}  loss {mean:.4f}  {self._speed:>6} tokens/s",
            refresh=False,
        )
        self.bar.update()

    def on_epoch(self, record: EpochRecord) -> None:
        """Print the line of an epoch."""
        assert record.dev is not None  # the command always has some
        self.bar.clear()
        self._line(
            [
                f"{record.epoch:.0f}/{self.n_epochs}",
                f"{record.loss:.4f}",
                f"{record.dev['loss']:.4f}",
                f"{record.dev[self.score]:.4f}",
                self._speed,
                clock(record.seconds),
            ],
            "best so far" if record.is_best else "",
        )
        self.bar.refresh()
        self.n_tokens, self.seconds, self.last = 0, 0.0, time.perf_counter()

    @property
    def _speed(self) -> str:
        return f"{self.n_tokens / self.seconds:,.0f}" if self.seconds else ""

    def _line(self, cells: list[str], remark: str = "") -> None:
        padded = [pad(cell, w, right=True) for cell, w in zip(cells, _WIDTHS, strict=True)]
        self.console.say("  ".join([*padded, paint(remark, "green")]).rstrip())


def clock(seconds: float) -> str:
    """``75`` -> ``1:15``, ``3675`` -> ``1:01:15``"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
