"""Everything minilora raises on purpose. Each error also is the builtin you would expect.

Messages read ``where: what came, with values; what was expected; what to do`` and fit on one line.
File errors start with the file and, where there is one, the line: ``train.conll:17: ...``.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MiniLoraError(Exception):
    """Base of every error raised on purpose."""


class ShapeError(MiniLoraError, ValueError):
    """Arrays whose shapes do not fit together."""


class GraphError(MiniLoraError, RuntimeError):
    """A graph that is not there (any more) to walk back, or that would leave a Tensor out."""


class TargetError(MiniLoraError, ValueError):
    """A layer name that matches nothing, or a layer that cannot be adapted."""


class ConfigError(MiniLoraError, ValueError):
    """A setting out of its range, or settings that contradict each other."""


class DataError(MiniLoraError, ValueError):
    """A data file that cannot be read as what it is said to be."""


class CheckpointError(MiniLoraError, ValueError):
    """A model, tokenizer or adapter folder that is missing, damaged or of another kind."""


class OutputError(MiniLoraError, OSError):
    """An output that cannot be written, or that would overwrite what a user has."""


class NumericError(MiniLoraError, ArithmeticError):
    """Numbers that a method cannot work with: NaN, infinity, or a spectrum of the wrong kind."""


class DivergenceError(MiniLoraError, ArithmeticError):
    """A loss that is no longer a number."""


class WorkerError(MiniLoraError, RuntimeError):
    """Other processes that were to do some work, and died."""


_LISTED = 30


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Return a hint such as ``" Did you mean 'query'? Choices: key, query, value."``.

    Of more choices than one line takes, as the modules of a model, the first are listed.
    """
    known = sorted(set(choices))
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    more = f" and {len(known) - _LISTED} more" if len(known) > _LISTED else ""
    return f"{hint} Choices: {', '.join(known[:_LISTED]) or 'none'}{more}."
