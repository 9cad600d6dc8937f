"""What a trained adapter says of the rank it needs: the methods spectrum and allocate."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.adapters import LoRALinear, LowRankUpdate
from minilora.adapters.matching import ALL_LINEAR, names_end
from minilora.analysis import RankRule, extract
from minilora.analysis.select import (
    Allocation,
    Pick,
    UpdateSpectrum,
    allocate,
    energy,
    pick_ranks,
    sensitivity,
)
from minilora.autograd import gradients
from minilora.cli.console import Console
from minilora.cli.layers import short_paths
from minilora.cli.select_trial import TrainingTrial, TrialData, update_of
from minilora.cli.table import Cell, table
from minilora.cli.trained import load
from minilora.errors import ConfigError, TargetError, did_you_mean
from minilora.io import base_folder, read_adapter_info, read_updates
from minilora.io.adapter_config import CONFIG_FILE
from minilora.storage import read_checkpoint
from minilora.text import Dataset
from minilora.text.counting import count

_BATCHES = 32  # of training data, whose gradients tell sensitivity
_EVERYTHING = 1 << 30  # a rank that no matrix has


def read_spectra(
    folder: Path, *, base: str | None, targets: Sequence[str]
) -> dict[str, UpdateSpectrum]:
    """Spectra by layer: of an adapter's updates, or of what a full fine-tuning of ``base`` changed.

    Raises
    ------
    ConfigError
        A full fine-tuning without its base.
    CheckpointError
        A folder is missing, damaged or neither of these.
    TargetError
        One of ``targets`` matches nothing.
    """
    if (folder / CONFIG_FILE).exists() or not (folder / "config.json").exists():
        return {u.path: UpdateSpectrum.of(u) for u in chosen_updates(folder, targets)}
    if base is None:
        raise ConfigError(
            f"--base: missing; {folder} holds a whole model, and what its training changed is seen "
            "beside the base only"
        )
    found = extract(
        read_checkpoint(base_folder(base)),
        read_checkpoint(folder),
        RankRule("rank", _EVERYTHING),
        targets=None if list(targets) == [ALL_LINEAR] else targets or ("query", "value"),
    )
    return {u.path: UpdateSpectrum(u.svd().S, u.shape, factored=False) for u in found.updates}


def chosen_updates(folder: Path, targets: Sequence[str]) -> list[LowRankUpdate]:
    """An adapter's updates; of the layers that ``targets`` name, if there are any.

    Raises
    ------
    CheckpointError
        The folder is missing, damaged or holds no adapter.
    TargetError
        One of ``targets`` matches nothing.
    """
    updates = read_updates(folder).updates
    if not targets or list(targets) == [ALL_LINEAR]:
        return list(updates)
    for target in targets:
        if not any(names_end(update.path, target) for update in updates):
            ends = {update.path.rpartition(".")[2] for update in updates}
            raise TargetError(
                f"--targets: {folder} adapts nothing called {target!r}.{did_you_mean(target, ends)}"
            )
    return [u for u in updates if any(names_end(u.path, target) for target in targets)]


def read_sensitivities(
    folder: Path, trials: TrainingTrial, data: TrialData, *, console: Console
) -> dict[str, Array]:
    """By layer how much each direction of an adapter matters to the loss on training data.

    Empty, and noted why, if the adapter tells other labels apart than the data has.
    """
    labels = read_adapter_info(folder).label_names
    if labels is not None and labels != data.splits.labels:
        console.note(
            f"{folder} was trained for other labels than the data has, so that its sensitivity "
            "cannot be measured; only the size of its directions is used"
        )
        return {}
    words = argparse.Namespace(
        adapter=str(folder),
        base=trials.base,
        task=trials.task,
        labels=list(data.splits.labels),
        max_length=trials.max_length,
    )
    model = load(words, console).model
    train, _ = data.folds[0]
    return _sensitivities(model, train, trials.settings.batch_size, trials.settings.seed)


def _sensitivities(model: Any, train: Dataset, batch_size: int, seed: int) -> dict[str, Array]:
    layers = {path: m for path, m in model.named_modules() if isinstance(m, LoRALinear)}
    dB: dict[str, list[Array]] = {path: [] for path in layers}
    for indices in train.batches(batch_size, rng=np.random.default_rng(seed))[:_BATCHES]:
        found = gradients(model.loss(train.batch(indices)))
        for path, layer in layers.items():
            dB[path].append(found[layer.lora_B])
    return {path: sensitivity(update_of(path, layer), dB[path]) for path, layer in layers.items()}


def show_picks(spectra: Mapping[str, UpdateSpectrum], console: Console) -> list[Pick]:
    """Say what rank every selector picks, and why one cannot."""
    picks = pick_ranks(spectra)
    rows: list[list[Cell]] = [
        [
            pick.selector,
            pick.r,
            min(pick.ranks.values(), default=None),
            max(pick.ranks.values(), default=None),
        ]
        for pick in picks
    ]
    console.say(*table(["selector", "rank", "least", "most"], rows))
    for pick in picks:
        if pick.refusal:
            console.note(f"{pick.selector} refused: {pick.refusal}")
    return picks


def show_allocations(
    updates: Sequence[LowRankUpdate],
    sensitivities: Mapping[str, Array],
    budget: int,
    console: Console,
) -> dict[str, Allocation]:
    """Allocate by σ² and, if it is known, by sensitivity; say what comes of it."""
    sizes = {update.path: sum(update.shape) for update in updates}
    importance: dict[str, dict[str, Array]] = {"σ²": {u.path: energy(u) for u in updates}}
    if sensitivities:
        importance["sensitivity"] = {
            path: next(s for name, s in sensitivities.items() if names_end(name, path))
            for path in sizes
        }
    found = {name: allocate(s, sizes, budget=budget) for name, s in importance.items()}
    rows: list[list[Cell]] = [
        [name, *(allocation.ranks[path] for allocation in found.values())]
        for name, path in zip(short_paths(list(sizes)), sizes, strict=True)
    ]
    console.say(*table(["layer", *(f"by {name}" for name in found)], rows))
    for name, allocation in found.items():
        parameters = count(allocation.n_parameters, "parameter")
        console.say(f"by {name}: {parameters}, {allocation.kept:.1%} of it kept")
    return found


def budget_of(given: int | None, updates: Sequence[LowRankUpdate], console: Console) -> int:
    """The budget of an allocation: as given, else half of what the adapter has."""
    if given is not None:
        return given
    half = sum(update.n_parameters for update in updates) // 2
    console.note(f"no --budget: {half:,} parameters, half as many as the adapter has")
    return half
