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
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from minilora._types import DType

_FOLDER = re.compile(r"kernels-[0-9a-f]{16}")
_UNUSED_SECONDS = 24 * 3600  # another checkout, used in turns with this one, keeps its folder


def cache_dir() -> Path:
    """Folder of the compiled kernels: ``kernels-<hash>`` in ``MINILORA_CACHE``.

    The default is ``minilora`` in ``XDG_CACHE_HOME`` (``~/.cache``); where nothing can be written,
    a temporary folder. A new folder replaces those of other versions that were unused for a day.
    """
    return _place().folder


def trouble() -> str | None:
    """Why what is compiled is lost when the process ends, and what to do; None if it is kept."""
    return _place().trouble


def cached(dtype: DType = np.float32) -> bool:
    """Whether all kernels are there, compiled for ``dtype``; if not, the next use compiles."""
    return _mark(dtype).exists()


def mark_cached(dtype: DType) -> None:
    """Note that all kernels are there for ``dtype``."""
    _mark(dtype).touch()


@dataclass(frozen=True)
class _Place:
    folder: Path
    trouble: str | None = None


@functools.cache
def _place() -> _Place:
    try:
        root = _root()
    except RuntimeError:
        asked = os.environ.get("MINILORA_CACHE") or "~/.cache/minilora"
        return _temporary(
            f"there is no home folder for {asked}; set MINILORA_CACHE to a folder that can be "
            "written"
        )
    folder = root / f"kernels-{_key()}"
    try:
        new = not folder.exists()
        folder.mkdir(parents=True, exist_ok=True)
        os.utime(folder)  # in use
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        where = folder if os.path.isdir(folder) else root
        return _temporary(
            f"{where} cannot be written ({error.strerror or error}); make it writable, or set "
            "MINILORA_CACHE to a folder that is"
        )
    if new:
        _remove_unused(folder)
    return _Place(folder)


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


def _temporary(trouble: str) -> _Place:
    folder = tempfile.TemporaryDirectory(prefix="minilora-kernels-", ignore_cleanup_errors=True)
    _kept_alive.append(folder)  # removed when the process ends
    return _Place(Path(folder.name), trouble)


def _remove_unused(ours: Path) -> None:
    for folder in ours.parent.iterdir():
        if folder != ours and _FOLDER.fullmatch(folder.name) and _age(folder) > _UNUSED_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _age(folder: Path) -> float:
    try:
        return time.time() - folder.stat().st_mtime
    except OSError:  # another process was quicker
        return 0.0
