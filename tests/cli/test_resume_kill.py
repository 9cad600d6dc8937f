"""SIGKILL at any moment costs time, never a bit of the result."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest

ADAPTER = "adapter_model.safetensors"
N_STEPS = 20 * 8


@pytest.fixture
def words(ner_words):
    return [*map(str, ner_words), "--epochs", "20", "--checkpoint-every", "3"]


def start(words, out):
    """Start the run in ``out``, or go on with it."""
    resume = ["--resume"] if (out / "run.json").exists() else []
    return subprocess.Popen(
        [sys.executable, "-m", "minilora", *words, "--out", str(out), *resume],
        env={**os.environ, "MINILORA_KERNELS": "reference"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, said = process.communicate()
    assert process.returncode == 0, said


def steps_taken(out):
    """The last step in the metrics, which may be cut short at any character."""
    metrics = out / "metrics.jsonl"
    lines = metrics.read_text().splitlines() if metrics.exists() else []
    return sum('"lr"' in line for line in lines)


def kill_after(process, out, *, steps, seconds):
    """Send SIGKILL so many seconds after a step was taken; say whether it was still alive."""
    while process.poll() is None and steps_taken(out) < steps:
        time.sleep(0.001)
    time.sleep(seconds)
    alive = process.poll() is None
    process.kill()
    process.communicate()
    return alive


@pytest.mark.slow
def test_a_run_killed_at_ten_random_moments_ends_with_the_same_bytes(words, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    finish(start(words, whole))
    rng = np.random.default_rng()  # other moments each time
    steps = [0, 0, *sorted(rng.integers(0, N_STEPS - 10, 7)), N_STEPS]
    seconds = [*rng.uniform(0, 1.5, 2), *rng.uniform(0, 0.02, 7), *rng.uniform(0, 0.2, 1)]
    survivors = 0
    for n, wait in zip(steps, seconds, strict=True):
        survivors += not kill_after(start(words, killed), killed, steps=n, seconds=wait)
    assert survivors <= 1  # the last one may have been quick to the end
    finish(start(words, killed))
    assert (killed / ADAPTER).read_bytes() == (whole / ADAPTER).read_bytes()
    assert (killed / "metrics.jsonl").read_text().count('"lr"') == N_STEPS
    assert not list(killed.glob(".*"))  # no half-written files
