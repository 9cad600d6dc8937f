"""Which layers of a model a configuration selects, and what it says that selects nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from minilora.adapters.config import LoraConfig
from minilora.adapters.matching import (
    DEFAULT_TARGETS,
    is_all_linear,
    is_excluded,
    is_saved,
    is_target,
    layer_numbers,
    names_end,
    number_of,
    pattern_rule,
)
from minilora.errors import TargetError, did_you_mean
from minilora.nn import Linear, Module, Parameter


@dataclass(frozen=True)
class Selection:
    """Paths of the layers to adapt and of the modules to train whole, in the model's order."""

    targets: tuple[str, ...]
    saved: tuple[str, ...]


def select(model: Module, config: LoraConfig, *, strict: bool = True) -> Selection:
    """Find what ``config`` means in ``model``.

    Parameters
    ----------
    model
        A model without adapters.
    config
        What to adapt.
    strict
        Refuse every name, pattern and number that matches nothing. False is PEFT's way, which
        minds only when no layer at all is left to adapt.

    Raises
    ------
    TargetError
        When no layer is selected, when something selected is no Linear or shares a parameter, or,
        if strict, when a part of ``config`` selects nothing.
    """
    modules = {path: module for path, module in model.named_modules() if path}
    linears = [path for path, module in modules.items() if isinstance(module, Linear)]
    asked = linears if is_all_linear(config) else list(modules)
    targets = [path for path in asked if is_target(config, path)]
    saved = [path for path in modules if is_saved(config, path)]
    if strict and not isinstance(config.target_modules, str):
        _refuse_idle("target_modules", _listed_targets(config), names_end, modules, hints=linears)
    for path in targets:
        if not isinstance(modules[path], Linear):
            raise TargetError(
                f"target_modules: {path!r} is of type {type(modules[path]).__name__}, matched by "
                f"{_written(config)}; only Linear layers can be adapted; to train it whole, "
                "name it in modules_to_save."
            )
    if not targets:
        raise TargetError(_nothing_selected(config, linears))
    if strict:
        _refuse_idle_settings(config, modules, targets)
    _refuse_shared(modules, [*targets, *saved])
    return Selection(tuple(targets), tuple(saved))


def _refuse_shared(modules: Mapping[str, Module], selected: Iterable[str]) -> None:
    """Refuse a module one of whose parameters also belongs to a module outside of it."""
    owners: dict[int, list[str]] = {}
    for path, module in modules.items():
        for value in vars(module).values():
            if isinstance(value, Parameter):
                owners.setdefault(id(value), []).append(path)
    for path in selected:
        for shared in owners.values():
            inside = [owner == path or owner.startswith(f"{path}.") for owner in shared]
            if any(inside) and not all(inside):
                other = shared[inside.index(False)]
                raise TargetError(
                    f"{path}: shares a parameter with {other}, so changing the one changes the "
                    "other; expected a module of its own; leave it out."
                )


def _refuse_idle_settings(config: LoraConfig, paths: Iterable[str], targets: Sequence[str]) -> None:
    excluded = config.exclude_modules or ()
    if isinstance(excluded, str):
        _refuse_idle("exclude_modules", [excluded], _whole, paths)
    else:
        _refuse_idle("exclude_modules", excluded, names_end, paths)
    _refuse_idle("modules_to_save", config.modules_to_save or (), str.endswith, paths)
    _refuse_idle("rank_pattern", config.rank_pattern, _pattern, targets)
    _refuse_idle("alpha_pattern", config.alpha_pattern, _pattern, targets)
    numbers = _numbers(config, targets)
    for number in layer_numbers(config):
        if number not in numbers:
            raise TargetError(
                f"layers_to_transform: nothing is adapted in layer {number}, "
                f"only in layers {numbers}; layers are counted from 0."
            )


def _refuse_idle(
    field: str,
    words: Iterable[str],
    matches: Callable[[str, str], object],
    paths: Iterable[str],
    *,
    hints: Iterable[str] | None = None,
) -> None:
    """Refuse the first of ``words`` that matches none of ``paths``; suggest ends of ``hints``."""
    for word in words:
        if not any(matches(path, word) for path in paths):
            n = word.count(".") + 1
            ends = {".".join(path.split(".")[-n:]) for path in hints or paths}
            raise TargetError(f"{field}: nothing matches {word!r}.{did_you_mean(word, ends)}")


def _nothing_selected(config: LoraConfig, linears: Sequence[str]) -> str:
    targets = config.target_modules
    said = f"target_modules: {_written(config)} leaves no layer to adapt"
    if isinstance(targets, str) and any(names_end(path, targets) for path in linears):
        return (
            f"{said}: a string is a regular expression for whole paths; "
            f"to match by name, write target_modules=[{targets!r}]."
        )
    excluded = [path for path in linears if is_excluded(config, path)]
    if excluded:
        return (
            f"{said}: exclude_modules and modules_to_save take out {', '.join(excluded)}; "
            "name other targets, or exclude less."
        )
    if wanted := layer_numbers(config):
        return f"{said} in layers {list(wanted)}; there are layers {_numbers(config, linears)}."
    return f"{said}; expected one of the {len(linears)} Linear layers, such as {linears[:1]}."


def _numbers(config: LoraConfig, paths: Iterable[str]) -> list[int]:
    """The numbers of the layers that ``paths`` are in."""
    return sorted({n for path in paths if (n := number_of(config, path)) is not None})


def _listed_targets(config: LoraConfig) -> Sequence[str]:
    return DEFAULT_TARGETS if config.target_modules is None else config.target_modules


def _written(config: LoraConfig) -> str:
    targets = _listed_targets(config)
    return repr(targets) if isinstance(targets, str) else repr(list(targets))


def _whole(path: str, rule: str) -> object:
    return re.fullmatch(rule, path)


def _pattern(path: str, key: str) -> object:
    return re.match(pattern_rule(key), path)
