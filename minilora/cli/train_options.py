"""The options of ``minilora train``, and what a run records of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from minilora.adapters import METHODS, LoraConfig
from minilora.cli.parser import SUPPRESS, Parser, names, number, one_of, whole_number
from minilora.errors import ConfigError
from minilora.text import Task
from minilora.train import TrainSettings, thread_count
from minilora.train.optim import OPTIMIZERS
from minilora.train.schedule import SCHEDULES

LEARNING_RATES = {"lora": 1e-3, "full": 5e-5, "head": 5e-3, "bitfit": 1e-3}
"""What is taken without ``--lr``: few parameters bear, and need, longer steps than many."""

OF_LORA = ("r", "alpha", "dropout", "targets")
PATHS = ("base", "train", "dev", "test")
"""Options that may be spelled differently when a run is resumed: their content must be the same."""

EPILOG = f"""\
data files, by their ending:
  .conll .bio .txt     a word and its tag a line (tab or spaces; the last column is the tag),
                       an empty line after every sentence; BIO tags (IOB1 and BIOES are converted)
  .tsv .csv            a header with label and text, or label, text_a and text_b
  .jsonl               {{"words": [...], "tags": [...]}} or {{"text": ..., "label": ...}} a line

examples:
  minilora train --base minilm --task ner --train train.conll --dev dev.conll --out runs/ner
  minilora train --base minilm --task classify --train train.tsv --out runs/topics --epochs 5
  minilora train --base minilm --task ner --train train.conll --out runs/wide \\
      --r 16 --alpha 32 --targets all-linear --lr 5e-4
  minilora train --out runs/ner --resume        go on after a crash or Ctrl-C, to the same bits

learning rate by default: {", ".join(f"{rate:g} for {m}" for m, rate in LEARNING_RATES.items())}."""


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """What a run was told, defaults filled in: ``settings`` in its run.json."""

    base: str
    task: Task
    train: str
    dev: str | None = None
    test: str | None = None
    method: str = "lora"
    r: int = 8
    alpha: float = 16.0
    dropout: float = 0.1
    targets: list[str] = field(default_factory=lambda: ["query", "value"])
    epochs: int = TrainSettings.epochs
    batch_size: int = TrainSettings.batch_size
    accumulate: int = TrainSettings.accumulate
    lr: float
    optimizer: str = TrainSettings.optimizer
    weight_decay: float = TrainSettings.weight_decay
    schedule: str = TrainSettings.schedule
    warmup: float = TrainSettings.warmup_ratio
    clip: float = 1.0
    label_smoothing: float = TrainSettings.label_smoothing
    max_length: int | None = None
    patience: int | None = None
    seed: int = TrainSettings.seed
    threads: int

    def lora_config(self, modules_to_save: list[str]) -> LoraConfig | None:
        """How the layers are adapted; None for other methods."""
        if self.method != "lora":
            return None
        return LoraConfig(
            r=self.r,
            lora_alpha=self.alpha,
            lora_dropout=self.dropout,
            target_modules="all-linear" if self.targets == ["all-linear"] else self.targets,
            modules_to_save=modules_to_save,
        )

    def train_settings(self) -> TrainSettings:
        """How `minilora.train.fit` is to train."""
        return TrainSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            accumulate=self.accumulate,
            optimizer=self.optimizer,
            lr=self.lr,
            weight_decay=self.weight_decay,
            schedule=self.schedule,
            warmup_ratio=self.warmup,
            clip=self.clip or None,
            label_smoothing=self.label_smoothing,
            patience=self.patience,
            seed=self.seed,
            threads=self.threads,
        )

    def to_json(self) -> dict[str, Any]:
        """As a dictionary of what JSON can say."""
        return asdict(self)


def complete(given: Mapping[str, Any]) -> TrainOptions:
    """Fill in the defaults, those that depend on others or on the machine included.

    Raises
    ------
    ConfigError
        An option that is missing, or that the chosen method has no use for.
    """
    options = {name: value for name, value in given.items() if name in OPTIONS}
    missing = [flag(name) for name in ("base", "task", "train") if name not in options]
    if missing:
        raise ConfigError(
            f"minilora train: {', '.join(missing)} missing; every new run needs --base, --task, "
            "--train and --out; see minilora train --help"
        )
    method = options.get("method", "lora")
    idle = [flag(name) for name in OF_LORA if name in options and method != "lora"]
    if idle:
        raise ConfigError(
            f"{idle[0]}: is for --method lora, but the method is {method}; leave it out"
        )
    options.setdefault("lr", LEARNING_RATES[method])
    options["threads"] = thread_count(options.get("threads"))
    return TrainOptions(**options)


def complete_from_run(given: Mapping[str, Any], recorded: Mapping[str, Any]) -> TrainOptions:
    """Take everything from a run that is resumed; what is given must not differ from it.

    Raises
    ------
    ConfigError
        Naming every option that differs, with both values.
    """
    try:
        options = TrainOptions(**{**recorded, **{n: given[n] for n in PATHS if n in given}})
    except TypeError:
        raise ConfigError(
            "run.json: its settings are not those of this version of minilora; "
            "resume with the version that wrote it, or train anew into another folder"
        ) from None
    changed = [
        f"{flag(name)} was {recorded[name]!r}, is {given[name]!r}"
        for name in OPTIONS
        if name in given and name not in PATHS and given[name] != recorded[name]
    ]
    if changed:
        raise ConfigError(
            f"--resume: the run was started differently: {'; '.join(changed)}; "
            "leave these options out, or train anew into another folder"
        )
    return options


def flag(name: str) -> str:
    """``batch_size`` -> ``--batch-size``"""
    return f"--{name.replace('_', '-')}"


OPTIONS = {f.name: None if f.default is MISSING else f.default for f in fields(TrainOptions)}
"""Every option that decides what comes out, and its default."""


def make_parser() -> Parser:
    """Return the parser of ``minilora train``. What is not given is not in its result."""
    parser = Parser(
        "minilora train",
        description="Fine-tune a BERT-family model on labelled data, and test what came out.",
        epilog=EPILOG,
        argument_default=SUPPRESS,
    )
    _add_data(parser)
    _add_method(parser)
    _add_training(parser)
    _add_run(parser)
    return parser


def _add_data(parser: Parser) -> None:
    data = parser.add_argument_group("model and data")
    data.add_argument("--base", metavar="DIR", help="Hugging Face folder of the pretrained model")
    data.add_argument(
        "--task",
        type=one_of("ner", "classify"),
        metavar="{ner,classify}",
        help="entities in sentences, or one label a text (or pair of texts)",
    )
    data.add_argument("--train", metavar="FILE", help="what to learn from")
    data.add_argument(
        "--dev",
        metavar="FILE",
        help="what to choose the best epoch by (default: a tenth of --train, held out)",
    )
    data.add_argument("--test", metavar="FILE", help="what to score at the end, once")
    data.add_argument(
        "--max-length",
        type=whole_number,
        metavar="N",
        help="cut texts after N word pieces (default: as many as the base can take)",
    )


def _add_method(parser: Parser) -> None:
    method = parser.add_argument_group("what is trained")
    method.add_argument(
        "--method",
        type=one_of(*METHODS),
        metavar=f"{{{','.join(METHODS)}}}",
        help="low-rank adapters, everything, only the output head, or only biases and head "
        f"(default {OPTIONS['method']}; the head is always trained)",
    )
    method.add_argument("--r", type=whole_number, metavar="N", help=f"rank {_default('r')}")
    method.add_argument(
        "--alpha",
        type=number,
        metavar="X",
        help=f"the adapters' update is scaled by alpha / r {_default('alpha')}",
    )
    method.add_argument(
        "--dropout", type=number, metavar="P", help=f"on adapters' inputs {_default('dropout')}"
    )
    method.add_argument(
        "--targets",
        type=names,
        metavar="NAMES",
        help="layers to adapt, by the ends of their names, or all-linear (default query,value)",
    )


def _add_training(parser: Parser) -> None:
    training = parser.add_argument_group("how it is trained")

    def add(name: str, kind: Any, metavar: str, text: str) -> None:
        training.add_argument(flag(name), type=kind, metavar=metavar, help=text)

    add("epochs", whole_number, "N", f"passes over the training data {_default('epochs')}")
    add("batch_size", whole_number, "N", f"texts at a time {_default('batch_size')}")
    add("accumulate", whole_number, "N", f"batches a step {_default('accumulate')}")
    add("lr", number, "X", "highest learning rate (default: by method, see below)")
    add("optimizer", one_of(*OPTIMIZERS), _choices(OPTIMIZERS), _default("optimizer"))
    add("weight_decay", number, "X", f"not on biases and layer norms {_default('weight_decay')}")
    add("schedule", one_of(*SCHEDULES), _choices(SCHEDULES), f"of the rate {_default('schedule')}")
    add("warmup", number, "X", f"share of steps in which the rate rises {_default('warmup')}")
    add("clip", number, "X", f"largest norm of all gradients, 0 for no limit {_default('clip')}")
    add("label_smoothing", number, "X", _default("label_smoothing"))
    add("patience", whole_number, "N", "stop after N epochs without a better dev score")
    add("seed", whole_number, "N", f"of everything random {_default('seed')}")
    add("threads", whole_number, "N", "(default: MINILORA_THREADS, else all cores)")


def _add_run(parser: Parser) -> None:
    run = parser.add_argument_group("the run")
    run.add_argument("--out", metavar="DIR", help="new folder for the results")
    run.add_argument(
        "--resume", action="store_true", help="go on with the run in --out; needs no other option"
    )
    run.add_argument(
        "--overwrite", action="store_true", help="remove the run that is in --out, and start anew"
    )
    run.add_argument(
        "--checkpoint-every",
        type=whole_number,
        metavar="N",
        help="save what --resume needs every N steps, besides after every epoch "
        "(default 100; for --method full only after epochs)",
    )
    run.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def _default(name: str) -> str:
    value = OPTIONS[name]
    return f"(default {value:g})" if isinstance(value, float) else f"(default {value})"


def _choices(table: Mapping[str, Any]) -> str:
    return f"{{{','.join(table)}}}"
