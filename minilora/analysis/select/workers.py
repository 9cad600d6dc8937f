"""Worker processes of this machine, each with one thread."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.connection import Connection
from types import TracebackType


def local_workers(n: int | None = None) -> ProcessPoolExecutor:
    """Start ``n`` processes (default: one a core) that run one trial each, on one thread.

    They end with this process, however it ends; and, as a context manager that is left by an
    exception such as Ctrl-C, in the middle of their trials. They are spawned, not forked, so that
    no thread's lock is copied while it is held: a script that uses them does so under
    ``if __name__ == "__main__":``.
    """
    return _Workers(n)


class _Workers(ProcessPoolExecutor):
    def __init__(self, n: int | None) -> None:
        context = multiprocessing.get_context("spawn")
        end, self._lifeline = context.Pipe(duplex=False)
        super().__init__(n, mp_context=context, initializer=_start, initargs=(end,))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.shutdown(wait=kind is None, cancel_futures=kind is not None)
        self._lifeline.close()


def _start(lifeline: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it as well, and cuts the line
    os.environ["MINILORA_THREADS"] = "1"
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    """Wait until nobody holds the other end, then end at once: a killed parent says no goodbye."""
    lifeline.poll(None)
    os._exit(1)
