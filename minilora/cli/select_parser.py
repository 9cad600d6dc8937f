"""The options of ``minilora select-rank``, explained."""

from __future__ import annotations

from minilora.cli.parser import (
    BASES,
    SUPPRESS,
    Parser,
    list_of,
    names,
    number,
    one_of,
    whole_number,
)
from minilora.cli.select_options import METHODS
from minilora.cli.train_options import LEARNING_RATES
from minilora.cli.train_parser import add_training_options
from minilora.io.base_model import TINY

EPILOG = """\
methods:
  sweep      every rank in full; the smallest within one standard error of the best is recommended
  halving    all ranks briefly, the better half twice as long, and so on: half of a sweep's
             epochs for 16 ranks and 8 epochs, as many or more for few; it says how many first
  genetic    breed combinations of rank, targets and zeros from the better ones
  spectrum   the ranks that the singular values of a trained --adapter suggest; without --train
             this is all that is done, and takes a second
  allocate   ranks for each layer under a --budget of parameters, by what matters in a trained
             --adapter, beside one rank for all

examples:
  minilora select-rank --task ner --train train.conll --dev dev.conll --out runs/rank
  minilora select-rank --base models/minilm --task classify --train train.tsv --folds 5 \\
      --out runs/rank --method halving --ranks 1,2,4,8,16,32
  minilora select-rank --method spectrum --adapter runs/ner
  minilora select-rank --task ner --train train.conll --out runs/rank \\
      --method allocate --adapter runs/ner-r16 --budget 40000
  minilora select-rank --out runs/rank --resume              go on after a crash or Ctrl-C
  minilora select-rank --out runs/rank --resume --seeds 5    only what is new is trained"""


def make_parser() -> Parser:
    """Return the parser of ``minilora select-rank``. What is not given is not in its result."""
    parser = Parser(
        "minilora select-rank",
        usage="--task {ner,classify} --train FILE --out DIR [options]",
        description="Find the rank to train with: try candidates, and recommend one.",
        epilog=EPILOG,
        argument_default=SUPPRESS,
    )
    _add_data(parser)
    _add_candidates(parser)
    _add_trials(parser)
    rate = f"default {LEARNING_RATES['lora']:g}"
    add_training_options(parser, without=("patience", "threads"), rate=rate)
    _add_run(parser)
    return parser


def _add_data(parser: Parser) -> None:
    add = parser.add_argument_group("model and data").add_argument
    add("--base", metavar="NAME", help=f"{BASES} (default {TINY})")
    add(
        "--task",
        type=one_of("ner", "classify"),
        metavar="{ner,classify}",
        help="find entities in sentences, or choose a label for a text or a pair",
    )
    add("--train", metavar="FILE", help="what to learn from")
    add("--dev", metavar="FILE", help="what to score on (default: a tenth of --train, held out)")
    add("--folds", type=whole_number, metavar="K", help="instead: cross-validate on --train")
    add(
        "--max-length",
        type=whole_number,
        metavar="N",
        help="cut texts after N word pieces (default: as many as the base can take)",
    )


def _add_candidates(parser: Parser) -> None:
    add = parser.add_argument_group("candidates").add_argument
    add(
        "--method",
        type=one_of(*METHODS),
        metavar=f"{{{','.join(METHODS)}}}",
        help="how to search, see below (default sweep)",
    )
    add("--ranks", type=list_of(whole_number), metavar="N,N,...", help="(default 1,2,4,8,16)")
    add(
        "--targets",
        type=names,
        metavar="NAMES",
        help="layers to adapt, by the ends of their names, or all-linear (default query,value); "
        "for genetic those to choose from (default query,key,value,dense), for spectrum and "
        "allocate those of --adapter to look at",
    )
    add(
        "--sparsities",
        type=list_of(number),
        metavar="X,X,...",
        help="shares of the trained adapter to set to zero (default 0; for genetic 0,0.25,0.5)",
    )
    add("--alpha", type=number, metavar="X", help="for every rank (default 16)")
    add("--dropout", type=number, metavar="P", help="on adapters' inputs (default 0.1)")
    add("--budget", type=whole_number, metavar="N", help="no candidate has more parameters")
    add("--adapter", metavar="DIR", help="trained adapter or full fine-tuning, for its spectra")
    add("--population", type=whole_number, metavar="N", help="of a generation (default 8)")
    add("--generations", type=whole_number, metavar="N", help="at most (default 5)")


def _add_trials(parser: Parser) -> None:
    add = parser.add_argument_group("trials").add_argument
    add("--seeds", type=whole_number, metavar="N", help="trainings of a candidate (default 3)")
    add("--workers", type=whole_number, metavar="N", help="processes (default: one a core)")
    add(
        "--max-epochs",
        type=whole_number,
        metavar="N",
        help="begin nothing that takes more epochs in all",
    )


def _add_run(parser: Parser) -> None:
    add = parser.add_argument_group("the search").add_argument
    add("--out", metavar="DIR", help="new folder for the results")
    add("--resume", action="store_true", help="go on with the search in --out")
    add("--overwrite", action="store_true", help="remove what is in --out, and start anew")
    add("--json", action="store_true", help="print one JSON object instead of tables")
