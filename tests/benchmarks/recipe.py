"""The recipe that ``reference_run.py`` and ``compare_runs.py`` train by, and its data sets."""

from __future__ import annotations

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

from corpora import DATA, default_base

TASKS = {
    "wikigold": "ner",
    "uner_zh_gsdsimp": "ner",
    "snips": "classify",
    "sib200_en": "classify",
    "sentence_polarity": "classify",
}
SUFFIXES = {"ner": "conll", "classify": "tsv"}


@dataclass(frozen=True)
class Recipe:
    """How to train; the words and defaults are those of ``minilora train``."""

    r: int = 8
    alpha: int = 16
    dropout: float = 0.1  # before lora_A; the encoder's own places follow its config.json
    targets: str = "query,value"
    epochs: int = 3
    batch_size: int = 16
    lr: float = 3e-3
    weight_decay: float = 0.01  # of weights, not of biases and layer norms
    schedule: str = "linear"
    warmup: float = 0.1  # share of all steps
    clip: float = 1.0
    max_length: int = 512

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """An option for every field, and what to run it on."""
        base = default_base()
        parser.add_argument("--base", type=Path, default=base, required=base is None)
        parser.add_argument("--dataset", nargs="+", choices=TASKS, default=["wikigold"])
        parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
        parser.add_argument("--threads", type=int, default=2)
        for field in dataclasses.fields(cls):
            option = f"--{field.name.replace('_', '-')}"
            parser.add_argument(option, type=type(field.default), default=field.default)

    @classmethod
    def of(cls, options: argparse.Namespace) -> Recipe:
        """The recipe that was asked for."""
        return cls(**{f.name: getattr(options, f.name) for f in dataclasses.fields(cls)})

    def words(self) -> list[str]:
        """The same recipe as options of a command line."""
        options = dataclasses.asdict(self).items()
        return [word for k, v in options for word in (f"--{k.replace('_', '-')}", str(v))]


def split_path(dataset: str, split: str) -> Path:
    """Where ``train``, ``dev`` or ``test`` of a data set lies."""
    return DATA / dataset / f"{split}.{SUFFIXES[TASKS[dataset]]}"
