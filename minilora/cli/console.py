"""Where a command's words go: text for people, or one JSON object for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

STYLES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}


class Console:
    """Speaks to people on standard output; with ``as_json`` keeps still until `finish`.

    Notes (conversions, warnings, what was assumed) are printed at once and kept for the JSON
    object too, so that neither reader misses them. With ``notes_aside`` they go to standard error:
    for a command whose output is not a report but the thing itself.
    """

    def __init__(self, *, as_json: bool = False, notes_aside: bool = False) -> None:
        self.as_json, self.notes_aside = as_json, notes_aside
        self.notes: list[str] = []

    def say(self, *lines: str) -> None:
        """Print lines for people."""
        if not self.as_json:
            for line in lines:
                print(line, flush=True)

    def heading(self, text: str) -> None:
        """Print a blank line and a heading."""
        self.say("", paint(text, "bold"))

    def note(self, text: str) -> None:
        """Print something the reader should know, and keep it for the JSON object."""
        self.notes.append(text)
        stream = sys.stderr if self.notes_aside else sys.stdout
        if not self.as_json:
            print(f"{paint('note:', 'yellow', stream)} {text}", file=stream, flush=True)

    def finish(self, result: Mapping[str, Any]) -> None:
        """Print ``result`` as one JSON object, as the last line, if JSON was asked for."""
        if self.as_json:
            ascii_only = (sys.stdout.encoding or "ascii").lower().replace("-", "") != "utf8"
            print(json.dumps({**result, "notes": self.notes}, ensure_ascii=ascii_only), flush=True)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """Colour ``text``, but only for a terminal and unless ``NO_COLOR`` is set."""
    if not text or os.environ.get("NO_COLOR") or not (stream or sys.stdout).isatty():
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"
