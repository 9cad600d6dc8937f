"""One trial of ``minilora select-rank``: train a candidate, and score what it has not seen."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilora.adapters import LoRALinear, LowRankUpdate, inject
from minilora.analysis.select import Candidate, Trial, k_folds, sparsify
from minilora.cli.console import Console
from minilora.cli.models import fitting_length, load_base, read_tokenizer
from minilora.cli.scores import MAIN_SCORE
from minilora.cli.select_options import SelectOptions
from minilora.cli.splits import Splits, read_splits
from minilora.io import base_folder
from minilora.nn import BertConfig
from minilora.text import Dataset, Task, encode_corpus
from minilora.train import TrainSettings, evaluate, fit

_FOLDS_STREAM = 3  # of random numbers, beside those of training and of holding out


@dataclass(frozen=True)
class TrialData:
    """What trials learn from and are scored on: (train, dev) for each fold, one without folds."""

    splits: Splits
    folds: tuple[tuple[Dataset, Dataset], ...]


@dataclass(frozen=True, kw_only=True)
class TrainingTrial:
    """The score on dev data, or on the fold left out, after the last epoch of a training.

    The last, since to pick the best epoch of each trial by the data that ranks them would flatter
    every one by chance. What can be sent to another process or machine is only what is written
    here; the files must be there as well, and are read once in each process.

    Attributes
    ----------
    base, task, train, dev, max_length
        As the options of these names; paths absolute, the base's folder in place of its name.
    n_folds
        Parts of train to leave out in turn; None: there is a dev file, or a tenth is held out.
    dropout, settings
        How every candidate is trained; epochs and seed are those of a trial.
    """

    base: str
    task: Task
    train: str
    dev: str | None
    max_length: int
    n_folds: int | None
    dropout: float
    settings: TrainSettings

    @classmethod
    def of(cls, options: SelectOptions) -> TrainingTrial:
        """The trials that ``options`` ask for.

        Raises
        ------
        CheckpointError, ConfigError
            The base cannot be used, or has no positions for texts as long.
        """
        recipe = options.recipe
        recipe.lora_config([])  # its settings are checked before any file is read
        settings = recipe.train_settings()
        base = base_folder(recipe.base).absolute()
        config = BertConfig.from_json(base / "config.json")
        return cls(
            base=str(base),
            task=recipe.task,
            train=str(Path(recipe.train).absolute()),
            dev=None if recipe.dev is None else str(Path(recipe.dev).absolute()),
            max_length=fitting_length(recipe.max_length, config),
            n_folds=options.folds,
            dropout=recipe.dropout,
            settings=settings,
        )

    def __call__(self, trial: Trial) -> float:
        """Train and score."""
        data = _data_of(self)
        train, dev = data.folds[trial.fold]
        settings = replace(self.settings, epochs=trial.epochs, seed=trial.seed, threads=1)
        model = self.adapted(trial.candidate, data.splits.labels, seed=trial.seed)
        fit(model, train, None, settings)
        _sparsify(model, trial.candidate.sparsity)
        score, _ = MAIN_SCORE[self.task]
        return float(evaluate(model, dev, threads=1)[score])

    def adapted(self, candidate: Candidate, labels: Sequence[str], *, seed: int) -> Any:
        """The base with a candidate's adapters, at their start."""
        rng = np.random.default_rng(seed)
        silent = Console(as_json=True)
        model, saved = load_base(self.task, Path(self.base), labels, rng=rng, console=silent)
        inject(model, candidate.config(lora_dropout=self.dropout, modules_to_save=saved), rng=rng)
        return model

    def read(self, console: Console) -> TrialData:
        """Read and encode the data; say on ``console`` what is worth knowing about it.

        Raises
        ------
        DataError
            A file that cannot be read, or has too few rows.
        """
        seed = self.settings.seed
        splits = read_splits(
            self.task,
            train=self.train,
            dev=self.dev,
            need_dev=self.n_folds is None,
            seed=seed,
            console=console,
        )
        base = Path(self.base)
        tokenizer = read_tokenizer(base, BertConfig.from_json(base / "config.json"))
        data = {}
        for name, corpus in splits.corpora.items():
            data[name] = encode_corpus(corpus, tokenizer, splits.labels, max_length=self.max_length)
            for line in data[name].report.lines():
                console.note(f"{name}: {line}")
        if self.n_folds is None:
            return TrialData(splits, ((data["train"], data["dev"]),))
        return TrialData(splits, tuple(_folds(data["train"], self.n_folds, seed)))


def update_of(path: str, layer: LoRALinear) -> LowRankUpdate:
    """What an adapter in a model adds to its weight."""
    return LowRankUpdate(path, layer.lora_B.data, layer.lora_A.data, layer.scaling)


@functools.lru_cache(maxsize=1)
def _data_of(trials: TrainingTrial) -> TrialData:
    """The data of all trials, which this process reads once."""
    return trials.read(Console(as_json=True))


def _folds(data: Dataset, k: int, seed: int) -> Iterator[tuple[Dataset, Dataset]]:
    labels = None if data.task == "ner" or data.labels is None else list(data.labels)
    rng = np.random.default_rng([seed, _FOLDS_STREAM])
    for held_out in k_folds(len(data), k, rng=rng, labels=labels):
        kept = np.setdiff1d(np.arange(len(data)), held_out)
        yield data.select(kept), data.select(held_out)


def _sparsify(model: Any, sparsity: float) -> None:
    for path, layer in model.named_modules():
        if isinstance(layer, LoRALinear):
            sparse = sparsify(update_of(path, layer), sparsity)
            layer.lora_B.data, layer.lora_A.data = sparse.B, sparse.A
