"""A search on other machines, as far as one machine can show it: a local Dask cluster."""

import os
import time

import pytest

from minilora.analysis.select import Candidate, TrialLog, run_search, sweep
from minilora.cli.select_options import complete
from minilora.cli.select_trial import TrainingTrial

pytestmark = [
    pytest.mark.cluster,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed"),
]


@pytest.fixture
def dask_client():
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def trials(base, data):
    given = {"base": str(base), "task": "ner", "train": str(data / "train.conll")}
    given |= {"dev": str(data / "dev.conll"), "batch_size": 8}
    return TrainingTrial.of(complete(given, workers=1))


def test_a_sweep_on_two_dask_workers_finds_what_this_process_finds(dask_client, trials, tmp_path):
    candidates = [Candidate(r=r) for r in (1, 2)]
    log = TrialLog(tmp_path / "results.csv")
    found = run_search(
        sweep(candidates, epochs=1, seeds=[0, 1]),
        trials,
        executor=dask_client.get_executor(),
        log=log,
    )
    assert [result.error for result in found.results] == [""] * 4
    assert [result.score for result in found.results] == [trials(r.trial) for r in found.results]
    assert len(TrialLog(log.path).results) == 4


def test_both_workers_take_part(dask_client):
    def process_id(trial):
        time.sleep(0.3)
        return os.getpid()

    strategy = sweep([Candidate(r=1)], epochs=1, seeds=range(6))
    found = run_search(strategy, process_id, executor=dask_client.get_executor())
    processes = {result.score for result in found.results}
    assert len(processes) == 2
    assert os.getpid() not in processes
