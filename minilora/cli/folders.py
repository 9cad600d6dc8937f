"""Folders that commands write to."""

from __future__ import annotations

from pathlib import Path

from minilora.errors import OutputError


def new_folder(name: str) -> Path:
    """The folder to write to, which is not there yet, or empty.

    Raises
    ------
    OutputError
        It is in use, or has no name.
    """
    if not name:
        raise OutputError("--out: is empty; expected a new or empty folder; name one")
    folder = Path(name)
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder}: is a file; expected a new or empty folder; choose another")
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder}: is not empty; expected a new or empty folder; choose another")
    return folder
