"""``minilora train``: from data files to a tested adapter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from minilora.cli.console import Console
from minilora.cli.job import Job
from minilora.cli.machine import ready_kernels
from minilora.cli.outcome import Outcome
from minilora.cli.progress import Progress
from minilora.cli.scores import headline, score_lines
from minilora.cli.train_options import complete, complete_from_run, make_parser
from minilora.errors import ConfigError, DivergenceError
from minilora.io.run import RunFolder
from minilora.train import EpochRecord, History, StepRecord, TrainerState, evaluate, fit

_CHECKPOINT_EVERY = 100  # steps


def run(words: Sequence[str]) -> int:
    """Train, or go on with a run, as ``words`` say."""
    given = vars(make_parser().parse(words))
    console = Console(as_json=given.get("json", False))
    if "out" not in given:
        raise ConfigError(
            "minilora train: --out missing; expected a folder for the results, such as runs/first; "
            "see minilora train --help"
        )
    if "resume" not in given:
        job = Job.prepare(complete(given), console)
        with RunFolder.create(given["out"], overwrite="overwrite" in given) as folder:
            folder.record(**job.to_json())
            _train(job, folder, None, given.get("checkpoint_every"))
        return 0
    if "overwrite" in given:
        raise ConfigError("--resume: goes on with what --overwrite would remove; give one of them")
    with RunFolder.resume(given["out"]) as folder:
        options = complete_from_run(given, folder.info.get("settings", {}))
        if folder.info.get("status") == "finished":
            _show_finished(folder, console)
            return 0
        job = Job.prepare(options, console)
        job.check_same_as(folder.info)
        state = folder.load_state()
        _train(job, folder, state and TrainerState(*state), given.get("checkpoint_every"))
    return 0


def _train(
    job: Job, folder: RunFolder, state: TrainerState | None, checkpoint_every: int | None
) -> None:
    ready_kernels()
    history = _fit(job, folder, state, checkpoint_every)
    outcome = Outcome(job, history, folder)
    best = history.best
    assert best is not None
    assert best.dev is not None
    console = job.console
    console.say("", f"kept: epoch {best.epoch:.0f}, dev {headline(best.dev)}")
    if "test" in job.data:
        console.heading("test")
        outcome.test = evaluate(job.model, job.data["test"], threads=job.options.threads)
        console.say(*score_lines(outcome.test))
    outcome.save()
    console.heading(f"saved in {folder.path}")
    console.say(*outcome.file_lines())
    console.heading("next")
    console.say(*outcome.next_commands())
    console.finish(folder.info["results"])


def _fit(
    job: Job, folder: RunFolder, state: TrainerState | None, checkpoint_every: int | None
) -> History:
    """Run `minilora.train.fit`, recording everything in ``folder``."""
    options, console = job.options, job.console
    if checkpoint_every is None and options.method != "full":
        checkpoint_every = _CHECKPOINT_EVERY
    saved = 0 if state is None else state.n_steps
    console.heading("training")
    console.say(job.plan_line())
    if state is not None:
        console.note(f"going on after step {saved}")
        folder.write_metrics(state.history().rows())

    def on_step(record: StepRecord) -> None:
        folder.append_metrics(record.to_json())
        progress.on_step(record)

    def on_epoch(record: EpochRecord) -> None:
        folder.append_metrics(record.to_json())
        progress.on_epoch(record)

    def checkpoint(state: TrainerState) -> None:
        nonlocal saved
        folder.save_state(state.arrays, state.meta)
        saved = state.n_steps

    try:
        with Progress(
            console, task=options.task, n_epochs=options.epochs, n_steps=job.n_steps, done=saved
        ) as progress:
            return fit(
                job.model,
                job.data["train"],
                job.data["dev"],
                job.settings,
                resume=state,
                checkpoint=checkpoint,
                checkpoint_every=checkpoint_every,
                on_step=on_step,
                on_epoch=on_epoch,
            )
    except KeyboardInterrupt:
        folder.record(status="interrupted")
        raise KeyboardInterrupt(
            f"stopped; the run up to step {saved} is saved in {folder.path}; "
            f"go on with: minilora train --out {folder.path} --resume"
        ) from None
    except DivergenceError as error:
        folder.record(status="diverged")
        kept = f"step {saved} is kept in {folder.path}" if saved else "nothing was saved before"
        raise DivergenceError(f"{error} The state of {kept}.") from None


def _show_finished(folder: RunFolder, console: Console) -> None:
    results: dict[str, Any] = folder.info["results"]
    console.say(f"{folder.path}: this run is finished; nothing to go on with")
    for split in ("dev", "test"):
        if results[split]:
            console.heading(split)
            console.say(*score_lines(results[split]))
    console.finish(results)
