"""``minilora extract``: what a full fine-tuning changed, as an adapter."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Any

from minilora.adapters.matching import ALL_LINEAR
from minilora.analysis import Extracted, extract
from minilora.cli.console import Console
from minilora.cli.folders import new_folder
from minilora.cli.layers import byte_count, natural, short_paths
from minilora.cli.parser import BASES, Parser, names
from minilora.cli.rank_options import add_rank_options, rank_rule, rule_words
from minilora.cli.table import Cell, table
from minilora.cli.trained import run_record
from minilora.errors import CheckpointError
from minilora.files import read_json
from minilora.io import base_folder, new_updates, write_updates
from minilora.io.base_model import TINY
from minilora.io.peft import WEIGHTS_FILE
from minilora.storage import open_checkpoint
from minilora.text.counting import count

TASK_TYPES = {"TokenClassification": "TOKEN_CLS", "SequenceClassification": "SEQ_CLS"}
"""PEFT's words for what the end of an architecture's name says."""
_SHOWN = 5

EPILOG = """\
examples:
  minilora extract --tuned runs/full --rank 8 --out runs/ner-r8
  minilora extract --base models/minilm --tuned models/ner --energy 0.9 --out lora

The update of each layer is the best approximation of W_tuned - W of its rank, with alpha = r.
Modules that the base has none of, such as a new head, are taken over whole."""


def run(words: Sequence[str]) -> int:
    """Write the adapter, and say what each layer leaves out."""
    options = _parser().parse(words)
    console = Console(as_json=options.json)
    rule, out = rank_rule(options), new_folder(options.out)
    tuned_folder = Path(options.tuned)
    base_name = options.base or _base_of_run(tuned_folder, console)
    base, tuned = open_checkpoint(base_folder(base_name)), open_checkpoint(tuned_folder)
    about = _about(tuned_folder)
    found = extract(
        base,
        tuned,
        rule,
        targets=None if options.targets == [ALL_LINEAR] else options.targets,
        modules_to_save=options.modules_to_save,
        biases=options.biases,
        max_rank=options.max_rank,
        weighting=options.weighting,
    )
    adapter = new_updates(
        found.updates,
        others=found.others,
        modules_to_save=found.modules_to_save,
        bias="all" if options.biases else "none",
        embeddings=found.embeddings,
        base_model_name_or_path=base_name,
        **about,
    )
    write_updates(out, adapter)
    energy, size = _energy_kept(found), (out / WEIGHTS_FILE).stat().st_size
    console.say(
        f"minilora extract: {rule_words(rule)}, {count(len(found.layers), 'layer')}",
        "",
        *_layer_lines(found, energy),
        "",
    )
    if found.modules_to_save:
        console.say(f"taken over whole: {', '.join(found.modules_to_save)}")
    if found.left_out:
        console.note(_left_out(found.left_out))
    console.say(f"{WEIGHTS_FILE}: {byte_count(size)}, in {out}")
    if about["label_names"]:
        folders = f"--base {shlex.quote(base_name)} --adapter {shlex.quote(str(out))}"
        console.say(f"use it: minilora predict {folders} TEXT")
    console.finish(
        {
            "command": "extract",
            "out": str(out),
            "rule": asdict(rule),
            "layers": [asdict(layer) for layer in found.layers],
            "energy_kept": energy,
            "modules_to_save": list(found.modules_to_save),
            "left_out": {n: x if isfinite(x) else None for n, x in found.left_out.items()},
            "bytes": size,
        }
    )
    return 0


def _parser() -> Parser:
    parser = Parser(
        "minilora extract",
        usage="--tuned DIR --out DIR (--rank N | --energy SHARE | ...) [options]",
        description="Find the LoRA adapter that comes nearest to a full fine-tuning.",
        epilog=EPILOG,
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "--base",
        metavar="NAME",
        help=f"the model before it: {BASES} (default: as the run in --tuned says, else {TINY})",
    )
    models.add_argument("--tuned", metavar="DIR", required=True, help="the model after fine-tuning")
    models.add_argument(
        "--targets",
        type=names,
        metavar="NAMES",
        help="layers to extract, such as query,value (default: all-linear, all that changed)",
    )
    models.add_argument(
        "--modules-to-save",
        type=names,
        default=[],
        metavar="NAMES",
        help="modules to take over whole (default: those that the base has none of)",
    )
    models.add_argument("--biases", action="store_true", help="take over all biases as well")
    parser.add_argument("--out", metavar="DIR", required=True, help="new folder for the adapter")
    add_rank_options(parser, weighting="both")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    return parser


def _about(folder: Path) -> dict[str, Any]:
    """The task and label names of a model folder, as far as its config.json tells them."""
    path = folder / "config.json"
    if not path.exists():
        return {"task_type": None, "label_names": None}
    config = read_json(path, "the model's config")
    architecture = str((config.get("architectures") or [""])[0])
    tasks = [task for end, task in TASK_TYPES.items() if architecture.endswith(f"For{end}")]
    return {"task_type": tasks[0] if tasks else None, "label_names": _labels(path, config)}


def _labels(path: Path, config: dict[str, Any]) -> list[str] | None:
    labels = config.get("id2label")
    if labels is None:
        return None
    try:
        return [str(labels[str(i)]) for i in range(len(labels))]
    except (TypeError, KeyError):
        raise CheckpointError(
            f"{path}: id2label is {labels!r}; expected a name for each of 0, 1, 2, ..."
        ) from None


def _base_of_run(tuned: Path, console: Console) -> str:
    """The base that the record of a run names; without a record, the one that is shipped."""
    recorded = run_record(tuned).get("settings", {}).get("base")
    why = f"as the run in {tuned} says" if recorded else "which comes with minilora"
    console.note(f"--base is {recorded or TINY}, {why}")
    return recorded or TINY


def _energy_kept(found: Extracted) -> float:
    """Share of Σ ‖W_tuned − W‖_F² over all layers."""
    energy = sum(layer.size**2 for layer in found.layers)
    return 1 - sum((layer.error * layer.size) ** 2 for layer in found.layers) / energy


def _layer_lines(found: Extracted, energy: float) -> list[str]:
    layers = sorted(found.layers, key=lambda layer: natural(layer.path))
    paths = short_paths([layer.path for layer in layers])
    rows: list[list[Cell]] = [
        [path, x.rank, x.size, 1 - x.error**2, x.error, x.n_parameters]
        for path, x in zip(paths, layers, strict=True)
    ]
    size = sum(layer.size**2 for layer in found.layers) ** 0.5
    total = sum(layer.n_parameters for layer in found.layers)
    rows.append(["all", None, size, energy, max(0.0, 1 - energy) ** 0.5, total])
    return table(["layer", "rank", "size", "energy kept", "error", "parameters"], rows)


def _left_out(left_out: dict[str, float]) -> str:
    largest = sorted(left_out, key=lambda name: -left_out[name])
    shown = ", ".join(f"{name} ({_change(left_out[name])})" for name in largest[:_SHOWN])
    more = f" and {len(largest) - _SHOWN:,} more" if len(largest) > _SHOWN else ""
    return f"changed, but in no update: {shown}{more}"


def _change(share: float) -> str:
    return f"by {share:.2%}" if isfinite(share) else "was zero"
