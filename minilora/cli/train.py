"""``minilora train``: from data files to a tested adapter."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minilora.cli.console import Console
from minilora.cli.job import Job, check_same_files
from minilora.cli.models import weights_sha256
from minilora.cli.outcome import Outcome
from minilora.cli.scores import headline, score_lines
from minilora.cli.train_options import OPTIONS, PATHS, TrainOptions, complete, complete_from_run
from minilora.cli.train_parser import make_parser
from minilora.cli.training import train
from minilora.errors import CheckpointError, ConfigError, DataError
from minilora.files import read_bytes
from minilora.io import base_folder
from minilora.io.run import RunFolder
from minilora.text.counting import count
from minilora.train import TrainerState, evaluate
from minilora.train.checks import check_whole


def run(words: Sequence[str]) -> int:
    """Train, or go on with a run, as ``words`` say."""
    given = vars(make_parser().parse(words))
    console = Console(as_json=given.get("json", False))
    if "out" not in given:
        raise ConfigError(
            "minilora train: --out missing; expected a folder for the results, such as runs/first; "
            "see minilora train --help"
        )
    if "finish" in given and "resume" not in given:
        raise ConfigError(
            "--finish: ends a run that is there already, so --resume was expected beside it; add "
            "it, or leave --finish out"
        )
    check_whole("minilora train", "--checkpoint-every", given.get("checkpoint_every", 1), least=1)
    if "resume" in given:
        _resume(given, console)
    else:
        _start(given, console)
    return 0


def _start(given: Mapping[str, Any], console: Console) -> None:
    job = _prepare(complete(given), console)
    with RunFolder.create(given["out"], overwrite="overwrite" in given) as folder:
        folder.record(**job.to_json())
        train(job, folder, _finish, checkpoint_every=given.get("checkpoint_every"))


def _resume(given: Mapping[str, Any], console: Console) -> None:
    if "overwrite" in given:
        raise ConfigError("--resume: goes on with what --overwrite would remove; give one of them")
    with RunFolder.resume(given["out"]) as folder:
        if folder.info.get("status") == "finished":
            _check_same_run(given, folder.info)
            _show_finished(folder, console)
            return
        saved = folder.load_state()
        state = None if saved is None else TrainerState(*saved)
        if "finish" in given:
            _check_scored(state, folder)
        recorded = folder.info.get("settings")  # none if it was killed before its first step
        options = complete_from_run(given, recorded) if recorded else complete(given)
        job = _prepare(options, console)
        if recorded:
            job.check_same_as(folder.info)
        folder.record(**job.to_json(), status="running")
        folder.write_metrics([] if state is None else state.history().rows())
        verb = "stopping" if "finish" in given else "going on"
        console.note(f"{verb} after step {0 if state is None else state.n_steps} of {job.n_steps}")
        train(
            job,
            folder,
            _finish,
            state=state,
            checkpoint_every=given.get("checkpoint_every"),
            no_more_steps="finish" in given,
        )


def _check_scored(state: TrainerState | None, folder: RunFolder) -> None:
    steps = [] if state is None else state.history().steps
    if not steps or steps[-1].epoch < 1:  # after an epoch, its scoring is done or comes first
        raise ConfigError(
            f"--finish: no epoch of the run in {folder.path} was scored yet, after "
            f"{count(len(steps), 'step')}, so that none is the best so far; leave it out, to go on"
        )


def _check_same_run(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> None:
    """Refuse what differs from a finished run as from one that goes on: it would have no effect."""
    if not given.keys() & OPTIONS.keys():
        return
    options = complete_from_run(given, recorded.get("settings", {}))
    same = {"base": recorded["base_sha256"], **recorded["data_sha256"]}
    check_same_files(options, same | _identify(given), recorded)


def _identify(given: Mapping[str, Any]) -> dict[str, str]:
    """What identifies the base and the data files among the options."""
    files = {name: Path(given[name]) for name in PATHS if name in given and name != "base"}
    found = {
        name: hashlib.sha256(read_bytes(path, "a data file", error=DataError)).hexdigest()
        for name, path in files.items()
    }
    if "base" in given:
        found["base"] = weights_sha256(base_folder(given["base"]))
    return found


def _prepare(options: TrainOptions, console: Console) -> Job:
    console.say(f"minilora train: {options.method}, {options.task}, seed {options.seed}")
    return Job.prepare(options, console)


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
    results: dict[str, Any] | None = folder.info.get("results")
    if results is None:
        raise CheckpointError(
            f"{folder.path}: run.json says the run is finished, and has no results; train again, "
            "with --overwrite"
        )
    done = count(len(results["epochs"]), "epoch")
    console.note(f"the run in {folder.path} is finished, after {done}; this is what came out")
    for split in ("dev", "test"):
        if results[split]:
            console.heading(split)
            console.say(*score_lines(results[split]))
    console.finish(results)
