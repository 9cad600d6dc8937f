"""The command `minilora`: choose the subcommand, and turn what goes wrong into one line.

Only the module of the chosen command is imported, so that help and mistakes answer at once.

Exit codes: 0 done, 1 a verdict that failed, 2 bad input, 130 stopped with Ctrl-C, 141 the reader of
our output went away.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from minilora.errors import ConfigError, MiniLoraError, did_you_mean

OK, FAILED, BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 0, 1, 2, 130, 141

COMMANDS = {
    "demo": "see LoRA at work in a minute, on what comes with minilora; nothing is downloaded",
    "train": "fine-tune a base model on labelled data: LoRA, full, head only or BitFit",
    "evaluate": "score a trained model on a labelled file",
    "predict": "label texts",
    "merge": "fold an adapter into its base: a plain Hugging Face folder",
    "inspect": "show what an adapter learned, layer by layer: which directions, how many of them",
    "resize": "cut an adapter to the rank it needs",
    "extract": "turn what a full fine-tuning changed into an adapter",
    "select-rank": "try ranks, targets and zeros, and recommend what is small and as good",
    "doctor": "check this machine and this installation",
}
"""Each command is the module of this name, with _ for -, beside this file."""

OVERVIEW = """\
usage: minilora COMMAND [options]

LoRA in NumPy: fine-tune BERT-family encoders on a CPU, in Hugging Face and PEFT formats.

commands:
{commands}

a first run:
  minilora demo
  minilora predict --adapter runs/demo-ner "Anna Vale works in Lund."

minilora COMMAND --help explains a command with examples; minilora --version says which this is."""


class Command(Protocol):
    """What the module of a command offers."""

    def run(self, words: Sequence[str]) -> int:
        """Do what ``words`` say; return the exit code."""


def main(words: Sequence[str] | None = None) -> int:
    """Run ``minilora`` with ``words`` (default: the command line's); return the exit code."""
    try:
        _escape_what_the_terminal_cannot_show()
        code = dispatch(sys.argv[1:] if words is None else list(words))
        sys.stdout.flush()  # here, where a reader that went away can still be handled
    except SystemExit as leaving:  # argparse, after --help
        return cast("int", leaving.code or OK)
    except MiniLoraError as error:
        return _report(str(error), BAD_INPUT)
    except BrokenPipeError:
        # What Python would flush on its way out has no reader either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:  # of a file nobody has said more about
        return _report(f"{error.filename or 'minilora'}: {error.strerror or error}", BAD_INPUT)
    except MemoryError as error:
        return _report(
            f"memory: {str(error) or 'no more of it'}; lower --batch-size or --max-length",
            BAD_INPUT,
        )
    except KeyboardInterrupt as interrupt:
        return _report(str(interrupt) or "interrupted", INTERRUPTED)
    return code


def dispatch(words: Sequence[str]) -> int:
    """Import the module of the command that ``words`` begin with, and run it."""
    name, *rest = words or ["--help"]
    if name in ("-h", "--help", "help"):
        print(OVERVIEW.format(commands="\n".join(f"  {n:11} {s}" for n, s in COMMANDS.items())))
        return OK
    if name == "--version":
        version = importlib.import_module("importlib.metadata").version("minilora")
        print(f"minilora {version}")
        return OK
    if name not in COMMANDS:
        raise ConfigError(f"minilora: no command {name!r}.{did_you_mean(name, COMMANDS)}")
    module = name.replace("-", "_")
    command = cast("Command", importlib.import_module(f"minilora.cli.{module}"))
    return command.run(rest)


def _report(line: str, code: int) -> int:
    print(" ".join(line.splitlines()), file=sys.stderr)
    return code


def _escape_what_the_terminal_cannot_show() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
