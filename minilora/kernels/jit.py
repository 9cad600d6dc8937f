"""How loops are compiled: serially, without the GIL, and into a cache that cannot go stale.

No kernel is compiled with fastmath. Where a sum may be reordered, or a product and a sum rounded
at once, the code says so itself: `minilora.kernels.sums`, `minilora.kernels.elementary.fma`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

from minilora.kernels import cache

P = ParamSpec("P")
R = TypeVar("R")

_OPTIONS = {
    "nogil": True,  # threads split the batch
    "error_model": "numpy",  # division by zero gives inf: a check would stop vectorisation
}
_config_lock = threading.Lock()


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile as a part of the loops that call it."""
    compiled: Callable[P, R] = numba.njit(**_OPTIONS)(function)
    return compiled


def reordering(function: Callable[P, R]) -> Callable[P, R]:
    """Compile like `inner`, with leave to add up in any order: without it no sum is vectorised.

    NaN, infinity and signed zero keep their meaning.
    """
    compiled: Callable[P, R] = numba.njit(fastmath={"reassoc", "contract"}, **_OPTIONS)(function)
    return compiled


def kernel(loop: Callable[P, R]) -> Callable[P, R]:
    """Compile on first use for each dtype, or load what an earlier process compiled.

    Numba looks for its cache folder when it decorates; other users of Numba keep theirs.
    """
    with _config_lock:
        before = numba.config.CACHE_DIR
        numba.config.CACHE_DIR = str(cache.cache_dir())
        try:
            compiled: Callable[P, R] = numba.njit(cache=True, **_OPTIONS)(loop)
        finally:
            numba.config.CACHE_DIR = before
    return compiled
