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
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import machine
import report
from corpora import default_base
from worker import Worker
from workloads import Sentences, TokenBatch, Workload, save_batches

WORKLOADS = ("train:real:32", "train:real:16", "train:128:16", "infer:real:32", "infer:128:16")
QUICK_WORKLOADS = ("train:real:16", "infer:real:16")
TARGETS: dict[str, list[str] | str] = {
    "query-value": ["query", "value"],
    "all-linear": "all-linear",
}
SCRIPTS = {
    "minilora": "minilora_side.py",
    "torch": "torch_side.py",
    "torch-bf16": "torch_side.py",
}
WARM_UPS = 3
GLIBC_KEEPS_MEMORY = {  # free() gives nothing back, so the next step finds its pages in place
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**26),
}


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    options: argparse.Namespace
    sentences: Sentences
    folder: Path  # temporary: the exported start and the batches

    @property
    def sides(self) -> list[str]:
        """Who takes part."""
        return [name for name in SCRIPTS if name != "torch-bf16" or self.options.bfloat16]

    def worker(self, side: str, **env: str) -> Worker:
        """A fresh process of this side."""
        if side.split("-")[0] in self.options.keep_memory:
            env |= GLIBC_KEEPS_MEMORY
        return Worker(SCRIPTS[side], env=env)

    def load(
        self, worker: Worker, side: str, workload: Workload, threads: int, **extra: Any
    ) -> None:
        """Let a process prepare for this workload's steps."""
        if side != "minilora":
            extra |= {"attention": self.options.attention, "autocast": side == "torch-bf16"}
        worker.ask(
            "load",
            base=str(self.options.base),
            labels=self.sentences.label_names,
            start=str(self.folder / "start"),
            batches=str(self.folder / f"{workload}.npz"),
            kind=workload.kind,
            threads=threads,
            lr=self.options.lr,
            **extra,
        )


def prepare(bench: Bench) -> dict[str, report.Result]:
    """Ask both libraries who they are, and write the adapter that all sides start from."""
    with bench.worker("torch") as torch, bench.worker("minilora") as minilora:
        about = {
            name: {"rss_after_import": worker.ask("memory")["rss"], **worker.ask("describe")}
            for name, worker in (("minilora", minilora), ("torch", torch))
        }
        torch.ask(
            "export_start",
            base=str(bench.options.base),
            labels=bench.sentences.label_names,
            targets=TARGETS[bench.options.targets],
            out=str(bench.folder / "start"),
            r=bench.options.r,
            alpha=2 * bench.options.r,
        )
        return about


def measure(bench: Bench, workload: Workload, threads: int) -> report.Result:
    """Run the sides in turn on the same batches; the first steps warm up and are not timed."""
    batches = bench.sentences.batches(workload, by_length=bench.options.sort_by_length)
    save_batches(bench.folder / f"{workload}.npz", batches)
    longest = max(range(len(batches)), key=lambda i: int(batches[i].lengths.max()))
    schedule = [longest, *range(WARM_UPS - 1), *range(bench.options.pairs)]
    with contextlib.ExitStack() as stack:
        workers = {side: stack.enter_context(bench.worker(side)) for side in bench.sides}
        for side, worker in workers.items():
            bench.load(worker, side, workload, threads)
        replies, disturbance = take_turns(workers, schedule)
        peaks = {side: worker.ask("memory")["peak"] for side, worker in workers.items()}
    timed = [batches[i % len(batches)] for i in schedule[WARM_UPS:]]
    sides = {side: summary(replies[side], timed, peaks[side]) for side in workers}
    return {
        "workload": str(workload),
        "threads": threads,
        "tokens": [batch.n_tokens for batch in timed],
        "padding": statistics.mean(batch.padding for batch in timed),
        "cores_busy_with_others": disturbance,
        "sides": sides,
        "against": {
            side: report.compare(sides["minilora"], sides[side], same_arithmetic=side == "torch")
            for side in sides
            if side != "minilora"
        },
    }


def take_turns(
    workers: dict[str, Worker], schedule: Sequence[int]
) -> tuple[dict[str, list[report.Result]], float]:
    """Each side's replies, step by step, and how many cores other processes used meanwhile."""
    for worker in workers.values():
        worker.wait_until_idle()
    replies: dict[str, list[report.Result]] = {side: [] for side in workers}
    start, others = time.perf_counter(), cpu_seconds_of_others(workers)
    for index in schedule:
        for side, worker in workers.items():
            replies[side].append(worker.ask("step", index=index))
            worker.wait_until_idle()
    others = cpu_seconds_of_others(workers) - others
    return replies, max(0.0, others) / (time.perf_counter() - start)


def cpu_seconds_of_others(workers: dict[str, Worker]) -> float:
    """What the machine has worked so far beside us and our workers."""
    ours = time.process_time() + sum(worker.cpu_seconds() for worker in workers.values())
    return machine.busy_seconds() - ours


def summary(
    replies: list[report.Result], timed: Sequence[TokenBatch], peak: int | None
) -> report.Result:
    """One side's figures; losses include those of the warm-up steps."""
    seconds = [reply["seconds"] for reply in replies[WARM_UPS:]]
    rates = [batch.n_tokens / s for batch, s in zip(timed, seconds, strict=True)]
    return {
        "seconds": seconds,
        "cpu_seconds": [reply["cpu_seconds"] for reply in replies[WARM_UPS:]],
        "losses": [reply["loss"] for reply in replies],
        "minor_faults": [reply["faults"] for reply in replies[WARM_UPS:]],
        "tokens_per_second": statistics.median(rates),
        "peak": peak,
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
    settled = {} if side == "minilora" else {"adamw": "fused"}  # nothing to try out first
    start = time.perf_counter()
    with bench.worker(side, **env) as worker:
        imported = worker.ask("memory")
        told = time.perf_counter()
        bench.load(worker, side, workload, threads, **settled)
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
    about = prepare(bench)
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
    add = parser.add_argument
    add("--base", type=Path, default=default_base(), help="encoder folder (MINILORA_MINILM)")
    add("--workload", nargs="+", default=WORKLOADS, help="kind:length:batch, e.g. train:128:32")
    add("--threads", nargs="+", type=int, default=[1, 2], help="one pass per thread count")
    add("--pairs", type=int, default=15, help="timed steps of each side")
    add("--targets", choices=TARGETS, default="query-value")
    add("--r", type=int, default=8)
    add("--lr", type=float, default=2e-4)
    add("--attention", choices=("sdpa", "eager"), default="sdpa", help="PyTorch's")
    add("--bfloat16", action="store_true", help="also against PyTorch in bfloat16 autocast")
    add("--sort-by-length", action="store_true", help="batches of like lengths, for both sides")
    add(
        "--keep-memory",
        nargs="*",
        choices=("minilora", "torch"),
        default=[],
        help="tune glibc's malloc",
    )
    add("--cold-starts", type=int, default=3, help="fresh processes of each kind")
    add("--quick", action="store_true", help="a minute's look: few pairs, one thread count")
    add("--json", type=Path, help="write everything measured here")
    options = parser.parse_args(words)
    if options.base is None:
        parser.error("--base: no encoder; give its folder, or set MINILORA_MINILM")
    if options.quick:
        options.pairs, options.cold_starts = 3, 1
        options.threads, options.workload = [machine.cores()], QUICK_WORKLOADS
    return options


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 if the two sides did not compute the same."""
    options = parse_options(words)
    with tempfile.TemporaryDirectory() as folder:
        result = run(Bench(options, Sentences(options.base), Path(folder)))
    print(report.header_lines(result["machine"], result["about"]), end="\n\n")
    print(report.steps_table(result["steps"]))
    if result["cold_starts"]:
        print("\n" + report.cold_start_table(result["cold_starts"]))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")
    return int(any(v["ratio"] is None for s in result["steps"] for v in s["against"].values()))


if __name__ == "__main__":
    sys.exit(main())
