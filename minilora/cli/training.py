"""A training in its run folder: recorded, shown, and gone on with from wherever it stops."""

from __future__ import annotations

import shlex
from collections.abc import Callable

from minilora.cli.job import Job
from minilora.cli.machine import ready_kernels
from minilora.cli.outcome import Outcome
from minilora.cli.progress import Progress
from minilora.cli.recorder import Recorder
from minilora.errors import DivergenceError
from minilora.io.run import RunFolder
from minilora.train import History, TrainerState, fit

_CHECKPOINT_EVERY = 100  # steps; a state of full fine-tuning is large, and saved after epochs only


def train(
    job: Job,
    folder: RunFolder,
    finish: Callable[[Outcome], None],
    *,
    state: TrainerState | None = None,
    checkpoint_every: int | None = None,
    no_more_steps: bool = False,
) -> None:
    """Train, and ``finish`` what came of it; what stops either can be gone on with.

    With ``no_more_steps`` what came of it is the best of ``state``.

    Raises
    ------
    KeyboardInterrupt
        Ctrl-C; says what is saved, and how to go on.
    DivergenceError
        A loss that is no longer a number; says what is kept.
    """
    ready_kernels()
    recorder = Recorder(folder, state)
    resume = f"minilora train --out {shlex.quote(str(folder.path))} --resume"
    try:
        if no_more_steps:
            history = _end(job, recorder, state)
        else:
            history = _fit(job, recorder, state, checkpoint_every)
        finish(Outcome(job, history, folder))
    except KeyboardInterrupt:
        folder.record(status="interrupted")
        best = "; or add --finish to keep the best epoch so far" if recorder.scored else ""
        raise KeyboardInterrupt(
            f"stopped; the run up to step {recorder.saved} is saved in {folder.path}; "
            f"go on with: {resume}{best}"
        ) from None
    except DivergenceError as error:
        folder.record(status="diverged")
        kept = f"The state after step {recorder.saved}" if recorder.saved else "No state"
        best = f"; keep the best epoch so far with: {resume} --finish" if recorder.scored else "."
        raise DivergenceError(f"{error} {kept} is kept in {folder.path}{best}") from None


def _end(job: Job, recorder: Recorder, state: TrainerState | None) -> History:
    """The end of a run that stops where it is; at most, its last epoch has to be scored."""
    return fit(
        job.model,
        job.data["train"],
        job.data["dev"],
        job.settings,
        resume=state,
        finish=True,
        checkpoint=recorder.checkpoint,
        on_epoch=recorder.then(lambda _: None),
    )


def _fit(
    job: Job, recorder: Recorder, state: TrainerState | None, checkpoint_every: int | None
) -> History:
    options, console = job.options, job.console
    if checkpoint_every is None and options.method != "full":
        checkpoint_every = _CHECKPOINT_EVERY
    console.heading("training")
    console.say(job.plan_line())
    with Progress(
        console,
        task=options.task,
        n_epochs=options.epochs,
        n_steps=job.n_steps,
        done=recorder.saved,
    ) as progress:
        return fit(
            job.model,
            job.data["train"],
            job.data["dev"],
            job.settings,
            resume=state,
            checkpoint=recorder.checkpoint,
            checkpoint_every=checkpoint_every,
            on_step=recorder.then(progress.on_step),
            on_epoch=recorder.then(progress.on_epoch),
        )
