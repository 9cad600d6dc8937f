r"""Which layers a configuration means: PEFT's rules, to the letter.

A path is the dotted name of a module in the model without adapters, such as
``bert.encoder.layer.3.attention.self.query``. In the order in which they are asked:

excluded
    ``exclude_modules`` matches (a string: the whole path; a list: the path or its last names), or
    the module is, or is inside, one of ``modules_to_save``.
targeted
    ``target_modules`` matches: a string is a regular expression for the whole path; a name in a
    list is the path itself or its end, from a dot on (``"dense"`` ends ``output.dense`` but not
    ``mydense``). Only a match by the *end* is narrowed by ``layers_to_transform``: a layer listed
    by its full path is adapted whatever its number.
numbered
    A layer's number is the first one in its path that follows a list, itself below something:
    ``.layer.3.``; with ``layers_pattern``, the first that follows a list of that name.
rank and alpha
    The first key of ``rank_pattern``, in the order written, that matches the end of the path (from
    a dot on, or the whole); its dots match any character unless escaped. ``^`` ties a key to the
    beginning.
saved
    ``modules_to_save`` trains every module whose path *ends in the letters* of a name, no dot
    needed: ``"er"`` would be the classifier and the pooler.

PEFT 0.21.2: ``tuners/tuners_utils.py`` (check_target_module_exists), ``utils/other.py``
(get_pattern_key, _set_trainable). One rule is ours: ``"all-linear"`` leaves out the output head of
every model, which in PEFT depends on the ``task_type``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minilora.adapters.config import LoraConfig

ALL_LINEAR = "all-linear"
DEFAULT_TARGETS = ("query", "value")
"""What PEFT adapts in a BERT when target_modules is None, as Hu et al. 2021 (§4.2) did first."""
OUTPUT_HEADS = ("classifier", "cls.predictions.decoder")


def is_all_linear(config: LoraConfig) -> bool:
    """Whether ``target_modules`` is the word for every Linear, however capitalised."""
    return isinstance(config.target_modules, str) and config.target_modules.lower() == ALL_LINEAR


def is_excluded(config: LoraConfig, path: str) -> bool:
    """Whether the module at ``path`` must not be adapted, target or not."""
    excluded = config.exclude_modules
    if isinstance(excluded, str):
        if re.fullmatch(excluded, path):
            return True
    elif any(names_end(path, name) for name in excluded or ()):
        return True
    return any(re.match(save_rule(name), path) for name in config.modules_to_save or ())


def is_target(config: LoraConfig, path: str) -> bool:
    """Whether the module at ``path`` is to be adapted. ``"all-linear"`` asks for the type as well.

    The caller sees to it that the module at ``path`` is a Linear.
    """
    if is_excluded(config, path):
        return False
    targets = config.target_modules
    if is_all_linear(config):
        return path not in OUTPUT_HEADS
    if isinstance(targets, str):
        return re.fullmatch(targets, path) is not None
    targets = DEFAULT_TARGETS if targets is None else targets
    if path in targets:
        return True
    return any(names_end(path, name) for name in targets) and is_numbered(config, path)


def is_numbered(config: LoraConfig, path: str) -> bool:
    """Whether ``layers_to_transform`` lets the layer at ``path`` through."""
    wanted = layer_numbers(config)
    return not wanted or number_of(config, path) in wanted


def layer_numbers(config: LoraConfig) -> tuple[int, ...]:
    """``layers_to_transform`` as a tuple; empty: all layers."""
    wanted = config.layers_to_transform
    return (wanted,) if isinstance(wanted, int) else tuple(wanted or ())


def number_of(config: LoraConfig, path: str) -> int | None:
    """The number of the layer that ``path`` is in, as `layers_pattern` counts; None: in no list."""
    lists = config.layers_pattern or ()
    rules = [index_rule(name) for name in ([lists] if isinstance(lists, str) else lists)]
    for rule in rules or [r".*?\.[^.]*\.(?P<number>\d+)\."]:
        if found := re.match(rule, path):
            return int(found["number"])
    return None


def is_saved(config: LoraConfig, path: str) -> bool:
    """Whether the module at ``path`` is one of ``modules_to_save``."""
    return any(path.endswith(name) for name in config.modules_to_save or ())


def first_match(patterns: Iterable[str], path: str) -> str | None:
    """The first of ``patterns`` that matches the end of ``path``."""
    return next((key for key in patterns if re.match(pattern_rule(key), path)), None)


def names_end(path: str, name: str) -> bool:
    """Whether ``name`` is ``path`` or the last of its dotted names."""
    return path == name or path.endswith(f".{name}")


def pattern_rule(key: str) -> str:
    """The regular expression that a key of rank_pattern stands for."""
    return rf"(.*\.)?({key})$"


def save_rule(name: str) -> str:
    """The regular expression of a module in ``modules_to_save`` and of all that is inside it."""
    return rf"(^|.*\.){name}($|\..*)"


def index_rule(name: str) -> str:
    """The regular expression of what is in a list called ``name``, and at which number."""
    return rf"(?:^|.*?\.){name}\.(?P<number>\d+)\."
