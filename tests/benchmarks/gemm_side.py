"""What this machine's matrix products can do at a step's shapes: the floor in ``train_step.py``."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import threadpoolctl
from worker import Reply, serve

from minilora._types import Array

LEAST_SECONDS = 0.3  # a shape is timed for as long, and at least three times: others come and go


def peak(*, n_tokens: int, shapes: list[tuple[int, int]], threads: int) -> Reply:
    """GFLOP/s of x (T, I) times Wᵀ (I, O) over all ``shapes`` (O, I), the quicker of two ways.

    Either T is cut into a part for each Python thread, with one BLAS thread in each, or BLAS is
    given all threads. Each shape's least time counts.
    """
    ways = {"BLAS": blas_seconds}
    if threads > 1:
        ways["parts"] = parts_seconds
    flops = sum(2 * n_tokens * O * I for O, I in shapes)
    rates = {}
    for name, seconds_of in ways.items():
        seconds = {
            shape: seconds_of(n_tokens, *shape, threads) for shape in set(map(tuple, shapes))
        }
        rates[name] = flops / sum(seconds[tuple(shape)] for shape in shapes) / 1e9
    way = max(rates, key=lambda name: rates[name])
    return {"gflops": rates[way], "way": way}


def blas_seconds(T: int, O: int, I: int, threads: int) -> float:
    """BLAS has the threads."""
    product = multiplication(T, O, I)
    with threadpoolctl.threadpool_limits(threads, user_api="blas"):
        return least_seconds(product)


def parts_seconds(T: int, O: int, I: int, threads: int) -> float:
    """Python has the threads, each with its part of the rows."""
    products = [multiplication(-(-T // threads), O, I) for _ in range(threads)]
    with (
        threadpoolctl.threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(threads) as pool,
    ):
        return least_seconds(lambda: list(pool.map(lambda product: product(), products)))


def multiplication(T: int, O: int, I: int) -> Callable[[], Array]:
    """A product with room for its result, in float32."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((T, I), dtype=np.float32)
    W = rng.standard_normal((O, I), dtype=np.float32)
    y = np.empty((T, O), np.float32)
    return lambda: np.matmul(x, W.T, out=y)


def least_seconds(product: Callable[[], object]) -> float:
    """The shortest of at least three, after one that does not count."""
    product()
    least, began = float("inf"), time.perf_counter()
    for n in itertools.count(1):
        start = time.perf_counter()
        product()
        end = time.perf_counter()
        least = min(least, end - start)
        if n >= 3 and end - began > LEAST_SECONDS:
            break
    return least


if __name__ == "__main__":
    serve({"peak": peak})
