"""The folder of a run, of a training or a search: what was asked, and what came out.

======================================  ==========================================================
``run.json``                            settings, versions, data, results
``metrics.jsonl``                       a line for each step and each scoring
``trainer_state.safetensors``           what to resume from
``adapter_*`` or ``model.safetensors``  what was learned, written by `minilora.io` at the end
``report.png``                          the figure
``results.csv``, ``pareto.png``         of a search for a rank: its trials, and their figure
======================================  ==========================================================
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from minilora._types import Array
from minilora.errors import CheckpointError, OutputError
from minilora.files import read_json
from minilora.io import adapter_config, huggingface, peft
from minilora.io.model_card import CARD_FILE, has_own_card
from minilora.storage import (
    output_error,
    read_metadata,
    read_tensors,
    remove_leftovers,
    replacing,
    write_json,
    write_tensors,
)
from minilora.text.tokenizer_files import TOKENIZER_FILES

if sys.platform != "win32":
    import fcntl

RUN, METRICS, STATE = "run.json", "metrics.jsonl", "trainer_state.safetensors"
REPORT = "report.png"
RESULTS, CHART = "results.csv", "pareto.png"
OWN_FILES = (
    METRICS,
    STATE,
    REPORT,
    RESULTS,
    CHART,
    adapter_config.CONFIG_FILE,
    peft.WEIGHTS_FILE,
    huggingface.CONFIG_FILE,
    huggingface.WEIGHTS_FILE,
    *TOKENIZER_FILES,
)
"""What a run may write beside ``run.json`` and overwriting one removes; of cards, see `create`."""
PACKAGES = ("minilora", "numpy", "scipy", "numba", "safetensors")


class RunFolder:
    """A run's folder, held by this process alone until `close`; use it in a ``with``.

    Get one by `create` or `resume`.

    Attributes
    ----------
    path
        The folder.
    info
        What ``run.json`` holds.
    """

    def __init__(self, path: Path, lock: int | None, info: dict[str, Any]) -> None:
        self.path, self.info = path, info
        self._lock = lock

    @classmethod
    def create(cls, path: str | os.PathLike[str], *, overwrite: bool = False) -> Self:
        """Start a run in a new folder, or in one that holds nothing of the kind.

        Parameters
        ----------
        path
            The folder, made if need be.
        overwrite
            Take the place of the run that is there: its files are removed, and no others. A
            ``README.md`` goes if minilora wrote it and nobody added to it.

        Raises
        ------
        OutputError
            The folder holds a run and ``overwrite`` is False; or files that a run would replace and
            no run wrote; or another process is at work in it; or it cannot be written to.
        """
        if not os.fspath(path):
            raise OutputError("--out: is empty; expected a folder for the run; name one.")
        folder = Path(path)
        _check_free(folder, overwrite=overwrite)
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise output_error(folder, error) from error
        lock = _lock(folder)
        try:
            _check_free(folder, overwrite=overwrite)  # nobody else can change it from here on
            remove_leftovers(folder)
            _remove(folder, OWN_FILES)  # run.json stays until the new one takes its place
            if has_own_card(folder):
                _remove(folder, [CARD_FILE])
            run = cls(folder, lock, {})
            run.record(started=_now(), status="running", versions=versions())
        except BaseException:
            _unlock(lock)
            raise
        return run

    @classmethod
    def resume(cls, path: str | os.PathLike[str]) -> Self:
        """Go on with the run in ``path``: from its beginning, if no state was saved yet.

        Raises
        ------
        CheckpointError
            There is no run, or its ``run.json`` is damaged.
        OutputError
            Another process is at work in it.
        """
        folder = Path(path)
        if not (folder / RUN).is_file():
            raise CheckpointError(
                f"{folder}: holds no run to resume; expected a folder with {RUN}; "
                "check the path, or start a new run."
            )
        lock = _lock(folder)
        try:
            remove_leftovers(folder)
            if not (folder / STATE).exists():
                _remove(folder, [METRICS])  # its lines will come again
            return cls(folder, lock, read_json(folder / RUN, "the record of the run"))
        except BaseException:
            _unlock(lock)
            raise

    def record(self, **entries: Any) -> None:
        """Add ``entries`` to ``run.json``, or replace those of these names.

        Raises
        ------
        OutputError
            It cannot be written; then it is as before.
        """
        info = self.info | entries
        write_json(self.path / RUN, info)
        self.info = info

    def append_metrics(self, row: Mapping[str, Any]) -> None:
        """Add a line to ``metrics.jsonl``.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        path = self.path / METRICS
        try:
            with path.open("a", encoding="utf-8", newline="\n") as file:
                file.write(_line(row))
        except OSError as error:
            raise output_error(path, error) from error

    def write_metrics(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write ``metrics.jsonl`` anew: when resuming, the lines that lead up to the state.

        Raises
        ------
        OutputError
            It cannot be written; then it is as before.
        """
        with replacing(self.path / METRICS) as file:
            file.write("".join(_line(row) for row in rows).encode())

    def save_state(self, arrays: Mapping[str, Array], meta: Mapping[str, Any]) -> None:
        """Replace the state to resume from, in one step: there is always the old or the new one.

        Raises
        ------
        OutputError
            It cannot be written; then the one before is still there.
        """
        words = {"trainer_state": json.dumps(meta, allow_nan=False)}
        write_tensors(self.path / STATE, arrays, metadata=words)

    def load_state(self) -> tuple[dict[str, Array], dict[str, Any]] | None:
        """Read what `save_state` was given last; None if it never was.

        Raises
        ------
        CheckpointError
            The file is damaged, or something else.
        """
        path = self.path / STATE
        if not path.exists():
            return None
        arrays, words = read_tensors(path), read_metadata(path)
        try:
            meta = json.loads(words["trainer_state"])
        except (KeyError, json.JSONDecodeError) as error:
            raise CheckpointError(
                f"{path}: holds no trainer state; expected one that a run of minilora saved; "
                "start the run again."
            ) from error
        # Copies: where files are mapped into memory, Windows cannot replace them.
        return {name: array.copy() for name, array in arrays.items()}, meta

    def close(self) -> None:
        """Let other processes have the folder."""
        _unlock(self._lock)
        self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def versions() -> dict[str, str | None]:
    """Versions of what the numbers depend on; None for a package that is not installed."""
    found: dict[str, str | None] = {"python": platform.python_version()}
    for name in PACKAGES:
        found[name] = None
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _check_free(folder: Path, *, overwrite: bool) -> None:
    if (folder / RUN).exists():
        if not overwrite:
            raise OutputError(
                f"{folder}: holds a run already; expected a folder without one; choose another, "
                "go on with this run (minilora train --resume), or replace it (--overwrite)."
            )
    elif foreign := [name for name in OWN_FILES if (folder / name).exists()]:
        raise OutputError(
            f"{folder}: holds {', '.join(foreign)}, which no run wrote and this one would replace; "
            "choose another folder."
        )


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        try:
            (folder / name).unlink(missing_ok=True)
        except OSError as error:
            raise output_error(folder / name, error) from error


def _lock(folder: Path) -> int | None:
    """Keep other processes out until `_unlock`, or until this one ends in whatever way."""
    if sys.platform == "win32":
        return None  # nothing keeps two processes apart there
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise output_error(folder, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in {errno.EWOULDBLOCK, errno.EACCES}:
            os.close(descriptor)
            raise OutputError(
                f"{folder}: another process is training in it; wait for that one, or choose "
                "another folder."
            ) from error
        # else a file system without locks on folders, such as NFS: go on without
    return descriptor


def _unlock(descriptor: int | None) -> None:
    if descriptor is not None:
        os.close(descriptor)


def _line(row: Mapping[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
