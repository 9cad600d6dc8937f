"""The training runs behind ``score_table.py``: which there are, and how one is made.

A cell is a base, a data set and a method. A few learning rates are tried with the first seed, and
while the best lies at their edge, one further. The one with the best dev score (the lowest, if
several are equal) is used with all seeds. Test scores choose nothing. Every run is a
``minilora train`` with one thread, and one JSON line at its end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import math
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import corpora

from minilora.errors import DivergenceError
from minilora.text import Task

SHIPPED = Path(__file__).resolve().parents[2] / "data"
SPLITS = ("train", "dev", "test")
SCORES = {"ner": "f1", "classify": "accuracy"}
BATCH_SIZE = 16
Line = dict[str, Any]


@dataclass(frozen=True)
class DataSet:
    """Three files, and for how long to train on them: any base, and ``tiny``."""

    folder: Path
    task: Task
    epochs: int
    tiny_epochs: int  # a small model needs more passes, and they cost it less

    def epochs_of(self, base: str) -> int:
        """For how long to train this base."""
        return self.tiny_epochs if base == "tiny" else self.epochs

    def path(self, split: str) -> Path:
        """The file of ``train``, ``dev`` or ``test``."""
        return self.folder / f"{split}.{'conll' if self.task == 'ner' else 'tsv'}"

    @property
    def exists(self) -> bool:
        """Whether all three are there."""
        return all(self.path(split).is_file() for split in SPLITS)


DATA_SETS = {
    "ner": DataSet(SHIPPED / "ner", "ner", 2, 10),
    "intents": DataSet(SHIPPED / "intents", "classify", 1, 10),
    "finance_sentiment": DataSet(SHIPPED / "finance_sentiment", "classify", 5, 10),
    "wikigold": DataSet(corpora.DATA / "wikigold", "ner", 3, 8),
    "sib200_en": DataSet(corpora.DATA / "sib200_en", "classify", 5, 10),
    "snips": DataSet(corpora.DATA / "snips", "classify", 1, 2),
}
LAST = "snips"  # ten times as much to train on as any other: after everything else, for all bases
MOST_RATES = 6
"""A sweep that still has its best at the edge stops here, and the table says so."""


@dataclass(frozen=True)
class Method:
    """A way to train: its name in the table, its options, the learning rates to try."""

    name: str
    words: tuple[str, ...]
    rates: tuple[float, ...]


LORA = ("--method", "lora", "--r", "8", "--alpha", "16")
METHODS = {
    "head": Method("frozen encoder + head", ("--method", "head"), (5e-3, 2e-2, 8e-2)),
    "lora-qv": Method(
        "LoRA r=8, query + value", (*LORA, "--targets", "query,value"), (1e-3, 3e-3, 1e-2)
    ),
    "lora-all": Method(
        "LoRA r=8, all-linear", (*LORA, "--targets", "all-linear"), (1e-3, 2e-3, 4e-3)
    ),
    "full": Method("full fine-tuning", ("--method", "full"), (1e-4, 3e-4, 1e-3)),
}


@dataclass(frozen=True)
class Cell:
    """One number of the table, and what identifies its runs."""

    base: str
    base_sha256: str
    dataset: str
    data_sha256: str
    method: str
    epochs: int
    batch_size: int = BATCH_SIZE


@dataclass(frozen=True)
class Run:
    """One training run of a cell."""

    cell: Cell
    lr: float
    seed: int

    def to_json(self) -> Line:
        """The part of its line that says which run it is."""
        return {**dataclasses.asdict(self.cell), "lr": self.lr, "seed": self.seed}

    @classmethod
    def of(cls, line: Line) -> Run:
        """The run that a line is of."""
        cell = Cell(**{field.name: line[field.name] for field in dataclasses.fields(Cell)})
        return cls(cell, line["lr"], line["seed"])


Runs = dict[Run, Line]

# ------------------------------------------------------------------ which runs there are


def tried(cell: Cell, runs: Runs, seed: int) -> dict[float, float]:
    """Dev score by learning rate, of the runs with this seed; −∞ for one that diverged."""
    return {
        run.lr: line.get("dev", -math.inf)
        for run, line in runs.items()
        if (run.cell, run.seed) == (cell, seed)
    }


def chosen(rates: dict[float, float]) -> float | None:
    """The learning rate with the best dev score, the lowest of several; None if all diverged."""
    best = max(rates.values(), default=-math.inf)
    return min((lr for lr, dev in rates.items() if dev == best > -math.inf), default=None)


def further(rates: dict[float, float]) -> float | None:
    """The learning rate to try next if the best is the lowest or the highest: as far again."""
    best, known = chosen(rates), sorted(rates)
    if best is None or not 2 <= len(known) < MOST_RATES:
        return None
    beside = {known[0]: known[1], known[-1]: known[-2]}.get(best)
    beyond = best if beside is None else float(f"{best * best / beside:.0e}")
    return None if beyond in rates else beyond


def missing(cell: Cell, runs: Runs, seeds: Sequence[int], rates: Iterable[float]) -> list[Run]:
    """What to run next: the sweep over learning rates, and when that is done, the other seeds."""
    sweep = [run for lr in rates if (run := Run(cell, lr, seeds[0])) not in runs]
    if sweep:
        return sweep
    found = tried(cell, runs, seeds[0])
    lr, beyond = chosen(found), further(found)
    if lr is None:
        return []
    if beyond is not None:
        return [Run(cell, beyond, seeds[0])]
    return [run for seed in seeds if (run := Run(cell, lr, seed)) not in runs]


def read_runs(path: Path) -> Runs:
    """The runs that a file holds."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    return {Run.of(line): line for line in map(json.loads, lines)}


def complete(
    todo: Callable[[Runs], list[Run]],
    path: Path,
    train: Callable[[Run], Line],
    pool: Executor,
    jobs: int,
) -> Runs:
    """Make runs, ``jobs`` at a time, until ``todo`` of those in the file names no more."""
    runs, running = read_runs(path), dict[Future[Line], Run]()
    while True:
        waiting = (run for run in todo(runs) if run not in running.values())
        for run in itertools.islice(waiting, jobs - len(running)):
            running[pool.submit(train, run)] = run
        if not running:
            return runs
        for done in wait(running, return_when=FIRST_COMPLETED).done:
            run = running.pop(done)
            line = runs[run] = run.to_json() | done.result()
            with path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
            print(progress(run, line, len(runs)), file=sys.stderr)


def progress(run: Run, line: Line, n_runs: int) -> str:
    """What is said of a finished run: not its test score, which nobody should steer by."""
    cell = run.cell
    said = f"dev {line['dev']:.4f}, {line['seconds']:.0f} s" if "dev" in line else "diverged"
    where = f"{cell.base} {cell.dataset} {cell.method}"
    return f"{n_runs:4}  {where}, lr {run.lr:g}, seed {run.seed}: {said}"


# ------------------------------------------------------------------ one run


def train(bases: dict[str, Path], run: Run) -> Line:
    """``minilora train`` in this process: scores, best epoch, seconds, parameters trained."""
    from minilora.cli.main import dispatch

    data, said = DATA_SETS[run.cell.dataset], io.StringIO()
    files = [word for split in SPLITS for word in (f"--{split}", str(data.path(split)))]
    settings = {
        "--lr": run.lr,
        "--seed": run.seed,
        "--epochs": run.cell.epochs,
        "--batch-size": run.cell.batch_size,
        "--threads": 1,
    }
    options = [str(word) for pair in settings.items() for word in pair]
    where = ["--base", str(bases[run.cell.base]), "--task", data.task, *files]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(said):
        words = [*where, *METHODS[run.cell.method].words, *options, "--out", f"{folder}/run"]
        try:
            dispatch(["train", *words, "--json"])
        except DivergenceError as error:
            return {"diverged": str(error)}
    result = json.loads(said.getvalue().splitlines()[-1])
    score = SCORES[data.task]
    return {
        "dev": result["dev"][score],
        "test": result["test"][score],
        "best_epoch": result["best_epoch"],
        "seconds": result["seconds"],
        "parameters_trained": result["parameters"]["trained"],
    }


@dataclass(frozen=True)
class Trainer:
    """`train` for these bases, as another process can be sent it."""

    bases: dict[str, Path]

    def __call__(self, run: Run) -> Line:
        """One run's part of its line."""
        return train(self.bases, run)
