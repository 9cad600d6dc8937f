"""Files to bytes, text and JSON objects, or one line that says why not."""

from __future__ import annotations

import contextlib
import difflib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

from minilora.errors import CheckpointError, MiniLoraError, did_you_mean


def read_bytes(path: Path, what: str, *, error: type[MiniLoraError]) -> bytes:
    """The content of a file; ``error`` when there is none to be had.

    ``what`` says in errors what was wanted, such as ``"the model's config"``.
    """
    with opened(path, what, error=error) as file:
        return file.read()


@contextlib.contextmanager
def opened(path: Path, what: str, *, error: type[MiniLoraError]) -> Iterator[BinaryIO]:
    """A file to read bytes from; ``error`` when it cannot be opened, or read on."""
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        hint = _similar(path)
        raise error(f"{path}: there is no such file; {what} was expected.{hint}") from None
    except IsADirectoryError:
        raise error(f"{path}: is a folder; {what} was expected.") from None
    except OSError as problem:
        reason = problem.strerror or problem
        raise error(f"{path}: cannot be read ({reason}); {what} was expected.") from None


def decode_lines(
    lines: Iterable[bytes], path: Path, *, error: type[MiniLoraError]
) -> Iterator[str]:
    """As `decode`, line by line, for a file that need not be held whole."""
    offset = 0
    for n, raw in enumerate(lines, start=1):
        yield decode(raw, path, error=error, line=n, offset=offset)
        offset += len(raw)


def decode(
    raw: bytes, path: Path, *, error: type[MiniLoraError], line: int = 1, offset: int = 0
) -> str:
    """The text that ``raw`` holds as UTF-8, without a byte-order mark; ``error`` if it is not.

    ``line`` and ``offset`` say where in the file ``raw`` starts.
    """
    if offset == 0 and raw[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        raise error(f"{path}: starts like UTF-16; UTF-8 was expected. Save the file as UTF-8.")
    try:
        text = raw.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as problem:
        at = problem.start + (len(raw) - len(problem.object))  # the mark is not counted
        line += raw.count(b"\n", 0, at)
        raise error(
            f"{path}:{line}: byte 0x{raw[at]:02x} at offset {offset + at:,} is not UTF-8, which "
            "was expected. Save the file as UTF-8, for example by iconv -f latin1 -t utf-8."
        ) from None
    if "\0" in text:
        line += text.count("\n", 0, text.index("\0"))
        raise error(
            f"{path}:{line}: holds a NUL byte, so this is not a text file; UTF-8 text was expected."
        )
    return text


def read_json(
    path: Path, what: str, *, error: type[MiniLoraError] = CheckpointError
) -> dict[str, Any]:
    """The JSON object in a file; ``error`` when the file is missing or holds anything else.

    ``what`` says in errors what was wanted, such as ``"the model's config"``.
    """
    text = decode(read_bytes(path, what, error=error), path, error=error)
    try:
        content = json.loads(text)
    except json.JSONDecodeError as problem:
        raise error(
            f"{path}:{problem.lineno}: {what} is not JSON: {problem.msg} at column "
            f"{problem.colno}; correct that line, or copy the file again: is it complete?"
        ) from None
    except (RecursionError, ValueError) as problem:  # nested, or a number long, beyond reason
        raise error(
            f"{path}: {what} cannot be read as JSON: {problem}; copy the file again."
        ) from None
    if not isinstance(content, dict):
        raise error(
            f"{path}: {what} holds a JSON {type(content).__name__}; an object {{...}} was "
            "expected; copy the file again."
        )
    return content


def _similar(path: Path) -> str:
    try:
        siblings = [sibling.name for sibling in path.parent.iterdir()]
    except OSError:
        return f" The folder {path.parent} does not exist either."
    near = difflib.get_close_matches(path.name, siblings)
    return did_you_mean(path.name, near) if near else " Check the path."
