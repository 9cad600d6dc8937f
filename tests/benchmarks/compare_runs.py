"""Does ``minilora train`` score as PEFT does by the same recipe? Means, and their difference.

    python tests/benchmarks/compare_runs.py --dataset wikigold snips sib200_en \
        --reference peft.jsonl --ours minilora.jsonl

Both files hold one JSON line a run. Runs that are missing, by data set, seed and recipe, are made
first and appended, so an interrupted comparison goes on where it stopped.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import report
from recipe import TASKS, Recipe, split_path
from scipy import stats

SCORES = {"ner": "f1", "classify": "accuracy"}
Run = dict[str, Any]


def our_run(dataset: str, seed: int, options: argparse.Namespace) -> Run:
    """One ``minilora train``, as a user would call it."""
    recipe, task = Recipe.of(options), TASKS[dataset]
    files = [w for s in ("train", "dev", "test") for w in (f"--{s}", str(split_path(dataset, s)))]
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        result = last_json_line(
            [
                *("-m", "minilora", "train", "--base", str(options.base), "--task", task, *files),
                *("--out", f"{folder}/run", "--seed", str(seed), "--threads", str(options.threads)),
                *(*recipe.words(), "--json"),
            ]
        )
    return {
        "dataset": dataset,
        "seed": seed,
        "recipe": dataclasses.asdict(recipe),
        "score": result["test"][SCORES[task]],
        "seconds": time.perf_counter() - start,
    }


def reference_run(dataset: str, seed: int, options: argparse.Namespace) -> Run:
    """One run of ``reference_run.py``, in a process of its own."""
    script = str(Path(__file__).with_name("reference_run.py"))
    settings = ["--base", str(options.base), "--threads", str(options.threads)]
    run = ["--dataset", dataset, "--seeds", str(seed)]
    return last_json_line([script, *settings, *run, *Recipe.of(options).words()])


def last_json_line(words: Sequence[str]) -> Run:
    """Run Python with these words: the object in the last line it prints."""
    done = subprocess.run([sys.executable, *words], stdout=subprocess.PIPE, text=True, check=True)
    result: Run = json.loads(done.stdout.splitlines()[-1])
    return result


def completed(
    path: Path, make: Callable[[str, int, argparse.Namespace], Run], options: argparse.Namespace
) -> dict[str, list[float]]:
    """Scores by data set, in the order of the seeds; missing runs are made and appended."""
    runs = read_runs(path, Recipe.of(options))
    scores: dict[str, list[float]] = {}
    for dataset in options.dataset:
        for seed in options.seeds:
            if (dataset, seed) not in runs:
                print(f"{make.__name__}: {dataset}, seed {seed}", file=sys.stderr)
                runs[dataset, seed] = make(dataset, seed, options)
                with path.open("a") as file:
                    file.write(json.dumps(runs[dataset, seed]) + "\n")
            scores.setdefault(dataset, []).append(runs[dataset, seed]["score"])
    return scores


def read_runs(path: Path, recipe: Recipe) -> dict[tuple[str, int], Run]:
    """The runs by this recipe that a file already holds."""
    lines = path.read_text().splitlines() if path.exists() else []
    runs = [json.loads(line) for line in lines]
    wanted = dataclasses.asdict(recipe)
    return {(run["dataset"], run["seed"]): run for run in runs if run["recipe"] == wanted}


def row(dataset: str, ours: Sequence[float], theirs: Sequence[float]) -> tuple[str, ...]:
    """Mean ± sd of both, their difference ± its standard error, and Welch's p."""
    difference = statistics.mean(ours) - statistics.mean(theirs)
    error = sum(statistics.variance(s) / len(s) for s in (ours, theirs)) ** 0.5
    p = stats.ttest_ind(ours, theirs, equal_var=False).pvalue
    return (
        dataset,
        str(len(ours)),
        *(plus_minus(statistics.mean(s), statistics.stdev(s)) for s in (ours, theirs)),
        plus_minus(difference, error, sign="+"),
        f"{p:.2f}",
    )


def plus_minus(value: float, error: float, *, sign: str = "") -> str:
    """Both in percent."""
    return f"{100 * value:{sign}.2f} ± {100 * error:.2f}"


def main() -> None:
    """Complete both files and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    Recipe.add_arguments(parser)
    parser.add_argument("--reference", type=Path, required=True, help="JSON lines of PEFT's runs")
    parser.add_argument("--ours", type=Path, required=True, help="JSON lines of minilora's runs")
    options = parser.parse_args()
    if len(options.seeds) < 2:
        parser.error("--seeds: a standard deviation takes at least two")
    theirs = completed(options.reference, reference_run, options)
    ours = completed(options.ours, our_run, options)
    header = ("test score, %", "seeds", "minilora", "PEFT", "difference ± s.e.", "Welch p")
    print(report.table(header, [row(d, ours[d], theirs[d]) for d in options.dataset]))


if __name__ == "__main__":
    main()
