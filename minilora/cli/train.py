"""``minilora train``: from data files to a tested adapter."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from minilora.cli.console import Console
from minilora.cli.job import Job
from minilora.cli.machine import ready_kernels
from minilora.cli.outcome import Outcome
from minilora.cli.progress import Progress
from minilora.cli.recorder import Recorder
from minilora.cli.scores import headline, score_lines
from minilora.cli.train_options import complete, complete_from_run
from minilora.cli.train_parser import make_parser
from minilora.errors import ConfigError, DivergenceError
from minilora.io.run import RunFolder
from minilora.train import History, TrainerState, evaluate, fit
from minilora.train.checks import check_whole

_CHECKPOINT_EVERY = 100  # steps; a state of full fine-tuning is large, and saved after epochs only


def run(words: Sequence[str]) -> int:
    """Train, or go on with a run, as ``words`` say."""
    given = vars(make_parser().parse(words))
    console = Console(as_json=given.get("json", False))
    if "out" not in given:
        raise ConfigError(
            "minilora train: --out missing; expected a folder for the results, such as runs/first; "
            "see minilora train --help"
        )
    check_whole("minilora train", "--checkpoint-every", given.get("checkpoint_every", 1), least=1)
    if "resume" in given:
        _resume(given, console)
    else:
        _start(given, console)
    return 0


def _start(given: Mapping[str, Any], console: Console) -> None:
    job = Job.prepare(complete(given), console)
    with RunFolder.create(given["out"], overwrite="overwrite" in given) as folder:
        folder.record(**job.to_json())
        _train(job, folder, None, given.get("checkpoint_every"))


def _resume(given: Mapping[str, Any], console: Console) -> None:
    if "overwrite" in given:
        raise ConfigError("--resume: goes on with what --overwrite would remove; give one of them")
    with RunFolder.resume(given["out"]) as folder:
        if folder.info.get("status") == "finished":
            _show_finished(folder, console)
            return
        recorded = folder.info.get("settings")  # none if it was killed before its first step
        job = Job.prepare(
            complete_from_run(given, recorded) if recorded else complete(given), console
        )
        if recorded:
            job.check_same_as(folder.info)
        folder.record(**job.to_json(), status="running")
        saved = folder.load_state()
        state = None if saved is None else TrainerState(*saved)
        folder.write_metrics([] if state is None else state.history().rows())
        console.note(f"going on after step {0 if state is None else state.n_steps}")
        _train(job, folder, state, given.get("checkpoint_every"))


def _train(
    job: Job, folder: RunFolder, state: TrainerState | None, checkpoint_every: int | None
) -> None:
    """Train, test and save, so that it can be gone on with from wherever it stops."""
    ready_kernels()
    recorder = Recorder(folder, saved=0 if state is None else state.n_steps)
    try:
        history = _fit(job, recorder, state, checkpoint_every)
        _finish(Outcome(job, history, folder))
    except KeyboardInterrupt:
        folder.record(status="interrupted")
        raise KeyboardInterrupt(
            f"stopped; the run up to step {recorder.saved} is saved in {folder.path}; "
            f"go on with: minilora train --out {shlex.quote(str(folder.path))} --resume"
        ) from None
    except DivergenceError as error:
        folder.record(status="diverged")
        kept = f"The state after step {recorder.saved}" if recorder.saved else "No state"
        raise DivergenceError(f"{error} {kept} is kept in {folder.path}.") from None


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


def _finish(outcome: Outcome) -> None:
    console, job, best = outcome.job.console, outcome.job, outcome.history.best
    assert best is not None
    assert best.dev is not None
    console.say("", f"kept: epoch {best.epoch:.0f}, dev {headline(best.dev)}")
    if "test" in job.data:
        console.heading("test")
        outcome.test = evaluate(job.model, job.data["test"], threads=job.options.threads)
        console.say(*score_lines(outcome.test))
    outcome.save()
    console.heading(f"saved in {outcome.folder.path}")
    console.say(*outcome.file_lines())
    console.heading("next")
    console.say(*outcome.next_commands())
    console.finish(outcome.folder.info["results"])


def _show_finished(folder: RunFolder, console: Console) -> None:
    results: dict[str, Any] = folder.info["results"]
    console.note(f"the run in {folder.path} is finished; this is what came out")
    for split in ("dev", "test"):
        if results[split]:
            console.heading(split)
            console.say(*score_lines(results[split]))
    console.finish(results)
