"""The results of a search as one tidy CSV file, a row for each trial."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from minilora.analysis.select.trial import Candidate, Result, Trial
from minilora.errors import CheckpointError, ConfigError
from minilora.storage import output_error

COLUMNS = (
    *("r", "alpha", "targets", "sparsity", "ranks", "parameters"),
    *("epochs", "seed", "fold", "score", "seconds", "error"),
)
"""One row is a trial; names within ``targets`` and ``ranks`` are separated by blanks."""


class TrialLog:
    """Results that are on disk as soon as they are known, and there again after a crash.

    ``results`` holds those of the file. A last line that was only half written, when the machine
    or the process died, is cut off. Use one file for one objective: a trial in it is not run again.

    Raises
    ------
    CheckpointError
        The file holds something else; names the line.
    OutputError
        It cannot be read or written.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        try:
            whole = self._whole_lines()
        except OSError as error:
            raise output_error(self.path, error) from error
        self.results = {result.trial: result for result in self._parse(whole)}

    def append(self, result: Result) -> None:
        """Add a row, and see that it reaches the disk.

        Raises
        ------
        OutputError
            It cannot be written.
        """
        try:
            with self.path.open("ab") as file:
                file.write(_line(_row(result)))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise output_error(self.path, error) from error
        self.results[result.trial] = result

    def _whole_lines(self) -> bytes:
        """The file's content, which now ends in a whole line; with the header if it was empty."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as file:
            file.seek(0)
            content = file.read()
            header = _line(COLUMNS)
            whole = content[: content.rfind(b"\n") + 1]
            if header.startswith(content):
                whole = b""
            if len(whole) < len(content):
                file.truncate(len(whole))
            if not whole:
                file.write(header)
                whole = header
        return whole

    def _parse(self, content: bytes) -> list[Result]:
        header, *lines = content.decode("utf-8", errors="replace").split("\n")[:-1]
        if header != _line(COLUMNS).decode().rstrip("\n"):
            raise CheckpointError(
                f"{self.path}:1: the columns are {header!r}; expected the results of a search, "
                f"{','.join(COLUMNS)}; choose another folder, or the version that wrote it."
            )
        results = []
        rows = csv.DictReader(lines, COLUMNS)
        for row in rows:
            try:
                results.append(_result(row))
            except (ValueError, TypeError, AttributeError, ConfigError) as error:
                line = rows.line_num + 1  # the header's
                raise CheckpointError(
                    f"{self.path}:{line}: is no result of a trial ({error}); remove this line, "
                    "and the trial runs again."
                ) from None
        return results


def _row(result: Result) -> list[object]:
    trial, candidate = result.trial, result.trial.candidate
    return [
        candidate.r,
        candidate.alpha,
        " ".join(candidate.targets),
        candidate.sparsity,
        " ".join(f"{path}={r}" for path, r in candidate.ranks),
        candidate.n_parameters,
        trial.epochs,
        trial.seed,
        trial.fold,
        "" if result.score is None else repr(result.score),  # repr: comes back to the last bit
        f"{result.seconds:.3f}",
        result.error,
    ]


def _result(row: Mapping[str, str]) -> Result:
    ranks = (entry.rpartition("=") for entry in row["ranks"].split())
    candidate = Candidate(
        r=int(row["r"]),
        alpha=float(row["alpha"]),
        targets=tuple(row["targets"].split()),
        sparsity=float(row["sparsity"]),
        ranks=tuple((path, int(r)) for path, _, r in ranks),
        n_parameters=int(row["parameters"]),
    )
    trial = Trial(candidate, int(row["epochs"]), int(row["seed"]), int(row["fold"]))
    score = float(row["score"]) if row["score"] else None
    return Result(trial, score, float(row["seconds"]), row["error"])


def _line(cells: Iterable[object]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8")
