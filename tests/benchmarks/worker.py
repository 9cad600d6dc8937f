"""A long-lived process that answers one JSON line per request, and its parent's handle on it.

Each library runs in a process of its own, since thread pools disturb each other: an OpenMP or
OpenBLAS worker thread spins for milliseconds after its last job, waiting for the next one.
``Worker.wait_until_idle`` reads the other process's CPU clock and returns once it stands still, so
nobody is timed while the other side still burns a core.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

Reply = dict[str, Any]
HERE = Path(__file__).parent


class WorkerError(RuntimeError):
    """The other process failed; the message is its traceback."""


# ------------------------------------------------------------------ in the child


def serve(requests: dict[str, Callable[..., Reply]]) -> None:
    """Answer ``{"do": name, **arguments}`` lines on standard input until it closes."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever a library prints goes to standard error, not between the answers
    for line in sys.stdin:
        request = json.loads(line)
        try:
            reply = requests[request.pop("do")](**request)
        except Exception:
            reply = {"error": traceback.format_exc()}
        answers.write(json.dumps(reply) + "\n")
        answers.flush()


def timed(step: Callable[[], float]) -> Reply:
    """Run one step: its loss, wall seconds, CPU seconds of all threads, and minor page faults."""
    faults, cpu, start = minor_faults(), time.process_time(), time.perf_counter()
    loss = step()
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    faults = minor_faults() - faults
    return {"loss": loss, "seconds": seconds, "cpu_seconds": cpu, "faults": faults}


def minor_faults() -> int:
    """Pages that this process has been given so far (0 where the system does not count them)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt if resource else 0


def memory() -> Reply:
    """Resident memory now and at its highest, in bytes; None where /proc does not tell.

    ``ru_maxrss`` would not do: a child inherits its parent's at fork.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return {"rss": None, "peak": None}
    fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
    rss, peak = (int(fields[name].split()[0]) * 1024 for name in ("VmRSS", "VmHWM"))
    return {"rss": rss, "peak": peak}


# ------------------------------------------------------------------ in the parent


class Worker:
    """One side of the comparison. Use as a context manager: leaving ends the process."""

    def __init__(self, script: str, *, env: dict[str, str] | None = None) -> None:
        self.script = script
        self.process = subprocess.Popen(
            [sys.executable, str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )

    def ask(self, do: str, **arguments: Any) -> Reply:
        """Send a request and wait for its answer."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
            self.process.stdin.flush()
            answer = self.process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise WorkerError(f"{self.script} ended with exit code {self.process.wait()}")
        reply: Reply = json.loads(answer)
        if "error" in reply:
            raise WorkerError(f"{self.script}: {reply['error']}")
        return reply

    def cpu_seconds(self) -> float:
        """CPU time of all its threads so far (Linux: a process has a clock, named by its id)."""
        process_clock = (~self.process.pid << 3) | 2
        return time.clock_gettime(process_clock)

    def wait_until_idle(self, *, still: float = 0.01, at_most: float = 1.0) -> float:
        """Return when the process has used no CPU for ``still`` seconds: the seconds waited."""
        start = time.perf_counter()
        if not sys.platform.startswith("linux"):
            time.sleep(0.1)
            return 0.1
        burnt = self.cpu_seconds()
        while time.perf_counter() - start < at_most:
            time.sleep(still)
            before, burnt = burnt, self.cpu_seconds()
            if burnt - before < still / 100:
                break
        return time.perf_counter() - start

    def close(self) -> None:
        """End the process by closing its input."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with contextlib.suppress(BrokenPipeError):  # it may have ended by itself
            self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()
