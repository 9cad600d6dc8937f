"""The end of a search: a table, the candidate to take, files, and what to do next."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilora.analysis.select import Recommendation, Search, Summary, recommend, summarise
from minilora.analysis.select.summary import by_score
from minilora.cli.layers import byte_count
from minilora.cli.scores import MAIN_SCORE
from minilora.cli.select_options import RECIPE, SelectOptions
from minilora.cli.table import Cell, table
from minilora.cli.train_options import LEARNING_RATES, OPTIONS, flag
from minilora.io.run import CHART, RESULTS, RunFolder
from minilora.storage import replacing

_SHOWN = 30  # candidates in the table
FILES = {
    RESULTS: "every trial, a row each",
    CHART: "score against parameters",
    "run.json": "every setting, and the recommendation",
}


@dataclass(frozen=True)
class SearchOutcome:
    """What came of a search."""

    options: SelectOptions
    search: Search
    summaries: list[Summary]
    recommendation: Recommendation

    @classmethod
    def of(cls, options: SelectOptions, search: Search) -> SearchOutcome:
        """Choose.

        Raises
        ------
        NumericError
            Every trial failed.
        """
        summaries = summarise(search.results)
        _, name = MAIN_SCORE[options.recipe.task]
        return cls(options, search, summaries, recommend(summaries, score_name=name))

    def lines(self) -> list[str]:
        """A table for people, best first; what was dropped early comes last."""
        _, name = MAIN_SCORE[self.options.recipe.task]
        rows: list[list[Cell]] = [
            [
                str(summary.candidate),
                summary.candidate.n_parameters,
                summary.epochs,
                len(summary.scores),
                summary.mean if summary.scores else None,
                summary.sd,
                self._remark(summary),
            ]
            for summary in _in_order(self.summaries)[:_SHOWN]
        ]
        header = ["candidate", "parameters", "epochs", "trials", f"dev {name}", "± sd", ""]
        more = len(self.summaries) - _SHOWN
        return [*table(header, rows), *([f"and {more} more, in {RESULTS}"] if more > 0 else [])]

    def save(self, folder: RunFolder) -> None:
        """Draw the chart and record the results.

        Raises
        ------
        OutputError
            A file cannot be written.
        """
        from minilora.analysis.plots import pareto_chart  # here: only this needs matplotlib

        _, name = MAIN_SCORE[self.options.recipe.task]
        chart = pareto_chart(
            self.summaries,
            self.recommendation,
            title=self._title(),
            facts=self.recommendation.reason,
            score_name=name,
        )
        with replacing(folder.path / CHART) as file:
            file.write(chart)
        folder.record(status="finished", results=self.to_json(folder.path))

    def to_json(self, out: Path) -> dict[str, Any]:
        """The object that ``--json`` prints, and run.json keeps."""
        score, _ = MAIN_SCORE[self.options.recipe.task]
        return {
            "command": "select-rank",
            "out": str(out),
            "task": self.options.recipe.task,
            "method": self.options.method,
            "score": score,
            "candidates": [_summary_json(summary) for summary in self.summaries],
            "recommended": _summary_json(self.recommendation.chosen),
            "best": _summary_json(self.recommendation.best),
            "reason": self.recommendation.reason,
            "epochs": self.search.epochs,
            "finished": self.search.finished,
        }

    def file_lines(self, out: Path) -> list[str]:
        """A table for people: the files, their sizes and what they are."""
        rows = [
            [name, byte_count((out / name).stat().st_size), text] for name, text in FILES.items()
        ]
        return table(["file", "size", ""], rows)[2:]

    def next_lines(self) -> list[str]:
        """How to have what is recommended."""
        candidate, recipe = self.recommendation.chosen.candidate, self.options.recipe
        if candidate.ranks:
            return [
                "minilora.LoraConfig takes what run.json holds in results, recommended: "
                "target_modules, rank_pattern and lora_alpha"
            ]
        words = ["minilora", "train", "--base", recipe.base, "--task", recipe.task]
        words += ["--train", recipe.train, *(["--dev", recipe.dev] if recipe.dev else [])]
        words += ["--r", str(candidate.r), "--alpha", f"{candidate.alpha:g}"]
        words += ["--targets", ",".join(candidate.targets)]
        defaults = {**OPTIONS, "lr": LEARNING_RATES["lora"]}
        for name in ("epochs", *RECIPE):
            value = getattr(recipe, name)
            if value != defaults[name]:
                words += [flag(name), str(value)]
        lines = [shlex.join([*words, "--out", "runs/best"])]
        if candidate.sparsity:
            lines.append(
                f"then minilora.analysis.select.sparsify(update, {candidate.sparsity:g}) for each "
                "update of minilora.io.read_updates, and minilora.io.write_updates"
            )
        return lines

    def _remark(self, summary: Summary) -> str:
        remarks = []
        if summary is self.recommendation.chosen:
            remarks.append("recommended")
        if summary is self.recommendation.best:
            remarks.append("best")
        if summary.errors:
            remarks.append(f"{len(summary.errors)} failed")
        return ", ".join(remarks)

    def _title(self) -> str:
        recipe = self.options.recipe
        base, train = Path(recipe.base).resolve(), Path(recipe.train).resolve()
        return f"LoRA of {base.name} on {train.parent.name}/{train.name}: {self.options.method}"


def _in_order(summaries: list[Summary]) -> list[Summary]:
    return sorted(by_score(summaries), key=lambda summary: -summary.epochs)


def _summary_json(summary: Summary) -> dict[str, Any]:
    candidate = summary.candidate
    return {
        "name": str(candidate),
        "r": candidate.r,
        "lora_alpha": candidate.alpha,
        "target_modules": candidate.config().target_modules,
        "rank_pattern": dict(candidate.ranks),
        "sparsity": candidate.sparsity,
        "parameters": candidate.n_parameters,
        "epochs": summary.epochs,
        "mean": summary.mean if summary.scores else None,
        "sd": summary.sd,
        "scores": list(summary.scores),
        "errors": list(summary.errors),
    }
