import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minilora.analysis.select import TrialLog, local_workers, run_search, sweep
from minilora.errors import WorkerError

rank = operator.attrgetter("candidate.r")  # an objective that every process can import

SEARCH = """
import os, sys, time
from minilora.analysis.select import Candidate, TrialLog, local_workers, run_search, sweep

def score(trial):
    with open("ran.txt", "a") as file:
        file.write(f"{trial.seed} {os.getpid()}\\n")
    time.sleep(0.05)
    return trial.seed / 7

if __name__ == "__main__":
    with local_workers(2) as workers:
        found = run_search(
            sweep([Candidate(r=1)], epochs=1, seeds=range(30)),
            score,
            executor=workers,
            log=TrialLog("results.csv"),
        )
    print([result.score for result in found.results])
"""


@pytest.fixture
def grid(candidate):
    return [candidate(r) for r in (1, 2, 4, 8)]


@pytest.fixture(scope="module")
def workers():
    with local_workers(2) as pool:
        yield pool


def test_processes_find_what_one_thread_finds(grid, search, workers):
    strategy = lambda: sweep(grid, epochs=1, seeds=[0, 1])
    alone, apart = search(strategy(), rank), search(strategy(), rank, executor=workers)
    assert [(r.trial, r.score) for r in apart.results] == [
        (r.trial, r.score) for r in alone.results
    ]


def test_processes_of_our_own_are_the_default(grid):
    found = run_search(sweep(grid[:2], epochs=1, seeds=[0]), rank)
    assert [r.score for r in found.results] == [1, 2]


def test_a_failure_comes_back_from_another_process(grid, workers):
    nothing = operator.attrgetter("nothing")
    (found,) = run_search(sweep(grid[:1], epochs=1, seeds=[0]), nothing, executor=workers).results
    assert found.error == "AttributeError: 'Trial' object has no attribute 'nothing'"


def test_what_cannot_be_sent_to_a_process_fails_with_the_reason(grid, workers):
    (found,) = run_search(
        sweep(grid[:1], epochs=1, seeds=[0]), lambda trial: 1.0, executor=workers
    ).results
    assert "pickle" in found.error


def test_a_worker_trains_on_one_thread(workers):
    assert workers.submit(os.getenv, "MINILORA_THREADS").result() == "1"


def test_a_worker_that_is_killed_is_said_and_loses_nothing(grid, tmp_path):
    log = TrialLog(tmp_path / "results.csv")
    with local_workers(1) as pool:
        run_search(sweep(grid[:1], epochs=1, seeds=[0]), rank, executor=pool, log=log)
        os.kill(pool.submit(os.getpid).result(), signal.SIGKILL)
        with pytest.raises(WorkerError, match="fewer workers"):
            run_search(sweep(grid, epochs=1, seeds=[0]), rank, executor=pool, log=log)
    assert len(TrialLog(log.path).results) == 1


def start(folder: Path) -> subprocess.Popen:
    script = folder / "search.py"
    script.write_text(SEARCH)
    return subprocess.Popen(
        [sys.executable, script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ran(folder: Path) -> list[list[str]]:
    file = folder / "ran.txt"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def wait_until(condition, seconds=30):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
def test_a_killed_search_leaves_no_process_behind_and_goes_on_where_it_was(tmp_path):
    process = start(tmp_path)
    wait_until(lambda: len(ran(tmp_path)) >= 10)
    process.kill()
    process.communicate()
    wait_until(lambda: not any(is_running(int(pid)) for _, pid in ran(tmp_path)))

    known = {trial.seed for trial in TrialLog(tmp_path / "results.csv").results}
    assert 5 <= len(known) < 30
    (tmp_path / "ran.txt").unlink()
    out, err = start(tmp_path).communicate(timeout=60)
    assert (out, err) == (f"{[seed / 7 for seed in range(30)]}\n", "")
    assert {int(seed) for seed, _ in ran(tmp_path)} == set(range(30)) - known


def test_ctrl_c_ends_workers_at_once_and_without_a_word_of_theirs(tmp_path):
    process = start(tmp_path)
    wait_until(lambda: len(ran(tmp_path)) >= 4)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert process.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
