"""The machine we run on: what it is, and getting its kernels ready."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import threadpoolctl

from minilora import kernels
from minilora._types import DType
from minilora.cli.console import paint
from minilora.train import thread_count
from minilora.train.allocator import keep_freed_memory
from minilora.train.parallel import cores

PACKAGES = ("numpy", "scipy", "numba", "matplotlib", "safetensors", "tqdm", "threadpoolctl")
_COMPILE_SECONDS = 15  # about, for a dtype, on a core that does nothing else


def ready_kernels(*dtypes: DType) -> None:
    """Compile or load the kernels for ``dtypes``, float32 if none is named.

    Say on standard error why it takes a while, if it does. And have malloc keep what a step frees,
    since the process is ours.
    """
    keep_freed_memory()
    wanted = dtypes or (np.float32,)
    if n_missing := sum(not kernels.cached(dtype) for dtype in wanted):
        seconds, trouble = f"about {_COMPILE_SECONDS * n_missing} s", kernels.cache_trouble()
        text = paint(f"compiling kernels, once per machine, {seconds}", "dim", sys.stderr)
        if trouble is not None:
            said = f"compiling kernels, {seconds} at every start, since {trouble}"
            text = paint(said, "yellow", sys.stderr)
        print(text, file=sys.stderr, flush=True)
    for dtype in wanted:
        kernels.warm_up(dtype)


def facts() -> dict[str, str]:
    """What there is, in words."""
    return {
        "minilora": version("minilora"),
        "python": f"{platform.python_version()} on {platform.system()} {platform.machine()}",
        "cpu": f"{_cpu_name()}, {cores()} cores for this process",
        "memory": _memory(),
        **{name: _version(name) for name in PACKAGES},
        "blas": "; ".join(_blas()) or "none that threadpoolctl knows",
        "kernels": _kernels(),
        "threads": _threads(),
    }


def peak_memory() -> int | None:
    """The most bytes of memory this process had at once, so far; None where nobody counts."""
    try:
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:  # not Linux
        pass
    if sys.platform == "win32":
        return None
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:  # not Linux
        pass
    return platform.processor() or platform.machine()


def _memory() -> str:
    try:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = os.sysconf("SC_PHYS_PAGES") * page, os.sysconf("SC_AVPHYS_PAGES") * page
    except (AttributeError, ValueError, OSError):  # Windows; macOS has no SC_AVPHYS_PAGES
        return "not known"
    return f"{total / 1e9:.1f} GB, {free / 1e9:.1f} GB free"


def _blas() -> Iterator[str]:
    for library in threadpoolctl.threadpool_info():
        if library["user_api"] == "blas":
            name = f"{library['internal_api']} {library['version']}"
            yield f"{name}, {library['num_threads']} threads (1 inside minilora)"


def _kernels() -> str:
    if kernels.active() != "numba":
        return "reference (NumPy): slow, but right"
    kept = "" if kernels.cache_trouble() is None else ", for this process only"
    return f"numba, in {kernels.cache_dir()}{kept}"


def _threads() -> str:
    asked = os.environ.get("MINILORA_THREADS")
    return f"{thread_count()} ({f'MINILORA_THREADS={asked}' if asked else 'one a core'})"
