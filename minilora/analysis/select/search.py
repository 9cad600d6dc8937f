"""run_search: a strategy's trials, on any executor, each result kept as it comes."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, as_completed
from dataclasses import dataclass, field
from typing import TypeAlias

from minilora.analysis.select.log import TrialLog
from minilora.analysis.select.trial import Result, Strategy, Trial
from minilora.analysis.select.workers import local_workers
from minilora.errors import ConfigError, WorkerError
from minilora.linalg import one_blas_thread

Objective: TypeAlias = Callable[[Trial], float]
"""The score of a trial, higher is better. It is sent to workers, so they must be able to import it;
what it raises is the trial's failure, not the search's."""


@dataclass(frozen=True)
class Search:
    """What came of a search.

    Attributes
    ----------
    results
        In the order in which the strategy asked, whatever the order in which they came.
    epochs
        Epochs of training spent on them; one on k - 1 of k folds counts as one.
    finished
        False when the limit on epochs ended the search before its strategy did.
    """

    results: tuple[Result, ...]
    epochs: int
    finished: bool = True


def run_search(
    strategy: Strategy,
    objective: Objective,
    *,
    executor: Executor | None = None,
    log: TrialLog | None = None,
    on_result: Callable[[Result, int, int], None] | None = None,
    max_epochs: int | None = None,
) -> Search:
    """Run the trials that ``strategy`` asks for, side by side.

    The outcome depends on strategy and objective alone, not on executor or timing. A trial that
    raises, or whose score is no number, has failed; it is recorded with the reason, and the others
    go on.

    Parameters
    ----------
    strategy
        Such as ``sweep(candidates, epochs=3, seeds=range(3))``.
    objective
        Scores one trial.
    executor
        Where trials run; it is left running. `local_workers` if None. On a cluster,
        ``dask.distributed.Client(...).get_executor()`` or ``mpi4py.futures.MPIPoolExecutor()``,
        whose workers need the files that the objective reads. BLAS has one thread in a trial.
    log
        Keeps every result, and knows those of an earlier search: these trials do not run again.
    on_result
        Called with each result, the number of results so far, and the number asked for so far.
    max_epochs
        Do not begin what would take more epochs of training in all, results from ``log`` included.

    Raises
    ------
    WorkerError
        When workers died; all results until then are in ``log``.
    ConfigError
        When ``max_epochs`` is not enough for the first trials.
    OutputError
        When ``log`` cannot be written.
    """
    with contextlib.ExitStack() as stack:
        pool = executor if executor is not None else stack.enter_context(local_workers())
        run = _Run(objective, pool, log, on_result)
        with contextlib.suppress(StopIteration):
            trials = next(strategy)
            while run.can_afford(trials, max_epochs):
                trials = strategy.send(run.answer(trials))
            return Search(tuple(run.results.values()), run.epochs, finished=False)
    return Search(tuple(run.results.values()), run.epochs)


def begun(strategy: Strategy, *, max_epochs: int | None = None) -> Strategy:
    """``strategy``, asked for its first trials at once: what it or `run_search` refuses, is now.

    Raises
    ------
    ConfigError
        There is nothing to try, or ``max_epochs`` is not enough for the first trials.
    """
    first = next(strategy)
    _check_affordable(first, max_epochs)
    return _going_on(first, strategy)


def _check_affordable(first: Sequence[Trial], max_epochs: int | None) -> None:
    cost = sum(trial.epochs for trial in dict.fromkeys(first))
    if max_epochs is not None and cost > max_epochs:
        raise ConfigError(
            f"search: its first {len(first)} trials take {cost} epochs of training, and no "
            f"more than {max_epochs} are allowed; allow more, or try fewer candidates, seeds, "
            "folds or epochs."
        )


def _going_on(trials: list[Trial], strategy: Strategy) -> Strategy:
    with contextlib.suppress(StopIteration):
        while True:
            trials = strategy.send((yield trials))


@dataclass
class _Run:
    """What has been answered so far, and what to answer with."""

    objective: Objective
    pool: Executor
    log: TrialLog | None
    on_result: Callable[[Result, int, int], None] | None
    results: dict[Trial, Result] = field(default_factory=dict)
    epochs: int = 0

    def can_afford(self, trials: Sequence[Trial], max_epochs: int | None) -> bool:
        if not self.results:
            _check_affordable(trials, max_epochs)
        cost = self.epochs + sum(trial.epochs for trial in self._new(trials))
        return max_epochs is None or cost <= max_epochs

    def answer(self, trials: Sequence[Trial]) -> list[Result]:
        new = self._new(trials)
        n_before = len(self.results)
        found: dict[Trial, Result] = {}

        def keep(result: Result) -> None:
            found[result.trial] = result
            if self.on_result is not None:
                self.on_result(result, n_before + len(found), n_before + len(new))

        for trial in new:
            if self.log is not None and trial in self.log.results:
                keep(self.log.results[trial])
        self._run([trial for trial in new if trial not in found], keep)
        self.results |= {trial: found[trial] for trial in new}  # in the order asked
        self.epochs += sum(trial.epochs for trial in new)
        return [self.results[trial] for trial in trials]

    def _new(self, trials: Sequence[Trial]) -> list[Trial]:
        return [trial for trial in dict.fromkeys(trials) if trial not in self.results]

    def _run(self, trials: Sequence[Trial], keep: Callable[[Result], None]) -> None:
        futures: dict[Future[Result], Trial] = {}
        try:
            for trial in trials:
                futures[self.pool.submit(_attempt, self.objective, trial)] = trial
            for future in as_completed(futures):
                keep(self._outcome(future, futures[future]))
        except (BrokenExecutor, CancelledError) as error:
            raise WorkerError(
                f"search: a worker died, for want of memory perhaps ({_one_line(error)}); what was "
                "finished is kept; go on with fewer workers, or without the largest candidates."
            ) from error
        finally:
            for future in futures:
                future.cancel()

    def _outcome(self, future: Future[Result], trial: Trial) -> Result:
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            raise error
        if error is not None:  # the executor's failure, not the trial's: next time it may work
            return Result(trial, None, 0.0, _one_line(error))
        result = future.result()
        if self.log is not None:
            self.log.append(result)
        return result


def _attempt(objective: Objective, trial: Trial) -> Result:
    """Score a trial, in a worker; whatever goes wrong is a result as well."""
    began = time.perf_counter()
    score, error = None, ""
    try:
        with one_blas_thread():  # trials run side by side
            score = float(objective(trial))
        if not math.isfinite(score):
            error, score = f"the score is {score}", None
    except Exception as failure:
        error = _one_line(failure)
    return Result(trial, score, time.perf_counter() - began, error)


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
