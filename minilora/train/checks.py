"""Checks of single settings, with one way to say what is wrong."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from typing import Any

from minilora.errors import ConfigError, did_you_mean


def check_whole(where: str, name: str, value: Any, *, least: int) -> None:
    """Raise ConfigError unless ``value`` is a whole number of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < least:
        raise ConfigError(
            f"{where}: {name} is {value!r}; expected a whole number of at least {least}."
        )


def check_range(
    where: str, name: str, value: Any, *, below: float = math.inf, zero: bool = True
) -> None:
    """Raise ConfigError unless 0 <= ``value`` < ``below`` (0 < ``value`` if not ``zero``)."""
    is_number = isinstance(value, numbers.Real) and not isinstance(value, bool)
    if not is_number or not 0 <= value < below or (value == 0 and not zero):
        low = "0 <=" if zero else "0 <"
        raise ConfigError(f"{where}: {name} is {value!r}; expected {low} {name} < {below}.")


def check_known(where: str, name: str, value: Any, known: Iterable[str]) -> None:
    """Raise ConfigError unless ``value`` is one of ``known``."""
    if value not in known:
        raise ConfigError(
            f"{where}: {name} is {value!r}, which is not known.{did_you_mean(str(value), known)}"
        )


def check_betas(where: str, betas: Any) -> None:
    """Raise ConfigError unless ``betas`` are two numbers, each 0 <= β < 1."""
    if not isinstance(betas, (tuple, list)) or len(betas) != 2:
        raise ConfigError(f"{where}: betas is {betas!r}; expected two numbers, as (0.9, 0.999).")
    for i, beta in enumerate(betas):
        check_range(where, f"betas[{i}]", beta, below=1)
