"""The same LoRA step in minilora and in PyTorch + PEFT, one after the other, and the ratio.

    python tests/benchmarks/train_step.py --base path/to/all-MiniLM-L6-v2 --json result.json

README.md beside this file says what is measured and how.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import bench as shared
import machine
import report
from bench import WARM_UPS, Bench
from worker import Worker
from workloads import Workload

WORKLOADS = ("train:real:32", "train:real:16", "train:128:16", "infer:real:32", "infer:128:16")
QUICK_WORKLOADS = ("train:real:16", "infer:real:16")


def measure(bench: Bench, workload: Workload, threads: int) -> report.Result:
    """Run the sides in turn on the same batches."""
    batches, schedule = bench.cut(workload)
    timed = [batches[i] for i in schedule[WARM_UPS:]]
    floor = bench.floor(workload, timed, threads)
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, side in bench.sides.items():
            workers[name] = stack.enter_context(Worker(side.script, env=side.env))
            bench.load(workers[name], side, workload, threads)
        replies, disturbance = shared.take_turns(workers, schedule)
        peaks = {name: worker.ask("memory")["peak"] for name, worker in workers.items()}
    sides = {name: shared.summary(replies[name], timed, peaks[name]) for name in workers}
    return {
        "workload": str(workload),
        "threads": threads,
        "tokens": [batch.n_tokens for batch in timed],
        "padding": statistics.mean(batch.padding for batch in timed),
        "cores_busy_with_others": disturbance,
        "floor": floor,
        "sides": sides,
        "against": {
            name: report.compare(
                sides["minilora"], sides[name], same_arithmetic=side.same_arithmetic
            )
            for name, side in bench.sides.items()
            if side.is_torch
        },
    }


def cold_starts(bench: Bench, workload: Workload, threads: int) -> dict[str, list[report.Result]]:
    """Fresh processes, one at a time, from their start to their first finished step."""
    starts: dict[str, list[report.Result]] = {
        "minilora, kernels cached": [],
        "minilora, kernels compiled": [],
        "PyTorch + PEFT": [],
    }
    for _ in range(bench.options.cold_starts):
        with tempfile.TemporaryDirectory() as empty:
            for name, side, env in (
                ("minilora, kernels cached", "minilora", {}),
                ("minilora, kernels compiled", "minilora", {"MINILORA_CACHE": empty}),
                ("PyTorch + PEFT", "torch", {}),
            ):
                starts[name].append(cold_start(bench, side, workload, threads, env))
    return starts


def cold_start(
    bench: Bench, side: str, workload: Workload, threads: int, env: dict[str, str]
) -> report.Result:
    """Seconds from the process's start to the end of its first step, and where they went."""
    who = bench.sides[side]
    settled = {"adamw": "fused"} if who.is_torch else {}  # nothing to try out first
    start = time.perf_counter()
    with Worker(who.script, env=who.env | env) as worker:
        imported = worker.ask("memory")
        told = time.perf_counter()
        bench.load(worker, who, workload, threads, **settled)
        loaded = time.perf_counter()
        step = worker.ask("step", index=0)
        end = time.perf_counter()
    return {
        "total": end - start,
        "import": told - start,
        "load": loaded - told,
        "first_step": step["seconds"],
        "rss_after_import": imported["rss"],
    }


def run(bench: Bench) -> report.Result:
    """All measurements."""
    options = bench.options
    about = bench.begin()
    results = []
    for workload in map(Workload.parse, options.workload):
        for threads in options.threads:
            print(f"{workload}, {threads} threads ...", file=sys.stderr)
            results.append(measure(bench, workload, threads))
    starts = {}
    if options.cold_starts:
        print("cold starts ...", file=sys.stderr)
        first = Workload.parse(options.workload[0])
        starts = cold_starts(bench, first, max(options.threads))
    settings = {name: value for name, value in vars(options).items() if name != "json"}
    return {
        "machine": machine.describe(),
        "about": about,
        "settings": {**settings, "base": str(options.base)},
        "steps": results,
        "cold_starts": starts,
    }


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shared.add_options(parser)
    shared.add_side_options(parser)
    add = parser.add_argument
    add("--workload", nargs="+", default=WORKLOADS, help="kind:length:batch, e.g. train:128:32")
    add("--cold-starts", type=int, default=3, help="fresh processes of each kind")
    add("--quick", action="store_true", help="a minute's look: few pairs, one thread count")
    options = shared.parse(parser, words)
    if options.quick:
        options.pairs, options.cold_starts = 3, 1
        options.threads, options.workload = [machine.cores()], QUICK_WORKLOADS
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if the two sides did not compute the same."""
    options = parse_options(words)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Bench.prepare(options, Path(folder)))
    print(report.header_lines(result["machine"], result["about"]), end="\n\n")
    print(report.steps_table(result["steps"]))
    if result["cold_starts"]:
        print("\n" + report.cold_start_table(result["cold_starts"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(any(v["ratio"] is None for s in result["steps"] for v in s["against"].values()))


if __name__ == "__main__":
    sys.exit(main())
