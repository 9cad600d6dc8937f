"""argparse, in our manner: every mistake is one line that says what would have been right."""

from __future__ import annotations

import argparse
import difflib
import shutil
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

from minilora.errors import ConfigError, did_you_mean

T = TypeVar("T")
SUPPRESS = argparse.SUPPRESS
BASES = "tiny (comes with minilora), a Hugging Face folder, or org/model on the Hub"
"""What ``--base`` may be (see `minilora.io.base_folder`)."""


WANTED = ("--adapter", "--train", "--tuned", "--task")
"""What a word without an option was probably meant for, where a command has it."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ours and whose help keeps its line breaks."""

    def __init__(
        self,
        prog: str,
        *,
        usage: str,
        description: str,
        epilog: str,
        argument_default: str | None = None,
    ) -> None:
        super().__init__(
            prog=prog,
            usage=f"{prog} {usage}",
            description=description,
            epilog=epilog,
            argument_default=argument_default,
            formatter_class=_formatter,
            allow_abbrev=False,  # --e must not become --epochs today and --export tomorrow
        )

    def parse(self, words: Sequence[str]) -> argparse.Namespace:
        """Parse ``words``; options and texts may come in any order.

        Raises
        ------
        ConfigError
            On the first word that does not fit.
        """
        options, unknown = self.parse_known_intermixed_args(words)
        if unknown and not unknown[0].startswith("-"):
            where = next((o for o in WANTED if o in self._option_string_actions), None)
            hint = f"did you mean {where} {unknown[0]}? " if where else ""
            raise ConfigError(f"{unknown[0]}: is one word too many; {hint}see {self.prog} --help")
        if unknown:
            name = unknown[0].split("=")[0]
            near = difflib.get_close_matches(name, self._option_string_actions, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            bare = [action.dest for action in self._get_positional_actions()]
            if name.removeprefix("--") in bare:
                hint = "give the folder alone; "
            raise ConfigError(f"{name}: no such option; {hint}see {self.prog} --help")
        return options

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        where, separator, what = message.removeprefix("argument ").partition(": ")
        if not message.startswith("argument "):
            where, separator, what = self.prog, ": ", message
        raise ConfigError(f"{where}{separator}{what.rstrip('.')}; see {self.prog} --help")


def whole_number(text: str) -> int:
    """Option type: an integer. Its range is checked by the settings it goes into."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a whole number; expected one such as 8"
        ) from None


def number(text: str) -> float:
    """Option type: a float. Its range is checked by the settings it goes into."""
    try:
        return float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number; expected one such as 0.1 or 5e-4"
        ) from None


def one_of(*choices: str) -> Callable[[str], str]:
    """Option type: one of ``choices``, with a suggestion for a near miss."""

    def choice(text: str) -> str:
        if text not in choices:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a choice.{did_you_mean(text, choices)}"
            )
        return text

    return choice


def names(text: str) -> list[str]:
    """Option type: names separated by commas."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise argparse.ArgumentTypeError(
            f"{text!r} has an empty name; expected names separated by commas, such as a,b"
        )
    return found


def list_of(kind: Callable[[str], T]) -> Callable[[str], list[T]]:
    """Option type: what ``kind`` takes, several of it, separated by commas."""
    return lambda text: [kind(part) for part in names(text)]


def _formatter(prog: str) -> argparse.HelpFormatter:
    width = min(shutil.get_terminal_size().columns - 2, 100)
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=26, width=width)
