"""Threads go by sequences: a packed batch is cut into shards that run side by side.

Every shard has a Python thread of its own, over the same parameters. That works because NumPy, BLAS
and our kernels release the GIL, and because each thread has its own tape. BLAS gets one thread
meanwhile: two kinds of threads on the same cores only wait for each other.

A thread takes its shard chunk by chunk, each a forward (and backward) pass of whole sequences. So
what is held at a time is bounded by the size of a chunk, not of the batch.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from minilora._types import Array
from minilora.autograd import no_grad
from minilora.errors import ConfigError
from minilora.linalg import one_blas_thread
from minilora.text import Batch

S = TypeVar("S")
T = TypeVar("T")

VARIABLE = "MINILORA_THREADS"

CHUNK_TOKENS = 256
"""How many tokens a thread works on at a time unless told otherwise."""


def thread_count(threads: int | None = None) -> int:
    """How many threads to use: ``threads``, else MINILORA_THREADS, else the cores we may run on.

    Raises
    ------
    ConfigError
        If the one that counts is not a whole number of at least 1.
    """
    if threads is not None:
        where, given = "threads", str(threads)
    else:
        where, given = VARIABLE, os.environ.get(VARIABLE, "").strip()
        if not given:
            return cores()
    if not given.isdecimal() or int(given) < 1:
        raise ConfigError(f"{where}: got {given!r}; a whole number of at least 1 was expected.")
    return int(given)


def cut(batch: Batch, threads: int, chunk_tokens: int) -> list[list[Array]]:
    """For each thread the chunks of its shard: which sequences of ``batch`` each of them holds."""
    shards = batch.shard_indices(threads)
    return [
        [shard[chunk] for chunk in batch.select(shard).chunk_indices(chunk_tokens)]
        for shard in shards
    ]


def map_shards(
    f: Callable[[Batch], T],
    batch: Batch,
    *,
    threads: int | None = None,
    chunk_tokens: int = CHUNK_TOKENS,
) -> list[tuple[Array, T]]:
    """Apply ``f`` to the chunks of ``batch``'s shards, recording nothing: for inference.

    Parameters
    ----------
    f
        What to compute of a few sequences.
    batch
        N sequences.
    threads
        Shards that run side by side (default: MINILORA_THREADS, else all cores).
    chunk_tokens
        See `minilora.train.train_step`.

    Returns
    -------
    For each chunk which sequences of the batch it held (n,), in rising order, and ``f(chunk)``.
    """

    def task(chunks: list[Array]) -> list[tuple[Array, T]]:
        with no_grad():  # per thread, so it belongs in here
            return [(indices, f(batch.select(indices))) for indices in chunks]

    shards = cut(batch, thread_count(threads), chunk_tokens)
    results = side_by_side([functools.partial(task, chunks) for chunks in shards])
    return [result for of_shard in results for result in of_shard]


def side_by_side(tasks: Sequence[Callable[[], T]]) -> list[T]:
    """Run every task in a thread of its own, the first one in this thread; results in order.

    The first task that raised, in this order, raises here, once all have ended. So does Ctrl-C:
    nothing runs on behind the caller's back.
    """
    first, *others = tasks
    with one_blas_thread():
        futures: list[Future[T]] = [_pool(len(others)).submit(task) for task in others]
        try:
            return [first(), *(future.result() for future in futures)]
        finally:
            for future in futures:
                future.cancel()
            concurrent.futures.wait(futures)


def one_ahead(f: Callable[[S], T], items: Iterable[S]) -> Iterator[T]:
    """``map(f, items)``, a thread being at the next item while the caller is busy with the last.

    Items are taken in the caller's own thread, so that Ctrl-C reaches it where it waits for them.
    What ``f`` raises is raised in its turn.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="minilora-ahead") as thread:
        last: Future[T] | None = None
        for item in items:
            coming = thread.submit(f, item)
            if last is not None:
                yield last.result()
            last = coming
        if last is not None:
            yield last.result()


@functools.cache
def _pool(workers: int) -> ThreadPoolExecutor:
    """Threads that wait for work as long as the process lives: starting them costs more."""
    return ThreadPoolExecutor(max_workers=max(1, workers), thread_name_prefix="minilora")


if hasattr(os, "register_at_fork"):  # a forked child has none of the threads
    os.register_at_fork(after_in_child=_pool.cache_clear)


def cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):  # Linux: those a container or taskset leaves us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
