"""The numbers a README claims."""

import re
from pathlib import Path


def first_table(readme: Path) -> dict[str, dict[str, str]]:
    """{first cell of the row: {column: cell}}"""
    lines = readme.read_text(encoding="utf-8").splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("|"))
    end = next(i for i in range(start, len(lines)) if not lines[i].startswith("|"))
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[start:end]]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


def claimed(readme: str, pattern: str) -> list[int]:
    """The numbers that stand where the pattern of one of its sentences has groups."""
    return [int(number) for number in re.search(pattern, readme).groups()]
