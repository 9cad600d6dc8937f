"""``minilora inspect``: what an adapter learned, in tables, in words, in figures."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from tqdm import tqdm

from minilora.analysis import (
    AdapterReport,
    Comparison,
    LayerReport,
    compare_adapters,
    inspect_updates,
)
from minilora.cli.console import Console
from minilora.cli.layers import byte_count, natural, short_paths
from minilora.cli.parser import BASES, Parser
from minilora.cli.table import Cell, table
from minilora.errors import ConfigError, OutputError
from minilora.io import SavedUpdates, base_folder, read_updates
from minilora.io.base_model import TINY
from minilora.storage import open_checkpoint, replacing
from minilora.text.counting import count

MEANINGS = {
    "r": "the rank it was made with",
    "effective": "directions in use, weighed by sigma: equal ones with the same entropy",
    "stable": "directions in use, weighed by sigma squared: 1 when one has all the energy",
    "99 %": "directions that hold 99 % of the energy",
    "size": "Frobenius norm of the update",
    "of base": "the same, over that of the weight",
    "amplified": "how many times as large as the weight, along the update's own directions",
    "by chance": "the same along random directions",
    "intruders": "strong directions of the sum that the weight has nothing like",
    "cosine": "1 for the same update up to its size, 0 for unrelated ones",
    "distance": "size of the difference, over that of the larger",
    "shared": "share of the directions read that both have, beside what chance gives",
}
"""What the columns mean."""
_TERM_WIDTH = 11

EPILOG = """\
examples:
  minilora inspect runs/ner                        ranks and sizes; no model is needed
  minilora inspect runs/ner --base tiny            and what it does to the model's weights
  minilora inspect runs/ner --base tiny --report ner.html
  minilora inspect runs/ner --compare runs/ner-seed-2

Any LoRA that PEFT saved will do. A report is one page that needs no network, ner.html, and its main
figure in ner.png and ner.svg; files of these names are replaced."""


def run(words: Sequence[str]) -> int:
    """Measure an adapter, show what was found, and write the report asked for."""
    options = _parser().parse(words)
    console = Console(as_json=options.json)
    page = None if options.report is None else _page_path(options.report)
    saved = read_updates(options.adapter)
    saved = replace(saved, updates=tuple(sorted(saved.updates, key=lambda x: natural(x.path))))
    other = None if options.compare is None else read_updates(options.compare)
    comparison = None if other is None else compare_adapters(saved.updates, other.updates)
    report = _inspect(options, saved)

    console.say(f"minilora inspect: {options.adapter}, {count(len(report.layers), 'layer')}", "")
    console.say(*_layer_lines(report))
    if comparison:
        console.heading(f"beside {options.compare}")
        console.say(*_comparison_lines(comparison))
    console.heading("costs of these layers")
    console.say(*_ledger_lines(report))
    console.heading("advice")
    console.say(*(f"- {sentence}" for sentence in report.advice), "")
    for note in report.notes:
        console.note(note)
    _say_what_a_base_adds(options, saved, console)
    files = [] if page is None else _write(page, report, saved, comparison, options.compare)
    if files:
        console.say(f"written: {', '.join(map(str, files))}")
    result = {key: value for key, value in report.to_json().items() if key != "notes"}
    console.finish(
        {
            "command": "inspect",
            **result,
            "comparison": asdict(comparison) if comparison else None,
            "files": [str(file) for file in files],
        }
    )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "minilora inspect",
        usage="ADAPTER [--base NAME] [--compare ADAPTER2] [--report F.html] [--json]",
        description="Show what a LoRA adapter learned: how many directions each layer uses, where, "
        "what they do to the base, and what a smaller rank would keep.",
        epilog=EPILOG,
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="run folder or PEFT adapter")
    parser.add_argument("--base", metavar="NAME", help=f"the model it was trained on: {BASES}")
    parser.add_argument("--compare", metavar="ADAPTER2", help="another adapter of the same model")
    parser.add_argument("--report", metavar="F.html", help="write a page with figures")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def _page_path(name: str) -> Path:
    path = Path(name)
    if path.suffix not in (".html", ".htm"):
        raise ConfigError(f"--report: {name!r} is no page; expected a name such as report.html")
    if path.is_dir():
        raise OutputError(f"{path}: is a folder; expected a file; choose another name")
    return path


def _inspect(options: argparse.Namespace, saved: SavedUpdates) -> AdapterReport:
    base = None if options.base is None else open_checkpoint(base_folder(options.base))
    show = base is not None and not options.json and sys.stderr.isatty()
    with tqdm(total=len(saved.updates), leave=False, disable=not show, unit="layer") as bar:

        def advance(_: LayerReport) -> None:
            bar.update()

        return inspect_updates(
            saved.updates, base=base, adapter=options.adapter, notes=saved.notes, on_layer=advance
        )


def _layer_lines(report: AdapterReport) -> list[str]:
    names = short_paths([layer.path for layer in report.layers])
    with_base = any(layer.base for layer in report.layers)
    header = ["layer", "r", "effective", "stable", "99 %", "size"]
    rows = [[name, *_of_update(x)] for name, x in zip(names, report.layers, strict=True)]
    if with_base:
        header += ["of base", "amplified", "by chance", "intruders"]
        rows = [[*row, *_of_base(x)] for row, x in zip(rows, report.layers, strict=True)]
    meanings = [f"{name:{_TERM_WIDTH}}{MEANINGS[name]}" for name in header[1:]]
    return [*table(header, rows, digits=3), "", *meanings]


def _of_update(layer: LayerReport) -> list[Cell]:
    of = layer.update
    return [layer.rank, of.effective_rank, of.stable_rank, of.energy_rank_99, of.frobenius]


def _of_base(layer: LayerReport) -> list[Cell]:
    if layer.base is None:
        return [None] * 4
    factors, found = layer.base.amplification, layer.base.intruder_count
    return [layer.base.relative_norm, factors.both, factors.both_random, found]


def _comparison_lines(comparison: Comparison) -> list[str]:
    names = short_paths([layer.path for layer in comparison.layers])
    rows: list[list[Cell]] = []
    for name, layer in zip(names, comparison.layers, strict=True):
        of = layer.similarity.right
        shared = of.values[-1][-1] if of.values and of.values[-1] else None
        chance = of.null[-1][-1] if of.null and of.null[-1] else None
        rows.append([name, *layer.ranks, layer.cosine, layer.distance, shared, chance])
    lines = table(["layer", "r", "r'", "cosine", "distance", "shared", "by chance"], rows, digits=3)
    terms = ("cosine", "distance", "shared")
    lines += ["", *(f"{term:{_TERM_WIDTH}}{MEANINGS[term]}" for term in terms)]
    for which, paths in (("this", comparison.only_first), ("the other", comparison.only_second)):
        if paths:
            lines.append(f"in {which} adapter alone: {count(len(paths), 'layer')}")
    return lines


def _ledger_lines(report: AdapterReport) -> list[str]:
    costs = report.ledger
    rows: list[list[Cell]] = [
        [
            name,
            of.parameters_trained,
            f"{of.flops_forward / 1e6:,.2f} M",
            f"{of.flops_training / 1e6:,.2f} M" if of.flops_training else "",
            byte_count(of.bytes_weights),
            byte_count(of.bytes_gradients + of.bytes_optimizer),
        ]
        for name, of in (("full", costs.full), ("LoRA", costs.lora), ("merged", costs.merged))
    ]
    header = ["", "trained", "forward", "training", "weights", "gradients, optimiser"]
    return [
        *table(header, rows),
        f"operations are per token; LoRA trains fewer numbers below rank "
        f"{costs.break_even_rank:,.0f}",
    ]


def _say_what_a_base_adds(
    options: argparse.Namespace, saved: SavedUpdates, console: Console
) -> None:
    named = saved.content.get("base_model_name_or_path")
    if options.base is None and isinstance(named, str) and named:
        base = named if named == TINY else f"with the folder of {named}"
        console.note(f"--base {base} shows what becomes of its weights")


def _write(
    page: Path,
    report: AdapterReport,
    saved: SavedUpdates,
    comparison: Comparison | None,
    compared_with: str | None,
) -> list[Path]:
    from minilora.analysis.plots import adapter_chart  # matplotlib is slow to load
    from minilora.analysis.report_html import report_page

    html = report_page(
        report,
        saved.updates,
        comparison=comparison,
        other=compared_with or "",
        other_bytes=sum(array.nbytes for array in saved.others.values()),
    )
    chart = adapter_chart(report)
    contents: dict[Path, Any] = {
        page: html.encode("utf-8"),
        page.with_suffix(".png"): chart.png,
        page.with_suffix(".svg"): chart.svg,
    }
    for path, content in contents.items():
        with replacing(path) as file:
            file.write(content)
    return list(contents)
