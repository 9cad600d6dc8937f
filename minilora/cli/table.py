"""Text tables: columns aligned, numbers to the right."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import TypeAlias

Cell: TypeAlias = "str | int | float | None"


def table(header: Sequence[str], rows: Sequence[Sequence[Cell]], *, digits: int = 4) -> list[str]:
    """Lay ``rows`` out under ``header``; return the lines.

    Whole numbers get thousands separators, other numbers ``digits`` decimals, None an empty cell.
    A column that holds numbers only is set to the right, its heading too; wide (East Asian)
    characters count as the two columns they take on a terminal.
    """
    texts = [[_text(cell, digits) for cell in row] for row in rows]
    widths = [max(map(display_width, column)) for column in zip(header, *texts, strict=True)]
    right = [all(not isinstance(c, str) for c in column) for column in zip(*rows, strict=True)]
    right = right or [False] * len(header)  # no rows: nothing says "number"

    def line(cells: Sequence[str]) -> str:
        padded = zip(cells, widths, right, strict=True)
        return "  ".join(pad(cell, width, right=r) for cell, width, r in padded).rstrip()

    return [line(header), "  ".join("─" * width for width in widths), *map(line, texts)]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """Fill ``text`` up to ``width`` terminal columns."""
    blanks = " " * (width - display_width(text))
    return blanks + text if right else text + blanks


def display_width(text: str) -> int:
    """Columns that ``text`` takes on a terminal."""
    return sum(_char_width(character) for character in text)


def _char_width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _text(cell: Cell, digits: int) -> str:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.{digits}f}"
