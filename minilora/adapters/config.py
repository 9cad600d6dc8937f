"""LoraConfig: what to adapt and how, in PEFT's words and with PEFT's defaults."""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeVar

from minilora.adapters.matching import (
    first_match,
    index_rule,
    is_all_linear,
    pattern_rule,
    save_rule,
)
from minilora.errors import ConfigError, did_you_mean

Number = TypeVar("Number", int, float)

BIAS_MODES = ("none", "all", "lora_only")
_OR_REGEX = " or a regular expression"


@dataclass(frozen=True, kw_only=True)
class LoraConfig:
    """Which layers carry an adapter, and its size, scale and start.

    y = x Wᵀ + b + s · B A drop(x),   A (r, I), B (O, r),   s = α/r or, with rsLoRA, α/√r

    The words and their defaults are those of PEFT 0.21.2, so that a configuration means the same
    here and there. How names are matched is in `minilora.adapters.matching`.

    Parameters
    ----------
    r
        Rank: ΔW = s B A has rank at most r, and r (I + O) entries are trained per layer.
    lora_alpha
        α in the scale s = α/r. The default, 8 = r, gives s = 1.
    lora_dropout
        Probability p that an entry of x is zeroed (and the others divided by 1 - p) on its way
        into A; the frozen path sees the whole x. Only inside `minilora.nn.training`.
    target_modules
        Layers to adapt. A list: names that a layer's path ends in (``"query"``,
        ``"attention.output.dense"``). A string: a regular expression for whole paths, or
        ``"all-linear"``: every Linear but the output head. None: query and value.
    exclude_modules
        Layers to leave alone even if they are targets: a list of names or a regular expression.
    modules_to_save
        Modules trained whole and saved with the adapter, such as ``["classifier"]``.
    rank_pattern, alpha_pattern
        r and α for some layers: regular expressions for the end of a path, first match wins.
    layers_to_transform
        Adapt only the layers with these numbers (``[10, 11]``: the last two of twelve).
    layers_pattern
        Name of the list these numbers count in (``"layer"``); default: the first list in a path.
    bias
        Biases b that are trained: ``"none"``, ``"all"`` of the model, or those of the adapted
        layers (``"lora_only"``).
    lora_bias
        Train a bias b_B of B as well: y = x Wᵀ + b + s (B A drop(x) + b_B).
    use_rslora
        s = α/√r, whose gradients do not shrink as r grows (Kalajdzievski 2023, arXiv:2312.03732).
    use_dora, fan_in_fan_out
        Known so that configurations can be read; True is refused.
    init_lora_weights
        True: A uniform in ±1/√I, B = 0. ``"gaussian"``: A normal with deviation 1/r, B = 0.
        False: A uniform in ±1/√I, B uniform in ±1/√r, so ΔW is not 0 at the start.

    Raises
    ------
    ConfigError
        When a value is out of its range, or two contradict each other.
    """

    r: int = 8
    lora_alpha: float = 8
    lora_dropout: float = 0.0
    target_modules: tuple[str, ...] | list[str] | str | None = None
    exclude_modules: tuple[str, ...] | list[str] | str | None = None
    modules_to_save: tuple[str, ...] | list[str] | None = None
    rank_pattern: Mapping[str, int] = field(default_factory=dict)
    alpha_pattern: Mapping[str, float] = field(default_factory=dict)
    layers_to_transform: tuple[int, ...] | list[int] | int | None = None
    layers_pattern: tuple[str, ...] | list[str] | str | None = None
    bias: Literal["none", "all", "lora_only"] = "none"
    lora_bias: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    init_lora_weights: bool | Literal["gaussian"] = True
    fan_in_fan_out: bool = False

    def __post_init__(self) -> None:
        for name in ("r", "lora_alpha", "lora_dropout", "rank_pattern", "alpha_pattern"):
            self._settle(name, _NUMBERS[name])
        for name in ("target_modules", "exclude_modules", "modules_to_save", "layers_pattern"):
            self._settle(name, _names)
        self._settle("layers_to_transform", _layer_numbers)
        for name in ("lora_bias", "use_rslora", "use_dora", "fan_in_fan_out"):
            self._settle(name, _flag)
        self._check_words()
        self._check_expressions()
        self._check_contradictions()

    def rank_of(self, path: str) -> int:
        """r of the layer at ``path``."""
        key = first_match(self.rank_pattern, path)
        return self.r if key is None else self.rank_pattern[key]

    def alpha_of(self, path: str) -> float:
        """α of the layer at ``path``."""
        key = first_match(self.alpha_pattern, path)
        return self.lora_alpha if key is None else self.alpha_pattern[key]

    def scaling_of(self, path: str) -> float:
        """s = α/r, or α/√r with rsLoRA, of the layer at ``path``."""
        r = self.rank_of(path)
        return self.alpha_of(path) / (math.sqrt(r) if self.use_rslora else r)

    def _settle(self, name: str, read: Callable[[str, Any], Any]) -> None:
        object.__setattr__(self, name, read(name, getattr(self, name)))

    def _check_words(self) -> None:
        if self.bias not in BIAS_MODES:
            hint = did_you_mean(str(self.bias), BIAS_MODES)
            raise ConfigError(f"LoraConfig: bias is {self.bias!r}, which is no mode.{hint}")
        if not (isinstance(self.init_lora_weights, bool) or self.init_lora_weights == "gaussian"):
            _refuse("init_lora_weights", self.init_lora_weights, "True, False or 'gaussian'")
        if self.use_dora:
            _refuse("use_dora", True, "False: the adapters here are LoRA's, without a magnitude")
        if self.fan_in_fan_out:
            _refuse("fan_in_fan_out", True, "False: weights are (out, in), as in every BERT")

    def _check_expressions(self) -> None:
        for name in ("target_modules", "exclude_modules"):
            if isinstance(value := getattr(self, name), str):
                _check_regex(name, value, value)
        for name in ("rank_pattern", "alpha_pattern"):
            for key in getattr(self, name):
                _check_regex(name, key, pattern_rule(key))
        for word in self.modules_to_save or ():
            _check_regex("modules_to_save", word, save_rule(word))
        for word in _listed(self.layers_pattern):
            _check_regex("layers_pattern", word, index_rule(word))

    def _check_contradictions(self) -> None:
        by_layer = self.layers_to_transform is not None or bool(self.layers_pattern)
        if isinstance(self.target_modules, str) and by_layer:
            kind = "'all-linear'" if is_all_linear(self) else "a regular expression"
            raise ConfigError(
                f"LoraConfig: target_modules is {kind}, which layers_to_transform and "
                "layers_pattern cannot narrow; list names in target_modules, or put the layer "
                r"numbers into an expression such as '.*\.layer\.(10|11)\..*\.query'."
            )
        if self.layers_pattern and self.layers_to_transform is None:
            raise ConfigError(
                f"LoraConfig: layers_pattern is {self.layers_pattern!r} without "
                "layers_to_transform; say which layers, such as layers_to_transform=[10, 11]."
            )
        if self.lora_bias and not isinstance(self.init_lora_weights, bool):
            raise ConfigError(
                f"LoraConfig: lora_bias with init_lora_weights={self.init_lora_weights!r}; "
                "a bias of B is started by init_lora_weights=True or False."
            )


def _refuse(name: str, value: object, expected: str) -> NoReturn:
    raise ConfigError(f"LoraConfig: {name} is {value!r}; expected {expected}.")


def _rank(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        _refuse(name, value, "a whole number of at least 1")
    return int(value)


def _alpha(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        _refuse(name, value, "a number")
    if not math.isfinite(value) or value == 0:
        _refuse(name, value, "a finite number other than 0, which would switch the adapter off")
    return int(value) if isinstance(value, numbers.Integral) else float(value)


def _probability(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 <= float(value) < 1:
        _refuse(name, value, "a probability p with 0 <= p < 1")
    return float(value)


def _by_pattern(read: Callable[[str, object], Number]) -> Callable[[str, Any], dict[str, Number]]:
    def patterns(name: str, value: Any) -> dict[str, Number]:
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            _refuse(name, value, "a dictionary from regular expressions to numbers")
        return {key: read(f"{name}[{key!r}]", number) for key, number in value.items()}

    return patterns


_NUMBERS: dict[str, Callable[[str, Any], Any]] = {
    "r": _rank,
    "lora_alpha": _alpha,
    "lora_dropout": _probability,
    "rank_pattern": _by_pattern(_rank),
    "alpha_pattern": _by_pattern(_alpha),
}


def _names(name: str, value: Any) -> tuple[str, ...] | str | None:
    """A tuple of distinct names; a set, which has no order, is sorted."""
    if value is None or (isinstance(value, str) and value and name != "modules_to_save"):
        return value
    if not isinstance(value, (list, tuple, set, frozenset)):
        _refuse(name, value, f"a list of names{'' if name == 'modules_to_save' else _OR_REGEX}")
    if not all(isinstance(word, str) and word for word in value):
        _refuse(name, value, "names that are strings and not empty")
    if name == "target_modules" and not value:
        _refuse(name, value, "at least one name; None means query and value")
    ordered: Iterable[str] = sorted(value) if isinstance(value, (set, frozenset)) else value
    return tuple(dict.fromkeys(ordered))


def _layer_numbers(name: str, value: Any) -> tuple[int, ...] | int | None:
    if value is None:
        return None
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(_layer_number(name, number) for number in value)
    return _layer_number(name, value)


def _layer_number(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 0:
        _refuse(name, value, "layer numbers, counted from 0")
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        _refuse(name, value, "True or False")
    return value


def _listed(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def _check_regex(name: str, written: str, rule: str) -> None:
    try:
        re.compile(rule)
    except re.error as error:
        raise ConfigError(
            f"LoraConfig: {name}: {written!r} is no regular expression ({error}); "
            r"write a literal dot as '\.' and a literal bracket as '\('."
        ) from None
