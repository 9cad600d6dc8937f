"""What a run leaves behind: files, a figure, and what to do with them."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minilora.cli.job import Job
from minilora.cli.layers import byte_count
from minilora.cli.scores import MAIN_SCORE, headline
from minilora.cli.table import table
from minilora.cli.train_options import TrainOptions
from minilora.io import save_adapter, save_pretrained
from minilora.io.base_model import TINY
from minilora.io.run import REPORT, RunFolder
from minilora.nn import count_parameters
from minilora.storage import replacing
from minilora.train import History

FILES = {
    "adapter_model.safetensors": "the adapter and the output head, as PEFT saves them",
    "adapter_config.json": "how it changes its base, as PEFT saves it",
    "model.safetensors": "the whole model, as transformers saves it",
    "config.json": "its sizes and label names",
    "report.png": "the figure",
    "run.json": "every setting, version and result",
    "metrics.jsonl": "a line for each step and each epoch",
    "trainer_state.safetensors": "what --resume needs; may be deleted now",
}


@dataclass
class Outcome:
    """The end of a run; ``test`` is what `minilora.train.evaluate` said, if there is test data."""

    job: Job
    history: History
    folder: RunFolder
    test: dict[str, Any] | None = None

    def save(self) -> None:
        """Write the model, the figure and the results, in this order.

        Raises
        ------
        OutputError
            A file cannot be written; ``--resume`` then does this again.
        """
        path, options = self.folder.path, self.job.options
        if options.method == "lora":
            save_adapter(self.job.model, path, base_model_name_or_path=options.base)
        else:
            for name in ("config.json", "model.safetensors"):
                (path / name).unlink(missing_ok=True)  # of an attempt that was interrupted
            save_pretrained(self.job.model, path, max_length=self.job.options.max_length)
        with replacing(path / REPORT) as file:
            file.write(self._draw())
        self.folder.record(status="finished", results=self.to_json())

    def to_json(self) -> dict[str, Any]:
        """The object that ``--json`` prints, and run.json keeps."""
        best, options = self.history.best, self.job.options
        assert best is not None
        score, _ = MAIN_SCORE[options.task]
        return {
            "command": "train",
            "out": str(self.folder.path),
            "task": options.task,
            "method": options.method,
            "labels": list(self.job.splits.labels),
            "parameters": self.folder.info["parameters"],
            "settings": options.to_json(),
            "epochs": [
                {
                    "epoch": round(record.epoch),
                    "train_loss": record.loss,
                    "dev_loss": record.dev["loss"],
                    f"dev_{score}": record.dev[score],
                    "seconds": record.seconds,
                }
                for record in self.history.epochs
                if record.dev is not None
            ],
            "epochs_done": round(self.history.epochs[-1].epoch),
            "ended_by": self._ended_by(),
            "best_epoch": round(best.epoch),
            "dev": best.dev,
            "test": self.test,
            "seconds": self.history.epochs[-1].seconds,
        }

    def file_lines(self) -> list[str]:
        """A table for people: the files, their sizes and what they are."""
        paths = [self.folder.path / name for name in FILES if (self.folder.path / name).exists()]
        rows = [[p.name, f"{byte_count(p.stat().st_size):>8}", FILES[p.name]] for p in paths]
        return table(["file", "size", ""], rows)[2:]

    def next_commands(self) -> list[str]:
        """Commands to copy."""
        options, out = self.job.options, shlex.quote(str(self.folder.path))
        named = options.method == "lora" and options.base != TINY
        model = f"{f'--base {shlex.quote(options.base)} ' if named else ''}--adapter {out}"
        example = "Anna Vale works in Lund." if options.task == "ner" else "some text of your own"
        data = shlex.quote(options.test or options.dev or options.train)
        lines = [
            f'minilora predict {model} "{example}"',
            f"minilora evaluate {model} --data {data}",
        ]
        if options.method == "lora":
            lines.append(f"minilora merge {model} --out {out}-merged")
        return lines

    def _ended_by(self) -> str:
        """Which option ended the run: ``epochs``, ``patience`` or ``finish``."""
        if len(self.history.steps) >= self.job.n_steps:
            return "epochs"
        patience = self.job.options.patience
        return "finish" if patience is None or self.history.stale < patience else "patience"

    def _draw(self) -> bytes:
        # Not above: matplotlib takes half a second, which --help and mistakes need not wait for.
        from minilora.analysis.plots import TrainingRun, training_report

        options, best = self.job.options, self.history.best
        assert best is not None
        trained, total = count_parameters(self.job.model)
        shown = self.test or best.dev
        assert shown is not None
        score, score_name = MAIN_SCORE[options.task]
        confusion = shown.get("confusion")
        split = "test" if self.test else "dev"
        steps = self.history.steps
        run = TrainingRun(
            title=_title(options),
            facts=(
                f"{trained:,} of {total:,} parameters trained ({trained / total:.2%}) · "
                f"batch {options.batch_size}, learning rate {options.lr:g}, seed {options.seed} · "
                f"{split}: {headline(shown)}"
            ),
            losses=[step.loss for step in steps],
            rates=[step.lr for step in steps],
            dev_scores=[r.dev[score] for r in self.history.epochs if r.dev is not None],
            score_name=score_name,
            best_epoch=round(best.epoch),
            split=split,
            classes=shown.get("types") or shown.get("classes") or {},
            confusion=None if confusion is None else np.array(confusion),
        )
        return training_report(run)


def _title(options: TrainOptions) -> str:
    method = {
        "lora": f"LoRA (r {options.r}, alpha {options.alpha:g})",
        "full": "Full fine-tuning",
        "head": "Training the head only",
        "bitfit": "BitFit",
    }[options.method]
    base, train = Path(options.base).absolute(), Path(options.train).absolute()
    return f"{method} of {base.name} on {train.parent.name}/{train.name}"
