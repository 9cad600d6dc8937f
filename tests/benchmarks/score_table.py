"""Test scores of LoRA beside simpler and larger ways to train, on small sets, over seeds.

    python tests/benchmarks/score_table.py --base tiny=data/tiny_bert minilm=DIR --runs scores.jsonl

README.md says how it is done, `sweep` does it. Started again, the script makes only the runs that
are missing, by everything that identifies a run: files by their content. Learning rates that
``--rates`` adds join those tried before.
"""

from __future__ import annotations

import argparse
import collections
import hashlib
import itertools
import multiprocessing
import statistics
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from sweep import (
    BATCH_SIZE,
    DATA_SETS,
    LAST,
    METHODS,
    SPLITS,
    Cell,
    DataSet,
    Line,
    Run,
    Runs,
    Trainer,
    chosen,
    complete,
    missing,
    read_runs,
    tried,
)

from minilora.text import Example, read_corpus


def majority_score(data: DataSet) -> float:
    """Test score without looking: F1 0 if no word is in an entity, else train's commonest class."""
    if data.task == "ner":
        return 0.0
    train, test = (labels(data.path(split)) for split in ("train", "test"))
    ((most, _),) = collections.Counter(train).most_common(1)
    return test.count(most) / len(test)


def labels(path: Path) -> list[str]:
    """The class of every row."""
    return [row.label for row in read_corpus(path, "classify").rows if isinstance(row, Example)]


def markdown(cells: Sequence[Cell], runs: Runs, seeds: Sequence[int]) -> str:
    """A line per base and method, a column per data set; then what to keep in mind."""
    names = list(dict.fromkeys(cell.dataset for cell in cells))
    heads = [f"{name} {'F1' if DATA_SETS[name].task == 'ner' else 'acc.'}" for name in names]
    scores = [f"{majority_score(DATA_SETS[name]):.3f}" for name in names]
    rows = [["base", "method", "trained", *heads], ["---"] * (len(names) + 3)]
    rows.append(["-", "majority", "0", *scores])
    for base, method in dict.fromkeys((cell.base, cell.method) for cell in cells):
        line = {c.dataset: c for c in cells if (c.base, c.method) == (base, method)}
        entries = [entry(line[name], runs, seeds) for name in names]
        rows.append([base, METHODS[method].name, trained(line.values(), runs), *entries])
    notes = [note for cell in cells for note in remarks(cell, runs, seeds)]
    return "\n".join(
        [*(f"| {' | '.join(row)} |" for row in rows), "", caption(cells, seeds), *notes]
    )


def finished(cell: Cell, runs: Runs, seeds: Sequence[int]) -> tuple[float | None, list[Line]]:
    """The chosen learning rate, and the lines with it."""
    lr = chosen(tried(cell, runs, seeds[0]))
    if lr is None:
        return None, []
    return lr, [runs[run] for seed in seeds if (run := Run(cell, lr, seed)) in runs]


def entry(cell: Cell, runs: Runs, seeds: Sequence[int]) -> str:
    """Mean ± sd, the learning rate (* at the edge of those tried), how many if not all seeds."""
    lr, lines = finished(cell, runs, seeds)
    tests = [line["test"] for line in lines if "test" in line]
    if lr is None or not tests:
        return "-"
    sd = f" ± {statistics.stdev(tests):.3f}" if len(tests) > 1 else ""
    edge = r"\*" if is_at_edge(lr, tried(cell, runs, seeds[0])) else ""
    few = f", {len(tests)} of {len(seeds)}" if len(tests) < len(seeds) else ""
    return f"{statistics.mean(tests):.3f}{sd} ({lr:g}{edge}{few})"


def is_at_edge(lr: float, rates: Iterable[float]) -> bool:
    """Whether nothing below, or nothing above, was tried."""
    return lr in (min(rates), max(rates))


def remarks(cell: Cell, runs: Runs, seeds: Sequence[int]) -> Iterator[str]:
    """Sweeps that stopped too early, and runs that diverged."""
    lr, lines = finished(cell, runs, seeds)
    where = f"- {cell.base}, {cell.dataset}, {METHODS[cell.method].name}:"
    rates = tried(cell, runs, seeds[0])
    if lr is not None and is_at_edge(lr, rates):
        of = ", ".join(f"{rate:g} ({dev:.3f})" for rate, dev in sorted(rates.items()))
        yield f"{where} {lr:g} is at the edge of the rates tried (dev): {of}"
    for line in lines:
        if "diverged" in line:
            yield f"{where} seed {line['seed']} diverged with {line['lr']:g}"


def trained(cells: Iterable[Cell], runs: Runs) -> str:
    """How many parameters were trained: from the smallest head to the largest."""
    wanted = set(cells)
    counts = [
        line["parameters_trained"]
        for run, line in runs.items()
        if run.cell in wanted and "parameters_trained" in line
    ]
    return "–".join(f"{n:,}" for n in sorted({min(counts), max(counts)})) if counts else "-"


def caption(cells: Sequence[Cell], seeds: Sequence[int]) -> str:
    """How the numbers came about."""
    epochs = {
        base: ", ".join(dict.fromkeys(f"{c.dataset} {c.epochs}" for c in cells if c.base == base))
        for base in dict.fromkeys(cell.base for cell in cells)
    }
    listed = "; ".join(f"{base}: {said}" for base, said in epochs.items())
    return (
        f"Test score, mean ± standard deviation over {len(seeds)} seeds; in brackets the learning "
        f"rate that was best on dev with seed {seeds[0]} (* at the edge of those tried). Batch "
        f"{BATCH_SIZE}; the best epoch on dev of these: {listed}.\n"
    )


# ------------------------------------------------------------------ the command line


def digest(paths: Iterable[Path]) -> str:
    """What identifies the content of files."""
    whole = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()[:16]


def all_cells(options: argparse.Namespace) -> list[Cell]:
    """Every cell of the table, the cheap and important ones first."""
    weights = {name: digest(sorted(path.glob("*.safetensors"))) for name, path in options.base}
    data = {n: digest(map(DATA_SETS[n].path, SPLITS)) for n in options.dataset}
    ordered = sorted(
        itertools.product(weights, data, options.method), key=lambda names: names[1] == LAST
    )
    times = dict(options.epochs_times)
    return [
        Cell(
            base,
            weights[base],
            name,
            data[name],
            method,
            DATA_SETS[name].epochs_of(base) * times.get(base, 1),
        )
        for base, name, method in ordered
    ]


def named(text: str) -> tuple[str, str]:
    """``NAME=VALUE``"""
    name, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError(f"{text!r}; expected NAME=VALUE")
    return name, value


def named_folder(text: str) -> tuple[str, Path]:
    """``NAME=DIR``, of a model"""
    name, folder = named(text)
    if not any(Path(folder).glob("*.safetensors")):
        raise argparse.ArgumentTypeError(f"{folder}: no folder of a model")
    return name, Path(folder)


def named_count(text: str) -> tuple[str, int]:
    """``NAME=N``"""
    name, n = named(text)
    return name, int(n)


def named_rates(text: str) -> tuple[str, tuple[float, ...]]:
    """``METHOD=X,X,X``"""
    name, rates = named(text)
    if name not in METHODS:
        raise argparse.ArgumentTypeError(f"{name!r}; expected one of {', '.join(METHODS)}")
    return name, tuple(map(float, rates.split(",")))


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line; data sets that are not there are left out, and said to be."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    add = parser.add_argument
    add("--base", nargs="+", type=named_folder, required=True, metavar="NAME=DIR")
    add("--runs", type=Path, required=True, help="JSON lines, one a run: read and appended to")
    add("--dataset", nargs="+", choices=DATA_SETS, default=list(DATA_SETS))
    add("--method", nargs="+", choices=METHODS, default=list(METHODS))
    add("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    add("--rates", nargs="+", type=named_rates, default=[], metavar="METHOD=X,X", help="to try")
    add("--epochs-times", nargs="+", type=named_count, default=[], metavar="NAME=N", help="by base")
    add("--jobs", type=int, default=2, help="runs at a time, each with one thread")
    add("--print-only", action="store_true", help="the table of what is there, and no new runs")
    options = parser.parse_args(words)
    for name in options.dataset:
        if not DATA_SETS[name].exists:
            print(f"{name}: not in {DATA_SETS[name].folder}, left out", file=sys.stderr)
    options.dataset = [name for name in options.dataset if DATA_SETS[name].exists]
    return options


def main(words: Sequence[str] | None = None) -> None:
    """Make the runs that are missing, then print the table."""
    options = parse_options(words)
    cells, seeds = all_cells(options), options.seeds
    rates = {name: method.rates for name, method in METHODS.items()} | dict(options.rates)

    def todo(runs: Runs) -> list[Run]:
        return [run for cell in cells for run in missing(cell, runs, seeds, rates[cell.method])]

    if not options.print_only:
        fresh = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(options.jobs, mp_context=fresh) as pool:
            complete(todo, options.runs, Trainer(dict(options.base)), pool, options.jobs)
    print(markdown(cells, read_runs(options.runs), seeds))


if __name__ == "__main__":
    main()
