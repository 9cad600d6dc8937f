"""How much of each segment fits."""

from __future__ import annotations


def fitted_lengths(lengths: list[int], room: int) -> list[int]:
    """How many pieces of one or two segments are kept so that no more than ``room`` remain.

    Of two segments the longer one is cut first, until both have the same length; then both, and the
    odd piece stays with the one that was longer (the second, if none was). This is ``tokenizers``'
    longest-first.
    """
    if sum(lengths) <= room:
        return lengths
    if len(lengths) == 1:
        return [room]
    first, second = lengths
    shorter = min(first, second, room // 2)
    return [shorter, room - shorter] if first <= second else [room - shorter, shorter]
