"""BLAS with one thread, where more of them would only wait for each other."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
from collections.abc import Iterator
from typing import Any

import threadpoolctl


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Have BLAS use one thread inside; also a decorator. May be nested, and entered by threads.

    For work that is parallel in another way, and for decompositions, whose many small steps make
    threads wait: on two busy cores a QR of 4096 x 16 takes a hundred times as long with a second
    thread, an SVD of 384 x 384 seven times.
    """
    _limit.enter()
    try:
        yield
    finally:
        _limit.leave()


class _Limit:
    """One thread from the first to enter until the last to leave."""

    def __init__(self) -> None:
        self.lock, self.inside, self.limit = threading.Lock(), 0, contextlib.ExitStack()

    def enter(self) -> None:
        with self.lock:
            if self.inside == 0:
                _take_control()
                controller = _controller(with_scipys=not _SCIPYS.isdisjoint(sys.modules))
                self.limit.enter_context(controller.limit(limits=1, user_api="blas"))
            self.inside += 1

    def leave(self) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                _take_control()
                self.limit.close()  # as many threads as there were


_SCIPYS = {"scipy.linalg", "scipy.special"}  # either brings SciPy's own BLAS into the process
_limit = _Limit()


@functools.cache
def _controller(*, with_scipys: bool) -> Any:
    """The loaded BLAS libraries: a slow search, repeated once if SciPy's own came later."""
    return threadpoolctl.ThreadpoolController()


def _take_control() -> None:
    """Make this thread the one that threadpoolctl lets set OpenBLAS's threads.

    Otherwise that is the one that did so first, and the last to leave may be another.
    """
    threadpoolctl.OpenBLASController.clear_controlling_thread(force=True)
