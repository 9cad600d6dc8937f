"""Options that say how much of a spectrum to keep: one for each rule of the analysis."""

from __future__ import annotations

import argparse

from minilora.analysis import RULES, RankRule
from minilora.cli.parser import Parser, number, one_of, whole_number
from minilora.errors import ConfigError

_NUMBERS = {
    "rank": "N",
    "energy": "SHARE",
    "nuclear": "SHARE",
    "error": "BOUND",
    "stable_rank": "TIMES",
    "effective_rank": "TIMES",
    "threshold": "SIGMA",
    "hard_threshold": "NOISE",
    "sv_ratio": "RATIO",
    "sv_fro": "SHARE",
    "sv_cumulative": "SHARE",
}
"""What the help calls the number of each rule."""


def add_rank_options(parser: Parser, *, weighting: str) -> None:
    """Add the options that `rank_rule` understands, ``--max-rank`` and ``--weighting``."""
    rules = parser.add_argument_group("how much to keep: one of")
    for rule, (_, meaning) in RULES.items():
        rules.add_argument(
            _option(rule),
            type=whole_number if rule == "rank" else number,
            metavar=_NUMBERS[rule],
            help=meaning.replace("%", "%%"),
        )
    parser.add_argument(
        "--max-rank", type=whole_number, metavar="N", help="no layer keeps more than this"
    )
    parser.add_argument(
        "--weighting",
        type=one_of("left", "both", "right"),
        default=weighting,
        metavar="{left,both,right}",
        help=f"factor that carries the singular values: B, the root each, or A ({weighting})",
    )


def rank_rule(options: argparse.Namespace) -> RankRule:
    """The rule that ``options`` name.

    Raises
    ------
    ConfigError
        None or several are named.
    """
    named = {rule: value for rule in RULES if (value := getattr(options, rule)) is not None}
    if len(named) != 1:
        got = " and ".join(map(_option, named)) or "none"
        raise ConfigError(
            f"how much to keep: got {got}; expected one rule, such as --rank 4 or --energy 0.99"
        )
    ((rule, value),) = named.items()
    return RankRule(rule, value)


def rule_words(rule: RankRule) -> str:
    """``--energy 0.99``"""
    return f"{_option(rule.name)} {rule.value:g}"


def _option(rule: str) -> str:
    return f"--{rule.replace('_', '-')}"
