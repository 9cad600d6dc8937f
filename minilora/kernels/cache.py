"""Where compiled kernels are kept between processes.

Numba's cache looks at the file of the function alone and does not see a callee change in another
file. So each state of our sources, of Numba, of Python and of the processor has a folder of its
own, and nothing in it can be stale.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np

from minilora._types import DType

_FOLDER = re.compile(r"kernels-[0-9a-f]{16}")
_UNUSED_SECONDS = 24 * 3600  # another checkout, used in turns with this one, keeps its folder


@functools.cache
def cache_dir() -> Path:
    """Folder of the compiled kernels: ``kernels-<hash>`` in ``MINILORA_CACHE``.

    The default is ``minilora`` in ``XDG_CACHE_HOME`` (``~/.cache``); where nothing can be written,
    a temporary folder. A new folder replaces those of other versions that were unused for a day.
    """
    try:
        folder = _root() / f"kernels-{_key()}"
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # in use
        tempfile.TemporaryFile(dir=folder).close()
    except (OSError, RuntimeError):  # RuntimeError: no home folder
        return _temporary()
    if new:
        _remove_unused(folder)
    return folder


def cached(dtype: DType = np.float32) -> bool:
    """Whether all kernels are there, compiled for ``dtype``; if not, the next use compiles."""
    return _mark(dtype).exists()


def mark_cached(dtype: DType) -> None:
    """Note that all kernels are there for ``dtype``."""
    _mark(dtype).touch()


def _mark(dtype: DType) -> Path:
    return cache_dir() / f"{np.dtype(dtype).name}.complete"


def _root() -> Path:
    chosen = os.environ.get("MINILORA_CACHE")
    if chosen:
        return Path(chosen).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "minilora"


def _key() -> str:
    digest = hashlib.sha256()
    for part in (platform.python_version(), *_compiler()):
        digest.update(part.encode() + b"\0")
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def _compiler() -> tuple[str, ...]:
    try:
        import llvmlite.binding as llvm
    except ImportError:
        return ()  # the reference kernels need none
    cpu = llvm.get_host_cpu_name(), llvm.get_host_cpu_features().flatten()
    return (importlib.metadata.version("numba"), *cpu)


_kept_alive: list[tempfile.TemporaryDirectory[str]] = []


def _temporary() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="minilora-kernels-", ignore_cleanup_errors=True)
    _kept_alive.append(folder)  # removed when the process ends
    return Path(folder.name)


def _remove_unused(ours: Path) -> None:
    for folder in ours.parent.iterdir():
        if folder != ours and _FOLDER.fullmatch(folder.name) and _age(folder) > _UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:  # another process was quicker
        return 0.0
