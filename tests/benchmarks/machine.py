"""What the figures depend on besides the code: the machine, and who else is using it."""

from __future__ import annotations

import datetime
import os
import platform
from pathlib import Path
from typing import Any

LIBRARY_SETTINGS = (
    "OPENBLAS_",
    "OMP_",
    "GOMP_",
    "MKL_",
    "NUMBA_",
    "MALLOC_",
    "MINILORA_",
    "TORCH_",
)


def describe() -> dict[str, Any]:
    """Processor, system, date, load, and the environment variables that libraries listen to."""
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(),
        "cores": cores(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load_average": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
        "environment": {
            name: value for name, value in os.environ.items() if name.startswith(LIBRARY_SETTINGS)
        },
    }


def cores() -> int:
    """How many cores we may run on."""
    if hasattr(os, "sched_getaffinity"):  # Linux: those a container or taskset leaves us
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpu_model() -> str:
    """The processor's name."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def busy_seconds() -> float:
    """CPU seconds that all processes together have used since the machine started (Linux, else 0).

    Time stolen by other guests of the same host counts as busy: it disturbs just as much.
    """
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    ticks = [int(field) for field in stat.read_text().split("\n", 1)[0].split()[1:9]]
    idle = ticks[3] + ticks[4]  # user nice system IDLE IOWAIT irq softirq steal
    return float((sum(ticks) - idle) / os.sysconf("SC_CLK_TCK"))
