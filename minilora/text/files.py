"""Bytes on disk to text, or one line that says why not."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Any

from minilora.errors import MiniLoraError, did_you_mean


def read_bytes(path: Path, *, error: type[MiniLoraError]) -> bytes:
    """The content of a file; ``error`` when there is none to be had."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise error(f"{path}: there is no such file.{_similar(path)}") from None
    except IsADirectoryError:
        raise error(f"{path}: is a folder; a file was expected.") from None
    except OSError as problem:
        raise error(f"{path}: cannot be read: {problem.strerror}.") from None


def decode(raw: bytes, path: Path, *, error: type[MiniLoraError]) -> str:
    """The text that ``raw`` holds as UTF-8, without a byte-order mark; ``error`` if it is not."""
    if raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise error(f"{path}: starts like UTF-16; UTF-8 was expected. Save the file as UTF-8.")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        at = problem.start + (len(raw) - len(problem.object))  # the mark is not counted
        line = raw.count(b"\n", 0, at) + 1
        raise error(
            f"{path}:{line}: byte 0x{raw[at]:02x} at offset {at:,} is not UTF-8, which was "
            "expected. Save the file as UTF-8, for example by iconv -f latin1 -t utf-8."
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise error(
            f"{path}:{line}: holds a NUL byte, so this is not a text file; UTF-8 text was expected."
        )
    return text


def read_json(path: Path, *, error: type[MiniLoraError]) -> dict[str, Any]:
    """The JSON object in a file; ``error`` when it holds anything else."""
    try:
        content = json.loads(decode(read_bytes(path, error=error), path, error=error))
    except json.JSONDecodeError as problem:
        raise error(
            f"{path}:{problem.lineno}: is not JSON ({problem.msg}, column {problem.colno}); a JSON "
            "object was expected. Is the file complete?"
        ) from None
    except RecursionError:
        raise error(
            f"{path}: is nested too deeply to be read; a JSON object was expected."
        ) from None
    if not isinstance(content, dict):
        raise error(f"{path}: holds a JSON {type(content).__name__}; an object was expected.")
    return content


def _similar(path: Path) -> str:
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, siblings)
    return did_you_mean(path.name, near) if near else ""
