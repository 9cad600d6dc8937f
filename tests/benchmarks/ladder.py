"""Where the time goes: a row per technique, each switched on beside those above it.

    python tests/benchmarks/ladder.py --base path/to/all-MiniLM-L6-v2 --json ladder.json

All rows and PyTorch + PEFT take their steps in turn on the same batches, as in ``train_step.py``.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import bench as shared
import machine
import report
from bench import GLIBC_KEEPS_MEMORY, TORCH, WARM_UPS, Bench, Side
from worker import Worker
from workloads import Workload

WORKLOADS = ("train:real:32", "train:128:16")
SLOWER = "ladder_side.py"
NUMPY = {"MINILORA_KERNELS": "reference"}
WHOLE: dict[str, Any] = {"chunk_tokens": 10**9}
ALL_THE_WAY: dict[str, Any] = WHOLE | {"back_to_the_embeddings": True}
IN_BLAS: dict[str, Any] = ALL_THE_WAY | {"threads_in_blas": True}
LADDER = {
    "NumPy's kernels, padded batches, BLAS has the threads": Side(
        SLOWER, IN_BLAS | {"pad": True}, NUMPY, same_arithmetic=False
    ),
    "+ packed: no padding": Side(SLOWER, IN_BLAS, NUMPY),
    "+ threads by sequences, each with a BLAS of one": Side(SLOWER, ALL_THE_WAY, NUMPY),
    "+ compiled kernels": Side(SLOWER, ALL_THE_WAY),
    "+ nothing below the lowest adapter": Side(SLOWER, WHOLE),
    "+ so many tokens at a time (minilora as it is)": Side(SLOWER),
    "+ an allocator that keeps its memory (not the default)": Side(SLOWER, env=GLIBC_KEEPS_MEMORY),
}
PYTORCH = "PyTorch + PEFT"


def measure(bench: Bench, workload: Workload, threads: int) -> report.Result:
    """All rows in turn; with one thread, those about threads are the same as their neighbours."""
    batches, schedule = bench.cut(workload)
    timed = [batches[i] for i in schedule[WARM_UPS:]]
    floor = bench.floor(workload, timed, threads)
    sides = {**LADDER, PYTORCH: TORCH}
    with contextlib.ExitStack() as stack:
        workers = {}
        for name, side in sides.items():
            workers[name] = stack.enter_context(Worker(side.script, env=side.env))
            bench.load(workers[name], side, workload, threads)
        replies, disturbance = shared.take_turns(workers, schedule)
        peaks = {name: worker.ask("memory")["peak"] for name, worker in workers.items()}
    figures = {name: shared.summary(replies[name], timed, peaks[name]) for name in sides}
    return {
        "workload": str(workload),
        "threads": threads,
        "cores_busy_with_others": disturbance,
        "floor": floor,
        "sides": figures,
        "against_torch": {
            name: report.compare(
                figures[name], figures[PYTORCH], same_arithmetic=side.same_arithmetic
            )
            for name, side in LADDER.items()
        },
    }


def table(result: report.Result) -> str:
    """A line per technique."""
    header = ("", "ms", "of the row before", "of PyTorch", "quartiles", "min", "peak MB", "faults")
    sides, floor = result["sides"], result["floor"]
    rows = []
    for before, name in itertools.pairwise([None, *LADDER]):
        gain = "" if before is None else f"{gained(sides[name], sides[before]):.2f}"
        ratio = report.ratio_cells(result["against_torch"][name]["ratio"])
        rows.append((name, milliseconds(sides[name]), gain, *ratio, *costs(sides[name])))
    torch = sides[PYTORCH]
    rows.append((PYTORCH, milliseconds(torch), "", "1", "", "", *costs(torch)))
    least = (milliseconds(floor), "", f"{gained(floor, torch):.3f}", "", "", "", "")
    rows.append((f"floor: matrix products at {floor['gflops']:.0f} GFLOP/s", *least))
    where = f"{result['workload']}, {result['threads']} threads"
    others = f"{result['cores_busy_with_others']:.2f} cores busy with others"
    return f"{where}, {others}\n{report.table(header, rows)}"


def gained(ours: report.Result, before: report.Result) -> float:
    """Median ratio, pair by pair."""
    return statistics.median(report.ratios(ours["seconds"], before["seconds"]))


def milliseconds(side: report.Result) -> str:
    """The median step."""
    return f"{statistics.median(side['seconds']) * 1e3:.1f}"


def costs(side: report.Result) -> tuple[str, str]:
    """Peak memory, and minor page faults of the median step."""
    return report.megabytes(side["peak"]), f"{statistics.median(side['minor_faults']):.0f}"


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shared.add_options(parser)
    parser.add_argument("--workload", nargs="+", default=WORKLOADS, help="kind:length:batch")
    return shared.parse(parser, words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if a row did not compute the same as PyTorch."""
    options = parse_options(words)
    results = []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.prepare(options, Path(folder))
        about = bench.begin()
        print(report.header_lines(machine.describe(), about), end="\n\n")
        for workload in map(Workload.parse, options.workload):
            for threads in options.threads:
                results.append(measure(bench, workload, threads))
                print(table(results[-1]), end="\n\n", flush=True)
    if options.json:
        content = {"machine": machine.describe(), "about": about, "steps": results}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return int(any(v["ratio"] is None for r in results for v in r["against_torch"].values()))


if __name__ == "__main__":
    sys.exit(main())
