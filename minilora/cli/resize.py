"""``minilora resize``: a smaller adapter that does nearly the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from minilora.analysis import Resized, resize
from minilora.cli.console import Console
from minilora.cli.folders import new_folder
from minilora.cli.layers import byte_count, natural, short_paths
from minilora.cli.parser import Parser
from minilora.cli.rank_options import add_rank_options, rank_rule, rule_words
from minilora.cli.table import Cell, table
from minilora.io import read_updates, write_updates
from minilora.io.peft import WEIGHTS_FILE
from minilora.text.counting import count

EPILOG = """\
examples:
  minilora resize runs/ner --rank 4 --out runs/ner-r4
  minilora resize runs/ner --energy 0.99 --out runs/ner-small
  minilora resize runs/ner --error 0.05 --max-rank 8 --out runs/ner-small

Every layer gets the best approximation of the rank that the rule finds for it. No base is needed.
The folder is one that PEFT loads; ranks that differ are in its rank_pattern. A layer is never left
without a direction: rank 1 is the least."""


def run(words: Sequence[str]) -> int:
    """Write the smaller adapter, and say what each layer lost."""
    parser = Parser(
        "minilora resize",
        usage="ADAPTER --out DIR (--rank N | --energy SHARE | ...) [options]",
        description="Cut the updates of a LoRA adapter to the ranks they need.",
        epilog=EPILOG,
    )
    parser.add_argument("adapter", metavar="ADAPTER", help="run folder or PEFT adapter")
    parser.add_argument("--out", metavar="DIR", required=True, help="new folder for the adapter")
    add_rank_options(parser, weighting="left")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    options = parser.parse(words)
    console = Console(as_json=options.json)

    rule, out = rank_rule(options), new_folder(options.out)
    saved = read_updates(options.adapter)
    for note in saved.notes:
        console.note(note)
    updates = sorted(saved.updates, key=lambda update: natural(update.path))
    resized = resize(updates, rule, max_rank=options.max_rank, weighting=options.weighting)
    write_updates(out, saved.with_updates(resized.updates))
    energy = _energy_kept(resized, [update.frobenius for update in updates])
    sizes = [(Path(folder) / WEIGHTS_FILE).stat().st_size for folder in (options.adapter, out)]
    console.say(
        f"minilora resize: {rule_words(rule)}, {count(len(resized.layers), 'layer')}",
        "",
        *_layer_lines(resized, energy),
        "",
        f"{WEIGHTS_FILE}: {byte_count(sizes[0])} before, {byte_count(sizes[1])} now, in {out}",
    )
    console.finish(
        {
            "command": "resize",
            "adapter": str(options.adapter),
            "out": str(out),
            "rule": asdict(rule),
            "layers": [asdict(layer) for layer in resized.layers],
            "energy_kept": energy,
            "parameters_kept": resized.parameters_kept,
            "bytes_before": sizes[0],
            "bytes": sizes[1],
        }
    )
    return 0


def _energy_kept(resized: Resized, sizes: Sequence[float]) -> float:
    """Share of Σ ‖ΔW‖_F² over all layers; 1 when all of them are zero."""
    lost = sum((x.error * size) ** 2 for x, size in zip(resized.layers, sizes, strict=True))
    energy = sum(size**2 for size in sizes)
    return 1 - lost / energy if energy > 0 else 1.0


def _layer_lines(resized: Resized, energy: float) -> list[str]:
    names = short_paths([layer.path for layer in resized.layers])
    rows: list[list[Cell]] = [
        [
            name,
            layer.rank_before,
            layer.rank,
            1 - layer.error**2,
            layer.error,
            layer.n_parameters_before,
            layer.n_parameters,
        ]
        for name, layer in zip(names, resized.layers, strict=True)
    ]
    before = sum(layer.n_parameters_before for layer in resized.layers)
    now = sum(layer.n_parameters for layer in resized.layers)
    rows.append(["all", None, None, energy, max(0.0, 1 - energy) ** 0.5, before, now])
    return table(["layer", "r", "now", "energy kept", "error", "parameters", "now"], rows)
