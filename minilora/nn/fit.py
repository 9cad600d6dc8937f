"""Which tensor of a checkpoint belongs to which parameter, and every reason why one does not."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from minilora._types import Array
from minilora.nn.module import Module, Parameter

HEADS = ("pooler", "classifier", "qa_outputs", "cls.predictions", "cls.seq_relationship")
"""What may sit on an encoder: a checkpoint may have heads that the model does not."""

_BUFFER = re.compile(r"embeddings\.(position_ids|token_type_ids)")
_MOST = 20
"""How many misfits of a kind are listed: a folder of another model has hundreds."""


class Fit(NamedTuple):
    """What `fit` found; the names are the model's."""

    arrays: dict[str, Array]
    lacking: list[str]
    misfits: list[str]


def normalised(key: str) -> str:
    """A tensor's name without the prefix ``bert.``, and with today's words for gamma and beta.

    ``bert.embeddings.LayerNorm.gamma`` -> ``embeddings.LayerNorm.weight``
    """
    key = re.sub(r"LayerNorm\.gamma$", "LayerNorm.weight", key.removeprefix("bert."))
    return re.sub(r"LayerNorm\.beta$", "LayerNorm.bias", key)


def fit(model: Module, tensors: Mapping[str, Array], *, may_lack: Collection[str]) -> Fit:
    """Find an array for every parameter of ``model`` among ``tensors`` (normalised names).

    Parameters
    ----------
    model
        A BERT, with or without a head.
    tensors
        A checkpoint. Heads the model does not have, and buffers, are passed over.
    may_lack
        Modules whose parameters may be missing, if all of them are.

    Returns
    -------
    Arrays by parameter; the parameters of modules that the checkpoint lacks; and in words each
    tensor that is missing, unexpected, of another shape or dtype, or not finite.
    """
    expected = dict(model.named_parameters())
    tensors, misfits = _untied(model, tensors)
    arrays = {name: tensors[normalised(name)] for name in expected if normalised(name) in tensors}
    lacking = [name for name in expected if _lacks(name, tensors, may_lack)]
    missing = {name for name in expected if name not in arrays} - {*lacking}
    unexpected = _unexpected(expected, tensors)
    misfits += listed(
        f"{name} {expected[name].shape} is missing{_near(name, unexpected)}"
        for name in sorted(missing)
    )
    misfits += listed(f"{name} {tensors[name].shape} is unexpected" for name in unexpected)
    unfit = {
        name: misfit(array, expected[name], "the checkpoint") for name, array in arrays.items()
    }
    misfits += listed(f"{name} {reason}" for name, reason in unfit.items() if reason)
    return Fit(arrays, lacking, misfits)


def _untied(model: Module, tensors: Mapping[str, Array]) -> tuple[dict[str, Array], list[str]]:
    """Tensors without second copies of parameters that the model shares, and copies that differ."""
    left, misfits = dict(tensors), []
    for name, first in second_names(model).items():
        copy = left.pop(normalised(name), None)
        if copy is None:
            continue
        original = left.setdefault(normalised(first), copy)
        if not np.array_equal(copy, original):
            misfits.append(f"{name} differs from {first}, with which the model shares it")
    return left, misfits


def second_names(model: Module) -> dict[str, str]:
    """For each further name of a shared parameter, the one `named_parameters` lists it under."""
    firsts = {id(parameter): name for name, parameter in model.named_parameters()}
    names = {
        f"{path}.{name}" if path else name: firsts[id(value)]
        for path, module in model.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, Parameter)
    }
    return {name: first for name, first in names.items() if name != first}


def _lacks(name: str, tensors: Mapping[str, Array], may_lack: Collection[str]) -> bool:
    """Whether the parameter belongs to a module of which the checkpoint has nothing."""
    return any(
        normalised(name).startswith(f"{module}.")
        and not any(key.startswith(f"{module}.") for key in tensors)
        for module in may_lack
    )


def _unexpected(expected: Collection[str], tensors: Collection[str]) -> list[str]:
    names = {normalised(name) for name in expected}
    foreign = tuple(f"{h}." for h in HEADS if not any(n.startswith(f"{h}.") for n in names))
    return sorted(
        name
        for name in tensors
        if name not in names and not name.startswith(foreign) and not _BUFFER.fullmatch(name)
    )


def misfit(array: Array, parameter: Parameter, where: str) -> str:
    """Why ``array`` out of ``where`` cannot be the parameter's; empty if it can."""
    if array.shape != parameter.shape:
        return f"is {array.shape} in {where}, {parameter.shape} here"
    if array.dtype.kind != "f":
        return f"holds {array.dtype}, floating point was expected"
    with np.errstate(invalid="ignore"):
        if np.isfinite([array.min(), array.max()]).all():  # NaN is both: cheaper than all entries
            return ""
    return f"has {np.count_nonzero(~np.isfinite(array))} of {array.size} entries NaN or infinite"


def _near(name: str, unexpected: Collection[str]) -> str:
    near = difflib.get_close_matches(normalised(name), unexpected, n=1, cutoff=0.9)
    return f" (is it {near[0]}?)" if near else ""


def listed(misfits: Iterable[str]) -> list[str]:
    """The misfits, the 20 first and how many more."""
    every = list(misfits)
    more = len(every) - _MOST
    return every if more <= 0 else [*every[:_MOST], f"and {more} more like that"]
