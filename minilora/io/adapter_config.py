"""``adapter_config.json``: PEFT's words for an adapter, to and from ours."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from minilora.adapters import LoraConfig
from minilora.adapters.matching import DEFAULT_TARGETS, is_all_linear
from minilora.errors import CheckpointError, ConfigError
from minilora.files import read_json
from minilora.nn import Module

CONFIG_FILE = "adapter_config.json"
PEFT_VERSION = "0.21.2"
"""The release whose files ours equal."""

TASKS = {
    "BertModel": "FEATURE_EXTRACTION",
    "BertForTokenClassification": "TOKEN_CLS",
    "BertForSequenceClassification": "SEQ_CLS",
}
HEADS_BY_TASK = dict.fromkeys(("TOKEN_CLS", "SEQ_CLS"), ("classifier", "score"))
"""What PEFT adds to modules_to_save for a task: the names an output head may have."""

_UNUSED: dict[str, Any] = {
    "alora_invocation_tokens": None,
    "arrow_config": None,
    "corda_config": None,
    "ensure_weight_tying": False,
    "eva_config": None,
    "kasa_config": None,
    "layer_replication": None,
    "loftq_config": {},
    "lora_ga_config": None,
    "megatron_config": None,
    "megatron_core": "megatron.core",
    "monteclora_config": None,
    "qalora_group_size": 16,
    "revision": None,
    "target_parameters": None,
    "trainable_token_indices": None,
    "use_bdlora": None,
    "use_qalora": False,
    "velora_config": None,
}
"""PEFT's settings that a plain LoRA leaves at these values."""

_CHANGES_THE_MATHS = (
    "alora_invocation_tokens",
    "arrow_config",
    "kasa_config",
    "layer_replication",
    "monteclora_config",
    "target_parameters",
    "trainable_token_indices",
    "use_bdlora",
    "use_dora",
    "use_qalora",
    "velora_config",
)
_STARTS_ON_THE_BASE = ("eva", "mica", "orthogonal")
"""Starts that leave W alone: once trained, such an adapter is read as any other."""


class AdapterWarning(UserWarning):
    """An adapter that can be used, but perhaps not as it was meant."""


def write_config(model: Module, *, base_model_name_or_path: str | None) -> dict[str, Any]:
    """What PEFT would write for the adapter that ``model`` carries, keys sorted."""
    adaptation = model.adaptation
    config: LoraConfig = adaptation.config
    content = config_content(config)
    if is_all_linear(config):
        content["target_modules"] = list(adaptation.paths)
    elif config.target_modules is None:
        content["target_modules"] = list(DEFAULT_TARGETS)
    task = task_of(model)
    if task in HEADS_BY_TASK:
        names = (*(config.modules_to_save or ()), *HEADS_BY_TASK[task])
        content["modules_to_save"] = list(dict.fromkeys(names))
    content |= {
        "auto_mapping": None if task else _class_in_transformers(model),
        "base_model_name_or_path": base_model_name_or_path,
        "task_type": task,
    }
    return content


def config_content(config: LoraConfig) -> dict[str, Any]:
    """What PEFT would write for ``config`` when nothing is known of the model, keys sorted."""
    content = {f.name: _plain(getattr(config, f.name)) for f in fields(LoraConfig)}
    content |= _UNUSED | {
        "auto_mapping": None,
        "base_model_name_or_path": None,
        "inference_mode": True,
        "peft_type": "LORA",
        "peft_version": PEFT_VERSION,
        "task_type": None,
    }
    return dict(sorted(content.items()))


def task_of(model: Module) -> str | None:
    """PEFT's word for the model's task; None if it would not fit.

    PEFT expects the head in the file of a classification task, so a classifier that is not in
    ``modules_to_save`` is written without a task.
    """
    task = TASKS.get(type(model).__name__)
    saved: tuple[str, ...] = model.adaptation.saved_modules
    return task if task not in HEADS_BY_TASK or "classifier" in saved else None


def read_config(
    adapter_dir: Path, *, apart_from: Collection[str] = ()
) -> tuple[LoraConfig, dict[str, Any]]:
    """Read ``adapter_config.json``: what it means here, and all it says.

    Parameters
    ----------
    adapter_dir
        The adapter's folder.
    apart_from
        Settings that the caller sees to itself: the config is read as if they were off.

    Raises
    ------
    CheckpointError
        When the file is missing or damaged, or describes something other than LoRA.
    """
    path = adapter_dir / CONFIG_FILE
    if not adapter_dir.is_dir():
        raise CheckpointError(
            f"{adapter_dir}: no such folder; expected one with {CONFIG_FILE} and "
            "adapter_model.safetensors, as PEFT and minilora save them; check the path."
        )
    if not path.exists() and (adapter_dir / "config.json").exists():
        raise CheckpointError(
            f"{adapter_dir}: holds a whole model; an adapter, with {CONFIG_FILE}, was expected. "
            "minilora extract makes one of a full fine-tuning."
        )
    content = read_json(path, "the adapter's config")
    for name in ("base_model_name_or_path", "task_type"):
        if not isinstance(content.get(name), (str, type(None))):
            raise CheckpointError(f"{path}: {name} is {content[name]!r}; expected a text or null.")
    minded = {name: value for name, value in content.items() if name not in apart_from}
    _refuse_other_methods(path, minded)
    _warn_of_defaults(path, content)
    known = {f.name: minded[f.name] for f in fields(LoraConfig) if f.name in minded}
    known["modules_to_save"] = _modules_to_save(content)
    for name in ("exclude_modules", "layers_to_transform", "layers_pattern"):
        if known.get(name) in ([], ""):
            known[name] = None
    for name in ("rank_pattern", "alpha_pattern"):
        known[name] = known.get(name) or {}
    if known.get("init_lora_weights", True) in (None, *_STARTS_ON_THE_BASE):
        known["init_lora_weights"] = True
    try:
        return LoraConfig(**known), content
    except ConfigError as error:
        raise CheckpointError(f"{path}: {error}") from error


def _refuse_other_methods(path: Path, content: Mapping[str, Any]) -> None:
    kind = content.get("peft_type")
    if kind != "LORA":
        raise CheckpointError(
            f"{path}: peft_type is {kind!r}; expected 'LORA', the one method read here; "
            "PEFT itself can merge other adapters into their base model."
        )
    for name in _CHANGES_THE_MATHS:
        if content.get(name):
            raise CheckpointError(
                f"{path}: {name} is {content[name]!r}, a variant of LoRA; expected plain LoRA, "
                "where it is off; PEFT itself can merge the adapter into its base model."
            )
    start = content.get("init_lora_weights", True)
    if start not in (True, False, None, "gaussian", *_STARTS_ON_THE_BASE):
        raise CheckpointError(
            f"{path}: init_lora_weights is {start!r}, which changed the base weights, so the "
            "adapter does not fit the base as published; save it again from PEFT with "
            "save_pretrained(..., path_initial_model_for_weight_conversion=...)."
        )


def _warn_of_defaults(path: Path, content: Mapping[str, Any]) -> None:
    for name in ("r", "lora_alpha"):
        if name not in content:
            default = getattr(LoraConfig(), name)
            warnings.warn(
                f"{path}: {name} is missing; {default} is taken, as PEFT does without a word; "
                "write the value the adapter was trained with.",
                AdapterWarning,
                stacklevel=2,
            )


def _modules_to_save(content: Mapping[str, Any]) -> Any:
    """The modules meant: without the head names that PEFT adds for a task and the model lacks."""
    names = content.get("modules_to_save")
    if not isinstance(names, list):
        return names
    if content.get("task_type") in HEADS_BY_TASK and "classifier" in names:
        names = [name for name in names if name != "score"]
    return names or None


def _class_in_transformers(model: Module) -> dict[str, str] | None:
    """Where PEFT finds the base model's class when no task says it."""
    name = type(model).__name__
    if not name.startswith("Bert"):
        return None
    return {"base_model_class": name, "parent_library": "transformers.models.bert.modeling_bert"}


def _plain(value: Any) -> Any:
    """As JSON has it."""
    return list(value) if isinstance(value, tuple) else value
