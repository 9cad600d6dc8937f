"""Where a run stands, as arrays and JSON, so that it can be left and gone on with."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from minilora._types import Array
from minilora.errors import CheckpointError, ConfigError
from minilora.nn import Module
from minilora.text import Dataset
from minilora.train.history import EpochRecord, History, StepRecord
from minilora.train.optim import Optimizer
from minilora.train.settings import TrainSettings

FORMAT = 1
SAID = ("settings", "train", "dev", "frozen", "n_steps", "epochs", "seconds")
"""What a state's ``meta`` must hold."""


@dataclass(frozen=True)
class TrainerState:
    """All that a run needs to go on with, byte for byte as if never interrupted.

    Attributes
    ----------
    arrays
        Trained parameters (``model.<name>``), the optimiser's memory (``optimizer.<name>``), the
        best parameters so far (``best.<name>``) and what each step recorded (``steps.<field>``).
    meta
        What JSON can say: settings, threads, what identifies the data, epoch records.

    Raises
    ------
    CheckpointError
        If another version wrote it, or it is incomplete.
    """

    arrays: dict[str, Array]
    meta: dict[str, Any]

    def __post_init__(self) -> None:
        if (version := self.meta.get("format")) != FORMAT:
            raise CheckpointError(
                f"resume: the trainer state has format {version!r}; expected {FORMAT}; resume with "
                "the version that wrote it, or start again."
            )
        if lacking := [name for name in SAID if name not in self.meta]:
            raise CheckpointError(
                f"resume: the trainer state lacks {', '.join(lacking)}; it is damaged; start again."
            )

    @property
    def n_steps(self) -> int:
        """Optimiser steps taken."""
        return int(self.meta["n_steps"])

    def history(self) -> History:
        """The records up to here."""
        columns = {k: array.tolist() for k, array in _unprefixed("steps", self.arrays).items()}
        rows = zip(*columns.values(), strict=True)
        steps = [StepRecord(**dict(zip(columns, row, strict=True))) for row in rows]
        return History(steps, [EpochRecord(**record) for record in self.meta["epochs"]])


@dataclass
class Progress:
    """What a run has done so far, besides what model and optimiser hold."""

    history: History = field(default_factory=History)
    best: dict[str, Array] = field(default_factory=dict)  # parameters; empty before the first score
    seconds: float = 0.0

    @property
    def n_steps(self) -> int:
        """Optimiser steps taken."""
        return len(self.history.steps)


def trained(model: Module) -> dict[str, Array]:
    """The arrays of all parameters that train, by name; not copies."""
    return {name: p.data for name, p in model.named_parameters() if p.requires_grad}


def put(arrays: dict[str, Array], model: Module) -> None:
    """Copy ``arrays`` into the parameters that train.

    Raises
    ------
    CheckpointError
        If names or shapes are not those of ``model``.
    """
    here = trained(model)
    wrong = [
        name
        for name in sorted(here.keys() | arrays.keys())
        if name not in here or name not in arrays or here[name].shape != arrays[name].shape
    ]
    if wrong:
        raise CheckpointError(
            f"resume: {len(wrong)} of {len(here)} trained parameters differ from the saved ones: "
            f"{', '.join(wrong)}; resume with the model and method the run was started with."
        )
    for name, array in arrays.items():
        here[name][...] = array


def capture(
    model: Module, optimizer: Optimizer, progress: Progress, identity: dict[str, Any]
) -> TrainerState:
    """Everything as it is now, in copies."""
    steps = progress.history.steps
    columns = {f.name: np.array([getattr(s, f.name) for s in steps]) for f in fields(StepRecord)}
    arrays = {
        **_prefixed("model", trained(model)),
        **_prefixed("optimizer", optimizer.state()),
        **_prefixed("best", progress.best),
        **_prefixed("steps", columns),
    }
    meta = {
        "format": FORMAT,
        **identity,
        "n_steps": progress.n_steps,
        "epochs": [record.to_json() for record in progress.history.epochs],
        "seconds": progress.seconds,
    }
    return TrainerState({name: array.copy() for name, array in arrays.items()}, meta)


def restore(
    state: TrainerState, model: Module, optimizer: Optimizer, identity: dict[str, Any]
) -> Progress:
    """Bring model and optimiser back to ``state``.

    Raises
    ------
    ConfigError
        If the state was saved with other settings or data than ``identity`` names.
    CheckpointError
        If it does not fit the model.
    """
    _check_same(state.meta, identity)
    put(_unprefixed("model", state.arrays), model)
    optimizer.load_state(_unprefixed("optimizer", state.arrays))
    best = _unprefixed("best", state.arrays)
    return Progress(state.history(), best, state.meta["seconds"])


def identify(
    model: Module, settings: TrainSettings, threads: int, train: Dataset, dev: Dataset | None
) -> dict[str, Any]:
    """What must be the same for a run to go on with, as JSON."""
    frozen = [p.data for _, p in model.named_parameters() if not p.requires_grad]
    return {
        "settings": settings.to_json() | {"threads": threads},
        "train": _fingerprint_of(train),
        "dev": None if dev is None else _fingerprint_of(dev),
        "frozen": _fingerprint(frozen),
    }


def _check_same(meta: dict[str, Any], identity: dict[str, Any]) -> None:
    before, now = meta["settings"], identity["settings"]
    changed = [
        f"{key} was {before.get(key)!r}, is {now.get(key)!r}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    parts = {"train": "training data", "dev": "dev data", "frozen": "frozen parameters"}
    changed += [f"other {what}" for key, what in parts.items() if meta[key] != identity[key]]
    if changed:
        raise ConfigError(
            f"resume: the run was started differently: {'; '.join(changed)}; "
            "resume with what it was started with, or start a new run."
        )


def _fingerprint_of(data: Dataset) -> str:
    """A hash of all that training sees of ``data``."""
    parts = [np.array(data.label_names), *(data.labels if data.labels is not None else ())]
    parts += [ids for e in data.encodings for ids in (e.input_ids, e.token_type_ids)]
    return _fingerprint(parts)


def _fingerprint(arrays: Iterable[Array]) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _prefixed(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def _unprefixed(prefix: str, arrays: dict[str, Array]) -> dict[str, Array]:
    start = f"{prefix}."
    return {name.removeprefix(start): a for name, a in arrays.items() if name.startswith(start)}
