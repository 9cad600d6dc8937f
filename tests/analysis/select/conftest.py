"""Planted problems: candidates, and objectives whose best is known."""

import math
from concurrent.futures import Executor, Future

import numpy as np
import pytest

from minilora.adapters import LowRankUpdate
from minilora.analysis.select import Candidate, Result, Trial, run_search

SIZES = {"query": 32, "value": 32, "dense": 80}  # parameters of one direction


class InTurn(Executor):
    """An executor that runs everything here and at once."""

    def submit(self, function, *inputs):
        future = Future()
        try:
            future.set_result(function(*inputs))
        except Exception as error:
            future.set_exception(error)
        return future


@pytest.fixture(scope="session")
def candidate():
    def make(r, targets=("query", "value"), sparsity=0.0):
        n = r * sum(SIZES[name] for name in targets)
        n -= int(sparsity * n)
        return Candidate(r=r, targets=tuple(targets), sparsity=sparsity, n_parameters=n)

    return make


@pytest.fixture(scope="session")
def result(candidate):
    def make(score, r=4, *, epochs=1, seed=0, fold=0, error=""):
        return Result(Trial(candidate(r), epochs, seed, fold), score, 0.5, error)

    return make


@pytest.fixture
def saturating():
    """Better up to rank 4, and no more from there; seeds and folds add noise that is known."""

    def objective(trial):
        noise = 0.01 * math.sin(100 * trial.seed + 10 * trial.fold)
        return 0.5 + 0.1 * min(trial.candidate.r, 4) + noise

    return objective


@pytest.fixture
def search():
    """Run a strategy in this thread, unless an executor is given."""

    def run(strategy, objective, *, executor=None, **options):
        return run_search(strategy, objective, executor=executor or InTurn(), **options)

    return run


@pytest.fixture
def spectral_update(rng):
    """Make an update whose singular values are S."""

    def make(S, *, shape=(12, 9), path="query", scale=0.5):
        U = np.linalg.qr(rng.standard_normal((shape[0], len(S))))[0]
        V = np.linalg.qr(rng.standard_normal((shape[1], len(S))))[0]
        return LowRankUpdate(path, U * np.asarray(S) / scale, V.T, scale)

    return make
