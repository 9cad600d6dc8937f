import threading
import time
from concurrent.futures import BrokenExecutor, CancelledError, Future, ThreadPoolExecutor

import pytest
import threadpoolctl

from minilora.analysis.select import TrialLog, run_search, sweep
from minilora.errors import ConfigError, OutputError, WorkerError


@pytest.fixture
def grid(candidate):
    return [candidate(r) for r in (1, 2, 4, 8)]


@pytest.fixture
def log(tmp_path):
    return TrialLog(tmp_path / "results.csv")


def three_rounds(grid):
    """A strategy whose every round depends on the one before."""
    rank = 1
    for _ in range(3):
        (first, *_) = yield next(sweep(grid, epochs=rank, seeds=[0]))
        rank += round(first.score * 10) % 3 + 1


def test_results_are_in_the_order_asked_whatever_the_order_they_come_in(grid, search):
    may_end = {candidate.r: threading.Event() for candidate in grid}
    may_end[8].set()
    came = []

    def wait(trial):
        assert may_end[trial.candidate.r].wait(10)
        return trial.candidate.r

    def let_the_one_before_end(result, *_):
        came.append(result.trial.candidate.r)
        may_end[max(came[-1] // 2, 1)].set()

    with ThreadPoolExecutor(len(grid)) as threads:
        strategy = sweep(grid, epochs=1, seeds=[0])
        found = search(strategy, wait, executor=threads, on_result=let_the_one_before_end)
    assert came == [8, 4, 2, 1]
    assert [r.score for r in found.results] == [1, 2, 4, 8]


def test_threads_find_what_one_thread_finds(grid, saturating, search):
    alone = search(three_rounds(grid), saturating)
    with ThreadPoolExecutor(3) as threads:
        together = search(three_rounds(grid), saturating, executor=threads)
    assert [(r.trial, r.score) for r in together.results] == [
        (r.trial, r.score) for r in alone.results
    ]


def test_a_trial_that_raises_is_a_result_with_the_reason(grid, search, log):
    def fails_at_two(trial):
        if trial.candidate.r == 2:
            raise ValueError("too\nnarrow")
        return 1.0

    found = search(sweep(grid, epochs=1, seeds=[0]), fails_at_two, log=log)
    assert [r.score for r in found.results] == [1.0, None, 1.0, 1.0]
    assert found.results[1].error == "ValueError: too narrow"
    assert TrialLog(log.path).results[found.results[1].trial].error == "ValueError: too narrow"


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_a_failure(grid, search, score):
    (found,) = search(sweep(grid[:1], epochs=1, seeds=[0]), lambda trial: score).results
    assert found.score is None
    assert found.error == f"the score is {score}"


def test_finished_trials_are_not_run_again(grid, saturating, search, log):
    first = search(sweep(grid[:2], epochs=1, seeds=[0, 1]), saturating, log=log)
    ran = []

    def counting(trial):
        ran.append(trial)
        return saturating(trial)

    second = search(sweep(grid, epochs=1, seeds=[0, 1]), counting, log=TrialLog(log.path))
    assert {trial.candidate.r for trial in ran} == {4, 8}
    assert [r.score for r in second.results[:4]] == [r.score for r in first.results]


def test_blas_has_one_thread_in_a_trial(grid, search):
    def blas_threads(trial):
        return max(library["num_threads"] for library in threadpoolctl.threadpool_info())

    with threadpoolctl.threadpool_limits(2):
        found = search(sweep(grid[:1], epochs=1, seeds=[0]), blas_threads)
    assert found.results[0].score == 1


def test_a_trial_asked_for_twice_runs_once(grid, search):
    ran = []

    def twice():
        (trial,) = next(sweep(grid[:1], epochs=2, seeds=[0]))
        assert len((yield [trial, trial])) == 2
        assert len((yield [trial])) == 1

    found = search(twice(), lambda trial: ran.append(trial) or 1.0)
    assert len(ran) == 1
    assert found.epochs == 2


def test_the_callback_hears_of_every_result_and_how_far_it_is(grid, saturating, search, log):
    heard = []

    def strategy():
        yield next(sweep(grid[:2], epochs=1, seeds=[0]))
        yield next(sweep(grid[2:], epochs=1, seeds=[0]))

    def listen(result, n_done, n_asked):
        heard.append((n_done, n_asked))
        assert result.score is not None

    search(sweep(grid[:1], epochs=1, seeds=[0]), saturating, log=log)
    search(strategy(), saturating, log=log, on_result=listen)
    assert heard == [(1, 2), (2, 2), (3, 4), (4, 4)]


def test_epochs_are_counted_known_results_included(grid, saturating, search, log):
    for _ in range(2):
        found = search(sweep(grid, epochs=3, seeds=[0, 1], n_folds=2), saturating, log=log)
        assert found.epochs == 4 * 3 * 2 * 2


def test_no_more_is_begun_than_the_limit_allows(grid, saturating, search):
    def rounds():
        for epochs in (1, 2, 3):
            yield next(sweep(grid, epochs=epochs, seeds=[0]))

    all_rounds = search(rounds(), saturating, max_epochs=24)
    assert (all_rounds.epochs, all_rounds.finished) == (24, True)
    cut_short = search(rounds(), saturating, max_epochs=23)
    assert (cut_short.epochs, cut_short.finished) == (12, False)


def test_a_limit_too_low_for_anything_is_refused_with_both_numbers(grid, saturating, search):
    with pytest.raises(ConfigError, match=r"first 4 trials take 12 epochs .* more than 11"):
        search(sweep(grid, epochs=3, seeds=[0]), saturating, max_epochs=11)


class Refusing(ThreadPoolExecutor):
    """Runs all but rank 2, for which the executor itself fails."""

    def __init__(self, error):
        super().__init__(1)
        self.error = error

    def submit(self, function, objective, trial):
        if trial.candidate.r != 2:
            return super().submit(function, objective, trial)
        future = Future()
        if isinstance(self.error, CancelledError):
            future.cancel()
            future.set_running_or_notify_cancel()
        else:
            future.set_exception(self.error)
        return future


@pytest.mark.parametrize("error", [BrokenExecutor("gone"), CancelledError()])
def test_a_worker_that_died_ends_the_search_and_says_so(grid, saturating, search, error, log):
    with Refusing(error) as executor, pytest.raises(WorkerError, match="a worker died"):
        search(sweep(grid, epochs=1, seeds=[0]), saturating, executor=executor, log=log)


def test_what_the_executor_cannot_do_fails_that_trial_and_is_tried_next_time(
    grid, saturating, search, log
):
    with Refusing(TypeError("cannot pickle")) as executor:
        found = search(sweep(grid, epochs=1, seeds=[0]), saturating, executor=executor, log=log)
    assert [r.error for r in found.results] == ["", "TypeError: cannot pickle", "", ""]
    assert len(TrialLog(log.path).results) == 3


def test_what_ends_the_search_takes_back_the_trials_still_waiting(grid, search):
    ran = []

    def stop(*_):
        raise KeyboardInterrupt

    with ThreadPoolExecutor(1) as threads:
        strategy = sweep(grid, epochs=1, seeds=range(50))
        with pytest.raises(KeyboardInterrupt):
            search(
                strategy,
                lambda trial: ran.append(trial) or time.sleep(0.01) or 1.0,
                executor=threads,
                on_result=stop,
            )
    assert len(ran) < 200


def test_a_disk_that_is_full_ends_the_search(grid, saturating, search, log, monkeypatch):
    def full(result):
        raise OutputError("results.csv: cannot be written")

    monkeypatch.setattr(log, "append", full)
    with pytest.raises(OutputError):
        search(sweep(grid, epochs=1, seeds=[0]), saturating, log=log)


def test_a_search_whose_results_are_all_known_starts_no_process(grid, saturating, search, log):
    found = search(sweep(grid, epochs=1, seeds=[0]), saturating, log=log)

    def impossible(trial):
        raise AssertionError("ran")

    again = run_search(sweep(grid, epochs=1, seeds=[0]), impossible, log=TrialLog(log.path))
    assert [r.score for r in again.results] == [r.score for r in found.results]
