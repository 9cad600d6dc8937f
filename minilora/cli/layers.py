"""How commands on adapters speak of layers and sizes."""

from __future__ import annotations

from collections.abc import Sequence


def short_paths(paths: Sequence[str]) -> list[str]:
    """Paths of layers without the names that all of them begin with.

    ``bert.encoder.layer.0.query`` and ``bert.encoder.layer.1.query`` -> ``0.query``, ``1.query``
    """
    parts = [path.split(".") for path in paths]
    shared = 0
    while all(len(p) > shared + 1 and p[shared] == parts[0][shared] for p in parts):
        shared += 1
    return [".".join(p[shared:]) for p in parts]


def natural(path: str) -> list[tuple[int, str]]:
    """Sort key that puts layer 10 after layer 9: files of tensors keep names by letter."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in path.split(".")]


def byte_count(n: int) -> str:
    """``byte_count(1_234_567)`` -> ``1.23 MB``"""
    size, unit = float(n), "bytes"
    for larger in ("kB", "MB", "GB"):
        if size < 999.5:
            break
        size, unit = size / 1000, larger
    return f"{n} bytes" if unit == "bytes" else f"{size:.3g} {unit}"
