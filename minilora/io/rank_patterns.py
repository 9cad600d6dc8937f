"""A config that says the ranks and scales that updates have: PEFT's rank_pattern, alpha_pattern."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace

from minilora.adapters import LoraConfig, LowRankUpdate
from minilora.adapters.config import Number
from minilora.adapters.matching import first_match


def fit_config(config: LoraConfig, updates: Iterable[LowRankUpdate]) -> LoraConfig:
    """``config`` with the rank of every update, and the α that gives it the scale it has.

    r and lora_alpha become the most frequent ones; layers with others are listed in rank_pattern
    and alpha_pattern.
    """
    updates = list(updates)
    ranks = {u.path: u.rank for u in updates}
    alphas = {u.path: _alpha(u, rslora=config.use_rslora) for u in updates}
    r, alpha = _most_frequent(ranks), _most_frequent(alphas)
    return replace(
        config,
        r=r,
        lora_alpha=alpha,
        rank_pattern=_pattern(ranks, apart_from=r),
        alpha_pattern=_pattern(alphas, apart_from=alpha),
    )


def _alpha(update: LowRankUpdate, *, rslora: bool) -> float:
    """α = s r, or s √r with rsLoRA, without the noise of division: 16, not 15.999999999999998."""
    divisor = math.sqrt(update.rank) if rslora else update.rank
    exact = update.scale * divisor
    short = float(f"{exact:.12g}")
    alpha = min(short, exact, key=lambda a: abs(a / divisor - update.scale))
    return int(alpha) if alpha.is_integer() else alpha


def _most_frequent(values: Mapping[str, Number]) -> Number:
    return Counter(values.values()).most_common(1)[0][0]


def _pattern(values: Mapping[str, Number], *, apart_from: Number) -> dict[str, Number]:
    """Regular expressions that give each path its value and match no other path.

    The path itself, as PEFT writes it, unless it would match another path too: its dots match any
    letter, and it need only be the end of one.
    """
    return {
        path if _matches_one(path, values) else f"^{re.escape(path)}": value
        for path, value in values.items()
        if value != apart_from
    }


def _matches_one(key: str, paths: Iterable[str]) -> bool:
    return sum(first_match([key], path) is not None for path in paths) == 1
