"""Time per token against batch size and against length: where it grows, and why.

    python tests/benchmarks/time_per_token.py --figure time_per_token.png --json time_per_token.json

Every point is a row of ``train_step.py``, with all its options. Batches are of real sentences; over
lengths, batches hold a fixed number of tokens.
"""

from __future__ import annotations

import argparse
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
from bench import Bench
from train_step import measure
from workloads import Workload

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
LENGTHS = (16, 32, 64, 128, 256, 512)
COLOURS = {"minilora": "#0072b2", "torch": "#d55e00", "floor": "#777777"}
NAMES = {"minilora": "minilora", "torch": "PyTorch + PEFT", "floor": "matrix products alone"}


def workloads(options: argparse.Namespace) -> dict[str, list[Workload]]:
    """The points, by what varies."""
    kind, tokens = options.kind, options.tokens
    return {
        "batch": [Workload(kind, None, n) for n in options.batches],
        "length": [Workload(kind, n, max(1, tokens // n)) for n in options.lengths],
    }


def microseconds(result: report.Result, which: str) -> float:
    """A side's, or the floor's, median time per real token."""
    seconds = (result["floor"] if which == "floor" else result["sides"][which])["seconds"]
    return 1e6 * statistics.median(s / n for s, n in zip(seconds, result["tokens"], strict=True))


def table(results: Sequence[report.Result]) -> str:
    """A line per point."""
    header = ("workload", "threads", *(f"{NAMES[name]} µs" for name in COLOURS), "ratio", "padding")
    rows = [
        (
            result["workload"],
            str(result["threads"]),
            *(f"{microseconds(result, name):.1f}" for name in COLOURS),
            report.ratio_cells(result["against"]["torch"]["ratio"])[0],
            f"{result['padding']:.0%}",
        )
        for result in results
    ]
    return report.table(header, rows)


def draw(path: Path, points: dict[str, list[report.Result]], title: str) -> None:
    """Two panels, a line for each side and the floor."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, StrMethodFormatter

    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    labels = {"batch": "sentences in a batch", "length": "tokens in a sequence"}
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (varied, results) in zip(panels, points.items(), strict=True):
        parsed = [Workload.parse(result["workload"]) for result in results]
        xs = [w.batch_size if varied == "batch" else w.length for w in parsed]
        for name, colour in COLOURS.items():
            ys = [microseconds(result, name) for result in results]
            axes.plot(xs, ys, color=colour, marker="o", markersize=3, label=NAMES[name])
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        axes.set_xticks(xs, labels=map(str, xs))
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.minorticks_off()
        axes.set_xlabel(labels[varied])
        axes.set_ylabel("µs per token" if varied == "batch" else "")
        axes.grid(color="#dddddd", linewidth=0.5)
    figure.axes[0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def parse_options(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    shared.add_options(parser)
    shared.add_side_options(parser)
    add = parser.add_argument
    add("--kind", choices=("train", "infer"), default="train")
    add("--batches", nargs="*", type=int, default=BATCHES, help="of real sentences")
    add("--lengths", nargs="*", type=int, default=LENGTHS, help="of every sequence in a batch")
    add("--tokens", type=int, default=2048, help="in a batch, where the length varies")
    add("--figure", type=Path, help="draw here, for the last of --threads")
    add("--title", help="of the figure (default: what is measured)")
    return shared.parse(parser, words)


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, draw, write; 1 if the two sides did not compute the same."""
    options = parse_options(words)
    steps: list[report.Result] = []
    points: dict[str, list[report.Result]] = {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench.prepare(options, Path(folder))
        about = bench.begin()
        for threads in options.threads:
            for varied, some in workloads(options).items():
                points[varied] = [measure(bench, workload, threads) for workload in some]
                steps += points[varied]
                print(table(points[varied]), end="\n\n", flush=True)
    if options.figure:
        shape = options.random or bench.base.name
        title = options.title or f"{shape}, {options.kind}, {options.threads[-1]} threads"
        draw(options.figure, points, title)
    if options.json:
        content: dict[str, Any] = {"machine": machine.describe(), "about": about, "steps": steps}
        options.json.write_text(json.dumps(content, indent=1) + "\n")
    return int(any(v["ratio"] is None for s in steps for v in s["against"].values()))


if __name__ == "__main__":
    sys.exit(main())
