"""``minilora demo``: what LoRA makes of the shipped encoder, on shipped data, offline."""

from __future__ import annotations

import functools
import shlex
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minilora.cli.console import Console
from minilora.cli.demo_recipes import RECIPES, Recipe
from minilora.cli.demo_texts import Case, Prediction, draw, make_cases
from minilora.cli.job import Job
from minilora.cli.layers import byte_count
from minilora.cli.machine import peak_memory, ready_kernels
from minilora.cli.outcome import Outcome
from minilora.cli.parser import BASES, SUPPRESS, Parser, one_of, whole_number
from minilora.cli.scores import MAIN_SCORE, headline
from minilora.cli.table import Cell, table
from minilora.cli.trained import run_record
from minilora.cli.training import train
from minilora.io.base_model import TINY
from minilora.io.run import REPORT, RUN, RunFolder
from minilora.train import evaluate, predict

N_RIGHT, N_WRONG = 3, 2
"""Test texts that are shown: such as are right after training, and such as still are not."""
_DEFAULT = "ner"
_OF_TRAINING = ("base", "epochs", "seed", "threads")
_SPLITS = ("train", "dev", "test")

EPILOG = """\
examples:
  minilora demo                     names in English sentences; nothing is downloaded
  minilora demo --task intents      what a customer wants
  minilora demo --task finance      good and bad news for a company

The adapter is in runs/demo-ner then, a folder as minilora train leaves it. A demo takes the place
of one before it; no other run is replaced without --overwrite."""


@dataclass(frozen=True)
class Look:
    """What a model makes of the test data."""

    scores: dict[str, Any]
    predictions: Sequence[Prediction]

    @classmethod
    def at(cls, job: Job) -> Look:
        """Score the model as it is now."""
        test, threads = job.data["test"], job.options.threads
        return cls(
            evaluate(job.model, test, threads=threads), predict(job.model, test, threads=threads)
        )


def run(words: Sequence[str]) -> int:
    """Show, train, and show again, as ``words`` say."""
    started = time.perf_counter()
    given = vars(_parser().parse(words))
    name = given.get("task", _DEFAULT)
    recipe, console = RECIPES[name], Console(as_json="json" in given)
    out = Path(given.get("out", f"runs/demo-{name}"))
    options = recipe.options({n: given[n] for n in _OF_TRAINING if n in given})
    console.say(*_introduction(recipe, options.base))
    job = Job.prepare(options, console)
    replaces = _is_demo(out)
    with RunFolder.create(out, overwrite="overwrite" in given or replaces) as folder:
        if replaces:
            console.note(f"the demo that was in {out} is replaced")
        folder.record(demo=name, **job.to_json())
        console.heading("before training")
        ready_kernels()
        before = Look.at(job)
        console.say(f"test {headline(before.scores)}: the output head is random")
        train(job, folder, functools.partial(_finish, before=before, started=started))
    return 0


def _parser() -> Parser:
    choices = ",".join(RECIPES)
    parser = Parser(
        "minilora demo",
        usage=f"[--task {{{choices}}}] [options]",
        description="See LoRA turn a small general encoder into a model for a task, in a minute.",
        epilog=EPILOG,
        argument_default=SUPPRESS,
    )
    for option, kind, metavar, text in (
        ("task", one_of(*RECIPES), f"{{{choices}}}", f"what to learn (default {_DEFAULT})"),
        ("out", str, "DIR", "folder for the results (default runs/demo-TASK)"),
        ("base", str, "NAME", f"{BASES} (default {TINY})"),
        ("epochs", whole_number, "N", "passes over the training data"),
        ("seed", whole_number, "N", "of everything that is random (default 0)"),
        ("threads", whole_number, "N", "cores to use (default: MINILORA_THREADS, else all)"),
    ):
        parser.add_argument(f"--{option}", type=kind, metavar=metavar, help=text)
    text = "remove the run that is in --out, even if no demo made it"
    parser.add_argument("--overwrite", action="store_true", help=text)
    text = "print one JSON object instead of tables"
    parser.add_argument("--json", action="store_true", help=text)
    return parser


def _introduction(recipe: Recipe, base: str) -> list[str]:
    who = f"{base}, a small English encoder that comes with minilora," if base == TINY else base
    return [
        f"minilora demo: {recipe.goal}",
        "",
        f"{who} was not made for this.",
        "It gets an output head with random weights, and LoRA adapters beside its own weights,",
        "which stay as they are. Only the head and the adapters are trained; what the model says",
        "of the test data is taken down before and after.",
    ]


def _is_demo(out: Path) -> bool:
    return (out / RUN).is_file() and "demo" in run_record(out)


def _finish(outcome: Outcome, *, before: Look, started: float) -> None:
    job, console = outcome.job, outcome.job.console
    after = Look.at(job)
    outcome.test = after.scores
    cases = make_cases(job.splits.corpora["test"], before.predictions, after.predictions)
    shown = draw(cases, n_right=N_RIGHT, n_wrong=N_WRONG, seed=job.options.seed)
    outcome.save()
    results = outcome.folder.info["results"]
    cost = {"seconds_in_all": time.perf_counter() - started, "peak_memory": peak_memory()}
    console.heading("test, before and after training")
    console.say(*_score_lines(job.options.task, before.scores, after.scores))
    console.say("", _cost_line(results, cost))
    _say_texts(job, cases, shown)
    console.heading("saved")
    console.say(f"adapter  {outcome.folder.path}", f"figure   {outcome.folder.path / REPORT}")
    console.heading("next")
    console.say(*_next_commands(outcome))
    console.finish(
        {
            **results,
            "command": "demo",
            "demo": outcome.folder.info["demo"],
            "before": before.scores,
            **cost,
            "texts": [case.to_json() for case in shown],
        }
    )


def _score_lines(task: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    kind = "types" if task == "ner" else "classes"
    rows: list[list[Cell]] = [
        [name, before[kind][name]["f1"], of["f1"], of["support"]]
        for name, of in after[kind].items()
    ]
    score, score_name = MAIN_SCORE[task]
    n = sum(of["support"] for of in after[kind].values())
    name = "all" if task == "ner" else score_name
    rows.append([name, before[score], after[score], n])
    return table(["F1", "before", "after", "in test"], rows)


def _cost_line(results: Mapping[str, Any], cost: Mapping[str, Any]) -> str:
    trained, total = results["parameters"]["trained"], results["parameters"]["total"]
    memory = cost["peak_memory"]
    return (
        f"{trained:,} of {total:,} parameters trained ({trained / total:.2%}), in "
        f"{results['seconds']:.1f} s; {cost['seconds_in_all']:.1f} s in all"
        + (f", at most {byte_count(memory)} of memory" if memory else "")
    )


def _say_texts(job: Job, cases: Sequence[Case], shown: Sequence[Case]) -> None:
    noun = "sentences with names" if job.options.task == "ner" else "texts"
    right = [case.right for case in cases if case.true]  # nothing to find is found by any model
    job.console.heading(f"wholly right: {sum(right):,} of {len(right):,} test {noun}")
    for i, case in enumerate(shown):
        job.console.say(*([""] if i else []), *case.lines(job.model.label_names))


def _next_commands(outcome: Outcome) -> list[str]:
    options, out = outcome.job.options, shlex.quote(str(outcome.folder.path))
    base, example = shlex.quote(options.base), RECIPES[outcome.folder.info["demo"]].example
    named = "" if options.base == TINY else f"--base {base} "
    files = " ".join(f"--{n} {shlex.quote(str(getattr(options, n)))}" for n in _SPLITS)
    return [
        f"minilora predict {named}--adapter {out} {shlex.quote(example)}",
        f"minilora inspect {out} --base {base}",
        f"minilora train {named}--task {options.task} {files} --r 2 --out runs/r2",
    ]
