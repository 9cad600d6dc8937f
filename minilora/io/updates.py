"""Adapter folders as arrays: read without a model, changed, and written again.

Works for any LoRA that PEFT has saved, whatever the model: layers are told by the names of their
tensors. Linear layers and Conv1D, embeddings (``lora_embedding_A``, ``lora_embedding_B``) and
convolutions, whose kernels are unrolled into the columns of A, all are updates ``s B A``. All else
in the file is carried along as it is.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from minilora._types import Array, Shape
from minilora.adapters import LoraConfig, LowRankUpdate
from minilora.errors import CheckpointError, ConfigError, OutputError
from minilora.io.adapter_config import CONFIG_FILE, config_content, read_config
from minilora.io.peft import LABELS, WEIGHTS_FILE, weights_file
from minilora.io.peft_names import PREFIX, plain_names
from minilora.io.rank_patterns import fit_config
from minilora.nn.fit import listed
from minilora.storage import read_metadata, read_tensors, write_json, write_tensors

_FACTOR = re.compile(r"(?P<path>.+)\.(?P<kind>lora_|lora_embedding_)(?P<factor>[AB])(\.weight)?")
_ASIDE = ("use_dora", "fan_in_fan_out")
"""Settings that say how a model uses the factors, not what they are."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SavedUpdates:
    """An adapter without its model.

    Attributes
    ----------
    updates
        One for each adapted layer, in the order of the file.
    config
        What ``adapter_config.json`` means.
    content
        All it says.
    others
        Tensors that are no factors, such as those of modules_to_save, by name.
    metadata
        The words in the file of tensors.
    embeddings
        Paths of the updates that are of embeddings.
    kernels
        For updates of convolutions, the shape (I, height, width) that a column of A had.
    notes
        What the factors alone do not show, in sentences.
    """

    updates: tuple[LowRankUpdate, ...]
    config: LoraConfig
    content: Mapping[str, Any]
    others: Mapping[str, Array] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=lambda: {"format": "pt"})
    embeddings: frozenset[str] = frozenset()
    kernels: Mapping[str, Shape] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_updates(self, updates: Iterable[LowRankUpdate]) -> SavedUpdates:
        """The same adapter with other updates, whose ranks and scales the config then says."""
        updates = tuple(updates)
        config = fit_config(self.config, updates)
        names = ("r", "lora_alpha", "rank_pattern", "alpha_pattern")
        changes = {name: getattr(config, name) for name in names}
        return replace(self, updates=updates, config=config, content={**self.content, **changes})


def read_updates(adapter_dir: str | os.PathLike[str]) -> SavedUpdates:
    """Read an adapter folder that PEFT or minilora saved; no model is needed.

    Parameters
    ----------
    adapter_dir
        Holds ``adapter_config.json`` and ``adapter_model.safetensors``. The tensors are mapped into
        memory, and read when they are used.

    Raises
    ------
    CheckpointError
        When the folder is missing, damaged, pickled or no LoRA, or when factors are missing, do not
        fit each other or the config, or are not finite: lists every one of them.
    """
    folder = Path(adapter_dir)
    config, content = read_config(folder, apart_from=_ASIDE)
    path = weights_file(folder)
    tensors = plain_names(path, read_tensors(path))
    factors: dict[str, dict[str, Array]] = {}
    embeddings, others = set(), {}
    for name, array in tensors.items():
        if found := _FACTOR.fullmatch(name):
            factors.setdefault(found["path"], {})[found["factor"]] = array
            if found["kind"] == "lora_embedding_":
                embeddings.add(found["path"])
        else:
            others[name] = array
    _check(path, factors, config)
    updates = tuple(
        LowRankUpdate(
            path=layer,
            B=pair["B"].reshape(len(pair["B"]), -1),
            A=pair["A"].reshape(len(pair["A"]), -1),
            scale=config.scaling_of(layer),
            transposed=layer in embeddings or bool(content.get("fan_in_fan_out")),
        )
        for layer, pair in factors.items()
    )
    return SavedUpdates(
        updates=updates,
        config=config,
        content=content,
        others=others,
        metadata=read_metadata(path),
        embeddings=frozenset(embeddings),
        kernels={layer: p["A"].shape[1:] for layer, p in factors.items() if p["A"].ndim > 2},
        notes=tuple(_notes(content, others)),
    )


def new_updates(
    updates: Iterable[LowRankUpdate],
    *,
    others: Mapping[str, Array] | None = None,
    modules_to_save: Iterable[str] = (),
    bias: Any = "none",
    embeddings: Iterable[str] = (),
    base_model_name_or_path: str | None = None,
    task_type: str | None = None,
    label_names: Sequence[str] | None = None,
) -> SavedUpdates:
    """Make an adapter of updates that come from elsewhere, such as a difference of two models.

    Parameters
    ----------
    updates
        At least one; each becomes a layer of ``target_modules`` by its whole path.
    others
        Tensors to save beside them, by name: of the modules in ``modules_to_save`` and, with
        ``bias="all"``, all biases.
    modules_to_save, bias, base_model_name_or_path, task_type
        As PEFT's config has them.
    embeddings
        Paths of the updates that are of embeddings.
    label_names
        The classes that its head tells apart.

    Raises
    ------
    ConfigError
        When there are no updates.
    """
    updates = tuple(updates)
    if not updates:
        raise ConfigError("new_updates: no updates; expected at least one adapted layer.")
    config = LoraConfig(
        target_modules=[update.path for update in updates],
        modules_to_save=tuple(modules_to_save) or None,
        bias=bias,
    )
    content = config_content(config) | {
        "base_model_name_or_path": base_model_name_or_path,
        "task_type": task_type,
    }
    labels = {} if label_names is None else {LABELS: json.dumps(list(label_names))}
    bare = SavedUpdates(
        updates=(),
        config=config,
        content=content,
        others=dict(others or {}),
        metadata={"format": "pt"} | labels,
        embeddings=frozenset(embeddings),
    )
    return bare.with_updates(updates)


def write_updates(out_dir: str | os.PathLike[str], adapter: SavedUpdates) -> None:
    """Save an adapter as a folder that PEFT and minilora load.

    Each file is written whole or not at all, the config last.

    Raises
    ------
    OutputError
        When the folder holds an adapter already, or a file cannot be written.
    """
    folder = Path(out_dir)
    for name in (CONFIG_FILE, WEIGHTS_FILE):
        if (folder / name).exists():
            raise OutputError(
                f"{folder}: already holds an adapter ({name}); expected a new or empty folder; "
                "choose another."
            )
    tensors = dict(adapter.others)
    for update in adapter.updates:
        A, B = update.A, update.B
        if kernel := adapter.kernels.get(update.path):
            A, B = A.reshape(-1, *kernel), B.reshape(*B.shape, *[1] * (len(kernel) - 1))
        names = _EMBEDDING_NAMES if update.path in adapter.embeddings else _LINEAR_NAMES
        tensors |= {f"{update.path}.{names[0]}": A, f"{update.path}.{names[1]}": B}
    prefixed = {f"{PREFIX}{name}": array for name, array in tensors.items()}
    write_tensors(folder / WEIGHTS_FILE, prefixed, metadata=adapter.metadata)
    write_json(folder / CONFIG_FILE, dict(adapter.content))


_LINEAR_NAMES = ("lora_A.weight", "lora_B.weight")
_EMBEDDING_NAMES = ("lora_embedding_A", "lora_embedding_B")


def _check(path: Path, factors: Mapping[str, Mapping[str, Array]], config: LoraConfig) -> None:
    misfits = [
        f"{layer}: {reason}"
        for layer, pair in factors.items()
        if (reason := _misfit(pair, config.rank_of(layer)))
    ]
    if not factors:
        misfits = ["it holds no factors lora_A and lora_B at all"]
    if misfits:
        raise CheckpointError(
            f"{path}: is no LoRA as its config has it: {'; '.join(listed(misfits))}; "
            "save the adapter again from where it was trained."
        )


def _misfit(pair: Mapping[str, Array], r: int) -> str:
    """Why these cannot be the factors of a layer with rank r; empty if they can."""
    if missing := {"A", "B"} - pair.keys():
        return f"lora_{missing.pop()} is missing"
    A, B = pair["A"], pair["B"]
    if A.ndim < 2 or B.ndim != A.ndim or B.shape[1] != len(A) or set(B.shape[2:]) - {1}:
        return f"lora_A {A.shape} and lora_B {B.shape} do not chain"
    if len(A) != r:
        return f"lora_A has {len(A)} rows, but the config says r = {r}"
    if A.dtype.kind != "f" or B.dtype.kind != "f":
        return f"holds {A.dtype} and {B.dtype}, floating point was expected"
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        return "has entries that are NaN or infinite"
    return ""


def _notes(content: Mapping[str, Any], others: Mapping[str, Array]) -> Iterable[str]:
    if content.get("use_dora"):
        yield (
            "This is DoRA: each row of W + s B A is scaled to a trained length as well, which is "
            "no part of the update s B A that is measured here."
        )
    modules = sorted({name.rpartition(".")[0] for name in others if "lora_" not in name})
    if modules:
        yield (
            f"The file holds whole modules as well, not measured here: {', '.join(modules[:5])}"
            + (f" and {len(modules) - 5} more." if len(modules) > 5 else ".")
        )
