"""A trained model from its folders: base and adapter, or one whole model."""

from __future__ import annotations

import argparse
import contextlib
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilora.cli.console import Console
from minilora.cli.models import MODELS, fitting_length, read_tokenizer, saved_length
from minilora.cli.parser import BASES, Parser, names, one_of, whole_number
from minilora.errors import CheckpointError, ConfigError
from minilora.files import read_json
from minilora.io import (
    AdapterInfo,
    AdapterWarning,
    base_folder,
    load_adapter,
    read_adapter_info,
)
from minilora.io.base_model import TINY
from minilora.io.run import RUN
from minilora.nn import BertConfig
from minilora.storage import tensor_info
from minilora.text import Task, WordPieceTokenizer
from minilora.text.schemes import is_tag

TASKS: dict[str, Task] = {"TOKEN_CLS": "ner", "SEQ_CLS": "classify"}
"""PEFT's words for the tasks."""
ARCHITECTURES: dict[str, Task] = {
    "BertForTokenClassification": "ner",
    "BertForSequenceClassification": "classify",
}


@dataclass(frozen=True)
class Trained:
    """A model that can be asked, with its tokenizer.

    Attributes
    ----------
    model, tokenizer, task
        What to ask, how to put it, and what it answers.
    max_length
        The most word pieces it was trained on, or can take.
    base
        The folder that config, tokenizer and base weights came from.
    pairs
        Whether it was trained on pairs of texts; None where the folder does not say.
    """

    model: Any
    tokenizer: WordPieceTokenizer
    task: Task
    max_length: int
    base: Path
    pairs: bool | None = None


ADAPTER = "run folder or PEFT adapter (or a whole model, which needs no --base)"


def add_model_options(parser: Parser, *, adapter: str = ADAPTER) -> None:
    """Add the options that `load` understands; ``adapter`` is what --adapter may be."""
    model = parser.add_argument_group("model")
    model.add_argument(
        "--base",
        metavar="NAME",
        help=f"what the adapter was trained on: {BASES} (default: as the adapter says)",
    )
    model.add_argument(
        "--adapter",
        metavar="DIR",
        help=adapter,
    )
    model.add_argument(
        "--labels",
        type=names,
        metavar="NAMES",
        help="label names in order, for an adapter that does not say (default: as saved)",
    )
    model.add_argument(
        "--task",
        type=one_of("ner", "classify"),
        metavar="{ner,classify}",
        help="for a model that does not say (default: as saved)",
    )
    model.add_argument(
        "--max-length",
        type=whole_number,
        metavar="N",
        help="cut texts after N word pieces (default: as in training, or as many as it can take)",
    )


def load(options: argparse.Namespace, console: Console) -> Trained:
    """Read the model that ``options`` of `add_model_options` name.

    Raises
    ------
    ConfigError
        Neither folder is given, or task or labels are missing.
    CheckpointError
        A folder is missing, damaged, or fits neither what is here nor the other.
    """
    if options.adapter is None and options.base is None:
        raise ConfigError(
            "--adapter: missing; expected the folder of a run or adapter, and --base with the "
            "model it was trained on, unless it says which"
        )
    folder = Path(options.adapter) if options.adapter else base_folder(options.base)
    with _adapter_warnings_as_notes(console):
        if (folder / "adapter_config.json").exists():
            return _load_adapted(folder, options, console)
        return _load_whole(folder, options, console)


def run_record(folder: Path) -> dict[str, Any]:
    """What ``run.json`` holds; empty if a folder has none."""
    return read_json(folder / RUN, "the record of the run") if (folder / RUN).exists() else {}


def _load_adapted(folder: Path, options: argparse.Namespace, console: Console) -> Trained:
    info, record = read_adapter_info(folder), run_record(folder)
    base = base_folder(options.base) if options.base else _base_of(folder, info, console)
    said = TASKS.get(info.task_type or "") or record.get("settings", {}).get("task")
    task = _settle_task(folder, options.task, said)
    if task is None:
        raise ConfigError(
            f"{folder}: does not say what task it is for (task_type {info.task_type!r}); "
            "give --task ner or --task classify"
        )
    saved = info.label_names or record.get("labels")
    if options.labels and saved and len(options.labels) != len(saved):
        raise ConfigError(
            f"--labels: names {len(options.labels)}, but {folder} was trained on {len(saved)}: "
            f"{', '.join(saved)}; leave it out"
        )
    labels = options.labels or saved or _labels_of(base)
    if not labels:
        raise ConfigError(_no_labels(folder))
    model = MODELS[task].from_pretrained(base, labels=labels, rng=np.random.default_rng(0))
    load_adapter(model, folder)
    return _trained(model, base, task, options, record)


def _load_whole(folder: Path, options: argparse.Namespace, console: Console) -> Trained:
    record = run_record(folder)
    if record and record.get("status") != "finished":
        raise CheckpointError(
            f"{folder}: the run in it is not finished; finish it with: "
            f"minilora train --out {folder} --resume, or with --finish as well to keep its best "
            "epoch so far"
        )
    if not folder.exists():
        raise CheckpointError(
            f"{folder}: there is no such folder; expected that of a run, an adapter or a model; "
            "check the path"
        )
    if not (folder / "config.json").exists():
        raise CheckpointError(
            f"{folder}: holds neither an adapter (adapter_config.json) nor a model (config.json); "
            "check the path"
        )
    if options.adapter and options.base:
        console.note(f"{folder} holds a whole model, so --base is not needed")
    architectures = BertConfig.from_json(folder / "config.json").extra.get("architectures") or [""]
    task = _settle_task(folder, options.task, ARCHITECTURES.get(architectures[0]))
    if task is None:
        raise ConfigError(
            f"{folder}: is a {architectures[0] or 'model of no stated kind'}, not trained for a "
            f"task; expected one of {', '.join(ARCHITECTURES)}; give the --adapter that goes with "
            "it"
        )
    model = MODELS[task].from_pretrained(folder, labels=options.labels)
    return _trained(model, folder, task, options, record)


def _settle_task(folder: Path, asked: Task | None, said: Task | None) -> Task | None:
    if asked and said and asked != said:
        raise ConfigError(f"--task: is {asked}, but {folder} was trained for {said}; leave it out")
    return asked or said


def _trained(
    model: Any, base: Path, task: Task, options: argparse.Namespace, record: dict[str, Any]
) -> Trained:
    other = [name for name in model.label_names if task == "ner" and not is_tag(name)]
    if other:
        raise ConfigError(
            f"--labels: the model has {other[0]!r}, which is no tag; expected O, B-X or I-X for "
            "some type X; give --labels with the tags in the order of training"
        )
    asked = options.max_length
    if asked is None:
        asked = record.get("settings", {}).get("max_length")
    if asked is None and model.adaptation is None:  # as `merge` or a full fine-tuning has left it
        asked = saved_length(base, model.config)
    max_length = fitting_length(asked, model.config)
    tokenizer = read_tokenizer(base, model.config)
    return Trained(model, tokenizer, task, max_length, base, pairs=record.get("pairs"))


def _base_of(folder: Path, info: AdapterInfo, console: Console) -> Path:
    """The base that the adapter names, if it is to be had."""
    named = info.base_model_name_or_path
    if not named:
        raise ConfigError(
            f"--base: missing; {folder} is an adapter that does not say for which model; name that "
            "model"
        )
    try:
        base = base_folder(named)
    except CheckpointError as error:
        raise ConfigError(f"--base: missing, and {folder} is an adapter for {error}") from error
    if not base.is_dir():
        raise ConfigError(
            f"--base: missing; {folder} is an adapter for {named!r}, which is no folder here; "
            "give the folder of that model"
        )
    if named != TINY:  # no news
        console.note(f"--base is {named}, as the adapter says")
    return base


def _labels_of(base: Path) -> Sequence[str] | None:
    return BertConfig.from_json(base / "config.json").label_names


def _no_labels(folder: Path) -> str:
    weights = folder / "adapter_model.safetensors"
    heads = [
        info.shape[0] for name, info in tensor_info(weights).items() if "classifier.bias" in name
    ]
    said = f"a head for {heads[0]} classes" if heads else "no output head"
    return (
        f"{folder}: has {said} and no names for them, nor has the base's config.json (id2label); "
        "give --labels with the names in the order of training, such as O,B-PER,I-PER"
    )


@contextlib.contextmanager
def _adapter_warnings_as_notes(console: Console) -> Iterator[None]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", AdapterWarning)
        yield
    for warning in caught:
        console.note(str(warning.message))
