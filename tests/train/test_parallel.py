import importlib
import multiprocessing
import os
import signal
import threading
import time

import numpy as np
import pytest
import threadpoolctl

from minilora.autograd import Tensor
from minilora.errors import ConfigError
from minilora.text import Batch
from minilora.train import map_shards, thread_count
from minilora.train.parallel import CHUNK_TOKENS, VARIABLE, one_ahead, side_by_side


def blas_threads():
    """Threads of each BLAS: NumPy's, and SciPy's own where it has been loaded."""
    pools = threadpoolctl.threadpool_info()
    (n_threads,) = {pool["num_threads"] for pool in pools if pool["user_api"] == "blas"}
    return n_threads


@pytest.fixture
def batch(ner_data):
    return ner_data(9, 3).batch(range(9))


def test_the_argument_counts_before_the_variable(monkeypatch):
    monkeypatch.setenv(VARIABLE, "7")
    assert thread_count(3) == 3


def test_the_variable_counts_before_the_cores(monkeypatch):
    monkeypatch.setenv(VARIABLE, " 7 ")
    assert thread_count() == 7


@pytest.mark.parametrize("value", [None, ""])
def test_the_cores_we_may_run_on_are_the_default(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value) if value is not None else monkeypatch.delenv(
        VARIABLE, raising=False
    )
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 2, 5}, raising=False)
    assert thread_count() == 3


def test_without_affinity_all_cores_count(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert thread_count() == 5


@pytest.mark.parametrize("value", ["0", "-1", "two", "1.5", "²"])
def test_a_bad_variable_is_named(monkeypatch, value):
    monkeypatch.setenv(VARIABLE, value)
    with pytest.raises(ConfigError, match=f"MINILORA_THREADS: got '{value}'"):
        thread_count()


def test_a_bad_argument_is_named():
    with pytest.raises(ConfigError, match="threads: got '0'"):
        thread_count(0)


def test_results_come_in_the_order_of_the_tasks():
    def task(i):
        time.sleep(0.01 * (3 - i))
        return i

    assert side_by_side([lambda i=i: task(i) for i in range(4)]) == [0, 1, 2, 3]


def test_tasks_run_at_the_same_time():
    barrier = threading.Barrier(3, timeout=10)  # breaks, and raises, unless all three meet
    side_by_side([barrier.wait] * 3)


def test_an_exception_surfaces_as_itself_and_the_first_task_has_precedence():
    def fail(error):
        raise error

    late = ZeroDivisionError("late")
    first = KeyError("first")
    tasks = [lambda: 0, lambda: (time.sleep(0.02), fail(first)), lambda: fail(late)]
    with pytest.raises(KeyError) as caught:
        side_by_side(tasks)
    assert caught.value is first


@pytest.mark.parametrize(
    ("interrupt", "error"),
    [
        (lambda: 1 / 0, ZeroDivisionError),
        (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt),
    ],
    ids=["an exception", "ctrl-c"],
)
def test_nothing_runs_on_afterwards(interrupt, error):
    started, ended = threading.Event(), []

    def first():
        started.wait(10)
        interrupt()

    def slow():
        started.set()
        time.sleep(0.05)
        ended.append(True)

    with pytest.raises(error):
        side_by_side([first, slow])
    assert ended == [True]
    assert side_by_side([lambda: 1, lambda: 2]) == [1, 2]


def test_blas_has_one_thread_inside_and_gets_the_others_back():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert side_by_side([blas_threads, blas_threads]) == [1, 1]
        assert blas_threads() == 2
        importlib.import_module("scipy.linalg")  # brings a BLAS of its own, perhaps only now
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        assert side_by_side([blas_threads, blas_threads]) == [1, 1]
        with pytest.raises(ZeroDivisionError):
            side_by_side([lambda: 1 / 0])
        assert blas_threads() == 2


def test_blas_gets_its_threads_back_when_calls_overlap():
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        first_in, second_done = threading.Event(), threading.Event()

        def hold():
            first_in.set()
            second_done.wait(10)

        other = threading.Thread(target=side_by_side, args=([hold],))
        other.start()
        first_in.wait(10)
        side_by_side([blas_threads])
        second_done.set()
        other.join()
        assert blas_threads() == 2


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")  # what it is about
@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_can_use_threads_of_its_own():
    side_by_side([lambda: 1, lambda: 2])
    results = multiprocessing.get_context("fork").SimpleQueue()
    child = multiprocessing.get_context("fork").Process(
        target=lambda: results.put(side_by_side([lambda: 3, lambda: 4]))
    )
    child.start()
    child.join(30)
    assert child.exitcode == 0
    assert results.get() == [3, 4]


@pytest.mark.parametrize("threads", [1, 2, 4, 50])
@pytest.mark.parametrize("chunk_tokens", [1, 16, CHUNK_TOKENS])
def test_chunks_cover_the_batch_once(batch, threads, chunk_tokens):
    parts = map_shards(
        lambda chunk: chunk.input_ids, batch, threads=threads, chunk_tokens=chunk_tokens
    )
    assert len(parts) >= min(threads, batch.n_sequences)
    assert sorted(i for members, _ in parts for i in members) == list(range(batch.n_sequences))
    for members, ids in parts:
        np.testing.assert_array_equal(ids, batch.select(members).input_ids)
        assert len(members) == 1 or len(ids) <= chunk_tokens


def test_every_thread_has_chunks_of_one_shard(batch):
    def where(chunk):
        return threading.get_ident()

    shards = batch.shard_indices(2)
    parts = map_shards(where, batch, threads=2, chunk_tokens=16)
    for shard in shards:
        assert len({thread for members, thread in parts if set(members) <= set(shard)}) == 1
    assert len({thread for _, thread in parts}) == 2


def test_shards_are_not_recorded(batch):
    x = Tensor(np.ones(2), requires_grad=True)
    parts = map_shards(lambda shard: (x * 2.0).node, batch, threads=3)
    assert [node for _, node in parts] == [None] * 3


def test_a_batch_of_one_sequence_is_one_shard(batch: Batch):
    assert len(map_shards(lambda shard: 0, batch.select([4]), threads=8)) == 1


def test_looking_ahead_gives_what_map_gives():
    assert list(one_ahead(lambda i: i * i, range(5))) == [0, 1, 4, 9, 16]
    assert list(one_ahead(lambda i: i * i, [])) == []


def test_the_next_item_is_worked_on_while_the_last_is_in_use():
    begun = [threading.Event() for _ in range(3)]
    for i, _ in enumerate(one_ahead(lambda i: begun[i].set(), range(3))):
        assert begun[min(i + 1, 2)].wait(10)


def test_no_more_than_one_item_is_taken_ahead():
    taken = []

    def items():
        for i in range(10):
            taken.append(i)
            yield i

    ahead = one_ahead(str, items())
    assert next(ahead) == "0"
    assert taken == [0, 1]
    ahead.close()


def test_what_looking_ahead_raises_is_raised_in_its_turn():
    ahead = one_ahead(lambda i: 1 / i, [1, 0])
    assert next(ahead) == 1
    with pytest.raises(ZeroDivisionError):
        next(ahead)


def test_items_are_taken_in_the_callers_thread():
    where = (threading.get_ident() for _ in range(3))
    assert set(one_ahead(lambda ident: ident, where)) == {threading.get_ident()}
