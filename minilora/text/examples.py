"""From named fields, of a table or of a JSON object, to an Example."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from minilora.errors import DataError, did_you_mean
from minilora.text.corpus import Example


def fields_to_read(names: Collection[str], subject: str, *, labelled: bool) -> list[str]:
    """Of ``names``, ``label`` if ``labelled``, and ``text``, or ``text_a`` and ``text_b``.

    Raises
    ------
    DataError
        One of them is missing from ``names``.
    """
    pair = "text" not in names and not {"text_a", "text_b"}.isdisjoint(names)
    wanted = [*(["label"] if labelled else []), *(["text_a", "text_b"] if pair else ["text"])]
    for name in wanted:
        if name not in names:
            raise DataError(
                f"{subject} has no {name!r}; the names expected are {' and '.join(wanted)}."
                f"{suggestion(name, names)}"
            )
    return wanted


def suggestion(name: str, names: Iterable[str]) -> str:
    """`did_you_mean` for names out of a file, which may hold anything."""
    return did_you_mean(name, (" ".join(known.split())[:40] for known in names))


def to_example(fields: Mapping[str, str], where: str, line: int) -> Example:
    """An Example, if no field is blank."""
    for name, value in fields.items():
        if not value.strip():
            raise DataError(
                f"{where}: {name} is blank; characters were expected. Fill it in or remove the row."
            )
    return Example(
        text=fields["text"] if "text" in fields else fields["text_a"],
        text_pair=fields.get("text_b"),
        label=fields.get("label", "").strip(),
        line=line,
    )
