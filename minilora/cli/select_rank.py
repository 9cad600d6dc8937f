"""``minilora select-rank``: try candidates, and recommend one."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minilora.analysis.select import Result, TrialLog, local_workers, run_search
from minilora.analysis.select.trial import Strategy
from minilora.cli.console import Console
from minilora.cli.job import check_same_files
from minilora.cli.machine import ready_kernels
from minilora.cli.progress import BAR
from minilora.cli.scores import MAIN_SCORE
from minilora.cli.select_adapter import (
    budget_of,
    chosen_updates,
    read_spectra,
    show_allocations,
    show_picks,
)
from minilora.cli.select_job import SearchJob
from minilora.cli.select_options import OF_METHODS, check_method, check_recipe, complete, merge
from minilora.cli.select_outcome import SearchOutcome
from minilora.cli.select_parser import make_parser
from minilora.errors import ConfigError, WorkerError
from minilora.io.run import RESULTS, RunFolder
from minilora.text.counting import count
from minilora.train import thread_count

OF_CALL = ("out", "resume", "overwrite", "json")
"""Options that a search which goes on does not take over."""


def run(words: Sequence[str]) -> int:
    """Search, or go on with a search, as ``words`` say."""
    given = vars(make_parser().parse(words))
    console = Console(as_json=given.get("json", False))
    asked = {name: value for name, value in given.items() if name not in OF_CALL}
    if asked.get("method") in OF_METHODS["adapter"] and not {"train", "resume"} & given.keys():
        _look(asked, console)
    elif "out" not in given:
        raise ConfigError(
            "minilora select-rank: --out missing; expected a folder for the results, such as "
            "runs/rank; see minilora select-rank --help"
        )
    elif "resume" in given:
        _resume(given, asked, console)
    else:
        job = SearchJob.prepare(complete(asked, workers=thread_count()), console)
        strategy = job.strategy()
        with RunFolder.create(given["out"], overwrite="overwrite" in given) as folder:
            folder.record(search=asked, **job.to_json())
            _search(job, strategy, folder)
    return 0


def _look(asked: Mapping[str, Any], console: Console) -> None:
    """Say what an adapter's spectra suggest, without training anything."""
    method = asked["method"]
    check_method(asked, method)
    folder, targets = Path(asked["adapter"]), asked.get("targets", ())
    console.say(f"minilora select-rank: {method} of {folder}, without training", "")
    result: dict[str, Any] = {"command": "select-rank", "method": method, "adapter": str(folder)}
    if method == "spectrum":
        spectra = read_spectra(folder, base=asked.get("base"), targets=targets)
        result["picks"] = [asdict(pick) | {"r": pick.r} for pick in show_picks(spectra, console)]
    else:
        updates = chosen_updates(folder, targets)
        budget = budget_of(asked.get("budget"), updates, console)
        found = show_allocations(updates, {}, budget, console)
        result["allocations"] = {name: asdict(allocation) for name, allocation in found.items()}
    console.say("", "which of them learns as well, a search tells: give --base, --task and --train")
    console.finish(result)


def _resume(given: Mapping[str, Any], asked: Mapping[str, Any], console: Console) -> None:
    if "overwrite" in given:
        raise ConfigError("--resume: goes on with what --overwrite would remove; give one of them")
    with RunFolder.resume(given["out"]) as folder:
        if "settings" in folder.info:
            raise ConfigError(
                f"{folder.path}: holds a training, and no search; go on with: "
                f"minilora train --out {shlex.quote(str(folder.path))} --resume"
            )
        merged = merge(folder.info.get("search", {}), asked)
        options = complete(merged, workers=thread_count())
        if "recipe" in folder.info:  # not if it was killed before its first trial
            check_recipe(options, folder.info["recipe"])
        job = SearchJob.prepare(options, console)
        if "recipe" in folder.info:
            check_same_files(options.recipe, job.sha256(), folder.info)
        strategy = job.strategy()
        folder.record(search=merged, **job.to_json(), status="running")
        _search(job, strategy, folder)


def _search(job: SearchJob, strategy: Strategy, folder: RunFolder) -> None:
    """Run the trials and say what comes of them, so that it can be gone on with from anywhere."""
    options, console = job.options, job.console
    go_on = f"go on with: minilora select-rank --out {shlex.quote(str(folder.path))} --resume"
    ready_kernels()
    log = TrialLog(folder.path / RESULTS)
    if log.results:
        console.note(f"{count(len(log.results), 'trial')} in {log.path} from before")
    try:
        with _Bar(options.recipe.task) as bar, local_workers(options.workers) as workers:
            found = run_search(
                strategy,
                job.trials,
                executor=workers,
                log=log,
                on_result=bar.on_result,
                max_epochs=options.max_epochs,
            )
    except KeyboardInterrupt:
        folder.record(status="interrupted")
        kept = f"{count(len(log.results), 'trial')} kept in {log.path}"
        raise KeyboardInterrupt(f"stopped; {kept}; {go_on}") from None
    except WorkerError as error:
        raise WorkerError(f"{error} {go_on} --workers 1") from error
    _finish(SearchOutcome.of(options, found), folder, console)


def _finish(outcome: SearchOutcome, folder: RunFolder, console: Console) -> None:
    search = outcome.search
    console.heading("candidates, best first")
    console.say(*outcome.lines(), "", f"{count(search.epochs, 'epoch')} of training in all")
    if not search.finished:
        console.note("--max-epochs ended the search before its method had")
    if failed := [result for result in search.results if result.score is None]:
        console.note(
            f"{len(failed)} of {count(len(search.results), 'trial')} failed, the first with "
            f"{failed[0].error}"
        )
    outcome.save(folder)
    console.heading("recommended")
    console.say(outcome.recommendation.reason)
    console.heading(f"saved in {folder.path}")
    console.say(*outcome.file_lines(folder.path))
    console.heading("next")
    console.say(*outcome.next_lines())
    console.finish(folder.info["results"])


class _Bar:
    """On a terminal, how far a search is, and the best so far."""

    def __init__(self, task: str) -> None:
        _, self.score_name = MAIN_SCORE[task]
        self.best: Result | None = None
        self.bar: tqdm[Any] = tqdm(
            total=0, file=sys.stderr, disable=not sys.stderr.isatty(), leave=False, bar_format=BAR
        )

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        """Take the bar away."""
        self.bar.close()

    def on_result(self, result: Result, n_done: int, n_asked: int) -> None:
        """Move the bar."""
        score = result.score
        if score is not None and (self.best is None or score > (self.best.score or 0.0)):
            self.best = result
        best = "" if self.best is None else f"  {self.score_name} up to {self.best.score:.4f}"
        self.bar.total = n_asked
        self.bar.set_description_str(f"trial {n_done}/{n_asked}{best}", refresh=False)
        self.bar.update(n_done - self.bar.n)
