"""Adapters as PEFT saves them: ``adapter_config.json`` and ``adapter_model.safetensors``.

The file's metadata carries two things more, which PEFT passes over: the label names, and the
fingerprint of the base model, so that an adapter is not put on a base it was not trained on.
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilora._types import Array
from minilora.adapters import LoraConfig, eject, inject
from minilora.errors import CheckpointError, TargetError
from minilora.io.adapter_config import CONFIG_FILE, AdapterWarning, read_config, write_config
from minilora.io.base_model import base_name
from minilora.io.fingerprint import base_fingerprint
from minilora.io.model_card import write_card
from minilora.io.peft_names import PREFIX, plain_names, trained_parameters
from minilora.nn import Module, Parameter
from minilora.nn.fit import listed, misfit, second_names
from minilora.storage import read_metadata, read_tensors, write_json, write_tensors

WEIGHTS_FILE = "adapter_model.safetensors"
PICKLED_FILE = "adapter_model.bin"
LABELS, BASE = "minilora_labels", "minilora_base_sha256"


@dataclass(frozen=True)
class AdapterInfo:
    """What an adapter folder says of itself.

    Attributes
    ----------
    config
        How the layers are adapted.
    task_type
        PEFT's word for the task: TOKEN_CLS, SEQ_CLS, FEATURE_EXTRACTION, ..., or None.
    base_model_name_or_path
        Where its base model was, or None.
    label_names
        The classes its head tells apart, or None where the folder does not say.
    base_sha256
        Fingerprint of its base model (`base_fingerprint`), or None.
    """

    config: LoraConfig
    task_type: str | None
    base_model_name_or_path: str | None
    label_names: tuple[str, ...] | None
    base_sha256: str | None


def save_adapter(
    model: Module, out_dir: str | os.PathLike[str], *, base_model_name_or_path: str | None = None
) -> None:
    """Save the adapters and all else that was trained as a folder that PEFT reads as well.

    Each file is written whole or not at all, the config last. A ``README.md`` is written where
    there is none but our own. The same adapter gives the same bytes.

    Parameters
    ----------
    model
        A model that `inject` or `load_adapter` has adapted.
    out_dir
        The folder; made if need be, its adapter replaced.
    base_model_name_or_path
        Where PEFT finds the base model; default: the folder it was read from, or ``tiny``, which
        stands for the encoder that comes with minilora (see `base_folder`).

    Raises
    ------
    TargetError
        When the model carries no adapters.
    OutputError
        When a file cannot be written.
    """
    if model.adaptation is None:
        raise TargetError(
            "save_adapter: the model carries no adapters; expected one that inject(model, config) "
            "has adapted; save a whole model with save_pretrained(model, folder)."
        )
    folder = Path(out_dir)
    base_dir = getattr(model, "base_dir", None)
    if base_model_name_or_path is None and base_dir is not None:
        base_model_name_or_path = base_name(base_dir)
    _warn_of_lost_starts("save_adapter", model)
    parameters = trained_parameters(model)
    tensors = {f"{PREFIX}{name}": p.data for name, p in parameters.items()}
    write_tensors(folder / WEIGHTS_FILE, tensors, metadata=_metadata(model))
    write_card(model, base_model_name_or_path, folder)
    content = write_config(model, base_model_name_or_path=base_model_name_or_path)
    write_json(folder / CONFIG_FILE, content)


def load_adapter(
    model: Module, adapter_dir: str | os.PathLike[str], *, check_base: bool = True
) -> LoraConfig:
    """Adapt ``model`` as a saved adapter says, and give it the saved values.

    Parameters
    ----------
    model
        The base model, without adapters; changed in place. Afterwards it is as after `inject`:
        the adapter can be trained on, merged or ejected.
    adapter_dir
        A folder that minilora or PEFT saved.
    check_base
        Refuse an adapter that says it was trained on other base weights.

    Returns
    -------
    The adapter's config.

    Raises
    ------
    CheckpointError
        When the folder is missing, damaged or no plain LoRA, or does not fit the model: lists
        every tensor that is missing, unexpected, of another shape or not finite. The model is then
        as it was.
    TargetError
        When the model carries adapters already.
    """
    folder = Path(adapter_dir)
    info = read_adapter_info(folder)
    found = plain_names(folder / WEIGHTS_FILE, read_tensors(folder / WEIGHTS_FILE))
    try:
        # The starts drawn here are overwritten below, or the adapter is taken out again.
        inject(model, info.config, rng=np.random.default_rng(0), strict=False)
    except TargetError as error:
        if model.adaptation is not None:
            raise
        raise CheckpointError(f"{folder}: {error}{_other_base(info)}") from error
    expected = trained_parameters(model)
    for name in second_names(model):  # PEFT saves a shared bias under all of its names
        found.pop(name, None)
    misfits = _misfits(expected, found) or _disagreements(model, info, check_base=check_base)
    if misfits:
        eject(model)
        raise CheckpointError(
            f"{folder}: does not fit this {type(model).__name__}: {'; '.join(misfits)}."
            f"{_other_base(info)}"
        )
    for name, parameter in expected.items():
        parameter.data = found[name].astype(parameter.data.dtype)
    _warn_of_lost_starts("load_adapter", model)
    return info.config


def read_adapter_config(adapter_dir: str | os.PathLike[str]) -> LoraConfig:
    """Read how a saved adapter changes its base. Parameters and errors as `read_adapter_info`."""
    return read_adapter_info(adapter_dir).config


def read_adapter_info(adapter_dir: str | os.PathLike[str]) -> AdapterInfo:
    """Read what an adapter folder says of itself; no model is needed.

    Raises
    ------
    CheckpointError
        When the folder is missing, damaged, pickled or no plain LoRA.
    """
    folder = Path(adapter_dir)
    config, content = read_config(folder)
    metadata = read_metadata(weights_file(folder))
    return AdapterInfo(
        config=config,
        task_type=content.get("task_type"),
        base_model_name_or_path=content.get("base_model_name_or_path"),
        label_names=_label_names(folder, metadata),
        base_sha256=metadata.get(BASE),
    )


def weights_file(folder: Path) -> Path:
    """Where the tensors of an adapter folder are; refuses a folder that has only a pickle."""
    if (folder / PICKLED_FILE).exists() and not (folder / WEIGHTS_FILE).exists():
        raise CheckpointError(
            f"{folder / PICKLED_FILE}: is a pickle, which can run any code when it is opened; "
            f"expected {WEIGHTS_FILE}; load the adapter in PEFT, where you trust it, and save it "
            "with save_pretrained(folder), which writes safetensors."
        )
    return folder / WEIGHTS_FILE


def _warn_of_lost_starts(who: str, model: Module) -> None:
    """Warn if parts of ``model`` started at random and no file holds them."""
    started: tuple[str, ...] = getattr(model, "started_at_random", ())
    lost = [name for name in started if name not in model.adaptation.originals]
    if lost:
        warnings.warn(
            f"{who}: {', '.join(lost)} started at random, and the adapter does not hold them, so "
            "they differ each time the base is read; name their modules in modules_to_save.",
            AdapterWarning,
            stacklevel=3,
        )


def _metadata(model: Module) -> dict[str, str]:
    metadata = {"format": "pt", BASE: base_fingerprint(model)}
    labels = getattr(model, "label_names", None)
    return metadata if labels is None else metadata | {LABELS: json.dumps(labels)}


def _label_names(folder: Path, metadata: Mapping[str, str]) -> tuple[str, ...] | None:
    if LABELS not in metadata:
        return None
    try:
        names = json.loads(metadata[LABELS])
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise CheckpointError(
            f"{folder / WEIGHTS_FILE}: its metadata {LABELS} is {metadata[LABELS]!r}; "
            'expected a JSON list of names such as ["O", "B-PER"]; copy the file again.'
        )
    return tuple(names)


def _misfits(expected: Mapping[str, Parameter], found: Mapping[str, Array]) -> list[str]:
    """Every tensor that is missing, unexpected, of another shape or not finite, in words."""
    unfit = {n: misfit(found[n], p, "the file") for n, p in expected.items() if n in found}
    return [
        *listed(f"{n} {p.shape} is missing" for n, p in expected.items() if n not in found),
        *listed(f"{n} {a.shape} is unexpected" for n, a in found.items() if n not in expected),
        *listed(f"{name} {reason}" for name, reason in unfit.items() if reason),
    ]


def _disagreements(model: Module, info: AdapterInfo, *, check_base: bool) -> list[str]:
    """What fits by shape and is still another model's."""
    found = []
    labels, there = getattr(model, "label_names", None), info.label_names
    if labels is not None and there is not None and labels != there:
        found.append(
            f"its labels are {', '.join(there)}, the model's are {', '.join(labels)}; "
            "make the model with the adapter's labels, in their order"
        )
    if check_base and info.base_sha256 not in (None, base_fingerprint(model)):
        found.append(
            "it was trained on other base weights of the same shapes; "
            "use that base (in Python, check_base=False takes this one all the same)"
        )
    return found


def _other_base(info: AdapterInfo) -> str:
    base = info.base_model_name_or_path
    return " Was it made for another base model?" + (f" It names {base!r}." if base else "")
