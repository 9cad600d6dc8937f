"""What ``minilora demo`` trains: a shipped data set each, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilora.cli.train_options import LEARNING_RATES, TrainOptions
from minilora.errors import DataError
from minilora.io.base_model import TINY
from minilora.storage import shipped_folder
from minilora.text import Task
from minilora.train import thread_count


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A demo.

    Attributes
    ----------
    task, data, ending
        The task, the folder of its shipped data, and the ending of the files in it.
    goal
        What the model is to learn, in words.
    example
        A text to try it on.
    settings
        Fields of `TrainOptions`; chosen for the shipped encoder, and used for no other.
    """

    task: Task
    data: str
    ending: str
    goal: str
    example: str
    settings: Mapping[str, Any]

    def options(self, given: Mapping[str, Any]) -> TrainOptions:
        """What ``minilora train`` would be told; ``given`` fields of it come first.

        Raises
        ------
        DataError
            The data set is not where it was installed.
        """
        folder = _near(shipped_folder(self.data, error=DataError))
        base = given.get("base", TINY)
        return TrainOptions(
            **{
                "task": self.task,
                **{name: str(folder / f"{name}{self.ending}") for name in ("train", "dev", "test")},
                "lr": LEARNING_RATES["lora"],
                **(self.settings if base == TINY else {}),
                **given,
                "threads": thread_count(given.get("threads")),
            }
        )


ALL_LINEAR: Mapping[str, Any] = {
    "r": 8,
    "alpha": 16.0,
    "targets": ["all-linear"],
    "batch_size": 16,
}
"""On names and intents, query and value alone score less with so narrow an encoder."""

RECIPES = {
    "ner": Recipe(
        task="ner",
        data="ner",
        ending=".conll",
        goal="find the names of people, places and organisations in English sentences",
        example="Mira Okonjo moved from Halden to Bergen to work for Northlight Optics.",
        settings={**ALL_LINEAR, "epochs": 3, "lr": 3e-3},
    ),
    "intents": Recipe(
        task="classify",
        data="intents",
        ending=".tsv",
        goal="tell what a customer wants",
        example="The parcel never came, and I would like my money back.",
        settings={**ALL_LINEAR, "epochs": 4, "lr": 3e-3},
    ),
    "finance": Recipe(
        task="classify",
        data="finance_sentiment",
        ending=".tsv",
        goal="tell good news for a company from bad",
        example="Orders fell by a fifth, and the dividend was cut.",
        settings={**ALL_LINEAR, "epochs": 10, "lr": 3e-3},
    ),
}
"""Demos by the name that ``--task`` takes."""


def _near(folder: Path) -> Path:
    """The path from here, where that is shorter to read: in a checkout."""
    here = Path.cwd()
    return folder.relative_to(here) if folder.is_relative_to(here) else folder
