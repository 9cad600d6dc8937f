"""The options of ``minilora train``, explained."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any

from minilora.adapters import METHODS
from minilora.cli.parser import BASES, SUPPRESS, Parser, names, number, one_of, whole_number
from minilora.cli.train_options import LEARNING_RATES, OPTIONS, flag
from minilora.io.base_model import TINY
from minilora.train.optim import OPTIMIZERS
from minilora.train.schedule import SCHEDULES

EPILOG = f"""\
data files, by their ending:
  for --task ner
  .conll .bio .iob .txt .tsv
                       a word and its tag a line (tab or spaces; the last column is the tag),
                       an empty line after every sentence; BIO tags (IOB1 and BIOES are converted)
  .jsonl               {{"words": [...], "tags": [...]}} a line
  for --task classify
  .tsv .csv            a header with label and text, or label, text_a and text_b
  .jsonl               {{"label": ..., "text": ...}}, or with text_a and text_b, a line

examples:
  minilora train --task ner --train train.conll --dev dev.conll --out runs/ner
  minilora train --task classify --train train.tsv --out runs/topics --epochs 5
  minilora train --base models/minilm --task ner --train train.conll --out runs/wide \\
      --r 16 --alpha 32 --targets all-linear --lr 1e-3
  minilora train --out runs/ner --resume        go on after a crash or Ctrl-C, to the same bits
  minilora train --out runs/ner --resume --finish     or stop there, with the best epoch so far

learning rate by default: {", ".join(f"{rate:g} for {m}" for m, rate in LEARNING_RATES.items())};
chosen for a base of width 384, wider ones want less."""


def make_parser() -> Parser:
    """Return the parser of ``minilora train``. What is not given is not in its result."""
    parser = Parser(
        "minilora train",
        usage="--task {ner,classify} --train FILE --out DIR [options]",
        description="Fine-tune a BERT-family model on labelled data, and test what came out.",
        epilog=EPILOG,
        argument_default=SUPPRESS,
    )
    _add_data(parser)
    _add_method(parser)
    add_training_options(parser)
    _add_run(parser)
    return parser


def _add_data(parser: Parser) -> None:
    data = parser.add_argument_group("model and data")
    data.add_argument("--base", metavar="NAME", help=f"{BASES} (default {TINY})")
    data.add_argument(
        "--task",
        type=one_of("ner", "classify"),
        metavar="{ner,classify}",
        help="find entities in sentences, or choose a label for a text or a pair",
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
    add = _adder(parser, "what is trained")
    text = "low-rank adapters, everything, only the output head, or only biases and the head"
    add("method", one_of(*METHODS), _choices(METHODS), text)
    add("r", whole_number, "N", "rank of the adapters")
    add("alpha", number, "X", "what adapters add is scaled by alpha / r")
    add("dropout", number, "P", "on adapters' inputs")
    text = "layers to adapt, by the ends of their names, or all-linear (default query,value)"
    add("targets", names, "NAMES", text)


def add_training_options(
    parser: Parser,
    *,
    without: Collection[str] = (),
    rate: str = "default: by method, see below",
) -> None:
    """Add the options of `TrainOptions` that say how a model is trained, but those ``without``.

    ``rate`` says what the learning rate is if none is given.
    """
    add = _adder(parser, "how it is trained", without)
    add("epochs", whole_number, "N", "passes over the training data")
    add("batch_size", whole_number, "N", "texts a step; memory does not grow with them")
    text = "word pieces a thread works on at a time, which bounds memory"
    add("chunk_tokens", whole_number, "N", text)
    add("lr", number, "X", f"highest learning rate ({rate})")
    add("optimizer", one_of(*OPTIMIZERS), _choices(OPTIMIZERS), "how a step follows from gradients")
    add("weight_decay", number, "X", "pull towards 0, not of biases and layer norms")
    add("schedule", one_of(*SCHEDULES), _choices(SCHEDULES), "how the learning rate falls")
    add("warmup", number, "X", "share of all steps in which it rises first")
    add("clip", number, "X", "largest norm of all gradients together, 0 for no limit")
    add("label_smoothing", number, "X", "share of the target that all labels get evenly")
    add("patience", whole_number, "N", "stop after N epochs without a better dev score")
    add("seed", whole_number, "N", "of everything that is random")
    add("threads", whole_number, "N", "cores to use (default: MINILORA_THREADS, else all)")


def _add_run(parser: Parser) -> None:
    run = parser.add_argument_group("the run")
    run.add_argument("--out", metavar="DIR", help="new folder for the results")
    run.add_argument(
        "--resume", action="store_true", help="go on with the run in --out; needs no other option"
    )
    run.add_argument(
        "--finish",
        action="store_true",
        help="with --resume: stop here; keep the best epoch so far, test it and write the files",
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


def _adder(
    parser: Parser, title: str, without: Collection[str] = ()
) -> Callable[[str, Callable[[str], Any], str, str], None]:
    """A function that adds options to a new group, their defaults to the help."""
    group = parser.add_argument_group(title)

    def add(name: str, kind: Callable[[str], Any], metavar: str, text: str) -> None:
        if name in without:
            return
        default = OPTIONS[name]
        said = f"{default:g}" if isinstance(default, float) else default
        shown = text if default is None else f"{text} (default {said})"
        group.add_argument(flag(name), type=kind, metavar=metavar, help=shown)

    return add


def _choices(known: Iterable[str]) -> str:
    return f"{{{','.join(known)}}}"
