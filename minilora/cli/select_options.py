"""The options of ``minilora select-rank``: as given, completed, and compared with those before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from minilora.cli.train_options import LEARNING_RATES, OPTIONS, TrainOptions, flag
from minilora.errors import ConfigError
from minilora.train.checks import check_whole

METHODS = ("sweep", "halving", "genetic", "spectrum", "allocate")
OF_METHODS = {
    "ranks": ("sweep", "halving", "genetic"),
    "sparsities": ("sweep", "halving", "genetic"),
    "population": ("genetic",),
    "generations": ("genetic",),
    "adapter": ("spectrum", "allocate"),
}
"""Options that are for some methods only."""
RECIPE = (
    *("dropout", "batch_size", "chunk_tokens", "lr", "optimizer", "weight_decay", "schedule"),
    *("warmup", "clip", "label_smoothing", "max_length", "seed"),
)
"""What all trials of a search have in common, besides the data; epochs may differ."""
TARGETS = {"genetic": ("query", "key", "value", "dense"), "spectrum": (), "allocate": ()}
"""Defaults other than ``query,value``; none means those of the adapter."""
SPARSITIES = {"genetic": (0.0, 0.25, 0.5)}
"""Defaults other than no zeros at all."""


@dataclass(frozen=True, kw_only=True)
class SelectOptions:
    """What a search was told, defaults filled in; ``recipe`` is how each candidate is trained."""

    recipe: TrainOptions
    method: str = "sweep"
    ranks: tuple[int, ...] = (1, 2, 4, 8, 16)
    targets: tuple[str, ...] = ("query", "value")
    sparsities: tuple[float, ...] = (0.0,)
    folds: int | None = None
    seeds: int = 3
    workers: int
    budget: int | None = None
    max_epochs: int | None = None
    population: int = 8
    generations: int = 5
    adapter: str | None = None

    @property
    def trial_seeds(self) -> range:
        """Seeds of the trials of a candidate."""
        return range(self.recipe.seed, self.recipe.seed + self.seeds)


def complete(given: Mapping[str, Any], *, workers: int) -> SelectOptions:
    """Fill in the defaults; ``workers`` are as many as there are cores to use.

    Raises
    ------
    ConfigError
        An option that is missing, or out of its range.
    """
    missing = [flag(name) for name in ("task", "train") if name not in given]
    if missing:
        raise ConfigError(
            f"minilora select-rank: {', '.join(missing)} missing; every new search needs --task, "
            "--train and --out; see minilora select-rank --help"
        )
    method = given.get("method", SelectOptions.method)
    check_method(given, method)
    own: dict[str, Any] = {
        "workers": workers,
        "targets": TARGETS.get(method, SelectOptions.targets),
        "sparsities": SPARSITIES.get(method, SelectOptions.sparsities),
    }
    for name in OWN:
        if name in given:
            own[name] = tuple(given[name]) if isinstance(given[name], list) else given[name]
    for name, least in _LEAST.items():
        for value in _each(own.get(name)):
            check_whole("select-rank", flag(name), value, least=least)
    if own.get("folds") and "dev" in given:
        raise ConfigError(
            "--folds: scores candidates on parts of --train, so --dev has no use; leave one out"
        )
    trained = {name: given[name] for name in OPTIONS if name in given and name not in OWN}
    recipe = TrainOptions(**{"lr": LEARNING_RATES["lora"], "threads": 1, **trained})
    return SelectOptions(recipe=recipe, **own)


def check_method(given: Mapping[str, Any], method: str) -> None:
    """Refuse options that ``method`` has no use for, and the lack of one that it needs.

    Raises
    ------
    ConfigError
        Naming the option.
    """
    for name, methods in OF_METHODS.items():
        if name in given and method not in methods:
            raise ConfigError(
                f"{flag(name)}: is for --method {' or '.join(methods)}, but the method is "
                f"{method}; leave it out"
            )
    if method in OF_METHODS["adapter"] and "adapter" not in given:
        raise ConfigError(
            f"--adapter: missing; --method {method} reads the ranks off a trained adapter; train "
            "one of a generous rank with minilora train --r 16, or use --method sweep"
        )


def merge(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a search that goes on: those it was begun with, but as given now.

    With another method, what the one before had for itself is dropped.
    """
    method = given.get("method", recorded.get("method", SelectOptions.method))
    kept = {
        name: value
        for name, value in recorded.items()
        if name not in OF_METHODS or method in OF_METHODS[name]
    }
    return {**kept, **given}


def check_recipe(options: SelectOptions, recorded: Mapping[str, Any]) -> None:
    """Refuse to go on with another recipe: its trials and those before could not be compared.

    Raises
    ------
    ConfigError
        Naming every option that differs, with both values.
    """
    now = recipe_of(options)
    changed = [
        f"{flag(name)} was {recorded.get(name)!r}, is {value!r}"
        for name, value in now.items()
        if recorded.get(name) != value
    ]
    if changed:
        raise ConfigError(
            f"--resume: the trials so far were trained differently: {'; '.join(changed)}; leave "
            "these options out, or search anew in another folder"
        )


def recipe_of(options: SelectOptions) -> dict[str, Any]:
    """What all trials have in common, as JSON can say it."""
    return {name: getattr(options.recipe, name) for name in RECIPE} | {"folds": options.folds}


OWN = tuple(field.name for field in fields(SelectOptions) if field.name != "recipe")
"""Options that are a search's own."""
_LEAST = {
    "ranks": 1,
    "folds": 2,
    "seeds": 1,
    "workers": 1,
    "budget": 1,
    "max_epochs": 1,
    "population": 2,
    "generations": 1,
}


def _each(value: Any) -> tuple[Any, ...]:
    """The entries of a tuple; a single value, unless it is None, as its own."""
    if isinstance(value, tuple):
        return value
    return () if value is None else (value,)
