"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from minilora.errors import OutputError

_LEFTOVERS = ".*.minilora-tmp"

_ADVICE = {
    errno.ENOSPC: "free some space or choose another disk",
    errno.EDQUOT: "free some of your quota or choose another disk",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f) or choose another disk",
    errno.EISDIR: "remove that directory or choose another name",
    errno.ENOTDIR: "a file is where a folder should be; choose another folder",
    errno.EEXIST: "a file is where a folder should be; choose another folder",
    errno.ENAMETOOLONG: "choose a shorter name",
}
_CHOOSE_ANOTHER = "choose a folder you may write to"


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Write a file that appears at ``path`` only when the block has ended well.

    The block writes to a temporary file in the same folder (made if need be), which then reaches
    the disk and takes the place of ``path`` in one step. When anything fails, ``path`` is what it
    was before and the temporary file is gone.

    Raises
    ------
    OutputError
        When the disk is full, the folder read-only, a directory in the way, ...
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.minilora-tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # O_EXCL and mode 0o666: ours alone, with the permissions the user's umask gives.
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(descriptor)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(path.parent)
    except OSError as error:
        raise output_error(path, error) from error


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a process that was killed while it wrote into ``folder``.

    Only for a folder that nobody else is writing to now.
    """
    for temporary in folder.glob(_LEFTOVERS):
        with contextlib.suppress(OSError):  # litter that cannot be removed does no harm
            temporary.unlink()


def output_error(path: Path, error: OSError) -> OutputError:
    """Say that ``path`` cannot be written, why, and what to do."""
    reason = error.strerror or str(error)
    advice = _ADVICE.get(error.errno or 0, _CHOOSE_ANOTHER)
    return OutputError(f"{path}: cannot be written: {reason}; {advice}.")


def _sync_directory(folder: Path) -> None:
    """Make the new name durable, where directories can be synced at all."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
