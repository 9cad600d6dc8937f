"""Random bits by counting: a function of seed and place, so that no dropout mask is ever stored."""

from __future__ import annotations

import math

import numpy as np

from minilora._types import Array


def splitmix64(start: Array | np.uint64, counter: Array | np.uint64) -> Array | np.uint64:
    """Output number ``counter`` of the stream that begins at ``start``: 64 even, independent bits.

    Arithmetic is modulo 2⁶⁴. The jitted kernels compile this very function.

    Steele, Lea, Flood 2014, doi:10.1145/2660193.2660195, figure 17.
    """
    z = start + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def stream(seed: int) -> np.uint64:
    """Where the stream of a seed begins: hashed, so that neighbouring seeds are far apart."""
    with np.errstate(over="ignore"):
        return np.uint64(splitmix64(np.uint64(seed % 2**64), np.uint64(0)))


def threshold(p: float) -> np.uint64:
    """What the upper 32 bits must reach for an entry to be kept, which p of all do not."""
    return np.uint64(math.ceil(p * 2**32))


def kept_scale(p: float) -> float:
    """1 / (1 − p), by which kept entries grow; p = 1 gives zeros, as torch does."""
    return 1 / (1 - p) if p < 1 else 0.0
