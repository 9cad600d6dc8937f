"""What the tensors of an adapter are called in PEFT's files.

===========================  ==========================================  ===============
here                         in the file, after ``base_model.model.``    shape
===========================  ==========================================  ===============
``<layer>.lora_A``           ``<layer>.lora_A.weight``                   (r, I)
``<layer>.lora_B``           ``<layer>.lora_B.weight``                   (O, r)
``<layer>.lora_B_bias``      ``<layer>.lora_B.bias``                     (O,)
``<layer>.bias``, trained    ``<layer>.base_layer.bias``                 (O,)
any other trained parameter  its own name                                its own
===========================  ==========================================  ===============
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from minilora._types import Array
from minilora.adapters import AdaptedLinear
from minilora.errors import CheckpointError, TargetError
from minilora.nn import Module, Parameter

PREFIX = "base_model.model."
_FACTORS = {"lora_A": "lora_A.weight", "lora_B": "lora_B.weight", "lora_B_bias": "lora_B.bias"}
_COPY = re.compile(r"(.*)\.(?:original_module|modules_to_save)\.([^.]+)")
_FACTOR_INFIX = re.compile(r"(\.lora_[AB])\.[^.]+\.(?=weight$|bias$)")
_SAVED_INFIX = re.compile(r"\.modules_to_save\.[^.]+\.")


def trained_parameters(model: Module) -> dict[str, Parameter]:
    """All that an adapted model trains, under PEFT's names without their prefix.

    Raises
    ------
    TargetError
        When an adapter has a parameter that PEFT's files have no name for.
    """
    adaptation = model.adaptation
    adapted = {p: m for p, m in model.named_modules() if isinstance(m, AdaptedLinear)}
    for path, layer in adapted.items():
        if unknown := sorted(layer.adapter_parameters().keys() - _FACTORS.keys()):
            raise TargetError(
                f"save_adapter: the {type(layer).__name__} at {path} has {', '.join(unknown)}, "
                f"which PEFT's files have no name for; expected {', '.join(_FACTORS)}. "
                "merge(model) and save it whole, with save_pretrained."
            )
    parameters = {
        f"{path}.{_FACTORS[name]}": parameter
        for path, layer in adapted.items()
        for name, parameter in layer.adapter_parameters().items()
    }
    for name, parameter in model.named_parameters():
        if name in adaptation.originals:
            holder = name.removesuffix(".bias")
            parameters[f"{holder}.base_layer.bias" if holder in adapted else name] = parameter
    return parameters


def plain_names(path: Path, tensors: Mapping[str, Array]) -> dict[str, Array]:
    """The tensors of the file at ``path``, by the names of `trained_parameters`.

    PEFT's own files differ in three ways: in memory, and in some files, factors and saved modules
    carry the adapter's name (``lora_A.default.weight``); some tools leave out the prefix; and with
    ``bias="all"`` the bias of a saved module comes three times.

    Raises
    ------
    CheckpointError
        When two tensors have one name, because the file holds several adapters.
    """
    stripped = {name.removeprefix(PREFIX) for name in tensors}
    plain: dict[str, Array] = {}
    for written, array in tensors.items():
        name = written.removeprefix(PREFIX)
        if (copy := _COPY.fullmatch(name)) and f"{copy[1]}.{copy[2]}" in stripped:
            continue
        name = _SAVED_INFIX.sub(".", _FACTOR_INFIX.sub(r"\1.", name))
        if name in plain:
            raise CheckpointError(
                f"{path}: holds {name!r} a second time as {written!r}; expected "
                "one adapter; save a single one from PEFT."
            )
        plain[name] = array
    return plain
