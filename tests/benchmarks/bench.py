"""What the step benchmarks share: the sides, their processes, and taking turns."""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import machine
import report
from corpora import default_base
from flops import Sizes, Work, step_flops
from random_base import SHAPES, make_base
from worker import Worker
from workloads import Sentences, TokenBatch, Workload, save_batches

WARM_UPS = 3
TARGETS: dict[str, list[str] | str] = {
    "query-value": ["query", "value"],
    "all-linear": "all-linear",
}
GLIBC_KEEPS_MEMORY = {  # free() gives nothing back, so the next step finds its pages in place
    "MALLOC_MMAP_THRESHOLD_": str(2**32),
    "MALLOC_TRIM_THRESHOLD_": str(2**36),
    "MALLOC_TOP_PAD_": str(2**26),
}


@dataclass(frozen=True)
class Side:
    """Who computes: a script, what it is asked to load with, and its environment."""

    script: str
    load: dict[str, Any] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)
    same_arithmetic: bool = True  # float32, so that losses must agree

    @property
    def is_torch(self) -> bool:
        """Whether this is PyTorch."""
        return self.script == TORCH.script


MINILORA = "minilora_side.py"
TORCH = Side("torch_side.py", {"attention": "sdpa"})
VARIANTS = {
    "eager": Side(TORCH.script, {"attention": "eager"}),
    "tuned": Side(TORCH.script, TORCH.load, GLIBC_KEEPS_MEMORY),
    "bf16": Side(TORCH.script, TORCH.load | {"autocast": True}, same_arithmetic=False),
}
"""PyTorch in other ways: slower attention, an allocator that keeps memory, other arithmetic."""


@dataclass(frozen=True)
class Bench:
    """What all measurements share."""

    options: argparse.Namespace
    sentences: Sentences
    folder: Path  # temporary: the exported start and the batches
    base: Path

    @classmethod
    def prepare(cls, options: argparse.Namespace, folder: Path) -> Bench:
        """Read the sentences; make the encoder, if it is to be a random one."""
        base = options.base
        if options.random:
            base = make_base(folder / "base", options.random, base)
        return cls(options, Sentences(base), folder, base)

    @property
    def sides(self) -> dict[str, Side]:
        """Who takes part."""
        chunk = self.options.chunk_tokens
        load = {} if chunk is None else {"chunk_tokens": chunk}
        env = GLIBC_KEEPS_MEMORY if self.options.keep_memory else {}
        variants = {f"torch-{name}": VARIANTS[name] for name in self.options.variants}
        return {"minilora": Side(MINILORA, load, env), "torch": TORCH, **variants}

    def begin(self) -> dict[str, report.Result]:
        """Ask both libraries who they are, and write the start that all sides share."""
        with Worker(MINILORA) as minilora, Worker(TORCH.script) as torch:
            told = {
                name: {"rss_after_import": worker.ask("memory")["rss"], **worker.ask("describe")}
                for name, worker in (("minilora", minilora), ("torch", torch))
            }
            torch.ask(
                "export_start",
                base=str(self.base),
                labels=self.sentences.label_names,
                method=self.options.method,
                targets=TARGETS[self.options.targets],
                out=str(self.folder / "start"),
                r=self.options.r,
                alpha=2 * self.options.r,
            )
        return told

    def load(
        self, worker: Worker, side: Side, workload: Workload, threads: int, **extra: Any
    ) -> None:
        """Let a process prepare for this workload's steps."""
        full = self.options.method == "full"
        worker.ask(
            "load",
            base=str(self.folder / "start" if full else self.base),
            labels=self.sentences.label_names,
            start=None if full else str(self.folder / "start"),
            batches=str(self.batches_file(workload)),
            kind=workload.kind,
            threads=threads,
            lr=self.options.lr,
            **side.load,
            **extra,
        )

    def batches_file(self, workload: Workload) -> Path:
        """Where both sides find them."""
        return self.folder / f"{workload}.npz"

    def cut(self, workload: Workload) -> tuple[list[TokenBatch], list[int]]:
        """Write the batches for the sides to read; also, in which order to take them.

        The first steps warm up and are not timed, the longest batch among them.
        """
        batches = self.sentences.batches(workload, by_length=self.options.sort_by_length)
        save_batches(self.batches_file(workload), batches)
        longest = max(range(len(batches)), key=lambda i: int(batches[i].lengths.max()))
        order = [longest, *range(WARM_UPS - 1), *range(self.options.pairs)]
        return batches, [i % len(batches) for i in order]

    def floor(
        self, workload: Workload, timed: Sequence[TokenBatch], threads: int
    ) -> dict[str, Any]:
        """Seconds that the needed operations take at the rate of this machine's matrix products."""
        sizes = Sizes.read(self.base, len(self.sentences.label_names))
        adapted = {"query-value": ("query", "value"), "all-linear": tuple(sizes.weights)}
        lora = self.options.method == "lora" and workload.kind == "train"
        work = Work(
            workload.kind == "train",
            adapted[self.options.targets] if lora else (),
            self.options.r if lora else 0,
        )
        n_tokens = int(statistics.median(batch.n_tokens for batch in timed))
        with Worker("gemm_side.py") as worker:
            peak = worker.ask(
                "peak", n_tokens=n_tokens, shapes=list(sizes.weights.values()), threads=threads
            )
        flops = [step_flops(sizes, work, batch.lengths.tolist()) for batch in timed]
        seconds = [n / peak["gflops"] / 1e9 for n in flops]
        return {**peak, "flops": flops, "seconds": seconds}


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


def add_options(parser: argparse.ArgumentParser) -> None:
    """What is computed: the same words for every script."""
    add = parser.add_argument
    add("--base", type=Path, default=default_base(), help="encoder folder (MINILORA_MINILM)")
    add("--random", choices=SHAPES, help="random weights of this shape, vocabulary of --base")
    add("--threads", nargs="+", type=int, default=[1, 2], help="one pass per thread count")
    add("--pairs", type=int, default=15, help="timed steps of each side")
    add("--method", choices=("lora", "full"), default="lora", help="full: train every weight")
    add("--targets", choices=TARGETS, default="query-value")
    add("--r", type=int, default=8)
    add("--lr", type=float, default=2e-4)
    add("--sort-by-length", action="store_true", help="batches of like lengths, for both sides")
    add("--json", type=Path, help="write everything measured here")


def add_side_options(parser: argparse.ArgumentParser) -> None:
    """How the sides go about it."""
    add = parser.add_argument
    add("--chunk-tokens", type=int, help="minilora's, per thread")
    add("--keep-memory", action="store_true", help="tune glibc's malloc for minilora")
    add("--variants", nargs="+", choices=VARIANTS, default=[], help="also against PyTorch so")


def parse(parser: argparse.ArgumentParser, words: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with an encoder."""
    options = parser.parse_args(words)
    if options.base is None:
        parser.error("--base: no encoder; give its folder, or set MINILORA_MINILM")
    return options
